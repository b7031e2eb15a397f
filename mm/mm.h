#pragma once
/*
 * Address spaces: struct mm and its vmas.
 *
 * Locks:  m mmap_lock (write to change, read to read)   P page_table_lock   a atomic   i fixed at creation
 *
 * mm->users counts tasks (and others such as /proc readers) that use the address space; at zero the address space is
 * torn down (exit_mmap). mm->count keeps struct mm and its root table; all users together hold one. Faults,
 * MADV_DONTNEED and fork's source side of COW run under the shared mmap_lock (fork holds it exclusively); munmap,
 * mprotect, mremap, brk hold it exclusively.
 */
#include <arch/ctx.h>
#include <arch/pte.h>

#include "kernel/cpumask.h"
#include "kernel/mutex.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "mm/page.h"

struct file;
struct mm;
struct vma;

/* vma->flags. The low bits are PROT_READ.. of mmap(2) shifted nowhere: VM_READ == PROT_READ. */
#define VM_READ		0x1u
#define VM_WRITE	0x2u
#define VM_EXEC		0x4u
#define VM_SHARED	0x8u
#define VM_MAYREAD	0x10u
#define VM_MAYWRITE	0x20u
#define VM_MAYEXEC	0x40u
#define VM_GROWSDOWN	0x100u
#define VM_STACK	0x200u
#define VM_NORESERVE	0x400u
#define VM_DONTEXPAND	0x800u
#define VM_PFNMAP	0x1000u	/* entries have no counted pages */
/* the kernel's signal-return page: shown as [vdso]-like, may be unmapped but not written */
#define VM_SIGTRAMP	0x2000u
#define VM_WIPEONFORK	0x4000u
#define VM_DONTFORK	0x8000u
#define VM_HUGEPAGE	0x10000u
#define VM_NOHUGEPAGE	0x20000u
#define VM_LOCKED	0x40000u

struct vm_fault {
	struct mm *mm;
	struct vma *vma;
	uintptr_t addr;		/* page aligned */
	unsigned access;	/* FAULT_* */
	u32 pgoff;		/* of the page in the file */
	struct page *page;	/* result of ops->fault: with a reference for the caller */
};

struct vma_ops {
	/**
	 * The file page at vf->pgoff: 0 and vf->page, or -errno (the task gets SIGBUS). mmap_lock is held shared; may
	 * sleep.
	 */
	int (*fault)(struct vm_fault *vf);
	/** A shared, writable page is about to be written for the first time since it was clean. */
	void (*mkwrite)(struct vm_fault *vf);
	/**
	 * Optional: those of n neighbouring file pages that are in memory, each with a reference, NULL for the others.
	 * No sleep.
	 */
	void (*peek)(struct vma *vma, u32 pgoff, unsigned n, struct page **pages);
	const char *name;	/* shown in maps if there is no file */
};

struct vma {
	struct rb_node node;		/* m */
	uintptr_t start, end;		/* m */
	uintptr_t gap;			/* m. free space below start, down to the previous vma's end */
	uintptr_t max_gap;		/* m. largest gap in this subtree */
	struct mm *mm;			/* i */
	u32 flags;			/* m. VM_* */
	pgprot_t prot;			/* m. for entries of this vma */
	/* m. of start: file offset in pages; for anonymous memory start >> PAGE_SHIFT when created */
	u64 pgoff;
	struct file *file;		/* i. counted reference */
	const struct vma_ops *ops;	/* i. NULL: anonymous */
	struct list_head map_link;	/* mapping's vma_lock. In the file's mapping->vmas: mm/mapping.h */
	u32 map_gen;			/* mapping's vma_lock */
	void *anon;			/* reverse map of anonymous pages: later */
	bool has_anon; /* an anonymous page was put here: set under the shared m, never cleared. Fork need not copy
					 * entries of a file mapping without any: they fault in again */
};

struct mm {
	struct arch_mm arch;		/* port */
	pte_t *root;			/* i */
	atomic_t users;			/* a */
	atomic_t count;			/* a */
	struct cpumask cpumask;		/* a. CPUs that may hold translations of this mm */
	struct rwsem mmap_lock;
	struct rb_root vmas;		/* m. by address */
	unsigned nr_vmas;		/* m */
	spinlock_t page_table_lock;	/* P. hooking of tables above level 0 and of level-0 tables into their parent */
	atomic_t tlb_pending;		/* a. gathers that have unhooked and not yet flushed */
	u64 tlb_gen;			/* a */

	/* statistics, in pages; a */
	atomic64_t rss_anon, rss_file, rss_shmem, nr_swap;
	atomic64_t table_bytes;
	u64 hiwater_rss;		/* a. best effort */
	u64 total_vm;			/* m. pages of all vmas */
	u64 data_vm, stack_vm, exec_vm;	/* m */

	/* layout; m after exec */
	uintptr_t mmap_base;		/* top-down: new mappings go below */
	uintptr_t start_brk, brk;
	uintptr_t start_stack;
	uintptr_t start_code, end_code, start_data, end_data;
	uintptr_t arg_start, arg_end, env_start, env_end;
	uintptr_t sigtramp;		/* user address of the signal-return page, 0 if none */
	u64 saved_auxv[64];
	struct file *exe_file;		/* m. counted */
	int dumpable;
	bool oom_victim;	/* killed for its memory: set once, read with READ_ONCE */
	u32 def_flags;			/* m. VM_LOCKED for new mappings: mlockall(MCL_FUTURE) */
	struct mm *dead_next;		/* kernel/lazy_tlb.c: dead, waiting for CPUs to leave */
	/* m. their files are put when the lock is dropped: mmap_write_unlock() in mm/vma.h */
	struct vma *dead_vmas;
};

extern struct mm init_mm;		/* the kernel's own: root table of kernel threads; never torn down */

/** An empty address space, users = count = 1. NULL if there is no memory. Sleeps. */
struct mm *mm_create(void);
/** A copy of the current task's for fork: COW. ERR_PTR(-ENOMEM), ERR_PTR(-EINTR). Sleeps. */
struct mm *mm_dup(struct mm *old);
static inline struct mm *mmget(struct mm *mm)
{
	atomic_inc(&mm->users);
	return mm;
}
bool mmget_not_zero(struct mm *mm);
/** Drop a user; the last one tears the address space down before mmput returns. Sleeps. */
void mmput(struct mm *mm);
static inline void mmgrab(struct mm *mm)
{
	atomic_inc(&mm->count);
}
/** Drop the struct. Any context with interrupts on or off. */
void mmdrop(struct mm *mm);
/** No references, and no CPU has its root loaded: kernel/lazy_tlb.c. Any context. */
void mm_free(struct mm *mm);

/** Pages that it has mapped, roughly: others fault and zap meanwhile. Any context. */
static inline u64 mm_rss(const struct mm *mm)
{
	s64 pages = atomic64_read(&mm->rss_anon) + atomic64_read(&mm->rss_file) + atomic64_read(&mm->rss_shmem);

	return pages > 0 ? (u64)pages : 0;
}
/** The most that it had mapped. Any context. */
static inline u64 mm_peak_rss(const struct mm *mm)
{
	return max(mm_rss(mm), READ_ONCE(mm->hiwater_rss));
}

/** exec: the current task leaves its mm and uses `mm` from now on (takes the caller's user reference). Sleeps. */
void exec_mmap(struct mm *mm);
/** exit: the current task has no user memory any more: becomes lazy, then mmput. Sleeps. */
void exit_mm(void);
/**
 * Called by schedule() with interrupts off: next's address space is loaded (or borrowed, if next is a kernel thread).
 * mm/context.c
 */
void switch_mm(struct task *prev, struct task *next);
/** Called by schedule_tail after the switch: drops what the previous task's lazy use needed dropped. */
void switch_mm_finish(struct task *prev);

/* vma tree: mm/vma.c. Callers hold mmap_lock as said in `mm`. */
struct vma *find_vma(struct mm *mm, uintptr_t addr);		/* first with end > addr, NULL */
struct vma *vma_next(struct vma *vma);
struct vma *vma_prev(struct vma *vma);
static inline struct vma *vma_first(struct mm *mm)
{
	struct rb_node *n = rb_first(&mm->vmas);

	return n ? rb_entry(n, struct vma, node) : NULL;
}

/* mm/mmap.c: user addresses and lengths are validated inside; all sleep; 0 or address or -errno. */
/* takes mmap_lock */
long do_mmap(struct file *file, uintptr_t addr, size_t len, unsigned prot, unsigned flags, u64 pgoff);
long do_mmap_locked(struct mm *mm, struct file *file, uintptr_t addr, size_t len, unsigned prot, unsigned flags,
		    u64 pgoff);
int do_munmap(struct mm *mm, uintptr_t addr, size_t len);	/* mmap_lock held exclusively */
int do_mprotect(uintptr_t addr, size_t len, unsigned prot);
long do_mremap(uintptr_t addr, size_t old_len, size_t new_len, unsigned flags, uintptr_t new_addr);
long do_brk(uintptr_t brk);
int do_madvise(struct mm *mm, uintptr_t addr, size_t len, int advice);
/**
 * exec: the stack below top, as large as is usual at first and at most max; grows on demand up to RLIMIT_STACK. 0,
 * -ENOMEM.
 */
int setup_stack(struct mm *mm, uintptr_t top, size_t max);
int expand_stack(struct vma *vma, uintptr_t addr);
/** The signal-return page: maps arch_sigtramp at a free place, remembers mm->sigtramp. */
int map_sigtramp(struct mm *mm);

/* mm/fault.c */
/**
 * Handle a user page fault; mmap_lock is NOT held. 0, or -EFAULT (SIGSEGV/MAPERR), -EACCES (SEGV/ACCERR), -EIO
 * (SIGBUS), -ENOMEM.
 */
int handle_mm_fault(struct mm *mm, uintptr_t addr, unsigned access);
/** Access another (or the current) mm's memory: bytes copied. Sleeps. For /proc/PID/cmdline, process_vm_*. */
size_t access_process_vm(struct mm *mm, uintptr_t addr, void *buf, size_t len, bool write);

/*
 * mm/check.c, debug: walk tables and count against statistics; panics. The mm has no other user, or mmap_lock is held
 * exclusively.
 */
void mm_check(struct mm *mm);
void mm_init(void);
