/*
 * mremap: shrink, grow in place, or move a mapping together with its page-table entries.
 *
 * A move makes a second vma, moves the entries table by table under both tables' locks (nested, lower address first),
 * and then unmaps the old place. The old translations are flushed before the locks are dropped, so whoever finds the
 * page through its new entry can rely on nobody using the old one. The old range is cut out as a vma of its own before
 * anything moves; therefore unmapping it cannot fail, and a move that runs out of memory for tables can be undone by
 * moving back.
 *
 * Locks: mmap_lock exclusively.
 */
#include "kernel/fsapi.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"

/* Two tables' locks in the order of their addresses; the same table's only once. */
static void lock_both(spinlock_t *a, spinlock_t *b)
{
	if (a == b) {
		spin_lock(a);
		return;
	}
	spin_lock(a < b ? a : b);
	spin_lock_nested(a < b ? b : a);
}

static void unlock_both(spinlock_t *a, spinlock_t *b)
{
	if (a != b)
		spin_unlock(b);
	spin_unlock(a);
}

/* n entries from `from` to `to`, each within one table. */
static void move_entries(struct mm *mm, uintptr_t from, uintptr_t to, pte_t *src, pte_t *dst, size_t n)
{
	spinlock_t *src_lock = pte_lockptr(src), *dst_lock = pte_lockptr(dst);
	const pte_t none = { 0 };
	bool flush = false;

	lock_both(src_lock, dst_lock);
	for (size_t i = 0; i < n; i++) {
		pte_t e = pte_load(&src[i]);

		if (pte_none(e))
			continue;
		if (pte_present(e)) {
			e = pte_xchg(&src[i], none);	/* with what the hardware knows by now */
			flush = true;
		} else {
			pte_clear(&src[i]);
		}
		DEBUG_ASSERT(pte_none(pte_load(&dst[i])), "mremap: entry at %lx is in use", to + i * PAGE_SIZE);
		pte_store(&dst[i], e);
	}
	pte_publish();
	if (flush)
		flush_tlb_range(mm, from, from + n * PAGE_SIZE, PAGE_SHIFT, false);
	unlock_both(src_lock, dst_lock);
}

/* Move what is mapped in [from, from + len). Returns the bytes done: less than len if there is no memory for tables. */
static size_t move_range(struct mm *mm, uintptr_t from, uintptr_t to, size_t len)
{
	size_t done = 0, step;
	pte_t *src, *dst;
	int level;

	for (; done < len; done += step) {
		src = pt_walk(mm, from + done, &level);
		step = pt_size(level ? level : 1);
		step -= (from + done) & (step - 1);
		if (!level)
			step = min(step, pt_size(1) - ((to + done) & (pt_size(1) - 1)));
		step = min(step, len - done);
		if (level)
			continue;
		dst = pt_alloc(mm, to + done, GFP_KERNEL);
		if (!dst)
			return done;
		move_entries(mm, from + done, to + done, src, dst, step >> PAGE_SHIFT);
		cond_resched();
	}
	return done;
}

/* vma is exactly the old range (new_len may be longer). Returns the new address or -ENOMEM. */
static long move_vma(struct mm *mm, struct vma *vma, size_t old_len, size_t new_len, uintptr_t to, unsigned flags)
{
	uintptr_t from = vma->start;
	struct vma *new;
	size_t done;

	new = mm->nr_vmas < MAX_VMAS ? vma_copy(vma, mm) : NULL;
	if (!new) {
		vma_merge(mm, vma);
		return -ENOMEM;
	}
	new->start = to;
	new->end = to + new_len;
	vma_insert(mm, new);
	done = move_range(mm, from, to, old_len);
	if (done < old_len) {
		size_t back = move_range(mm, to, from, done);

		/* the tables are still there */
		ASSERT(back == done, "mremap: moved back %zu of %zu bytes", back, done);
		do_munmap(mm, to, new_len);
		vma_merge(mm, vma);
		return -ENOMEM;
	}
	if (flags & MREMAP_DONTUNMAP) {
		vma_set_flags(vma, vma->flags & ~VM_LOCKED);
		vma_merge(mm, vma);
	} else {
		do_munmap(mm, from, old_len);
		if (new->flags & VM_SIGTRAMP)
			mm->sigtramp = to;
	}
	vma_merge(mm, new);
	return (long)to;
}

/* Can [addr, addr + old_len) of vma become new_len long? */
static int check_resize(const struct vma *vma, uintptr_t addr, size_t old_len, size_t new_len, unsigned flags)
{
	u64 pgoff = vma->pgoff + ((addr - vma->start) >> PAGE_SHIFT);

	if (old_len > vma->end - addr)
		return -EFAULT;
	if (!old_len && !(vma->flags & VM_SHARED))
		return -EINVAL;
	if (flags & MREMAP_DONTUNMAP && vma->flags & (VM_DONTEXPAND | VM_PFNMAP))
		return -EINVAL;
	if (new_len == old_len)
		return 0;
	if (vma->file && new_len >> PAGE_SHIFT > MAX_FILE_PAGES - pgoff)
		return -EINVAL;
	if (vma->flags & (VM_DONTEXPAND | VM_PFNMAP))
		return -EFAULT;
	if (new_len > old_len && overcommit_refused((new_len - old_len) >> PAGE_SHIFT, vma->flags))
		return -ENOMEM;
	return 0;
}

/* To a place of its own: *to is the wanted one with MREMAP_FIXED. */
static long move_away(struct mm *mm, struct vma *vma, uintptr_t addr, size_t old_len, size_t new_len, uintptr_t to,
		      unsigned flags)
{
	int err;

	if (mm->nr_vmas + 3 > MAX_VMAS)
		return -ENOMEM;
	if (flags & MREMAP_FIXED) {
		err = do_munmap(mm, to, new_len);
		if (err)
			return err;
		vma = vma_lookup(mm, addr);	/* may have been cut */
	} else {
		to = flags & MREMAP_DONTUNMAP && to && range_is_free(mm, align_down(to, PAGE_SIZE), new_len)
			     ? align_down(to, PAGE_SIZE)
			     : unmapped_area(mm, new_len, PAGE_SIZE);
		if (!to)
			return -ENOMEM;
	}
	if (!old_len) {
		/* A second view of a shared mapping. */
		struct vma *new;

		new = vma_copy(vma, mm);
		if (!new)
			return -ENOMEM;
		new->pgoff += (addr - vma->start) >> PAGE_SHIFT;
		new->start = to;
		new->end = to + new_len;
		vma_insert(mm, new);
		vma_merge(mm, new);
		return (long)to;
	}
	vma = vma_isolate(mm, vma, addr, addr + old_len);
	if (!vma)
		return -ENOMEM;
	return move_vma(mm, vma, old_len, new_len, to, flags);
}

static long remap_locked(struct mm *mm, uintptr_t addr, size_t old_len, size_t new_len, unsigned flags,
			 uintptr_t new_addr)
{
	struct vma *vma = vma_lookup(mm, addr), *next;
	int err;

	if (!vma)
		return -EFAULT;
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && old_len >= new_len && old_len) {
		if (old_len > new_len) {
			err = do_munmap(mm, addr + new_len, old_len - new_len);
			if (err)
				return err;
		}
		return (long)addr;
	}
	if (flags & MREMAP_FIXED && old_len > new_len) {
		err = check_resize(vma, addr, old_len, old_len, flags);
		if (!err)
			err = do_munmap(mm, addr + new_len, old_len - new_len);
		if (err)
			return err;
		old_len = new_len;
		vma = vma_lookup(mm, addr);
	}
	err = check_resize(vma, addr, old_len, new_len, flags);
	if (err)
		return err;

	next = vma_next(vma);
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && old_len && addr + old_len == vma->end &&
	    new_len <= (next ? max(vma_floor(next), vma->end) : USER_TOP) - addr) {
		vma_set_end(vma, addr + new_len);
		vma_merge(mm, vma);
		return (long)addr;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	return move_away(mm, vma, addr, old_len, new_len, new_addr, flags);
}

long do_mremap(uintptr_t addr, size_t old_len, size_t new_len, unsigned flags, uintptr_t new_addr)
{
	struct mm *mm = current->mm;
	bool locked;
	long ret;

	if (flags & ~(unsigned)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (flags & MREMAP_DONTUNMAP && old_len != new_len)
		return -EINVAL;
	if (!is_aligned(addr, PAGE_SIZE) || addr >= USER_TOP || old_len > USER_TOP)
		return -EINVAL;
	old_len = align_up(old_len, PAGE_SIZE);
	new_len = align_up(new_len, PAGE_SIZE);
	if (!new_len)
		return -EINVAL;
	if (new_len > USER_TOP)
		return flags & MREMAP_FIXED ? -EINVAL : -ENOMEM;
	if (flags & MREMAP_FIXED) {
		if (!is_aligned(new_addr, PAGE_SIZE) || new_addr > USER_TOP - new_len)
			return -EINVAL;
		if (new_addr < USER_MIN)
			return -EPERM;
		if (addr + old_len > new_addr && new_addr + new_len > addr)
			return -EINVAL;
	}
	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	ret = remap_locked(mm, addr, old_len, new_len, flags, new_addr);
	locked = ret > 0 && new_len > old_len && vma_lookup(mm, (uintptr_t)ret)->flags & VM_LOCKED;
	mmap_write_unlock(mm);
	if (locked)
		(void)mm_populate(mm, (uintptr_t)ret + old_len, (uintptr_t)ret + new_len, POPULATE_AUTO);
	return ret;
}
