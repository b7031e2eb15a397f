#pragma once
/*
 * TLB invalidation: tlbi, by address and ASID, on this CPU or (…is) on all of the inner-shareable domain.
 *
 * Order: dsb, so that walkers see the entries that were stored before; tlbi; dsb, so that the invalidation is complete
 * (and, where it is broadcast, that accesses by old translations are); isb, so that nothing fetched or translated ahead
 * is used here.
 *
 * By address, the forms for the last level (vale1, vaale1) are used unless a table was unhooked: they leave the walk
 * caches alone.
 */
#include "lib/types.h"

struct mm;

#define TLB_HAS_BROADCAST 1
#define TLB_RANGE_MAX	  64 /* pages; above, a whole address space refilled costs less */

static inline bool tlb_local_range_is_full(u64 pages)
{
	return pages > TLB_RANGE_MAX;
}

static inline void tlb_local_all(void)
{
	__asm__ volatile("dsb nshst\n\ttlbi vmalle1\n\tdsb nsh\n\tisb" : : : "memory");
}

void tlb_local_page(struct mm *mm, uintptr_t va);
void tlb_local_mm(struct mm *mm);
void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void tlb_broadcast_mm(struct mm *mm);
