/*
 * Page faults of user addresses.
 *
 * => handle_mm_fault: mmap_lock not held. Takes it shared; several faults of one mm run at once. What changes an entry:
 * the lock of its table
 *    (PTL). Whatever was read before the PTL was taken is read again under it.
 * <= all locks released. 0, or why not.
 *
 * Who owns a page for writing: an anonymous page with exactly one reference (this mapping's) is ours to write; with
 * more it is shared (fork) or looked at (a transient holder), and is copied.
 */
#include <arch/tlb.h>
#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/lazy_tlb.h"
#include "kernel/printk.h"
#include "kernel/race.h"
#include "kernel/signal.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/fault.h"
#include "mm/gather.h"
#include "mm/kmap.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "mm/vmstat.h"

#define FAULT_AROUND_PAGES 16u

/* shared by all reads of untouched anonymous memory; its entries are special: not counted */
static struct page *zero_page;

void zero_page_init(void)
{
	zero_page = alloc_pages(0, GFP_KERNEL | GFP_ZERO);
	if (!zero_page)
		panic("boot: no zero page");
}

/* A writable, dirty entry for a page that is ours. */
static inline pte_t writable_pte(struct vma *vma, struct page *p)
{
	return pte_mkwrite(pte_mkdirty(pte_mkyoung(pte_make(page_to_pfn(p), vma->prot))));
}

/* The new page gets its first mapping; its reference was the allocation's. */
static inline void page_init_anon(struct page *p, uintptr_t addr)
{
	page_set_owner(p, PAGE_ANON, NULL);
	p->index = (u32)(addr >> PAGE_SHIFT);
	p->swap = 0;
	atomic64_set(&p->state, PAGE_REF_ONE | PAGE_MAP_ONE | PG_UPTODATE);
}

static inline void note_anon(struct vma *vma)
{
	if (unlikely(!READ_ONCE(vma->has_anon)))
		WRITE_ONCE(vma->has_anon, true);
}

/*
 * A page is about to be mapped executable: instructions that were written through the direct map must be seen by
 * instruction fetch. Once per page; program text is not written afterwards (a debugger's write clears the flag:
 * access_process_vm).
 */
static inline void sync_instructions(const struct vma *vma, struct page *p)
{
	if (!(vma->flags & VM_EXEC) || page_flag(p, PG_ICACHE))
		return;
	icache_sync(page_to_virt(p), PAGE_SIZE);
	page_set_flag(p, PG_ICACHE);
}

/* First touch of anonymous memory. */
static int anon_fault(struct vm_fault *vf)
{
	spinlock_t *ptl;
	struct page *p = NULL;
	pte_t *e = pt_alloc(vf->mm, vf->addr, GFP_KERNEL), v;

	if (unlikely(!e))
		return -ENOMEM;
	if (vf->access & FAULT_WRITE) {
		p = alloc_page(GFP_KERNEL | GFP_ZERO);
		if (unlikely(!p))
			return -ENOMEM;
		page_init_anon(p, vf->addr);
		v = writable_pte(vf->vma, p);
	} else {
		v = pte_mkspecial(pte_wrprotect(pte_mkyoung(pte_make(page_to_pfn(zero_page), vf->vma->prot))));
	}
	race_point("fault:before-ptl");
	ptl = pte_lockptr(e);
	spin_lock(ptl);
	if (unlikely(!pte_none(pte_load(e)))) {
		spin_unlock(ptl); /* another thread was quicker */
		if (p)
			put_page_mapped(p);
		return 0;
	}
	smp_wmb(); /* the page's contents before the entry that shows them: pairs with every CPU's table walk */
	pte_store(e, v);
	pte_publish();
	spin_unlock(ptl);
	if (p) {
		note_anon(vf->vma);
		atomic64_add(1, &vf->mm->rss_anon);
	}
	return 0;
}

/* A private copy of `old` (NULL: of the zero page) for vf->addr. NULL: no memory. */
static struct page *make_copy(struct vm_fault *vf, struct page *old)
{
	struct page *p = alloc_page(GFP_KERNEL | (old ? 0 : GFP_ZERO));

	if (p) {
		if (old)
			copy_page(page_to_virt(p), page_to_virt(old));
		page_init_anon(p, vf->addr);
		vm_event(VME_pgcow);
	}
	return p;
}

/* A write to a present entry that does not allow it, in a vma that does. `v` was read without the lock. */
static int write_protect_fault(struct vm_fault *vf, pte_t *e, pte_t v)
{
	spinlock_t *ptl = pte_lockptr(e);
	struct page *old = NULL, *copy;
	u64 state;

	spin_lock(ptl);
	if (pte_load(e).v != v.v)
		goto again;
	if (!pte_special(v))
		old = pfn_to_page(pte_pfn(v));
	if (vf->vma->flags & VM_SHARED || (old && page_type(old) == PAGE_ANON && page_refs(old) == 1)) {
		if (vf->vma->flags & VM_SHARED && vf->vma->ops && vf->vma->ops->mkwrite) {
			vf->page = old;
			vf->vma->ops->mkwrite(vf);
		}
		/*
		 * More permission on the same frame: a stale entry elsewhere only faults again, which is found
		 * spurious.
		 */
		pte_xchg(e, pte_mkwrite(pte_mkdirty(pte_mkyoung(v))));
		pte_publish();
		spin_unlock(ptl);
		tlb_local_page(vf->mm, vf->addr);
		vm_event(VME_pgreuse);
		return 0;
	}
	if (old)
		get_page(old); /* stays while we copy without the lock */
	spin_unlock(ptl);

	copy = make_copy(vf, old);
	if (!copy) {
		if (old)
			put_page(old);
		return -ENOMEM;
	}
	sync_instructions(vf->vma, copy);
	race_point("fault:cow-copied");
	spin_lock(ptl);
	if (pte_load(e).v != v.v) {
		spin_unlock(ptl);
		put_page_mapped(copy);
		if (old)
			put_page(old);
		return 0;
	}
	/*
	 * Another frame: every CPU must have forgotten the old one before the new one is written (break-before-make on
	 * all ports).
	 */
	pte_xchg(e, (pte_t){ 0 });
	flush_tlb_page(vf->mm, vf->addr);
	smp_wmb(); /* contents before entry, as in anon_fault */
	pte_store(e, writable_pte(vf->vma, copy));
	pte_publish();
	spin_unlock(ptl);
	note_anon(vf->vma);
	atomic64_add(1, &vf->mm->rss_anon);
	if (old) {
		if (page_type(old) == PAGE_ANON)
			atomic64_sub(1, &vf->mm->rss_anon);
		else
			atomic64_sub(1, &vf->mm->rss_file);
		state = page_drop_map(old);
		DEBUG_ASSERT(!state_is_last(state), "page %#llx lost our own reference",
			     (unsigned long long)page_to_pfn(old));
		put_page(old);
	}
	return 0;
again:
	spin_unlock(ptl);
	return 0;
}

/* Truncation clears the owner first and unmaps afterwards (mm/mapping.h): under the PTL, one of us sees the other. */
static inline bool page_was_cut(const struct page *p)
{
	return page_type(p) == PAGE_FILE && !page_owner(p);
}

/* Map neighbours that are in memory already, so that a program's text does not fault page by page. PTL held. */
static unsigned map_around(struct vm_fault *vf, pte_t *e)
{
	struct vma *vma = vf->vma;
	uintptr_t lo = align_down(vf->addr, FAULT_AROUND_PAGES * PAGE_SIZE), hi = lo + FAULT_AROUND_PAGES * PAGE_SIZE;
	struct page *pages[FAULT_AROUND_PAGES];
	unsigned n = 0;

	lo = max(lo, vma->start);
	hi = min(hi, vma->end);
	e -= (vf->addr - lo) >> PAGE_SHIFT;
	vma->ops->peek(vma, (u32)(vma->pgoff + ((lo - vma->start) >> PAGE_SHIFT)), (unsigned)((hi - lo) >> PAGE_SHIFT),
		       pages);
	for (unsigned i = 0; i < (hi - lo) >> PAGE_SHIFT; i++, e++) {
		struct page *p = pages[i];
		pte_t v;

		if (!p)
			continue;
		if (!pte_none(pte_load(e)) || unlikely(page_was_cut(p))) {
			put_page(p);
			continue;
		}
		sync_instructions(vma, p);
		atomic64_add((s64)PAGE_MAP_ONE, &p->state);
		v = pte_wrprotect(pte_make(page_to_pfn(p), vma->prot));
		/*
		 * Nobody has accessed it. But where software would have to answer a fault to say that somebody has, say
		 * it.
		 */
		pte_store(e, PTE_HW_AD ? pte_mkold(v) : pte_mkyoung(v));
		n++;
	}
	vm_event_add(VME_fault_around, n);
	return n;
}

/* First touch of a file's page. */
static int file_fault(struct vm_fault *vf)
{
	struct vma *vma = vf->vma;
	bool write = vf->access & FAULT_WRITE, shared = vma->flags & VM_SHARED;
	struct page *p;
	spinlock_t *ptl;
	unsigned around = 0;
	pte_t *e = pt_alloc(vf->mm, vf->addr, GFP_KERNEL), v;
	int err;

	if (unlikely(!e))
		return -ENOMEM;
	vf->pgoff = (u32)(vma->pgoff + ((vf->addr - vma->start) >> PAGE_SHIFT));
	err = vma->ops->fault(vf);
	if (err)
		return err;
	p = vf->page;
	if (write && !shared) {
		struct page *copy = make_copy(vf, p);

		put_page(p);
		if (!copy)
			return -ENOMEM;
		p = copy;
		v = writable_pte(vma, p);
	} else {
		atomic64_add((s64)PAGE_MAP_ONE, &p->state);
		v = pte_mkyoung(pte_make(page_to_pfn(p), vma->prot));
		if (write) {
			if (vma->ops->mkwrite)
				vma->ops->mkwrite(vf);
			v = pte_mkwrite(pte_mkdirty(v));
		} else {
			v = pte_wrprotect(v);
		}
	}
	sync_instructions(vma, p);
	ptl = pte_lockptr(e);
	spin_lock(ptl);
	if (unlikely(!pte_none(pte_load(e)) || page_was_cut(p))) {
		spin_unlock(ptl);
		put_page_mapped(p);
		return 0; /* somebody was quicker, or the file was cut: look again */
	}
	smp_wmb(); /* contents before entry, as in anon_fault */
	pte_store(e, v);
	if (!write && vma->ops->peek)
		around = map_around(vf, e);
	pte_publish();
	spin_unlock(ptl);
	if (write && !shared) {
		note_anon(vma);
		atomic64_add(1, &vf->mm->rss_anon);
		atomic64_add(around, &vf->mm->rss_file);
	} else {
		atomic64_add(1 + around, &vf->mm->rss_file);
	}
	return 0;
}

/* Drop the mapping and reference of a page that was never shown to anybody. */
void put_page_mapped(struct page *p)
{
	u64 old = page_drop_map(p);

	if (state_is_last(old))
		put_page_slow(p, old);
}

/* The entry is present: the hardware objected to something, or has not noticed that all is well. */
static int present_fault(struct vm_fault *vf, pte_t *e, pte_t v)
{
	bool write = vf->access & FAULT_WRITE;

	if (write && !pte_write(v))
		return write_protect_fault(vf, e, v);
	if (!pte_young(v) || (write && !pte_dirty(v))) {
		spinlock_t *ptl = pte_lockptr(e);

		spin_lock(ptl);
		/*
		 * Unless the hardware of another CPU, or another task, changed it meanwhile: then the access is tried
		 * again.
		 */
		if (pte_cas(e, v, write ? pte_mkdirty(pte_mkyoung(v)) : pte_mkyoung(v)))
			pte_publish();
		spin_unlock(ptl);
	} else {
		vm_event(VME_fault_spurious);
	}
	tlb_local_page(vf->mm, vf->addr);
	return 0;
}

static bool access_allowed(const struct vma *vma, unsigned access)
{
	if (access & FAULT_WRITE)
		return vma->flags & VM_WRITE;
	if (access & FAULT_EXEC)
		return vma->flags & VM_EXEC;
	return vma->flags & (VM_READ | VM_WRITE | VM_EXEC);
}

/* With mmap_lock held shared. */
static int fault_locked(struct mm *mm, struct vma *vma, uintptr_t addr, unsigned access)
{
	struct vm_fault vf = { .mm = mm, .vma = vma, .addr = addr & PAGE_MASK, .access = access };
	int level;
	pte_t *e, v;

	if (!access_allowed(vma, access))
		return -EACCES;
	e = pt_walk(mm, vf.addr, &level);
	if (level == 0) {
		v = pte_load(e);
		if (pte_present(v))
			return present_fault(&vf, e, v);
		DEBUG_ASSERT(pte_none(v), "soft entry %#llx at %#lx: nobody makes these yet", (unsigned long long)v.v,
			     addr);
	}
	return vma->ops ? file_fault(&vf) : anon_fault(&vf);
}

/*
 * addr lies below a stack: grow it, under the exclusive lock, and come back with the shared one. NULL: not a stack,
 * nothing locked.
 */
static struct vma *grow_stack(struct mm *mm, uintptr_t addr)
{
	struct vma *vma;

	down_write(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (vma && (vma->start <= addr || ((vma->flags & VM_GROWSDOWN) && !expand_stack(vma, addr & PAGE_MASK)))) {
		downgrade_write(&mm->mmap_lock);
		return vma;
	}
	up_write(&mm->mmap_lock);
	return NULL;
}

int handle_mm_fault(struct mm *mm, uintptr_t addr, unsigned access)
{
	struct vma *vma;
	int err;

	vm_event(VME_pgfault);
	current->min_flt++;
	if (unlikely(addr >= USER_TOP))
		return -EFAULT;
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (unlikely(!vma || vma->start > addr)) {
		bool stack = vma && (vma->flags & VM_GROWSDOWN);

		up_read(&mm->mmap_lock);
		vma = stack ? grow_stack(mm, addr) : NULL;
		if (!vma)
			return -EFAULT;
	}
	err = fault_locked(mm, vma, addr, access);
	up_read(&mm->mmap_lock);
	return err;
}

static void kernel_fault(struct trapframe *tf, uintptr_t addr, unsigned access)
{
	struct task *t = current;

	/* Only the user-access functions may touch user memory, and only they have fixups. */
	if (addr < USER_TOP && t->mm && !t->pagefault_disabled && !in_interrupt() && has_fixup(tf)) {
		int err;

		irq_enable();
		err = handle_mm_fault(t->mm, addr, access);
		irq_disable();
		if (!err)
			return;
		if (err == -ENOMEM)
			out_of_memory();
	}
	if (fixup_exception(tf))
		return;
	do_kernel_exception(tf,
			    kstack_guard_hit(addr) ? "kernel stack overflow"
			    : access & FAULT_WRITE ? "page fault on write"
			    : access & FAULT_EXEC  ? "page fault on execute"
						   : "page fault on read",
			    addr);
}

void do_page_fault(struct trapframe *tf, uintptr_t addr, unsigned access)
{
	int err;

	if (unlikely(!tf_user(tf))) {
		kernel_fault(tf, addr, access & ~FAULT_USER);
		return;
	}
	irq_enable();
	err = current->mm ? handle_mm_fault(current->mm, addr, access) : -EFAULT;
	if (unlikely(err == -ENOMEM)) {
		/* Some may be on its way back: what workers free, dead address spaces. Then nobody need die for it. */
		gather_drain();
		lazy_tlb_drain();
		err = handle_mm_fault(current->mm, addr, access);
	}
	irq_disable();
	if (likely(!err))
		return;
	switch (err) {
	case -EACCES:
		do_user_exception(tf, SIGSEGV, SEGV_ACCERR, addr);
		break;
	case -ENOMEM:
		out_of_memory();
		break;
	case -EFAULT:
		do_user_exception(tf, SIGSEGV, SEGV_MAPERR, addr);
		break;
	default:
		do_user_exception(tf, SIGBUS, BUS_ADRERR, addr);
		break;
	}
}

/* There is no reclaim yet, so the task that asked for more than there is ends. */
void out_of_memory(void)
{
	struct task *t = current;

	pr_warn("Out of memory: killed process %d (%s), %lld kB anonymous, %llu kB free", t->pid, t->comm,
		(long long)atomic64_read(&t->mm->rss_anon) * 4, (unsigned long long)nr_free_pages() * 4);
	t->flags |= TF_OOM_VICTIM;
	WRITE_ONCE(t->mm->oom_victim, true);
	send_sig(SIGKILL);
}

/** Make a page of another mm present (and writable if `write`) and return it with a reference. Sleeps. NULL. */
static struct page *get_user_page(struct mm *mm, uintptr_t addr, bool write)
{
	for (int tries = 0; tries < 16; tries++) {
		spinlock_t *ptl;
		pte_t *e;

		down_read(&mm->mmap_lock);
		e = pte_offset_map_lock(mm, addr, &ptl);
		if (e) {
			pte_t v = pte_load(e);
			struct page *p = NULL;

			if (pte_present(v) && (!write || pte_write(v)) && pte_user(v)) {
				if (pte_special(v)) {
					p = zero_page;
					get_page(p);
				} else {
					p = pfn_to_page(pte_pfn(v));
					get_page(p);
				}
			}
			pte_unmap_unlock(ptl);
			if (p) {
				up_read(&mm->mmap_lock);
				return p;
			}
		}
		up_read(&mm->mmap_lock);
		if (handle_mm_fault(mm, addr, write ? FAULT_WRITE : 0))
			return NULL;
	}
	return NULL;
}

size_t access_process_vm(struct mm *mm, uintptr_t addr, void *buf, size_t len, bool write)
{
	size_t done = 0;

	while (done < len) {
		uintptr_t at = addr + done;
		size_t off = at & ~PAGE_MASK, n = min(len - done, PAGE_SIZE - off);
		struct page *p = get_user_page(mm, at & PAGE_MASK, write);
		char *k;

		if (!p)
			break;
		k = (char *)page_to_virt(p) + off;
		if (write) {
			memcpy(k, (char *)buf + done, n);
			page_clear_flag(p, PG_ICACHE);
		} else {
			memcpy((char *)buf + done, k, n);
		}
		put_page(p);
		done += n;
	}
	return done;
}
