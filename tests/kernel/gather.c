/*
 * mmu_gather: unhook, flush, free, in this order. Batches, the bound, no memory for batches, several gathers on one mm,
 * blocks that come back whole.
 */
#include "mm/gather.h"

#include "kernel/cpu.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "mm/zap.h"
#include "tests/kernel/space.h"

#define RW (PROT_READ | PROT_WRITE)

/*
 * Read, so that the translation is cached here, unmap, read again: the TLB must have been told. Nothing else happens on
 * this CPU in between that would empty it.
 */
KTEST_MM(gather, unmapped_is_unreachable)
{
	const unsigned sizes[] = { 1, 2, 5, 40 };

	for (unsigned round = 0; round < 40; round++) {
		unsigned n = sizes[round % ARRAY_SIZE(sizes)];
		uintptr_t va = kt_map(n, RW);
		unsigned reached = 0;

		KT_ASSERT(va);
		kt_make_plain(va);
		KT_EXPECT(!kt_fill(va, n, round));
		KT_EQ(kt_plain_wrong(va, n, round), 0);
		KT_EQ(kt_unmap(va, n), 0);
		for (unsigned i = 0; i < n; i++)
			reached += kt_plain_read(va + i * PAGE_SIZE) != KT_NOTHING;
		if (reached) {
			kt_fail(__FILE__, __LINE__, "%u of %u pages can still be read after munmap", reached, n);
			return;
		}
	}
}

KTEST_MM(gather, dropped_reads_zero)
{
	uintptr_t va = kt_map(30, RW);

	KT_ASSERT(va);
	for (unsigned round = 1; round < 30; round++) {
		KT_EXPECT(!kt_fill(va, 30, round));
		KT_EQ(do_madvise(current->mm, va + PAGE_SIZE, round * PAGE_SIZE, MADV_DONTNEED), 0);
		KT_EQ(kt_peek(va), round);
		for (unsigned i = 1; i < 30; i++)
			KT_EQ(kt_peek(va + i * PAGE_SIZE), i <= round ? 0 : round + i);
	}
}

/* ---- batches */

KTEST_MM(gather, thousands_of_pages)
{
	const unsigned n = GATHER_MAX_PAGES + 3000;
	uintptr_t va = kt_map(n, RW);
	u64 free = kt_free_pages(), gathered, batches, flushes;

	kt_set("vm.gather_runs", "0");
	kt_set("vm.free_async", "off");
	KT_ASSERT(va && !kt_fill(va, n, 0));
	KT_EXPECT(free - kt_free_pages() >= n);
	gathered = vm_event_sum(VME_gather_pages);
	batches = vm_event_sum(VME_gather_batches);
	flushes = vm_event_sum(VME_gather_flushes);
	KT_EQ(kt_unmap(va, n), 0);
	KT_EQ(vm_event_sum(VME_gather_pages) - gathered, n);
	KT_EXPECT(vm_event_sum(VME_gather_batches) - batches >= n * sizeof(void *) / PAGE_SIZE);
	flushes = vm_event_sum(VME_gather_flushes) - flushes;
	KT_EXPECT(flushes >= 2 && flushes <= 5);	/* bounded, but not many */
	KT_EQ(kt_free_pages(), free);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 0);
}

/* The same at the end of an address space, whose pages nobody unmaps one by one. */
static void fill_and_leave(void *arg)
{
	uintptr_t va = kt_map(6000, RW);

	KT_ASSERT(va && !kt_fill(va, 6000, 0));
	for (unsigned i = 0; i < 6000; i += 7)
		KT_EQ(kt_unmap(va + i * PAGE_SIZE, 1), 0);
}

KTEST(gather, exit_frees_everything)
{
	u64 gathered = vm_event_sum(VME_gather_pages);

	kt_in_mm(fill_and_leave, NULL);
	KT_EQ(vm_event_sum(VME_gather_pages) - gathered, 6000);
}

/* No page for a batch: pages are freed in handfuls, and all of them. */
KTEST_MM(gather, no_memory_for_batches)
{
	const unsigned n = 700;
	u64 free, refused, flushes;
	uintptr_t va;

	kt_set("vm.gather_runs", "0");
	for (int shared = 0; shared < 2; shared++) {
		if (shared)
			mmget(current->mm);	/* not the only user: tables wait for RCU */
		va = kt_map(n, RW);
		free = kt_free_pages();
		KT_ASSERT(va && !kt_fill(va, n, 0));
		refused = vm_event_sum(VME_gather_no_batch);
		flushes = vm_event_sum(VME_gather_flushes);
		palloc_fail(0, ~0u);
		KT_EQ(kt_unmap(va, n), 0);
		palloc_fail(0, 0);
		refused = vm_event_sum(VME_gather_no_batch) - refused;
		KT_EXPECT(refused >= n / GATHER_BUNDLE - 1);
		KT_EXPECT(vm_event_sum(VME_gather_flushes) - flushes >= n / GATHER_BUNDLE - 1);
		rcu_barrier();
		KT_EQ(kt_free_pages(), free);
		KT_EQ(kt_peek(va), KT_NOTHING);
		if (shared)
			mmput(current->mm);
	}
}

/* Some batches are to be had and some not, at every place. */
KTEST_MM(gather, memory_runs_out_in_the_middle)
{
	for (unsigned skip = 0; skip < 8; skip++) {
		uintptr_t va = kt_map(2500, RW);
		u64 free = kt_free_pages();

		KT_ASSERT(va && !kt_fill(va, 2500, 0));
		kt_set("vm.gather_runs", skip & 1 ? "1" : "0");
		palloc_fail(skip / 2, 1 + skip / 2);
		KT_EQ(kt_unmap(va, 2500), 0);
		palloc_fail(0, 0);
		KT_EQ(kt_free_pages(), free);
	}
}

/* ---- order */

static void zap(struct mmu_gather *g, uintptr_t va, unsigned pages)
{
	zap_range(g, va, va + pages * PAGE_SIZE);
}

KTEST_MM(gather, pages_wait_for_the_flush)
{
	uintptr_t va = kt_map(20, RW);
	struct mmu_gather g;
	struct page *p[20];
	u64 free, flushes;

	KT_ASSERT(va && !kt_fill(va, 20, 0));
	for (unsigned i = 0; i < 20; i++)
		p[i] = kt_page(va + i * PAGE_SIZE);
	down_read(&current->mm->mmap_lock);
	free = kt_free_pages();
	flushes = vm_event_sum(VME_gather_flushes);
	gather_begin(&g, current->mm, false);
	zap(&g, va, 20);
	KT_EXPECT(kt_free_pages() <= free);
	KT_EQ(vm_event_sum(VME_gather_flushes), flushes);
	for (unsigned i = 0; i < 20; i++) {
		KT_EXPECT(pte_none(kt_pte(va + i * PAGE_SIZE)));
		KT_EQ(page_refs(p[i]), 0);
		KT_EXPECT(page_type(p[i]) == PAGE_ANON);	/* nobody's, but not free either */
	}
	gather_end(&g);
	up_read(&current->mm->mmap_lock);
	KT_EQ(vm_event_sum(VME_gather_flushes), flushes + 1);
	KT_EQ(kt_free_pages(), free + 20);
	for (unsigned i = 0; i < 20; i++)
		KT_EXPECT(page_type(p[i]) == PAGE_PCP || page_type(p[i]) == PAGE_BUDDY ||
			  page_type(p[i]) == PAGE_RESERVED);
}

/* A gather that found nothing flushes nothing; one that unhooked pages others still map frees none. */
KTEST_MM(gather, nothing_to_do)
{
	uintptr_t va = kt_map(4, RW);
	struct mmu_gather g;
	u64 free, flushes;
	struct page *p;

	KT_ASSERT(va);
	flushes = vm_event_sum(VME_gather_flushes);
	down_read(&current->mm->mmap_lock);
	gather_begin(&g, current->mm, false);
	zap(&g, va, 4);
	gather_end(&g);
	up_read(&current->mm->mmap_lock);
	KT_EQ(vm_event_sum(VME_gather_flushes), flushes);
	KT_EXPECT(kt_put(va, 1));
	p = kt_page(va);
	get_page(p);
	free = kt_free_pages();
	KT_EQ(do_madvise(current->mm, va, PAGE_SIZE, MADV_DONTNEED), 0);
	KT_EQ(kt_free_pages(), free);
	KT_EQ(page_refs(p), 1);
	KT_EQ(*(u64 *)page_to_virt(p), 1);
	put_page(p);
	KT_EQ(kt_free_pages(), free + 1);
}

/*
 * Two gathers at once on one mm, as by two threads in MADV_DONTNEED: the second finds the entries gone that the first
 * unhooked, and must not end before nobody can use them, although the first has not flushed yet.
 */
KTEST_MM(gather, second_gather_flushes_for_the_first)
{
	struct mm *mm = mmget(current->mm);	/* not the only user */
	uintptr_t va = kt_map(3, RW);
	struct mmu_gather first, second;

	KT_ASSERT(va);
	kt_make_plain(va);
	for (unsigned round = 0; round < 20; round++) {
		u64 whole;

		KT_EXPECT(!kt_fill(va, 3, round));
		KT_EQ(kt_plain_wrong(va, 3, round), 0);
		down_read(&mm->mmap_lock);
		gather_begin(&first, mm, false);
		zap(&first, va, 3);
		KT_EQ(atomic_read(&mm->tlb_pending), 1);
		gather_begin(&second, mm, false);
		zap(&second, va, 3);
		KT_EQ(atomic_read(&mm->tlb_pending), 2);
		/* All of it: what else the first one may have unhooked, nobody knows. */
		whole = vm_event_sum(VME_tlb_flush_local_full);
		gather_end(&second);
		KT_EQ(vm_event_sum(VME_tlb_flush_local_full), whole + 1);
		for (unsigned i = 0; i < 3; i++)
			KT_EXPECT(kt_plain_read(va + i * PAGE_SIZE) == KT_NOTHING);
		gather_end(&first);
		KT_EQ(atomic_read(&mm->tlb_pending), 0);
		up_read(&mm->mmap_lock);
		KT_EQ(kt_peek(va), 0);
	}
	mmput(mm);
}

/* The same with so many pages that both hand chains to workers, one while the other goes on unhooking. */
KTEST_MM(gather, nested_gathers_hand_over)
{
	static const char *const policies[] = { "off", "batch", "node", "zap" };
	struct mm *mm = mmget(current->mm);
	const unsigned n = 4000;

	kt_set("vm.gather_runs", "0");
	kt_set("vm.free_async_threshold", "600");
	for (unsigned policy = 0; policy < ARRAY_SIZE(policies); policy++) {
		struct mmu_gather first, second;
		uintptr_t va = kt_map(n, RW);
		u64 gathered, works, freed;

		kt_set("vm.free_async", policies[policy]);
		KT_ASSERT(va && !kt_fill(va, n, 0));
		gathered = vm_event_sum(VME_gather_pages);
		works = vm_event_sum(VME_free_async_works);
		freed = vm_event_sum(VME_pgfree);
		down_read(&mm->mmap_lock);
		gather_begin(&first, mm, false);
		zap(&first, va, 1300);
		gather_begin(&second, mm, false);
		zap(&second, va, n);		/* a part of it is gone already */
		zap(&first, va, n);
		gather_end(&second);
		KT_EQ(atomic_read(&mm->tlb_pending), 1);
		gather_end(&first);
		up_read(&mm->mmap_lock);
		KT_EQ(atomic_read(&mm->tlb_pending), 0);
		KT_EQ(vm_event_sum(VME_gather_pages) - gathered, n);
		KT_EXPECT(vm_event_sum(VME_pgfree) - freed >= n);
		works = vm_event_sum(VME_free_async_works) - works;
		KT_EXPECT(policy ? works >= 3 : !works);
		KT_EQ(kt_unmap(va, n), 0);
	}
	mmput(mm);
}

struct droppers {
	uintptr_t va;
	unsigned pages;
	u32 wrong;
};

static void drop_and_fill(void *arg, unsigned nr)
{
	struct droppers *d = arg;

	for (u64 round = 0; round < 25; round++) {
		unsigned first = (nr * 7 + (unsigned)round * 3) % d->pages,
			 n = 1 + (unsigned)round % (d->pages - first);

		if (do_madvise(current->mm, d->va + first * PAGE_SIZE, n * PAGE_SIZE, MADV_DONTNEED))
			d->wrong++;
		for (unsigned i = 0; i < d->pages; i++) {
			uintptr_t va = d->va + i * PAGE_SIZE;
			u64 v = kt_peek(va);

			/* What any thread wrote there, or zero; never what was in a page that was freed. */
			if (v && v >> 32 != 0x900d0000u + i)
				__atomic_fetch_add(&d->wrong, 1, __ATOMIC_RELAXED);
			if (!kt_put(va, (0x900d0000ull + i) << 32 | round))
				__atomic_fetch_add(&d->wrong, 1, __ATOMIC_RELAXED);
		}
		cond_resched();
	}
}

KTEST_MM(gather, several_threads_drop_at_once)
{
	struct droppers d = { .pages = 24, .va = kt_map(24, RW) };
	struct kt_crowd crowd;

	KT_ASSERT(d.va);
	kt_crowd_start(&crowd, min(2 * nr_cpus, 8u), drop_and_fill, &d);
	kt_crowd_join(&crowd);
	KT_EQ(d.wrong, 0);
}

/* ---- what comes back */

KTEST_MM(gather, blocks_come_back_whole)
{
	const unsigned n = 4096;
	struct page *p[4];
	u64 large[2] = { 0, 0 };
	uintptr_t va;

	/* Written blocks to take the pages from, so that one set of lists is all that matters. */
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = alloc_pages(11, GFP_KERNEL);
	for (unsigned i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i])
			free_pages(p[i], 11);
	va = kt_map(n, RW);
	KT_ASSERT(va && !kt_fill(va, n, 0));	/* afterwards the tables are there, and stay */
	KT_EQ(do_madvise(current->mm, va, n * PAGE_SIZE, MADV_DONTNEED), 0);
	for (unsigned round = 0; round < 2; round++) {
		drain_pcp();
		for (unsigned o = 9; o <= MAX_ORDER; o++)
			large[round] += palloc_free_blocks(o) << o;
		if (!round) {
			KT_EXPECT(!kt_fill(va, n, 0));
			KT_EQ(do_madvise(current->mm, va, n * PAGE_SIZE, MADV_DONTNEED), 0);
		}
	}
	KT_EXPECT(large[1] + 512 >= large[0]);
}
