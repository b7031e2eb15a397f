/*
 * vm.free_async: bounds. How much is freed, and walked, without a yield; how much may wait for a flush when memory
 * becomes short; and that the watchdog would notice.
 */
#include "tests/kernel/free_async.h"

#include "kernel/cpu.h"
#include "kernel/race.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/watchdog.h"
#include "lib/err.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/stretch.h"
#include "mm/vmstat.h"
#include "mm/zap.h"
#include "tests/kernel/space.h"

/* ---- yields */

/* A walk down all levels, over entries that map nothing, and one table full of pages. */
static u32 walk_bound(void)
{
	u32 n = 0;

	for (int level = 0; level < PT_LEVELS; level++)
		n += 2 * pt_entries(level);
	return n;
}

static void stretches_begin(void)
{
	rcu_barrier();
	longest_freed = longest_walked = 0;
}

/* What RCU frees counts too: it is the same memory. */
static void stretches_end(const char *what, unsigned policy)
{
	rcu_barrier();
	if (!longest_freed || longest_freed > GATHER_MAX_PAGES || longest_walked > walk_bound())
		kt_fail(__FILE__, __LINE__, "%s, %s: without a yield %u pages and tables freed, %u entries walked",
			what, free_policies[policy], longest_freed, longest_walked);
}

static void exit_stretches(unsigned policy, unsigned n, bool scattered)
{
	struct mm *mm = make_victim(n, scattered);

	stretches_begin();
	if (mm)
		mmput(mm);
	stretches_end(scattered ? "exit, scattered" : "exit", policy);
}

static void munmap_stretches(unsigned policy, unsigned n, bool scattered)
{
	uintptr_t va = map_filled(n, scattered);

	stretches_begin();
	KT_EQ(kt_unmap(va, n), 0);
	stretches_end(scattered ? "munmap, scattered" : "munmap", policy);
}

/* However large the threshold, in long runs or singly: so many pages are freed at once and not more. */
KTEST_MM(free_async_bounds, freed_in_short_stretches)
{
	const unsigned n = GATHER_MAX_PAGES + 600;

	/* Runs first: afterwards memory may have few. */
	choose_free(FREE_BATCH, 1);
	kt_set("vm.free_async_threshold", "100000");
	munmap_stretches(FREE_BATCH, 2 * GATHER_MAX_PAGES, false);
	for (unsigned scattered = 0; scattered < 2; scattered++) {
		for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
			if (policy == FREE_NODE && nr_nodes == 1)
				continue;	/* as in batch */
			choose_free(policy, !scattered);
			kt_set("vm.free_async_threshold", "100000");
			exit_stretches(policy, n, scattered);
		}
	}
	munmap_stretches(FREE_ZAP, n, true);
}

#define SPARSE_AT	0x1000000000ul
#define SPARSE_PAGES	(GATHER_MAX_PAGES + 600)

/* A page in a table of its own, so many times. */
static void fill_sparse(void *unused)
{
	unsigned failed = 0;

	KT_EQ(do_mmap(NULL, SPARSE_AT, SPARSE_PAGES * pt_size(1), RW,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, 0),
	      SPARSE_AT);
	for (unsigned i = 0; i < SPARSE_PAGES; i++)
		failed += !kt_touch(SPARSE_AT + i * pt_size(1));
	KT_EQ(failed, 0);
}

/* As many tables as pages: they are bounded by the same number. */
KTEST_MM(free_async_bounds, tables_in_short_stretches)
{
	struct mm *mm;

	if (node_free_pages(0) < 4 * SPARSE_PAGES) {
		kt_skip("little memory");
		return;
	}
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		if (policy != FREE_BATCH && policy != FREE_ZAP)
			continue;	/* tables know no nodes, and have no limit of their own */
		choose_free(policy, 0);
		kt_set("vm.free_async_threshold", "100000");
		mm = make_victim_by(fill_sparse, NULL);
		stretches_begin();
		if (mm)
			mmput(mm);
		stretches_end("exit, sparse", policy);
	}
	/* Not the only user: RCU's thread frees the tables. */
	choose_free(FREE_BATCH, 0);
	kt_set("vm.free_async_threshold", "100000");
	mm = mmget(current->mm);
	fill_sparse(NULL);
	stretches_begin();
	KT_EQ(kt_unmap(SPARSE_AT, SPARSE_PAGES * (pt_size(1) >> PAGE_SHIFT)), 0);
	stretches_end("munmap, sparse", FREE_BATCH);
	mmput(mm);
}

static struct page *taken;	/* linked by private */

/* All but the reserve. What was never written stays so. */
static void take_memory(void)
{
	bool zero = nr_zero_pages() > nr_free_pages() / 2;

	drain_pcp();
	for (int order = MAX_ORDER; order >= 0; order--) {
		struct page *p;

		while ((p = alloc_pages((unsigned)order, GFP_NOWAIT | (zero ? GFP_ZERO | GFP_TRACKED : 0)))) {
			if (!zero)
				page_set_flag(p, PG_POISON);
			p->private = taken;
			taken = p;
		}
	}
}

static void give_memory_back(void)
{
	while (taken) {
		struct page *p = taken;

		taken = p->private;
		free_pages(p, page_order(p));
	}
}

KTEST_MM(free_async_bounds, inline_when_memory_is_short)
{
	for (unsigned policy = FREE_BATCH; policy <= FREE_ZAP; policy++) {
		const unsigned n = 700;
		struct seen before, s;
		uintptr_t va;
		bool is_short;

		choose_free(policy, 0);
		va = map_filled(n, true);
		take_memory();
		is_short = memory_is_short();
		before = seen_now();
		KT_EQ(kt_unmap(va, n), 0);
		s = seen_since(&before);
		give_memory_back();
		KT_EXPECT(is_short);
		KT_EXPECT(s.inlined >= 1);
		KT_EQ(s.works, 0);
		KT_EQ(s.pages, n);
		KT_EXPECT(s.free >= n);
	}
}

static void fill_at(void *arg)
{
	const struct leaver *l = arg;

	KT_EQ(kt_map_at(l->va, l->n, RW), l->va);
	KT_EQ(fill_scattered(l->va, l->n), 0);
}

/*
 * The gather has begun, with a threshold that it will never reach, and has unhooked something when memory becomes
 * short: it frees at the next table, and itself.
 */
static void becomes_short(unsigned policy, bool exits)
{
	const unsigned n = 3000;	/* of vm.free_async=zap's units it is one */
	struct leaver l = { .n = n };
	struct mm *mm = current->mm;
	struct seen before, s;
	struct kt_crowd crowd;

	choose_free(policy, 0);
	kt_set("vm.free_async_threshold", "100000");
	zap_helper_pages = n / 2;
	l.va = 0x40000000;
	if (exits)
		mm = l.mm = make_victim_by(fill_at, &l);
	else
		fill_at(&l);
	KT_ASSERT(mm);
	before = seen_now();
	race_arm("zap:after-unhook");
	kt_crowd_start(&crowd, 1, leave, &l);
	/* From here on nobody else gets this CPU: a helper that was held here would hold us too. */
	__atomic_store_n(&l.go, 1, __ATOMIC_RELEASE);
	KT_EQ(race_wait(SOON), 0);
	take_memory();
	KT_EXPECT(memory_is_short());
	KT_EQ(seen_since(&before).flushes, 0);
	race_release_to("gather:before-flush");
	KT_EQ(race_wait(SOON), 0);
	KT_EXPECT(atomic64_read(&mm->rss_anon) >= n - 2 * 512);
	KT_EXPECT(!l.done);
	race_release();
	kt_crowd_join(&crowd);
	s = seen_since(&before);
	give_memory_back();
	if (exits && policy == FREE_ZAP) {
		KT_EQ(s.zaps, 1);
	} else {
		KT_EQ(s.works, 0);
		KT_EXPECT(policy == FREE_OFF || s.inlined >= 1);
	}
	KT_EXPECT(s.flushes >= 2);
	KT_EQ(s.pages, n);
}

KTEST_MM(free_async_bounds, memory_becomes_short_in_the_middle)
{
	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		becomes_short(policy, true);
		if (policy != FREE_ZAP)
			becomes_short(policy, false);
	}
}

/* ---- the watchdog */

#define LONG_EXIT	6000

/* Nanoseconds, and what the watchdog has reported meanwhile. */
static u64 one_exit(bool yield, u64 period, u64 *reports)
{
	struct mm *mm = make_victim(LONG_EXIT, true);
	u64 before = watchdog_reports(), start;

	if (!mm)
		return 0;
	if (period)
		watchdog_set_period(period);
	watchdog_set_no_yield(!yield);
	start = clock_ns();
	mmput(mm);
	start = clock_ns() - start;
	watchdog_set_no_yield(false);
	if (period)
		watchdog_set_period(0);
	*reports = watchdog_reports() - before;
	return start;
}

/*
 * That an exit yields is what keeps the watchdog quiet: if it does not, it is reported, with a period of a third of
 * what such an exit takes. With yields it is not, although it lasts as long: there are 12 in it. The host may give this
 * CPU much less time in one exit than in another, so each may be tried some times.
 */
KTEST_MM(free_async_bounds, watchdog_sees_an_exit_that_does_not_yield)
{
	u64 noticed = 0, quiet = 1;

	choose_free(FREE_OFF, 0);
	for (unsigned i = 0; i < 10 && !noticed; i++) {
		u64 unused, takes = one_exit(true, 0, &unused);

		KT_ASSERT(takes);
		one_exit(false, takes / 3, &noticed);
	}
	KT_EXPECT(noticed);
	for (unsigned i = 0; i < 10 && quiet; i++) {
		u64 unused, takes = one_exit(true, 0, &unused);

		KT_ASSERT(takes);
		one_exit(true, takes / 3, &quiet);
	}
	KT_EXPECT(!quiet);
}
