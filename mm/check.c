/*
 * mm_check: an address space against itself. Walks every table of the user half and compares what it finds with the
 * vmas, the statistics and the page descriptors. Panics at the first thing that is wrong and names the values. Debug
 * and test builds call it.
 *
 * Locks: mmap_lock exclusively, or nobody else uses the mm.
 */
#include "kernel/printk.h"
#include "mm/pgtable.h"
#include "mm/vma.h"

struct check {
	struct mm *mm;
	struct vma *vma;	/* first that ends above the place where the walk is */
	s64 anon, file, table_bytes;
};

static void check_leaf(struct check *c, uintptr_t va, pte_t e)
{
	struct vma *vma = c->vma;
	struct page *p = pfn_to_page(pte_pfn(e));
	enum page_type type;

	ASSERT(vma && vma->start <= va, "entry at %lx (frame %llx) lies in no vma", va, (u64)pte_pfn(e));
	ASSERT(!pte_write(e) || vma->flags & VM_WRITE, "entry at %lx is writable, its vma %lx-%lx (flags %x) is not",
	       va, vma->start, vma->end, vma->flags);
	ASSERT(!pte_user(e) || vma->flags & VM_ACCESS, "entry at %lx is accessible, its vma %lx-%lx (flags %x) is not",
	       va, vma->start, vma->end, vma->flags);
	if (pte_special(e)) {
		ASSERT(!pte_write(e) || vma->flags & VM_PFNMAP, "entry at %lx: the zero page is writable", va);
		return;
	}
	type = page_type(p);
	ASSERT(type == PAGE_ANON || type == PAGE_FILE || type == PAGE_KERNEL,
	       "entry at %lx maps frame %llx, whose type is %d", va, (u64)pte_pfn(e), type);
	ASSERT(page_mapcount(p) && page_refs(p) >= page_mapcount(p),
	       "entry at %lx: frame %llx has %u mappings and %u references", va, (u64)pte_pfn(e), page_mapcount(p),
	       page_refs(p));
	if (pte_write(e) && !(vma->flags & VM_SHARED))
		ASSERT(type == PAGE_ANON && page_mapcount(p) == 1,
		       "entry at %lx: private and writable, but frame %llx has type %d and %u mappings", va,
		       (u64)pte_pfn(e), type, page_mapcount(p));
	if (type == PAGE_ANON)
		c->anon++;
	else
		c->file++;
}

static void check_table(struct check *c, pte_t *table, int level, uintptr_t base, unsigned entries)
{
	for (unsigned i = 0; i < entries; i++) {
		uintptr_t va = base + ((uintptr_t)i << pt_shift(level));
		pte_t e = pte_load(&table[i]);
		struct page *p;

		if (pte_none(e))
			continue;
		while (c->vma && c->vma->end <= va)
			c->vma = vma_next(c->vma);
		if (!level) {
			if (pte_present(e))
				check_leaf(c, va, e);
			else
				ASSERT(c->vma && c->vma->start <= va, "soft entry at %lx lies in no vma", va);
			continue;
		}
		ASSERT(pte_table(e), "entry of level %d at %lx is not a table", level, va);
		ASSERT(c->vma && c->vma->start < va + pt_size(level), "table of level %d at %lx serves no vma",
		       level - 1, va);
		p = pfn_to_page(pte_pfn(e));
		ASSERT(page_type(p) == PAGE_TABLE && page_refs(p) == 1,
		       "table of level %d at %lx: frame %llx has type %d, %u references", level - 1, va,
		       (u64)pte_pfn(e), page_type(p), page_refs(p));
		ASSERT(p->private == c->mm, "table of level %d at %lx belongs to another address space", level - 1, va);
		c->table_bytes += (s64)(PAGE_SIZE << page_order(p));
		check_table(c, page_to_virt(p), level - 1, va, pt_entries(level - 1));
	}
}

void mm_check(struct mm *mm)
{
	struct check c = { .mm = mm, .vma = vma_first(mm) };
	int top = PT_LEVELS - 1;
	s64 anon = atomic64_read(&mm->rss_anon), file = atomic64_read(&mm->rss_file) + atomic64_read(&mm->rss_shmem);

	vma_check_tree(mm);
	check_table(&c, mm->root, top, 0, (unsigned)pt_index(top, USER_TOP - 1) + 1);
	ASSERT(c.anon == anon, "%lld anonymous pages mapped, %lld counted", c.anon, anon);
	ASSERT(c.file == file, "%lld file pages mapped, %lld counted", c.file, file);
	ASSERT(c.table_bytes == atomic64_read(&mm->table_bytes), "%lld bytes of tables hooked, %lld counted",
	       c.table_bytes, (s64)atomic64_read(&mm->table_bytes));
}
