#pragma once
/* Between the scheduler, IPIs, entry code and boot. */
#include "kernel/cpu.h"
#include "kernel/task.h"

void sched_ipi(void);			/* ipi_handler: another CPU wants this one to look at its queue */
void sched_init_cpu(unsigned cpu);	/* boot CPU, before that CPU starts */

/* The halt is over (or interrupted): that time was idle. Interrupts off. */
static inline void account_idle_end(void)
{
	struct cpu *c = this_cpu();
	u64 now = cpu_counter();

	c->idle_count += now - c->stamp;
	c->stamp = now;
}
