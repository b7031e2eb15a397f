/*
 * The page allocator: per-CPU stacks of single pages in front of the buddy system (mm/buddy.c). See palloc.h.
 *
 * Each CPU has two stacks, one for pages known to be zero and one for the others, touched with interrupts off and only
 * by their CPU (draining another CPU's is done by an IPI). Order of preference, so that memory the host already gave is
 * used first:
 *	wants zero:	ZERO stack, DIRTY stack (cleared), DIRTY blocks (cleared), ZERO blocks
 *	any contents:	DIRTY stack, DIRTY blocks, ZERO stack, ZERO blocks
 * The allocator never writes into a free page.
 *
 * Nodes: a CPU's stacks hold pages of its own node. Only when that has nothing left they take batches of the nearest
 * node that has; and what is freed goes on this CPU's stacks if it is of its node, else to its own node at once. An
 * allocation for a node that is named goes past the stacks.
 *
 * Locks: cpu: this CPU with interrupts off
 */
#include "mm/palloc.h"

#include <arch/boot.h>

#include "kernel/bootmem.h"
#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/race.h"
#include "kernel/task.h"
#include "lib/bits.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/palloc_debug.h"
#include "mm/palloc_internal.h"
#include "mm/stretch.h"
#include "mm/vmstat.h"

#define PCP_BATCH	64
#define PCP_HIGH	256
#define PCP_CRUMBS	16
#define CRUMBS		(PCP_BATCH - 1u)	/* in nonempty: orders of blocks smaller than a batch */
#define PCP_SHUFFLE_ORDER 9
#define PCP_MAX		(PCP_HIGH + (1 << PCP_SHUFFLE_ORDER))

struct pcp {
	u32 count[NR_SETS];			/* cpu */
	u64 home;				/* word of a page of this CPU's node on its stacks; fixed */
	struct page *pages[NR_SETS][PCP_MAX];	/* cpu */
};

static DEFINE_PER_CPU(struct pcp, pcps);
static u64 reserve_pages;			/* GFP_KERNEL leaves that many */

static unsigned opt_zeroed = 2;			/* 0, 1; 2: what the platform promises */
static bool opt_shuffle;
static struct prng shuffle_rng;		/* shuffle_lock */
static spinlock_t shuffle_lock = SPINLOCK_INIT(RANK_IPI);

BOOT_OPTION(option_zeroed) = {
	.name = "mem.zeroed",
	.type = CMDLINE_UINT,
	.uint = &opt_zeroed,
	.min = 0,
	.max = 1,
	.help = "1: untouched RAM is known to be zero (default: as the platform says); 0: clear every page"
};
BOOT_OPTION(option_shuffle) = { .name = "mem.shuffle",
				.type = CMDLINE_FLAG,
				.flag = &opt_shuffle,
				.help = "1: hand out page frames in random order" };

/* ---- per-CPU stacks; interrupts off ---- */

static inline void pcp_push(struct pcp *pcp, unsigned set, struct page *p, unsigned nid)
{
	WRITE_ONCE(p->word, page_word(PAGE_PCP, 0, nid, NULL));
	atomic64_set(&p->state, 0);
	pcp->pages[set][pcp->count[set]++] = p;
}

/* The first of n pages that are of this CPU's node go on its stack; how many. The caller knows that there is room. */
static inline unsigned pcp_push_home(struct pcp *pcp, unsigned set, struct page **pages, unsigned n)
{
	u32 count = pcp->count[set];
	unsigned i = 0;

	do {
		struct page *p = pages[i];
		u64 word = page_word(PAGE_PCP, 0, page_node(p), NULL);

		if (unlikely(word != pcp->home))
			break;
		WRITE_ONCE(p->word, word);
		atomic64_set(&p->state, 0);
		pcp->pages[set][count++] = p;
	} while (++i < n);
	pcp->count[set] = count;
	return i;
}

static void shuffle(struct page **p, unsigned n)
{
	spin_lock(&shuffle_lock);
	for (unsigned i = n - 1; i > 0; i--) {
		unsigned j = (unsigned)prng_below(&shuffle_rng, i + 1);
		struct page *t = p[i];

		p[i] = p[j];
		p[j] = t;
	}
	spin_unlock(&shuffle_lock);
}

/* Statistics: pages taken from node nid for an allocation that wanted `wanted`, by a CPU of any node. */
static void count_taken(unsigned nid, unsigned wanted, u64 n)
{
	vm_event_add(nid == wanted ? VME_numa_hit : VME_numa_miss, n);
	vm_event_add(nid == (unsigned)this_cpu()->node ? VME_numa_local : VME_numa_other, n);
}

/* Take about a batch of pages of one set from a node, in as large pieces as there are; pops come in ascending order. */
static bool pcp_refill(struct pcp *pcp, unsigned nid, unsigned set)
{
	struct node *n = &nodes[nid];
	unsigned order = opt_shuffle ? PCP_SHUFFLE_ORDER : ilog2(PCP_BATCH);
	unsigned long flags = node_lock(n);
	struct page *p = NULL;
	u32 base = pcp->count[set];

	vm_event(VME_pcp_refill);
	for (;; order--) {
		p = buddy_take(n, nid, set, order);
		if (p || !order)
			break;
	}
	node_unlock(n, flags);
	if (!p)
		return false;
	count_taken(nid, this_cpu()->mem_node, 1ull << order);
	for (unsigned i = 1u << order; i-- > 0;)
		pcp_push(pcp, set, p + i, nid);
	if (opt_shuffle)
		shuffle(&pcp->pages[set][base], 1u << order);
	return true;
}

/*
 * A few single pages out of ZERO blocks smaller than a batch. Page tables leave them behind, in the middle of memory
 * that is not zero, where they would be holes for ever: known-zero memory is used last, and then its largest blocks
 * first.
 */
static bool pcp_refill_crumbs(struct pcp *pcp, unsigned nid)
{
	struct node *n = &nodes[nid];
	unsigned long flags = node_lock(n);
	unsigned i = 0;

	while (i < PCP_CRUMBS && n->nonempty[ZERO] & CRUMBS) {
		pcp_push(pcp, ZERO, buddy_take(n, nid, ZERO, 0), nid);
		i++;
	}
	node_unlock(n, flags);
	count_taken(nid, this_cpu()->mem_node, i);
	return i;
}

static void pcp_drain(struct pcp *pcp, unsigned set, u32 keep)
{
	if (pcp->count[set] <= keep)
		return;
	vm_event(VME_pcp_drain);
	/* The oldest ones go, in descending order as they were pushed: buddy_free_array sees runs either way. */
	buddy_free_array(pcp->pages[set], pcp->count[set] - keep, set);
	memmove(pcp->pages[set], pcp->pages[set] + pcp->count[set] - keep, keep * sizeof(struct page *));
	pcp->count[set] = keep;
}

static inline struct page *pcp_pop(struct pcp *pcp, unsigned set)
{
	return pcp->count[set] ? pcp->pages[set][--pcp->count[set]] : NULL;
}

/* One page for this CPU; *set says what is known of its contents. Interrupts off. */
static struct page *pcp_alloc(unsigned nid, bool want_zero, unsigned *set)
{
	struct pcp *pcp = this_cpu_ptr(&pcps);
	struct page *p;

	if (want_zero && (p = pcp_pop(pcp, ZERO))) {
		*set = ZERO;
		return p;
	}
	*set = DIRTY;
	if ((p = pcp_pop(pcp, DIRTY)))
		return p;
	if (want_zero && READ_ONCE(nodes[nid].nonempty[ZERO]) & CRUMBS && pcp_refill_crumbs(pcp, nid)) {
		*set = ZERO;
		return pcp_pop(pcp, ZERO);
	}
	if (READ_ONCE(nodes[nid].free[DIRTY]) && pcp_refill(pcp, nid, DIRTY))
		return pcp_pop(pcp, DIRTY);
	*set = ZERO;
	if ((p = pcp_pop(pcp, ZERO)))
		return p;
	if (pcp_refill(pcp, nid, ZERO))
		return pcp_pop(pcp, ZERO);
	return NULL;
}

/* ---- allocation ---- */

static inline u64 free_pages_of(unsigned nid)
{
	return READ_ONCE(nodes[nid].free[DIRTY]) + READ_ONCE(nodes[nid].free[ZERO]);
}

static u64 free_in_nodes(void)
{
	u64 sum = 0;

	for (unsigned i = 0; i < nr_nodes; i++)
		sum += free_pages_of(i);
	return sum;
}

static struct page *page_prepare(struct page *p, unsigned order, unsigned gfp, unsigned set)
{
	unsigned nid = page_node(p);
	u64 state = PAGE_REF_ONE;

#ifdef CONFIG_DEBUG
	for (unsigned i = 0; i < 1u << min(order, 4u); i++)
		poison_check(p + i, set);
#endif
	if (gfp & GFP_ZERO) {
		if (set == ZERO) {
			vm_event(VME_pgzero_skipped);
		} else {
			vm_event(VME_pgzeroed);
			for (u64 i = 0; i < 1ull << order; i++)
				clear_page(page_to_virt(p + i));
		}
		if (gfp & GFP_TRACKED)
			state |= PG_ZERO;
	}
	WRITE_ONCE(p->word, page_word(PAGE_KERNEL, order, nid, NULL));
	if (order && (gfp & GFP_COMPOUND)) {
		u32 head = (u32)page_to_pfn(p);

		state |= PG_HUGE;
		for (u64 i = 1; i < 1ull << order; i++) {
			WRITE_ONCE(p[i].word, page_word(PAGE_TAIL, 0, nid, NULL));
			p[i].link[0] = head;
			atomic64_set(&p[i].state, 0);
		}
	}
	atomic64_set(&p->state, (s64)state);
	vm_event_add(VME_pgalloc, 1ull << order);
	return p;
}

/* One page, from this CPU's stacks, or by way of them from the node. */
static inline struct page *single_alloc(unsigned nid, unsigned gfp)
{
	unsigned set = DIRTY;
	unsigned long flags = irq_save();
	struct page *p = pcp_alloc(nid, gfp & GFP_ZERO, &set);

	irq_restore(flags);
	return likely(p) ? page_prepare(p, 0, gfp, set) : NULL;
}

/* One page of this node, from this CPU's stacks only if its next page there is one. */
static struct page *single_alloc_from(unsigned nid, unsigned gfp, unsigned wanted)
{
	unsigned first = gfp & GFP_ZERO ? ZERO : DIRTY, set = first;
	struct node *n = &nodes[nid];
	unsigned long flags = node_lock(n);
	struct pcp *pcp = this_cpu_ptr(&pcps);
	struct page *p = NULL;

	for (unsigned i = 0; i < NR_SETS && !p; i++) {
		set = first ^ i;
		if (pcp->count[set] && page_node(pcp->pages[set][pcp->count[set] - 1]) == nid)
			p = pcp_pop(pcp, set);
	}
	if (!p) {
		set = DIRTY;
		p = buddy_take(n, nid, set, 0);
		if (!p) {
			set = ZERO;
			p = buddy_take(n, nid, set, 0);
		}
		if (p)
			count_taken(nid, wanted, 1);
	}
	node_unlock(n, flags);
	return p ? page_prepare(p, 0, gfp, set) : NULL;
}

/* 2^order pages, more than one. */
static struct page *block_alloc(unsigned nid, unsigned order, unsigned gfp, unsigned wanted)
{
	u64 size = 1ull << order, enough = size + (gfp & GFP_ATOMIC ? 0 : reserve_pages);
	struct node *n = &nodes[nid];
	unsigned set = DIRTY;
	unsigned long flags;
	struct page *p;

	if (free_pages_of(nid) < enough && (free_pages_of(nid) < size || free_in_nodes() < enough))
		return NULL;
	flags = node_lock(n);
	p = buddy_take(n, nid, set, order);
	if (!p) {
		set = ZERO;
		p = buddy_take(n, nid, set, order);
	}
	if (!p) {
		buddy_coalesce(n, nid, order);
		set = DIRTY;
		p = buddy_take(n, nid, set, order);
	}
	if (p)
		count_taken(nid, wanted, size);
	node_unlock(n, flags);
	race_point("palloc:block-taken");
	return p ? page_prepare(p, order, gfp, set) : NULL;
}

/* May a single page for this node be taken, or is the rest for those who can not wait? */
static inline bool above_reserve(unsigned nid, unsigned gfp)
{
	const struct fallback *f = &fallbacks[nid];

	if (likely(free_pages_of(nid) > reserve_pages) || gfp & GFP_ATOMIC)
		return true;
	for (unsigned i = 0; i < f->nr; i++)
		if (free_pages_of(f->node[i]) > reserve_pages)
			return true;
	if (nr_free_pages() > reserve_pages)
		return true;
	return !(gfp & GFP_NOWAIT) && current->flags & (TF_MEMALLOC | TF_OOM_VICTIM | TF_EXITING);
}

/* The nearest node that can give it. */
static struct page *alloc_elsewhere(unsigned wanted, unsigned order, unsigned gfp)
{
	const struct fallback *f = &fallbacks[wanted];
	struct page *p = NULL;

	for (unsigned i = 0; i < f->nr && !p; i++)
		p = order ? block_alloc(f->node[i], order, gfp, wanted) : single_alloc(f->node[i], gfp);
	return p;
}

struct page *alloc_pages_node(int node, unsigned order, unsigned gfp)
{
	unsigned wanted = node == NODE_ANY ? (unsigned)this_cpu()->node : (unsigned)node;
	const struct fallback *f;
	struct page *p = NULL;

	if (node == NODE_ANY && !(gfp & GFP_THISNODE))
		return alloc_pages(order, gfp);
	if (wanted >= nr_nodes || order > MAX_ORDER || alloc_should_fail() || (!order && !above_reserve(wanted, gfp)))
		return NULL;
	f = &fallbacks[wanted];
	for (unsigned i = 0; i < f->nr && !p; i++) {
		unsigned nid = f->node[i];

		if (gfp & GFP_THISNODE && nid != wanted)
			break;
		p = order ? block_alloc(nid, order, gfp, wanted) : single_alloc_from(nid, gfp, wanted);
	}
	return p;
}

struct page *alloc_pages(unsigned order, unsigned gfp)
{
	unsigned nid = this_cpu()->mem_node;
	struct page *p;

	DEBUG_ASSERT(!(gfp & GFP_THISNODE), "GFP_THISNODE without a node");
	if (unlikely(order > MAX_ORDER) || alloc_should_fail())
		return NULL;
	if (likely(!order)) {
		if (unlikely(!above_reserve(nid, gfp)))
			return NULL;
		p = single_alloc(nid, gfp);
		if (likely(p))
			return p;
	}
	return alloc_elsewhere(nid, order, gfp);
}

void *alloc_kpages(unsigned order, unsigned gfp)
{
	struct page *p = alloc_pages(order, gfp);

	if (!p)
		return NULL;
	page_clear_flag(p, PG_ZERO);	/* whoever wants an address writes through it */
	return page_to_virt(p);
}

/* ---- freeing ---- */

static noinline void free_refused(const struct page *p, unsigned order)
{
	panic("page %#llx of order %u freed as order %u: type %d, state %#llx", (unsigned long long)page_to_pfn(p),
	      page_order(p), order, page_type(p), (unsigned long long)page_state(p));
}

/* Freed twice, never allocated, still mapped, or with another order than it was allocated with? */
static inline void free_check(const struct page *p, unsigned order)
{
	const u32 never = 1u << PAGE_BUDDY | 1u << PAGE_PCP | 1u << PAGE_RESERVED | 1u << PAGE_TAIL;
	u64 w = READ_ONCE(p->word);

	if (unlikely((never >> (w & 0xf) & 1) || (w >> 4 & 0x1f) != order ||
		     (page_state(p) & (PAGE_COUNT_MASK << PAGE_MAP_SHIFT | PG_LRU))))
		free_refused(p, order);
}

/* Debug: every page of a run. In other builds the gather has seen each page's state, and that must do. */
static inline void run_check(u64 lo, u64 hi, unsigned set)
{
#ifdef CONFIG_DEBUG
	for (struct page *p = pfn_to_page(lo); lo < hi; lo++, p++) {
		free_check(p, 0);
		if (set == DIRTY)
			poison_fill(p);
		page_set_owner(p, PAGE_RESERVED, NULL);	/* so that freeing it twice is noticed */
	}
#endif
}

/* A block is about to be freed: the set that it goes to. */
static inline unsigned free_prepare(struct page *p, unsigned order)
{
	unsigned set = page_flag(p, PG_ZERO) ? ZERO : DIRTY;

	free_check(p, order);
	vm_event_add(VME_pgfree, 1ull << order);
	if (set == DIRTY && !page_flag(p, PG_POISON))
		for (u64 i = 0; i < 1ull << order; i++)
			poison_fill(p + i);
	return set;
}

static inline void free_to_node(struct page *p, unsigned order, unsigned set)
{
	unsigned nid = page_node(p);
	unsigned long flags = node_lock(&nodes[nid]);

	buddy_free(&nodes[nid], nid, page_to_pfn(p), order, set);
	node_unlock(&nodes[nid], flags);
}

void free_pages_bulk(struct page *p, unsigned order)
{
	free_to_node(p, order, free_prepare(p, order));
}

void free_pages(struct page *p, unsigned order)
{
	unsigned set = free_prepare(p, order);
	unsigned long flags;
	struct pcp *pcp;

	if (order) {
		free_to_node(p, order, set);
		return;
	}
	flags = irq_save();
	pcp = this_cpu_ptr(&pcps);
	if (unlikely(!pcp_push_home(pcp, set, &p, 1)))
		free_to_node(p, 0, set);
	else if (unlikely(pcp->count[set] > PCP_HIGH))
		pcp_drain(pcp, set, PCP_HIGH - PCP_BATCH);
	irq_restore(flags);
}

void free_kpages(void *va, unsigned order)
{
	if (va)
		free_pages(virt_to_page(va), order);
}

#define PCP_RUN		16	/* longer runs go to the buddy system, which keeps them whole */

/* Slots that are neighbours, in either direction, are one run: [*lo, *hi). Returns how many slots that takes. */
static inline unsigned merge_slots(const u64 *slots, unsigned n, u64 *lo, u64 *hi)
{
	u64 first = run_pfn(slots[0]), last = first + run_pages(slots[0]);
	u32 flags = run_flags(slots[0]);
	unsigned i;

	for (i = 1; i < n && run_flags(slots[i]) == flags; i++) {
		u64 pfn = run_pfn(slots[i]);

		if (pfn == last)
			last += run_pages(slots[i]);
		else if (pfn + run_pages(slots[i]) == first)
			first = pfn;
		else
			break;
	}
	*lo = first;
	*hi = last;
	return i;
}

/* One page whose reference we still have. Was it the last? */
static bool drop_held(u64 slot, unsigned *set)
{
	struct page *p = pfn_to_page(run_pfn(slot));

	if (!state_is_last((u64)atomic64_fetch_sub_release((s64)PAGE_REF_ONE, &p->state)))
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!page_flag(p, PG_ZERO))
		*set = DIRTY;	/* another owner wrote it */
	return true;
}

static inline unsigned pcp_node(const struct pcp *pcp)
{
	return pcp->home >> 9 & 0x7f;
}

/* On this CPU's stack, if there is room and all are of its node. */
static inline bool run_to_pcp(struct pcp *pcp, u64 lo, u64 hi, unsigned set)
{
	struct page *p = pfn_to_page(lo);

	if (hi - lo > PCP_RUN || pcp->count[set] + (hi - lo) > PCP_HIGH || page_node(p) != pcp_node(pcp) ||
	    page_node(p + (hi - lo) - 1) != pcp_node(pcp))
		return false;
	for (; lo < hi; lo++, p++)
		pcp_push(pcp, set, p, pcp_node(pcp));
	return true;
}

/*
 * Slots are put together without a lock, LOCKED_RUNS runs at a time: a node's lock is what several CPUs wait for here.
 */
#define LOCKED_RUNS 32

void free_page_runs(const u64 *runs, unsigned n, bool bulk)
{
	struct frames part[LOCKED_RUNS];
	unsigned long flags = irq_save();
	struct pcp *pcp = this_cpu_ptr(&pcps);
	u64 pages = 0;

	for (unsigned i = 0; i < n;) {
		unsigned k = 0;

		while (i < n && k < LOCKED_RUNS) {
			unsigned set = run_flags(runs[i]) & RUN_ZERO ? ZERO : DIRTY;
			u64 lo, hi;

			if (unlikely(run_flags(runs[i]) & RUN_HELD)) {
				lo = run_pfn(runs[i]);
				hi = lo + 1;
				if (!drop_held(runs[i++], &set))
					continue;
			} else {
				i += merge_slots(&runs[i], n - i, &lo, &hi);
			}
			pages += hi - lo;
			run_check(lo, hi, set);
			if (!bulk && run_to_pcp(pcp, lo, hi, set))
				continue;
			part[k++] = (struct frames){ lo, hi, set };
		}
		buddy_free_frames(part, k);
	}
	vm_event_add(VME_pgfree, pages);
	irq_restore(flags);
	stretch_freed((u32)pages);
}

void put_page_slow(struct page *p, u64 state)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);	/* pairs with the release of every other dropper */
	page_free_hook(p);
	free_pages(p, page_order(p));
}

void put_page(struct page *p)
{
	u64 old;

	if (unlikely(page_type(p) == PAGE_TAIL))
		p = pfn_to_page(p->link[0]);
	old = (u64)__atomic_fetch_sub(&p->state.v, (s64)PAGE_REF_ONE, __ATOMIC_RELEASE);
	DEBUG_ASSERT(old >> PAGE_REF_SHIFT & PAGE_COUNT_MASK, "page %#llx: reference dropped that nobody held",
		     (unsigned long long)page_to_pfn(p));
	if (state_is_last(old))
		put_page_slow(p, old);
}

/* ---- statistics ---- */

u64 nr_free_pages(void)
{
	u64 sum = free_in_nodes();

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		struct pcp *pcp = per_cpu_ptr(&pcps, cpu);

		sum += READ_ONCE(pcp->count[DIRTY]) + READ_ONCE(pcp->count[ZERO]);
	}
	return sum;
}

bool memory_is_short(void)
{
	u64 free = 0;

	for (unsigned i = 0; i < nr_nodes && free <= 2 * reserve_pages; i++)
		free += node_free_pages(i);
	return free <= 2 * reserve_pages;
}

static void drain_local(void *arg)
{
	unsigned long flags = irq_save();
	struct pcp *pcp = this_cpu_ptr(&pcps);

	for (unsigned set = 0; set < NR_SETS; set++)
		pcp_drain(pcp, set, 0);
	irq_restore(flags);
}

void drain_pcp(void)
{
	call_on_cpus(&cpu_online_mask, drain_local, NULL, true);
}

/* ---- boot ---- */

/*
 * After a restart without a power cycle memory holds what the last kernel left there. It shows in the descriptors,
 * which nobody has written yet: each of these began a free block then.
 */
static bool restarted_warm(void)
{
	u64 pos = 0, base, end;
	int node;

	while (boot_next_free(&pos, &base, &end, &node))
		if (memchr_inv(pfn_to_page(base >> PAGE_SHIFT), 0, sizeof(struct page)))
			return true;
	return false;
}

void palloc_init(void)
{
	if (opt_zeroed == 2)
		opt_zeroed = boot_info.ram_zeroed && !restarted_warm();
	poison_init();
	prng_seed(&shuffle_rng, 42);
	early_close();
	buddy_init(opt_zeroed ? ZERO : DIRTY);
	reserve_pages = min(nr_total_pages() / 256, (u64)4096);
	palloc_init_cpu(0);
}

void palloc_init_cpu(unsigned cpu)
{
	unsigned nid = fallbacks[cpus[cpu]->node].node[0];

	cpus[cpu]->mem_node = nid;
	per_cpu_ptr(&pcps, cpu)->home = page_word(PAGE_PCP, 0, nid, NULL);
}
