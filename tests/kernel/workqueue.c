/*
 * Workqueues: what runs where and how often, waiting, cancelling, limits, self-requeueing, rescue without memory for
 * workers.
 */
#include "kernel/workqueue.h"

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lib/err.h"
#include "tests/kernel/ktest.h"

static u32 runs, inside, most_inside, bad;

static void reset(void)
{
	runs = inside = most_inside = bad = 0;
}

static void enter(void)
{
	u32 now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST), most = READ_ONCE(most_inside);

	while (now > most &&
	       !__atomic_compare_exchange_n(&most_inside, &most, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

static void leave(void)
{
	__atomic_fetch_sub(&inside, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&runs, 1, __ATOMIC_SEQ_CST);
}

static void quick(struct work *w)
{
	enter();
	leave();
}

static void slow(struct work *w)
{
	enter();
	sleep_ns(NSEC_PER_MSEC);
	leave();
}

static bool wait_for_runs(u32 n)
{
	u64 end = SOON;

	while (__atomic_load_n(&runs, __ATOMIC_ACQUIRE) < n && clock_ns() < end)
		sleep_ns(100 * NSEC_PER_USEC);
	return __atomic_load_n(&runs, __ATOMIC_ACQUIRE) >= n;
}

/* ---- running */

/* Static: if it never runs it must not lie on a stack. */
KTEST(workqueue, runs)
{
	static struct work w;

	reset();
	work_init(&w, quick);
	for (u32 i = 1; i <= 20; i++) {
		KT_EXPECT(queue_work(system_wq, &w));
		KT_ASSERT(wait_for_runs(i));
		flush_work(&w);
	}
	KT_EXPECT(queue_work(system_unbound_wq, &w));
	KT_ASSERT(wait_for_runs(21));
	flush_work(&w);
	KT_EXPECT(queue_work(system_highpri_wq, &w));
	KT_ASSERT(wait_for_runs(22));
	flush_work(&w);
	KT_EQ(runs, 22);
}

struct placed_work {
	struct work work;
	unsigned cpu;
	int nice;
};

static void where(struct work *w)
{
	struct placed_work *p = container_of(w, struct placed_work, work);

	if ((p->cpu != NR_CPUS && cpu_id() != p->cpu) || current->nice != p->nice)
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	quick(w);
}

KTEST(workqueue, bound_work_runs_on_its_cpu)
{
	static struct placed_work p[NR_CPUS];

	reset();
	for (int pri = 0; pri < 2; pri++) {
		struct workqueue *wq = workqueue_create("kt-bound", pri ? WQ_HIGHPRI : 0, 0);

		KT_ASSERT(wq);
		for (unsigned i = 0; i < nr_cpus; i++) {
			work_init(&p[i].work, where);
			p[i].cpu = i;
			p[i].nice = pri ? -20 : 0;
			KT_EXPECT(queue_work_on(i, wq, &p[i].work));
		}
		workqueue_destroy(wq);
		KT_EQ(runs, nr_cpus * (pri + 1u));
	}
	KT_EQ(bad, 0);
}

KTEST(workqueue, unbound_work_runs)
{
	struct workqueue *wq = workqueue_create("kt-unbound", WQ_UNBOUND | WQ_HIGHPRI, 0);
	struct placed_work p[8];

	reset();
	KT_ASSERT(wq);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
		work_init(&p[i].work, where);
		p[i].cpu = NR_CPUS;
		p[i].nice = -20;
		KT_EXPECT(i & 1 ? queue_work(wq, &p[i].work) : queue_work_node(0, wq, &p[i].work));
	}
	workqueue_destroy(wq);
	KT_EQ(runs, ARRAY_SIZE(p));
	KT_EQ(bad, 0);
}

static struct {
	struct work work[40];
	u32 order[40];
	u32 n;
} fifo;

static void note_order(struct work *w)
{
	fifo.order[fifo.n++] = (u32)(w - fifo.work);
}

KTEST(workqueue, one_at_a_time_keeps_the_order)
{
	struct workqueue *wq = workqueue_create("kt-fifo", WQ_UNBOUND, 1);

	KT_ASSERT(wq);
	fifo.n = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(fifo.work); i++) {
		work_init(&fifo.work[i], note_order);
		KT_EXPECT(queue_work(wq, &fifo.work[i]));
	}
	workqueue_destroy(wq);
	KT_EQ(fifo.n, ARRAY_SIZE(fifo.work));
	for (u32 i = 0; i < fifo.n; i++)
		KT_EQ(fifo.order[i], i);
}

/* ---- waiting */

KTEST(workqueue, flush_waits_for_all)
{
	const unsigned kinds[] = { 0, WQ_UNBOUND, WQ_HIGHPRI, WQ_MEM_RECLAIM };

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct workqueue *wq = workqueue_create("kt-flush", kinds[k], k & 1 ? 2 : 0);
		struct work w[12];

		KT_ASSERT(wq);
		reset();
		for (u32 round = 1; round <= 3; round++) {
			for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
				if (round == 1)
					work_init(&w[i], i % 3 ? quick : slow);
				KT_EXPECT(queue_work_on(i % nr_cpus, wq, &w[i]));
			}
			flush_workqueue(wq);
			KT_EQ(runs, round * ARRAY_SIZE(w));
			KT_EQ(inside, 0);
		}
		flush_workqueue(wq);
		workqueue_destroy(wq);
	}
}

KTEST(workqueue, destroy_flushes)
{
	for (int round = 0; round < 10; round++) {
		struct workqueue *wq = workqueue_create("kt-destroy", round & 1 ? WQ_UNBOUND : 0, 1);
		struct work w[5];

		KT_ASSERT(wq);
		reset();
		for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
			work_init(&w[i], i ? quick : slow);
			KT_EXPECT(queue_work(wq, &w[i]));
		}
		workqueue_destroy(wq);
		KT_EQ(runs, ARRAY_SIZE(w));
	}
}

static int flusher(void *arg)
{
	for (int i = 0; i < 10; i++) {
		struct work w;

		work_init(&w, i % 4 ? quick : slow);
		queue_work(arg, &w);
		flush_workqueue(arg);
		if (w.pending || flush_work(&w))	/* it has run, so there is nothing to wait for */
			__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

KTEST(workqueue, several_flush_at_once)
{
	struct workqueue *wq = workqueue_create("kt-flushers", 0, 2);
	unsigned n = min(2 * nr_cpus, 16u);

	KT_ASSERT(wq);
	reset();
	KT_EQ(kt_threads(n, flusher, wq), 0);
	KT_EQ(runs, 10 * n);
	KT_EQ(bad, 0);
	workqueue_destroy(wq);
}

static struct task *waiter;

/* Ends when somebody waits for it. */
static void until_waited_for(struct work *w)
{
	u64 end = SOON;

	enter();
	while (READ_ONCE(waiter->state) == TASK_RUNNING && clock_ns() < end)
		sleep_ns(100 * NSEC_PER_USEC);
	leave();
}

KTEST(workqueue, flush_work_waits_for_one)
{
	struct workqueue *wq = workqueue_create("kt-flush1", 0, 0);
	struct work w;

	KT_ASSERT(wq);
	reset();
	waiter = current;
	work_init(&w, until_waited_for);
	KT_EXPECT(!flush_work(&w));	/* never queued */
	for (u32 i = 1; i <= 10; i++) {
		KT_EXPECT(queue_work_on(i % nr_cpus, wq, &w));
		KT_EXPECT(flush_work(&w));
		KT_EQ(runs, i);
		KT_EQ(inside, 0);
	}
	KT_EXPECT(!flush_work(&w));
	workqueue_destroy(wq);
}

/* ---- one item, several times */

static struct gate {
	struct work work;
	struct completion begun, go;
} gate;

static void pass_gate(struct work *w)
{
	struct gate *g = container_of(w, struct gate, work);

	enter();
	complete(&g->begun);
	if (wait_for_completion_timeout(&g->go, SOON))
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	leave();
}

static void gate_init(struct gate *g)
{
	work_init(&g->work, pass_gate);
	completion_init(&g->begun);
	completion_init(&g->go);
}

KTEST(workqueue, cancel)
{
	struct workqueue *wq = workqueue_create("kt-cancel", 0, 1);
	struct work later;

	KT_ASSERT(wq);
	reset();
	gate_init(&gate);
	work_init(&later, quick);
	KT_EXPECT(!cancel_work_sync(&later));
	KT_EXPECT(queue_work_on(0, wq, &gate.work));
	KT_EQ(wait_for_completion_timeout(&gate.begun, SOON), 0);
	/* One waits behind it, beyond max_active. */
	KT_EXPECT(queue_work_on(0, wq, &later));
	KT_EXPECT(!queue_work_on(0, wq, &later));
	KT_EXPECT(cancel_work_sync(&later));
	KT_EXPECT(!cancel_work_sync(&later));
	/*
	 * Queued again while it runs: the second instance is cancelled, or has begun meanwhile and may pass the gate
	 * too; what runs is waited for.
	 */
	KT_EXPECT(queue_work_on(0, wq, &gate.work));
	complete(&gate.go);
	complete(&gate.go);
	KT_EXPECT(cancel_work_sync(&gate.work) || runs == 2);
	KT_EQ(inside, 0);
	workqueue_destroy(wq);
	KT_EXPECT(runs == 1 || runs == 2);
	KT_EQ(bad, 0);
}

static struct {
	struct gate gate;
	struct work behind;
	struct completion flushed;
	u32 begun;	/* atomic */
} moving;

static int flushes_gate(void *unused)
{
	__atomic_store_n(&moving.begun, 1, __ATOMIC_RELEASE);
	KT_EXPECT(flush_work(&moving.gate.work));
	complete(&moving.flushed);
	return 0;
}

/*
 * It ends on one CPU, and before its flusher, who has been woken, gets to look, it is queued to another CPU's pool: the
 * flusher must wait there. It is on this CPU too, and gets it only when we sleep.
 */
static int move_while_flushed(void *unused)
{
	struct workqueue *wq = workqueue_create("kt-moving", 0, 1);
	struct task *t;
	struct pool *pool;
	u64 end = SOON;

	KT_EXPECT(wq);
	if (!wq)
		return 0;
	reset();
	gate_init(&moving.gate);
	work_init(&moving.behind, quick);
	completion_init(&moving.flushed);
	moving.begun = 0;
	KT_EXPECT(queue_work_on(0, wq, &moving.gate.work));
	KT_EQ(wait_for_completion_timeout(&moving.gate.begun, SOON), 0);
	pool = moving.gate.work.pool;
	/* It begins when the other has ended, and its flusher has been woken. */
	KT_EXPECT(queue_work_on(0, wq, &moving.behind));
	t = kthread_run_on(1, flushes_gate, NULL, "flusher");
	KT_EXPECT(!IS_ERR(t));
	if (IS_ERR(t))
		return 0;
	while (!__atomic_load_n(&moving.begun, __ATOMIC_ACQUIRE) && clock_ns() < end)
		sched_yield();
	sleep_ns(NSEC_PER_MSEC);
	complete(&moving.gate.go);
	while (__atomic_load_n(&runs, __ATOMIC_ACQUIRE) < 2 && clock_ns() < end)
		cpu_relax();
	KT_EQ(runs, 2);
	KT_EXPECT(queue_work_on(1, wq, &moving.gate.work));
	KT_EXPECT(moving.gate.work.pool != pool);
	KT_EQ(wait_for_completion_timeout(&moving.gate.begun, SOON), 0);
	sleep_ns(NSEC_PER_MSEC);	/* the flusher has looked now, and sleeps again */
	complete(&moving.gate.go);
	KT_EQ(wait_for_completion_timeout(&moving.flushed, SOON), 0);
	/* If it waits for the wrong one, that wakes it. */
	KT_EXPECT(queue_work_on(0, wq, &moving.behind));
	kthread_stop(t);
	workqueue_destroy(wq);
	KT_EQ(bad, 0);
	return 0;
}

KTEST(workqueue, moves_while_it_is_flushed)
{
	struct task *t;

	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	for (int round = 0; round < 3; round++) {
		t = kthread_run_on(1, move_while_flushed, NULL, "moves");
		KT_ASSERT(!IS_ERR(t));
		kthread_stop(t);
	}
}

static void again(struct work *w)
{
	enter();
	leave();
	if (runs < 50 && !queue_work(system_wq, w))
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
}

KTEST(workqueue, requeues_itself)
{
	static struct work w;

	reset();
	work_init(&w, again);
	KT_EXPECT(queue_work(system_wq, &w));
	KT_EXPECT(wait_for_runs(50));
	flush_work(&w);
	KT_EQ(runs, 50);
	KT_EQ(most_inside, 1);
	KT_EQ(bad, 0);
}

static struct {
	struct workqueue *wq;
	struct work work;
	u32 queued;
} contended;

static int queue_often(void *arg)
{
	for (unsigned i = 0; i < 150; i++) {
		if (queue_work_on((cpu_id() + i) % nr_cpus, contended.wq, &contended.work))
			__atomic_fetch_add(&contended.queued, 1, __ATOMIC_RELAXED);
		if (i % 8 == 0)
			sched_yield();
	}
	return 0;
}

static void must_be_alone(struct work *w)
{
	enter();
	if (READ_ONCE(inside) != 1)
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	sched_yield();
	leave();
}

/*
 * Queued from all CPUs to all CPUs all the time: every successful queueing is one run, and it never runs twice at once.
 */
KTEST(workqueue, never_twice_at_once)
{
	for (int kind = 0; kind < 2; kind++) {
		reset();
		contended.queued = 0;
		contended.wq = workqueue_create("kt-contended", kind ? WQ_UNBOUND : 0, 0);
		KT_ASSERT(contended.wq);
		work_init(&contended.work, must_be_alone);
		KT_EQ(kt_threads(min(nr_cpus, 16u), queue_often, NULL), 0);
		workqueue_destroy(contended.wq);
		KT_EQ(bad, 0);
		KT_EQ(runs, contended.queued);
		KT_EQ(most_inside, 1);
	}
}

/* ---- many */

static int producer(void *arg)
{
	struct work w[20];
	u32 queued = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		work_init(&w[i], quick);
	for (unsigned round = 0; round < 15; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
			queued += queue_work(arg, &w[i]);
		cond_resched();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		flush_work(&w[i]);
	return (int)queued;
}

static u32 total_queued;

static int counted_producer(void *arg)
{
	__atomic_fetch_add(&total_queued, (u32)producer(arg), __ATOMIC_SEQ_CST);
	return 0;
}

KTEST(workqueue, many_producers)
{
	for (int kind = 0; kind < 3; kind++) {
		struct workqueue *wq = workqueue_create("kt-many", kind == 1 ? WQ_UNBOUND : 0, kind == 2 ? 3 : 0);

		KT_ASSERT(wq);
		reset();
		total_queued = 0;
		KT_EQ(kt_threads(min(2 * nr_cpus, 32u), counted_producer, wq), 0);
		KT_EQ(runs, total_queued);
		KT_EXPECT(kind != 2 || most_inside <= 3 * nr_cpus);
		workqueue_destroy(wq);
	}
}

static u32 limit;

/* Nobody leaves before `limit` of them have been inside at once. */
static void crowded(struct work *w)
{
	u64 end = SOON;

	enter();
	while (READ_ONCE(most_inside) < limit && clock_ns() < end)
		sleep_ns(100 * NSEC_PER_USEC);
	sleep_ns(NSEC_PER_MSEC);
	leave();
}

KTEST(workqueue, max_active)
{
	for (limit = 1; limit <= 4; limit++) {
		struct workqueue *wq = workqueue_create("kt-limit", WQ_UNBOUND, limit);
		struct work w[16];

		KT_ASSERT(wq);
		reset();
		for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
			work_init(&w[i], crowded);
			KT_EXPECT(queue_work_node(0, wq, &w[i]));
		}
		workqueue_destroy(wq);
		KT_EQ(runs, ARRAY_SIZE(w));
		KT_EQ(most_inside, limit);
	}
}

static void queue_from_interrupt(void *arg)
{
	if (!irqs_off() || !queue_work(system_wq, arg))
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
}

KTEST(workqueue, from_interrupts)
{
	static struct work w[NR_CPUS];

	reset();
	for (unsigned i = 0; i < nr_cpus; i++)
		work_init(&w[i], quick);
	for (unsigned i = 0; i < nr_cpus; i++)
		call_on_cpu(i, queue_from_interrupt, &w[i], true);
	KT_EXPECT(wait_for_runs(nr_cpus));
	for (unsigned i = 0; i < nr_cpus; i++)
		flush_work(&w[i]);
	KT_EQ(bad, 0);
}

/* ---- works that wait for works */

static struct gate first;

static void open_gate(struct work *w)
{
	enter();
	complete(&first.go);
	leave();
}

/* The first sleeps until the second, queued later for the same CPU, has run: so a worker must be there for it. */
static void later_unblocks_earlier(unsigned flags)
{
	struct workqueue *wq = workqueue_create("kt-later", flags, 0);
	static struct work second;

	KT_ASSERT(wq);
	reset();
	gate_init(&first);
	work_init(&second, open_gate);
	KT_EXPECT(queue_work_on(0, wq, &first.work));
	KT_EQ(wait_for_completion_timeout(&first.begun, SOON), 0);
	KT_EXPECT(queue_work_on(0, wq, &second));
	KT_EXPECT(wait_for_runs(2));
	complete(&first.go);
	workqueue_destroy(wq);
	KT_EQ(bad, 0);
}

KTEST(workqueue, later_work_unblocks_earlier)
{
	later_unblocks_earlier(0);
	later_unblocks_earlier(WQ_UNBOUND);
	later_unblocks_earlier(WQ_MEM_RECLAIM);
}

/* No worker can be created, and the only one sleeps: the rescuer runs what is queued. */
KTEST(workqueue, rescuer_makes_progress)
{
	workqueue_fail_creation(true);
	later_unblocks_earlier(WQ_MEM_RECLAIM);
	later_unblocks_earlier(WQ_MEM_RECLAIM | WQ_UNBOUND);
	workqueue_fail_creation(false);
}

/* The same, but what occupies the worker belongs to another queue. */
KTEST(workqueue, rescuer_of_another_queue)
{
	struct workqueue *plain = workqueue_create("kt-plain", 0, 0),
			 *safe = workqueue_create("kt-safe", WQ_MEM_RECLAIM, 0);
	static struct work w[10];

	KT_ASSERT(plain && safe);
	reset();
	gate_init(&first);
	workqueue_fail_creation(true);
	KT_EXPECT(queue_work_on(0, plain, &first.work));
	KT_EQ(wait_for_completion_timeout(&first.begun, SOON), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++) {
		work_init(&w[i], quick);
		KT_EXPECT(queue_work_on(0, safe, &w[i]));
	}
	KT_EXPECT(wait_for_runs(ARRAY_SIZE(w)));
	workqueue_fail_creation(false);
	complete(&first.go);
	workqueue_destroy(plain);
	workqueue_destroy(safe);
	KT_EQ(runs, ARRAY_SIZE(w) + 1);
	KT_EQ(bad, 0);
}
