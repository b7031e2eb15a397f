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

struct zap_counts {
	u32 anon, file;
};

/* What the entry v (already unhooked) held. Returns false if the gather is full. */
static __always_inline bool zap_page(struct mmu_gather *g, pte_t v, struct zap_counts *c)
{
	u64 pfn = pte_pfn(v), old;
	struct page *p = pfn_to_page(pfn);
	u32 flags = 0;

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
			return true;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} else {
		/*
		 * If others hold the page too, they may let go of it, and it may become something else, before our
		 * flush: then our reference must last until after that (RUN_HELD).
		 */
		old = page_drop_sole_map(p);
		if (!old) {
			old = (u64)atomic64_fetch_sub_release((s64)PAGE_MAP_ONE, &p->state);
			flags = RUN_HELD;
		}
	}
	DEBUG_ASSERT(old >> PAGE_MAP_SHIFT, "page %#llx: no mapping to drop, state %#llx",
		     (unsigned long long)page_to_pfn(p), (unsigned long long)old);
	/* Known zero only if it was never written: fork clears the flag before it shares a dirty page. */
	if (unlikely(old & PG_ZERO)) {
		if (pte_dirty(v))
			page_clear_flag(p, PG_ZERO);
		else
			flags |= RUN_ZERO;
	}
	return gather_page(g, pfn, flags);
}

/* One table's entries in [va, end). Returns where it stopped: end, or earlier if the gather is full. */
static uintptr_t zap_table(struct mmu_gather *g, pte_t *e, uintptr_t va, uintptr_t end)
{
	const pte_t none = { 0 };
	struct zap_counts c = { 0, 0 };
	spinlock_t *ptl = pte_lockptr(e);
	bool more = true;

	spin_lock(ptl);
	gather_range(g, va, PAGE_SHIFT);
	for (; va != end && more; va += PAGE_SIZE, e++) {
		pte_t v = pte_load(e);

		if (pte_none(v)) {
			uintptr_t next = pt_skip_none(e, va, end);

			e += (next - va) >> PAGE_SHIFT;
			va = next;
			if (va == end)
				break;
			v = pte_load(e);
		}
		if (likely(pte_present(v))) {
			/* A dying mm has no CPU in user mode: the hardware does not write this entry any more. */
			if (g->full_mm)
				pte_clear(e);
			else
				v = pte_xchg(e, none);
			if (likely(!pte_special(v)))
				more = zap_page(g, v, &c);
		} else {
			pte_clear(e);
		}
	}
	gather_range(g, va - PAGE_SIZE, PAGE_SHIFT);
	spin_unlock(ptl);
	race_point("zap:after-unhook");
	if (c.anon)
		atomic64_sub(c.anon, &g->mm->rss_anon);
	if (c.file)
		atomic64_sub(c.file, &g->mm->rss_file);
	if (!more)
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
		if (!pte_table(v))
			continue;
		table = phys_to_virt(pte_pfn(v) << PAGE_SHIFT);
		if (level > 1) {
			zap_level(g, table, level - 1, va, next);
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
		if (!pte_table(v))
			continue;
		table = phys_to_virt(pte_pfn(v) << PAGE_SHIFT);
		if (level > 1)
			free_level(g, table, level - 1, va, next, floor, ceiling);
		if (base < floor || base + pt_size(level) - 1 > ceiling - 1)
			continue;
		spin_lock(&g->mm->page_table_lock);
		pte_clear(e);
		spin_unlock(&g->mm->page_table_lock);
		gather_range(g, base, pt_shift(level));
		gather_table(g, table, level - 1);
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
