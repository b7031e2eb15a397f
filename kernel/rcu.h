#pragma once
/*
 * Read-copy-update. The kernel is not preemptible, so a reader is any stretch of code between two context switches, and
 * costs nothing: rcu_read_lock() only keeps the compiler honest (and, in debug builds, counts, so that sleeping inside
 * is caught). Idle CPUs and CPUs in user mode are not readers. Interrupt handlers are.
 */
#include <arch/cpu.h>

#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/types.h"

#ifdef CONFIG_DEBUG
void rcu_read_lock(void);
void rcu_read_unlock(void);
#else
static inline void rcu_read_lock(void)
{
	barrier();
}
static inline void rcu_read_unlock(void)
{
	barrier();
}
#endif

#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_CONSUME)
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

/**
 * Call func(head) after a grace period, in a kernel thread's context of this CPU, interrupts on; it may not sleep. Any
 * context.
 */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *));
/** Wait for a grace period. Sleeps. */
void synchronize_rcu(void);
/** Wait until every callback queued before has run. Sleeps. */
void rcu_barrier(void);

void rcu_init(void);			/* boot CPU, before the first call_rcu */
void rcu_init_cpu(unsigned cpu);	/* boot CPU, before that CPU starts */
void rcu_start(void);			/* the thread; callbacks queued before wait for it */
void rcu_note_context_switch(void);	/* schedule(), interrupts off */
void rcu_idle_enter(void);		/* idle loop, interrupts off */
void rcu_idle_exit(void);
void rcu_irq_enter(void);		/* irq_enter(): an interrupt out of idle may read */
void rcu_irq_exit(void);
/* Set by irq_enter: the interrupt came from user mode, where there are no readers. */
DECLARE_PER_CPU(bool, rcu_from_user);
u64 rcu_grace_periods(void);
