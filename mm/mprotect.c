/*
 * mprotect: new flags for the vmas of a range, then for the entries of pages that are there, then a flush if something
 * was forbidden.
 *
 * An entry becomes writable here only if the fault handler would have nothing to do: the page is this mapping's alone.
 * All others stay read-only, and the first write fault decides (copy, reuse, or tell the file).
 *
 * Locks: mmap_lock exclusively, so there are no faults meanwhile; entries change under their table's lock, by
 * compare-and-exchange, because the hardware may set accessed and dirty at any moment.
 */
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/mman.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"

/* May the entry be made writable without a fault? */
static bool writable_now(const struct vma *vma, pte_t e)
{
	struct page *p;

	if (pte_write(e))
		return true;
	if (pte_special(e))
		return false;
	if (vma->flags & VM_SHARED)
		return pte_dirty(e);	/* the file knows already */
	p = pfn_to_page(pte_pfn(e));
	return page_type(p) == PAGE_ANON && page_refs(p) == 1 && page_mapcount(p) == 1;
}

struct range {
	uintptr_t start, end;
};

/* Entries of [va, end) in one table, whose lock is held. Grows `changed`. */
static void change_table(struct vma *vma, pte_t *e, uintptr_t va, uintptr_t end, struct range *changed)
{
	for (; va < end; va += PAGE_SIZE, e++) {
		pte_t old, new;

		do {
			old = pte_load(e);
			if (!pte_present(old))
				break;
			new = pte_modify(old, vma->prot);
			if (pte_write(new) && !writable_now(vma, old))
				new = pte_wrprotect(new);
		} while (!pte_cas(e, old, new));
		if (!pte_present(old))
			continue;
		if (changed->start >= changed->end)
			changed->start = va;
		changed->end = va + PAGE_SIZE;
	}
	pte_publish();
}

static void change_range(struct vma *vma, struct range *changed)
{
	struct mm *mm = vma->mm;
	uintptr_t va = vma->start, next;
	spinlock_t *ptl;
	pte_t *e;
	int level;

	for (; va < vma->end; va = next) {
		pt_walk(mm, va, &level);
		next = align_down(va, pt_size(level ? level : 1)) + pt_size(level ? level : 1);
		if (next > vma->end || next < va)
			next = vma->end;
		if (level)
			continue;
		e = pte_offset_map_lock(mm, va, &ptl);
		if (!e)
			continue;
		change_table(vma, e, va, next, changed);
		pte_unmap_unlock(ptl);
	}
}

/* The part of vma in [start, end) gets new flags. Returns 0, -EACCES, -ENOMEM; nothing changed in case of an error. */
static int protect_vma(struct mm *mm, struct vma *vma, uintptr_t start, uintptr_t end, u32 access)
{
	u32 old = vma->flags, new = (old & ~VM_ACCESS) | access;
	struct range changed = { 0, 0 };

	if (access & ~(old >> 4) & VM_ACCESS)
		return -EACCES;
	if (new == old)
		return 0;
	if (!(old & VM_WRITE) && overcommit_refused((min(end, vma->end) - max(start, vma->start)) >> PAGE_SHIFT, new))
		return -ENOMEM;
	vma = vma_isolate(mm, vma, start, end);
	if (!vma)
		return -ENOMEM;
	vma_set_flags(vma, new);
	change_range(vma, &changed);
	if (old & ~new & VM_ACCESS && changed.start < changed.end)
		flush_tlb_range(mm, changed.start, changed.end, PAGE_SHIFT, false);
	vma_merge(mm, vma);
	return 0;
}

int do_mprotect(uintptr_t addr, size_t len, unsigned prot)
{
	unsigned grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	struct mm *mm = current->mm;
	struct vma *vma;
	uintptr_t end;
	int err;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !is_aligned(addr, PAGE_SIZE))
		return -EINVAL;
	if (!len)
		return 0;
	end = addr + align_up(len, PAGE_SIZE);
	if (end <= addr)
		return -ENOMEM;
	if (prot & ~(unsigned)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	err = -ENOMEM;
	vma = find_vma_intersection(mm, addr, end);
	if (!vma)
		goto out;
	if (grows) {
		err = -EINVAL;
		if (grows == PROT_GROWSUP || !(vma->flags & VM_GROWSDOWN))
			goto out;
		addr = vma->start;
	}
	for (;;) {
		err = -ENOMEM;
		if (!vma || vma->start > addr)
			break;
		err = protect_vma(mm, vma, addr, end, vma_flags_of_prot(prot));
		if (err)
			break;
		addr = find_vma(mm, addr)->end;		/* merging may have replaced vma */
		if (addr >= end)
			break;
		vma = find_vma(mm, addr);
	}
out:
	mmap_write_unlock(mm);
	return err;
}
