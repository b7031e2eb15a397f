#pragma once
/*
 * TLB invalidation on this CPU. INVLPG drops a page's translation, global ones included, and the paging-structure
 * caches of the current PCID; loading CR3 drops all but global translations of a PCID. Other CPUs are reached by IPI:
 * there is no broadcast.
 *
 * Without PCIDs only the loaded address space has translations here. With them, one that is not loaded merely loses its
 * slot: the next switch to it then flushes (mmu.c).
 */
#include "lib/types.h"

struct mm;

/* From here on reloading CR3 is cheaper than so many INVLPG and the refills of what it needlessly dropped. */
#define TLB_RANGE_MAX	33

#define TLB_HAS_BROADCAST 0

extern bool x86_has_pcid;

/**
 * With PCIDs: if mm is not loaded on this CPU, forget what it left here and return true. Interrupts off or IPI context.
 */
bool pcid_retire(struct mm *mm);

static inline bool tlb_not_here(struct mm *mm)
{
	return unlikely(x86_has_pcid) && mm && pcid_retire(mm);
}

static inline void x86_invlpg(uintptr_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void x86_reload_cr3(void)
{
	unsigned long cr3;

	__asm__ volatile("movq %%cr3, %0\n\tmovq %0, %%cr3" : "=r"(cr3) : : "memory");
}

static inline bool tlb_local_range_is_full(u64 pages)
{
	return pages > TLB_RANGE_MAX;
}

static inline void tlb_local_page(struct mm *mm, uintptr_t va)
{
	if (!tlb_not_here(mm))
		x86_invlpg(va);
}

static inline void tlb_local_mm(struct mm *mm)
{
	if (!tlb_not_here(mm))
		x86_reload_cr3();
}

void tlb_local_all(void);

static inline void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	if (tlb_not_here(mm))
		return;
	if (tlb_local_range_is_full((end - start) >> shift)) {
		if (mm)
			x86_reload_cr3();
		else
			tlb_local_all();
		return;
	}
	for (uintptr_t va = start; va < end; va += 1ul << shift)
		x86_invlpg(va);
}

static inline void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
}

static inline void tlb_broadcast_mm(struct mm *mm)
{
}
