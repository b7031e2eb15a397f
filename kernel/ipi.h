#pragma once
/*
 * Calls on other CPUs. One hardware IPI; a per-CPU queue of call records and a few flag bits say what for.
 */
#include "kernel/cpumask.h"
#include "lib/list.h"
#include "lib/types.h"

typedef void (*ipi_fn)(void *arg);

/**
 * call_on_cpus() - run fn(arg) in interrupt context on every online CPU of the mask, the caller's included if it is
 * there. wait: return after all have run it. Waiting needs interrupts on (else two CPUs that wait for each other would
 * not answer), or the caller must know that nobody can wait for it; debug builds check. Without wait, *arg must live
 * until all have run. Does not sleep, needs no memory.
 */
void call_on_cpus(const struct cpumask *mask, ipi_fn fn, void *arg, bool wait);
void call_on_cpu(unsigned cpu, ipi_fn fn, void *arg, bool wait);
/**
 * A record of the caller's own, for one asynchronous call that needs no waiting; reusable after fn has started. False
 * if it is still queued.
 */
struct ipi_call {
	struct llist_node node;
	ipi_fn fn;
	void *arg;
	u32 busy;	/* atomic */
};
bool call_on_cpu_async(unsigned cpu, struct ipi_call *call);

void ipi_kick(unsigned cpu);		/* wakes it from a halt; it looks whether to reschedule */
void ipi_stop_others(void);		/* panic: they halt */
void ipi_handler(void);			/* from the port, interrupts off, hardware already acknowledged */
