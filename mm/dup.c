/*
 * fork: a copy of an address space. Private pages are shared and write-protected in both; the first write copies
 * (mm/fault.c).
 *
 * => mm_dup: no lock held. The parent's mmap_lock is held exclusively throughout, so no fault runs in it; the child is
 * not visible. Entries of file mappings that hold no anonymous page are not copied: they fault in again.
 */
#include "kernel/cpu.h"
#include "kernel/fsapi.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "mm/zap.h"

struct dup {
	struct mm *src, *dst;
	bool alone;		/* nobody else runs in src: its entries cannot change under us */
	bool protected;		/* some entry of src lost its write permission: flush */
	u32 anon, file;		/* not yet counted in dst */
};

/* Returns false if the page has too many mappings. PTLs of both tables held. */
static inline bool dup_entry(struct dup *d, const struct vma *vma, pte_t *se, pte_t *de)
{
	pte_t v = pte_load(se);
	struct page *p;

	DEBUG_ASSERT(pte_present(v), "soft entry %#llx: nobody makes these yet", (unsigned long long)v.v);
	if (likely(!pte_special(v))) {
		p = pfn_to_page(pte_pfn(v));
#ifndef BREAK_FORK_NO_REF
		if (unlikely(!page_dup_map(p)))
			return false;
#endif
		if (likely(page_type(p) == PAGE_ANON))
			d->anon++;
		else
			d->file++;
	}
	if (pte_write(v) && !(vma->flags & VM_SHARED)) {
		if (d->alone) {
			v = pte_wrprotect(v);
			pte_store(se, v);
		} else {
			while (!pte_cas(se, v, pte_wrprotect(v)))
				v = pte_load(se);
			v = pte_wrprotect(v);
		}
		d->protected = true;
	}
	pte_store(de, v);
	return true;
}

static int dup_table(struct dup *d, const struct vma *vma, pte_t *se, uintptr_t va, uintptr_t end)
{
	pte_t *de = pt_alloc(d->dst, va, GFP_KERNEL);
	spinlock_t *sl, *dl;
	bool ok = true;

	if (!de)
		return -ENOMEM;
	sl = pte_lockptr(se);
	dl = pte_lockptr(de);
	spin_lock(sl);
	spin_lock_nested(dl);	/* parent before child; the child's is not visible to anybody else */
	for (; va != end && ok; va += PAGE_SIZE, se++, de++) {
		if (pte_none(pte_load(se))) {
			uintptr_t next = pt_skip_none(se, va, end);

			se += (next - va) >> PAGE_SHIFT;
			de += (next - va) >> PAGE_SHIFT;
			va = next;
			if (va == end)
				break;
		}
		ok = dup_entry(d, vma, se, de);
	}
	spin_unlock(dl);
	spin_unlock(sl);
	atomic64_add(d->anon, &d->dst->rss_anon);
	atomic64_add(d->file, &d->dst->rss_file);
	d->anon = d->file = 0;
	return ok ? 0 : -ENOMEM;
}

static int dup_level(struct dup *d, const struct vma *vma, pte_t *table, int level, uintptr_t va, uintptr_t end)
{
	pte_t *e = &table[pt_index(level, va)];
	uintptr_t next;

	for (; va != end; va = next, e++) {
		pte_t v = pte_load(e);
		int err;

		next = align_down(va, pt_size(level)) + pt_size(level);
		if (next > end || next < va)
			next = end;
		if (!pte_table(v))
			continue;
		table = phys_to_virt(pte_pfn(v) << PAGE_SHIFT);
		if (level > 1)
			err = dup_level(d, vma, table, level - 1, va, next);
		else
			err = dup_table(d, vma, table + pt_index(0, va), va, next);
		if (err)
			return err;
		cond_resched();
	}
	return 0;
}

static int dup_vma(struct dup *d, struct vma *vma)
{
	struct vma *copy;

	if (vma->flags & VM_DONTFORK)
		return 0;
	copy = vma_dup_for_fork(d->dst, vma);
	if (!copy)
		return -ENOMEM;
	if (vma->flags & VM_WIPEONFORK || (vma->ops && !vma->has_anon))
		return 0;
	return dup_level(d, vma, d->src->root, PT_LEVELS - 1, vma->start, vma->end);
}

static void dup_layout(struct mm *dst, const struct mm *src)
{
	dst->mmap_base = src->mmap_base;
	dst->start_brk = src->start_brk;
	dst->brk = src->brk;
	dst->start_stack = src->start_stack;
	dst->start_code = src->start_code;
	dst->end_code = src->end_code;
	dst->start_data = src->start_data;
	dst->end_data = src->end_data;
	dst->arg_start = src->arg_start;
	dst->arg_end = src->arg_end;
	dst->env_start = src->env_start;
	dst->env_end = src->env_end;
	dst->sigtramp = src->sigtramp;
	dst->dumpable = src->dumpable;
	memcpy(dst->saved_auxv, src->saved_auxv, sizeof(dst->saved_auxv));
	if (src->exe_file)
		dst->exe_file = get_file(src->exe_file);
}

struct mm *mm_dup(struct mm *src)
{
	struct dup d = { .src = src, .dst = mm_create() };
	int err = 0;

	if (!d.dst)
		return ERR_PTR(-ENOMEM);
	if (down_write_killable(&src->mmap_lock)) {
		mmput(d.dst);
		return ERR_PTR(-EINTR);
	}
	d.alone = current->mm == src && atomic_read(&src->users) == 1;
	dup_layout(d.dst, src);
	for (struct vma *vma = vma_first(src); vma && !err; vma = vma_next(vma))
		err = dup_vma(&d, vma);
	/* Before anybody can fault in either: no CPU may go on writing through an old entry once the child runs. */
	if (d.protected)
		flush_tlb_mm(src, false);
	up_write(&src->mmap_lock);
	if (err) {
		mmput(d.dst);
		return ERR_PTR(err);
	}
	return d.dst;
}
