/*
 * The buddy system: free blocks of 2^order pages per NUMA node.
 *
 * A node has two sets of free lists: DIRTY blocks, which may have been written since the machine started, and ZERO
 * blocks, which are known to be zero. Blocks of different sets are not merged (a freed page would take a whole
 * untouched gigabyte with it), unless a large request can not be met otherwise (buddy_coalesce). Free memory is never
 * written: links are in the descriptors.
 *
 * Descriptors are initialised lazily: a free block's head is valid, the rest of it need not be. Looking at a buddy is
 * safe, because the buddy of a block is a head or inside a block of smaller order whose head it is, or its descriptor
 * was set to PAGE_RESERVED at boot (buddy_init marks, for each initial block, its buddies of every order).
 *
 * Locks: z node->lock (RANK_ZONE, interrupts off)
 */
#include "mm/buddy.h"

#include <arch/boot.h>

#include "kernel/bootmem.h"
#include "kernel/printk.h"
#include "lib/bits.h"
#include "mm/palloc_internal.h"
#include "mm/vmstat.h"

#define COALESCE_MOST 4096

struct node nodes[MAX_NODES];
struct fallback fallbacks[MAX_NODES];

/* 64 Ki frames (2 MiB of descriptors) are one granule: either all their descriptors are backed by memory or none. */
static unsigned long granule_present[(1ull << 32 >> DESC_GRANULE_ORDER) / 64];

void desc_granule_set_present(u64 granule)
{
	granule_present[granule / 64] |= 1ul << (granule % 64);
}

bool pfn_valid(u64 pfn)
{
	u64 g = pfn >> DESC_GRANULE_ORDER;

	return pfn < (1ull << 32) && (granule_present[g / 64] >> (g % 64) & 1);
}

/* ---- free lists; z held ---- */

static __always_inline void list_push(struct node *n, unsigned set, unsigned order, struct page *p, unsigned nid)
{
	u64 pfn = page_to_pfn(p);
	u32 first = n->first[set][order];

	WRITE_ONCE(p->word, page_word(PAGE_BUDDY, order, nid, NULL));
	atomic64_set(&p->state, set == ZERO ? PG_ZERO : 0);
	p->link[0] = first;
	p->link[1] = 0;
	if (first)
		pfn_to_page(first)->link[1] = (u32)pfn;
	n->first[set][order] = (u32)pfn;
	n->nonempty[set] |= 1u << order;
}

static void list_remove(struct node *n, unsigned set, unsigned order, struct page *p)
{
	u32 next = p->link[0], prev = p->link[1];

	if (next)
		pfn_to_page(next)->link[1] = prev;
	if (prev) {
		pfn_to_page(prev)->link[0] = next;
	} else {
		n->first[set][order] = next;
		if (!next)
			n->nonempty[set] &= ~(1u << order);
	}
}

static inline unsigned block_set(const struct page *p)
{
	return page_flag(p, PG_ZERO) ? ZERO : DIRTY;
}

static inline bool is_free_block(const struct page *p, unsigned order, unsigned nid)
{
	return (READ_ONCE(p->word) & 0xffff) == page_word(PAGE_BUDDY, order, nid, NULL);
}

/* Is the block's buddy free, whole, and of the same set? */
static inline bool buddy_merges(u64 pfn, unsigned order, unsigned nid, unsigned set)
{
	u64 bpfn = pfn ^ (1ull << order);
	const struct page *b = pfn_to_page(bpfn);

	if (order >= DESC_GRANULE_ORDER && (order >= MAX_ORDER || !pfn_valid(bpfn)))
		return false;
	return is_free_block(b, order, nid) && block_set(b) == set;
}

/* A block whose buddy it merges with. Apart: half of all pages find no such buddy, and need no registers saved. */
static noinline void merge(struct node *n, unsigned nid, u64 pfn, unsigned order, unsigned set)
{
	do {
		struct page *b = pfn_to_page(pfn ^ (1ull << order));

		list_remove(n, set, order, b);
		WRITE_ONCE(b->word, page_word(PAGE_RESERVED, 0, nid, NULL));	/* no longer a head */
		pfn &= ~(1ull << order);
		order++;
	} while (buddy_merges(pfn, order, nid, set));
	list_push(n, set, order, pfn_to_page(pfn), nid);
}

/* A block comes back. In the callers, of which one knows that the order is 0. */
static __always_inline void free_block(struct node *n, unsigned nid, u64 pfn, unsigned order, unsigned set)
{
	WRITE_ONCE(n->free[set], n->free[set] + (1ull << order));
	if (buddy_merges(pfn, order, nid, set))
		merge(n, nid, pfn, order, set);
	else
		list_push(n, set, order, pfn_to_page(pfn), nid);
}

void buddy_free(struct node *n, unsigned nid, u64 pfn, unsigned order, unsigned set)
{
	free_block(n, nid, pfn, order, set);
}

struct page *buddy_take(struct node *n, unsigned nid, unsigned set, unsigned order)
{
	u32 fit = n->nonempty[set] >> order;
	unsigned o;
	struct page *p;

	if (!fit)
		return NULL;
	o = order + (unsigned)__builtin_ctz(fit);
	p = pfn_to_page(n->first[set][o]);
	list_remove(n, set, o, p);
	while (o > order) {
		o--;
		list_push(n, set, o, p + (1ull << o), nid);
	}
	WRITE_ONCE(n->free[set], n->free[set] - (1ull << order));
	/* Before the lock is dropped: whoever frees its buddy next must not take it for a free block. */
	WRITE_ONCE(p->word, page_word(PAGE_KERNEL, order, nid, NULL));
	return p;
}

/*
 * Large requests only: a DIRTY block and its ZERO buddy, both smaller than what is wanted, become one DIRTY block.
 * Costs a walk over these free blocks, interrupts off, so not over more than COALESCE_MOST of a size; runs when nothing
 * of the wanted size is left.
 */
void buddy_coalesce(struct node *n, unsigned nid, unsigned wanted)
{
	if (!n->free[ZERO] || !n->free[DIRTY])
		return;
	for (unsigned order = 0; order < wanted; order++) {
		u32 pfn = n->first[DIRTY][order];

		for (unsigned i = 0; pfn && i < COALESCE_MOST; i++) {
			struct page *p = pfn_to_page(pfn);
			u64 bpfn = pfn ^ (1ull << order);
			u32 next = p->link[0];

			if ((order < DESC_GRANULE_ORDER || pfn_valid(bpfn)) &&
			    is_free_block(pfn_to_page(bpfn), order, nid) && block_set(pfn_to_page(bpfn)) == ZERO) {
				struct page *b = pfn_to_page(bpfn);

				list_remove(n, ZERO, order, b);
				list_remove(n, DIRTY, order, p);
				WRITE_ONCE(b->word, page_word(PAGE_RESERVED, 0, nid, NULL));
				WRITE_ONCE(p->word, page_word(PAGE_RESERVED, 0, nid, NULL));
				WRITE_ONCE(n->free[ZERO], n->free[ZERO] - (1ull << order));
				WRITE_ONCE(n->free[DIRTY], n->free[DIRTY] - (1ull << order));
				buddy_free(n, nid, pfn & bpfn, order + 1, DIRTY);
			}
			pfn = next;
		}
	}
}

unsigned long node_lock(struct node *n)
{
	unsigned long flags = irq_save();

	if (!spin_trylock(&n->lock)) {
		vm_event(VME_zone_lock_contended);
		spin_lock(&n->lock);
	}
	return flags;
}

void node_unlock(struct node *n, unsigned long flags)
{
	spin_unlock_irqrestore(&n->lock, flags);
}

/* z. Frames of one node and set come back, as the largest blocks they form. */
static inline void free_frames(struct node *n, unsigned nid, const struct frames *f)
{
	u64 lo = f->lo, hi = f->hi;

	if (hi - lo == 1) {
		free_block(n, nid, lo, 0, f->set);
		return;
	}
	while (lo < hi) {
		unsigned order = lo ? (unsigned)__builtin_ctzll(lo) : MAX_ORDER;

		if (order > MAX_ORDER || lo + (1ull << order) > hi)
			order = min((unsigned)MAX_ORDER, (unsigned)ilog2(hi - lo));
		buddy_free(n, nid, lo, order, f->set);
		lo += 1ull << order;
	}
}

/* Memory of two nodes may be neighbours: the frames of the first one's node. */
static struct frames of_one_node(const struct frames *f)
{
	unsigned nid = page_node(pfn_to_page(f->lo));
	struct frames first = *f;

	if (likely(page_node(pfn_to_page(f->hi - 1)) == nid))
		return first;
	for (first.hi = f->lo + 1; page_node(pfn_to_page(first.hi)) == nid; first.hi++)
		;
	return first;
}

void buddy_free_frames(struct frames *f, unsigned n)
{
	unsigned held = MAX_NODES;

	for (unsigned i = 0; i < n;) {
		unsigned nid = page_node(pfn_to_page(f[i].lo));
		struct frames part = f[i].hi - f[i].lo == 1 ? f[i] : of_one_node(&f[i]);

		if (nid != held) {
			if (held != MAX_NODES)
				spin_unlock(&nodes[held].lock);
			node_lock(&nodes[nid]);	/* interrupts are off already */
			held = nid;
		}
		free_frames(&nodes[nid], nid, &part);
		if (part.hi == f[i].hi)
			i++;
		else
			f[i].lo = part.hi;
	}
	if (held != MAX_NODES)
		spin_unlock(&nodes[held].lock);
}

void buddy_free_array(struct page **pages, unsigned n, unsigned set)
{
	unsigned i = 0;

	while (i < n) {
		unsigned nid = page_node(pages[i]);
		struct node *node = &nodes[nid];
		unsigned long flags = node_lock(node);

		while (i < n && page_node(pages[i]) == nid) {
			struct frames f = { .lo = page_to_pfn(pages[i]), .set = set };

			f.hi = f.lo + 1;
			for (i++; i < n; i++) {
				u64 pfn = page_to_pfn(pages[i]);

				if (pfn == f.hi)
					f.hi++;
				else if (pfn + 1 == f.lo)
					f.lo--;
				else
					break;
			}
			free_frames(node, nid, &f);
		}
		node_unlock(node, flags);
	}
}

/* ---- statistics and checks ---- */

u64 node_free_pages(unsigned node)
{
	return READ_ONCE(nodes[node].free[DIRTY]) + READ_ONCE(nodes[node].free[ZERO]);
}

u64 node_total_pages(unsigned node)
{
	return nodes[node].total;
}

u64 nr_total_pages(void)
{
	u64 sum = 0;

	for (unsigned i = 0; i < nr_nodes; i++)
		sum += nodes[i].total;
	return sum;
}

u64 nr_zero_pages(void)
{
	u64 sum = 0;

	for (unsigned i = 0; i < nr_nodes; i++)
		sum += READ_ONCE(nodes[i].free[ZERO]);
	return sum;
}

u64 palloc_free_blocks(unsigned order)
{
	u64 count = 0;

	for (unsigned nid = 0; nid < nr_nodes; nid++) {
		unsigned long flags = node_lock(&nodes[nid]);

		for (unsigned set = 0; set < NR_SETS; set++)
			for (u32 pfn = nodes[nid].first[set][order]; pfn; pfn = pfn_to_page(pfn)->link[0])
				count++;
		node_unlock(&nodes[nid], flags);
	}
	return count;
}

void palloc_check(void)
{
	for (unsigned nid = 0; nid < nr_nodes; nid++) {
		struct node *n = &nodes[nid];
		unsigned long flags = node_lock(n);

		for (unsigned set = 0; set < NR_SETS; set++) {
			u64 sum = 0;

			for (unsigned order = 0; order <= MAX_ORDER; order++) {
				u32 prev = 0;

				for (u32 pfn = n->first[set][order]; pfn; prev = pfn, pfn = pfn_to_page(pfn)->link[0]) {
					struct page *p = pfn_to_page(pfn);

					ASSERT(is_free_block(p, order, nid) && block_set(p) == set &&
						       p->link[1] == prev && !(pfn & ((1u << order) - 1)),
					       "free list %u/%u: block %#x, word %#llx, prev %#x", set, order, pfn,
					       (unsigned long long)p->word, p->link[1]);
					sum += 1ull << order;
				}
				ASSERT(!n->first[set][order] == !(n->nonempty[set] >> order & 1), "set %u order %u",
				       set, order);
			}
			ASSERT(sum == n->free[set], "node %u set %u: lists hold %llu pages, count says %llu", nid, set,
			       (unsigned long long)sum, (unsigned long long)n->free[set]);
		}
		node_unlock(n, flags);
	}
}

/* ---- boot ---- */

/* The largest aligned block at lo that ends at hi or before. */
static unsigned block_order(u64 lo, u64 hi)
{
	unsigned order = min((unsigned)__builtin_ctzll(lo), (unsigned)MAX_ORDER);

	while (lo + (1ull << order) > hi)
		order--;
	return order;
}

/* Every frame that may be asked as a buddy when [lo, hi) has been freed has a descriptor that says no. */
static void boot_mark_range(u64 lo, u64 hi)
{
	while (lo < hi) {
		unsigned order = block_order(lo, hi);

		WRITE_ONCE(pfn_to_page(lo)->word, page_word(PAGE_RESERVED, 0, 0, NULL));
		for (unsigned k = order; k < MAX_ORDER; k++) {
			u64 b = align_down(lo, 1ull << k) ^ (1ull << k);

			if (pfn_valid(b) && !boot_is_free(b << PAGE_SHIFT))
				WRITE_ONCE(pfn_to_page(b)->word, page_word(PAGE_RESERVED, 0, 0, NULL));
		}
		lo += 1ull << order;
	}
}

static void boot_free_range(u64 lo, u64 hi, unsigned nid, unsigned set)
{
	unsigned long flags = node_lock(&nodes[nid]);

	nodes[nid].total += hi - lo;
	while (lo < hi) {
		unsigned order = block_order(lo, hi);

		buddy_free(&nodes[nid], nid, lo, order, set);
		lo += 1ull << order;
	}
	node_unlock(&nodes[nid], flags);
}

/* Insertion sort by distance; of equally far ones each node begins with another, so that not all go to the same. */
static void order_fallbacks(unsigned nid)
{
	struct fallback *f = &fallbacks[nid];

	for (unsigned k = 0; k < nr_nodes; k++) {
		unsigned b = (nid + k) % nr_nodes, at = f->nr;

		if (!nodes[b].total)
			continue;
		for (; at && numa_distance(nid, f->node[at - 1]) > numa_distance(nid, b); at--)
			f->node[at] = f->node[at - 1];
		f->node[at] = (u8)b;
		f->nr++;
	}
}

void buddy_init(unsigned set)
{
	u64 pos, base, end;
	int node;

	for (unsigned i = 0; i < nr_nodes; i++)
		spin_lock_init(&nodes[i].lock, RANK_ZONE);
	for (pos = 0; boot_next_free(&pos, &base, &end, &node);)
		boot_mark_range(base >> PAGE_SHIFT, end >> PAGE_SHIFT);
	for (pos = 0; boot_next_free(&pos, &base, &end, &node);)
		boot_free_range(base >> PAGE_SHIFT, end >> PAGE_SHIFT, (unsigned)node, set);
	for (unsigned nid = 0; nid < nr_nodes; nid++)
		order_fallbacks(nid);
}

void free_boot_range(u64 base, u64 size)
{
	u64 lo = align_up(base, PAGE_SIZE) >> PAGE_SHIFT, hi = (base + size) >> PAGE_SHIFT;

	for (unsigned pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < boot_info.nr_ram; i++) {
			const struct boot_region *r = &boot_info.ram[i];
			u64 from = max(lo, r->base >> PAGE_SHIFT), to = min(hi, (r->base + r->size) >> PAGE_SHIFT);

			if (from >= to)
				continue;
			if (pass)
				boot_free_range(from, to, (unsigned)r->node, DIRTY);
			else
				boot_mark_range(from, to);
		}
	}
}
