#pragma once
/*
 * mmu_gather: unhook entries, flush TLBs, then free pages and tables, in that order and in batches (mechanism 1 of
 * the five; policy "off": bounded number of batches, freed inline).
 *
 * Life of a gather:	gather_begin -> (unhook entries under the PTL; gather_page / gather_table)* -> gather_end
 * A page that was gathered is not freed before the flush that covers its entry has returned. gather_page returns false
 * when the caller should drop its lock and call gather_flush.
 *
 * Two gathers on one mm at once (MADV_DONTNEED in two threads): mm->tlb_pending counts them; one that ends while
 * another is pending flushes the whole mm, because the other may have unhooked entries (now none, so this one skipped
 * them) that it has not flushed.
 */
#include "mm/mm.h"

#define GATHER_BUNDLE		8	/* page slots on the stack */
/* gathered before a flush at the latest; freed between two yields at the most */
#define GATHER_MAX_PAGES	10000

struct gather_batch {
	struct gather_batch *next;
	u32 nr, max;
	struct page *pages[];
};

struct mmu_gather {
	struct mm *mm;
	uintptr_t start, end;		/* unhooked so far and not yet flushed; empty if start >= end */
	unsigned shift;			/* size of the smallest entry unhooked */
	bool tables;			/* some table was unhooked */
	bool full_mm;			/* the address space is dying: nobody can use it any more */
	bool need_full;			/* concurrent gathers */
	bool exclusive;			/* nobody but the caller can walk these tables: they need no grace period */
	u32 nr_pages;			/* in full batches, since the last flush */
	struct gather_batch *active;
	struct page *table_list;	/* tables to free, linked through struct page.link[0] */
	struct gather_batch local;
	struct page *bundle[GATHER_BUNDLE];	/* local's slots: must follow it */
};

void gather_begin(struct mmu_gather *g, struct mm *mm, bool full_mm);
/** Flush what is pending, free everything. Sleeps (yields). */
void gather_end(struct mmu_gather *g);
/** Flush and free what was gathered so far. Yields; no lock held. */
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

bool gather_more(struct mmu_gather *g);

/**
 * The page lost its mapping; after the flush it is freed, or loses its reference if it still has one. False: full,
 * flush before the next page. PTL held.
 */
static inline bool gather_page(struct mmu_gather *g, struct page *p)
{
	struct gather_batch *b = g->active;

	b->pages[b->nr++] = p;
	if (likely(b->nr < b->max))
		return true;
	return gather_more(g);
}

/** An unhooked, empty table; freed after the flush, and after nobody can be walking it. */
void gather_table(struct mmu_gather *g, pte_t *table, int level);
