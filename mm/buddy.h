#pragma once
/*
 * The buddy system behind the page allocator: free blocks of 2^order pages per NUMA node. See buddy.c; for mm/palloc.c
 * and boot only.
 */
#include "kernel/spinlock.h"
#include "mm/palloc.h"

/* What is known of a free block's contents: nothing, or that they are zero. */
enum { DIRTY, ZERO, NR_SETS };

struct node {
	spinlock_t lock;
	u32 first[NR_SETS][MAX_ORDER + 1];	/* z. frame number of the first free block, 0 if none */
	u32 nonempty[NR_SETS];			/* z. bit per order */
	u64 free[NR_SETS];			/* z. pages; read without the lock for statistics */
	u64 total;				/* fixed after boot */
} __aligned(128);

extern struct node nodes[MAX_NODES];

/* Where an allocation for each node looks: the nodes with memory, nearest first. Fixed at boot. */
struct fallback {
	unsigned nr;
	u8 node[MAX_NODES];
};
extern struct fallback fallbacks[MAX_NODES];

/** Take and drop a node's lock (z); interrupts are off in between. Counts contention. */
unsigned long node_lock(struct node *n);
void node_unlock(struct node *n, unsigned long flags);
/** z. A block of the set comes back and is merged with its buddies. */
void buddy_free(struct node *n, unsigned nid, u64 pfn, unsigned order, unsigned set);
/** Frames [lo, hi) of one set. */
struct frames {
	u64 lo, hi;
	unsigned set;
};

/**
 * n stretches of frames whose descriptors are nobody's come back to their nodes, as the largest blocks they form; f is
 * used up. Interrupts off; takes the locks.
 */
void buddy_free_frames(struct frames *f, unsigned n);
/**
 * n pages of one set whose descriptors are nobody's come back to their nodes; neighbours as blocks. Takes the locks.
 */
void buddy_free_array(struct page **pages, unsigned n, unsigned set);
/** z. A block of 2^order pages of the set, type PAGE_KERNEL; the caller fills in the rest of the descriptor. NULL. */
struct page *buddy_take(struct node *n, unsigned nid, unsigned set, unsigned order);
/** z. Merge across the sets, for a request of order `wanted` that can not be met otherwise. */
void buddy_coalesce(struct node *n, unsigned nid, unsigned wanted);
/** Boot: all RAM that is not reserved becomes free memory of the set. */
void buddy_init(unsigned set);
