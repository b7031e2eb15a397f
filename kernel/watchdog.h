#pragma once
/*
 * The soft-lockup watchdog: a task that stays in the kernel for long without schedule() or cond_resched() is reported.
 */
#include "kernel/cpu.h"
#include "lib/types.h"

DECLARE_PER_CPU(u32, watchdog_alive);

/** This CPU's task just offered to leave, or is in user mode. */
static inline void watchdog_touch(void)
{
	*this_cpu_ptr(&watchdog_alive) = 1;
}

void watchdog_cpu_start(void);		/* on each CPU, interrupts off */
void watchdog_irq(bool user);		/* timer interrupt: where it came from */
/** Tests: cond_resched() does nothing while this is set; the watchdog must notice. */
void watchdog_set_no_yield(bool on);
bool watchdog_no_yield(void);
u64 watchdog_reports(void);
/** Returns the old value. Interrupts are on. */
unsigned watchdog_set_thresh(unsigned seconds);
