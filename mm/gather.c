/*
 * mmu_gather, policy "off": unhook, flush, free, in bounded batches. See gather.h.
 *
 * A gather belongs to one task; it has no lock. mm->tlb_pending counts gathers between begin and end: gather_begin's
 * increment is a full fence before the first entry is unhooked; gather_end reads the count before its last flush. If B
 * skipped an entry because A had already unhooked it, then A's increment came before B read the entry, and A's
 * decrement comes after A's flush: B sees the count above one, or A has flushed.
 *
 * Tables: freed at once if nobody else can be walking them (the mm is dying, or its only user is the caller, who is
 * here); else after a grace period, because lockless walkers have interrupts off, which delays it.
 */
#include "mm/gather.h"

#include <arch/tlb.h>

#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/tlb.h"
#include "mm/vmstat.h"

#define BATCH_SLOTS ((PAGE_SIZE - sizeof(struct gather_batch)) / sizeof(struct page *))

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
	g->nr_pages = 0;
	g->active = &g->local;
	g->table_list = NULL;
	g->local.next = NULL;
	g->local.nr = 0;
	g->local.max = GATHER_BUNDLE;
	range_reset(g);
	if (!g->exclusive)
		atomic_inc_return(&mm->tlb_pending);
}

/* The active batch is full: another one, if there is memory and the bound allows. */
bool gather_more(struct mmu_gather *g)
{
	struct gather_batch *b;

	g->nr_pages += g->active->nr;
	if (g->nr_pages >= GATHER_MAX_PAGES - BATCH_SLOTS)
		return false;
	b = alloc_kpages(0, GFP_NOWAIT | GFP_NOWARN);
	if (!b) {
		vm_event(VME_gather_no_batch);
		return false;
	}
	b->next = NULL;
	b->nr = 0;
	b->max = BATCH_SLOTS;
	g->active->next = b;
	g->active = b;
	vm_event(VME_gather_batches);
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
	if (g->full_mm || g->need_full)
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

/* After the flush: pages that zap_page() left a reference on lose it; those that others still hold leave the array. */
static unsigned drop_held(struct page **pages, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		struct page *p = pages[i];

		if (page_refs(p)) {
			if (!state_is_last((u64)atomic64_fetch_sub_release((s64)PAGE_REF_ONE, &p->state)))
				continue;
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
		}
		pages[kept++] = p;
	}
	return kept;
}

static void free_batch(struct mmu_gather *g, struct page **pages, unsigned n)
{
	vm_event_add(VME_gather_pages, n);
	if (!g->exclusive)
		n = drop_held(pages, n);
	free_page_bulk(pages, n);
}

static void free_batches(struct mmu_gather *g)
{
	struct gather_batch *b = g->local.next;

	if (g->local.nr) {
		free_batch(g, g->local.pages, g->local.nr);
		g->local.nr = 0;
	}
	while (b) {
		struct gather_batch *next = b->next;

		free_batch(g, b->pages, b->nr);
		free_kpages(b, 0);
		b = next;
		cond_resched();
	}
	g->local.next = NULL;
	g->active = &g->local;
	g->nr_pages = 0;
}

void gather_flush(struct mmu_gather *g)
{
	tlb_flush(g);
	free_batches(g);
	free_tables_of(g);
	cond_resched();
}

void gather_end(struct mmu_gather *g)
{
	/* Another gather is under way on this mm: what it unhooked and we therefore skipped may still be cached. */
	if (!g->exclusive && atomic_read(&g->mm->tlb_pending) > 1) {
		g->need_full = true;
		g->tables = true;
	}
	tlb_flush(g);
	free_batches(g);
	free_tables_of(g);
	if (!g->exclusive)
		atomic_dec_return(&g->mm->tlb_pending);
}
