#pragma once
/*
 * THE CONTRACT, part 3: address-space contexts (PCID, ASID, PID).
 *
 *   struct arch_mm			the port's part of struct mm (id and generation); all-zero is valid before init
 *   void arch_mm_init(struct mm *mm)	a new address space: no id yet. Called once, cannot fail.
 *   void arch_mm_destroy(struct mm *mm)	the last user is gone and no CPU has its root loaded.
 *   void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
 *	Load next's root. Interrupts are off. Generic code has set this CPU's bit in next->cpumask before the call, with
 *	a full barrier in between: whoever changes a PTE and then reads the mask either sees the bit or this CPU will
 *	see the new PTE. Where page-table walks are not ordered by that barrier, the port adds one that does, before it
 *	loads the root. If ids were recycled or the CPU may hold stale entries of next's id,
 *	the port flushes them here. next may be &init_mm (kernel only).
 *	When it returns, no walk of prev's tables by this CPU is under way or will begin (prev may be freed).
 *	An id of an mm that has died is not given to another before every entry left under it is gone.
 *   void arch_root_init(pte_t *root)	a fresh, zeroed root table gets what every root must have (on ports whose kernel
 *					lives in the same table: the kernel's entries, which never change after boot).
 *
 *	ARCH_HAS_ASID (an expression, at run time): entries outlive a switch to another address space. Then an mm's bit
 *	in cpumask stays set when a CPU goes on to another one, and flushes reach it there; it is cleared only after
 *	a flush of the whole address space found it not loaded, or when the mm is dead.
 */
#include "lib/types.h"

struct mm;

#include <asm/ctx.h>
