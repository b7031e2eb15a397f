/*
 * mmap and munmap: checks first, then changes that cannot fail.
 *
 * Locks: mmap_lock exclusively around every change of the vma tree; do_mmap() takes it, the _locked form and
 * do_munmap() want it held. The holder drops it with mmap_write_unlock(), which puts the files of vmas that went away.
 */
#include "kernel/fsapi.h"
#include "kernel/task.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/vma.h"
#include "mm/zap.h"

/* ---- where, and whether at all */

bool overcommit_refused(u64 pages, u32 flags)
{
	if ((flags & (VM_WRITE | VM_SHARED | VM_NORESERVE)) != VM_WRITE)
		return false;
	return pages > nr_total_pages();
}

/* The address for a new mapping, or -errno. addr: as the caller asked; len: whole pages. */
static long place(struct mm *mm, uintptr_t addr, size_t len, unsigned flags)
{
	size_t guard = flags & MAP_GROWSDOWN ? STACK_GUARD : 0;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (!is_aligned(addr, PAGE_SIZE))
			return -EINVAL;
		if (len > USER_TOP || addr > USER_TOP - len)
			return -ENOMEM;
		if (addr < USER_MIN)
			return -EPERM;
		if (flags & MAP_FIXED_NOREPLACE && find_vma_intersection(mm, addr, addr + len))
			return -EEXIST;
		return (long)addr;
	}
	if (len > USER_TOP)
		return -ENOMEM;
	if (addr) {
		addr = addr < USER_TOP ? align_up(addr, PAGE_SIZE) : USER_TOP;
		if (range_is_free(mm, addr, len))
			return (long)addr;
	}
#if MAP_32BIT
	if (flags & MAP_32BIT) {
		addr = unmapped_area_below(mm, len + guard, PAGE_SIZE, 1ul << 31);
		return addr ? (long)(addr + guard) : -ENOMEM;
	}
#endif
	addr = unmapped_area(mm, len + guard, PAGE_SIZE);
	return addr ? (long)(addr + guard) : -ENOMEM;
}

/* vma flags of a new mapping, or -errno. */
static long flags_of(struct mm *mm, struct file *file, unsigned prot, unsigned flags)
{
	u32 vf = vma_flags_of_prot(prot) | VM_MAYALL | mm->def_flags;
	unsigned type = flags & MAP_TYPE;
	const unsigned known = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE | MAP_EXECUTABLE |
			       MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |
			       MAP_FIXED_NOREPLACE | MAP_32BIT;

	if (type != MAP_SHARED && type != MAP_PRIVATE && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (flags & MAP_HUGETLB)
		return -EINVAL;
	if (flags & MAP_NORESERVE)
		vf |= VM_NORESERVE;
	if (flags & MAP_LOCKED)
		vf |= VM_LOCKED;
	if (type != MAP_PRIVATE)
		vf |= VM_SHARED;
	if (flags & MAP_ANONYMOUS) {
		if (flags & MAP_GROWSDOWN) {
			if (vf & VM_SHARED)
				return -EINVAL;
			vf |= VM_GROWSDOWN;
		}
		return vf;
	}
	if (flags & MAP_GROWSDOWN)
		return -EINVAL;
	if (type == MAP_SHARED_VALIDATE && flags & ~known)
		return -EOPNOTSUPP;
	if (!file_readable(file))
		return -EACCES;
	if (vf & VM_SHARED && !file_writable(file)) {
		if (vf & VM_WRITE)
			return -EACCES;
		vf &= ~VM_MAYWRITE;
	}
	return vf;
}

/* ---- mapping */

static struct vma *anon_vma(struct mm *mm, uintptr_t start, uintptr_t end, u32 flags)
{
	struct vma *vma = vma_alloc(mm);

	if (!vma)
		return NULL;
	vma->start = start;
	vma->end = end;
	vma->flags = flags;
	vma->prot = vma_prot(flags);
	vma->pgoff = start >> PAGE_SHIFT;
	return vma;
}

int map_anonymous(struct mm *mm, uintptr_t start, uintptr_t end, u32 flags)
{
	struct vma *vma;

	if (vma_extend(mm, start, end, flags, NULL, start >> PAGE_SHIFT, NULL))
		return 0;
	if (mm->nr_vmas >= MAX_VMAS)
		return -ENOMEM;
	vma = anon_vma(mm, start, end, flags);
	if (!vma)
		return -ENOMEM;
	vma_insert(mm, vma);
	return 0;
}

/* A vma for a file, not yet in the tree. The file's file system may refuse, and says how pages are found. ERR_PTR. */
static struct vma *file_vma(struct mm *mm, struct file *file, uintptr_t start, size_t len, u32 flags, u64 pgoff)
{
	struct vma *vma = vma_alloc(mm);
	int err;

	if (!vma)
		return ERR_PTR(-ENOMEM);
	vma->start = start;
	vma->end = start + len;
	vma->flags = flags;
	vma->prot = vma_prot(flags);
	vma->pgoff = pgoff;
	vma->file = get_file(file);
	err = file_mmap(file, vma);
	if (err) {
		vma_free(mm, vma);
		return ERR_PTR(err);
	}
	return vma;
}

long do_mmap_locked(struct mm *mm, struct file *file, uintptr_t addr, size_t len, unsigned prot, unsigned flags,
		    u64 pgoff)
{
	struct vma *vma = NULL;
	long start, vf;
	u64 pages;
	int err;

	if (!len)
		return -EINVAL;
	len = align_up(len, PAGE_SIZE);
	if (!len)
		return -ENOMEM;
	pages = len >> PAGE_SHIFT;
	if (file && (pgoff > MAX_FILE_PAGES || pages > MAX_FILE_PAGES - pgoff))
		return -EOVERFLOW;
	start = place(mm, addr, len, flags);
	if (start < 0)
		return start;
	vf = flags_of(mm, file, prot, flags);
	if (vf < 0)
		return vf;
	if (overcommit_refused(pages, (u32)vf))
		return -ENOMEM;
	if (mm->nr_vmas >= MAX_VMAS)
		return -ENOMEM;
	if (file) {
		vma = file_vma(mm, file, (uintptr_t)start, len, (u32)vf, pgoff);
		if (IS_ERR(vma))
			return PTR_ERR(vma);
	} else {
		/*
		 * Most anonymous mappings continue a neighbour and need no vma; but unmapping must not come before the
		 * last failure.
		 */
		if (!(flags & MAP_FIXED) || !find_vma_intersection(mm, (uintptr_t)start, (uintptr_t)start + len)) {
			err = map_anonymous(mm, (uintptr_t)start, (uintptr_t)start + len, (u32)vf);
			return err ? err : start;
		}
		vma = anon_vma(mm, (uintptr_t)start, (uintptr_t)start + len, (u32)vf);
		if (!vma)
			return -ENOMEM;
	}
	if (flags & MAP_FIXED) {
		err = do_munmap(mm, (uintptr_t)start, len);
		if (err) {
			vma_free(mm, vma);
			return err;
		}
	}
	if (vma_extend(mm, vma->start, vma->end, vma->flags, vma->file, vma->pgoff, vma->ops))
		vma_free(mm, vma);
	else
		vma_insert(mm, vma);
	return start;
}

long do_mmap(struct file *file, uintptr_t addr, size_t len, unsigned prot, unsigned flags, u64 pgoff)
{
	struct mm *mm = current->mm;
	struct file *shmem = NULL;
	bool populate;
	long ret;

	if (flags & MAP_ANONYMOUS) {
		file = NULL;
		if ((flags & MAP_TYPE) != MAP_PRIVATE) {
			if (!len || len > USER_TOP)
				return len ? -ENOMEM : -EINVAL;
			shmem = shmem_file("/dev/zero", align_up(len, PAGE_SIZE));
			if (IS_ERR(shmem))
				return PTR_ERR(shmem);
			file = shmem;
			pgoff = 0;
		}
	} else if (!file) {
		return -EBADF;
	}
	ret = down_write_killable(&mm->mmap_lock);
	if (!ret) {
		ret = do_mmap_locked(mm, file, addr, len, prot, flags, pgoff);
		populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE || (flags & MAP_LOCKED) ||
			   (mm->def_flags & VM_LOCKED);
		mmap_write_unlock(mm);
		if (ret > 0 && populate)
			(void)mm_populate(mm, (uintptr_t)ret, (uintptr_t)ret + align_up(len, PAGE_SIZE), POPULATE_AUTO);
	}
	if (shmem)
		fput(shmem);
	return ret;
}

/* ---- unmapping */

int do_munmap(struct mm *mm, uintptr_t addr, size_t len)
{
	struct vma *first, *last, *prev, *vma, *next;
	struct mmu_gather g;
	uintptr_t end, start;
	bool cut = false;

	if (!is_aligned(addr, PAGE_SIZE) || !len || len > USER_TOP || addr > USER_TOP - len)
		return -EINVAL;
	end = addr + align_up(len, PAGE_SIZE);
	first = find_vma_intersection(mm, addr, end);
	if (!first)
		return 0;

	/* Cuts may fail, and are undone then. Nothing after them can. */
	if (first->start < addr) {
		if (end < first->end && mm->nr_vmas >= MAX_VMAS)
			return -ENOMEM;		/* a hole in the middle: one more than before */
		first = vma_cut(mm, first, addr);
		if (!first)
			return -ENOMEM;
		cut = true;
	}
	last = find_vma(mm, end - 1);
	if (last && last->start < end && last->end > end && !vma_cut(mm, last, end)) {
		if (cut)
			vma_merge(mm, first);
		return -ENOMEM;
	}

	prev = vma_prev(first);
	start = first->start;
	addr = start;
	for (vma = first; vma && vma->start < end; vma = next) {
		next = vma_next(vma);
		addr = vma->end;
		vma_remove(mm, vma);
		vma_free(mm, vma);
		cond_resched();
	}
	gather_begin(&g, mm, false);
	zap_range(&g, start, addr);
	free_tables(&g, start, addr, prev ? prev->end : 0, vma ? vma->start : USER_TOP);
	gather_end(&g);
	return 0;
}
