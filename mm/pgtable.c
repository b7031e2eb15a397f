/*
 * The page-table engine. See pgtable.h for the locks.
 *
 * A fresh table is all zeros, which is all none entries on every port. Tables come from and go to the known-zero lists:
 * a table is freed only when its entries are none again, so it is clear without anybody clearing it.
 */
#include "mm/pgtable.h"

#include "kernel/printk.h"
#include "lib/bits.h"
#include "mm/palloc.h"
#include "mm/stretch.h"
#include "mm/vmstat.h"

pte_t *pt_alloc_table(struct mm *mm, int level, unsigned gfp)
{
	size_t bytes = pt_table_bytes(level);
	unsigned order = bytes <= PAGE_SIZE ? 0 : ilog2(bytes) - PAGE_SHIFT;
	struct page *p = alloc_pages(order, gfp | GFP_ZERO | GFP_TRACKED);

	if (!p)
		return NULL;
	page_set_owner(p, PAGE_TABLE, NULL);
	p->private = mm;
	spin_lock_init(&p->ptl, RANK_PTL);
	atomic64_add((s64)(PAGE_SIZE << order), &mm->table_bytes);
	vm_event(VME_pte_table_alloc);
	return page_to_virt(p);
}

void pt_free_table_page(struct page *p, bool bulk)
{
	p->link[0] = 0;
	stretch_freed(1);
	/* Still PG_ZERO: goes back as known zero. */
	if (bulk)
		free_pages_bulk(p, page_order(p));
	else
		free_pages(p, page_order(p));
	vm_event(VME_pte_table_free);
}

void pt_free_table(struct mm *mm, pte_t *table, int level)
{
	struct page *p = virt_to_page(table);

	atomic64_sub((s64)(PAGE_SIZE << page_order(p)), &mm->table_bytes);
	pt_free_table_page(p, false);
}

static inline pte_t *table_of(pte_t e)
{
	return phys_to_virt(pte_pfn(e) << PAGE_SHIFT);
}

pte_t *pt_walk(struct mm *mm, uintptr_t va, int *level)
{
	pte_t *table = mm->root;
	int l = PT_LEVELS - 1;

	for (;;) {
		pte_t *e = &table[pt_index(l, va)];
		pte_t v;

		if (l == 0) {
			*level = 0;
			return e;
		}
		v = pte_load(e);
		if (!pte_table(v)) {
			*level = l;
			return e;
		}
		table = table_of(v);
		l--;
	}
}

pte_t *pt_lookup(struct mm *mm, uintptr_t va)
{
	int level;
	pte_t *e = pt_walk(mm, va, &level);

	return level ? NULL : e;
}

/*
 * Hook a new table into e, unless somebody was quicker. Returns the table that is there now; NULL: no memory or a leaf.
 * Apart from its caller, whose common case needs few registers then.
 */
static noinline pte_t *hook_table(struct mm *mm, pte_t *e, int level, unsigned gfp)
{
	pte_t *t = pt_alloc_table(mm, level - 1, gfp);
	pte_t v;

	if (!t)
		return NULL;
	spin_lock(&mm->page_table_lock);
	v = pte_load(e);
	if (likely(pte_none(v))) {
		/*
		 * its zeros and its lock before the entry that shows them; pairs with the walkers' address dependency
		 */
		smp_wmb();
		pte_store(e, pte_make_table(virt_to_phys(t) >> PAGE_SHIFT));
		pte_publish();
		spin_unlock(&mm->page_table_lock);
		return t;
	}
	spin_unlock(&mm->page_table_lock);
	pt_free_table(mm, t, level - 1);
	return pte_table(v) ? table_of(v) : NULL;
}

pte_t *pt_alloc_level(struct mm *mm, uintptr_t va, int level, unsigned gfp)
{
	pte_t *table = mm->root;

	for (int l = PT_LEVELS - 1; l > level; l--) {
		pte_t *e = &table[pt_index(l, va)];
		pte_t v = pte_load(e);

		if (likely(pte_table(v))) {
			table = table_of(v);
			continue;
		}
		table = pte_none(v) ? hook_table(mm, e, l, gfp) : NULL;
		if (!table)
			return NULL;
	}
	return &table[pt_index(level, va)];
}

pte_t *pt_alloc(struct mm *mm, uintptr_t va, unsigned gfp)
{
	return pt_alloc_level(mm, va, 0, gfp);
}

pte_t *pte_offset_map_lock(struct mm *mm, uintptr_t va, spinlock_t **ptl)
{
	pte_t *e = pt_lookup(mm, va);

	if (!e)
		return NULL;
	*ptl = pte_lockptr(e);
	spin_lock(*ptl);
	/*
	 * Tables of a range that is mapped are unhooked only under the exclusive mmap_lock, which the caller excludes.
	 */
	return e;
}

/*
 * Roots keep the kernel's entries while they are free: a small stack of them saves fork the copying.
 */
#define ROOT_CACHE 8
static pte_t *root_cache[ROOT_CACHE];		/* root_lock */
static unsigned nr_roots;			/* root_lock */
static spinlock_t root_lock = SPINLOCK_INIT(RANK_KSTACK);

pte_t *pt_alloc_root(void)
{
	unsigned long flags = spin_lock_irqsave(&root_lock);
	pte_t *root = nr_roots ? root_cache[--nr_roots] : NULL;

	spin_unlock_irqrestore(&root_lock, flags);
	if (root)
		return root;
	root = alloc_kpages(ilog2(pt_table_bytes(PT_LEVELS - 1)) - PAGE_SHIFT, GFP_KERNEL | GFP_ZERO);
	if (root) {
		page_set_owner(virt_to_page(root), PAGE_TABLE, NULL);
		arch_root_init(root);
	}
	return root;
}

void pt_free_root(pte_t *root)
{
	unsigned long flags = spin_lock_irqsave(&root_lock);

	if (nr_roots < ROOT_CACHE) {
		root_cache[nr_roots++] = root;
		root = NULL;
	}
	spin_unlock_irqrestore(&root_lock, flags);
	if (root)
		free_kpages(root, ilog2(pt_table_bytes(PT_LEVELS - 1)) - PAGE_SHIFT);
}

void pt_drain_roots(void)
{
	for (;;) {
		unsigned long flags = spin_lock_irqsave(&root_lock);
		pte_t *root = nr_roots ? root_cache[--nr_roots] : NULL;

		spin_unlock_irqrestore(&root_lock, flags);
		if (!root)
			return;
		free_kpages(root, ilog2(pt_table_bytes(PT_LEVELS - 1)) - PAGE_SHIFT);
	}
}
