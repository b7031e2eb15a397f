/*
 * vm.free_async and vm.gather_runs: who frees what exit, munmap and MADV_DONTNEED take away. Whatever the policy, and
 * whatever fails, every page is back when the call returns.
 */
#include "tests/kernel/free_async.h"

#include "kernel/cpu.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "kernel/workqueue.h"
#include "lib/err.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "mm/zap.h"
#include "tests/kernel/space.h"

const char *const free_policies[] = { "off", "batch", "node", "zap" };

void choose_free(unsigned policy, unsigned runs)
{
	kt_set("vm.free_async", free_policies[policy]);
	kt_set("vm.gather_runs", runs ? "1" : "0");
	kt_set("vm.free_async_threshold", "600");
	zap_helper_pages = min(zap_helper_pages, (unsigned)MANY);	/* one helper at least for an exit of so many */
}

/* ---- what happened */

struct seen seen_now(void)
{
	return (struct seen){
		.free = kt_free_pages(),
		.pages = vm_event_sum(VME_gather_pages),
		.slots = vm_event_sum(VME_gather_runs),
		.batches = vm_event_sum(VME_gather_batches),
		.flushes = vm_event_sum(VME_gather_flushes),
		.works = vm_event_sum(VME_free_async_works),
		.inlined = vm_event_sum(VME_free_async_inline_fallback),
		.zaps = vm_event_sum(VME_free_async_zaps),
		.refused = vm_event_sum(VME_gather_no_batch),
		.tables = vm_event_sum(VME_pte_table_free),
	};
}

struct seen seen_since(const struct seen *then)
{
	struct seen s = seen_now();

	s.free -= then->free;
	s.pages -= then->pages;
	s.slots -= then->slots;
	s.batches -= then->batches;
	s.flushes -= then->flushes;
	s.works -= then->works;
	s.inlined -= then->inlined;
	s.zaps -= then->zaps;
	s.refused -= then->refused;
	s.tables -= then->tables;
	return s;
}

unsigned fill_scattered(uintptr_t va, unsigned n)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < n; i++)
		failed += !kt_touch(va + (u64)i * 7919 % n * PAGE_SIZE);
	return failed;
}

static unsigned fill_in_order(uintptr_t va, unsigned n)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < n; i++)
		failed += !kt_touch(va + i * PAGE_SIZE);
	return failed;
}

uintptr_t map_filled(unsigned n, bool scattered)
{
	uintptr_t va = kt_map(n, RW);

	if (va && (scattered ? fill_scattered(va, n) : fill_in_order(va, n))) {
		kt_fail(__FILE__, __LINE__, "%u pages could not be written", n);
		kt_unmap(va, n);
		return 0;
	}
	return va;
}

struct mm *make_victim_by(void (*fill)(void *arg), void *arg)
{
	struct mm *home = mmget(current->mm), *mm = mm_create();

	if (!mm) {
		kt_fail(__FILE__, __LINE__, "no memory for an address space");
		mmput(home);
		return NULL;
	}
	exec_mmap(mmget(mm));
	fill(arg);
	exec_mmap(home);
	return mm;
}

struct filling {
	unsigned n;
	bool scattered;
};

static void fill_it(void *arg)
{
	const struct filling *f = arg;

	(void)map_filled(f->n, f->scattered);
}

void leave(void *arg, unsigned nr)
{
	struct leaver *l = arg;

	while (!__atomic_load_n(&l->go, __ATOMIC_ACQUIRE))
		cpu_relax();
	if (l->mm)
		mmput(l->mm);
	else
		KT_EQ(kt_unmap(l->va, l->n), 0);
	__atomic_store_n(&l->done, 1, __ATOMIC_RELEASE);
}

struct mm *make_victim(unsigned n, bool scattered)
{
	struct filling f = { n, scattered };

	return make_victim_by(fill_it, &f);
}

struct seen take_away(enum how how, unsigned n, bool scattered)
{
	struct seen before = { .free = 0 }, s;
	u64 free = kt_free_pages();
	struct mm *mm;
	uintptr_t va;

	if (how == EXIT) {
		mm = make_victim(n, scattered);
		before = seen_now();
		if (mm)
			mmput(mm);
	} else {
		va = map_filled(n, scattered);
		before = seen_now();
		if (how == MUNMAP)
			KT_EQ(kt_unmap(va, n), 0);
		else
			KT_EQ(do_madvise(current->mm, va, n * PAGE_SIZE, MADV_DONTNEED), 0);
	}
	s = seen_since(&before);
	if (how == DONTNEED) {
		KT_EQ(s.free, n);		/* tables stay */
		KT_EQ(kt_unmap(va, n), 0);
		KT_EQ(kt_free_pages(), free);
	}
	s.free = kt_free_pages() - free;
	return s;
}

void quiet_begin(void)
{
	choose_free(FREE_BATCH, 0);
	(void)take_away(MUNMAP, PAGES, true);
	(void)take_away(EXIT, PAGES, true);
	workqueue_fail_creation(true);
	flush_workqueue(free_workqueue());
	workqueue_settle();	/* whoever was making one has come to an end, too */
	(void)take_away(EXIT, 700, true);
}

void quiet_end(void)
{
	workqueue_fail_creation(false);
}

/* ---- everything comes back */

static void check_taken(unsigned policy, unsigned run, enum how how)
{
	bool zaps = policy == FREE_ZAP && how == EXIT && nr_cpus > 1;
	unsigned n = how == EXIT ? MANY : PAGES;
	struct seen s;

	choose_free(policy, run);
	s = take_away(how, n, true);
	KT_EQ(s.free, 0);
	KT_EQ(s.pages, n);
	KT_EQ(s.zaps, zaps);
	KT_EQ(s.inlined, 0);
	KT_EXPECT(s.batches >= n / BATCH_SLOTS / 2 && s.slots <= n);
	if (!run)
		KT_EQ(s.slots, n);
	if (policy == FREE_OFF)
		KT_EQ(s.works, 0);
	else if (!zaps)		/* its helpers may come too late */
		KT_EXPECT(s.works >= 2);
}

KTEST_MM(free_async, every_page_comes_back)
{
	quiet_begin();
	for (unsigned policy = 0; policy < NR_POLICIES; policy++)
		for (unsigned run = 0; run < 2; run++)
			for (enum how how = MUNMAP; how <= EXIT; how++)
				check_taken(policy, run, how);
	quiet_end();
}

/* Few long runs stay on the stack: nothing to hand over, and nothing is lost. */
KTEST_MM(free_async, long_runs)
{
	quiet_begin();
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		for (enum how how = MUNMAP; how <= EXIT; how++) {
			unsigned n = how == EXIT ? MANY : PAGES;
			struct seen s;

			choose_free(policy, 1);
			s = take_away(how, n, false);
			KT_EQ(s.free, 0);
			KT_EQ(s.pages, n);
			KT_EXPECT(s.slots <= n);
		}
	}
	quiet_end();
}

/* ---- failures */

/* No page for slots at all: handfuls from the stack. Some pages: what is in them is handed over, or freed here. */
KTEST_MM(free_async, no_batch_page)
{
	quiet_begin();
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		for (unsigned skip = 0; skip < 6; skip++) {
			uintptr_t va;
			struct seen before, s;
			u64 free;

			choose_free(policy, skip & 1);
			free = kt_free_pages();
			va = map_filled(1500, true);
			before = seen_now();
			palloc_fail(skip / 2, skip < 2 ? ~0u : 1);
			KT_EQ(kt_unmap(va, 1500), 0);
			palloc_fail(0, 0);
			s = seen_since(&before);
			KT_EQ(kt_free_pages(), free);
			KT_EQ(s.pages, 1500);
			KT_EXPECT(s.refused >= (skip < 2 ? 1500 / GATHER_BUNDLE - 1 : 1));
			if (skip < 2)
				KT_EQ(s.works, 0);
		}
	}
	quiet_end();
}

/* vm.free_async=zap has no memory to describe the work in: the exiting task does it as others do. */
KTEST_MM(free_async, no_memory_for_helpers)
{
	struct seen before, s;
	struct mm *mm;
	u64 free;

	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	quiet_begin();
	choose_free(FREE_ZAP, 0);
	free = kt_free_pages();
	mm = make_victim(MANY, true);
	before = seen_now();
	palloc_fail(0, 1);
	if (mm)
		mmput(mm);
	palloc_fail(0, 0);
	s = seen_since(&before);
	quiet_end();
	KT_EQ(s.inlined, 1);
	KT_EQ(s.zaps, 0);
	KT_EXPECT(s.works >= 2);
	KT_EQ(s.pages, MANY);
	KT_EQ(kt_free_pages(), free);
}

/* Works that stay where they are until the gate is opened. */
static struct {
	struct work work[2 * MAX_NODES];
	u32 begun;		/* atomic */
	struct completion go;
} gate;

static void wait_at_gate(struct work *w)
{
	__atomic_fetch_add(&gate.begun, 1, __ATOMIC_SEQ_CST);
	wait_for_completion(&gate.go);
}

/* `per_node` works for each node, until `enough` of them have begun. */
static void close_gate(struct workqueue *wq, unsigned per_node, u32 enough)
{
	u64 end = SOON;

	completion_init(&gate.go);
	gate.begun = 0;
	for (unsigned i = 0; i < per_node * nr_nodes; i++) {
		work_init(&gate.work[i], wait_at_gate);
		queue_work_node((int)(i % nr_nodes), wq, &gate.work[i]);
	}
	while (__atomic_load_n(&gate.begun, __ATOMIC_ACQUIRE) < enough && clock_ns() < end)
		sched_yield();
	KT_EXPECT(gate.begun >= enough);
}

static void open_gate(unsigned per_node)
{
	complete_all(&gate.go);
	for (unsigned i = 0; i < per_node * nr_nodes; i++)
		flush_work(&gate.work[i]);
}

/* All workers sleep in somebody else's works and no other can be made: the queue's rescuer frees. */
KTEST_MM(free_async, rescuer_frees)
{
	struct seen s;

	quiet_begin();
	workqueue_trim();
	close_gate(system_unbound_wq, 1, nr_nodes);
	for (unsigned policy = FREE_BATCH; policy <= FREE_NODE; policy++) {
		choose_free(policy, 0);
		s = take_away(MUNMAP, PAGES, true);
		KT_EXPECT(s.works >= 2);
		KT_EQ(s.pages, PAGES);
		KT_EQ(s.free, 0);
	}
	open_gate(1);
	quiet_end();
}

/* Not even the rescuer comes: the exiting task does all units itself, cancels its helpers and does not wait. */
KTEST_MM(free_async, helpers_that_never_start)
{
	struct seen s;

	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	quiet_begin();
	workqueue_trim();
	close_gate(free_workqueue(), 2, nr_nodes + 1);
	choose_free(FREE_ZAP, 0);
	kt_set("vm.free_async_threshold", "16384");	/* what is left for the serial pass goes to nobody either */
	s = take_away(EXIT, MANY, true);
	KT_EQ(s.zaps, 1);
	KT_EQ(s.works, 0);
	KT_EQ(s.pages, MANY);
	KT_EQ(s.free, 0);
	open_gate(2);
	quiet_end();
}

static void expect_inline(unsigned policy, enum how how)
{
	struct seen s;

	choose_free(policy, policy & 1);
	s = take_away(how, MANY, true);
	KT_EXPECT(s.inlined >= 1);
	KT_EQ(s.works, 0);
	KT_EQ(s.zaps, 0);
	KT_EQ(s.pages, MANY);
	KT_EQ(s.free, 0);
	if (current->flags & TF_OOM_VICTIM)
		KT_EXPECT(s.flushes >= MANY / (BATCH_SLOTS + 512));
}

/* Whoever frees so that others get memory does not wait for workers, who may be waiting for him. */
KTEST_MM(free_async, inline_where_others_wait)
{
	const u32 flags[] = { TF_MEMALLOC, TF_OOM_VICTIM };

	quiet_begin();
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		current->flags |= flags[i];
		for (unsigned policy = FREE_BATCH; policy <= FREE_ZAP; policy++) {
			expect_inline(policy, MUNMAP);
			expect_inline(policy, EXIT);
		}
		current->flags &= ~flags[i];
	}
	quiet_end();
}

/*
 * Killed for its memory, and the task that was killed is not the one that leaves last: the address space remembers.
 */
KTEST_MM(free_async, inline_for_a_victim)
{
	for (unsigned policy = FREE_BATCH; policy <= FREE_ZAP; policy++) {
		struct seen before, s;
		struct mm *mm;

		choose_free(policy, 0);
		kt_set("vm.free_async_threshold", "100000");
		mm = make_victim(MANY, true);
		KT_ASSERT(mm && !(current->flags & TF_OOM_VICTIM));
		mm->oom_victim = true;
		before = seen_now();
		mmput(mm);
		s = seen_since(&before);
		KT_EXPECT(s.inlined >= 1);
		KT_EQ(s.works, 0);
		KT_EQ(s.zaps, 0);
		KT_EQ(s.pages, MANY);
		KT_EXPECT(s.flushes >= MANY / (BATCH_SLOTS + 512));
	}
}

/* ---- time */

KTEST_MM(free_async, workers_time_is_charged)
{
	for (unsigned policy = FREE_BATCH; policy <= FREE_ZAP; policy++) {
		u64 before = current->lent_ns, end = SOON, utime, stime;
		struct seen s;

		choose_free(policy, 0);
		/* A helper that comes too late for the last unit is cancelled, and then there is nothing to charge. */
		do {
			s = take_away(EXIT, MANY, true);
		} while (current->lent_ns == before && policy == FREE_ZAP && nr_cpus > 1 && clock_ns() < end);
		if (policy == FREE_ZAP && nr_cpus < 2)
			continue;
		KT_EXPECT(s.works && current->lent_ns > before);
		task_times(current, &utime, &stime);
		KT_EXPECT(stime >= current->lent_ns);
	}
}
