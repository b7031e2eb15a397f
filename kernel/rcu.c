/*
 * RCU for a kernel that is not preemptible: a CPU has no reader when it switches tasks, idles, or is in user mode.
 *
 * Grace periods are driven by one kernel thread. A callback waits in its CPU's `next` list until a grace period starts,
 * which moves it to `wait`; when every CPU was seen outside of readers since then, `wait` is run.
 *
 * A grace period has a number. A CPU reports by storing the number into its `seen` at a context switch; the thread
 * reads it. An idle CPU is seen by its `idle` word. Ordering: the updater unlinks, then call_rcu (lock); the thread
 * raises the number, full fence, then looks.
 *	reader side: idle_exit stores idle = 0, full fence, then reads. Thread: full fence, loads idle. If it saw 1, the
 *	reader comes later and sees the unlinking.
 *	a reader that began before the number was raised ends before its CPU's next context switch, which stores `seen`
 *	with release; the thread loads it with acquire: everything that reader did is over when the callback runs.
 *
 * Locks: l rcu_cpu.lock (RANK_RCU, interrupts off)
 */
#include "kernel/rcu.h"

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lib/err.h"

struct rcu_cpu {
	spinlock_t lock;
	struct rcu_head *next, **next_tail;	/* l. not yet assigned to a grace period */
	u32 idle;				/* this CPU writes. 1: no reader here */
	u64 seen;				/* this CPU writes. last grace period it passed */
	u64 queued;				/* l. callbacks ever queued here */
#ifdef CONFIG_DEBUG
	unsigned nesting;			/* this CPU */
#endif
} __aligned(128);

static DEFINE_PER_CPU(struct rcu_cpu, rcu_cpus);
DEFINE_PER_CPU(bool, rcu_from_user);
static u64 gp_number;				/* atomic. grace period under way or last ended */
static u64 gp_completed;			/* the thread writes */
static struct wait_queue gp_wake = WAIT_QUEUE_INIT(gp_wake);	/* the thread waits for work here */
static struct wait_queue gp_done = WAIT_QUEUE_INIT(gp_done);
static u32 work_waiting;			/* atomic. callbacks or synchronize_rcu callers since the last start */

#ifdef CONFIG_DEBUG
void rcu_read_lock(void)
{
	this_cpu_ptr(&rcu_cpus)->nesting++;
	barrier();
}

void rcu_read_unlock(void)
{
	barrier();
	ASSERT(this_cpu_ptr(&rcu_cpus)->nesting-- > 0, "rcu_read_unlock without rcu_read_lock");
}
#endif

void rcu_note_context_switch(void)
{
	struct rcu_cpu *r = this_cpu_ptr(&rcu_cpus);
	u64 gp = __atomic_load_n(&gp_number, __ATOMIC_ACQUIRE);

#ifdef CONFIG_DEBUG
	ASSERT(!r->nesting, "going to sleep inside rcu_read_lock");
#endif
	if (r->seen != gp)
		__atomic_store_n(&r->seen, gp, __ATOMIC_RELEASE);
}

void rcu_idle_enter(void)
{
	__atomic_store_n(&this_cpu_ptr(&rcu_cpus)->idle, 1, __ATOMIC_RELEASE);
}

void rcu_idle_exit(void)
{
	__atomic_store_n(&this_cpu_ptr(&rcu_cpus)->idle, 0, __ATOMIC_RELAXED);
	smp_mb();
}

void rcu_irq_enter(void)
{
	rcu_idle_exit();
}

void rcu_irq_exit(void)
{
	rcu_idle_enter();
}

static void wake_thread(void)
{
	if (!__atomic_load_n(&work_waiting, __ATOMIC_RELAXED) &&
	    !__atomic_exchange_n(&work_waiting, 1, __ATOMIC_SEQ_CST))
		wake_up(&gp_wake);
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *))
{
	unsigned long flags = irq_save();
	struct rcu_cpu *r = this_cpu_ptr(&rcu_cpus);

	head->func = func;
	head->next = NULL;
	spin_lock(&r->lock);
	*r->next_tail = head;
	r->next_tail = &head->next;
	r->queued++;
	spin_unlock(&r->lock);
	irq_restore(flags);
	wake_thread();
}

void synchronize_rcu(void)
{
	/* A grace period that is under way may have started before our unlinking: the one after it counts. */
	u64 want;

	/*
	 * The unlinking before the number. A read-modify-write, as is rcu_thread's: it comes before the next one in the
	 * number's history, so whoever learns of that grace period finds the object unlinked, even where a store does
	 * not reach all CPUs at once.
	 */
	want = (u64)__atomic_fetch_add(&gp_number, 0, __ATOMIC_SEQ_CST) + 1;
	while (__atomic_load_n(&gp_completed, __ATOMIC_ACQUIRE) < want) {
		wake_thread();
		wait_event_timeout(&gp_done, __atomic_load_n(&gp_completed, __ATOMIC_ACQUIRE) >= want,
				   clock_ns() + 100 * NSEC_PER_MSEC);
	}
}

struct barrier {
	struct rcu_head head;
	struct completion *done;
	u32 *left;
};

static void barrier_fn(struct rcu_head *head)
{
	struct barrier *b = container_of(head, struct barrier, head);

	if (!__atomic_sub_fetch(b->left, 1, __ATOMIC_SEQ_CST))
		complete(b->done);
}

/* One callback behind all that are queued on each CPU. They all belong to the same grace period or an earlier one. */
void rcu_barrier(void)
{
	static struct barrier barriers[NR_CPUS];	/* barrier_mutex */
	static struct mutex barrier_mutex = MUTEX_INIT(barrier_mutex, RANK_KERNEL_MUTEX);
	struct completion done = COMPLETION_INIT(done);
	u32 left;
	unsigned cpu;

	mutex_lock(&barrier_mutex);
	left = cpumask_weight(&cpu_online_mask) + 1;	/* the 1 is ours until all are queued */
	for_each_online_cpu(cpu) {
		struct rcu_cpu *r = per_cpu_ptr(&rcu_cpus, cpu);
		struct barrier *b = &barriers[cpu];
		unsigned long flags;

		b->done = &done;
		b->left = &left;
		b->head.func = barrier_fn;
		b->head.next = NULL;
		flags = spin_lock_irqsave(&r->lock);
		*r->next_tail = &b->head;
		r->next_tail = &b->head.next;
		r->queued++;
		spin_unlock_irqrestore(&r->lock, flags);
	}
	if (__atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST)) {
		wake_thread();
		wait_for_completion(&done);
	}
	mutex_unlock(&barrier_mutex);
}

/* In an interrupt on a CPU that has not reported: in user mode or idle it is not a reader; else have it switch soon. */
static void force_report(void *arg)
{
	struct rcu_cpu *r = this_cpu_ptr(&rcu_cpus);

	if (*this_cpu_ptr(&rcu_from_user))
		__atomic_store_n(&r->seen, __atomic_load_n(&gp_number, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	else
		set_work(current, WORK_RESCHED);
}

static bool passed(unsigned cpu, u64 gp)
{
	struct rcu_cpu *r = per_cpu_ptr(&rcu_cpus, cpu);

	return __atomic_load_n(&r->seen, __ATOMIC_ACQUIRE) >= gp || __atomic_load_n(&r->idle, __ATOMIC_ACQUIRE);
}

static void wait_for_cpus(u64 gp)
{
	struct cpumask left;
	u64 delay = NSEC_PER_MSEC;
	unsigned cpu;

	cpumask_copy(&left, &cpu_online_mask);
	for (unsigned round = 0;; round++) {
		for_each_cpu(cpu, &left)
			if (passed(cpu, gp))
				__cpumask_clear(&left, cpu);
		if (cpumask_empty(&left))
			return;
		if (round >= 2)
			call_on_cpus(&left, force_report, NULL, true);
		sleep_ns(delay);
	}
}

static void run_callbacks(struct rcu_head *list)
{
	while (list) {
		struct rcu_head *next = list->next;

		list->func(list);
		list = next;
		cond_resched();
	}
}

static int rcu_thread(void *unused)
{
	static struct rcu_head *wait[NR_CPUS];
	unsigned cpu;

	for (;;) {
		wait_event(&gp_wake, __atomic_load_n(&work_waiting, __ATOMIC_RELAXED));
		/* Let a few more gather: one grace period serves them all. */
		sleep_ns(NSEC_PER_MSEC);
		__atomic_store_n(&work_waiting, 0, __ATOMIC_SEQ_CST);
		for_each_online_cpu(cpu) {
			struct rcu_cpu *r = per_cpu_ptr(&rcu_cpus, cpu);
			unsigned long flags = spin_lock_irqsave(&r->lock);

			wait[cpu] = r->next;
			r->next = NULL;
			r->next_tail = &r->next;
			spin_unlock_irqrestore(&r->lock, flags);
		}
		__atomic_fetch_add(&gp_number, 1, __ATOMIC_SEQ_CST);
		smp_mb();
		rcu_note_context_switch();
		wait_for_cpus(gp_number);
		__atomic_store_n(&gp_completed, gp_number, __ATOMIC_SEQ_CST);
		wake_up_all(&gp_done);
		for_each_online_cpu(cpu) {
			run_callbacks(wait[cpu]);
			wait[cpu] = NULL;
		}
	}
	return 0;
}

u64 rcu_grace_periods(void)
{
	return __atomic_load_n(&gp_completed, __ATOMIC_RELAXED);
}

void rcu_init_cpu(unsigned cpu)
{
	struct rcu_cpu *r = per_cpu_ptr(&rcu_cpus, cpu);

	spin_lock_init(&r->lock, RANK_RCU);
	r->next_tail = &r->next;
}

void rcu_init(void)
{
	rcu_init_cpu(0);
}

void rcu_start(void)
{
	struct task *t = kthread_run(rcu_thread, NULL, "rcu");

	if (IS_ERR(t))
		panic("boot: no RCU thread");
}
