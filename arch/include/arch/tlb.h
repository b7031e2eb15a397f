#pragma once
/*
 * THE CONTRACT, part 2: translation look-aside buffers.
 *
 * Everything here acts on the calling CPU only, but for the broadcast calls. Who must be told is generic code's
 * business (mm/tlb.c). All are callable with interrupts off and in IPI context, never sleep, and complete before they
 * return: afterwards no access by this CPU uses the old translation.
 *
 * "stale" includes paging-structure caches when `tables` is set: a page table that the range hung on was unhooked.
 *
 *   void tlb_local_page(struct mm *mm, uintptr_t va)
 *	One page of the address space mm, which may or may not be the one loaded on this CPU. mm == NULL: a kernel page.
 *   void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
 *	Entries of size 2^shift in [start, end). The port falls back to the whole address space where that is cheaper.
 *	shift is that of the smallest leaf that was unhooked there; larger ones may have been among them. (User mappings
 *	have none yet.) A port whose instruction names the size of the entry, or drops only what that size would find,
 *	must drop those as well.
 *   void tlb_local_mm(struct mm *mm)
 *	All non-global translations of mm on this CPU, walk caches included.
 *   void tlb_local_all(void)
 *	Everything, global entries included.
 *   bool tlb_local_range_is_full(u64 pages)
 *	Would tlb_local_range take that many pages for the whole address space? (Lets the gather stop counting.)
 *
 * Hardware or firmware broadcast, where TLB_HAS_BROADCAST (a run-time expression, settled by arch_init()) is true; the
 * same meaning on all CPUs, the caller's included, whether they have mm loaded or only entries left of it:
 *   void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
 *   void tlb_broadcast_mm(struct mm *mm)
 * mm == NULL for the range: kernel addresses. Interrupts may be on or off. What the caller stored before (entries) is
 * seen by every walk after. Where entries carry an id, all CPUs must know mm by the same one, or the port must drop
 * entries of every id.
 */
#include "lib/types.h"

struct mm;

#include <asm/tlb.h>
