/*
 * NUMA: nodes as boot_info has them, where allocations come from and frees go to, on which CPUs a node's work runs; and
 * the reader of firmware's tables. Most of it needs several nodes: make test NODES=2 FILTER='numa*'.
 */
#include "kernel/numa.h"

#include <arch/boot.h>

#include "kernel/cpu.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/workqueue.h"
#include "lib/bits.h"
#include "lib/err.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/buddy.h"
#include "mm/palloc.h"
#include "mm/vmstat.h"
#include "tests/kernel/ktest.h"

#define SINGLES	300

static struct page *pages[SINGLES];
static u32 bad;		/* atomic. counted by threads */

/* The node that boot_info gives a frame, -1 if it is no RAM. */
static int ram_node(u64 pfn)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		const struct boot_region *r = &boot_info.ram[i];

		if (pfn << PAGE_SHIFT >= r->base && pfn << PAGE_SHIFT < r->base + r->size)
			return r->node;
	}
	return -1;
}

static unsigned nodes_with_memory(void)
{
	unsigned n = 0;

	for (unsigned node = 0; node < nr_nodes; node++)
		n += node_total_pages(node) != 0;
	return n;
}

/* The nearest other node with memory, by distance alone; *distance is how far that is. False: there is none. */
static bool nearest_other(unsigned node, unsigned *distance)
{
	bool found = false;

	for (unsigned b = 0; b < nr_nodes; b++) {
		if (b == node || !node_total_pages(b) || (found && numa_distance(node, b) >= *distance))
			continue;
		*distance = numa_distance(node, b);
		found = true;
	}
	return found;
}

/* Run fn(arg) in a thread on that CPU. */
static bool run_on(unsigned cpu, int (*fn)(void *), void *arg)
{
	struct task *t = kthread_run_on(cpu, fn, arg, "kt/numa");

	if (IS_ERR(t))
		return false;
	kthread_stop(t);
	return true;
}

/* ---- what there is */

KTEST(numa, nodes_are_those_of_boot_info)
{
	u64 ram[MAX_NODES] = { 0 };

	KT_ASSERT(nr_nodes >= 1 && nr_nodes <= MAX_NODES);
	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		KT_ASSERT(boot_info.ram[i].node >= 0 && (unsigned)boot_info.ram[i].node < nr_nodes);
		ram[boot_info.ram[i].node] += boot_info.ram[i].size >> PAGE_SHIFT;
	}
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		KT_EQ(cpus[cpu]->node, boot_info.cpu_node[cpu]);
		KT_EXPECT(cpus[cpu]->node >= 0 && (unsigned)cpus[cpu]->node < nr_nodes);
		KT_EXPECT(node_total_pages(cpus[cpu]->mem_node));
	}
	for (unsigned node = 0; node < nr_nodes; node++) {
		struct cpumask mask;
		unsigned cpu;

		numa_cpus(node, &mask);
		for_each_cpu(cpu, &mask)
			KT_EQ(cpus[cpu]->node, node);
		KT_EXPECT(node_total_pages(node) <= ram[node]);
		KT_EQ(!node_total_pages(node), !ram[node]);
		/* CPUs beyond maxcpus= make a node, too. */
		KT_EXPECT(ram[node] || !cpumask_empty(&mask) || nr_cpus < boot_info.nr_cpus);
	}
}

/* Every node with memory once, none nearer than the one before, the own one first. */
KTEST(numa, fallbacks_are_in_order_of_distance)
{
	for (unsigned a = 0; a < nr_nodes; a++) {
		const struct fallback *f = &fallbacks[a];
		u32 seen = 0;

		for (unsigned b = 0; b < nr_nodes; b++)
			KT_EXPECT(b == a || numa_distance(a, b) > LOCAL_DISTANCE);
		KT_EQ(numa_distance(a, a), LOCAL_DISTANCE);
		KT_EQ(f->nr, nodes_with_memory());
		for (unsigned i = 0; i < f->nr; i++) {
			KT_ASSERT(f->node[i] < nr_nodes);
			KT_EXPECT(node_total_pages(f->node[i]) && !(seen >> f->node[i] & 1));
			KT_EXPECT(!i || numa_distance(a, f->node[i]) >= numa_distance(a, f->node[i - 1]));
			seen |= 1u << f->node[i];
		}
		KT_EXPECT(!node_total_pages(a) || f->node[0] == a);
	}
}

/* ---- where pages come from */

static int allocate_local(void *arg)
{
	static const unsigned orders[] = { 0, 1, 3, 9 };
	struct page *mine[64];
	unsigned n;

	for (unsigned k = 0; k < ARRAY_SIZE(orders); k++) {
		for (n = 0; n < (orders[k] == 9 ? 2 : ARRAY_SIZE(mine)); n++) {
			mine[n] = alloc_pages(orders[k], GFP_KERNEL);
			if (!mine[n] || page_node(mine[n]) != this_cpu()->mem_node ||
			    ram_node(page_to_pfn(mine[n])) != (int)page_node(mine[n]))
				__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
		}
		while (n--)
			if (mine[n])
				free_pages(mine[n], orders[k]);
	}
	return 0;
}

KTEST(numa, allocations_are_local)
{
	bad = 0;
	drain_pcp();
	KT_EQ(kt_threads(nr_cpus, allocate_local, NULL), 0);
	KT_EQ(bad, 0);
}

KTEST(numa, this_node_and_no_other)
{
	for (unsigned node = 0; node < nr_nodes; node++) {
		for (unsigned order = 0; order <= 4; order += 2) {
			struct page *p = alloc_pages_node((int)node, order, GFP_KERNEL | GFP_THISNODE);

			KT_EQ(!p, !node_total_pages(node));
			if (p) {
				KT_EQ(page_node(p), node);
				KT_EQ(ram_node(page_to_pfn(p)), node);
				free_pages(p, order);
			}
			/* Whoever may take another's gets the nearest one's. */
			p = alloc_pages_node((int)node, order, GFP_KERNEL);
			KT_ASSERT(p);
			KT_EQ(page_node(p), fallbacks[node].node[0]);
			free_pages(p, order);
		}
	}
	KT_EXPECT(!alloc_pages_node((int)nr_nodes, 0, GFP_KERNEL) && !alloc_pages_node(1000, 3, GFP_KERNEL));
}

/* All free memory of a node, large blocks first, that of CPUs' stacks too; nobody clears or fills it. */
static struct page *take_node(unsigned node)
{
	bool zero = nr_zero_pages() > nr_free_pages() / 2;
	struct page *list = NULL, *p;

	drain_pcp();
	for (unsigned order = MAX_ORDER + 1; order-- > 0;) {
		/* Not asked for in vain: that would join known-zero blocks with others. */
		while ((nodes[node].nonempty[DIRTY] | nodes[node].nonempty[ZERO]) >> order) {
			p = alloc_pages_node((int)node, order,
					     GFP_ATOMIC | GFP_THISNODE | (zero ? GFP_ZERO | GFP_TRACKED : 0));
			if (!p)
				break;
			if (!zero)
				page_set_flag(p, PG_POISON);
			p->private = list;
			list = p;
		}
	}
	return list;
}

static void give_back(struct page *list)
{
	while (list) {
		struct page *next = list->private;

		free_pages(list, page_order(list));
		list = next;
	}
}

struct exhaustion {
	unsigned node, distance;
	struct page *all;
};

static int exhaust(void *arg)
{
	struct exhaustion *x = arg;
	u64 missed = vm_event_sum(VME_numa_miss);

	rcu_barrier();		/* this thread's number may have made a page of them superfluous */
	x->all = take_node(x->node);
	KT_EXPECT(!alloc_pages_node((int)x->node, 0, GFP_ATOMIC | GFP_THISNODE));
	KT_EXPECT(!alloc_pages_node((int)x->node, 3, GFP_ATOMIC | GFP_THISNODE));
	/* A whole batch, so that the stack is filled anew. */
	for (unsigned i = 0; i < SINGLES; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i] || page_node(pages[i]) == x->node ||
		    numa_distance(x->node, page_node(pages[i])) != x->distance)
			bad++;
	}
	for (unsigned i = 0; i < SINGLES; i++)
		if (pages[i])
			free_page(pages[i]);
	for (unsigned order = 1; order < 4; order++) {
		struct page *p = alloc_pages(order, GFP_KERNEL);

		if (!p || numa_distance(x->node, page_node(p)) != x->distance)
			bad++;
		if (p)
			free_pages(p, order);
	}
	if (vm_event_sum(VME_numa_miss) - missed < SINGLES)
		bad++;
	give_back(x->all);
	return 0;
}

/* From each CPU's own node until there is nothing left, then from one of the nearest. */
KTEST(numa, exhaustion_goes_to_the_nearest)
{
	if (nodes_with_memory() < 2) {
		kt_skip("one node with memory");
		return;
	}
	bad = 0;
	for (unsigned node = 0; node < nr_nodes; node++) {
		struct exhaustion x = { .node = node };
		u64 before[MAX_NODES];
		struct cpumask mask;

		numa_cpus(node, &mask);
		if (cpumask_empty(&mask) || !node_total_pages(node))
			continue;
		KT_ASSERT(nearest_other(node, &x.distance));
		kt_settle();
		drain_pcp();
		for (unsigned i = 0; i < nr_nodes; i++)
			before[i] = node_free_pages(i);
		KT_EXPECT(run_on(cpumask_next(&mask, 0), exhaust, &x));
		KT_EQ(bad, 0);
		kt_settle();
		drain_pcp();
		/* A page of a cache may have been another node's before, but not hundreds. */
		for (unsigned i = 0; i < nr_nodes; i++)
			KT_EXPECT(node_free_pages(i) + 64 > before[i]);
		KT_EXPECT(run_on(cpumask_next(&mask, 0), allocate_local, NULL));
		KT_EQ(bad, 0);
		drain_pcp();
	}
	palloc_check();
}

/* ---- where they go */

/* As a gather does: a slot for each page, whose last reference the caller dropped. */
static void free_slots(struct page **pages, unsigned n)
{
	u64 slots[SINGLES];

	for (unsigned i = 0; i < n; i++)
		slots[i] = page_run(page_to_pfn(pages[i]), 1, page_flag(pages[i], PG_ZERO) ? RUN_ZERO : 0);
	free_page_runs(slots, n, false);
}

/* A page of another node never goes on this CPU's stack: its node has it at once, and a local one is next. */
KTEST(numa, frees_go_home)
{
	for (unsigned node = 0; node < nr_nodes; node++) {
		u64 before;
		unsigned n = 0;

		if (!node_total_pages(node) || node == this_cpu()->mem_node)
			continue;
		for (int bulk = 0; bulk < 2; bulk++) {
			drain_pcp();
			before = node_free_pages(node);
			for (n = 0; n < SINGLES; n++) {
				pages[n] = alloc_pages_node((int)node, 0, GFP_KERNEL | GFP_THISNODE);
				KT_ASSERT(pages[n]);
			}
			KT_EQ(before - node_free_pages(node), SINGLES);
			for (unsigned i = 0; bulk && i < SINGLES; i++)
				atomic64_sub(PAGE_REF_ONE, &pages[i]->state);
			/* Few enough for the stack at first. */
			if (bulk) {
				free_slots(pages, 50);
				free_slots(pages + 50, SINGLES - 50);
			}
			while (!bulk && n)
				free_page(pages[--n]);
			KT_EQ(node_free_pages(node), before);
			pages[0] = alloc_page(GFP_KERNEL);
			KT_ASSERT(pages[0]);
			KT_EQ(page_node(pages[0]), this_cpu()->mem_node);
			free_page(pages[0]);
		}
	}
	palloc_check();
}

/* Pages of all nodes in one bulk, small and large. */
KTEST(numa, bulk_of_several_nodes)
{
	u64 before[MAX_NODES];
	struct prng rng;

	prng_seed(&rng, kt_seed());
	for (unsigned n = 20; n <= SINGLES; n += 70) {
		drain_pcp();
		for (unsigned i = 0; i < nr_nodes; i++)
			before[i] = node_free_pages(i);
		for (unsigned i = 0; i < n; i++) {
			pages[i] = alloc_pages_node((int)prng_below(&rng, nr_nodes), 0,
						    GFP_KERNEL | (i & 1 ? GFP_ZERO | GFP_TRACKED : 0));
			KT_ASSERT(pages[i]);
			atomic64_sub(PAGE_REF_ONE, &pages[i]->state);
		}
		free_slots(pages, n);
		drain_pcp();
		for (unsigned i = 0; i < nr_nodes; i++)
			KT_EQ(node_free_pages(i), before[i]);
	}
	palloc_check();
}

/* The block that has this frame comes off the list. */
static struct page *find_block(struct page **list, u64 pfn)
{
	for (struct page **at = list; *at; at = (struct page **)&(*at)->private) {
		struct page *p = *at;

		if (pfn >= page_to_pfn(p) && pfn < page_to_pfn(p) + (1ull << page_order(p))) {
			*at = p->private;
			return p;
		}
	}
	return NULL;
}

/* Frames [lo, hi) of a block that we own go back as smaller ones. */
static void free_frames_of(u64 lo, u64 hi, u64 state)
{
	while (lo < hi) {
		unsigned order = min((unsigned)__builtin_ctzll(lo), (unsigned)ilog2(hi - lo));
		struct page *p = pfn_to_page(lo);

		WRITE_ONCE(p->word, page_word(PAGE_KERNEL, order, (unsigned)ram_node(lo), NULL));
		atomic64_set(&p->state, (s64)state);
		free_pages(p, order);
		lo += 1ull << order;
	}
}

/* Blocks on both sides of a boundary: a run over it, as one slot or one for each page, must be divided. */
static void free_over_edge(struct page *below, struct page *above, u64 edge, bool slots)
{
	u64 lo = max(page_to_pfn(below), edge - 8), end = edge + (1ull << page_order(above)), hi = min(end, edge + 8);
	u64 zero = page_state(below) & page_state(above) & PG_ZERO, flags = zero ? RUN_ZERO : 0, runs[16];
	u64 state = PAGE_REF_ONE | (zero ? PG_ZERO : PG_POISON), free_below, free_above;
	unsigned a = page_node(below), b = page_node(above), n = 0;

	free_frames_of(page_to_pfn(below), lo, state);
	free_frames_of(hi, end, state);
	drain_pcp();
	free_below = node_free_pages(a);
	free_above = node_free_pages(b);
	for (u64 pfn = lo; pfn < hi; pfn++) {
		WRITE_ONCE(pfn_to_page(pfn)->word, page_word(PAGE_KERNEL, 0, (unsigned)ram_node(pfn), NULL));
		atomic64_set(&pfn_to_page(pfn)->state, (s64)zero);
		runs[n++] = page_run(pfn, 1, (u32)flags);
	}
	if (!slots)
		runs[0] = page_run(lo, n, (u32)flags);
	free_page_runs(runs, slots ? n : 1, slots);
	drain_pcp();
	KT_EQ(node_free_pages(a) - free_below, edge - lo);
	KT_EQ(node_free_pages(b) - free_above, hi - edge);
}

/* The boundary behind this region. False: what lies there is in use. */
static bool try_boundary(const struct boot_region *r, bool slots)
{
	u64 edge = r[1].base >> PAGE_SHIFT;
	struct page *all_below, *all_above, *below, *above;

	all_below = take_node((unsigned)r->node);
	all_above = take_node((unsigned)r[1].node);
	below = find_block(&all_below, edge - 1);
	above = find_block(&all_above, edge);
	if (below && above)
		free_over_edge(below, above, edge, slots);
	else if (below || above)
		free_pages(below ? below : above, page_order(below ? below : above));
	give_back(all_below);
	give_back(all_above);
	return below && above;
}

KTEST(numa, run_over_a_boundary)
{
	unsigned found = 0;

	for (unsigned i = 0; i + 1 < boot_info.nr_ram && !found; i++) {
		const struct boot_region *r = &boot_info.ram[i];

		if (r->base + r->size != r[1].base || r->node == r[1].node)
			continue;
		for (int slots = 0; slots < 2; slots++)
			found += try_boundary(r, slots);
	}
	if (!found)
		kt_skip("no two nodes are neighbours with free memory there");
	palloc_check();
}

static int churn(void *arg)
{
	struct page *held[32] = { NULL };
	struct prng rng;

	prng_seed(&rng, kt_seed() * 1000 + (u64)current->pid);
	for (int k = 0; k < 600; k++) {
		unsigned i = (unsigned)prng_below(&rng, ARRAY_SIZE(held)), order = prng_below(&rng, 4) ? 0 : 2;
		int node = (int)prng_below(&rng, nr_nodes);

		if (held[i]) {
			free_pages(held[i], page_order(held[i]));
			held[i] = NULL;
		} else {
			held[i] = alloc_pages_node(node, order, GFP_KERNEL | GFP_THISNODE);
			if (!held[i] != !node_total_pages((unsigned)node) ||
			    (held[i] && page_node(held[i]) != (unsigned)node))
				__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
		}
		if (k % 64 == 0)
			cond_resched();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		if (held[i])
			free_pages(held[i], page_order(held[i]));
	return 0;
}

KTEST(numa, all_cpus_and_nodes_at_once)
{
	bad = 0;
	KT_EQ(kt_threads(2 * nr_cpus, churn, NULL), 0);
	KT_EQ(bad, 0);
	palloc_check();
}

/* What the counters say of one block from here and one from elsewhere. */
KTEST(numa, counters)
{
	u64 hit = vm_event_sum(VME_numa_hit), other = vm_event_sum(VME_numa_other);
	unsigned node = 0;
	struct page *p;

	while (node < nr_nodes && (!node_total_pages(node) || (int)node == this_cpu()->node))
		node++;
	if (node == nr_nodes) {
		kt_skip("no other node with memory");
		return;
	}
	p = alloc_pages_node((int)node, 5, GFP_KERNEL | GFP_THISNODE);
	KT_ASSERT(p);
	KT_EXPECT(vm_event_sum(VME_numa_hit) - hit >= 32);
	KT_EXPECT(vm_event_sum(VME_numa_other) - other >= 32);
	free_pages(p, 5);
}

/* ---- work for a node */

static struct node_work {
	struct work work;
	unsigned node;
} works[48];
static u32 done;	/* atomic */

static bool may_run_anywhere(void)
{
	struct cpumask mask;

	cpumask_and(&mask, &current->affinity, &cpu_online_mask);
	return cpumask_equal(&mask, &cpu_online_mask);
}

static void on_node(struct work *w)
{
	struct node_work *nw = container_of(w, struct node_work, work);
	struct cpumask mask;

	numa_cpus(nw->node, &mask);
	for (int i = 0; i < 3; i++) {
		if (cpumask_empty(&mask) ? !may_run_anywhere() : !cpumask_test(&mask, cpu_id()))
			__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
		sleep_ns(200 * NSEC_PER_USEC);	/* it may wake up on another CPU, but not of another node */
	}
	__atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
}

static int queue_all(void *wq)
{
	for (unsigned i = cpu_id(); i < ARRAY_SIZE(works); i += nr_cpus)
		if (!queue_work_node((int)works[i].node, wq, &works[i].work))
			__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	return 0;
}

/* A node without CPUs has its work done, too: by anyone. */
KTEST(numa, unbound_work_runs_on_its_node)
{
	static const unsigned kinds[] = { WQ_UNBOUND, WQ_UNBOUND | WQ_HIGHPRI };

	for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct workqueue *wq = workqueue_create("kt-numa", kinds[k], 0);

		KT_ASSERT(wq);
		bad = done = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(works); i++) {
			work_init(&works[i].work, on_node);
			works[i].node = i % nr_nodes;
		}
		KT_EQ(kt_threads(min(nr_cpus, (unsigned)ARRAY_SIZE(works)), queue_all, wq), 0);
		flush_workqueue(wq);
		workqueue_destroy(wq);
		KT_EQ(done, ARRAY_SIZE(works));
		KT_EQ(bad, 0);
	}
}
