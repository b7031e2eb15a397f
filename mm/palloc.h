#pragma once
/*
 * The page allocator: a buddy system per NUMA node up to 1 GiB blocks, per-CPU lists of single pages in front. Two sets
 * of free lists: blocks that may have been written, and blocks known to be zero; the first is used up before the second
 * is broken, so that the memory the host sees stays small. Never writes into a free page. mm/palloc.c has the rules.
 */
#include "kernel/numa.h"
#include "lib/types.h"
#include "mm/page.h"

#define MAX_ORDER	18		/* largest block: 2^18 pages, 1 GiB */
#define NODE_ANY	(-1)

#define GFP_KERNEL	0x00u		/* may sleep, reclaim and wait */
#define GFP_ATOMIC	0x01u		/* may not sleep; may use the reserve */
#define GFP_ZERO	0x02u		/* contents zero */
#define GFP_NOWAIT	0x04u		/* may not sleep, leaves the reserve alone */
#define GFP_THISNODE	0x08u		/* alloc_pages_node() only: no other node */
#define GFP_COMPOUND	0x10u		/* order > 0: tails know their head */
#define GFP_NOWARN	0x20u
/* with GFP_ZERO: whoever writes the page clears PG_ZERO, so it may be freed as known zero */
#define GFP_TRACKED	0x40u

/**
 * 2^order pages with one reference, type PAGE_KERNEL, NULL if there is none. From the node asked for (alloc_pages: this
 * CPU's), then from others, nearest first. Any context if GFP_ATOMIC or GFP_NOWAIT.
 */
struct page *alloc_pages_node(int node, unsigned order, unsigned gfp);
struct page *alloc_pages(unsigned order, unsigned gfp);
static inline struct page *alloc_page(unsigned gfp)
{
	return alloc_pages(0, gfp);
}

/** The caller owns the block alone (its single reference). Any context. PG_ZERO in the state keeps it known-zero. */
void free_pages(struct page *p, unsigned order);
static inline void free_page(struct page *p)
{
	free_pages(p, 0);
}

/*
 * A run of single pages in one word: first frame, flags, how many.
 */
#define RUN_MAX		0x2000u	/* pages; less than GATHER_MAX_PAGES by more than a batch */
#define RUN_ZERO	0x1u		/* known zero */
#define RUN_HELD	0x2u		/* one page, whose reference must be dropped first: others may have some too */
#define RUN_FLAGS	(RUN_ZERO | RUN_HELD)

static inline u64 page_run(u64 pfn, u32 pages, u32 flags)
{
	return pfn << 20 | (u64)flags << 17 | pages;
}

static inline u64 run_pfn(u64 run)
{
	return run >> 20;
}

static inline u32 run_pages(u64 run)
{
	return run & 0x1ffff;
}

static inline u32 run_flags(u64 run)
{
	return run >> 17 & RUN_FLAGS;
}

/** As free_pages(), but not into this CPU's lists: one of many, see free_page_runs(). Any context. */
void free_pages_bulk(struct page *p, unsigned order);

/**
 * free_page_runs() - free n runs of pages that nobody refers to any more (but for RUN_HELD). Long runs go back as the
 * largest blocks they form, as many as possible under one lock hold; short ones go to this CPU's lists while those have
 * room, unless they are part of a bulk: much more than the lists are for, of which what stayed there would only be
 * holes in everybody's memory. Any context.
 */
void free_page_runs(const u64 *runs, unsigned n, bool bulk);

/** For code that wants addresses: zeroed or not by gfp. NULL. */
void *alloc_kpages(unsigned order, unsigned gfp);
void free_kpages(void *va, unsigned order);

/* Statistics, in pages; sums over CPUs, exact when nobody allocates. */
u64 nr_free_pages(void);	/* per-CPU lists included */
u64 nr_total_pages(void);
u64 nr_zero_pages(void);	/* free and known zero */
u64 node_free_pages(unsigned node);
u64 node_total_pages(unsigned node);
/** Less free memory than twice the reserve: what is freed should come back at once. Any context, a glance. */
bool memory_is_short(void);
/** Give per-CPU lists of all CPUs back to the buddy system (tests, statistics). Sleeps. */
void drain_pcp(void);
/**
 * Check every free list against descriptors and counts; panics on a broken invariant. Test builds call it between
 * tests.
 */
void palloc_check(void);
/** How many free blocks of that order there are; per-CPU lists apart. Walks the lists. */
u64 palloc_free_blocks(unsigned order);
/**
 * Fault injection (debug builds): the next n allocations of this task, pages and slab objects, fail after `skip`
 * successes. n = 0 ends it.
 */
void palloc_fail(unsigned skip, unsigned n);
#ifdef CONFIG_DEBUG
bool alloc_should_fail(void);	/* asked by both allocators, once per allocation */
#else
static inline bool alloc_should_fail(void)
{
	return false;
}
#endif

/*
 * Boot: before the buddy system there is early_alloc, which hands out physical memory below early_limit, zeroed, never
 * freed.
 */
void *early_alloc(size_t size, size_t align);
u64 early_alloc_phys(size_t size, size_t align);
void palloc_init(void);		/* after mm/kmap.c has mapped RAM and descriptors, and numa_init() */
void palloc_init_cpu(unsigned cpu);	/* before it starts */
