#pragma once
/*
 * Lazy TLB: a task without an address space borrows the page tables that its CPU has loaded. Something must keep them
 * alive until the CPU loads others: vm.lazy_tlb says what. See lazy_tlb.c.
 */
#include "kernel/cpu.h"

struct mm;

/** A task with an mm gives way to one without: this CPU goes on with c->active_mm loaded. Interrupts off. */
void lazy_tlb_enter(struct cpu *c);
/**
 * This CPU borrowed `mm`, and has loaded another address space, or runs a task of mm itself. Returns the mm that it now
 * owes an mmdrop(), which takes locks of RANK_WORKQUEUE and above; or NULL. Interrupts off.
 */
struct mm *lazy_tlb_leave(struct mm *mm);
/** If this CPU borrows an address space: load the kernel's own instead. Interrupts off; IPI context too. */
void lazy_tlb_unlazy(void);
/**
 * The last reference to mm is gone, and its users before that. True: no CPU has its root loaded any more, free it.
 * False: whoever still has it frees it. Any context; waits for other CPUs only if interrupts are on.
 */
bool lazy_tlb_release(struct mm *mm);
/** Free what is waiting for CPUs to leave (policy quiesce). Sleeps. */
void lazy_tlb_drain(void);
void lazy_tlb_init(void);

/** mm/context.c: load next's tables on this CPU. Interrupts off; next has users, or is init_mm. */
void load_mm(struct cpu *c, struct mm *next);
