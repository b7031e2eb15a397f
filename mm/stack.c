/*
 * The parts of an address space that grow or that the kernel makes: heap, stack, signal-return page.
 *
 * A vma that grows down keeps STACK_GUARD free below it: unmapped_area() and range_is_free() leave the gap,
 * expand_stack() stops at it.
 */
#include "kernel/fsapi.h"
#include "kernel/mutex.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mapping.h"
#include "mm/vma.h"

#include <arch/cpu.h>
#include <arch/trap.h>

#define STACK_INITIAL	(33ul << PAGE_SHIFT)
#define ANON_RW		(VM_READ | VM_WRITE | VM_MAYALL)

long do_brk(uintptr_t brk)
{
	struct mm *mm = current->mm;
	uintptr_t old_end = 0, new_end = 0;
	bool locked = false;
	long ret;

	if (down_write_killable(&mm->mmap_lock))
		return -EINTR;
	if (brk < mm->start_brk || brk > USER_TOP - PAGE_SIZE)
		goto out;
	old_end = align_up(mm->brk, PAGE_SIZE);
	new_end = align_up(brk, PAGE_SIZE);
	if (new_end < old_end) {
		if (do_munmap(mm, new_end, old_end - new_end))
			goto out;
	} else if (new_end > old_end) {
		u32 flags = ANON_RW | mm->def_flags;

		if (!range_is_free(mm, old_end, new_end - old_end) ||
		    overcommit_refused((new_end - old_end) >> PAGE_SHIFT, flags) ||
		    map_anonymous(mm, old_end, new_end, flags))
			goto out;
	}
	mm->brk = brk;
	locked = new_end > old_end && mm->def_flags & VM_LOCKED;
out:
	ret = (long)mm->brk;
	mmap_write_unlock(mm);
	if (locked)
		(void)mm_populate(mm, old_end, new_end, POPULATE_AUTO);
	return ret;
}

int setup_stack(struct mm *mm, uintptr_t top, size_t max)
{
	uintptr_t start;

	top = align_down(top, PAGE_SIZE);
	max = min(align_down(max, PAGE_SIZE), STACK_INITIAL);
	if (!max || top > USER_TOP || top < max)
		return -ENOMEM;
	start = top - max;
	if (!range_is_free(mm, start, top - start))
		return -ENOMEM;
	return map_anonymous(mm, start, top, ANON_RW | VM_GROWSDOWN | VM_STACK | mm->def_flags);
}

/*
 * mmap_lock is held exclusively. Make vma, which begins above addr, begin at addr's page. 0, or -EFAULT: it may not
 * grow that far (the limit is the current process's RLIMIT_STACK).
 */
int expand_stack(struct vma *vma, uintptr_t addr)
{
	struct vma *prev = vma_prev(vma);

	addr = align_down(addr, PAGE_SIZE);
	if (addr >= vma->start)
		return 0;
	if (!(vma->flags & VM_GROWSDOWN) || addr < USER_MIN || vma->end - addr > rlimit(RLIMIT_STACK))
		return -EFAULT;
	if (prev && (addr < prev->end ||
		     (addr - prev->end < STACK_GUARD && !(prev->flags & VM_GROWSDOWN) && prev->flags & VM_ACCESS)))
		return -EFAULT;
	vma_set_start(vma, addr);
	return 0;
}

/* ---- the signal-return page: one page for all, the only page of a mapping of its own */

static struct mapping tramp_mapping;
static struct mutex tramp_mutex = MUTEX_INIT(tramp_mutex, RANK_KERNEL_MUTEX);

static int tramp_fault(struct vm_fault *vf)
{
	vf->page = vf->pgoff ? NULL : mapping_find(&tramp_mapping, 0);
	return vf->page ? 0 : -EFAULT;
}

static const struct vma_ops tramp_ops = { .fault = tramp_fault, .name = "[vdso]" };

static int tramp_create(void)
{
	static bool done;	/* tramp_mutex */
	struct page *p = NULL;

	mutex_lock(&tramp_mutex);
	if (!done) {
		mapping_init(&tramp_mapping, NULL);
		p = mapping_get(&tramp_mapping, 0, false);
		if (!IS_ERR(p)) {
			memcpy(page_to_virt(p), arch_sigtramp, ARCH_SIGTRAMP_SIZE);
			icache_sync(page_to_virt(p), ARCH_SIGTRAMP_SIZE);
			put_page(p);
			done = true;
		}
	}
	mutex_unlock(&tramp_mutex);
	return PTR_ERR_OR_ZERO(p);
}

int map_sigtramp(struct mm *mm)
{
	struct vma *vma;
	uintptr_t addr;
	int err;

	if (!ARCH_SIGTRAMP_SIZE)
		return 0;
	err = tramp_create();
	if (err)
		return err;
	addr = unmapped_area(mm, PAGE_SIZE, PAGE_SIZE);
	vma = addr ? vma_alloc(mm) : NULL;
	if (!vma)
		return -ENOMEM;
	vma->start = addr;
	vma->end = addr + PAGE_SIZE;
	vma->flags = VM_READ | VM_EXEC | VM_MAYREAD | VM_MAYEXEC | VM_SIGTRAMP | VM_DONTEXPAND;
	vma->prot = vma_prot(vma->flags);
	vma->ops = &tramp_ops;
	vma_insert(mm, vma);
	mm->sigtramp = addr;
	return 0;
}
