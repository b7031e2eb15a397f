/*
 * vm.free_async=zap: an exiting address space is taken apart by several CPUs, unhooking included.
 *
 * The address space is cut into units of UNIT_TABLES level-0 tables, whole ones that belong to one vma; the exiting
 * task and its helpers take one unit after the other, each with a gather of its own, until there are none left. What
 * lies in tables that a vma has only a part of, and tables above, stay for the serial pass of exit_mmap. A helper that
 * has not started when the units are used up is cancelled, so the exiting task never waits for a CPU that has something
 * better to do.
 *
 * Why it is safe: the mm has no users, and before the first unit every CPU, this one too, has stopped borrowing it.
 * Nobody has its root loaded, so no walk is under way and nothing that TLBs still hold of it can be used; units share
 * no level-0 table, and tables above are changed under page_table_lock. rss counters are atomic.
 *
 * Locks: u pz->lock   i fixed while helpers run   a atomic
 */
#include "kernel/cpu.h"
#include "kernel/lazy_tlb.h"
#include "kernel/race.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "mm/gather.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "mm/zap.h"

#define UNIT_TABLES	8u	/* level-0 tables in a unit */
#define MAX_HELPERS	15u
#define STEPS		256	/* places looked at under the lock at a time */

/* An address space has a helper for so many. Waking one and sharing out costs some 9,000 instructions: below 3 % so. */
unsigned zap_helper_pages = 12288;

struct parallel_zap;

struct helper {
	struct work work;
	struct parallel_zap *pz;
};

struct parallel_zap {
	struct mm *mm;			/* i */
	spinlock_t lock;
	struct vma *vma;		/* u. next unit begins in it; NULL: no more */
	uintptr_t next;			/* u. at this address */
	atomic64_t helper_ns;		/* a */
	struct completion done;		/* once for each helper that has run */
	struct helper helpers[MAX_HELPERS];
};

static void begin_vma(struct parallel_zap *pz, struct vma *vma)
{
	pz->vma = vma;
	pz->next = vma ? align_up(vma->start, pt_size(1)) : 0;
}

/*
 * The next unit, [*start, *end) within one vma. Stretches and vmas without whole tables are left out, if need be some
 * at a time: then it is empty. False: there is none any more.
 */
static bool take_unit(struct parallel_zap *pz, uintptr_t *start, uintptr_t *end)
{
	bool found = false;

	*start = *end = 0;
	spin_lock(&pz->lock);
	for (unsigned i = 0; i < STEPS && pz->vma && !found; i++) {
		uintptr_t at = pz->next, last = align_down(pz->vma->end, pt_size(1)), stop = last;
		int level;

		if (at < last) {
			pt_walk(pz->mm, at, &level);
			found = level == 0;
			stop = found ? at + UNIT_TABLES * pt_size(1) : align_down(at, pt_size(level)) + pt_size(level);
			if (stop > last || stop < at)
				stop = last;
		}
		if (found) {
			*start = at;
			*end = stop;
		}
		pz->next = stop;
		if (stop == last)
			begin_vma(pz, vma_next(pz->vma));
	}
	found |= pz->vma != NULL;
	spin_unlock(&pz->lock);
	return found;
}

static void zap_units(struct parallel_zap *pz)
{
	struct mmu_gather g;
	uintptr_t start, end;

	gather_begin(&g, pz->mm, true);
	g.async = false;
	g.bulk = true;
	g.limit = min(g.limit, (u32)GATHER_MAX_PAGES);
	while (take_unit(pz, &start, &end)) {
		if (start != end) {
			zap_range(&g, start, end);
			free_tables(&g, start, end, start, end);
		}
		cond_resched();
	}
	gather_end(&g);
}

static void helper_work(struct work *w)
{
	struct helper *h = container_of(w, struct helper, work);
	struct parallel_zap *pz = h->pz;
	u64 before = task_runtime_ns(current);

	race_point("zap:helper");
	zap_units(pz);
	atomic64_add((s64)(task_runtime_ns(current) - before), &pz->helper_ns);
	complete(&pz->done);
}

/* Nobody may have the root loaded: neither lazily elsewhere, nor here. */
static void leave_everywhere(struct mm *mm)
{
#ifdef BREAK_ZAP_NO_LEAVE
	return;
#endif
	irq_disable();
	lazy_tlb_unlazy();
	irq_enable();
	flush_tlb_dying(mm, false);
}

bool zap_parallel(struct mm *mm)
{
	unsigned n = (unsigned)min((u64)min(nr_cpus - 1, MAX_HELPERS), mm_rss(mm) / zap_helper_pages), started = 0;
	struct parallel_zap *pz;

	if (!n || !free_workqueue())
		return false;
	pz = gather_in_haste(mm) ? NULL : kmalloc(sizeof(*pz), GFP_NOWAIT | GFP_NOWARN);
	if (!pz) {
		vm_event(VME_free_async_inline_fallback);
		return false;
	}
	leave_everywhere(mm);
	pz->mm = mm;
	spin_lock_init(&pz->lock, RANK_SPIN_LEAF);
	begin_vma(pz, vma_first(mm));
	atomic64_set(&pz->helper_ns, 0);
	completion_init(&pz->done);
	vm_event(VME_free_async_zaps);
	for (unsigned i = 0; i < n; i++) {
		struct helper *h = &pz->helpers[i];

		h->pz = pz;
		work_init(&h->work, helper_work);
		/* The next node first: ours has one CPU less for them. */
		queue_work_node((this_cpu()->node + 1 + (int)i) % (int)nr_nodes, free_workqueue(), &h->work);
	}
	zap_units(pz);
#ifdef BREAK_ZAP_NO_JOIN
	return true;
#endif
	for (unsigned i = 0; i < n; i++)
		started += !cancel_work_sync(&pz->helpers[i].work);
	vm_event_add(VME_free_async_works, started);
	for (unsigned i = 0; i < started; i++)
		wait_for_completion(&pz->done);
	current->lent_ns += (u64)atomic64_read(&pz->helper_ns);
	kfree(pz);
	return true;
}
