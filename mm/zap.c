/*
 * The walk that takes mappings out. Unhook an entry under its table's lock, settle what the entry knew (dirty), drop
 * mapping and reference in one atomic operation; if that was the last, the page goes into the gather, which frees it
 * after the flush.
 */
#include "mm/zap.h"

#include "kernel/printk.h"
#include "kernel/race.h"
#include "kernel/sched.h"
#include "mm/pgtable.h"
#include "mm/stretch.h"

struct zap_counts {
	u32 anon, file;
};

/*
 * What the entry v (already unhooked) held: drops the mapping. True if the page is now the gather's, with flags for its
 * slot.
 */
static __always_inline bool zap_page(const struct mmu_gather *g, struct page *p, pte_t v, struct zap_counts *c,
				     u32 *flags)
{
	u64 old;

	*flags = 0;
	if (likely(page_type(p) == PAGE_ANON)) {
		c->anon++;
	} else {
		c->file++;
		if (pte_dirty(v))
			page_set_flag(p, PG_DIRTY);
	}
#ifdef BREAK_GATHER_EARLY_PUT
	if (true) {
#else
	if (likely(g->exclusive)) {
#endif
		/* Nobody can use what other CPUs still have cached of this mm. */
		old = page_drop_map(p);
		DEBUG_ASSERT(old >> PAGE_REF_SHIFT & PAGE_COUNT_MASK, "page %#llx: no reference to drop, state %#llx",
			     (unsigned long long)page_to_pfn(p), (unsigned long long)old);
		if (!state_is_last(old))
			return false;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} else {
		/*
		 * If others hold the page too, they may let go of it, and it may become something else, before our
		 * flush: then our reference must last until after that (RUN_HELD).
		 */
		old = page_drop_sole_map(p);
		if (!old) {
			old = (u64)atomic64_fetch_sub_release((s64)PAGE_MAP_ONE, &p->state);
			*flags = RUN_HELD;
		}
	}
	DEBUG_ASSERT(old >> PAGE_MAP_SHIFT, "page %#llx: no mapping to drop, state %#llx",
		     (unsigned long long)page_to_pfn(p), (unsigned long long)old);
	return true;
}

#define TYPE_MASK 0xfu
#define NODE_MASK (0x7fu << 9)

/* A page that goes the quick way: nobody else has it, and its descriptor says `word` where there are bits in mask. */
static __always_inline bool is_plain(const struct page *p, u64 state, u64 mask, u64 word)
{
	return (READ_ONCE(p->word) & mask) == word && state_is_last(state);
}

/* Unhook e and drop the mapping. False: somebody has taken a reference to the page meanwhile. */
static __always_inline bool take_plain(pte_t *e, struct page *p, u64 state, bool dying)
{
	s64 seen = (s64)state;

	/* A dying mm has no CPU in user mode: the hardware does not write this entry any more. */
	if (dying)
		pte_clear(e);
	else
		pte_xchg(e, (pte_t){ 0 });
	/* As page_drop_map(), but what is left is known already: a few instructions less. */
	if (likely(atomic64_try_cmpxchg_release(&p->state, &seen, (s64)(state - PAGE_REF_ONE - PAGE_MAP_ONE))))
		return true;
	return state_is_last(page_drop_map(p));
}

/*
 * The two hot loops of an exit. Of the n entries from e on they take those with plain pages: neighbours that continue
 * the run, whose entries differ from the last one (v) in nothing but the frame, and whose descriptors say the same as
 * the first one's; or one slot for each. Both return how many;
 * *other: the entry after them is unhooked too, but its page is not ours.
 */
static __always_inline unsigned zap_run(pte_t *e, unsigned n, pte_t v, const struct gather_run *run, bool dying,
					bool *other)
{
	struct page *p = pfn_to_page(run->first + run->pages);
	pte_t *begin = e, *end = e + n;
	u64 word, state;

	v = pte_next(v);
	if (e == end || pte_load(e).v != v.v)
		return 0;	/* only an entry tells that there is such a frame */
	word = READ_ONCE(p->word);
	state = page_state(p);
	if (!is_plain(p, state, TYPE_MASK, PAGE_ANON))
		return 0;
	do {
		if (!take_plain(e, p, state, dying)) {
			*other = true;
			break;
		}
		e++;
		p++;
		v = pte_next(v);
	} while (e != end && pte_load(e).v == v.v && READ_ONCE(p->word) == word && page_state(p) == state);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (unsigned)(e - begin);
}

/* Into batch b, as long as it has room: anonymous pages, or only those of one node (mask, word: is_plain). */
static __always_inline unsigned zap_singles(pte_t *e, unsigned n, struct gather_batch *b, u64 mask, u64 word,
					    bool dying, bool *other)
{
	u64 *slot = &b->slot[b->nr];
	unsigned i;

	n = min(n, BATCH_SLOTS - b->nr);
	for (i = 0; i < n; i++, e++) {
		pte_t v = pte_load(e);
		struct page *p;
		u64 state;

		if (!pte_present(v) || pte_special(v))
			break;
		p = pfn_to_page(pte_pfn(v));
		state = page_state(p);
		if (!is_plain(p, state, mask, word))
			break;
		if (!take_plain(e, p, state, dying)) {
			*other = true;
			break;
		}
		slot[i] = page_run(pte_pfn(v), 1, 0);
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	b->nr += i;
	return i;
}

/* Apart, so that its loop has registers enough. */
static noinline unsigned zap_singles_of_node(pte_t *e, unsigned n, struct gather_batch *b, u64 word, bool dying,
					     bool *other)
{
	return dying ? zap_singles(e, n, b, TYPE_MASK | NODE_MASK, word, true, other)
		     : zap_singles(e, n, b, TYPE_MASK | NODE_MASK, word, false, other);
}

/* A chain for each node: batch by batch, as neighbours are of one node. */
static noinline unsigned zap_singles_of_nodes(struct mmu_gather *g, pte_t *e, unsigned left, bool *other)
{
	unsigned n = 0, more = 1;

	while (n < left && more && !*other) {
		pte_t v = pte_load(e + n);
		struct gather_batch *b;
		unsigned nid;

		if (!pte_present(v) || pte_special(v))
			break;
		nid = page_node(pfn_to_page(pte_pfn(v)));
		b = g->chain[nid].last;
		if (!b || b->nr == BATCH_SLOTS)
			break;
		more = zap_singles_of_node(e + n, left - n, b, page_word(PAGE_ANON, 0, nid, NULL), g->full_mm, other);
		n += more;
	}
	return n;
}

/* As many entries as go the quick way, after one that did not. Returns how many. */
static noinline unsigned zap_quick(struct mmu_gather *g, pte_t *e, unsigned left, pte_t v, struct gather_run *run)
{
	struct gather_batch *b = g->tail;
	bool other = false;
	unsigned n;

	if (!run->flags) {
		n = g->full_mm ? zap_run(e, left, v, run, true, &other) : zap_run(e, left, v, run, false, &other);
		run->pages += n;
		return n + other;
	}
	if (g->runs)
		return 0;
	if (b)
		n = g->full_mm ? zap_singles(e, left, b, TYPE_MASK, PAGE_ANON, true, &other)
			       : zap_singles(e, left, b, TYPE_MASK, PAGE_ANON, false, &other);
	else if (g->nr_chains > 1)
		n = zap_singles_of_nodes(g, e, left, &other);
	else
		return 0;
	g->nr_pages += n;
	return n + other;
}

/*
 * One table's entries in [va, end). Returns where it stopped: end, or earlier if the gather is full. The run that is
 * being gathered is kept in registers.
 */
static noinline uintptr_t zap_table(struct mmu_gather *g, pte_t *e, uintptr_t va, uintptr_t end)
{
	const pte_t none = { 0 };
	struct zap_counts c = { 0, 0 };
	spinlock_t *ptl = pte_lockptr(e);
	struct gather_run run = g->run;
	bool more = true, dying = g->full_mm;
	const uintptr_t from = va;

	spin_lock(ptl);
	gather_range(g, va, PAGE_SHIFT);
	while (va != end && more) {
		pte_t v = pte_load(e);
		struct page *p;
		u32 flags;
		u64 pfn;

		if (pte_none(v)) {
			uintptr_t next = pt_skip_none(e, va, end);

			e += (next - va) >> PAGE_SHIFT;
			va = next;
			continue;
		}
		if (unlikely(!pte_present(v)))
			pte_clear(e);
		else if (dying)
			pte_clear(e);
		else
			v = pte_xchg(e, none);
		e++;
		va += PAGE_SIZE;
		if (unlikely(!pte_present(v) || pte_special(v)))
			continue;
		pfn = pte_pfn(v);
		p = pfn_to_page(pfn);
		if (unlikely(!zap_page(g, p, v, &c, &flags)))
			continue;
		more = gather_page(g, &run, pfn, flags);
		if (more && g->exclusive) {
			unsigned n = zap_quick(g, e, (unsigned)((end - va) >> PAGE_SHIFT), v, &run);

			c.anon += n;
			e += n;
			va += (uintptr_t)n << PAGE_SHIFT;
		}
	}
	if (run.pages > RUN_MAX - pt_entries(0))
		more = gather_close_run(g, &run) && more;
	g->run = run;
	gather_range(g, va - PAGE_SIZE, PAGE_SHIFT);
	spin_unlock(ptl);
	race_point("zap:after-unhook");
	if (c.anon)
		atomic64_sub(c.anon, &g->mm->rss_anon);
	if (c.file)
		atomic64_sub(c.file, &g->mm->rss_file);
	stretch_walked((u32)((va - from) >> PAGE_SHIFT));
	if (!more || gather_is_full(g))
		gather_flush(g);
	return va;
}

static void zap_level(struct mmu_gather *g, pte_t *table, int level, uintptr_t va, uintptr_t end)
{
	pte_t *e = &table[pt_index(level, va)];
	uintptr_t next;

	for (; va != end; va = next, e++) {
		pte_t v = pte_load(e);

		next = align_down(va, pt_size(level)) + pt_size(level);
		if (next > end || next < va)
			next = end;
		stretch_walked(1);
		if (!pte_table(v))
			continue;
		table = phys_to_virt(pte_pfn(v) << PAGE_SHIFT);
		if (level > 1) {
			zap_level(g, table, level - 1, va, next);
			cond_resched();	/* there may be many, and nothing in them */
			continue;
		}
		for (uintptr_t at = va; at != next;)
			at = zap_table(g, table + pt_index(0, at), at, next);
		cond_resched();		/* a gather may grow for long before it is full */
	}
}

void zap_range(struct mmu_gather *g, uintptr_t start, uintptr_t end)
{
	DEBUG_ASSERT(start < end && !((start | end) & ~PAGE_MASK), "%#lx-%#lx", start, end);
	zap_level(g, g->mm->root, PT_LEVELS - 1, start, end);
}

/* Tables of `level - 1` hanging in this table of `level`. */
static void free_level(struct mmu_gather *g, pte_t *table, int level, uintptr_t va, uintptr_t end, uintptr_t floor,
		       uintptr_t ceiling)
{
	pte_t *e = &table[pt_index(level, va)];
	uintptr_t next;

	for (; va != end; va = next, e++) {
		uintptr_t base = align_down(va, pt_size(level));
		pte_t v = pte_load(e);

		next = base + pt_size(level);
		if (next > end || next < va)
			next = end;
		stretch_walked(1);
		if (!pte_table(v))
			continue;
		table = phys_to_virt(pte_pfn(v) << PAGE_SHIFT);
		if (level > 1) {
			free_level(g, table, level - 1, va, next, floor, ceiling);
			cond_resched();
		}
		if (base < floor || base + pt_size(level) - 1 > ceiling - 1)
			continue;
		spin_lock(&g->mm->page_table_lock);
		pte_clear(e);
		spin_unlock(&g->mm->page_table_lock);
		gather_range(g, base, pt_shift(level));
		gather_table(g, table, level - 1);
		if (gather_is_full(g))
			gather_flush(g);
	}
}

void free_tables(struct mmu_gather *g, uintptr_t start, uintptr_t end, uintptr_t floor, uintptr_t ceiling)
{
	/*
	 * USER_TOP need not lie on a table's edge, but nothing of the user's is above it. 0 - 1 is the top of the
	 * address space.
	 */
	if (ceiling >= USER_TOP)
		ceiling = 0;
	free_level(g, g->mm->root, PT_LEVELS - 1, start, end, floor, ceiling);
}
