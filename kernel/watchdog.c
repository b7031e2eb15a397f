/*
 * Soft-lockup watchdog. While a CPU is busy, a timer looks every half period whether the CPU went through the scheduler
 * (or user mode) since the last look; after `limit` such looks it reports. An idle CPU stops its timer and __schedule's
 * first busy task starts it again (watchdog_irq runs only from the timer, so an idle CPU takes at most one more
 * interrupt).
 */
#include "kernel/watchdog.h"

#include "kernel/ipi.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "kernel/timer.h"

#define LOOKS 4

DEFINE_PER_CPU(u32, watchdog_alive);

struct watchdog {
	struct timer timer;	/* this CPU */
	unsigned silent;	/* this CPU. looks without a sign of life */
	bool in_user;		/* this CPU. where the last timer interrupt came from */
};
static DEFINE_PER_CPU(struct watchdog, watchdogs);

static unsigned opt_thresh = 20;
static bool opt_panic;
static u64 reports;		/* atomic */
static bool no_yield;

static u64 test_period;		/* ns, if a test wants less than seconds */

static int thresh_changed(void);
static const struct cmdline_option option_thresh = {
	.name = "kernel.watchdog_thresh",
	.type = CMDLINE_UINT,
	.uint = &opt_thresh,
	.min = 1,
	.max = 600,
	.help = "seconds in the kernel without a yield before the watchdog reports"
};
KNOB(knob_thresh) = { .name = "kernel.watchdog_thresh", .opt = &option_thresh, .changed = thresh_changed };
static const struct cmdline_option option_panic = { .name = "kernel.softlockup_panic",
						    .type = CMDLINE_FLAG,
						    .flag = &opt_panic,
						    .help = "1: a soft lockup is a panic" };
KNOB(knob_panic) = { .name = "kernel.softlockup_panic", .opt = &option_panic };

static inline u64 period(void)
{
	return test_period ? test_period : opt_thresh * NSEC_PER_SEC;
}

static void look(struct timer *timer)
{
	struct watchdog *w = container_of(timer, struct watchdog, timer);
	u32 *alive = this_cpu_ptr(&watchdog_alive);

	if (*alive || w->in_user || this_cpu()->in_idle) {
		w->silent = 0;
		*alive = 0;
	} else if (++w->silent >= LOOKS) {
		w->silent = 0;
		__atomic_fetch_add(&reports, 1, __ATOMIC_RELAXED);
		if (opt_panic)
			panic("soft lockup: CPU %u stuck in the kernel for %u s (%s, pid %d)", cpu_id(), opt_thresh,
			      current->comm, current->pid);
		pr_err("watchdog: soft lockup: CPU %u stuck in the kernel for %u s (%s, pid %d)", cpu_id(), opt_thresh,
		       current->comm, current->pid);
		dump_stack();
	}
	/* A task that is alone is never asked to make way: ask it, so that its next yield is a sign of life. */
	if (w->silent)
		set_work(current, WORK_RESCHED);
	if (!this_cpu()->in_idle)
		timer_start(timer, clock_ns() + period() / LOOKS);
}

void watchdog_irq(bool user)
{
	this_cpu_ptr(&watchdogs)->in_user = user;
}

void watchdog_cpu_start(void)
{
	struct watchdog *w = this_cpu_ptr(&watchdogs);

	if (!w->timer.fn)
		timer_init(&w->timer, look);
	if (!timer_pending(&w->timer))
		timer_start(&w->timer, clock_ns() + period() / LOOKS);
}

static void restart(void *unused)
{
	struct watchdog *w = this_cpu_ptr(&watchdogs);

	timer_cancel(&w->timer);
	w->silent = 0;
	watchdog_cpu_start();
}

/* The new period counts from now on, everywhere. */
static int thresh_changed(void)
{
	call_on_cpus(&cpu_online_mask, restart, NULL, true);
	return 0;
}

unsigned watchdog_set_thresh(unsigned seconds)
{
	unsigned old = opt_thresh;

	opt_thresh = seconds;
	thresh_changed();
	return old;
}

void watchdog_set_period(u64 ns)
{
	test_period = ns;
	thresh_changed();
}

void watchdog_set_no_yield(bool on)
{
	WRITE_ONCE(no_yield, on);
}

#ifdef CONFIG_DEBUG
bool watchdog_no_yield(void)
{
	return READ_ONCE(no_yield);
}
#endif

u64 watchdog_reports(void)
{
	return __atomic_load_n(&reports, __ATOMIC_RELAXED);
}
