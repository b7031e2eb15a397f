#pragma once
/*
 * TLB shootdown: who must be told, and waiting until they did it. Issue, dispatch, wait; interrupts only CPUs in
 * mm->cpumask. Pages and tables may be reused only after the flush that covers them has returned.
 */
#include <arch/pte.h>
#include <arch/tlb.h>

#include "lib/types.h"

struct mm;

/**
 * All CPUs that may hold them drop translations of [start, end) of mm, entries of size 2^shift. Interrupts on; may not
 * hold a lock that an IPI handler takes. Does not sleep. `tables`: page tables were unhooked in the range. */
void flush_tlb_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables);
void flush_tlb_mm(struct mm *mm, bool tables);
/**
 * The same for an mm without users: only CPUs that still borrow it can use what they have cached, and they stop
 * borrowing it (they load init_mm), unless the flush is broadcast. So the second time there is nobody left to tell.
 */
void flush_tlb_dying(struct mm *mm, bool tables);
static inline void flush_tlb_page(struct mm *mm, uintptr_t va)
{
	flush_tlb_range(mm, va, va + PAGE_SIZE, PAGE_SHIFT, false);
}
/** Kernel range, on all online CPUs. */
void flush_tlb_kernel_range(uintptr_t start, uintptr_t end);
