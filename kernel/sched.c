/*
 * The scheduler: a fair queue per CPU.
 *
 * Each runnable task has a virtual run time, its run time weighted by its nice value; the task with the least runs.
 * min_vruntime of a queue only grows; a task that wakes up is placed at most a bonus behind it, one that changes its
 * CPU is moved to the same distance from the other queue's. The running task is not in the tree.
 *
 * Locks:  r rq->lock (interrupts off). w task->wake_lock, taken before r: serialises wake-ups of one task.
 * task->on_rq: runnable, in a tree or running. task->on_cpu: its registers and stack are in use; the next task clears
 * it (release) when the switch is over, and a waker on another CPU waits for that (acquire) before it may enqueue the
 * task elsewhere.
 *
 * Sleeping: state is set with a full fence, then the condition is tested, then schedule(). Waking: the condition is
 * made true, full fence, then the state is read. schedule() reads the state under r; a waker that finds on_rq set
 * changes the state under r: so either schedule() sees RUNNING and stays, or the waker sees on_rq == 0 and enqueues.
 */
#include "kernel/sched.h"

#include <arch/thread.h>

#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/lockcheck.h"
#include "kernel/printk.h"
#include "kernel/race.h"
#include "kernel/rcu.h"
#include "kernel/sched_internal.h"
#include "kernel/signal.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "kernel/watchdog.h"
#include "lib/errno.h"
#include "mm/mm.h"
#include "mm/vmstat.h"

#define SLICE		(3 * NSEC_PER_MSEC)	/* how long a task runs while others wait */
#define WAKE_BONUS	(3 * NSEC_PER_MSEC)	/* a sleeper may be that far behind */
#define WAKE_GRANULARITY NSEC_PER_MSEC		/* and must be that far behind to interrupt */
#define NICE_0_WEIGHT	1024u

struct rq {
	spinlock_t lock;
	struct rb_root_cached tree;	/* r. runnable, not running, by vruntime */
	u64 min_vruntime;		/* r; others read it when they move a task */
	u32 nr_running;			/* r. tree plus the running one, idle task apart; others read it as a hint */
	struct task *curr;		/* r; others read it as a hint */
	struct task *idle;		/* fixed */
	u64 nr_switches;		/* r */
	struct timer slice;		/* this CPU */
} __aligned(128);

static DEFINE_PER_CPU(struct rq, rqs);
static u32 weights[40];			/* of nice -20..19; fixed at boot */
static u32 nr_overloaded;		/* atomic. queues with more than one task: idle CPUs look for work only then */
static struct cpumask idle_cpus;	/* atomic. hint for wake-up placement */

static inline struct rq *cpu_rq(unsigned cpu)
{
	return per_cpu_ptr(&rqs, cpu);
}

static inline bool before(u64 a, u64 b)
{
	return (s64)(a - b) < 0;
}

/* ---- the tree; r ---- */

static void tree_insert(struct rq *rq, struct task *t)
{
	struct rb_node **link = &rq->tree.root.node, *parent = NULL;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (before(t->vruntime, rb_entry(parent, struct task, rq_node)->vruntime)) {
			link = &parent->left;
		} else {
			link = &parent->right;
			leftmost = false;
		}
	}
	rb_insert_cached(&t->rq_node, parent, link, &rq->tree, leftmost);
}

static inline struct task *tree_first(struct rq *rq)
{
	struct rb_node *n = rb_first_cached(&rq->tree);

	return n ? rb_entry(n, struct task, rq_node) : NULL;
}

static void update_min(struct rq *rq)
{
	struct task *first = tree_first(rq);
	u64 v = rq->min_vruntime;

	if (rq->curr != rq->idle && rq->curr->on_rq) {
		v = rq->curr->vruntime;
		if (first && before(first->vruntime, v))
			v = first->vruntime;
	} else if (first) {
		v = first->vruntime;
	}
	if (before(rq->min_vruntime, v))
		WRITE_ONCE(rq->min_vruntime, v);
}

/* Charge the running task for the time since it was last charged. */
static void charge(struct rq *rq, struct task *t, u64 now)
{
	u64 ns = now - t->exec_start;

	t->exec_start = now;
	t->runtime += ns;
	t->vruntime += t->weight == NICE_0_WEIGHT ? ns : ns * NICE_0_WEIGHT / t->weight;
	update_min(rq);
}

static inline void count_running(struct rq *rq, int d)
{
	u32 old = rq->nr_running;

	WRITE_ONCE(rq->nr_running, old + (u32)d);
	if (d > 0 && old == 1)
		__atomic_fetch_add(&nr_overloaded, 1, __ATOMIC_RELAXED);
	else if (d < 0 && old == 2)
		__atomic_fetch_sub(&nr_overloaded, 1, __ATOMIC_RELAXED);
}

static inline bool task_allowed(const struct task *t, unsigned cpu)
{
	return cpumask_test(&t->affinity, cpu);
}

/* ---- preemption ---- */

static void resched(struct rq *rq, unsigned cpu)
{
	struct task *curr = rq->curr;

	if (curr->work & WORK_RESCHED)
		return;
	set_work(curr, WORK_RESCHED);
	if (cpu != cpu_id())
		ipi_kick(cpu);
}

/*
 * A busy CPU looks up once a slice: to change tasks, and, among several CPUs, to let the others run, since an emulator
 * with a single thread would not do so for 100 ms while a program here spins. An idle CPU, and a task alone on the only
 * CPU, take no tick.
 */
static inline bool wants_tick(const struct rq *rq)
{
	return rq->nr_running > (nr_cpus == 1 ? 1 : 0);
}

static void slice_expired(struct timer *timer)
{
	struct rq *rq = this_cpu_ptr(&rqs);

	spin_lock(&rq->lock);
	if (wants_tick(rq)) {
		u64 now = clock_ns();

		if (rq->nr_running > 1 && (s64)(now - rq->curr->slice_end) >= 0)
			set_work(rq->curr, WORK_RESCHED);
		timer_start(&rq->slice, now + SLICE);
	}
	spin_unlock(&rq->lock);
	cpu_yield();
}

/* A task became runnable on this queue: does it run at once, and does the running one need an end to its slice? r */
static void check_preempt(struct rq *rq, struct task *t, unsigned cpu)
{
	struct task *curr = rq->curr;

	if (curr == rq->idle) {
		resched(rq, cpu);
		return;
	}
	if (before(t->vruntime + WAKE_GRANULARITY, curr->vruntime)) {
		resched(rq, cpu);
		return;
	}
	if (rq->nr_running == 2) {
		if (cpu == cpu_id()) {
			if (!timer_pending(&rq->slice))
				timer_start(&rq->slice, clock_ns() + SLICE);
		} else {
			ipi_kick(cpu);	/* it arms its own timer */
		}
	}
}

/** An IPI asked this CPU to look: interrupts off, from ipi_handler. */
void sched_ipi(void)
{
	struct rq *rq = this_cpu_ptr(&rqs);

	if (READ_ONCE(rq->nr_running) > 1 && !timer_pending(&rq->slice))
		timer_start(&rq->slice, clock_ns() + SLICE);
}

/* ---- waking ---- */

static void activate(struct rq *rq, struct task *t, unsigned cpu)
{
	u64 floor = rq->min_vruntime - WAKE_BONUS;

	if (t->cpu != cpu) {
		t->vruntime += rq->min_vruntime - READ_ONCE(cpu_rq(t->cpu)->min_vruntime);
		WRITE_ONCE(t->cpu, cpu);
	}
	if (before(t->vruntime, floor))
		t->vruntime = floor;
	t->on_rq = 1;
	tree_insert(rq, t);
	count_running(rq, 1);
}

/* Where should a waking task run: where it ran if that CPU is idle, on an idle CPU, or where it ran. */
static unsigned select_cpu(struct task *t)
{
	unsigned prev = t->cpu, cpu;

	if (nr_cpus == 1)
		return 0;
	if (task_allowed(t, prev) && cpumask_test(&idle_cpus, prev))
		return prev;
	for (unsigned i = 0; i < CPUMASK_WORDS; i++) {
		unsigned long w = __atomic_load_n(&idle_cpus.bits[i], __ATOMIC_RELAXED) & t->affinity.bits[i];

		if (w)
			return i * 64 + (unsigned)__builtin_ctzl(w);
	}
	if (task_allowed(t, prev) && cpumask_test(&cpu_online_mask, prev))
		return prev;
	for_each_online_cpu(cpu)
		if (task_allowed(t, cpu))
			return cpu;
	return 0;
}

static void wake_to(struct task *t, unsigned cpu)
{
	struct rq *rq = cpu_rq(cpu);

	spin_lock(&rq->lock);
	if (rq->curr != rq->idle)
		charge(rq, rq->curr, clock_ns());
	activate(rq, t, cpu);
	check_preempt(rq, t, cpu);
	spin_unlock(&rq->lock);
}

bool wake_up_state(struct task *t, unsigned states)
{
	unsigned long flags = spin_lock_irqsave(&t->wake_lock);
	bool woken = false;

	smp_mb();	/* the condition before the state: pairs with set_current_state */
	if (!(READ_ONCE(t->state) & states))
		goto out;
	race_point("wake:seen-asleep");
	woken = true;
	/* Acquire: who is found off the queue is found on its CPU too, until it has left (on_cpu below). */
	if (smp_load_acquire(&t->on_rq)) {
		struct rq *rq = cpu_rq(READ_ONCE(t->cpu));

		spin_lock(&rq->lock);
		/* it has not left yet, and will not; t->cpu changes only under w, which we hold */
		if (t->on_rq) {
			WRITE_ONCE(t->state, TASK_RUNNING);
			spin_unlock(&rq->lock);
			goto out;
		}
		spin_unlock(&rq->lock);
	}
	race_point("wake:before-on-cpu");
	while (smp_load_acquire(&t->on_cpu))
		cpu_relax();
	WRITE_ONCE(t->state, TASK_RUNNING);
	wake_to(t, select_cpu(t));
out:
	spin_unlock_irqrestore(&t->wake_lock, flags);
	return woken;
}

bool wake_up_task(struct task *t)
{
	return wake_up_state(t, TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | TASK_KILLABLE);
}

void wake_up_new_task(struct task *t)
{
	unsigned long flags = spin_lock_irqsave(&t->wake_lock);

	WRITE_ONCE(t->state, TASK_RUNNING);
	wake_to(t, select_cpu(t));
	spin_unlock_irqrestore(&t->wake_lock, flags);
}

void kick_task(struct task *t)
{
	unsigned cpu = READ_ONCE(t->cpu);

	/*
	 * The work bit before the look at curr; pairs with finish_switch. If it runs now, its CPU enters the kernel and
	 * sees the bit.
	 */
	smp_mb();
	if (cpu != cpu_id() && READ_ONCE(cpu_rq(cpu)->curr) == t)
		ipi_kick(cpu);
}

bool task_interrupted(struct task *t, unsigned state)
{
	if (state & TASK_INTERRUPTIBLE)
		return signal_pending(t);
	return (state & TASK_KILLABLE) && fatal_signal_pending(t);
}

void set_current_state(unsigned state)
{
	WRITE_ONCE(current->state, state);
	smp_mb();
}

/* ---- switching ---- */

/*
 * This CPU has nothing to do: take a task from a queue that has too many. r of our own queue; others by trylock only.
 */
static struct task *steal(struct rq *rq, unsigned self)
{
	if (!__atomic_load_n(&nr_overloaded, __ATOMIC_RELAXED))
		return NULL;
	for (unsigned i = 1; i < nr_cpus; i++) {
		unsigned cpu = (self + i) % nr_cpus;
		struct rq *other = cpu_rq(cpu);

		if (READ_ONCE(other->nr_running) < 2 || !spin_trylock(&other->lock))
			continue;
		for (struct rb_node *n = rb_first_cached(&other->tree); n; n = rb_next(n)) {
			struct task *t = rb_entry(n, struct task, rq_node);

			/*
			 * Its waker, if any, is past t->cpu: on_rq tasks are changed under r only, and we hold the r of
			 * its queue.
			 */
			if (!task_allowed(t, self))
				continue;
			rb_erase_cached(&t->rq_node, &other->tree);
			count_running(other, -1);
			t->vruntime += rq->min_vruntime - other->min_vruntime;
			WRITE_ONCE(t->cpu, self);
			count_running(rq, 1);
			spin_unlock(&other->lock);
			return t;
		}
		spin_unlock(&other->lock);
	}
	return NULL;
}

/* A runnable task that may not stay here: it goes where it may, after its context was saved. */
static void push_away(struct task *t)
{
	unsigned long flags = spin_lock_irqsave(&t->wake_lock);

	wake_to(t, select_cpu(t));
	spin_unlock_irqrestore(&t->wake_lock, flags);
}

/* On the new task's stack, interrupts off, r held. */
static void finish_switch(struct task *prev)
{
	struct rq *rq = this_cpu_ptr(&rqs);
	bool dead = prev->state == TASK_DEAD;	/* before on_cpu: afterwards prev may run, and end, elsewhere */
	bool away = prev->on_rq == 2;

	if (away)
		prev->on_rq = 0;
	smp_store_release(&prev->on_cpu, 0);
	spin_unlock(&rq->lock);
	smp_mb();	/* rq->curr before the look at current->work: pairs with kick_task */
	switch_mm_finish(prev);
	if (unlikely(away))
		push_away(prev);
	if (unlikely(dead))
		put_task(prev);
}

void schedule_tail(struct task *prev)
{
	finish_switch(prev);
	irq_enable();
}

/* Who runs next; r. prev is already charged and, if it sleeps, off the queue. */
static struct task *pick_next(struct rq *rq, struct task *prev, unsigned cpu, bool yield)
{
	struct task *first = tree_first(rq);

	if (prev != rq->idle && prev->on_rq == 1) {
		if (!first || (!yield && !before(first->vruntime, prev->vruntime)))
			return prev;
		tree_insert(rq, prev);
	}
	if (first) {
		rb_erase_cached(&first->rq_node, &rq->tree);
		return first;
	}
	first = nr_cpus > 1 ? steal(rq, cpu) : NULL;
	return first ? first : rq->idle;
}

static bool __schedule(bool yield)
{
	struct task *prev = current, *next;
	struct cpu *c = this_cpu();
	struct rq *rq = this_cpu_ptr(&rqs);
	u64 now;

	lock_check_sleep();
	DEBUG_ASSERT(!c->irq_depth, "schedule() in interrupt context");
	rcu_note_context_switch();
	watchdog_touch();
	spin_lock(&rq->lock);
	now = clock_ns();
	if (prev->work & WORK_RESCHED)
		clear_work(prev, WORK_RESCHED);
	if (prev != rq->idle) {
		charge(rq, prev, now);
		if (prev->state != TASK_RUNNING) {
			if (task_interrupted(prev, prev->state)) {
				WRITE_ONCE(prev->state, TASK_RUNNING);
			} else {
				prev->on_rq = 0;
				count_running(rq, -1);
				prev->nvcsw++;
			}
		} else if (unlikely(!task_allowed(prev, c->id))) {
			prev->on_rq = 2;	/* pushed away when the switch is over */
			count_running(rq, -1);
		}
	}
	next = pick_next(rq, prev, c->id, yield);
	if (next == prev) {
		prev->slice_end = now + SLICE;
		spin_unlock(&rq->lock);
		return false;
	}
	if (prev->on_rq == 1)
		prev->nivcsw++;
	rq->curr = next;
	rq->nr_switches++;
	next->exec_start = now;
	next->slice_end = now + SLICE;
	if (wants_tick(rq) && next != rq->idle && !timer_pending(&rq->slice))
		timer_start(&rq->slice, now + SLICE);
	if (prev == rq->idle)
		watchdog_cpu_start();
	next->on_cpu = 1;
	account_kernel_end();		/* up to here it was prev's */
	switch_mm(prev, next);
	prev = arch_switch(prev, next);
	finish_switch(prev);
	return true;
}

void schedule(void)
{
	unsigned long flags = irq_save();

	__schedule(false);
	irq_restore(flags);
}

bool cond_resched(void)
{
	unsigned long flags;
	bool switched;

	if (watchdog_no_yield())
		return false;
	stretch_end();
	if (likely(!need_resched()))
		return false;
	flags = irq_save();
	switched = __schedule(false);
	irq_restore(flags);
	return switched;
}

void sched_yield(void)
{
	unsigned long flags = irq_save();

	/*
	 * Whoever yields waits for somebody: if that is not on this CPU, let other vCPUs run (a single-threaded
	 * emulator has one at a time).
	 */
	if (!__schedule(true))
		cpu_yield();
	irq_restore(flags);
}

/* ---- life ---- */

void sched_fork(struct task *t)
{
	struct task *parent = current;

	t->cpu = cpu_id();
	t->nice = parent->flags & TF_KTHREAD ? 0 : parent->nice;
	t->weight = weights[t->nice + 20];
	t->vruntime = parent->flags & TF_IDLE ? cpu_rq(t->cpu)->min_vruntime : parent->vruntime;
	cpumask_copy(&t->affinity, &parent->affinity);
	if (parent->flags & TF_KTHREAD)
		for (unsigned i = 0; i < CPUMASK_WORDS; i++)
			t->affinity.bits[i] = ~0ul;
}

void sched_exit(void)
{
	irq_disable();
#ifndef BREAK_SCHED_NO_EXIT_LOCK
	/* A waker that has seen an earlier state of ours writes RUNNING, under this lock: not after DEAD. */
	spin_lock(&current->wake_lock);
	current->state = TASK_DEAD;
	spin_unlock(&current->wake_lock);
#else
	current->state = TASK_DEAD;
#endif
	__schedule(false);
	panic("a dead task ran again");
}

int sched_set_nice(struct task *t, int nice)
{
	unsigned long flags = spin_lock_irqsave(&t->wake_lock);
	struct rq *rq = cpu_rq(t->cpu);

	spin_lock(&rq->lock);
	if (rq->curr == t)
		charge(rq, t, clock_ns());
	t->nice = nice;
	t->weight = weights[nice + 20];
	spin_unlock(&rq->lock);
	spin_unlock_irqrestore(&t->wake_lock, flags);
	return 0;
}

int sched_set_affinity(struct task *t, const struct cpumask *mask)
{
	struct cpumask ok;
	unsigned long flags;
	struct rq *rq;
	unsigned cpu;

	cpumask_and(&ok, mask, &cpu_online_mask);
	if (cpumask_empty(&ok))
		return -EINVAL;
	flags = spin_lock_irqsave(&t->wake_lock);
	cpumask_copy(&t->affinity, mask);
	for (;;) {
		cpu = READ_ONCE(t->cpu);	/* stealing may move it under r alone */
		rq = cpu_rq(cpu);
		spin_lock(&rq->lock);
		if (t->cpu == cpu)
			break;
		spin_unlock(&rq->lock);
	}
	if (t->on_rq == 1 && !task_allowed(t, cpu)) {
		if (rq->curr == t) {
			resched(rq, cpu);	/* schedule() pushes it away */
			spin_unlock(&rq->lock);
		} else {
			rb_erase_cached(&t->rq_node, &rq->tree);
			count_running(rq, -1);
			t->on_rq = 0;
			spin_unlock(&rq->lock);
			wake_to(t, select_cpu(t));
		}
	} else {
		spin_unlock(&rq->lock);
	}
	spin_unlock_irqrestore(&t->wake_lock, flags);
	if (t == current) {
		schedule();
	} else {
		while (READ_ONCE(t->on_cpu) && !task_allowed(t, READ_ONCE(t->cpu)))
			sleep_ns(100 * NSEC_PER_USEC);
	}
	return 0;
}

u64 task_runtime_ns(struct task *t)
{
	/* Under the queue's lock, or a tick between the reads would make time go back. */
	for (;;) {
		struct rq *rq = cpu_rq(READ_ONCE(t->cpu));
		unsigned long flags = spin_lock_irqsave(&rq->lock);
		bool here = rq == cpu_rq(READ_ONCE(t->cpu));
		u64 ns = t->runtime;

		if (rq->curr == t)
			ns += clock_ns() - t->exec_start;
		spin_unlock_irqrestore(&rq->lock, flags);
		if (here)
			return ns;
	}
}

unsigned sched_nr_running(void)
{
	unsigned cpu, n = 0;

	for_each_online_cpu(cpu)
		n += READ_ONCE(cpu_rq(cpu)->nr_running);
	return n;
}

u64 sched_nr_switches(void)
{
	unsigned cpu;
	u64 n = 0;

	for_each_online_cpu(cpu)
		n += READ_ONCE(cpu_rq(cpu)->nr_switches);
	return n;
}

/* ---- idle ---- */

void cpu_idle_loop(void)
{
	struct cpu *c = this_cpu();

	for (;;) {
		irq_disable();
		cpumask_set(&idle_cpus, c->id);
		while (!need_resched() && !READ_ONCE(this_cpu_ptr(&rqs)->nr_running)) {
			rcu_idle_enter();
			account_kernel_end();
			c->in_idle = true;
			cpu_idle();
			account_idle_end();
			c->in_idle = false;
			rcu_idle_exit();
		}
		cpumask_clear(&idle_cpus, c->id);
		__schedule(false);
		irq_enable();
	}
}

void sched_cpu_online(unsigned cpu)
{
	struct rq *rq = cpu_rq(cpu);

	rq->idle = rq->curr = current;
	current->on_cpu = 1;
	current->on_rq = 0;
	current->cpu = cpu;
	current->exec_start = clock_ns();
	cpumask_set(&cpu_online_mask, cpu);
}

void sched_init_cpu(unsigned cpu)
{
	struct rq *rq = cpu_rq(cpu);

	spin_lock_init(&rq->lock, RANK_RQ);
	rq->tree = RB_ROOT_CACHED;
	timer_init(&rq->slice, slice_expired);
}

void sched_init(void)
{
	u64 w = NICE_0_WEIGHT;

	/* A step of nice is a factor of 5/4. */
	for (int n = 20; n >= 0; n--, w = (w * 5 + 2) / 4)
		weights[n] = (u32)w;
	for (int n = 21; n < 40; n++)
		weights[n] = (weights[n - 1] * 4 + 2) / 5;
	init_task.weight = NICE_0_WEIGHT;
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		init_task.affinity.bits[i] = ~0ul;
	sched_init_cpu(0);
	sched_cpu_online(0);
}
