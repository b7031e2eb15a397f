/*
 * vm.lazy_tlb: what keeps page tables alive that a CPU has loaded without using them. An mm dies while other CPUs
 * borrow it; afterwards nobody has it loaded, its memory is back, and nobody was interrupted whom the policy spares.
 */
#include "kernel/lazy_tlb.h"

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/param.h"
#include "kernel/race.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "kernel/workqueue.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "mm/mman.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "tests/kernel/lazy_tlb.h"
#include "tests/kernel/space.h"

/* ---- what happened */

struct seen {
	u64 switches, refs, ipis, filtered, deferred, objects;
};

static struct seen seen_now(void)
{
	return (struct seen){
		.switches = vm_event_sum(VME_lazy_tlb_switches),
		.refs = vm_event_sum(VME_lazy_tlb_refs),
		.ipis = vm_event_sum(VME_lazy_tlb_ipis),
		.filtered = vm_event_sum(VME_lazy_tlb_ipis_filtered),
		.deferred = vm_event_sum(VME_lazy_tlb_deferred),
		.objects = slab_objects_total(),
	};
}

static struct seen seen_since(const struct seen *then)
{
	struct seen s = seen_now();

	s.switches -= then->switches;
	s.refs -= then->refs;
	s.ipis -= then->ipis;
	s.filtered -= then->filtered;
	s.deferred -= then->deferred;
	s.objects = then->objects - s.objects;	/* that are gone */
	return s;
}

/* How many CPUs have its root loaded. */
static unsigned loaded_by(const struct mm *mm)
{
	unsigned n = 0, cpu;

	for_each_online_cpu(cpu)
		n += smp_load_acquire(&cpus[cpu]->active_mm) == mm;
	return n;
}

static void unlazy(void *unused)
{
	lazy_tlb_unlazy();
}

static void leave_here(void)
{
	irq_disable();
	lazy_tlb_unlazy();
	irq_enable();
}

/* This CPU borrows mm, of which it takes over a user. */
static void borrow_here(struct mm *mm)
{
	exec_mmap(mm);
	exit_mm();
}

/* ---- threads that borrow and sleep, so that their CPUs idle with the mm loaded */

struct borrower {
	struct mm *mm;
	bool map;		/* put a page there first */
	bool moves_on;		/* and then borrow another one */
	struct completion ready, go;
	struct task *task;
};

static struct borrower borrowers[7];

static int borrow_and_sleep(void *arg)
{
	struct borrower *b = arg;
	uintptr_t va;

	exec_mmap(mmget(b->mm));
	if (b->map) {
		va = kt_map(1, RW);
		KT_EXPECT(va && kt_put(va, 1));
	}
	exit_mm();
	if (b->moves_on)
		borrow_here(mm_create());
	complete(&b->ready);
	wait_for_completion(&b->go);
	return 0;
}

/* On CPUs 1, 2, ...; how many. mms[i % n] is whose the i-th borrows. */
static unsigned borrow_on_others(struct mm **mms, unsigned n, bool map, bool moves_on)
{
	unsigned k = 0;

	for (; k + 1 < nr_cpus && k < ARRAY_SIZE(borrowers); k++) {
		struct borrower *b = &borrowers[k];

		*b = (struct borrower){ .mm = mms[k % n], .map = map && !k, .moves_on = moves_on };
		completion_init(&b->ready);
		completion_init(&b->go);
		b->task = kthread_run_on(k + 1, borrow_and_sleep, b, "borrower");
		if (IS_ERR(b->task)) {
			kt_fail(__FILE__, __LINE__, "no memory for a thread");
			break;
		}
		wait_for_completion(&b->ready);
	}
	return k;
}

static void borrowers_end(unsigned n)
{
	while (n) {
		complete(&borrowers[--n].go);
		kthread_stop(borrowers[n].task);
	}
	rcu_barrier();		/* tasks are slab objects too */
}

static int run_body(void *body)
{
	((void (*)(void))body)();
	return 0;
}

/* Nobody makes workers meanwhile, which are slab objects too. */
static void run_on_first_cpu(void (*body)(void))
{
	workqueue_fail_creation(true);
	KT_EQ(kt_threads(1, run_body, (void *)body), 0);
	workqueue_fail_creation(false);
}

/* A case that runs on CPU 0. */
#define LAZY_TEST(name_)                          \
	static void name_##_body(void);           \
	KTEST(lazy_tlb, name_)                    \
	{                                         \
		run_on_first_cpu(name_##_body);   \
	}                                         \
	static void name_##_body(void)

/* ---- an mm dies while idle CPUs borrow it */

/* Nobody has told the CPUs to leave but the policy itself. */
static void check_policy(unsigned policy, const struct mm *mm, const struct seen *s, unsigned holders, unsigned in_mask,
			 unsigned loaded)
{
	switch (policy) {
	case NONE:
		KT_EQ(holders, 0);
		break;
	case REFCOUNT:
	case HAZARD:
		/* It stays until they leave by themselves. */
		KT_EQ(loaded, holders);
		if (holders)
			KT_EQ(atomic_read(&mm->count), holders);
		else
			KT_EXPECT(s->objects >= 1);
		break;
	case SHOOTDOWN:
		KT_EQ(s->ipis, in_mask);
		break;
	case FILTERED:
		KT_EQ(s->ipis, holders);
		KT_EQ(s->filtered, in_mask - holders);
		break;
	case QUIESCE:
		KT_EQ(s->deferred, holders != 0);
		break;
	}
	if (policy != SHOOTDOWN && policy != FILTERED && policy != QUIESCE)
		KT_EQ(s->ipis, 0);
	if (policy != FILTERED)
		KT_EQ(s->filtered, 0);
	if (policy == NONE || policy == SHOOTDOWN || policy == FILTERED) {
		KT_EQ(loaded, 0);
		KT_EXPECT(s->objects >= 1);
	}
}

/* Whoever reaps may do so on a holder's CPU, which then needs no interrupt. */
static bool all_but_reaper(u64 ipis, unsigned holders)
{
	return ipis == holders || ipis + 1 == holders;
}

/* With `map`, exit has something to flush, by which the CPUs leave, unless the flush is broadcast. */
static void die_while_borrowed(unsigned policy, bool map, bool broadcast)
{
	struct mm *mm = mm_create();
	unsigned n, in_mask, holders, loaded;
	struct seen before, s;

	KT_ASSERT(mm);
	choose(policy);
	before = seen_now();
	n = borrow_on_others(&mm, 1, map, false);
	s = seen_since(&before);
	KT_EQ(s.switches, n);
	KT_EQ(s.refs, policy == REFCOUNT ? n : 0);
	holders = loaded_by(mm);
	KT_EQ(holders, policy == NONE ? 0 : n);
	in_mask = cpumask_weight(&mm->cpumask);
	before = seen_now();
	mmput(mm);
	loaded = loaded_by(mm);
	s = seen_since(&before);
	if (map && holders && !broadcast) {
		/* Exit's own flush has made all of them leave, and with that the policy has nothing to do. */
		KT_EQ(s.ipis, 0);
		KT_EQ(loaded, 0);
		in_mask = holders = 0;
	}
	check_policy(policy, mm, &s, holders, in_mask, loaded);
	if (policy == QUIESCE) {
		lazy_tlb_drain();
		s = seen_since(&before);
		KT_EXPECT(all_but_reaper(s.ipis, holders));
		KT_EQ(loaded_by(mm), 0);
	}
	call_on_cpus(&cpu_online_mask, unlazy, NULL, true);
	KT_EQ(loaded_by(mm), 0);
	KT_EXPECT(seen_since(&before).objects >= 1);
	borrowers_end(n);
}

LAZY_TEST(idle_borrowers)
{
	for (unsigned policy = 0; policy < NR_POLICIES; policy++)
		die_while_borrowed(policy, false, false);
}

LAZY_TEST(exits_own_flush)
{
	kt_set("vm.tlb_shootdown", "ipi");
	for (unsigned policy = 0; policy < NR_POLICIES; policy++)
		die_while_borrowed(policy, true, false);
}

LAZY_TEST(flushed_by_broadcast)
{
	if (kt_set("vm.tlb_shootdown", "broadcast")) {
		kt_skip("no broadcast");
		return;
	}
	for (unsigned policy = 0; policy < NR_POLICIES; policy++)
		die_while_borrowed(policy, true, true);
}

/* CPUs that have gone on to another mm: their bits may be set, but only shootdown interrupts them. */
LAZY_TEST(borrowers_that_moved_on)
{
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		struct mm *mm = mm_create();
		unsigned n, in_mask;
		struct seen before, s;

		KT_ASSERT(mm);
		choose(policy);
		n = borrow_on_others(&mm, 1, false, true);
		lazy_tlb_drain();
		KT_EQ(loaded_by(mm), 0);
		in_mask = cpumask_weight(&mm->cpumask);
		KT_EXPECT(in_mask <= n);
		before = seen_now();
		mmput(mm);
		s = seen_since(&before);
		KT_EXPECT(s.objects >= 1);
		KT_EQ(s.deferred, 0);
		KT_EQ(s.ipis, policy == SHOOTDOWN ? in_mask : 0);
		KT_EQ(s.filtered, policy == FILTERED ? in_mask : 0);
		borrowers_end(n);
	}
}

/* Many dead mms, each borrowed by another CPU: one interrupt for each CPU. */
LAZY_TEST(quiesce_batches)
{
	struct mm *mms[ARRAY_SIZE(borrowers)];
	unsigned n, k = min(nr_cpus - 1, (unsigned)ARRAY_SIZE(mms));
	struct seen before, s;

	if (!k) {
		kt_skip("one CPU only");
		return;
	}
	choose(QUIESCE);
	for (unsigned i = 0; i < k; i++) {
		mms[i] = mm_create();
		KT_ASSERT(mms[i]);
	}
	n = borrow_on_others(mms, k, false, false);
	KT_EQ(n, k);
	before = seen_now();
	for (unsigned i = 0; i < k; i++) {
		mmgrab(mms[i]);
		mmput(mms[i]);
	}
	/* In one batch, however long this CPU is held up: its timer ends the batch. */
	irq_disable();
	for (unsigned i = 0; i < k; i++)
		mmdrop(mms[i]);
	irq_enable();
	lazy_tlb_drain();
	s = seen_since(&before);
	KT_EQ(s.deferred, k);
	KT_EXPECT(all_but_reaper(s.ipis, k));
	KT_EXPECT(s.objects >= k);
	borrowers_end(n);
}

/* The last user is also the one who borrows: it exits, sleeps, and others run on its CPU. */
LAZY_TEST(own_last_drop)
{
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		struct mm *mm = mm_create();
		struct seen before, s;

		KT_ASSERT(mm);
		choose(policy);
		before = seen_now();
		borrow_here(mm);
		s = seen_since(&before);
		if (policy != QUIESCE)		/* whose batch may have been reaped already */
			KT_EQ(s.ipis, 0);
		leave_here();
		lazy_tlb_drain();
		s = seen_since(&before);
		KT_EXPECT(s.objects >= 1);
		KT_EQ(loaded_by(mm), 0);
	}
}

/* ---- the policy changes */

/* Borrowed under one policy, dead under another. */
LAZY_TEST(every_policy_to_every_other)
{
	for (unsigned from = 0; from < NR_POLICIES; from++) {
		for (unsigned to = 0; to < NR_POLICIES; to++) {
			struct mm *mm = mm_create();
			struct seen before;
			unsigned n;

			KT_ASSERT(mm);
			choose(from);
			n = borrow_on_others(&mm, 1, false, false);
			before = seen_now();
			choose(to);
			if (to != from)
				KT_EQ(loaded_by(mm), 0);
			mmput(mm);
			if (to == from) {
				call_on_cpus(&cpu_online_mask, unlazy, NULL, true);
				lazy_tlb_drain();
			}
			KT_EQ(loaded_by(mm), 0);
			KT_EXPECT(seen_since(&before).objects >= 1);
			borrowers_end(n);
		}
	}
}

/* ---- replays */

static u32 dropped;		/* atomic */
static struct completion drop_now;

static int drop_last(void *mm)
{
	wait_for_completion(&drop_now);
	mmput(mm);
	__atomic_store_n(&dropped, 1, __ATOMIC_RELEASE);
	return 0;
}

static struct task *dropper(unsigned cpu, struct mm *mm)
{
	struct task *t;

	dropped = 0;
	completion_init(&drop_now);
	t = kthread_run_on(cpu, drop_last, mm, "dropper");
	if (IS_ERR(t))
		kt_fail(__FILE__, __LINE__, "no memory for a thread");
	return t;
}

static bool enough_cpus(void)
{
	if (nr_cpus < 2)
		kt_skip("one CPU only");
	return nr_cpus >= 2;
}

/*
 * CPU 0 borrows mm; on CPU 1 its last user drops it and is held at the point. CPU 0 leaves then, and borrows `next`.
 */
static void leave_while_held(unsigned policy, const char *point)
{
	struct mm *mm = mm_create(), *next = mm_create();
	struct seen before;
	struct task *t;

	KT_ASSERT(mm && next);
	choose(policy);
	borrow_here(mmget(mm));
	race_arm(point);
	t = dropper(1, mm);
	before = seen_now();
	complete(&drop_now);
	KT_EQ(race_wait(SOON), 0);
	KT_EQ(loaded_by(mm), 1);
	leave_here();
	borrow_here(mmget(next));
	race_release();
	kthread_stop(t);
	lazy_tlb_drain();
	KT_EQ(loaded_by(next), 1);
	leave_here();
	mmput(next);
	lazy_tlb_drain();
	KT_EQ(loaded_by(mm), 0);
	KT_EXPECT(seen_since(&before).objects >= 2);
}

LAZY_TEST(leaves_before_its_slot_is_turned)
{
	if (enough_cpus())
		leave_while_held(HAZARD, "lazy:before-owed");
}

LAZY_TEST(leaves_after_its_slot_was_turned)
{
	if (enough_cpus())
		leave_while_held(HAZARD, "lazy:after-owed");
}

LAZY_TEST(leaves_before_the_interrupt)
{
	if (!enough_cpus())
		return;
	leave_while_held(SHOOTDOWN, "lazy:before-ipi");
	leave_while_held(FILTERED, "lazy:before-ipi");
}

LAZY_TEST(leaves_while_the_batch_is_reaped)
{
	if (!enough_cpus())
		return;
	leave_while_held(QUIESCE, "lazy:reaping");
	leave_while_held(QUIESCE, "lazy:before-ipi");
}

/*
 * A thread has gone lazy, and is held while it is still a user (it has exited, but not put its mm). The others leave;
 * then it does the final drop, while it borrows the mm itself, and CPU 0 too.
 */
LAZY_TEST(goes_lazy_during_the_final_drop)
{
	if (!enough_cpus())
		return;
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		struct borrower b = { .mm = mm_create() };
		struct seen before;

		KT_ASSERT(b.mm);
		choose(policy);
		completion_init(&b.ready);
		completion_init(&b.go);
		complete(&b.go);
		race_arm("lazy:before-put");
		b.task = kthread_run_on(1, borrow_and_sleep, &b, "last");
		KT_ASSERT(!IS_ERR(b.task));
		KT_EQ(race_wait(SOON), 0);
		before = seen_now();
		borrow_here(b.mm);
		KT_EQ(atomic_read(&b.mm->users), 1);
		KT_EQ(loaded_by(b.mm), policy == NONE ? 0 : 2);
		race_release();
		kthread_stop(b.task);
		if (policy == SHOOTDOWN || policy == FILTERED)
			KT_EQ(loaded_by(b.mm), 0);
		if (policy == HAZARD || policy == REFCOUNT)
			KT_EQ(seen_since(&before).ipis, 0);
		call_on_cpus(&cpu_online_mask, unlazy, NULL, true);
		lazy_tlb_drain();
		KT_EQ(loaded_by(b.mm), 0);
		KT_EXPECT(seen_since(&before).objects >= 1);
	}
}

static int exec_when_told(void *arg)
{
	struct borrower *b = arg;

	borrow_here(mmget(b->mm));
	complete(&b->ready);
	wait_for_completion(&b->go);
	borrow_here(mm_create());
	return 0;
}

/*
 * CPU 1 borrows the mm and goes on to another one by exec; the new root is not loaded yet. Whoever drops the last
 * reference meanwhile may not believe that CPU 1 has left.
 */
static void exec_while_it_dies(unsigned policy)
{
	struct borrower b = { .mm = mm_create() };
	struct task *t;
	u64 end, ipis;

	KT_ASSERT(b.mm);
	kt_settle();
	choose(policy);
	completion_init(&b.ready);
	completion_init(&b.go);
	b.task = kthread_run_on(1, exec_when_told, &b, "exec");
	KT_ASSERT(!IS_ERR(b.task));
	wait_for_completion(&b.ready);
	/* A new thread's stack may want interrupts of all CPUs: it is made before CPU 1 is held without. */
	t = dropper(2, b.mm);
	rcu_barrier();		/* nor may RCU's thread have to wait for CPU 1, perhaps on CPU 2 */
	race_arm("lazy:before-load");
	complete(&b.go);
	KT_EQ(race_wait(SOON), 0);
	ipis = vm_event_sum(VME_lazy_tlb_ipis);
	complete(&drop_now);
	/*
	 * Until it has dropped, or is about to interrupt CPU 1. Not asleep: whoever then got this CPU might wait there
	 * for CPU 1 to answer an interrupt.
	 */
	end = clock_ns() + 8 * NSEC_PER_SEC;	/* at a pause point nobody is held for more than 10 */
	while (clock_ns() < end && !__atomic_load_n(&dropped, __ATOMIC_ACQUIRE) &&
	       vm_event_sum(VME_lazy_tlb_ipis) == ipis)
		cpu_relax();
	if (policy == HAZARD) {
		KT_EXPECT(__atomic_load_n(&dropped, __ATOMIC_ACQUIRE));
		KT_EQ(atomic_read(&b.mm->count), 1);	/* CPU 1's */
	} else {
		KT_EQ(vm_event_sum(VME_lazy_tlb_ipis), ipis + 1);
		end = clock_ns() + 5 * NSEC_PER_MSEC;
		while (clock_ns() < end)
			cpu_relax();
		KT_EXPECT(!__atomic_load_n(&dropped, __ATOMIC_ACQUIRE));
	}
	race_release();
	kthread_stop(t);
	kthread_stop(b.task);
	KT_EXPECT(dropped && !loaded_by(b.mm));
}

LAZY_TEST(exec_while_the_mm_dies)
{
	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	kt_set("vm.lazy_tlb_check", "0");	/* it asks CPU 1, which hides what comes too early */
	exec_while_it_dies(SHOOTDOWN);
	exec_while_it_dies(FILTERED);
	exec_while_it_dies(HAZARD);
}
