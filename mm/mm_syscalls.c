/*
 * The system calls of memory management: arguments in, errno out. The work is in mmap.c, mprotect.c, mremap.c,
 * madvise.c, stack.c.
 */
#include "kernel/fsapi.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "kernel/uaccess.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/vma.h"

SYSCALL6(mmap, uintptr_t, addr, size_t, len, unsigned long, prot, unsigned long, flags, int, fd, u64, offset)
{
	struct file *file = NULL;
	long ret;

	if (offset & ~PAGE_MASK)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		file = fget(fd);
		if (!file)
			return -EBADF;
	}
	ret = do_mmap(file, addr, len, (unsigned)prot, (unsigned)flags, offset >> PAGE_SHIFT);
	if (file)
		fput(file);
	return ret;
}

SYSCALL2(munmap, uintptr_t, addr, size_t, len)
{
	struct mm *mm = current->mm;
	int err;

	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	err = do_munmap(mm, addr, len);
	mmap_write_unlock(mm);
	return err;
}

SYSCALL3(mprotect, uintptr_t, addr, size_t, len, unsigned long, prot)
{
	return prot > ~0u ? -EINVAL : do_mprotect(addr, len, (unsigned)prot);
}

SYSCALL5(mremap, uintptr_t, addr, size_t, old_len, size_t, new_len, unsigned long, flags, uintptr_t, new_addr)
{
	return flags > ~0u ? -EINVAL : do_mremap(addr, old_len, new_len, (unsigned)flags, new_addr);
}

SYSCALL1(brk, uintptr_t, brk)
{
	return do_brk(brk);
}

SYSCALL3(madvise, uintptr_t, addr, size_t, len, int, advice)
{
	return do_madvise(current->mm, addr, len, advice);
}

/* Page aligned bounds of [addr, addr + len); false if they wrap. */
static bool page_bounds(uintptr_t addr, size_t len, uintptr_t *start, uintptr_t *end)
{
	size_t bytes = align_up(len + (addr & ~PAGE_MASK), PAGE_SIZE);

	*start = align_down(addr, PAGE_SIZE);
	*end = *start + bytes;
	return bytes >= len && *end >= *start;
}

/* Everything that can be mapped shared lives in memory: there is nothing to write back. */
SYSCALL3(msync, uintptr_t, addr, size_t, len, int, flags)
{
	struct mm *mm = current->mm;
	uintptr_t end = addr + align_up(len, PAGE_SIZE);
	struct vma *vma;
	int err = 0;

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || !is_aligned(addr, PAGE_SIZE) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < addr || align_up(len, PAGE_SIZE) < len)
		return -ENOMEM;
	if (down_read_killable(&mm->mmap_lock))
		return -EINTR;
	for (vma = find_vma(mm, addr); addr < end; vma = vma_next(vma)) {
		if (!vma || vma->start > addr) {
			err = -ENOMEM;
			if (!vma || vma->start >= end)
				break;
		}
		if (flags & MS_INVALIDATE && vma->flags & VM_LOCKED) {
			err = -EBUSY;
			break;
		}
		addr = vma->end;
	}
	up_read(&mm->mmap_lock);
	return err;
}

/* ---- mincore */

static bool in_core(struct mm *mm, struct vma *vma, uintptr_t va)
{
	pte_t *e = pt_lookup(mm, va);
	struct page *p = NULL;

	if (e && pte_present(pte_load(e)))
		return true;
	if (vma->ops && vma->ops->peek)
		vma->ops->peek(vma, (u32)(vma->pgoff + ((va - vma->start) >> PAGE_SHIFT)), 1, &p);
	if (p)
		put_page(p);
	return p != NULL;
}

SYSCALL3(mincore, uintptr_t, addr, size_t, len, u8 *, vec)
{
	struct mm *mm = current->mm;
	size_t pages = div_round_up(len, PAGE_SIZE);
	u8 *buf;
	int err = 0;

	if (!is_aligned(addr, PAGE_SIZE))
		return -EINVAL;
	if (len > USER_TOP || addr > USER_TOP - len)
		return -ENOMEM;
	if (!access_ok(vec, pages))
		return -EFAULT;
	buf = alloc_kpages(0, GFP_KERNEL);
	if (!buf)
		return -EAGAIN;
	while (pages && !err) {
		size_t n = min(pages, PAGE_SIZE);
		struct vma *vma;

		if (down_read_killable(&mm->mmap_lock)) {
			err = -EINTR;
			break;
		}
		vma = find_vma(mm, addr);
		for (size_t i = 0; i < n; i++, addr += PAGE_SIZE) {
			while (vma && vma->end <= addr)
				vma = vma_next(vma);
			if (!vma || vma->start > addr) {
				err = -ENOMEM;
				break;
			}
			buf[i] = in_core(mm, vma, addr);
		}
		up_read(&mm->mmap_lock);
		if (!err)
			err = copy_to_user(vec, buf, n);
		vec += n;
		pages -= n;
		cond_resched();
	}
	free_kpages(buf, 0);
	return err;
}

/* ---- mlock: memory is never taken away from a process here, so locking means populating and remembering it */

static long lock_range(uintptr_t addr, size_t len, bool populate)
{
	struct mm *mm = current->mm;
	uintptr_t start, end;
	int err;

	if (!page_bounds(addr, len, &start, &end))
		return -EINVAL;
	if (start == end)
		return 0;
	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	err = vma_change_flags(mm, start, end, VM_LOCKED, 0, NULL);
	mmap_write_unlock(mm);
	if (err || !populate)
		return err;
	err = mm_populate(mm, start, end, POPULATE_AUTO);
	return err == -EFAULT ? -ENOMEM : err == -ENOMEM ? -EAGAIN : err;
}

SYSCALL2(mlock, uintptr_t, addr, size_t, len)
{
	return lock_range(addr, len, true);
}

SYSCALL3(mlock2, uintptr_t, addr, size_t, len, int, flags)
{
	return flags & ~MLOCK_ONFAULT ? -EINVAL : lock_range(addr, len, !(flags & MLOCK_ONFAULT));
}

SYSCALL2(munlock, uintptr_t, addr, size_t, len)
{
	struct mm *mm = current->mm;
	uintptr_t start, end;
	int err;

	if (!page_bounds(addr, len, &start, &end))
		return -EINVAL;
	if (start == end)
		return 0;
	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	err = vma_change_flags(mm, start, end, 0, VM_LOCKED, NULL);
	mmap_write_unlock(mm);
	return err;
}

/* All vmas, none left out. Merging keeps the first one's address, so going on behind its end is safe. */
static int lock_all(struct mm *mm, bool lock)
{
	for (struct vma *vma = vma_first(mm); vma; vma = vma_next(vma)) {
		u32 flags = lock ? vma->flags | VM_LOCKED : vma->flags & ~VM_LOCKED;

		if (flags == vma->flags)
			continue;
		vma_set_flags(vma, flags);
		vma = vma_merge(mm, vma);
	}
	return 0;
}

SYSCALL1(mlockall, int, flags)
{
	struct mm *mm = current->mm;
	uintptr_t at = 0;

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	mm->def_flags = flags & MCL_FUTURE ? VM_LOCKED : 0;
	if (flags & MCL_CURRENT)
		lock_all(mm, true);
	mmap_write_unlock(mm);
	if ((flags & (MCL_CURRENT | MCL_ONFAULT)) != MCL_CURRENT)
		return 0;
	for (;;) {
		struct vma *vma;
		uintptr_t start = 0, end = 0;

		down_read(&mm->mmap_lock);
		vma = find_vma(mm, at);
		if (vma) {
			start = vma->start;
			end = vma->end;
		}
		up_read(&mm->mmap_lock);
		if (!end)
			return 0;
		(void)mm_populate(mm, start, end, POPULATE_AUTO);
		at = end;
	}
}

SYSCALL0(munlockall)
{
	struct mm *mm = current->mm;

	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	mm->def_flags = 0;
	lock_all(mm, false);
	mmap_write_unlock(mm);
	return 0;
}
