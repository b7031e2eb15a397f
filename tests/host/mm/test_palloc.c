/*
 * The page allocator against a list: random allocations of all orders, from CPUs in turn, freed one by one or in bulk.
 * No frame is handed out twice; what was written stays; what was asked for as zero is zero; everything comes back and
 * merges.
 */
#include <stdlib.h>

#include "lib/string.h"
#include "mm/palloc.h"
#include "tests/host/mm/test.h"

#define MAX_LIVE 3000

struct live {
	struct page *p;
	unsigned order;
	u64 stamp;
};

static struct live live[MAX_LIVE];
static unsigned nr_live;
static u64 live_pages;
static u8 *owned;	/* by frame */

static void stamp_block(const struct live *l, bool check)
{
	for (u64 i = 0; i < 1ull << l->order; i++) {
		u64 *w = page_to_virt(l->p + i);

		if (check)
			CHECK(w[0] == l->stamp + i && w[511] == ~(l->stamp + i), "frame %#llx was written by somebody",
			      page_to_pfn(l->p + i));
		w[0] = l->stamp + i;
		w[511] = ~(l->stamp + i);
	}
}

static void alloc_one(struct run *r)
{
	unsigned order = chance(r, 70) ? 0 : (unsigned)rnd(r, chance(r, 10) ? 11 : 5);
	unsigned gfp = (chance(r, 40) ? GFP_ZERO : 0) | (chance(r, 20) ? GFP_ATOMIC : 0) |
		       (chance(r, 30) ? GFP_COMPOUND : 0);
	struct live *l = &live[nr_live];
	u64 before = nr_free_pages();

	if (nr_live == MAX_LIVE)
		return;
	if (chance(r, 10)) {
		int node = (int)rnd(r, nr_nodes);

		l->p = alloc_pages_node(node, order, gfp | GFP_THISNODE);
		if (!l->p)
			return;
		CHECK(page_node(l->p) == (unsigned)node, "a page of node %u instead of %d", page_node(l->p), node);
	} else {
		l->p = alloc_pages(order, gfp);
	}
	if (!l->p) {
		/* Other CPUs' lists are out of reach; a 256th is the reserve. */
		CHECK(order || before < nr_total_pages() / 128 + (nr_cpus - 1) * 512, "no page although %llu are free",
		      before);
		return;
	}
	l->order = order;
	l->stamp = prng_next(&r->rng);
	CHECK(is_aligned(page_to_pfn(l->p), 1ull << order), "block %#llx of order %u", page_to_pfn(l->p), order);
	CHECK(page_refs(l->p) == 1 && !page_mapcount(l->p) && page_type(l->p) == PAGE_KERNEL &&
		      page_order(l->p) == order,
	      "state %#llx word %#llx", page_state(l->p), l->p->word);
	for (u64 i = 0; i < 1ull << order; i++) {
		u64 pfn = page_to_pfn(l->p + i);

		CHECK(!owned[pfn], "frame %#llx handed out twice", pfn);
		owned[pfn] = 1;
		if (gfp & GFP_ZERO)
			CHECK(!memchr_inv(page_to_virt(l->p + i), 0, PAGE_SIZE), "frame %#llx is not zero", pfn);
		if (i && gfp & GFP_COMPOUND)
			CHECK(page_type(l->p + i) == PAGE_TAIL && l->p[i].link[0] == page_to_pfn(l->p), "tail %#llx",
			      pfn);
	}
	page_clear_flag(l->p, PG_ZERO);
	stamp_block(l, false);
	live_pages += 1ull << order;
	nr_live++;
}

static struct page *take_out(unsigned i)
{
	struct live l = live[i];

	stamp_block(&l, true);
	for (u64 k = 0; k < 1ull << l.order; k++)
		owned[page_to_pfn(l.p + k)] = 0;
	live_pages -= 1ull << l.order;
	live[i] = live[--nr_live];
	return l.p;
}

static void free_one(struct run *r)
{
	unsigned i = (unsigned)rnd(r, nr_live), order;

	if (!nr_live)
		return;
	order = live[i].order;
	if (chance(r, 30))
		put_page(take_out(i));
	else
		free_pages(take_out(i), order);
}

static void free_bulk(struct run *r)
{
	u64 runs[512];
	unsigned n = 0, max = 1 + (unsigned)rnd(r, ARRAY_SIZE(runs));
	bool merge = chance(r, 50);

	for (unsigned i = nr_live; i-- > 0 && n < max;) {
		if (live[i].order)
			continue;
		struct page *p = take_out(i);
		u32 flags = page_flag(p, PG_ZERO) ? RUN_ZERO : 0;
		u64 pfn = page_to_pfn(p);

		atomic64_set(&p->state, 0);	/* as a gather hands it over: the last reference dropped */
		if (merge && n && run_pfn(runs[n - 1]) + run_pages(runs[n - 1]) == pfn &&
		    run_flags(runs[n - 1]) == flags)
			runs[n - 1]++;
		else
			runs[n++] = page_run(pfn, 1, flags);
	}
	free_page_runs(runs, n, chance(r, 50));
}

void test_palloc(struct run *r)
{
	bool filling = true;

	owned = calloc(MAX_PFN + 1, 1);
	for (unsigned op = 0; op < r->ops; op++) {
		if (chance(r, 5))
			host_run_on((unsigned)rnd(r, nr_cpus));
		if (chance(r, 1))
			filling = !filling;
		if (chance(r, filling ? 65 : 35))
			alloc_one(r);
		else if (chance(r, 95))
			free_one(r);
		else
			free_bulk(r);
		if (op % 1000 == 0) {
			palloc_check();
			CHECK(nr_free_pages() + live_pages <= nr_total_pages(), "%llu free + %llu live of %llu",
			      nr_free_pages(), live_pages, nr_total_pages());
		}
	}
	/* Exhaustion: until there is nothing, and back. */
	for (unsigned failures = 0; nr_live < MAX_LIVE && failures < 100;) {
		unsigned before = nr_live;

		alloc_one(r);
		failures += nr_live == before;
	}
	while (nr_live)
		free_one(r);
	host_run_on(0);
	free(owned);
}
