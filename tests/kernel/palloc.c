/*
 * The page allocator: split and merge, exhaustion, known-zero tracking, bulk free, all CPUs at once, failure injection.
 * Sets of blocks that may have been written and blocks known to be zero do not merge with each other, so tests that
 * compare free lists keep to one set.
 */
#include "mm/palloc.h"

#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/wait.h"
#include "lib/bits.h"
#include "lib/err.h"
#include "lib/random.h"
#include "lib/sort.h"
#include "lib/string.h"
#include "mm/vmstat.h"
#include "tests/kernel/ktest.h"

#define SINGLES 1000

static struct page *pages[SINGLES];

struct lists {
	u64 blocks[MAX_ORDER + 1];
};

static void read_lists(struct lists *l)
{
	drain_pcp();
	palloc_check();
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		l->blocks[o] = palloc_free_blocks(o);
}

static void expect_lists(const struct lists *before)
{
	struct lists now;

	read_lists(&now);
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		if (now.blocks[o] != before->blocks[o])
			kt_fail(__FILE__, __LINE__, "order %u: %llu free blocks, %llu before", o, now.blocks[o],
				before->blocks[o]);
}

/* Enough written memory in few blocks that the singles of a test come out of it. */
static void make_dirty_blocks(void)
{
	struct page *p[3];

	for (unsigned i = 0; i < 3; i++)
		p[i] = alloc_pages(9, GFP_KERNEL);
	for (unsigned i = 0; i < 3; i++)
		if (p[i])
			free_pages(p[i], 9);
}

static void shuffle(struct page **p, unsigned n, struct prng *rng)
{
	for (unsigned i = n - 1; i > 0; i--) {
		unsigned j = (unsigned)prng_below(rng, i + 1);
		struct page *t = p[i];

		p[i] = p[j];
		p[j] = t;
	}
}

static int by_frame(const void *a, const void *b)
{
	struct page *const *x = a, *const *y = b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned get_singles(unsigned n, unsigned gfp)
{
	for (unsigned i = 0; i < n; i++) {
		pages[i] = alloc_page(gfp);
		if (!pages[i])
			return i;
	}
	return n;
}

/*
 * A block that the test does not touch and nobody clears or fills, so that large ones cost nothing: known zero if most
 * of memory is, else with whatever it holds.
 */
static struct page *alloc_untouched(unsigned order, unsigned gfp)
{
	bool zero = nr_zero_pages() > nr_free_pages() / 2;
	struct page *p = alloc_pages(order, gfp | (zero ? GFP_ZERO | GFP_TRACKED : 0));

	if (p && !zero)
		page_set_flag(p, PG_POISON);
	return p;
}

/* ---- blocks */

KTEST(palloc, every_order)
{
	for (unsigned order = 0; order <= MAX_ORDER; order++) {
		struct page *p = order <= 12 ? alloc_pages(order, GFP_KERNEL) : alloc_untouched(order, GFP_KERNEL);
		u64 free = nr_free_pages(), *first, *last;

		if (!p) {
			KT_EXPECT(order > 10);
			continue;
		}
		KT_EXPECT(is_aligned(page_to_pfn(p), 1ull << order));
		KT_EQ(page_order(p), order);
		KT_EQ(page_refs(p), 1);
		KT_EQ(page_mapcount(p), 0);
		KT_EQ(page_type(p), PAGE_KERNEL);
		KT_EXPECT(page_node(p) < nr_nodes);
		first = page_to_virt(p);
		last = (u64 *)((char *)first + (PAGE_SIZE << order)) - 1;
		if (order <= 12) {
			*first = 1;
			*last = 2;
		}
		free_pages(p, order);
		KT_EQ(nr_free_pages() - free, 1ull << order);
	}
	KT_EXPECT(!alloc_pages(MAX_ORDER + 1, GFP_KERNEL) && !alloc_pages(31, GFP_KERNEL));
}

static void split_and_merge(int how)
{
	struct lists before;
	struct prng rng;
	unsigned n;

	prng_seed(&rng, kt_seed() + (u64)how);
	make_dirty_blocks();
	read_lists(&before);
	n = get_singles(SINGLES, GFP_KERNEL);
	KT_EQ(n, SINGLES);
	if (how == 1)
		sort(pages, n, sizeof(pages[0]), by_frame);
	if (how == 2)
		shuffle(pages, n, &rng);
	while (n)
		free_page(pages[--n]);
	expect_lists(&before);
}

KTEST(palloc, split_and_merge)
{
	for (int how = 0; how < 3; how++)
		split_and_merge(how);
}

KTEST(palloc, mixed_orders_merge_again)
{
	unsigned orders[128];
	struct lists before;
	struct prng rng;
	unsigned n = 0;

	prng_seed(&rng, kt_seed());
	make_dirty_blocks();
	read_lists(&before);
	for (; n < ARRAY_SIZE(orders); n++) {
		orders[n] = (unsigned)prng_below(&rng, 4);
		pages[n] = alloc_pages(orders[n], GFP_KERNEL);
		if (!pages[n])
			break;
	}
	KT_EQ(n, ARRAY_SIZE(orders));
	for (unsigned i = 0; i < n; i++)
		free_pages(pages[i], orders[i]);
	expect_lists(&before);
}

static bool is_free_block(unsigned order)
{
	while (order <= MAX_ORDER && !palloc_free_blocks(order))
		order++;
	return order <= MAX_ORDER;
}

/* Everything, large blocks first; of one that is too large for the reserve, parts. */
static struct page *take_all(unsigned gfp, unsigned smallest)
{
	struct page *list = NULL, *p;

	for (unsigned order = MAX_ORDER + 1; order-- > smallest;) {
		/* Not asked for in vain: that would join known-zero blocks with others. */
		while (is_free_block(order) && (p = alloc_untouched(order, gfp))) {
			p->private = list;
			list = p;
		}
	}
	return list;
}

static void give_back(struct page *list)
{
	while (list) {
		struct page *next = list->private;

		free_pages(list, page_order(list));
		list = next;
	}
}

KTEST(palloc, exhaustion_and_recovery)
{
	u64 free = nr_free_pages();
	struct lists before;
	struct page *all, *last;

	drain_pcp();
	read_lists(&before);
	all = take_all(GFP_NOWAIT, 0);
	KT_EXPECT(!alloc_page(GFP_NOWAIT));
	KT_EXPECT(!alloc_pages(1, GFP_NOWAIT) && !alloc_pages(9, GFP_KERNEL));
	KT_EXPECT(nr_free_pages() < free / 50);
	/* The reserve is for those who can not wait. */
	last = alloc_page(GFP_ATOMIC);
	KT_EXPECT(last);
	if (last)
		free_page(last);
	give_back(all);
	KT_EQ(nr_free_pages(), free);
	palloc_check();
	/* What could be had before can be had again. */
	for (unsigned o = 0; o <= MAX_ORDER; o++) {
		struct page *p = before.blocks[o] ? alloc_untouched(o, GFP_KERNEL) : NULL;

		KT_EXPECT(p || !before.blocks[o]);
		if (p)
			free_pages(p, o);
	}
}

/* A large request joins written and known-zero blocks when nothing else is left. */
KTEST(palloc, sets_are_joined_for_large_requests)
{
	struct page *all, *p = alloc_pages(10, GFP_KERNEL | GFP_ZERO | GFP_TRACKED), *half;

	KT_ASSERT(p);
	drain_pcp();
	all = take_all(GFP_ATOMIC, 9);
	/* The only block of its size; one half of it is written and can not merge with the other. */
	free_pages(p, 10);
	half = alloc_pages(9, GFP_ATOMIC | GFP_ZERO | GFP_TRACKED);
	KT_EXPECT(half == p || half == p + 512);
	if (half) {
		page_clear_flag(half, PG_ZERO);
		free_pages(half, 9);
		half = alloc_pages(10, GFP_ATOMIC | GFP_ZERO);
		KT_EXPECT(half);	/* p again, unless smaller blocks elsewhere could be joined too */
	}
	if (half) {
		KT_EXPECT(!memchr_inv(page_to_virt(half), 0, PAGE_SIZE << 10));
		free_pages(half, 10);
	}
	give_back(all);
}

/* ---- contents */

KTEST(palloc, zeroed_means_zero)
{
	for (int round = 0; round < 3; round++) {
		unsigned n = get_singles(300, GFP_KERNEL);

		for (unsigned i = 0; i < n; i++)
			memset(page_to_virt(pages[i]), 0x11 + round, PAGE_SIZE);
		while (n)
			free_page(pages[--n]);
		n = get_singles(500, GFP_KERNEL | GFP_ZERO);
		KT_EQ(n, 500);
		for (unsigned i = 0; i < n; i++)
			KT_EXPECT(!memchr_inv(page_to_virt(pages[i]), 0, PAGE_SIZE));
		while (n)
			free_page(pages[--n]);
	}
	for (unsigned order = 1; order < 8; order++) {
		char *p = alloc_kpages(order, GFP_KERNEL);

		KT_ASSERT(p);
		memset(p, 0x77, PAGE_SIZE << order);
		free_kpages(p, order);
		p = alloc_kpages(order, GFP_KERNEL | GFP_ZERO);
		KT_ASSERT(p);
		KT_EXPECT(!memchr_inv(p, 0, PAGE_SIZE << order));
		free_kpages(p, order);
	}
}

KTEST(palloc, known_zero_is_tracked)
{
	struct page *p = alloc_page(GFP_KERNEL | GFP_ZERO);
	u64 zero, skipped;
	unsigned n;

	KT_ASSERT(p);
	KT_EXPECT(!page_flag(p, PG_ZERO));	/* not asked for: a writer need not know the flag */
	free_page(p);
	p = alloc_page(GFP_KERNEL | GFP_ZERO | GFP_TRACKED);
	KT_ASSERT(p);
	KT_EXPECT(page_flag(p, PG_ZERO));
	free_page(p);
	/* Untouched ones come back as known zero, and are handed out again without clearing. */
	drain_pcp();
	zero = nr_zero_pages();
	n = get_singles(200, GFP_KERNEL | GFP_ZERO | GFP_TRACKED);
	KT_EQ(n, 200);
	while (n)
		free_page(pages[--n]);
	drain_pcp();
	KT_EXPECT(nr_zero_pages() >= zero);
	n = get_singles(64, GFP_KERNEL | GFP_ZERO | GFP_TRACKED);
	while (n)
		free_page(pages[--n]);
	skipped = vm_event_sum(VME_pgzero_skipped);
	n = get_singles(64, GFP_KERNEL | GFP_ZERO);
	KT_EQ(vm_event_sum(VME_pgzero_skipped) - skipped, n);
	/* Written ones, whose writer says so, do not. */
	for (unsigned i = 0; i < n; i++) {
		KT_EXPECT(!memchr_inv(page_to_virt(pages[i]), 0, PAGE_SIZE));
		memset(page_to_virt(pages[i]), 0x42, PAGE_SIZE);
		page_clear_flag(pages[i], PG_ZERO);
	}
	while (n)
		free_page(pages[--n]);
	n = get_singles(128, GFP_KERNEL | GFP_ZERO);
	for (unsigned i = 0; i < n; i++)
		KT_EXPECT(!memchr_inv(page_to_virt(pages[i]), 0, PAGE_SIZE));
	while (n)
		free_page(pages[--n]);
}

/* ---- bulk free */

enum { ASCENDING, DESCENDING, SHUFFLED, MIXED, NR_ORDERINGS };

static u64 runs[ARRAY_SIZE(pages)];

/* pages[] as the gather hands it over: each by itself, or neighbours together. */
static unsigned make_runs(unsigned n, bool merge)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		u32 flags = page_flag(pages[i], PG_ZERO) ? RUN_ZERO : 0;
		u64 pfn = page_to_pfn(pages[i]);

		if (merge && k && run_pfn(runs[k - 1]) + run_pages(runs[k - 1]) == pfn &&
		    run_flags(runs[k - 1]) == flags)
			runs[k - 1]++;
		else
			runs[k++] = page_run(pfn, 1, flags);
	}
	return k;
}

static bool is_one_of(const struct page *p, struct page **of, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (of[i] == p)
			return true;
	return false;
}

/*
 * Known-zero pages whose neighbours are in use, as page tables leave them behind: they come next, before anything is
 * cleared and before large blocks are broken up.
 */
KTEST(palloc, crumbs_of_zero_memory_are_used)
{
	static struct page *crumbs[SINGLES / 2], *got[SINGLES / 2];
	unsigned n = get_singles(SINGLES, GFP_KERNEL | GFP_ZERO | GFP_TRACKED), k = 0, found = 0;
	unsigned long flags;

	KT_EQ(n, SINGLES);
	sort(pages, n, sizeof(pages[0]), by_frame);
	drain_pcp();
	flags = irq_save();	/* no other CPU's stacks, and nobody else on this one's */
	for (unsigned i = 0; i + 1 < n; i++)
		if (page_to_pfn(pages[i]) % 2 == 0 && pages[i + 1] == pages[i] + 1 &&
		    page_node(pages[i]) == this_cpu()->mem_node)
			crumbs[k++] = pages[i];
	for (unsigned i = 0; i < k; i++)
		free_pages_bulk(crumbs[i], 0);
	for (unsigned i = 0; i < k; i++) {
		got[i] = alloc_page(GFP_NOWAIT | GFP_ZERO);
		found += got[i] && is_one_of(got[i], crumbs, k);
	}
	irq_restore(flags);
	KT_EXPECT(k > SINGLES / 8);
	KT_EQ(found, k);
	for (unsigned i = 0; i < k; i++)
		if (got[i])
			free_page(got[i]);
	for (unsigned i = 0; i < n; i++)
		if (!is_one_of(pages[i], crumbs, k))
			free_page(pages[i]);
}

KTEST(palloc, bulk_free)
{
	struct prng rng;

	prng_seed(&rng, kt_seed());
	for (int how = 0; how < NR_ORDERINGS; how++) {
		unsigned sizes[] = { 1, 2, 63, 64, 200, 700 };

		for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
			struct lists before;
			unsigned n = sizes[s];
			u64 free;

			make_dirty_blocks();
			read_lists(&before);
			free = nr_free_pages();
			KT_EQ(get_singles(n, how == MIXED ? GFP_KERNEL | GFP_ZERO | GFP_TRACKED : GFP_KERNEL), n);
			KT_EQ(free - nr_free_pages(), n);
			sort(pages, n, sizeof(pages[0]), by_frame);
			for (unsigned i = 0; how == DESCENDING && i < n / 2; i++) {
				struct page *t = pages[i];

				pages[i] = pages[n - 1 - i];
				pages[n - 1 - i] = t;
			}
			if (how >= SHUFFLED)
				shuffle(pages, n, &rng);
			for (unsigned i = 0; i < n; i++) {
				if (how == MIXED && i % 3 == 0) {
					*(u64 *)page_to_virt(pages[i]) = 1;
					page_clear_flag(pages[i], PG_ZERO);
				}
				atomic64_sub(PAGE_REF_ONE, &pages[i]->state);
			}
			free_page_runs(runs, make_runs(n, s % 2), s % 3 == 0);
			KT_EQ(nr_free_pages(), free);
			if (how != MIXED)
				expect_lists(&before);
			palloc_check();
		}
	}
}

/* ---- all CPUs */

#define HELD 24

static u32 bad;

static void stamp(struct page *p, unsigned order, u64 tag)
{
	for (u64 i = 0; i < 1ull << order; i++) {
		u64 *w = page_to_virt(p + i);

		w[0] = w[511] = tag + i;
	}
}

static void check_stamp(struct page *p, unsigned order, u64 tag)
{
	for (u64 i = 0; i < 1ull << order; i++) {
		u64 *w = page_to_virt(p + i);

		if (w[0] != tag + i || w[511] != tag + i)
			__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	}
}

static int churn(void *arg)
{
	struct page *held[HELD] = { NULL };
	unsigned orders[HELD];
	u64 tags[HELD];
	struct prng rng;

	prng_seed(&rng, kt_seed() * 1000 + (u64)current->pid);
	for (int k = 0; k < 500; k++) {
		unsigned i = (unsigned)prng_below(&rng, HELD);

		if (held[i]) {
			check_stamp(held[i], orders[i], tags[i]);
			free_pages(held[i], orders[i]);
			held[i] = NULL;
			continue;
		}
		orders[i] = prng_below(&rng, 4) ? 0 : (unsigned)prng_below(&rng, 5);
		tags[i] = prng_next(&rng);
		held[i] = alloc_pages(orders[i], GFP_KERNEL);
		if (held[i])
			stamp(held[i], orders[i], tags[i]);
		if (k % 64 == 0)
			cond_resched();
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (held[i]) {
			check_stamp(held[i], orders[i], tags[i]);
			free_pages(held[i], orders[i]);
		}
	}
	return 0;
}

KTEST(palloc, all_cpus_at_once)
{
	bad = 0;
	KT_EQ(kt_threads(2 * nr_cpus, churn, NULL), 0);
	KT_EQ(bad, 0);
	palloc_check();
}

/* ---- failures, statistics, references */

static int allocate_one(void *go)
{
	struct page *p;

	wait_for_completion(go);
	p = alloc_page(GFP_KERNEL);
	if (p)
		free_page(p);
	else
		bad++;
	return 0;
}

/* So many allocations of this task fail, and none of another one. */
KTEST(palloc, failure_injection)
{
	struct completion go = COMPLETION_INIT(go);
	struct task *other = kthread_run(allocate_one, &go, "other");
	struct page *p;

	KT_ASSERT(!IS_ERR(other));
	bad = 0;
	palloc_fail(0, 1);
	complete(&go);
	kthread_stop(other);
	KT_EXPECT(!alloc_page(GFP_KERNEL));
	palloc_fail(2, 2);
	for (int i = 0; i < 6; i++) {
		p = alloc_pages(i & 1, GFP_KERNEL);
		KT_EQ(!p, i == 2 || i == 3);
		if (p)
			free_pages(p, i & 1);
	}
	palloc_fail(0, 0);
	KT_EQ(bad, 0);
}

KTEST(palloc, statistics)
{
	u64 sum = 0, total = 0, free = nr_free_pages();
	struct page *p;

	for (unsigned i = 0; i < nr_nodes; i++)
		total += node_total_pages(i);
	KT_EQ(total, nr_total_pages());
	KT_EXPECT(free <= total);
	p = alloc_pages(3, GFP_KERNEL);
	KT_ASSERT(p);
	KT_EQ(free - nr_free_pages(), 8);
	free_pages(p, 3);
	drain_pcp();
	KT_EQ(nr_free_pages(), free);
	for (unsigned i = 0; i < nr_nodes; i++)
		sum += node_free_pages(i);
	KT_EQ(sum, free);
	sum = 0;
	for (unsigned o = 0; o <= MAX_ORDER; o++)
		sum += palloc_free_blocks(o) << o;
	KT_EQ(sum, free);
}

KTEST(palloc, references)
{
	struct page *p = alloc_pages(2, GFP_KERNEL | GFP_COMPOUND);
	u64 free;

	KT_ASSERT(p);
	free = nr_free_pages();
	get_page(p);
	KT_EQ(page_refs(p), 2);
	KT_EXPECT(try_get_page(p));
	put_page(p);
	put_page(p + 3);	/* a tail's references are its head's */
	KT_EQ(page_refs(p), 1);
	KT_EXPECT(page_dup_map(p));
	KT_EQ(page_mapcount(p), 1);
	KT_EQ(page_refs(p), 2);
	KT_EXPECT(!state_is_last(page_drop_map(p)));
	KT_EQ(nr_free_pages(), free);
	put_page(p + 1);
	KT_EQ(nr_free_pages(), free + 4);
	KT_EXPECT(!try_get_page(p));
}
