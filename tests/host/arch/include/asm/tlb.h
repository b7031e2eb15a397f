#pragma once
/* The host port's TLB: tests/host/arch/mmu.c. Nothing is broadcast: IPIs only. */
#include "lib/types.h"

struct mm;

#define TLB_HAS_BROADCAST	false

void tlb_local_page(struct mm *mm, uintptr_t va);
void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void tlb_local_mm(struct mm *mm);
void tlb_local_all(void);

static inline bool tlb_local_range_is_full(u64 pages)
{
	return pages > 32;
}

static inline void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
}

static inline void tlb_broadcast_mm(struct mm *mm)
{
}
