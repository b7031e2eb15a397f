/*
 * Workqueues, timers and knobs on the host.
 *
 * A work is run by whichever CPU comes by first: one that is between two operations (host_quiescent), or one that waits
 * (schedule). For that the CPU switches to a worker task without an address space and back, so it borrows, like a real
 * worker. CPUs in turn: a function of the seed, because they come by in a fixed order.
 * Timers fire when host_drain() or host_quiescent() comes by, all that are armed: nobody here knows what time it is.
 */
#include <pthread.h>

#define sched_yield kernel_sched_yield	/* the kernel has a function of that name */

#include "kernel/param.h"
#include "kernel/sched.h"
#include "kernel/timer.h"
#include "kernel/workqueue.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "tests/host/arch/host.h"

struct workqueue {
	const char *name;
};

static struct workqueue the_queue;
struct workqueue *system_wq = &the_queue, *system_unbound_wq = &the_queue, *system_highpri_wq = &the_queue;

static pthread_mutex_t work_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list_head pending = LIST_HEAD_INIT(pending);	/* work_lock */
static u32 nr_pending;						/* work_lock to write */
static u32 nr_running;						/* atomic */
static struct timer *armed;					/* work_lock. one timer is all there is */
static __thread bool working;

struct workqueue *workqueue_create(const char *name, unsigned flags, unsigned max_active)
{
	return &the_queue;
}

void work_init(struct work *w, work_fn fn)
{
	memset(w, 0, sizeof(*w));
	w->fn = fn;
	list_init(&w->link);
}

bool queue_work(struct workqueue *wq, struct work *w)
{
	unsigned long flags = irq_save();
	bool queued;

	pthread_mutex_lock(&work_lock);
	queued = !w->pending;
	if (queued) {
		w->pending = 1;
		list_add_tail(&w->link, &pending);
		__atomic_fetch_add(&nr_pending, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&work_lock);
	irq_restore(flags);
	return queued;
}

bool queue_work_node(int node, struct workqueue *wq, struct work *w)
{
	return queue_work(wq, w);
}

static struct work *take(struct work *only)
{
	unsigned long flags = irq_save();
	struct work *w = NULL;

	pthread_mutex_lock(&work_lock);
	if (!list_empty(&pending))
		w = only && only->pending ? only : only ? NULL : list_first_entry(&pending, struct work, link);
	if (w) {
		list_del_init(&w->link);
		w->pending = 0;
		__atomic_fetch_sub(&nr_pending, 1, __ATOMIC_RELAXED);
		if (!only)
			__atomic_fetch_add(&nr_running, 1, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&work_lock);
	irq_restore(flags);
	return w;
}

bool host_run_work(void)
{
	struct task *prev = this_cpu()->curr, *worker;
	struct work *w;

	if (working || !__atomic_load_n(&nr_pending, __ATOMIC_RELAXED))
		return false;
	w = take(NULL);
	if (!w)
		return false;
	working = true;
	worker = host_task(NULL);
	host_switch(worker);
	w->fn(w);
	host_switch(prev);
	host_task_free(worker);
	working = false;
	__atomic_fetch_sub(&nr_running, 1, __ATOMIC_SEQ_CST);
	return true;
}

bool cancel_work_sync(struct work *w)
{
	return take(w) != NULL;
}

bool flush_work(struct work *w)
{
	bool waited = false;

	while (__atomic_load_n(&w->pending, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&nr_running, __ATOMIC_SEQ_CST) > working) {
		waited = true;
		if (!host_run_work())
			cpu_relax();
	}
	return waited;
}

void flush_workqueue(struct workqueue *wq)
{
	while (__atomic_load_n(&nr_pending, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&nr_running, __ATOMIC_SEQ_CST) > working)
		if (!host_run_work())
			cpu_relax();
}

/* ---- timers */

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
}

static struct timer *swap_timer(struct timer *t)
{
	unsigned long flags = irq_save();
	struct timer *old;

	pthread_mutex_lock(&work_lock);
	old = armed;
	armed = t;
	pthread_mutex_unlock(&work_lock);
	irq_restore(flags);
	return old;
}

void timer_start(struct timer *t, u64 expires)
{
	swap_timer(t);
}

bool timer_cancel_sync(struct timer *t)
{
	return swap_timer(NULL) != NULL;
}

void host_fire_timers(void)
{
	struct timer *t = __atomic_load_n(&armed, __ATOMIC_RELAXED) ? swap_timer(NULL) : NULL;

	if (t)
		t->fn(t);
}

u64 sched_nr_switches(void)
{
	return 0;
}

u64 task_runtime_ns(struct task *t)
{
	return 0;
}

/* ---- knobs and initcalls */

extern int (*const __start_initcalls_1[])(void), (*const __stop_initcalls_1[])(void);

void host_initcalls(void)
{
	for (int (*const *fn)(void) = __start_initcalls_1; fn < __stop_initcalls_1; fn++)
		if ((*fn)())
			host_fail("an initcall failed");
}

const char *host_set_knob(const char *name, unsigned value)
{
	for (const struct knob *k = __start_knobs; k < __stop_knobs; k++) {
		const struct cmdline_option *o = k->opt;

		if (strcmp(k->name, name))
			continue;
		if (o->type == CMDLINE_FLAG)
			*o->flag = value != 0;
		else
			*o->uint = value;	/* CHOICE shares it */
		if (k->changed && k->changed())
			host_fail("knob %s can not be set to %u", name, value);
		return o->type == CMDLINE_CHOICE ? o->choices[value] : "";
	}
	host_fail("no knob %s", name);
}
