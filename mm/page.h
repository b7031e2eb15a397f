#pragma once
/*
 * struct page: one 32-byte descriptor for each page frame, in one virtually contiguous array (VMEMMAP_BASE) that is
 * backed by memory only where there is RAM, and initialised only when the allocator first hands the frame out.
 *
 * One 64-bit word, `state`, says who holds the page: references, mappings and flags together, so that dropping a
 * mapping and its reference is one atomic operation, and the last dropper learns the flags from the same operation.
 *
 *     63            40 39            16 15           0
 *     +---------------+----------------+--------------+
 *     | mappings (24) | references (24)| flags (16)   |
 *     +---------------+----------------+--------------+
 *
 * What the reference count means, by type:
 *   free, in the buddy system or a per-CPU list	0
 *   anonymous, file		1 per mapping + 1 for the page cache or swap cache + 1 per transient holder (get_page)
 *   table			1 for being hooked in (mechanism 5 will count entries and visitors on top)
 *   slab, kernel		1 for its owner
 *
 * `word`: owner pointer (48 bits, see page_owner) | type | order | node. Changed only by who owns the page alone
 * (allocator, or under the page lock): not atomic against `state`.
 *
 * Limits: 2^32 frames (16 TiB); 2^22 mappings and references of one page (page_dup_map refuses more, the fork then
 * fails with ENOMEM; each CPU may overshoot by one, hence room above); anonymous index is (va >> 12) mod 2^32: unique
 * within 16 TiB of one vma, the reverse map checks the entry it finds; file index 2^32 pages (16 TiB); 2^32 swap slots;
 * 128 NUMA nodes.
 */
#include <arch/pte.h>

#include "kernel/spinlock.h"
#include "lib/atomic.h"
#include "lib/types.h"

enum page_type {
	/* firmware, kernel image, hole; a descriptor never initialised reads as this if memory was zero */
	PAGE_RESERVED = 0,
	PAGE_BUDDY,		/* head of a free block; order valid */
	PAGE_PCP,		/* on a per-CPU list */
	PAGE_KERNEL,		/* allocated, no more specific type yet */
	PAGE_ANON,
	PAGE_FILE,
	PAGE_TABLE,
	PAGE_SLAB,
	PAGE_TAIL,		/* part of a compound page: link[0] is the head's frame number */
};

/* Flags: low 16 bits of state; set and cleared atomically while others may hold the page. */
#define PG_LOCKED	(1ull << 0)
#define PG_UPTODATE	(1ull << 1)
#define PG_DIRTY	(1ull << 2)
#define PG_REFERENCED	(1ull << 3)
#define PG_LRU		(1ull << 4)
#define PG_ACTIVE	(1ull << 5)
#define PG_WRITEBACK	(1ull << 6)
#define PG_SWAPCACHE	(1ull << 7)
#define PG_RECLAIM	(1ull << 8)
#define PG_UNEVICTABLE	(1ull << 9)
#define PG_WAITERS	(1ull << 10)	/* somebody sleeps on PG_LOCKED or PG_WRITEBACK */
#define PG_ZERO		(1ull << 11)	/* contents are known to be zero: never written since it was allocated zero */
#define PG_ERROR	(1ull << 12)
#define PG_HUGE		(1ull << 13)	/* head of a compound page */
/* debug: its owner never wrote it, so it keeps the free pattern (or what it had at boot) */
#define PG_POISON	(1ull << 14)
#define PG_ICACHE	(1ull << 15)	/* instruction caches have seen these contents; cleared by who writes them */
#define PG_FLAGS	0xffffull

#define PAGE_REF_SHIFT	16
#define PAGE_MAP_SHIFT	40
#define PAGE_REF_ONE	(1ull << PAGE_REF_SHIFT)
#define PAGE_MAP_ONE	(1ull << PAGE_MAP_SHIFT)
#define PAGE_COUNT_MASK	0xffffffull
#define PAGE_COUNT_LIMIT (1u << 22)

struct page {
	union {
		u32 link[2];		/* frame numbers: LRU or free-list neighbours. z for free pages (mm/palloc.c) */
		void *private;		/* PAGE_TABLE: the mm it belongs to. PAGE_SLAB: next slab */
	};
	u64 word;
	union {
		struct {
			u32 index;	/* PAGE_ANON, PAGE_FILE: position in the mapping, in pages */
			u32 swap;	/* PAGE_ANON in swap cache: slot; else 0 */
		};
		spinlock_t ptl;		/* PAGE_TABLE: the lock of this table's entries */
		struct {
			u16 slab_inuse;	/* PAGE_SLAB: slab lock */
			u16 slab_free;	/* PAGE_SLAB: index of the first free object + 1; slab lock */
			u32 slab_prev;
		};
	};
	atomic64_t state;
};

static_assert(sizeof(struct page) == 32, "a page descriptor is 32 bytes");

#define vmemmap ((struct page *)VMEMMAP_BASE)

static inline struct page *pfn_to_page(u64 pfn)
{
	return vmemmap + pfn;
}

static inline u64 page_to_pfn(const struct page *p)
{
	return (u64)(p - vmemmap);
}

static inline struct page *virt_to_page(const void *va)
{
	return pfn_to_page(virt_to_phys(va) >> PAGE_SHIFT);
}

static inline void *page_to_virt(const struct page *p)
{
	return phys_to_virt(page_to_pfn(p) << PAGE_SHIFT);
}

/*
 * word: bits 0-3 type, 4-8 order, 9-15 node, 16-63 the owner pointer's low 48 bits. Kernel pointers of every port have
 * the same bits above bit 47 as DIRECT_MAP_BASE, which gives them back.
 */
#define PAGE_OWNER_SHIFT 16

static inline enum page_type page_type(const struct page *p)
{
	return (enum page_type)(READ_ONCE(p->word) & 0xf);
}

static inline unsigned page_order(const struct page *p)
{
	return READ_ONCE(p->word) >> 4 & 0x1f;
}

static inline unsigned page_node(const struct page *p)
{
	return READ_ONCE(p->word) >> 9 & 0x7f;
}

/** The anon_vma, mapping, or slab cache of the page; NULL if none. */
static inline void *page_owner(const struct page *p)
{
	u64 w = READ_ONCE(p->word) >> PAGE_OWNER_SHIFT;

	return w ? (void *)(uintptr_t)(w | ((u64)DIRECT_MAP_BASE & ~((1ull << 48) - 1))) : NULL;
}

static inline u64 page_word(enum page_type type, unsigned order, unsigned node, const void *owner)
{
	return (u64)type | (u64)order << 4 | (u64)node << 9 | (u64)(uintptr_t)owner << PAGE_OWNER_SHIFT;
}

/** Type and owner; order and node stay. The caller owns the page alone or holds the page lock. */
static inline void page_set_owner(struct page *p, enum page_type type, const void *owner)
{
	WRITE_ONCE(p->word, (p->word & 0xfff0) | (u64)type | (u64)(uintptr_t)owner << PAGE_OWNER_SHIFT);
}

static inline u64 page_state(const struct page *p)
{
	return (u64)atomic64_read(&p->state);
}

static inline unsigned page_refs(const struct page *p)
{
	return page_state(p) >> PAGE_REF_SHIFT & PAGE_COUNT_MASK;
}

static inline unsigned page_mapcount(const struct page *p)
{
	return page_state(p) >> PAGE_MAP_SHIFT;
}

static inline bool page_flag(const struct page *p, u64 flag)
{
	return (page_state(p) & flag) != 0;
}

static inline void page_set_flag(struct page *p, u64 flag)
{
	__atomic_fetch_or(&p->state.v, (s64)flag, __ATOMIC_RELAXED);
}

static inline void page_clear_flag(struct page *p, u64 flag)
{
	__atomic_fetch_and(&p->state.v, (s64)~flag, __ATOMIC_RELAXED);
}

/** The caller holds a reference already, or something that keeps one alive. Relaxed. */
static inline void get_page(struct page *p)
{
	atomic64_add(PAGE_REF_ONE, &p->state);
}

/** Take a reference unless there is none left (lockless look-ups); fully ordered when it succeeds. */
static inline bool try_get_page(struct page *p)
{
	s64 old = atomic64_read(&p->state);

	do {
		if (!((u64)old >> PAGE_REF_SHIFT & PAGE_COUNT_MASK))
			return false;
	} while (!__atomic_compare_exchange_n(&p->state.v, &old, old + (s64)PAGE_REF_ONE, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return true;
}

/** Drop a reference; the last one frees the page (and what it is part of). Any context. */
void put_page(struct page *p);
void put_page_slow(struct page *p, u64 state);

/** One more mapping and its reference. False (nothing changed) if the page has as many as it can. */
static inline bool page_dup_map(struct page *p)
{
	u64 old = (u64)atomic64_fetch_add_relaxed(PAGE_REF_ONE + PAGE_MAP_ONE, &p->state);

	if (likely((old >> PAGE_REF_SHIFT & PAGE_COUNT_MASK) < PAGE_COUNT_LIMIT))
		return true;
	atomic64_sub(PAGE_REF_ONE + PAGE_MAP_ONE, &p->state);
	return false;
}

/*
 * Drop one mapping and its reference: returns the state before. If that had one reference, the caller now owns the page
 * alone and must free it (after the TLB flush). Release, so that what this address space wrote comes before its reuse;
 * the freeing path has the acquire.
 */
static inline u64 page_drop_map(struct page *p)
{
	return (u64)atomic64_fetch_sub_release(PAGE_REF_ONE + PAGE_MAP_ONE, &p->state);
}

/*
 * The same, but only if this mapping's is the page's single reference: returns the state before, and the caller owns
 * the page alone.
 * 0: nothing was changed. Fully ordered when it succeeds.
 */
static inline u64 page_drop_sole_map(struct page *p)
{
	s64 old = atomic64_read(&p->state);

	if (((u64)old >> PAGE_REF_SHIFT & PAGE_COUNT_MASK) != 1 ||
	    !atomic64_try_cmpxchg(&p->state, &old, old - (s64)(PAGE_REF_ONE + PAGE_MAP_ONE)))
		return 0;
	return (u64)old;
}

static inline bool state_is_last(u64 old_state)
{
	return (old_state >> PAGE_REF_SHIFT & PAGE_COUNT_MASK) == 1;
}
