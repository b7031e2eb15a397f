#pragma once
/*
 * The page-table engine: one for all ports, over <arch/pte.h>.
 *
 * Locks: entries of a level-0 table are changed under that table's lock (struct page.ptl of the table's frame); tables
 * are hooked into and unhooked from their parent under mm->page_table_lock (P). Reading an entry to walk down needs
 * mmap_lock in either mode, or interrupts off (lockless walkers), or RCU: unhooked tables are freed only when none of
 * these can still look.
 */
#include <arch/pte.h>

#include "mm/mm.h"

/**
 * The level-0 entry for va, NULL if its table does not exist. A huge leaf on the way gives NULL too (see pt_walk). No
 * lock is taken.
 */
pte_t *pt_lookup(struct mm *mm, uintptr_t va);
/** Deepest entry on the way to va: *level says where it ended. Never NULL. */
pte_t *pt_walk(struct mm *mm, uintptr_t va, int *level);
/** The level-0 entry for va, tables allocated on the way. NULL: no memory. May sleep (gfp). */
pte_t *pt_alloc(struct mm *mm, uintptr_t va, unsigned gfp);
/** The entry at `level` for va, tables above allocated. */
pte_t *pt_alloc_level(struct mm *mm, uintptr_t va, int level, unsigned gfp);

static inline struct page *pt_page(const pte_t *ptep)
{
	return virt_to_page((const void *)((uintptr_t)ptep & PAGE_MASK));
}

/* Tables are sparse: walks look at this many entries at once. All-zero is none on every port. */
#define PT_GROUP 8

static inline bool pt_group_none(const pte_t *e)
{
	return !(READ_ONCE(e[0].v) | READ_ONCE(e[1].v) | READ_ONCE(e[2].v) | READ_ONCE(e[3].v) | READ_ONCE(e[4].v) |
		 READ_ONCE(e[5].v) | READ_ONCE(e[6].v) | READ_ONCE(e[7].v));
}

/**
 * The first entry in [va, end) of one table that is not none, as an address; `end` if there is none. e belongs to va.
 */
static inline uintptr_t pt_skip_none(const pte_t *e, uintptr_t va, uintptr_t end)
{
	while (va != end) {
		if (end - va >= PT_GROUP * PAGE_SIZE && pt_group_none(e)) {
			va += PT_GROUP * PAGE_SIZE;
			e += PT_GROUP;
			continue;
		}
		if (!pte_none(pte_load(e)))
			break;
		va += PAGE_SIZE;
		e++;
	}
	return va;
}

/** Lock of the level-0 table that ptep points into. */
static inline spinlock_t *pte_lockptr(const pte_t *ptep)
{
	return &pt_page(ptep)->ptl;
}

/** pt_lookup and its table's lock, taken; rechecked that the table is still hooked. NULL: no table, nothing locked. */
pte_t *pte_offset_map_lock(struct mm *mm, uintptr_t va, spinlock_t **ptl);
static inline void pte_unmap_unlock(spinlock_t *ptl)
{
	spin_unlock(ptl);
}

/**
 * Allocate / free one table page of a level: zeroed by known-zero lists, lock initialised, counted in mm->table_bytes.
 */
pte_t *pt_alloc_table(struct mm *mm, int level, unsigned gfp);
void pt_free_table(struct mm *mm, pte_t *table, int level);
/**
 * The same for a table that the gather has already taken out of the statistics (mm may be gone); bulk: see
 * free_page_runs(). Any context.
 */
void pt_free_table_page(struct page *p, bool bulk);
/** A root with the kernel's entries, and back. */
pte_t *pt_alloc_root(void);
void pt_free_root(pte_t *root);
/** Give cached roots back (tests). */
void pt_drain_roots(void);

/**
 * Kernel mappings (vmalloc space, vmemmap, direct map): largest leaves that fit. Boot or under the caller's lock. 0 or
 * -ENOMEM.
 */
int kernel_map(uintptr_t va, u64 pa, size_t size, unsigned prot, unsigned gfp);
/** Unmaps level-0 entries and flushes them on all CPUs. Sleeps unless interrupts are on and no lock is held. */
void kernel_unmap(uintptr_t va, size_t size);
