#pragma once
/*
 * Timers: one-shot callbacks at a point of clock_ns() time, per CPU, in interrupt context. No tick: the port's timer is
 * armed for the earliest one.
 */
#include <arch/timer.h>

#include "lib/rbtree.h"
#include "lib/types.h"

#define NSEC_PER_SEC	1000000000ull
#define NSEC_PER_MSEC	1000000ull
#define NSEC_PER_USEC	1000ull

struct timer {
	struct rb_node node;		/* base lock */
	u64 expires;			/* base lock */
	void (*fn)(struct timer *);	/* interrupts off, base lock not held; may restart the timer */
	int cpu;			/* base lock; -1: not queued */
	u32 running;			/* atomic. callbacks that run or are about to: two if it was started again */
};

void timer_init(struct timer *t, void (*fn)(struct timer *));
/**
 * (Re)start on this CPU. Any context; calls for one timer must not overlap: what serialises them is the owner's lock.
 */
void timer_start(struct timer *t, u64 expires);
/** Take it off the queue; does not wait for a running callback. Returns whether it was queued. Any context. */
bool timer_cancel(struct timer *t);
/**
 * Likewise, and no callback runs any more when it returns (the callback must not restart it). Not from the callback
 * itself.
 */
bool timer_cancel_sync(struct timer *t);
bool timer_pending(const struct timer *t);

void timer_interrupt(void);		/* from the port */
void timers_init(void);
void timers_init_cpu(unsigned cpu);	/* boot CPU, before that CPU starts */
/** Wall clock: nanoseconds since 1970. */
u64 wall_clock_ns(void);
void set_wall_clock_ns(u64 ns);
