#pragma once
/*
 * mmu_gather: unhook entries, flush TLBs, then free pages and tables, in that order and in batches (mechanism 1 of
 * the five).
 *
 * Life of a gather:	gather_begin -> (unhook entries under the PTL; gather_page / gather_table)* -> gather_end
 * A page that was gathered is not freed before the flush that covers its entry has returned. gather_page returns false
 * when the caller should drop its lock and call gather_flush.
 *
 * What is gathered are runs of physically contiguous pages (vm.gather_runs=1), or single pages (0): one slot each. The
 * first slots are on the stack, then come pages of slots, in one chain or in one for each NUMA node of the pages.
 * vm.free_async says who frees the chains once they are flushed: the gatherer, or workers that it joins before
 * gather_end returns (gather_async.c).
 *
 * Two gathers on one mm at once (MADV_DONTNEED in two threads): mm->tlb_pending counts them; one that ends while
 * another is pending flushes the whole mm, because the other may have unhooked entries (now none, so this one skipped
 * them) that it has not flushed.
 */
#include "kernel/numa.h"
#include "kernel/wait.h"
#include "kernel/workqueue.h"
#include "mm/mm.h"
#include "mm/palloc.h"

#define GATHER_BUNDLE		8	/* slots on the stack */
/* Gathered before a flush at the latest, unless somebody else frees; freed between two yields at the most. */
#define GATHER_MAX_PAGES	10000

enum free_async { FREE_OFF, FREE_BATCH, FREE_NODE, FREE_ZAP };

/*
 * From so many on nothing is kept in the CPU's lists: they hold a few hundred, for the next process of the usual size.
 */
#define GATHER_BULK		4096

/* A page full of slots. Once its chain is handed to a worker, the first one carries the work. */
struct gather_batch {
	struct gather_batch *next;
	u32 nr;
	bool runs;			/* its slots may be long runs; else one may be, of the time before */
	struct work work;
	struct mmu_gather *owner;	/* waits for the worker */
	u64 slot[];			/* page_run() */
};

#define BATCH_SLOTS ((u32)((PAGE_SIZE - sizeof(struct gather_batch)) / sizeof(u64)))

struct gather_chain {
	struct gather_batch *first, *last;
};

/* The run that is being gathered, not yet in a slot: `pages` frames from `first` on. */
struct gather_run {
	u64 first;
	u32 pages;
	u32 flags;			/* RUN_*, and RUN_SINGLE if no page may follow */
};

#define RUN_SINGLE	0x100u

struct mmu_gather {
	struct mm *mm;
	uintptr_t start, end;		/* unhooked so far and not yet flushed; empty if start >= end */
	unsigned shift;			/* size of the smallest entry unhooked */
	bool tables;			/* some table was unhooked */
	bool full_mm;			/* the address space is dying: nobody can use it any more */
	bool need_full;			/* concurrent gathers */
	bool exclusive;			/* nobody but the caller can walk these tables: they need no grace period */
	bool runs;			/* neighbours share a slot from now on */
	bool may_run;			/* vm.gather_runs, when it began */
	u8 nr_chains;
	bool async;			/* chains of `limit` pages go to workers */
	bool bulk;			/* GATHER_BULK pages have been gathered at once */
	u8 lonely;			/* batches to come in which no runs are looked for: the last one had none */

	struct gather_run run;

	struct gather_batch *tail;	/* of the only chain; NULL: none yet, or there are several */
	u32 nr_pages;			/* in slots, since the last flush */
	u32 nr_tables;			/* in table_list */
	u32 mark;			/* nr_pages when the last batch began */
	u32 limit;			/* of both: flush */
	u32 nr_bundle;
	u32 nr_works;			/* workers to join */
	atomic64_t worker_ns;		/* a. what they spent */
	struct completion done;		/* once for each */
	struct page *table_list;	/* tables to free, linked through struct page.private */
	u64 bundle[GATHER_BUNDLE];
	struct gather_chain chain[MAX_NODES];
};

void gather_begin(struct mmu_gather *g, struct mm *mm, bool full_mm);
/** Flush what is pending, free everything, join workers. Sleeps. */
void gather_end(struct mmu_gather *g);
/** Flush and free what was gathered so far, or hand it to a worker. Yields; no lock held. */
void gather_flush(struct mmu_gather *g);

/** An entry of size 2^shift at va was unhooked: the range that must be flushed grows. */
static inline void gather_range(struct mmu_gather *g, uintptr_t va, unsigned shift)
{
	if (va < g->start)
		g->start = va;
	if (va + (1ul << shift) > g->end)
		g->end = va + (1ul << shift);
	if (shift < g->shift)
		g->shift = shift;
}

bool gather_close_run(struct mmu_gather *g, struct gather_run *run);

/** The chain that a frame belongs into. */
static inline struct gather_chain *gather_chain_of(struct mmu_gather *g, u64 pfn)
{
	return &g->chain[g->nr_chains > 1 ? page_node(pfn_to_page(pfn)) : 0];
}

/**
 * The page lost its mapping; after the flush it is freed, or loses its reference if it still has one (RUN_HELD). `run`
 * is g->run, or the caller's copy of it. False: no slot left, flush before the next page. PTL held.
 */
static __always_inline bool gather_page(struct mmu_gather *g, struct gather_run *run, u64 pfn, u32 flags)
{
	struct gather_batch *b = g->tail;
	bool more = true;

	if (likely(pfn == run->first + run->pages && flags == run->flags)) {
		run->pages++;
		return true;
	}
	if (unlikely(!b && run->pages))
		b = gather_chain_of(g, run->first)->last;
	if (likely(b && b->nr < BATCH_SLOTS && run->pages)) {
		b->slot[b->nr++] = page_run(run->first, run->pages, run->flags & RUN_FLAGS);
		g->nr_pages += run->pages;
	} else if (run->pages) {
		more = gather_close_run(g, run);
	}
	run->first = pfn;
	run->pages = 1;
	run->flags = flags | (g->runs && !(flags & RUN_HELD) ? 0 : RUN_SINGLE);
	return more;
}

/** As much as may wait for a flush; looked at once per table. While memory is short that is one batch. */
static inline bool gather_is_full(const struct mmu_gather *g)
{
	u32 n = g->nr_pages + g->run.pages + g->nr_tables;

	return n >= g->limit || (n >= BATCH_SLOTS && memory_is_short());
}

/** An unhooked, empty table; freed after the flush, and after nobody can be walking it. */
void gather_table(struct mmu_gather *g, pte_t *table, int level);

/* gather_async.c */
/** Wait for what workers free at this moment. Sleeps; no mutex held. */
void gather_drain(void);
/** Which policy a gather that begins now has, and how many pages it may gather. */
void gather_choose(struct mmu_gather *g);
/** Must what is taken from mm come back at once, without waiting for others? */
bool gather_in_haste(const struct mm *mm);
/** Flushed chains go to workers, as the policy has it; what stays in g->chain is to be freed inline. */
void gather_hand_off(struct mmu_gather *g);
/** Wait for all workers; their time is charged to the current task. */
void gather_join(struct mmu_gather *g);
/** Free a flushed chain and its batches; bulk: see free_page_runs(). Yields. */
void gather_free_chain(struct gather_batch *b, bool bulk);
#ifdef CONFIG_DEBUG
/* atomic. Pages that workers freed, by node of the page and node of the CPU: tests reset it. */
extern u32 free_async_nodes[][MAX_NODES];
#endif
