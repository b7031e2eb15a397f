/* The kernel's core: IPIs, timers, scheduler, locks, wait queues, RCU. */
#include <arch/timer.h>

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/mutex.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "kernel/watchdog.h"
#include "lib/err.h"
#include "mm/slab.h"
#include "tests/kernel/ktest.h"

/* ---- IPI calls ---- */

static u32 hits;

static void hit(void *arg)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
}

KTEST(ipi, call_all)
{
	hits = 0;
	for (int i = 0; i < 20; i++)
		call_on_cpus(&cpu_online_mask, hit, NULL, true);
	KT_EQ(hits, 20 * cpumask_weight(&cpu_online_mask));
}

static int caller(void *arg)
{
	for (int i = 0; i < 50; i++)
		call_on_cpus(&cpu_online_mask, hit, NULL, i & 1);
	call_on_cpus(&cpu_online_mask, hit, NULL, true);
	return 0;
}

KTEST(ipi, everybody_calls_everybody)
{
	hits = 0;
	KT_EQ(kt_threads(nr_cpus, caller, NULL), 0);
	KT_EQ(hits, 51 * nr_cpus * nr_cpus);
}

static void record_cpu(void *arg)
{
	*(unsigned *)arg = cpu_id();
}

KTEST(ipi, async_call)
{
	unsigned where = NR_CPUS, target = nr_cpus - 1;
	struct ipi_call call = { .fn = record_cpu, .arg = &where };
	u64 end = SOON;

	KT_EXPECT(call_on_cpu_async(target, &call));
	while (READ_ONCE(where) == NR_CPUS && clock_ns() < end)
		cpu_relax();
	KT_EQ(where, target);
}

/* ---- timers ---- */

static u64 fired_at[3];

struct test_timer {
	struct timer timer;
	unsigned nr;
};

static void fired(struct timer *t)
{
	WRITE_ONCE(fired_at[container_of(t, struct test_timer, timer)->nr], clock_ns());
}

KTEST(timer, order_and_lateness)
{
	struct test_timer t[3];
	unsigned long flags;
	u64 now;

	for (unsigned i = 0; i < 3; i++) {
		t[i].nr = i;
		fired_at[i] = 0;
		timer_init(&t[i].timer, fired);
	}
	/* All are queued before any can fire, however long this CPU may be held up. */
	flags = irq_save();
	now = clock_ns();
	timer_start(&t[0].timer, now + 3 * NSEC_PER_MSEC);
	timer_start(&t[1].timer, now + NSEC_PER_MSEC);
	timer_start(&t[2].timer, now + 2 * NSEC_PER_MSEC);
	irq_restore(flags);
	while (!READ_ONCE(fired_at[0]) && clock_ns() < now + 10 * NSEC_PER_SEC)
		sleep_ns(NSEC_PER_MSEC);
	for (unsigned i = 0; i < 3; i++)
		timer_cancel_sync(&t[i].timer);
	KT_EXPECT(fired_at[1] && fired_at[2] && fired_at[0]);
	KT_EXPECT(fired_at[1] <= fired_at[2] && fired_at[2] <= fired_at[0]);
	KT_EXPECT(fired_at[0] >= now + 3 * NSEC_PER_MSEC);
}

KTEST(timer, cancel)
{
	struct test_timer t = { .nr = 0 };

	fired_at[0] = 0;
	timer_init(&t.timer, fired);
	timer_start(&t.timer, clock_ns() + 60 * NSEC_PER_SEC);
	KT_EXPECT(timer_cancel_sync(&t.timer));
	KT_EXPECT(!timer_cancel_sync(&t.timer));
	timer_start(&t.timer, clock_ns() + 60 * NSEC_PER_SEC);
	KT_EXPECT(timer_pending(&t.timer));
	KT_EXPECT(timer_cancel(&t.timer));
	KT_EXPECT(!timer_pending(&t.timer));
	KT_EQ(fired_at[0], 0);
}

/* ---- scheduler ---- */

struct spinner {
	u32 stop;
	u32 nr;		/* that run */
};

static int spin(void *arg)
{
	struct spinner *s = arg;

	if (s->nr)
		sched_set_nice(current, 5);
	WRITE_ONCE(s->nr, s->nr + 1);
	while (!READ_ONCE(s->stop)) {
		cond_resched();
		cpu_relax();
	}
	return 0;
}

static struct task *spinner(struct spinner *s, const char *name)
{
	u32 before = READ_ONCE(s->nr);
	struct task *t = kthread_run_on(0, spin, s, "%s", name);

	while (!IS_ERR(t) && READ_ONCE(s->nr) == before)
		sleep_ns(NSEC_PER_MSEC);
	return t;
}

/*
 * Two threads on one CPU, nice 0 and 5: the ratio of weights is 3.05. They are level when the second one runs for the
 * first time, which is where this begins to count. Host time that the vCPU loses afterwards is charged to one of them,
 * and the other one gets it back: that may take a while.
 */
KTEST(sched, fairness_by_nice)
{
	struct spinner s = { 0 };
	struct task *a = spinner(&s, "nice0"), *b = spinner(&s, "nice5");
	u64 ran_a, ran_b, since_a, since_b, end = SOON;
	bool fair;

	KT_ASSERT(!IS_ERR(a) && !IS_ERR(b));
	since_a = task_runtime_ns(a);
	since_b = task_runtime_ns(b);
	do {
		sleep_ns(20 * NSEC_PER_MSEC);
		ran_a = task_runtime_ns(a) - since_a;
		ran_b = task_runtime_ns(b) - since_b;
		fair = 2 * ran_a > 3 * ran_b && ran_a < 8 * ran_b;
	} while ((ran_a + ran_b < 400 * NSEC_PER_MSEC || !fair) && clock_ns() < end);
	WRITE_ONCE(s.stop, 1);
	kthread_stop(a);
	kthread_stop(b);
	if (!fair)
		kt_fail(__FILE__, __LINE__, "nice 0 ran for %llu ms, nice 5 for %llu ms", ran_a / NSEC_PER_MSEC,
			ran_b / NSEC_PER_MSEC);
}

static int where_am_i(void *arg)
{
	unsigned *where = arg;

	for (unsigned i = 0; i < nr_cpus; i++) {
		struct cpumask m = { { 0 } };

		cpumask_set(&m, i);
		if (sched_set_affinity(current, &m) || cpu_id() != i)
			(*where)++;
	}
	return 0;
}

KTEST(sched, affinity_moves_the_caller)
{
	unsigned wrong = 0;

	KT_EQ(kt_threads(1, where_am_i, &wrong), 0);
	KT_EQ(wrong, 0);
}

struct pingpong {
	struct wait_queue wq[2];
	u32 turn, rounds;
};

static int pinger(void *arg)
{
	struct pingpong *p = arg;
	u32 me = __atomic_fetch_add(&p->rounds, 1u << 16, __ATOMIC_SEQ_CST) >> 16 & 1;

	for (int i = 0; i < 300; i++) {
		wait_event(&p->wq[me], READ_ONCE(p->turn) == me);
		__atomic_fetch_add(&p->rounds, 1, __ATOMIC_RELAXED);
		WRITE_ONCE(p->turn, !me);
		wake_up(&p->wq[!me]);
	}
	return 0;
}

KTEST(sched, wake_up_is_never_lost)
{
	struct pingpong p = { .turn = 0 };

	wait_queue_init(&p.wq[0]);
	wait_queue_init(&p.wq[1]);
	KT_EQ(kt_threads(2, pinger, &p), 0);
	KT_EQ(p.rounds & 0xffff, 600);
}

KTEST(sched, sleep_lasts)
{
	u64 start = clock_ns();

	sleep_ns(2 * NSEC_PER_MSEC);
	KT_EXPECT(clock_ns() - start >= 2 * NSEC_PER_MSEC);
}

static int never_yields(void *arg)
{
	u64 last = clock_ns(), ran = 0;

	watchdog_set_no_yield(true);
	/*
	 * For two seconds, of which the watchdog needs most of one. When the host does not run this CPU it can not
	 * look.
	 */
	while (ran < 2 * NSEC_PER_SEC) {
		u64 now = clock_ns();

		ran += min(now - last, NSEC_PER_MSEC);
		last = now;
		cond_resched();
	}
	watchdog_set_no_yield(false);
	return 0;
}

/* ---- locks ---- */

struct counted {
	spinlock_t spin;
	struct mutex mutex;
	struct rwsem rwsem;
	u64 value, other;
	u32 wrong;
};

static int spin_counter(void *arg)
{
	struct counted *c = arg;

	for (int i = 0; i < 2000; i++) {
		spin_lock(&c->spin);
		c->value++;
		spin_unlock(&c->spin);
	}
	return 0;
}

KTEST(locks, spinlock_excludes)
{
	struct counted c = { .value = 0 };

	spin_lock_init(&c.spin, RANK_SPIN_LEAF);
	KT_EQ(kt_threads(2 * nr_cpus, spin_counter, &c), 0);
	KT_EQ(c.value, 2000 * min(2 * nr_cpus, 64u));
}

struct contended {
	spinlock_t spin;
	u64 count;	/* under the lock */
	u64 sum;	/* atomic. what the contenders counted for themselves */
	u64 end;
};

static int contender(void *arg)
{
	struct contended *c = arg;
	u64 mine = 0;

	do {
		for (int i = 0; i < 100; i++) {
			spin_lock(&c->spin);
			c->count++;
			spin_unlock(&c->spin);
		}
		mine += 100;
		cond_resched();
	} while (clock_ns() < c->end);
	__atomic_fetch_add(&c->sum, mine, __ATOMIC_RELAXED);
	return 0;
}

static u64 contend(unsigned cpus)
{
	struct contended c = { .count = 0, .end = clock_ns() + 200 * NSEC_PER_MSEC };

	spin_lock_init(&c.spin, RANK_SPIN_LEAF);
	kt_threads(cpus, contender, &c);
	KT_EQ(c.count, c.sum);
	return c.count;
}

/*
 * Nothing is lost under contention. The diagnostic is a measurement: more vCPUs than host cores should not bring a
 * contended lock to its knees.
 */
KTEST(locks, contention)
{
	u64 two = contend(min(nr_cpus, 2u)), all = contend(nr_cpus);

	KT_EXPECT(two && all);
	if (two && nr_cpus > 2)
		kt_diag("%llu acquisitions by 2 CPUs, %llu by %u: %llu %%", (unsigned long long)two,
			(unsigned long long)all, nr_cpus, (unsigned long long)(all * 100 / two));
}

static int mutex_counter(void *arg)
{
	struct counted *c = arg;

	for (int i = 0; i < 200; i++) {
		u64 v;

		mutex_lock(&c->mutex);
		v = c->value;
		if (i % 16 == 0)
			sched_yield();
		c->value = v + 1;
		mutex_unlock(&c->mutex);
	}
	return 0;
}

KTEST(locks, mutex_excludes_sleepers)
{
	struct counted c = { .value = 0 };

	mutex_init(&c.mutex, RANK_KERNEL_MUTEX);
	KT_EQ(kt_threads(2 * nr_cpus, mutex_counter, &c), 0);
	KT_EQ(c.value, 200 * min(2 * nr_cpus, 64u));
	KT_EXPECT(!mutex_is_locked(&c.mutex));
}

static int rwsem_user(void *arg)
{
	struct counted *c = arg;

	for (int i = 0; i < 150; i++) {
		if (i % 5 == 0) {
			down_write(&c->rwsem);
			c->value++;
			if (i % 2)
				sched_yield();
			c->other++;
			if (i % 3 == 0)
				downgrade_write(&c->rwsem);
			if (c->value != c->other)
				c->wrong++;
			if (i % 3 == 0)
				up_read(&c->rwsem);
			else
				up_write(&c->rwsem);
		} else {
			down_read(&c->rwsem);
			if (READ_ONCE(c->value) != READ_ONCE(c->other))
				__atomic_fetch_add(&c->wrong, 1, __ATOMIC_RELAXED);
			up_read(&c->rwsem);
		}
	}
	return 0;
}

KTEST(locks, rwsem_readers_see_no_half_writes)
{
	struct counted c = { .value = 0 };

	rwsem_init(&c.rwsem, RANK_KERNEL_MUTEX);
	KT_EQ(kt_threads(2 * nr_cpus, rwsem_user, &c), 0);
	KT_EQ(c.wrong, 0);
	KT_EQ(c.value, 30 * min(2 * nr_cpus, 64u));
	KT_EXPECT(!rwsem_is_locked(&c.rwsem));
}

KTEST(locks, completion_times_out)
{
	struct completion c;

	completion_init(&c);
	KT_EQ(wait_for_completion_timeout(&c, clock_ns() + NSEC_PER_MSEC), -ETIMEDOUT);
	complete(&c);
	KT_EQ(wait_for_completion_timeout(&c, clock_ns() + NSEC_PER_MSEC), 0);
}

/* ---- RCU ---- */

struct shared {
	struct rcu_head rcu;
	u32 alive;
};
static struct shared *published;
static u32 rcu_bad, rcu_stop, rcu_freed, rcu_begun;

static void shared_free(struct rcu_head *head)
{
	struct shared *s = container_of(head, struct shared, rcu);

	WRITE_ONCE(s->alive, 0);
	__atomic_fetch_add(&rcu_freed, 1, __ATOMIC_RELAXED);
	kfree(s);
}

static int rcu_reader(void *arg)
{
	__atomic_fetch_add(&rcu_begun, 1, __ATOMIC_RELAXED);
	while (!READ_ONCE(rcu_stop)) {
		struct shared *s;

		rcu_read_lock();
		s = rcu_dereference(published);
		for (int i = 0; s && i < 50; i++) {
			if (READ_ONCE(s->alive) != 0x600d600d)
				__atomic_fetch_add(&rcu_bad, 1, __ATOMIC_RELAXED);
			cpu_relax();
		}
		rcu_read_unlock();
		cond_resched();
	}
	return 0;
}

KTEST(rcu, readers_keep_their_object)
{
	struct task *readers[8];
	unsigned n = min(nr_cpus, 8u);
	u32 published_count = 0;

	rcu_bad = rcu_stop = rcu_freed = rcu_begun = 0;
	for (unsigned i = 0; i < n; i++) {
		readers[i] = kthread_run_on(i, rcu_reader, NULL, "reader");
		while (!IS_ERR(readers[i]) && READ_ONCE(rcu_begun) <= i)
			sleep_ns(100 * NSEC_PER_USEC);
	}
	for (int i = 0; i < 40; i++) {
		struct shared *s = kmalloc(sizeof(*s), GFP_KERNEL), *old = published;

		KT_EXPECT(s);
		if (!s)
			break;
		s->alive = 0x600d600d;
		rcu_assign_pointer(published, s);
		published_count++;
		if (old)
			call_rcu(&old->rcu, shared_free);
		if (i % 8 == 0)
			synchronize_rcu();
	}
	WRITE_ONCE(rcu_stop, 1);
	for (unsigned i = 0; i < n; i++)
		if (!IS_ERR(readers[i]))
			kthread_stop(readers[i]);
	if (published)
		call_rcu(&published->rcu, shared_free);
	published = NULL;
	rcu_barrier();
	KT_EQ(rcu_bad, 0);
	KT_EQ(rcu_freed, published_count);
}

KTEST(watchdog, notices_a_kernel_loop_without_yield)
{
	u64 before = watchdog_reports();
	unsigned old = watchdog_set_thresh(1);
	unsigned missing = kt_threads(1, never_yields, NULL);

	watchdog_set_thresh(old);
	KT_EQ(missing, 0);
	KT_EXPECT(watchdog_reports() > before);
}
