#pragma once
/*
 * TLB invalidation on this CPU: sfence.vma by address and address-space id.
 *
 * With an address it covers leaf entries only, so anything that unhooked a table takes the whole address space. QEMU
 * empties its TLB whatever the operands are (PLATFORM: 20 us with the refills), and silicon has no reason to like many
 * single pages either: hence the low limit. Other CPUs can be reached through SBI's remote fence; with OpenSBI under an
 * emulator that is slow, so it is there to be compared.
 */
#include "lib/types.h"

struct mm;

#define TLB_RANGE_MAX	4

extern bool sbi_has_rfence;
#define TLB_HAS_BROADCAST sbi_has_rfence

static inline bool tlb_local_range_is_full(u64 pages)
{
	return pages > TLB_RANGE_MAX;
}

static inline void tlb_local_all(void)
{
	__asm__ volatile("sfence.vma" : : : "memory");
}

void tlb_local_page(struct mm *mm, uintptr_t va);
void tlb_local_mm(struct mm *mm);
void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void tlb_broadcast_mm(struct mm *mm);
