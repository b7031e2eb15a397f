/*
 * Who frees what was gathered: vm.free_async.
 *
 *	off	the gatherer itself, GATHER_MAX_PAGES at a time
 *	batch	at vm.free_async_threshold pages the chain of batches goes to a worker of an unbound queue; the gatherer
 *		goes on unhooking, frees what is left at the end itself, and joins all workers
 *	node	the same, with a chain for each NUMA node of the pages, and its worker on that node
 *	zap	an exiting address space is taken apart by several workers (zap_parallel.c); other gathers as batch
 *
 * The hand-off needs no memory: the chain's first batch carries the work item. A chain is handed over only after the
 * flush that covers all of it. The worker's last access to the gather is complete(), under the completion's lock, which
 * the joining task takes too: so the gather may be on that task's stack.
 *
 * Inline instead, a batch at a time: when the gatherer is itself what others wait for to get memory (TF_MEMALLOC), when
 * memory is short, and when the address space was killed for that: then pages must come back at once.
 *
 * Source: "mm: free memory in parallel on exit" (batched asynchronous freeing by workers, one for each node after
 * review).
 */
#include "kernel/init.h"
#include "kernel/numa.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/race.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "mm/gather.h"
#include "mm/vmstat.h"
#include "mm/zap.h"

static unsigned policy = FREE_OFF;
static unsigned threshold = 16384;
static bool gather_runs = true;
static struct workqueue *free_wq;

static const struct cmdline_option option_policy = {
	.name = "vm.free_async",
	.type = CMDLINE_CHOICE,
	.choice = &policy,
	.choices = (const char *const[]){ "off", "batch", "node", "zap", NULL },
	.help = "who frees the memory that exit and munmap take away"
};
KNOB(knob_policy) = { .name = "vm.free_async", .opt = &option_policy };

static const struct cmdline_option option_threshold = { .name = "vm.free_async_threshold",
							.type = CMDLINE_UINT,
							.uint = &threshold,
							.min = 512,
							.max = 1u << 30,
							.help = "pages gathered before they go to a worker" };
KNOB(knob_threshold) = { .name = "vm.free_async_threshold", .opt = &option_threshold };

static const struct cmdline_option option_runs = { .name = "vm.gather_runs",
						   .type = CMDLINE_FLAG,
						   .flag = &gather_runs,
						   .help = "1: gather runs of neighbouring pages; 0: single pages" };
KNOB(knob_runs) = { .name = "vm.gather_runs", .opt = &option_runs };

unsigned free_async_policy(void)
{
	return READ_ONCE(policy);
}

/* The task or the mm was killed for memory, the task frees for others who wait for it, or there is little left. */
bool gather_in_haste(const struct mm *mm)
{
	return current->flags & (TF_MEMALLOC | TF_OOM_VICTIM) || READ_ONCE(mm->oom_victim) || memory_is_short();
}

void gather_drain(void)
{
	if (free_wq)
		flush_workqueue(free_wq);
}

void gather_choose(struct mmu_gather *g)
{
	unsigned now = READ_ONCE(policy);

	g->runs = g->may_run = READ_ONCE(gather_runs);
	g->nr_chains = 1;
	g->async = false;
	g->limit = GATHER_MAX_PAGES;
	if (likely(now == FREE_OFF) || !free_wq)
		return;
	g->async = true;
	g->limit = READ_ONCE(threshold);
	/* Several chains need several pages for slots: not for what never goes to a worker. */
	if (now == FREE_NODE && mm_rss(g->mm) >= g->limit)
		g->nr_chains = (u8)nr_nodes;
	if (gather_in_haste(g->mm))
		g->limit = BATCH_SLOTS;
	atomic64_set(&g->worker_ns, 0);
	completion_init(&g->done);
}

/* ---- hand-off and join ---- */

#ifdef CONFIG_DEBUG
u32 free_async_nodes[MAX_NODES][MAX_NODES];

static void note_nodes(const struct gather_batch *b)
{
	for (; b; b = b->next) {
		for (u32 i = 0; i < b->nr; i++) {
			u32 *row = free_async_nodes[page_node(pfn_to_page(run_pfn(b->slot[i])))];

			__atomic_fetch_add(&row[this_cpu()->node], run_pages(b->slot[i]), __ATOMIC_RELAXED);
		}
	}
}
#else
static inline void note_nodes(const struct gather_batch *b) {}
#endif

static void free_chain_work(struct work *w)
{
	struct gather_batch *first = container_of(w, struct gather_batch, work);
	struct mmu_gather *g = first->owner;
	u64 before = task_runtime_ns(current);

	race_point("gather:worker");
	note_nodes(first);
	gather_free_chain(first, true);	/* first is gone now, and the work item with it */
	atomic64_add((s64)(task_runtime_ns(current) - before), &g->worker_ns);
	complete(&g->done);
}

/* Of batch: a node that has a CPU for the worker besides this one; this CPU's, if it has. */
static int worker_node(void)
{
	int node = this_cpu()->node;
	struct cpumask there;

	numa_cpus((unsigned)node, &there);
	return cpumask_weight(&there) > 1 ? node : (node + 1) % (int)nr_nodes;
}

void gather_hand_off(struct mmu_gather *g)
{
	/* Less than is worth a worker: the end, or no memory for more slots. */
	if (!g->async || !gather_is_full(g))
		return;
	if (unlikely(gather_in_haste(g->mm))) {
		vm_event(VME_free_async_inline_fallback);
		return;
	}
	for (unsigned i = 0; i < g->nr_chains; i++) {
		struct gather_batch *b = g->chain[i].first;

		if (!b)
			continue;
		g->chain[i] = (struct gather_chain){ NULL, NULL };
		work_init(&b->work, free_chain_work);
		b->owner = g;
		g->nr_works++;
		vm_event(VME_free_async_works);
		queue_work_node(g->nr_chains > 1 ? (int)i : worker_node(), free_wq, &b->work);
	}
}

void gather_join(struct mmu_gather *g)
{
	if (!g->nr_works)
		return;
	race_point("gather:before-join");
#ifndef BREAK_GATHER_NO_JOIN
	for (; g->nr_works; g->nr_works--)
		wait_for_completion(&g->done);
#endif
	current->lent_ns += (u64)atomic64_read(&g->worker_ns);
}

struct workqueue *free_workqueue(void)
{
	return free_wq;
}

static int free_async_init(void)
{
	free_wq = workqueue_create("free", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return free_wq ? 0 : -ENOMEM;
}
early_initcall(free_async_init);
