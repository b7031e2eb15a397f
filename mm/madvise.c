/*
 * madvise, and faulting in whole ranges.
 *
 * MADV_DONTNEED holds mmap_lock shared: faults on the same range run meanwhile, and mm->tlb_pending tells concurrent
 * gathers of each other. Advice that changes vma flags holds it exclusively. Hints that this kernel does not act upon
 * are checked and accepted. A hole in the range is reported as -ENOMEM after the rest was advised.
 */
#include "kernel/mutex.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/gather.h"
#include "mm/mman.h"
#include "mm/vma.h"
#include "mm/zap.h"

#include <arch/trap.h>

/* ---- populate */

/* The first vma at or after `at`: its bounds and flags, copied because the lock is dropped. */
static bool peek_vma(struct mm *mm, uintptr_t at, uintptr_t *start, uintptr_t *end, u32 *flags)
{
	struct vma *vma;

	down_read(&mm->mmap_lock);
	vma = find_vma(mm, at);
	if (vma) {
		*start = vma->start;
		*end = vma->end;
		*flags = vma->flags;
	}
	up_read(&mm->mmap_lock);
	return vma != NULL;
}

/* How AUTO, READ or WRITE accesses a page of such a vma; -1: not at all. */
static int populate_access(u32 flags, enum populate how)
{
	if (flags & VM_PFNMAP)
		return -1;
	if (how == POPULATE_WRITE)
		return flags & VM_WRITE ? (int)(FAULT_USER | FAULT_WRITE) : -1;
	if (how == POPULATE_AUTO && (flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		return FAULT_USER | FAULT_WRITE;
	if (flags & (VM_READ | VM_WRITE))
		return FAULT_USER;
	return flags & VM_EXEC ? (int)(FAULT_USER | FAULT_EXEC) : -1;
}

int mm_populate(struct mm *mm, uintptr_t start, uintptr_t end, enum populate how)
{
	uintptr_t vma_start, vma_end;
	u32 flags;
	int err;

	while (start < end) {
		int access;

		if (!peek_vma(mm, start, &vma_start, &vma_end, &flags) || vma_start > start)
			return -ENOMEM;
		vma_end = min(vma_end, end);
		access = populate_access(flags, how);
		if (access < 0) {
			if (how != POPULATE_AUTO)
				return -EINVAL;
			start = vma_end;
			continue;
		}
		for (; start < vma_end; start += PAGE_SIZE) {
			if (task_interrupted(current, TASK_KILLABLE))
				return -EINTR;
			err = handle_mm_fault(mm, start, (unsigned)access);
			if (err)
				return err == -ENOMEM ? -ENOMEM : -EFAULT;
			cond_resched();
		}
	}
	return 0;
}

/* ---- advice that drops pages */

static int dontneed(struct mm *mm, uintptr_t start, uintptr_t end, int advice)
{
	struct mmu_gather g;
	struct vma *vma;
	int err = 0;

	if (down_read_killable(&mm->mmap_lock))
		return -EINTR;
	for (vma = find_vma(mm, start); start < end; vma = vma_next(vma)) {
		uintptr_t stop;

		if (!vma || vma->start > start) {
			err = -ENOMEM;
			if (!vma || vma->start >= end)
				break;
			start = vma->start;
		}
		stop = min(vma->end, end);
		if (vma->flags & VM_PFNMAP || (vma->flags & VM_LOCKED && advice != MADV_DONTNEED_LOCKED) ||
		    (advice == MADV_FREE && !vma_is_anon_private(vma))) {
			err = -EINVAL;
			break;
		}
		gather_begin(&g, mm, false);
		zap_range(&g, start, stop);
		gather_end(&g);
		start = stop;
	}
	up_read(&mm->mmap_lock);
	return err;
}

/* ---- advice that changes flags */

int vma_change_flags(struct mm *mm, uintptr_t start, uintptr_t end, u32 set, u32 clear,
		     bool (*allowed)(const struct vma *, u32))
{
	struct vma *vma = find_vma(mm, start);
	int err = 0;

	for (; start < end; vma = vma_next(vma)) {
		u32 flags;

		if (!vma || vma->start > start) {
			err = -ENOMEM;
			if (!allowed || !vma || vma->start >= end)
				break;
			start = vma->start;
		}
		if (allowed && !allowed(vma, set | clear))
			return -EINVAL;
		flags = (vma->flags & ~clear) | set;
		if (flags != vma->flags) {
			vma = vma_isolate(mm, vma, start, end);
			if (!vma)
				return -ENOMEM;
			vma_set_flags(vma, flags);
			vma = vma_merge(mm, vma);
		}
		start = vma->end;
	}
	return err;
}

static bool flag_allowed(const struct vma *vma, u32 flags)
{
	if (flags & VM_WIPEONFORK)
		return vma_is_anon_private(vma);
	if (flags & VM_DONTFORK)
		return !(vma->flags & VM_PFNMAP);
	return true;
}

static int change(struct mm *mm, uintptr_t start, uintptr_t end, u32 set, u32 clear)
{
	int err = down_write_killable(&mm->mmap_lock);

	if (err)
		return err;
	err = vma_change_flags(mm, start, end, set, clear, flag_allowed);
	mmap_write_unlock(mm);
	return err;
}

/* ---- hints: only the range is checked */

static int hint(struct mm *mm, uintptr_t start, uintptr_t end)
{
	uintptr_t vma_start, vma_end;
	u32 flags;

	for (; start < end; start = vma_end)
		if (!peek_vma(mm, start, &vma_start, &vma_end, &flags) || vma_start > start)
			return -ENOMEM;
	return 0;
}

/* MADV_POPULATE: what a fault says, in madvise's words. */
static int populate(struct mm *mm, uintptr_t start, uintptr_t end, int advice)
{
	return mm_populate(mm, start, end, advice == MADV_POPULATE_READ ? POPULATE_READ : POPULATE_WRITE);
}

int do_madvise(struct mm *mm, uintptr_t addr, size_t len, int advice)
{
	uintptr_t end;

	switch (advice) {
	case MADV_NORMAL ... MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTFORK ... MADV_DONTNEED_LOCKED:
		break;
	default:
		return -EINVAL;
	}
	if (!is_aligned(addr, PAGE_SIZE))
		return -EINVAL;
	if (!len)
		return 0;
	end = addr + align_up(len, PAGE_SIZE);
	if (end <= addr)
		return -EINVAL;
	if (addr >= USER_TOP)
		return -ENOMEM;
	if (end > USER_TOP)
		end = USER_TOP + PAGE_SIZE;	/* a hole, reported when it is reached */

	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return dontneed(mm, addr, end, advice);
	case MADV_DONTFORK:
		return change(mm, addr, end, VM_DONTFORK, 0);
	case MADV_DOFORK:
		return change(mm, addr, end, 0, VM_DONTFORK);
	case MADV_WIPEONFORK:
		return change(mm, addr, end, VM_WIPEONFORK, 0);
	case MADV_KEEPONFORK:
		return change(mm, addr, end, 0, VM_WIPEONFORK);
	case MADV_HUGEPAGE:
		return change(mm, addr, end, VM_HUGEPAGE, VM_NOHUGEPAGE);
	case MADV_NOHUGEPAGE:
		return change(mm, addr, end, VM_NOHUGEPAGE, VM_HUGEPAGE);
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return populate(mm, addr, end, advice);
	default:
		return hint(mm, addr, end);
	}
}
