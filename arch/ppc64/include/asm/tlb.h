#pragma once
/*
 * TLB invalidation: tlbiel on this CPU, tlbie on all of them. A whole address space takes one tlbiel for each set of
 * the TLB on POWER9, so ranges are done page by page up to a good number.
 */
#include <arch/pte.h>

#include "lib/types.h"

struct mm;

#define TLB_RANGE_MAX 64

#define TLB_HAS_BROADCAST 1

static inline bool tlb_local_range_is_full(u64 pages)
{
	return pages > TLB_RANGE_MAX;
}

void tlb_local_all(void);
void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);

static inline void tlb_local_page(struct mm *mm, uintptr_t va)
{
	tlb_local_range(mm, va, va + PAGE_SIZE, PAGE_SHIFT, false);
}

/* Tables go with all of an address space, whatever the range. */
static inline void tlb_local_mm(struct mm *mm)
{
	tlb_local_range(mm, 0, 0, PAGE_SHIFT, true);
}

static inline void tlb_broadcast_mm(struct mm *mm)
{
	tlb_broadcast_range(mm, 0, 0, PAGE_SHIFT, true);
}
