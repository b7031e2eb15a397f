/*
 * mmu_gather: unhook, flush, free, in bounded batches. See gather.h; who frees is decided in gather_async.c.
 *
 * A gather belongs to one task; it has no lock. mm->tlb_pending counts gathers between begin and end: gather_begin's
 * increment is a full fence before the first entry is unhooked; gather_end reads the count before its last flush. If B
 * skipped an entry because A had already unhooked it, then A's increment came before B read the entry, and A's
 * decrement comes after A's flush: B sees the count above one, or A has flushed.
 *
 * Memory for slots may run out: then the bundle on the stack takes what comes, and there is always one slot free in it
 * when gather_page() is called; when it is full, gather_page() says so, and the caller flushes.
 *
 * Tables: freed at once if nobody else can be walking them (the mm is dying, or its only user is the caller, who is
 * here); else after a grace period, because lockless walkers have interrupts off, which delays it.
 */
#include "mm/gather.h"

#include <arch/tlb.h>

#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/tlb.h"
#include "mm/vmstat.h"

#define LONELY 8

struct table_batch {
	struct rcu_head rcu;
	struct page *first;
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
	g->run_next = ~0ull;
	g->run_pages = 0;
	g->run_flags = 0;
	g->lonely = 0;
	g->nr_pages = 0;
	g->nr_bundle = 0;
	g->nr_works = 0;
	g->table_list = NULL;
	gather_choose(g);
	memset(g->chain, 0, g->nr_chains * sizeof(g->chain[0]));
	g->run_room = min(g->limit, RUN_MAX);
	range_reset(g);
	if (!g->exclusive)
		atomic_inc_return(&mm->tlb_pending);
}

/* The chain's last batch is full, or there is none: another one, if there is memory. */
static struct gather_batch *gather_more(struct mmu_gather *g, struct gather_chain *c)
{
	struct gather_batch *b;

	/* A batch of single pages: runs are not worth looking for in the next few. */
	if (g->lonely && !--g->lonely)
		g->runs = true;
	else if (c->last && g->runs && c->pages - c->mark <= BATCH_SLOTS + BATCH_SLOTS / 16) {
		g->runs = false;
		g->lonely = LONELY;
	}
	c->mark = c->pages;
	if (!c->last && g->nr_bundle < GATHER_BUNDLE - 1)
		return NULL;	/* few pages: the stack will do */
	b = alloc_kpages(0, GFP_NOWAIT | GFP_NOWARN);
	if (!b) {
		vm_event(VME_gather_no_batch);
		return NULL;
	}
	b->next = NULL;
	b->nr = 0;
	if (c->last)
		c->last->next = b;
	else
		c->first = b;
	c->last = b;
	vm_event(VME_gather_batches);
	return b;
}

/* The open run gets a slot. False: flush. */
bool gather_close_run(struct mmu_gather *g)
{
	u32 n = g->run_pages;
	u64 pfn = g->run_next - n;
	struct gather_chain *c = g->chain;
	struct gather_batch *b;
	u64 slot = page_run(pfn, n, g->run_flags & RUN_FLAGS);

	if (g->nr_chains > 1)
		c += page_node(pfn_to_page(pfn)) % g->nr_chains;
	g->run_pages = 0;
	g->run_next = ~0ull;
	g->nr_pages += n;
	b = c->last;
	if (unlikely(!b || b->nr == BATCH_SLOTS))
		b = gather_more(g, c);
	if (likely(b)) {
		c->pages += n;
		b->slot[b->nr++] = slot;
	} else {
		g->bundle[g->nr_bundle++] = slot;
		if (g->nr_bundle == GATHER_BUNDLE)
			return false;
	}
	if (unlikely(g->nr_pages >= g->limit))
		return false;
	g->run_room = min(g->limit - g->nr_pages, RUN_MAX);
	return true;
}

void gather_table(struct mmu_gather *g, pte_t *table, int level)
{
	struct page *p = virt_to_page(table);

	atomic64_sub((s64)(PAGE_SIZE << page_order(p)), &g->mm->table_bytes);
	p->private = g->table_list;
	g->table_list = p;
	g->tables = true;
}

static void tlb_flush(struct mmu_gather *g)
{
	if (g->start >= g->end && !g->tables)
		return;
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

static void free_table_list(struct page *p)
{
	while (p) {
		struct page *next = p->private;

		pt_free_table_page(p);
		p = next;
	}
}

static void table_batch_free(struct rcu_head *head)
{
	struct table_batch *b = container_of(head, struct table_batch, rcu);

	free_table_list(b->first);
	kfree(b);
}

static void free_tables_of(struct mmu_gather *g)
{
	struct page *list = g->table_list;
	struct table_batch *b;

	if (!list)
		return;
	g->table_list = NULL;
	if (!g->exclusive) {
		b = kmalloc(sizeof(*b), GFP_NOWAIT);
		if (b) {
			b->first = list;
			call_rcu(&b->rcu, table_batch_free);
			return;
		}
		synchronize_rcu();
	}
	free_table_list(list);
}

void gather_free_chain(struct gather_batch *b)
{
	while (b) {
		struct gather_batch *next = b->next;
		u64 pages = 0;

		for (u32 i = 0; i < b->nr; i++)
			pages += run_pages(b->slot[i]);
		vm_event_add(VME_gather_pages, pages);
		vm_event_add(VME_gather_runs, b->nr);
		free_page_runs(b->slot, b->nr);
		free_kpages(b, 0);
		b = next;
		cond_resched();
	}
}

/* Everything gathered is flushed now. */
static void free_gathered(struct mmu_gather *g)
{
	gather_hand_off(g);
	for (unsigned i = 0; i < g->nr_chains; i++) {
		gather_free_chain(g->chain[i].first);
		g->chain[i] = (struct gather_chain){ NULL, NULL, 0, 0 };
	}
	if (g->nr_bundle) {
		u64 pages = 0;

		for (u32 i = 0; i < g->nr_bundle; i++)
			pages += run_pages(g->bundle[i]);
		vm_event_add(VME_gather_pages, pages);
		vm_event_add(VME_gather_runs, g->nr_bundle);
		free_page_runs(g->bundle, g->nr_bundle);
		g->nr_bundle = 0;
	}
	g->nr_pages = 0;
	g->run_room = min(g->limit, RUN_MAX);
	free_tables_of(g);
}

void gather_flush(struct mmu_gather *g)
{
	if (g->run_pages)
		gather_close_run(g);
	tlb_flush(g);
	free_gathered(g);
	cond_resched();
}

void gather_end(struct mmu_gather *g)
{
	/* Another gather is under way on this mm: what it unhooked and we therefore skipped may still be cached. */
	if (!g->exclusive && atomic_read(&g->mm->tlb_pending) > 1) {
		g->need_full = true;
		g->tables = true;
	}
	gather_flush(g);
	gather_join(g);
	if (!g->exclusive)
		atomic_dec_return(&g->mm->tlb_pending);
}
