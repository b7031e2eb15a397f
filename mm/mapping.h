#pragma once
/*
 * The page cache of one file: a radix tree of pages by index, the size, and the list of vmas that map it.
 *
 * Locks:  l mapping->lock (RANK_MAPPING)   v mapping->vma_lock (RANK_RMAP)   s the caller serialises size changes
 * (inode->lock)
 * Look-ups need neither: they run under RCU and take their reference with try_get_page, then look whether the page is
 * still there.
 *
 * A page in the cache has type PAGE_FILE, owner = the mapping, its index, and one reference for the cache. Taking it
 * out clears the owner (the type stays, for the counters of those who still map it). So whoever holds the lock of a
 * page table and is about to enter a page that ops->fault or ops->peek returned must first look: page_owner(page) ==
 * NULL means that the file was cut meanwhile; drop the page and fault again. mapping_truncate() clears owners first and
 * unmaps afterwards, so one of the two sides sees the other.
 *
 * mm calls mapping_link_vma() when a vma with a file enters an address space (mmap, fork, split, merge's and mremap's
 * new vmas), while mmap_lock is held exclusively and before page-table entries are copied into it; mapping_unlink_vma()
 * before the vma is freed. Changes of start, end and pgoff of a linked vma need nothing else: truncation looks at them
 * under mmap_lock.
 */
#include "kernel/spinlock.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/types.h"

struct page;
struct vma;

struct mapping {
	void *root;			/* l; read under RCU. a page (index 0), a node (bit 0 set), or NULL */
	u64 size;			/* l and s to change, either to read exactly; bytes */
	u64 nr_pages;			/* l */
	struct list_head vmas;		/* v */
	u32 gen;			/* v. see mapping_truncate() */
	spinlock_t lock;
	spinlock_t vma_lock;
	const struct mapping_ops *ops;	/* i. may be NULL */
};

struct mapping_ops {
	int (*charge)(struct mapping *m);		/* a page is going to be added: 0 or -ENOSPC. Does not sleep */
	void (*uncharge)(struct mapping *m, u64 n);	/* n pages were taken out (or not added). Does not sleep */
};

void mapping_init(struct mapping *m, const struct mapping_ops *ops);
/** Free all pages; nobody maps the file or can find it. Sleeps. */
void mapping_destroy(struct mapping *m);

/** The page with a reference, or NULL. No sleep, no lock. */
struct page *mapping_find(struct mapping *m, u32 index);
/**
 * n neighbours inside the file, each with a reference; NULL for those that are not there. A file of a single page may
 * be missed. No sleep, no lock.
 */
void mapping_find_range(struct mapping *m, u32 index, unsigned n, struct page **pages);
/**
 * The page with a reference; a missing one is added: zeroed, up to date. ERR_PTR: -ENOMEM, -ENOSPC, -EFBIG; -EFAULT if
 * `inside` is set and the index is not inside the file (checked under the lock, so that truncation can not be
 * overtaken). Sleeps.
 */
struct page *mapping_get(struct mapping *m, u32 index, bool inside);
/** Add a page of the caller's (reference taken over, contents complete). -EEXIST, -ENOMEM, -ENOSPC. Sleeps. */
int mapping_add(struct mapping *m, u32 index, struct page *page);
/** Smallest index >= from that has a page; UINT64_MAX if there is none. */
u64 mapping_next(struct mapping *m, u32 from);

/** Grow the size to at least `size`. No lock of the caller's but s. */
void mapping_grow(struct mapping *m, u64 size);
/**
 * Set the size, drop pages beyond it, zero the rest of the last page, and unmap what was dropped everywhere. s held.
 * Takes mmap_locks of those who map it: none may be held. Sleeps.
 */
void mapping_truncate(struct mapping *m, u64 size);
/**
 * Drop whole pages in [first, last] and unmap them where the file is shared (private mappings may keep what they saw).
 * Likewise.
 */
void mapping_punch(struct mapping *m, u64 first, u64 last);

/** Both do nothing for a vma without a file. They do not sleep. */
void mapping_link_vma(struct vma *vma);
void mapping_unlink_vma(struct vma *vma);
/** Is the file mapped anywhere? */
bool mapping_mapped(struct mapping *m);
u64 mapping_pages_total(void);		/* in all caches: meminfo's Cached */
void mapping_init_cache(void);
