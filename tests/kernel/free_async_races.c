/*
 * Races of vm.free_async: workers, helpers and the task that waits for them, each held at a pause point (mm/RACES.md);
 * and faults, forks, other munmaps and changing knobs while pages are taken away.
 */
#include "tests/kernel/free_async.h"

#include "kernel/cpu.h"
#include "kernel/numa.h"
#include "kernel/race.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/workqueue.h"
#include "lib/err.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "mm/zap.h"
#include "tests/kernel/space.h"

/* ---- replays */

static void wait_a_little(void)
{
	u64 end = clock_ns() + 10 * NSEC_PER_MSEC;

	while (clock_ns() < end) {
		sched_yield();
		cpu_relax();
	}
}

/*
 * A thread on CPU 1 is about to take memory away, and somebody will be held at the point. It begins when the caller
 * does not yield any more: who is held must not have got this CPU.
 */
static void arm_and_go(const char *point, struct kt_crowd *crowd, struct leaver *l)
{
	l->done = l->go = 0;
	race_arm(point);
	kt_crowd_start(crowd, 1, leave, l);
	__atomic_store_n(&l->go, 1, __ATOMIC_RELEASE);
}

/* The same, and somebody is. Returns whether. */
static bool hold_at(const char *point, struct kt_crowd *crowd, struct leaver *l)
{
	arm_and_go(point, crowd, l);
	if (!race_wait(SOON))
		return true;
	kt_fail(__FILE__, __LINE__, "nobody came by %s", point);
	race_release();
	kt_crowd_join(crowd);
	return false;
}

/*
 * The body is on CPU 0, who takes memory away on CPU 1, and either may spin. So the memory comes from the last CPU's
 * node, whose workers must have a CPU, too.
 */
static bool enough_cpus(void)
{
	unsigned enough = nr_nodes > 1 ? 3 : 2;

	if (nr_cpus < enough)
		kt_skip("fewer than %u CPUs", enough);
	return nr_cpus >= enough;
}

static void fill_there(void *arg, unsigned nr)
{
	struct leaver *l = arg;

	if (l->mm)
		exec_mmap(mmget(l->mm));	/* it leaves the test's for good */
	l->va = map_filled(PAGES, true);
}

/* PAGES to unmap, or to exit with. */
static void fill_elsewhere(struct leaver *l, bool exits)
{
	struct kt_crowd crowd;

	l->mm = exits ? mm_create() : NULL;
	l->n = PAGES;
	kt_crowd_start_on(&crowd, nr_cpus - 1, 1, fill_there, l);
	kt_crowd_join(&crowd);
}

/*
 * A worker has not freed anything yet: neither munmap nor exit may return, since the worker uses what is on that task's
 * stack, and its pages are not free.
 */
KTEST_MM(free_async_races, waits_for_its_workers)
{
	if (!enough_cpus())
		return;
	for (unsigned i = 0; i < 4; i++) {
		struct kt_crowd crowd;
		struct leaver l;
		u64 pages;

		choose_free(i < 2 ? FREE_BATCH : FREE_NODE, i & 1);
		fill_elsewhere(&l, i & 1);
		pages = vm_event_sum(VME_pgfree);
		if (!hold_at("gather:worker", &crowd, &l))
			return;
		wait_a_little();
		KT_EXPECT(!__atomic_load_n(&l.done, __ATOMIC_ACQUIRE));
		KT_EXPECT(vm_event_sum(VME_pgfree) - pages < PAGES);
		race_release();
		kt_crowd_join(&crowd);
		KT_EXPECT(l.done && vm_event_sum(VME_pgfree) - pages >= PAGES);
	}
}

/* All workers are through before anybody waits for them: what they say is not lost. */
KTEST_MM(free_async_races, workers_end_before_the_join)
{
	struct kt_crowd crowd;
	struct leaver l;

	if (!enough_cpus())
		return;
	/* Of several nodes, that of the pages, because CPU 1 is busy. */
	choose_free(nr_nodes > 1 ? FREE_NODE : FREE_BATCH, 0);
	fill_elsewhere(&l, false);
	if (!hold_at("gather:before-join", &crowd, &l))
		return;
	flush_workqueue(free_workqueue());
	race_release();
	kt_crowd_join(&crowd);
	KT_EXPECT(l.done);
}

/* The chain is full and its flush has not been done: no worker may have any of it. */
KTEST_MM(free_async_races, hand_off_waits_for_the_flush)
{
	if (!enough_cpus())
		return;
	for (unsigned policy = FREE_BATCH; policy <= FREE_NODE; policy++) {
		struct leaver l = { .n = PAGES };
		struct kt_crowd crowd;
		struct page *p;
		u64 works;

		choose_free(policy, 0);
		l.va = map_filled(PAGES, true);
		p = kt_page(l.va);
		works = vm_event_sum(VME_free_async_works);
		if (!hold_at("gather:before-flush", &crowd, &l))
			return;
		wait_a_little();
		KT_EQ(vm_event_sum(VME_free_async_works), works);
		KT_EXPECT(page_type(p) == PAGE_ANON);
		race_release();
		kt_crowd_join(&crowd);
		KT_EXPECT(vm_event_sum(VME_free_async_works) > works);
	}
}

/*
 * mm dies when another thread, its only user, sees `go`. He gets no further than to the first table before a helper is
 * held at the point that is armed. False: none came; it may have been queued to this CPU.
 */
static bool helper_is_held(struct mm *mm, u32 *go)
{
	spinlock_t *ptl;
	bool held;

	if (!pte_offset_map_lock(mm, align_up(vma_first(mm)->start, pt_size(1)), &ptl)) {
		kt_fail(__FILE__, __LINE__, "no table");
		return false;
	}
	__atomic_store_n(go, 1, __ATOMIC_RELEASE);
	held = !race_wait(clock_ns() + NSEC_PER_SEC);
	pte_unmap_unlock(ptl);
	return held;
}

static u32 may_die, died;	/* atomic */

static int die_in(void *mm)
{
	while (!__atomic_load_n(&may_die, __ATOMIC_ACQUIRE))
		cpu_relax();
	exec_mmap(mm);
	exit_mm();
	__atomic_store_n(&died, 1, __ATOMIC_RELEASE);
	return 0;
}

static unsigned cpus_with(const struct mm *mm)
{
	unsigned n = 0, cpu;

	for_each_online_cpu(cpu)
		n += smp_load_acquire(&cpus[cpu]->active_mm) == mm;
	return n;
}

/*
 * A helper has begun and has not taken a unit: the exit waits for it, and the mm does not go. Before that every CPU has
 * left it, also the one that exits.
 */
KTEST_MM(free_async_races, exit_waits_for_its_helpers)
{
	u64 end = SOON;
	bool held = false;

	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	choose_free(FREE_ZAP, 1);
	kt_set("vm.tlb_shootdown", "ipi");
	kt_set("vm.lazy_tlb", "refcount");
	while (!held && clock_ns() < end) {
		struct mm *mm = make_victim(MANY, true);
		struct task *t;

		KT_ASSERT(mm);
		may_die = died = 0;
		t = kthread_run_on(1, die_in, mm, "dying");
		KT_ASSERT(!IS_ERR(t));
		race_arm("zap:helper");
		held = helper_is_held(mm, &may_die);
		if (held) {
			KT_EQ(cpus_with(mm), 0);
			wait_a_little();
			KT_EXPECT(!__atomic_load_n(&died, __ATOMIC_ACQUIRE));
		}
		race_release();
		kthread_stop(t);
	}
	KT_EXPECT(held);
}

static const struct {
	const char *free_async, *runs;
} later_policies[] = { { "off", "1" }, { "batch", "0" }, { "node", "0" }, { "node", "1" } };

/*
 * exit_mmap has looked at the policy, a helper has begun, its gather has not: it goes by the policy of that moment,
 * which may be another one by now. It hands nothing over, whatever that says.
 */
KTEST_MM(free_async_races, policy_changes_before_a_helper_gathers)
{
	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(later_policies); i++) {
		u64 end = SOON, free = 0;
		struct leaver l = { .n = 0 };
		bool held = false;

		while (!held && clock_ns() < end) {
			struct kt_crowd crowd;

			choose_free(FREE_ZAP, i & 1);
			zap_helper_pages = 500;
			free = kt_free_pages();
			l.mm = make_victim(MANY, true);
			KT_ASSERT(l.mm);
			l.done = l.go = 0;
			kt_crowd_start(&crowd, 1, leave, &l);
			race_arm("zap:helper");
			held = helper_is_held(l.mm, &l.go);
			kt_set("vm.free_async", later_policies[i].free_async);
			kt_set("vm.gather_runs", later_policies[i].runs);
			race_release();
			kt_crowd_join(&crowd);
			KT_EXPECT(kt_free_pages() + 64 >= free);
		}
		KT_EXPECT(held);
	}
}

/* ---- all at once */

static struct {
	uintptr_t va;
	unsigned pages;
	u64 end;		/* clock_ns */
	u32 wrong;		/* atomic */
} storm;

#define MARK 0x900d000000000000ull

static void wrong(void)
{
	__atomic_fetch_add(&storm.wrong, 1, __ATOMIC_RELAXED);
}

/* What any thread wrote there, or zero; never what was in a page that was freed. */
static void look_and_write(unsigned i)
{
	u64 v = kt_peek(storm.va + i * PAGE_SIZE);

	if (v && v != (MARK | i))
		wrong();
	if (!kt_put(storm.va + i * PAGE_SIZE, MARK | i))
		wrong();
}

static void drop_all(void)
{
	for (unsigned i = 0; i < storm.pages && clock_ns() < READ_ONCE(storm.end); i++)
		look_and_write(i);
	if (do_madvise(current->mm, storm.va, storm.pages * PAGE_SIZE, MADV_DONTNEED))
		wrong();
}

static void fork_and_let_die(void)
{
	struct mm *child = mm_dup(current->mm);

	if (IS_ERR(child)) {
		wrong();
		return;
	}
	sched_yield();
	mmput(child);
}

static void unmap_own(void)
{
	uintptr_t va = map_filled(700, true);

	if (!va || kt_unmap(va, 700))
		wrong();
}

static void storm_thread(void *unused, unsigned nr)
{
	for (unsigned k = nr; clock_ns() < READ_ONCE(storm.end); k++) {
		if (nr % 4 == 0) {
			drop_all();
		} else if (nr % 4 == 1) {
			unmap_own();
		} else if (nr % 4 == 2) {
			fork_and_let_die();
		} else {
			for (unsigned i = 0; i < 50; i++)
				look_and_write((k * 131 + i * 17) % storm.pages);
		}
		cond_resched();
	}
}

static void storm_begin(struct kt_crowd *crowd, u64 ns)
{
	storm.pages = 700;
	storm.va = kt_map(storm.pages, RW);
	storm.wrong = 0;
	storm.end = clock_ns() + ns;
	kt_crowd_start(crowd, 4, storm_thread, NULL);
}

static void storm_end(struct kt_crowd *crowd)
{
	kt_crowd_join(crowd);
	KT_EQ(storm.wrong, 0);
	KT_EQ(kt_unmap(storm.va, storm.pages), 0);
	KT_EQ(atomic_read(&current->mm->tlb_pending), 0);
}

/* Faults, forks and other munmaps while pages are taken away, in one address space. */
KTEST_MM(free_async_races, faults_forks_and_munmaps)
{
	zap_helper_pages = 20;		/* a child may have few, if the last thing was to drop all */
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		u64 before = vm_event_sum(VME_free_async_zaps), end = SOON;
		bool zaps = policy == FREE_ZAP && nr_cpus > 1;
		struct kt_crowd crowd;

		choose_free(policy, policy & 1);
		do {
			storm_begin(&crowd, 150 * NSEC_PER_MSEC);
			storm_end(&crowd);
		} while (zaps && vm_event_sum(VME_free_async_zaps) == before && clock_ns() < end);
		KT_EQ(vm_event_sum(VME_free_async_zaps) != before, zaps);
	}
}

/* The child's pages are all the parent's too, who copies and drops them while helpers take the child apart. */
KTEST_MM(free_async_races, parent_writes_while_the_child_is_taken_apart)
{
	for (unsigned run = 0; run < 2; run++) {
		struct leaver l = { .go = 1 };
		struct kt_crowd crowd;
		uintptr_t va;

		choose_free(FREE_ZAP, run);
		va = map_filled(MANY, false);
		KT_EXPECT(kt_put(va + 2 * PAGE_SIZE, 2));
		l.mm = mm_dup(current->mm);
		KT_ASSERT(!IS_ERR(l.mm));
		kt_crowd_start(&crowd, 1, leave, &l);
		for (unsigned i = 0; i < MANY; i += 3) {
			KT_EXPECT(kt_put(va + i * PAGE_SIZE, i));
			if (i % 300 == 0)
				KT_EQ(do_madvise(current->mm, va + (i + 1) * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
		}
		kt_crowd_join(&crowd);
		KT_EQ(kt_peek(va + PAGE_SIZE), 0);
		KT_EQ(kt_peek(va + 2 * PAGE_SIZE), 2);
		KT_EQ(kt_wrong(va + 3 * PAGE_SIZE, 1, 3), 0);
		KT_EQ(kt_unmap(va, MANY), 0);
	}
}

/*
 * Each gather has the policy that it began with, whatever the knobs say afterwards; and the other mechanisms change
 * theirs at the same time.
 */
KTEST_MM(free_async_races, knobs_change_under_load)
{
	static const char *const thresholds[] = { "512", "700", "16384" };
	static const char *const lazy[] = { "none", "refcount", "shootdown", "filtered", "hazard", "quiesce" };
	struct kt_crowd crowd;
	unsigned k = 0;
	u64 enough;

	zap_helper_pages = 20;
	choose_free(FREE_OFF, 0);
	storm_begin(&crowd, 10 * NSEC_PER_SEC);
	enough = clock_ns() + 400 * NSEC_PER_MSEC;
	while (clock_ns() < storm.end && (k < 12 || clock_ns() < enough)) {
		kt_set("vm.free_async", free_policies[k % NR_POLICIES]);
		kt_set("vm.gather_runs", k / 4 % 2 ? "1" : "0");
		kt_set("vm.free_async_threshold", thresholds[k % ARRAY_SIZE(thresholds)]);
		kt_set("vm.lazy_tlb", lazy[k / 2 % ARRAY_SIZE(lazy)]);
		/* Refused where there is none. Seldom, because firmware's may take a tenth of a second. */
		kt_set("vm.tlb_shootdown", k % 16 == 5 ? "broadcast" : "ipi");
		k++;
		sleep_ns(NSEC_PER_MSEC);
	}
	WRITE_ONCE(storm.end, 0);
	storm_end(&crowd);
	KT_EXPECT(k >= 12);
}
