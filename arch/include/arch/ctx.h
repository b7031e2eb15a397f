#pragma once
/*
 * THE CONTRACT, part 3: address-space contexts (PCID, ASID, PID).
 *
 *   struct arch_mm			the port's part of struct mm (id and generation); all-zero is valid before init
 *   void arch_mm_init(struct mm *mm)	a new address space: no id yet. Called once, cannot fail.
 *   void arch_mm_destroy(struct mm *mm)	the last user is gone and no CPU has its root loaded.
 *   void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
 *	Load next's root. Interrupts are off. Generic code has set this CPU's bit in next->cpumask before the call, with
 *	a full barrier in between (the port may rely on it: whoever changes a PTE and then reads the mask either sees
 *	the bit or this CPU will see the new PTE). If ids were recycled or the CPU may hold stale entries of next's id,
 *	the port flushes them here. next may be &init_mm (kernel only).
 *	When it returns, no walk of prev's tables by this CPU is under way or will begin (prev may be freed).
 *	An id of an mm that has died is not given to another before every entry left under it is gone.
 *   void arch_root_init(pte_t *root)	a fresh, zeroed root table gets what every root must have (on ports whose kernel
 *					lives in the same table: the kernel's entries, which never change after boot).
 *
 *	ASIDs: when an mm has moved away from a CPU, its bit in cpumask may stay set (lazily flushed) or be cleared by
 *	the generic code, which then guarantees nothing about stale entries: therefore each port with ids must flush
 *	when it loads an mm on a CPU whose bit had been clear. `arch_mm_switch` learns that from `mm_cpu_was_clear`, see
 *	mm/context.c: generic code calls tlb_local_mm(next) itself after the switch in that case, if ARCH_HAS_ASID (a
 *	run-time expression) says that entries outlive a switch.
 */
#include "lib/types.h"

struct mm;

#include <asm/ctx.h>
