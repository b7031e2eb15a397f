/*
 * Load averages, as /proc/loadavg and sysinfo(2) give them: exponentially damped over 1, 5 and 15 minutes, in steps of
 * five seconds.
 *
 * There is no tick to sample at, so the steps that are due are taken when somebody asks, with the number of runnable
 * tasks of that moment.
 */
#include "kernel/sched.h"
#include "kernel/spinlock.h"
#include "kernel/timer.h"

#define SHIFT	11
#define ONE	(1u << SHIFT)
#define STEP	(5 * NSEC_PER_SEC)

static const u32 decay[3] = { 1884, 2014, 2037 };	/* ONE / exp(5 s / period) */

static spinlock_t lock = SPINLOCK_INIT(RANK_SPIN_LEAF);
static u64 load[3];		/* lock */
static u64 last;		/* lock. clock_ns of the last step */

u64 sched_loadavg(unsigned i)
{
	u64 running = (u64)sched_nr_running() << SHIFT, now = clock_ns(), value;
	unsigned steps = 0;

	spin_lock(&lock);
	for (; now - last >= STEP; last += STEP)
		for (unsigned k = 0; k < 3 && steps < 1000; k++, steps++)
			load[k] = (load[k] * decay[k] + running * (ONE - decay[k])) >> SHIFT;
	value = load[i];
	spin_unlock(&lock);
	return value;
}
