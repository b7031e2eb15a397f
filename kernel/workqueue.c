/*
 * Workqueues.
 *
 * A pool has a list of pending work and worker threads. Bound pools: two per CPU (normal, high priority). Unbound
 * pools: two per NUMA node, whose workers run on any CPU of that node, or on any CPU at all if it has none; a rescuer
 * runs anywhere. A worker that finds its pool's list empty sleeps; queueing wakes an idle worker. A work may
 * sleep until another one, queued later, has run: so a worker starts a work only after it has made sure that an idle
 * worker stays behind (keep_one_idle), up to a limit.
 *
 * max_active: a queue counts its running and listed items per pool (struct wq_pool); more wait in the queue's own
 * `delayed` list and are moved when one ends.
 *
 * flush: every item carries its queue's colour at queueing; the queue counts items not finished per colour. A flush
 * starts a new colour and waits until the count of all older ones is zero.
 *
 * Rescuer: a WQ_MEM_RECLAIM queue has a thread of its own. When a pool can not have another worker (no memory, or the
 * limit), it is short: it wakes the rescuers of queues that have items in it, as does whoever queues an item while the
 * pool is short and has no idle worker. A rescuer runs its queue's items itself.
 *
 * Locks: p pool->lock (RANK_WORKQUEUE, interrupts off)   m wq_mutex (list of queues)
 */
#include "kernel/workqueue.h"

#include "kernel/cpu.h"
#include "kernel/mutex.h"
#include "kernel/numa.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

#define MAX_WORKERS	32u
#define COLORS		16u
#define DEFAULT_ACTIVE	256u

struct pool {
	spinlock_t lock;
	struct list_head pending;	/* p. struct work, in order */
	struct list_head workers;	/* p. all */
	unsigned nr_workers, nr_idle;	/* p */
	bool creating;			/* p. somebody is making a worker */
	bool is_short;			/* p. the last attempt to have another worker failed */
	struct wait_queue idle;		/* exclusive waiters: idle workers */
	struct wait_queue done;		/* flush_work: something finished */
	int cpu;			/* fixed; -1 unbound */
	int node;
	bool highpri;
} __aligned(128);

struct worker {
	struct pool *pool;
	struct task *task;		/* i. not of rescuers */
	struct work *item;		/* p. the item being run (its memory may be gone: only compared) */
	work_fn item_fn;		/* p */
	bool idle;			/* p. counted in nr_idle, from its creation on */
	bool dying;			/* p. off the list and not counted any more: it must end */
	struct list_head link;		/* p */
};

/* A queue's share of a pool. */
struct wq_pool {
	unsigned active;		/* p. listed or running */
	struct list_head delayed;	/* p. beyond max_active */
};

struct workqueue {
	const char *name;
	unsigned flags, max_active;
	struct list_head link;		/* m */
	u32 color;			/* color_lock */
	u32 in_flight[COLORS];		/* color_lock */
	spinlock_t color_lock;		/* inside pool locks */
	struct wait_queue flushed;
	struct mutex flush_mutex;
	struct task *rescuer;
	struct wait_queue rescue;
	bool mayday;			/* rescue.lock is not needed: atomic flag */
	struct wq_pool share[];		/* by pool index */
};

static struct pool *bound_pools[NR_CPUS][2];
static struct pool *unbound_pools[MAX_NODES][2];
static LIST_HEAD(workqueues);		/* m */
static struct mutex wq_mutex = MUTEX_INIT(wq_mutex, RANK_KERNEL_MUTEX);
static bool fail_creation;
struct workqueue *system_wq, *system_unbound_wq, *system_highpri_wq;

/* Index of a pool among those that a queue may use. */
static inline struct wq_pool *share_of(struct workqueue *wq, struct pool *p)
{
	return &wq->share[wq->flags & WQ_UNBOUND ? (unsigned)p->node : (unsigned)p->cpu];
}

/* The i-th pool among those that a queue may use. */
static inline struct pool *queue_pool(const struct workqueue *wq, unsigned i)
{
	unsigned pri = !!(wq->flags & WQ_HIGHPRI);

	return wq->flags & WQ_UNBOUND ? unbound_pools[i][pri] : bound_pools[i][pri];
}

void work_init(struct work *w, work_fn fn)
{
	memset(w, 0, sizeof(*w));
	list_init(&w->link);
	w->fn = fn;
}

/* ---- colours ---- */

static void color_get(struct workqueue *wq, struct work *w)
{
	spin_lock(&wq->color_lock);
	w->color = wq->color;
	wq->in_flight[w->color]++;
	spin_unlock(&wq->color_lock);
}

static void color_put(struct workqueue *wq, u32 color)
{
	bool last;

	spin_lock(&wq->color_lock);
	last = --wq->in_flight[color] == 0;
	spin_unlock(&wq->color_lock);
	if (last)
		wake_up_all(&wq->flushed);
}

/* ---- running; p held on entry and exit, dropped while the function runs ---- */

static void run_work(struct pool *p, struct worker *me, struct work *w)
{
	struct workqueue *wq = w->wq;
	struct wq_pool *s = share_of(wq, p);
	work_fn fn = w->fn;
	u32 color = w->color;

	list_del_init(&w->link);
	me->item = w;
	me->item_fn = fn;
	/*
	 * From here on it may be queued again. A fence: fn sees what was written before a queue_work that found it
	 * still pending.
	 */
	xchg(&w->pending, 0);
	spin_unlock_irq(&p->lock);
	fn(w);
	cond_resched();
	spin_lock_irq(&p->lock);
	me->item = NULL;
	s->active--;
	if (!list_empty(&s->delayed)) {
		list_move_tail(s->delayed.next, &p->pending);
		s->active++;
	}
	color_put(wq, color);
	wake_up_all(&p->done);
}

static bool running_elsewhere(struct pool *p, const struct work *w)
{
	struct worker *k;

	list_for_each_entry(k, &p->workers, link)
		if (k->item == w && k->item_fn == w->fn)
			return true;
	return false;
}

/* The first pending item that does not run already (an item never runs twice at once). p held. */
static struct work *next_work(struct pool *p, const struct workqueue *only)
{
	struct work *w;

	list_for_each_entry(w, &p->pending, link)
		if ((!only || w->wq == only) && !running_elsewhere(p, w))
			return w;
	return NULL;
}

static int worker_thread(void *arg);

static void call_rescuer(struct workqueue *wq)
{
	if (wq->rescuer) {
		WRITE_ONCE(wq->mayday, true);
		wake_up(&wq->rescue);
	}
}

/* Where its workers may run. */
static void pool_cpus(const struct pool *p, struct cpumask *out)
{
	if (p->cpu >= 0) {
		cpumask_zero(out);
		__cpumask_set(out, (unsigned)p->cpu);
		return;
	}
	numa_cpus((unsigned)p->node, out);
	cpumask_and(out, out, &cpu_online_mask);
	if (cpumask_empty(out))
		memset(out, 0xff, sizeof(*out));
}

/* One more worker. Sleeps; no lock held. False: no memory. */
static bool create_worker(struct pool *p)
{
	struct worker *k = READ_ONCE(fail_creation) ? NULL : kzalloc(sizeof(*k), GFP_KERNEL);
	struct task *t;

	if (!k)
		return false;
	k->pool = p;
	if (p->cpu >= 0)
		t = kthread_create(worker_thread, k, "kworker/%d%s", p->cpu, p->highpri ? "H" : "");
	else
		t = kthread_create(worker_thread, k, "kworker/u%d%s", p->node, p->highpri ? "H" : "");
	if (IS_ERR(t)) {
		kfree(k);
		return false;
	}
	pool_cpus(p, &t->affinity);
	if (p->highpri)
		sched_set_nice(t, -20);
	k->task = t;
	k->idle = true;
	spin_lock_irq(&p->lock);
	list_add_tail(&k->link, &p->workers);
	p->nr_workers++;
	p->nr_idle++;
	spin_unlock_irq(&p->lock);
	wake_up_new_task(t);
	return true;
}

/*
 * Before a worker starts an item: an idle one must stay behind, because the item may sleep until a later one has run. p
 * held; dropped while creating.
 */
static void keep_one_idle(struct pool *p)
{
	bool made = false;
	struct work *w;

	if (p->nr_idle || p->creating)
		return;
	if (p->nr_workers < MAX_WORKERS) {
		p->creating = true;
		spin_unlock_irq(&p->lock);
		made = create_worker(p);
		spin_lock_irq(&p->lock);
		p->creating = false;
	}
	p->is_short = !made;
	if (!made)
		list_for_each_entry(w, &p->pending, link)
			call_rescuer(w->wq);
}

static bool has_work(struct pool *p)
{
	unsigned long flags = spin_lock_irqsave(&p->lock);
	bool has = next_work(p, NULL) != NULL;

	spin_unlock_irqrestore(&p->lock, flags);
	return has;
}

static int worker_thread(void *arg)
{
	struct worker *me = arg;
	struct pool *p = me->pool;

	spin_lock_irq(&p->lock);
	while (!me->dying) {
		struct work *w;

		me->idle = false;
		p->nr_idle--;
		while ((w = next_work(p, NULL))) {
			keep_one_idle(p);
			w = next_work(p, NULL);
			if (w)
				run_work(p, me, w);
		}
		me->idle = true;
		p->nr_idle++;
		spin_unlock_irq(&p->lock);
		(void)___wait_event(&p->idle, has_work(p) || READ_ONCE(me->dying), TASK_UNINTERRUPTIBLE, WAIT_FOREVER,
				    true);
		spin_lock_irq(&p->lock);
	}
	spin_unlock_irq(&p->lock);
	wake_up(&p->idle);	/* for work: it may have been us whom its queuer woke */
	return 0;
}

static int rescuer_thread(void *arg)
{
	struct workqueue *wq = arg;
	unsigned n = wq->flags & WQ_UNBOUND ? nr_nodes : nr_cpus;

	while (!kthread_should_stop()) {
		wait_event(&wq->rescue, READ_ONCE(wq->mayday) || kthread_should_stop());
		WRITE_ONCE(wq->mayday, false);
		for (unsigned i = 0; i < n; i++) {
			struct pool *p = queue_pool(wq, i);
			struct worker me = { .pool = p };
			struct work *w;

			spin_lock_irq(&p->lock);
			list_add_tail(&me.link, &p->workers);
			while ((w = next_work(p, wq)))
				run_work(p, &me, w);
			list_del(&me.link);
			spin_unlock_irq(&p->lock);
		}
	}
	return 0;
}

/* ---- queueing ---- */

static bool queue_to(struct pool *p, struct workqueue *wq, struct work *w)
{
	struct pool *last;
	struct wq_pool *s;
	unsigned long flags;

	flags = irq_save();
	if (xchg(&w->pending, 1)) {	/* a fence: pairs with the one in run_work */
		irq_restore(flags);
		return false;
	}
	/* If it still runs in another pool, it must be queued there: an item never runs twice at once. */
	last = READ_ONCE(w->pool);
	if (last && last != p && w->wq == wq) {
		spin_lock(&last->lock);
		if (running_elsewhere(last, w)) {
			p = last;
		} else {
			spin_unlock(&last->lock);
			spin_lock(&p->lock);
		}
	} else {
		spin_lock(&p->lock);
	}
	w->wq = wq;
	WRITE_ONCE(w->pool, p);
	color_get(wq, w);
	s = share_of(wq, p);
	if (s->active < wq->max_active) {
		s->active++;
		list_add_tail(&w->link, &p->pending);
	} else {
		list_add_tail(&w->link, &s->delayed);
	}
	if (p->is_short && !p->nr_idle)
		call_rescuer(wq);
	spin_unlock(&p->lock);
	irq_restore(flags);
	if (last && last != p)
		wake_up_all(&last->done);	/* who waits for it there must wait here */
#ifndef BREAK_WORKQUEUE_NO_WAKE
	wake_up(&p->idle);
#endif
	return true;
}

static struct pool *pool_for(struct workqueue *wq, unsigned cpu, int node)
{
	return queue_pool(wq, wq->flags & WQ_UNBOUND ? (unsigned)node : cpu);
}

bool queue_work_on(unsigned cpu, struct workqueue *wq, struct work *w)
{
	return queue_to(pool_for(wq, cpu, cpus[cpu]->node), wq, w);
}

bool queue_work_node(int node, struct workqueue *wq, struct work *w)
{
	return queue_to(pool_for(wq, cpu_id(), node), wq, w);
}

bool queue_work(struct workqueue *wq, struct work *w)
{
	return queue_work_on(cpu_id(), wq, w);
}

/* ---- waiting ---- */

static bool older_done(struct workqueue *wq, u32 current_color)
{
	u32 sum = 0;
	unsigned long flags = spin_lock_irqsave(&wq->color_lock);

	for (u32 c = 0; c < COLORS; c++)
		if (c != current_color)
			sum += wq->in_flight[c];
	spin_unlock_irqrestore(&wq->color_lock, flags);
	return !sum;
}

void flush_workqueue(struct workqueue *wq)
{
	u32 color;

	mutex_lock(&wq->flush_mutex);
	/* Flushes of one queue go one after the other, so all other colours are older, and the next one is free. */
	spin_lock_irq(&wq->color_lock);
	color = wq->color = (wq->color + 1) % COLORS;
	spin_unlock_irq(&wq->color_lock);
	wait_event(&wq->flushed, older_done(wq, color));
	mutex_unlock(&wq->flush_mutex);
}

static bool work_busy(struct work *w)
{
	struct pool *p = READ_ONCE(w->pool);
	unsigned long flags;
	bool busy;

	if (!p)		/* never queued, or just being queued for the first time */
		return __atomic_load_n(&w->pending, __ATOMIC_ACQUIRE);
	flags = spin_lock_irqsave(&p->lock);
	busy = __atomic_load_n(&w->pending, __ATOMIC_ACQUIRE) || running_elsewhere(p, w);
	spin_unlock_irqrestore(&p->lock, flags);
	return busy;
}

bool flush_work(struct work *w)
{
	bool was_busy = false;

	/* It may be queued again, to another pool, before we have seen that it ended in this one: then wait there. */
	while (work_busy(w)) {
		struct pool *p = READ_ONCE(w->pool);

		was_busy = true;
		if (p)
#ifdef BREAK_WORKQUEUE_STALE_POOL
			wait_event(&p->done, !work_busy(w));
#else
			wait_event(&p->done, !work_busy(w) || READ_ONCE(w->pool) != p);
#endif
		else
			cpu_relax();	/* its queuer has interrupts off */
	}
	return was_busy;
}

bool cancel_work_sync(struct work *w)
{
	struct pool *p = READ_ONCE(w->pool);
	bool was_pending = false;

	if (!p)
		return false;
	spin_lock_irq(&p->lock);
	if (w->pending && w->pool == p && !list_empty(&w->link)) {
		struct wq_pool *s = share_of(w->wq, p);
		struct work *d;
		bool delayed = false;

		list_for_each_entry(d, &s->delayed, link)
			delayed |= d == w;
		list_del_init(&w->link);
		if (!delayed) {
			s->active--;
			if (!list_empty(&s->delayed)) {
				list_move_tail(s->delayed.next, &p->pending);
				s->active++;
			}
		}
		__atomic_store_n(&w->pending, 0, __ATOMIC_SEQ_CST);
		color_put(w->wq, w->color);
		was_pending = true;
	}
	spin_unlock_irq(&p->lock);
	if (was_pending) {
		wake_up_all(&p->done);
		wake_up(&p->idle);	/* a delayed item may have taken its place */
	}
	flush_work(w);
	return was_pending;
}

/* ---- life ---- */

struct workqueue *workqueue_create(const char *name, unsigned flags, unsigned max_active)
{
	unsigned n = flags & WQ_UNBOUND ? nr_nodes : nr_cpus;
	struct workqueue *wq = kzalloc(sizeof(*wq) + n * sizeof(struct wq_pool), GFP_KERNEL);

	if (!wq)
		return NULL;
	wq->name = name;
	wq->flags = flags;
	wq->max_active = max_active ? max_active : DEFAULT_ACTIVE;
	spin_lock_init(&wq->color_lock, RANK_TIMER_USER);
	wait_queue_init(&wq->flushed);
	wait_queue_init(&wq->rescue);
	mutex_init(&wq->flush_mutex, RANK_KERNEL_MUTEX);
	for (unsigned i = 0; i < n; i++)
		list_init(&wq->share[i].delayed);
	if (flags & WQ_MEM_RECLAIM) {
		wq->rescuer = kthread_run(rescuer_thread, wq, "%s", name);
		if (IS_ERR(wq->rescuer)) {
			kfree(wq);
			return NULL;
		}
	}
	mutex_lock(&wq_mutex);
	list_add_tail(&wq->link, &workqueues);
	mutex_unlock(&wq_mutex);
	return wq;
}

void workqueue_destroy(struct workqueue *wq)
{
	flush_workqueue(wq);
	/* The current colour may have items too, queued during the flush. */
	flush_workqueue(wq);
	if (wq->rescuer)
		kthread_stop(wq->rescuer);
	mutex_lock(&wq_mutex);
	list_del(&wq->link);
	mutex_unlock(&wq_mutex);
	/*
	 * Whoever counted the last item down wakes the flusher with its pool's lock held: until it is dropped, wq is in
	 * use.
	 */
	for (unsigned i = 0; i < (wq->flags & WQ_UNBOUND ? nr_nodes : nr_cpus); i++) {
		struct pool *p = queue_pool(wq, i);

		spin_lock_irq(&p->lock);
		spin_unlock_irq(&p->lock);
	}
	kfree(wq);
}

/* An idle worker that its pool can do without: off the list and told to end. */
static struct worker *surplus_worker(struct pool *p)
{
	struct worker *k, *found = NULL;

	spin_lock_irq(&p->lock);
	if (p->nr_idle > 1) {
		list_for_each_entry(k, &p->workers, link)
			if (k->idle)
				found = k;
		list_del(&found->link);
		WRITE_ONCE(found->dying, true);
		p->nr_idle--;
		p->nr_workers--;
	}
	p->is_short = false;
	spin_unlock_irq(&p->lock);
	return found;
}

/* Is a worker on its way: awake, and neither at an item nor counted as idle? It may be making another one. */
static bool between_items(struct pool *p)
{
	struct worker *k;
	bool found = false;

	spin_lock_irq(&p->lock);
	list_for_each_entry(k, &p->workers, link)
		found |= !k->idle && !k->item;
	spin_unlock_irq(&p->lock);
	return found;
}

/* What it finds is soon an item or nothing. */
static void settle_pool(struct pool *p)
{
	while (between_items(p))
		sleep_ns(100 * NSEC_PER_USEC);
}

static void trim_pool(struct pool *p)
{
	struct worker *k;

	settle_pool(p);		/* until then one cannot tell who is one too many */
	while ((k = surplus_worker(p))) {
		kthread_stop(k->task);
		kfree(k);
	}
}

static void for_each_pool(void (*fn)(struct pool *))
{
	for (unsigned pri = 0; pri < 2; pri++) {
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			fn(bound_pools[cpu][pri]);
		for (unsigned node = 0; node < nr_nodes; node++)
			fn(unbound_pools[node][pri]);
	}
}

void workqueue_settle(void)
{
	for_each_pool(settle_pool);
}

void workqueue_trim(void)
{
	for_each_pool(trim_pool);
}

void workqueue_fail_creation(bool fail)
{
	WRITE_ONCE(fail_creation, fail);
}

static struct pool *pool_create(int cpu, int node, bool highpri)
{
	struct pool *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		panic("boot: no memory for workqueues");
	spin_lock_init(&p->lock, RANK_WORKQUEUE);
	list_init(&p->pending);
	list_init(&p->workers);
	wait_queue_init(&p->idle);
	wait_queue_init(&p->done);
	p->cpu = cpu;
	p->node = node;
	p->highpri = highpri;
	if (!create_worker(p))
		panic("boot: no memory for a worker thread");
	return p;
}

void workqueue_init(void)
{
	for (unsigned pri = 0; pri < 2; pri++) {
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
			bound_pools[cpu][pri] = pool_create((int)cpu, cpus[cpu]->node, pri);
		for (unsigned node = 0; node < nr_nodes; node++)
			unbound_pools[node][pri] = pool_create(-1, (int)node, pri);
	}
	system_wq = workqueue_create("events", 0, 0);
	system_highpri_wq = workqueue_create("events_highpri", WQ_HIGHPRI, 0);
	system_unbound_wq = workqueue_create("events_unbound", WQ_UNBOUND, 0);
	if (!system_wq || !system_highpri_wq || !system_unbound_wq)
		panic("boot: no memory for workqueues");
}
