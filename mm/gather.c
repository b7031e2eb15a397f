/*
 * mmu_gather: unhook, flush, free, in bounded batches. See gather.h; who frees is decided in gather_async.c.
 *
 * A gather belongs to one task; it has no lock. mm->tlb_pending counts gathers between begin and end: gather_begin's
 * increment is a full fence before the first entry is unhooked; gather_end reads the count before its last flush. If B
 * skipped an entry because A had already unhooked it, then A's increment came before B read the entry, and A's
 * decrement comes after A's flush: B sees the count above one, or A has flushed.
 *
 * Memory for slots may run out: then the bundle on the stack takes what comes. When gather_page() is called there are
 * two slots free in it, one for the run that the page may end, one for the run that it opens; when there is only one
 * left, gather_page() says so, and the caller flushes.
 *
 * Tables: freed at once if nobody else can be walking them (the mm is dying, or its only user is the caller, who is
 * here); else after a grace period, because lockless walkers have interrupts off, which delays it.
 */
#include "mm/gather.h"

#include <arch/tlb.h>

#include "kernel/race.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/tlb.h"
#include "mm/vmstat.h"

#define LONELY 32

struct table_batch {
	struct rcu_head rcu;
	struct page *first;
	bool bulk;
};

static void range_reset(struct mmu_gather *g)
{
	g->start = ~0ul;
	g->end = 0;
	g->shift = PT_MAX_LEVELS * 9 + PAGE_SHIFT;
	g->tables = false;
}

void gather_begin(struct mmu_gather *g, struct mm *mm, bool full_mm)
{
	g->mm = mm;
	g->full_mm = full_mm;
	g->need_full = false;
	g->exclusive = full_mm || (mm == current->mm && atomic_read(&mm->users) == 1);
	g->run.pages = 0;
	g->run.flags = RUN_SINGLE;
	g->tail = NULL;
	g->mark = 0;
	g->lonely = 0;
	g->bulk = false;
	g->nr_pages = 0;
	g->nr_tables = 0;
	g->nr_bundle = 0;
	g->nr_works = 0;
	g->table_list = NULL;
	gather_choose(g);
	memset(g->chain, 0, g->nr_chains * sizeof(g->chain[0]));
	range_reset(g);
	if (!g->exclusive)
		atomic_inc_return(&mm->tlb_pending);
}

/* The chain's last batch is full, or there is none: another one, if there is memory. */
static struct gather_batch *gather_more(struct mmu_gather *g, struct gather_chain *c)
{
	struct gather_batch *b;

	/* A batch of single pages: runs are not worth looking for in the next few. */
	if (g->lonely && !--g->lonely) {
		g->runs = true;
	} else if (c->last && g->runs && g->nr_pages - g->mark <= BATCH_SLOTS + BATCH_SLOTS / 16) {
		g->runs = false;
		g->lonely = LONELY;
	}
	g->mark = g->nr_pages;
	if (!c->last && g->nr_bundle < GATHER_BUNDLE - 2)
		return NULL;	/* few pages: the stack will do */
	b = alloc_kpages(0, GFP_NOWAIT | GFP_NOWARN);
	if (!b) {
		vm_event(VME_gather_no_batch);
		return NULL;
	}
	b->next = NULL;
	b->nr = 0;
	/* Of several chains any may begin a batch, and change g->runs. */
	b->runs = g->runs || (g->nr_chains > 1 && g->may_run);
	if (c->last)
		c->last->next = b;
	else
		c->first = b;
	c->last = b;
	vm_event(VME_gather_batches);
	return b;
}

/* The run gets a slot. False: flush. */
bool gather_close_run(struct mmu_gather *g, struct gather_run *run)
{
	u64 slot = page_run(run->first, run->pages, run->flags & RUN_FLAGS);
	struct gather_chain *c = gather_chain_of(g, run->first);
	struct gather_batch *b;

	g->nr_pages += run->pages;
	run->pages = 0;
	run->flags = RUN_SINGLE;
	b = c->last;
	if (!b || b->nr == BATCH_SLOTS)
		b = gather_more(g, c);
	if (g->nr_chains == 1)
		g->tail = b;
	if (likely(b)) {
		b->slot[b->nr++] = slot;
		return true;
	}
	g->bundle[g->nr_bundle++] = slot;
	return g->nr_bundle < GATHER_BUNDLE - 1;	/* the last one is for the run that the caller opens now */
}

void gather_table(struct mmu_gather *g, pte_t *table, int level)
{
	struct page *p = virt_to_page(table);

	atomic64_sub((s64)(PAGE_SIZE << page_order(p)), &g->mm->table_bytes);
	p->private = g->table_list;
	g->table_list = p;
	g->nr_tables++;
	g->tables = true;
}

static void tlb_flush(struct mmu_gather *g)
{
	if (g->start >= g->end && !g->tables)
		return;
	race_point("gather:before-flush");
	vm_event(VME_gather_flushes);
#ifndef BREAK_GATHER_NO_FLUSH
	if (g->full_mm)
		flush_tlb_dying(g->mm, g->tables);
	else if (g->need_full)
		flush_tlb_mm(g->mm, g->tables);
	else
		flush_tlb_range(g->mm, g->start, g->end, g->shift, g->tables);
#endif
	range_reset(g);
}

/* Between two stretches of freeing. */
static inline void give_way(void)
{
#ifndef BREAK_GATHER_NO_YIELD
	cond_resched();
#endif
}

/* Up to n tables of the list; returns the next one. */
static struct page *free_tables_up_to(struct page *p, unsigned n, bool bulk)
{
	while (p && n--) {
		struct page *next = p->private;

		pt_free_table_page(p, bulk);
		p = next;
	}
	return p;
}

static void free_table_list(struct page *list, bool bulk)
{
	while ((list = free_tables_up_to(list, BATCH_SLOTS, bulk)))
		give_way();
}

/* In RCU's thread, which may yield. */
static void table_batch_free(struct rcu_head *head)
{
	struct table_batch *b = container_of(head, struct table_batch, rcu);

	free_table_list(b->first, b->bulk);
	kfree(b);
}

static void free_tables_of(struct mmu_gather *g)
{
	struct page *list = g->table_list;
	struct table_batch *b;

	if (!list)
		return;
	g->table_list = NULL;
	g->nr_tables = 0;
	if (!g->exclusive) {
		b = kmalloc(sizeof(*b), GFP_NOWAIT);
		if (b) {
			b->first = list;
			b->bulk = g->bulk;
			call_rcu(&b->rcu, table_batch_free);
			return;
		}
		synchronize_rcu();
	}
	free_table_list(list, g->bulk);
}

/* Slots may stand for long runs: yields often enough. */
static void free_runs(const u64 *slot, u32 n, bool bulk)
{
	while (n) {
		u32 pages = run_pages(slot[0]), k = 1;

#ifdef BREAK_GATHER_LONG_STRETCH
		while (k < n)
#else
		while (k < n && pages + run_pages(slot[k]) <= GATHER_MAX_PAGES)
#endif
			pages += run_pages(slot[k++]);
		free_page_runs(slot, k, bulk);
		slot += k;
		n -= k;
		give_way();
	}
}

void gather_free_chain(struct gather_batch *b, bool bulk)
{
	while (b) {
		struct gather_batch *next = b->next;

		vm_event_add(VME_gather_runs, b->nr);
		if (b->runs) {
			free_runs(b->slot, b->nr, bulk);
		} else {
			free_page_runs(b->slot, b->nr, bulk);
			give_way();
		}
		if (bulk)
			free_pages_bulk(virt_to_page(b), 0);
		else
			free_kpages(b, 0);
		b = next;
	}
}

/* Everything gathered is flushed now. */
static void free_gathered(struct mmu_gather *g)
{
	vm_event_add(VME_gather_pages, g->nr_pages);
	g->bulk |= g->nr_pages >= GATHER_BULK;
	gather_hand_off(g);
	for (unsigned i = 0; i < g->nr_chains; i++) {
		gather_free_chain(g->chain[i].first, g->bulk);
		g->chain[i] = (struct gather_chain){ NULL, NULL };
	}
	g->tail = NULL;
	if (g->nr_bundle) {
		vm_event_add(VME_gather_runs, g->nr_bundle);
		free_runs(g->bundle, g->nr_bundle, g->bulk);
		g->nr_bundle = 0;
	}
	g->nr_pages = 0;
	g->mark = 0;
	free_tables_of(g);
}

#ifdef BREAK_GATHER_EARLY_HELD
static void drop_held_of(u64 *slot, u32 *n)
{
	u32 left = 0;

	for (u32 i = 0; i < *n; i++) {
		if (run_flags(slot[i]) & RUN_HELD)
			put_page(pfn_to_page(run_pfn(slot[i])));
		else
			slot[left++] = slot[i];
	}
	*n = left;
}

static void drop_held_early(struct mmu_gather *g)
{
	drop_held_of(g->bundle, &g->nr_bundle);
	for (unsigned i = 0; i < g->nr_chains; i++)
		for (struct gather_batch *b = g->chain[i].first; b; b = b->next)
			drop_held_of(b->slot, &b->nr);
}
#else
static inline void drop_held_early(struct mmu_gather *g) {}
#endif

void gather_flush(struct mmu_gather *g)
{
	if (g->run.pages)
		gather_close_run(g, &g->run);
	drop_held_early(g);
#ifdef BREAK_GATHER_EARLY_HAND_OFF
	gather_hand_off(g);
#endif
	tlb_flush(g);
	free_gathered(g);
	cond_resched();
}

void gather_end(struct mmu_gather *g)
{
#ifndef BREAK_GATHER_NO_FULL_FLUSH
	/* Another gather is under way on this mm: what it unhooked and we therefore skipped may still be cached. */
	if (!g->exclusive && atomic_read(&g->mm->tlb_pending) > 1) {
		g->need_full = true;
		g->tables = true;
	}
#endif
	gather_flush(g);
	gather_join(g);
	if (!g->exclusive)
		atomic_dec_return(&g->mm->tlb_pending);
}
