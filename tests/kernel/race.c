/*
 * Replays of races: one thread is held at a pause point (kernel/race.h) between two steps of a protocol, another one
 * does what could get in its way, then the first goes on. mm/RACES.md says for each what could go wrong and why it does
 * not.
 */
#include "kernel/race.h"

#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lib/err.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "tests/kernel/space.h"

#define RW	(PROT_READ | PROT_WRITE)

/* What the held thread does; everybody else is the thread that runs the test. */
struct part {
	enum { WRITE, READ, DROP } what;
	uintptr_t va;
	u64 value;		/* to write; what was read */
	bool ok;
};

static void play(void *arg, unsigned nr)
{
	struct part *p = arg;

	if (p->what == WRITE)
		p->ok = kt_put(p->va, p->value);
	else if (p->what == READ)
		p->ok = kt_get(p->va, &p->value);
	else
		p->ok = !do_madvise(current->mm, p->va, PAGE_SIZE, MADV_DONTNEED);
}

/* Start the part and return when it is held at the point. A held thread never yields: it needs a CPU of its own. */
static bool hold(struct kt_crowd *crowd, const char *point, struct part *part)
{
	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return false;
	}
	race_arm(point);
	kt_crowd_start(crowd, 1, play, part);
	if (!race_wait(SOON))
		return true;
	race_release();
	kt_crowd_join(crowd);
	kt_fail(__FILE__, __LINE__, "nobody came by %s", point);
	return false;
}

static void let_go(struct kt_crowd *crowd, struct part *part)
{
	race_release();
	kt_crowd_join(crowd);
	KT_EXPECT(part->ok);
}

/* ---- faults */

KTEST_MM(race, write_fault_and_write_fault)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { WRITE, va + 8, 2, false };
	struct kt_crowd crowd;
	struct page *p;

	KT_ASSERT(va);
	if (!hold(&crowd, "fault:before-ptl", &part))
		return;
	KT_EXPECT(pte_none(kt_pte(va)));
	KT_EXPECT(kt_put(va, 1));
	p = kt_page(va);
	let_go(&crowd, &part);
	/* One page, with both values; the one that the held thread had ready is gone. */
	KT_EXPECT(kt_page(va) == p && page_refs(p) == 1 && page_mapcount(p) == 1);
	KT_EQ(kt_peek(va), 1);
	KT_EQ(kt_peek(va + 8), 2);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
}

KTEST_MM(race, read_fault_and_write_fault)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { READ, va, 0, false };
	struct kt_crowd crowd;

	KT_ASSERT(va);
	if (!hold(&crowd, "fault:before-ptl", &part))
		return;
	KT_EXPECT(kt_put(va, 7));
	let_go(&crowd, &part);
	KT_EQ(part.value, 7);	/* the zero page must not replace what was written */
	KT_EQ(kt_peek(va), 7);
	KT_EXPECT(!pte_special(kt_pte(va)));
}

KTEST_MM(race, write_fault_and_read_fault)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { WRITE, va, 3, false };
	struct kt_crowd crowd;

	KT_ASSERT(va);
	if (!hold(&crowd, "fault:before-ptl", &part))
		return;
	KT_EQ(kt_peek(va), 0);
	KT_EXPECT(pte_special(kt_pte(va)));
	let_go(&crowd, &part);
	KT_EQ(kt_peek(va), 3);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
}

KTEST_MM(race, fault_and_dontneed)
{
	uintptr_t va = kt_map(2, RW);
	struct part part = { WRITE, va, 3, false };
	struct kt_crowd crowd;

	KT_ASSERT(va && kt_put(va + PAGE_SIZE, 1));	/* the table is there */
	if (!hold(&crowd, "fault:before-ptl", &part))
		return;
	KT_EQ(do_madvise(current->mm, va, 2 * PAGE_SIZE, MADV_DONTNEED), 0);
	let_go(&crowd, &part);
	KT_EQ(kt_peek(va), 3);
	KT_EQ(kt_peek(va + PAGE_SIZE), 0);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
}

/* ---- copy on write */

/* A child shares the page, so the part's write has to copy. */
static struct mm *share(uintptr_t va, struct part *part, struct kt_crowd *crowd)
{
	struct mm *child = mm_dup(current->mm);

	if (IS_ERR(child)) {
		kt_fail(__FILE__, __LINE__, "fork: error %ld", PTR_ERR(child));
		return NULL;
	}
	if (!hold(crowd, "fault:cow-copied", part)) {
		mmput(child);
		return NULL;
	}
	return child;
}

KTEST_MM(race, copy_and_dontneed)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { WRITE, va + 8, 2, false };
	struct kt_crowd crowd;
	struct mm *child;

	KT_ASSERT(va && kt_put(va, 1));
	child = share(va, &part, &crowd);
	if (!child)
		return;
	KT_EQ(do_madvise(current->mm, va, PAGE_SIZE, MADV_DONTNEED), 0);
	let_go(&crowd, &part);
	KT_EQ(kt_peek(va), 0);		/* the copy must not bring back what was dropped */
	KT_EQ(kt_peek(va + 8), 2);
	mmput(child);
}

KTEST_MM(race, copy_and_copy)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { WRITE, va + 8, 2, false };
	struct kt_crowd crowd;
	struct mm *child;
	struct page *p;

	KT_ASSERT(va && kt_put(va, 1));
	child = share(va, &part, &crowd);
	if (!child)
		return;
	KT_EXPECT(kt_put(va + 16, 3));	/* copies and writes */
	p = kt_page(va);
	let_go(&crowd, &part);
	KT_EXPECT(kt_page(va) == p && page_refs(p) == 1);
	KT_EQ(kt_peek(va), 1);
	KT_EQ(kt_peek(va + 8), 2);
	KT_EQ(kt_peek(va + 16), 3);
	mmput(child);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
}

/* The other owner leaves while the copy is made: the old page is nobody's then, and goes. */
KTEST_MM(race, copy_and_exit_of_the_other_owner)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { WRITE, va + 8, 2, false };
	struct kt_crowd crowd;
	struct mm *child;
	struct page *old;

	KT_ASSERT(va && kt_put(va, 1));
	old = kt_page(va);
	get_page(old);
	child = share(va, &part, &crowd);
	if (!child) {
		put_page(old);
		return;
	}
	mmput(child);
	KT_EQ(page_refs(old), 3);	/* the entry, the copying thread, the test */
	KT_EQ(page_mapcount(old), 1);
	let_go(&crowd, &part);
	KT_EQ(page_refs(old), 1);
	KT_EQ(page_mapcount(old), 0);
	put_page(old);
	KT_EQ(kt_peek(va), 1);
	KT_EQ(kt_peek(va + 8), 2);
}

static struct {
	uintptr_t va;
	u32 begun, done;
} unmapper;

static void unmap_it(void *unused, unsigned nr)
{
	__atomic_store_n(&unmapper.begun, 1, __ATOMIC_SEQ_CST);
	KT_EQ(kt_unmap(unmapper.va, 1), 0);
	__atomic_store_n(&unmapper.done, 1, __ATOMIC_SEQ_CST);
}

/* munmap needs mmap_lock exclusively, which the fault holds shared: it waits for it. */
KTEST_MM(race, copy_and_munmap)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { WRITE, va + 8, 2, false };
	struct kt_crowd crowd, other;
	struct mm *child;
	u64 end;

	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	KT_ASSERT(va && kt_put(va, 1));
	child = share(va, &part, &crowd);
	if (!child)
		return;
	unmapper.va = va;
	unmapper.begun = unmapper.done = 0;
	/* On CPU 2: the first thread of a crowd would share CPU 1 with the one that is held. */
	kt_crowd_start_on(&other, 2, 1, unmap_it, NULL);
	end = SOON;
	while (!__atomic_load_n(&unmapper.begun, __ATOMIC_SEQ_CST) && clock_ns() < end) {
		sched_yield();
		cpu_relax();
	}
	KT_EXPECT(unmapper.begun);
	end = clock_ns() + 5 * NSEC_PER_MSEC;
	while (clock_ns() < end) {
		sched_yield();
		cpu_relax();
	}
	KT_EXPECT(!__atomic_load_n(&unmapper.done, __ATOMIC_SEQ_CST));
	race_release();
	kt_crowd_join(&crowd);
	kt_crowd_join(&other);
	KT_EXPECT(unmapper.done);
	KT_EQ(kt_peek(va), KT_NOTHING);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 0);
	mmput(child);
}

/* ---- zap */

KTEST_MM(race, zap_and_fault)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { DROP, va, 0, false };
	struct kt_crowd crowd;
	struct page *old, *new;

	KT_ASSERT(va && kt_put(va, 1));
	old = kt_page(va);
	if (!hold(&crowd, "zap:after-unhook", &part))
		return;
	/* Unhooked, not flushed, not freed. */
	KT_EXPECT(pte_none(kt_pte(va)) && page_type(old) == PAGE_ANON);
	flush_tlb_page(current->mm, va);
	KT_EXPECT(kt_put(va, 5));
	new = kt_page(va);
	KT_EXPECT(new && new != old);
	let_go(&crowd, &part);
	KT_EXPECT(kt_page(va) == new && page_refs(new) == 1);
	KT_EQ(kt_peek(va), 5);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
}

/*
 * The second MADV_DONTNEED finds nothing to unhook, but may not return while this CPU can still use what the first one
 * unhooked.
 */
KTEST_MM(race, zap_and_zap)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { DROP, va, 0, false };
	struct kt_crowd crowd;

	KT_ASSERT(va);
	kt_make_plain(va);
	for (int round = 0; round < 5; round++) {
		KT_ASSERT(kt_put(va, 1) && kt_plain_read(va) == 1);
		if (!hold(&crowd, "zap:after-unhook", &part))
			return;
		KT_EQ(do_madvise(current->mm, va, PAGE_SIZE, MADV_DONTNEED), 0);
		KT_EXPECT(kt_plain_read(va) == KT_NOTHING);
		KT_EQ(kt_peek(va), 0);
		let_go(&crowd, &part);
		KT_EQ(kt_peek(va), 0);
	}
}

/*
 * The page has another owner, in whose address space nobody knows of our unfinished flush. He must not come to own it
 * alone before that: he would write into it, or give it back, while this CPU can still read it.
 */
static void other_owner(const char *point)
{
	uintptr_t va = kt_map(1, RW);
	struct part part = { DROP, va, 0, false };
	struct kt_crowd crowd;
	struct mm *child;
	struct page *p;
	u64 seen;

	KT_ASSERT(va);
	kt_make_plain(va);
	for (int leaves = 0; leaves < 2; leaves++) {
		KT_EXPECT(kt_put(va, 1));
		child = mm_dup(current->mm);
		KT_ASSERT(!IS_ERR(child));
		p = kt_page(va);
		KT_EQ(kt_plain_read(va), 1);
		if (!hold(&crowd, point, &part)) {
			mmput(child);
			return;
		}
		if (leaves) {
			mmput(child);
		} else {
			KT_EQ(handle_mm_fault(child, va, FAULT_WRITE), 0);
			*(u64 *)page_to_virt(pfn_to_page(pte_pfn(pte_load(pt_lookup(child, va))))) = 5;
		}
		seen = kt_plain_read(va);
		KT_EXPECT(seen == 1 || seen == KT_NOTHING);
		KT_EQ(page_type(p), PAGE_ANON);
		KT_EXPECT(page_refs(p) >= 1);
		let_go(&crowd, &part);
		KT_EQ(kt_peek(va), 0);
		if (!leaves)
			mmput(child);
	}
}

KTEST_MM(race, zap_and_the_other_owner)
{
	other_owner("zap:after-unhook");
}

/* The same when all is unhooked and gathered, and the flush is next. */
KTEST_MM(race, flush_and_the_other_owner)
{
	other_owner("gather:before-flush");
}

KTEST_MM(race, zap_and_fork)
{
	uintptr_t va = kt_map(2, RW);
	struct part part = { DROP, va, 0, false };
	struct kt_crowd crowd;
	struct mm *child = NULL;
	u64 v = 9;

	KT_ASSERT(va && !kt_fill(va, 2, 1));
	if (!hold(&crowd, "zap:after-unhook", &part))
		return;
	/* The dropper holds mmap_lock shared, fork wants it exclusively: only the other way round can it run now. */
	KT_EXPECT(!down_write_trylock(&current->mm->mmap_lock));
	let_go(&crowd, &part);
	child = mm_dup(current->mm);
	KT_ASSERT(!IS_ERR(child));
	KT_EQ(access_process_vm(child, va, &v, sizeof(v), false), sizeof(v));
	KT_EQ(v, 0);
	mmput(child);
}

/* ---- page allocator */

static struct page *taken;
static u32 take_now;
static int take_node;

static int take_block(void *unused)
{
	while (!READ_ONCE(take_now)) {
		cond_resched();
		cpu_relax();
	}
	taken = alloc_pages_node(take_node, 1, GFP_KERNEL);
	return 0;
}

/* Two buddies of order 1, allocated; both NULL if there is no such pair to be had. Many, since memory is in pieces. */
static void get_buddies(struct page **a, struct page **b)
{
	static struct page *held[512];
	unsigned n = 0;

	*a = *b = NULL;
	while (n < ARRAY_SIZE(held) && (held[n] = alloc_pages(1, GFP_KERNEL)))
		n++;
	for (unsigned i = 0; i < n && !*a; i++) {
		for (unsigned k = 0; k < n && held[i]; k++) {
			if (held[k] && page_to_pfn(held[k]) == (page_to_pfn(held[i]) ^ 2)) {
				*a = held[i];
				*b = held[k];
				held[i] = held[k] = NULL;
			}
		}
	}
	while (n)
		if (held[--n])
			free_pages(held[n], 1);
}

/* A block is off its list, and its descriptor not filled in yet. Its buddy comes back and must not merge with it. */
KTEST_MM(race, block_taken_and_buddy_freed)
{
	bool replayed = false, found = false;

	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	for (int tries = 0; tries < 10 && !replayed; tries++) {
		struct task *t;
		struct page *a, *b;

		taken = NULL;
		take_now = 0;
		t = kthread_run_on(1, take_block, NULL, "taker");
		KT_ASSERT(!IS_ERR(t));
		get_buddies(&a, &b);
		if (a) {
			found = true;
			take_node = (int)page_node(a);
			free_pages(a, 1);	/* what was freed last is taken first, if nobody else comes by */
			race_arm("palloc:block-taken");
			WRITE_ONCE(take_now, 1);
			KT_EQ(race_wait(SOON), 0);
			free_pages(b, 1);
			race_release();
		}
		WRITE_ONCE(take_now, 1);
		kthread_stop(t);
		replayed = taken && taken == a;
		/* Merged with its buddy, it would be handed out twice. */
		KT_EXPECT(!replayed || (page_type(b) == PAGE_BUDDY && page_order(b) == 1));
		if (taken)
			free_pages(taken, 1);
		palloc_check();
	}
	if (!found)
		kt_skip("memory is in pieces: no two free buddies");
	else
		KT_EXPECT(replayed);
}

/* ---- wake-ups */

static struct {
	struct wait_queue wq;
	u32 rounds, begin, go, woken;
} sleep_race;

static int sleeper(void *unused)
{
	for (u32 i = 1; i <= sleep_race.rounds; i++) {
		wait_event(&sleep_race.wq, READ_ONCE(sleep_race.go) >= i);
		__atomic_fetch_add(&sleep_race.woken, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static int waker(void *unused)
{
	for (u32 i = 1; i <= sleep_race.rounds; i++) {
		while (!READ_ONCE(sleep_race.begin) || READ_ONCE(sleep_race.woken) != i - 1) {
			cond_resched();
			cpu_relax();
		}
		WRITE_ONCE(sleep_race.go, i);
		wake_up(&sleep_race.wq);
	}
	return 0;
}

/*
 * The waker has seen that the sleeper sleeps and is not queued, and waits for it to be off its CPU. A wake-up that
 * comes then must not make it run twice, and none may be lost. In every other round it sleeps for certain before the
 * waker begins; in the others it may be on its way, and then the waker need not come by.
 */
KTEST_MM(race, wake_and_schedule)
{
	struct task *s, *w;
	u64 end;

	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	for (int round = 0; round < 10; round++) {
		bool asleep = round & 1;

		wait_queue_init(&sleep_race.wq);
		sleep_race.begin = sleep_race.go = sleep_race.woken = 0;
		sleep_race.rounds = 3;
		s = kthread_run_on(1, sleeper, NULL, "sleeper");
		w = kthread_run_on(2, waker, NULL, "waker");
		KT_ASSERT(!IS_ERR(s) && !IS_ERR(w));
		end = SOON;
		while (asleep && (READ_ONCE(s->on_rq) || READ_ONCE(s->on_cpu)) && clock_ns() < end)
			cpu_relax();
		race_arm_for("wake:before-on-cpu", w);
		WRITE_ONCE(sleep_race.begin, 1);
		if (asleep)
			KT_EQ(race_wait(SOON), 0);
		else
			(void)race_wait(clock_ns() + 20 * NSEC_PER_MSEC);
		end = clock_ns() + NSEC_PER_MSEC;
		while (clock_ns() < end)
			cpu_relax();
		race_release();
		wake_up(&sleep_race.wq);	/* one too many */
		KT_EQ(kthread_stop(w), 0);
		KT_EQ(kthread_stop(s), 0);
		KT_EQ(sleep_race.woken, 3);
	}
}

static struct {
	struct task *task;
	u32 asleep, go, waking, woken;
} exit_race;

/* Says that it sleeps, finds that it need not, and ends. */
static int nearly_sleeps(void *unused)
{
	u64 end = SOON;

	set_current_state(TASK_UNINTERRUPTIBLE);
	WRITE_ONCE(exit_race.asleep, 1);
	while (!READ_ONCE(exit_race.go) && clock_ns() < end)
		cpu_relax();
	set_current_state(TASK_RUNNING);
	return 0;
}

static int wakes_it(void *unused)
{
	u64 end = SOON;

	while (!READ_ONCE(exit_race.waking) && clock_ns() < end)
		cpu_relax();
	wake_up_task(exit_race.task);
	WRITE_ONCE(exit_race.woken, 1);
	return 0;
}

/* The waker has seen that the task sleeps. The task goes on by itself, and ends: it must not be woken from that. */
KTEST_MM(race, wake_and_exit)
{
	struct task *w;
	u64 end;

	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	for (int round = 0; round < 5; round++) {
		exit_race.asleep = exit_race.go = exit_race.waking = exit_race.woken = 0;
		w = kthread_run_on(2, wakes_it, NULL, "waker");
		KT_ASSERT(!IS_ERR(w));
		exit_race.task = kthread_run_on(1, nearly_sleeps, NULL, "ending");
		KT_ASSERT(!IS_ERR(exit_race.task));
		end = SOON;
		while (!READ_ONCE(exit_race.asleep) && clock_ns() < end)
			cpu_relax();
		race_arm_for("wake:seen-asleep", w);	/* timers wake others all the time */
		WRITE_ONCE(exit_race.waking, 1);
		KT_EQ(race_wait(SOON), 0);
		WRITE_ONCE(exit_race.go, 1);
		end = clock_ns() + 5 * NSEC_PER_MSEC;
		while (clock_ns() < end)
			cpu_relax();
		KT_EXPECT(!READ_ONCE(exit_race.woken));
		race_release();
		KT_EQ(kthread_stop(w), 0);
		KT_EQ(kthread_stop(exit_race.task), 0);
	}
}

/* Without a pause point, as often as time allows: the sleeper is woken while it is on its way to sleep. */
KTEST(race, wakes_are_not_lost)
{
	struct task *s, *w;

	for (unsigned cpu = 0; cpu < min(nr_cpus, 2u); cpu++) {
		wait_queue_init(&sleep_race.wq);
		sleep_race.go = sleep_race.woken = 0;
		sleep_race.begin = 1;
		sleep_race.rounds = 2000;
		s = kthread_run_on(cpu, sleeper, NULL, "sleeper");
		w = kthread_run_on(nr_cpus - 1, waker, NULL, "waker");
		KT_ASSERT(!IS_ERR(s) && !IS_ERR(w));
		kthread_stop(w);
		kthread_stop(s);
		KT_EQ(sleep_race.woken, 2000);
	}
}
