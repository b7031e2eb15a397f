#pragma once
/*
 * The soft-lockup watchdog: a task that stays in the kernel for long without schedule() or cond_resched() is reported.
 */
#include "kernel/cpu.h"
#include "lib/types.h"
#include "mm/stretch.h"

DECLARE_PER_CPU(u32, watchdog_alive);

/** This CPU's task just offered to leave, or is in user mode. */
static inline void watchdog_touch(void)
{
	*this_cpu_ptr(&watchdog_alive) = 1;
	stretch_end();
}

void watchdog_cpu_start(void);		/* on each CPU, interrupts off */
void watchdog_irq(bool user);		/* timer interrupt: where it came from */
/** Tests: cond_resched() does nothing while this is set; the watchdog must notice. */
void watchdog_set_no_yield(bool on);
#ifdef CONFIG_DEBUG
bool watchdog_no_yield(void);
#else
static inline bool watchdog_no_yield(void)
{
	return false;
}
#endif
u64 watchdog_reports(void);
/** Returns the old value. Interrupts are on. */
unsigned watchdog_set_thresh(unsigned seconds);
/** Tests: so many nanoseconds instead, until it is called with 0. Interrupts are on. */
void watchdog_set_period(u64 ns);
