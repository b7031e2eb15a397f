/*
 * vm.free_async=node: pages of each NUMA node go through a chain of their own, and a worker of that node frees them.
 * All of it needs several nodes: make test NODES=2 FILTER='free_async*'.
 */
#include "tests/kernel/free_async.h"

#include "kernel/cpu.h"
#include "kernel/numa.h"
#include "kernel/task.h"
#include "kernel/workqueue.h"
#include "lib/string.h"
#include "mm/fault.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vmstat.h"
#include "tests/kernel/space.h"

/* Nodes with memory, in turn. */
static unsigned donors[MAX_NODES], nr_donors;

static bool several_nodes(void)
{
	nr_donors = 0;
	for (unsigned node = 0; node < nr_nodes; node++)
		if (node_total_pages(node))
			donors[nr_donors++] = node;
	if (nr_donors < 2)
		kt_skip("one node with memory");
	return nr_donors >= 2;
}

/* The page at va makes way for one of that node, whether or not a CPU takes its memory from there. */
static bool move_to_node(uintptr_t va, unsigned node)
{
	struct page *p, *old = kt_page(va);
	pte_t *e = pt_lookup(current->mm, va), v;

	if (!old || page_node(old) == node)
		return old != NULL;
	p = alloc_pages_node((int)node, 0, GFP_KERNEL | GFP_ZERO | GFP_THISNODE);
	if (!p)
		return false;
	page_set_owner(p, PAGE_ANON, NULL);
	p->index = old->index;
	p->swap = 0;
	atomic64_set(&p->state, (s64)page_state(old));
	pte_xchg(e, (pte_t){ 0 });
	flush_tlb_page(current->mm, va);
	v = pte_make(page_to_pfn(p), pgprot_make(PROT_R | PROT_W | PROT_U));
	pte_store(e, pte_mkwrite(pte_mkdirty(pte_mkyoung(v))));
	pte_publish();
	put_page_mapped(old);
	return true;
}

/* MANY pages; the address goes to *arg. */
static void fill_from_all_nodes(void *arg)
{
	uintptr_t va = map_filled(MANY, true);
	unsigned failed = 0;

	for (unsigned i = 0; va && i < MANY; i++)
		failed += !move_to_node(va + i * PAGE_SIZE, donors[i % nr_donors]);
	KT_EQ(failed, 0);
	*(uintptr_t *)arg = va;
}

static bool has_cpus(unsigned node)
{
	struct cpumask mask;

	numa_cpus(node, &mask);
	return !cpumask_empty(&mask);
}

/* Pages of `node` that workers on CPUs of that node, or of any, have freed. */
static u32 freed_of(unsigned node, bool there)
{
	u32 n = 0;

	for (unsigned cpu_node = 0; cpu_node < nr_nodes; cpu_node++)
		if (!there || cpu_node == node)
			n += __atomic_load_n(&free_async_nodes[node][cpu_node], __ATOMIC_ACQUIRE);
	return n;
}

/*
 * In turn from each node, so many that each chain is handed over at the threshold, and several times. What is left at
 * the end the gatherer frees.
 */
static void check_nodes(bool exits)
{
	u64 in_nodes[MAX_NODES] = { 0 };
	struct mm *mm = NULL;
	struct seen before, s;
	uintptr_t va;

	if (exits)
		mm = make_victim_by(fill_from_all_nodes, &va);
	else
		fill_from_all_nodes(&va);
	/* Each CPU may keep some hundreds on its stacks. */
	drain_pcp();
	for (unsigned i = 0; i < nr_donors; i++)
		in_nodes[donors[i]] = node_free_pages(donors[i]);
	before = seen_now();
	for (unsigned node = 0; node < nr_nodes; node++)
		memset(free_async_nodes[node], 0, sizeof(free_async_nodes[node]));
	if (!exits)
		KT_EQ(kt_unmap(va, MANY), 0);
	else if (mm)
		mmput(mm);
	s = seen_since(&before);
	KT_EQ(s.pages, MANY);
	KT_EQ(s.inlined, 0);
	KT_EXPECT(s.works >= 3 * nr_donors);
	drain_pcp();
	for (unsigned i = 0; i < nr_donors; i++) {
		unsigned node = donors[i];

		/* All but the rest, of which each node has its share. */
		KT_EXPECT(freed_of(node, has_cpus(node)) >= (MANY - 1200) / nr_donors);
		if (has_cpus(node))
			KT_EQ(freed_of(node, false), freed_of(node, true));
		/* New workers have stacks. */
		KT_EXPECT(node_free_pages(node) + 150 >= in_nodes[node] + MANY / nr_donors);
	}
}

KTEST_MM(free_async_nodes, each_page_goes_to_its_node)
{
	if (!several_nodes())
		return;
	for (unsigned run = 0; run < 2; run++) {
		choose_free(FREE_NODE, run);
		check_nodes(false);
		check_nodes(true);
	}
}

/* What never goes to a worker needs no chain for each node: it takes as many pages for slots as without workers. */
KTEST_MM(free_async_nodes, small_exits_have_one_chain)
{
	u64 batches[2] = { 0 };

	if (!several_nodes())
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct seen before, s;
		struct mm *mm;
		uintptr_t va;

		choose_free(i ? FREE_NODE : FREE_OFF, 0);
		kt_set("vm.free_async_threshold", "100000");
		mm = make_victim_by(fill_from_all_nodes, &va);
		KT_ASSERT(mm);
		before = seen_now();
		mmput(mm);
		s = seen_since(&before);
		KT_EQ(s.pages, MANY);
		KT_EQ(s.works, 0);
		batches[i] = s.batches;
	}
	KT_EQ(batches[1], batches[0]);
}

/* Other policies mix the nodes, in chains that workers of the gatherer's node free: nothing is lost. */
KTEST_MM(free_async_nodes, other_policies_mix_them)
{
	if (!several_nodes())
		return;
	quiet_begin();
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		u64 free = kt_free_pages();
		struct seen before;
		struct mm *mm;
		uintptr_t va;

		choose_free(policy, policy & 1);
		mm = make_victim_by(fill_from_all_nodes, &va);
		before = seen_now();
		if (mm)
			mmput(mm);
		KT_EQ(seen_since(&before).pages, MANY);
		KT_EQ(kt_free_pages(), free);
	}
	quiet_end();
}
