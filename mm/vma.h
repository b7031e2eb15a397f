#pragma once
/*
 * The vmas of an address space as a tree: allocation, insertion, splitting, merging, search for free space. Callers
 * hold mmap_lock exclusively, but for the searches. Only mm/ uses this header; what others need is in mm/mm.h.
 */
#include "mm/mm.h"

#define MAX_VMAS	65530u			/* as Linux's vm.max_map_count */
#define STACK_GUARD	(256ul << PAGE_SHIFT)	/* kept free below a vma that grows down */
#define USER_MIN	PAGE_SIZE		/* the first page is never mapped */

#define MAX_FILE_PAGES	(1ull << 32)		/* page indices of files have 32 bits */

#define VM_ACCESS	(VM_READ | VM_WRITE | VM_EXEC)
#define VM_MAYALL	(VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC)

/** Zeroed but for mm, or NULL. Sleeps. */
struct vma *vma_alloc(struct mm *mm);
/** A copy that is in no tree, of the same range, for mm; its file is counted. NULL. Sleeps. */
struct vma *vma_copy(const struct vma *old, struct mm *mm);
/** The same, inserted into dst, which nobody else knows yet; locked memory is not inherited. NULL. Sleeps. */
struct vma *vma_dup_for_fork(struct mm *dst, const struct vma *vma);
/**
 * Into the tree, and among the vmas of its file. The range must be free. Accounts its pages. Cannot fail, does not
 * sleep.
 */
void vma_insert(struct mm *mm, struct vma *vma);
/** Out of the tree and of its file's vmas. */
void vma_remove(struct mm *mm, struct vma *vma);
/**
 * A vma that is in no tree. Its file is put when mmap_write_unlock() has dropped the lock, because closing a file takes
 * locks that come before mmap_lock.
 */
void vma_free(struct mm *mm, struct vma *vma);
/** All of a dying address space; its page tables are gone. Sleeps (closes files). */
void vma_free_all(struct mm *mm);
/**
 * up_write of mmap_lock, then whatever vma_free() put off. Use it after do_munmap() and whatever calls that. Sleeps.
 */
void mmap_write_unlock(struct mm *mm);

/** Change the bounds of a vma in the tree, pgoff along with start; accounts. Nothing may be in the way. */
void vma_set_start(struct vma *vma, uintptr_t start);
void vma_set_end(struct vma *vma, uintptr_t end);
/** Flags and the protection that follows from them. Accounts. */
void vma_set_flags(struct vma *vma, u32 flags);
pgprot_t vma_prot(u32 flags);
/** A flag from the word that mmap and mprotect get. */
static inline u32 vma_flags_of_prot(unsigned prot)
{
	return prot & VM_ACCESS;
}

/**
 * Cut at addr, start < addr < end: vma keeps the lower part, the upper one is returned. NULL: no memory, or too many
 * vmas. Sleeps.
 */
struct vma *vma_split(struct mm *mm, struct vma *vma, uintptr_t addr);
/** The same without the limit: for unmapping, which removes what it cut off. */
struct vma *vma_cut(struct mm *mm, struct vma *vma, uintptr_t addr);
/**
 * Make sure that vma boundaries are at start and end if these lie inside vma: the vma that begins at max(start,
 * vma->start), or NULL.
 */
struct vma *vma_isolate(struct mm *mm, struct vma *vma, uintptr_t start, uintptr_t end);
/** Merge with both neighbours where everything fits. Returns the vma that now covers what vma covered. */
struct vma *vma_merge(struct mm *mm, struct vma *vma);
/** Would a mapping like this continue prev (or be continued by next)? Then extend it instead: the vma, or NULL. */
struct vma *vma_extend(struct mm *mm, uintptr_t start, uintptr_t end, u32 flags, struct file *file, u64 pgoff,
		       const struct vma_ops *ops);

/**
 * Set and clear flags that have no effect on page tables, in [start, end). -ENOMEM for a hole, -EINVAL if `allowed`
 * refuses a vma. With `allowed` (madvise) holes are passed over and reported at the end; without it (mlock) the first
 * one ends the change.
 */
int vma_change_flags(struct mm *mm, uintptr_t start, uintptr_t end, u32 set, u32 clear,
		     bool (*allowed)(const struct vma *, u32));

/** First vma that overlaps [start, end), NULL. */
struct vma *find_vma_intersection(struct mm *mm, uintptr_t start, uintptr_t end);
/** The vma that contains addr, NULL. */
struct vma *vma_lookup(struct mm *mm, uintptr_t addr);

/** Lowest address that must stay free because of this vma. */
static inline uintptr_t vma_floor(const struct vma *vma)
{
	if (!(vma->flags & VM_GROWSDOWN))
		return vma->start;
	return vma->start > STACK_GUARD ? vma->start - STACK_GUARD : 0;
}

/** Can [addr, addr + len) be mapped without touching an existing vma or its guard gap? */
bool range_is_free(struct mm *mm, uintptr_t addr, size_t len);
/**
 * An address for len bytes (page multiple), aligned to `align`: below mmap_base as high as possible, else anywhere. 0:
 * none.
 */
uintptr_t unmapped_area(struct mm *mm, size_t len, size_t align);
/** The same, but ending at `limit` at the latest. */
uintptr_t unmapped_area_below(struct mm *mm, size_t len, size_t align, uintptr_t limit);

/** Extend a neighbour or insert a new anonymous private vma; the range is free. 0, -ENOMEM. Sleeps. */
int map_anonymous(struct mm *mm, uintptr_t start, uintptr_t end, u32 flags);
/** An obvious overcommit: more private writable memory at once than the machine has? */
bool overcommit_refused(u64 pages, u32 flags);

enum populate { POPULATE_AUTO, POPULATE_READ, POPULATE_WRITE };
/**
 * Fault in every page of [start, end). mmap_lock not held. AUTO writes where the mapping is private and writable, and
 * passes over what can not be accessed; READ and WRITE are madvise's. 0, -ENOMEM (hole, or no memory), -EINVAL (no such
 * permission), -EFAULT, -EINTR. Sleeps.
 */
int mm_populate(struct mm *mm, uintptr_t start, uintptr_t end, enum populate how);

static inline bool vma_is_anon_private(const struct vma *vma)
{
	return !vma->ops && !(vma->flags & VM_SHARED);
}

/** mmap_lock held: order, gaps and counts of the tree; panics. mm/check.c uses it. */
void vma_check_tree(struct mm *mm);
void vma_init(void);
