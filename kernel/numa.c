/*
 * NUMA nodes: from what firmware said (boot_info) to dense numbers, and the table of distances.
 *
 * Firmware's numbers are ACPI's proximity domains or a device tree's node ids: any numbers, with gaps. A node is one
 * that RAM or a CPU names; the lowest becomes node 0, and so on. What names none belongs to node 0, and so does what is
 * beyond MAX_NODES.
 *
 * Written by the boot CPU before others start, read without locks afterwards.
 */
#include "kernel/numa.h"

#include <arch/boot.h>

#include "kernel/cpu.h"
#include "kernel/init.h"
#include "kernel/printk.h"
#include "lib/printf.h"
#include "mm/palloc.h"

unsigned nr_nodes = 1;

static int firmware_ids[MAX_NODES];	/* of node i, ascending */
static unsigned nr_ids, nr_folded;
static u8 distances[MAX_NODES][MAX_NODES];	/* 0: not said */

/* The lowest number above `after` that RAM or a CPU names; NODE_UNKNOWN if there is none. */
static int next_id(int after)
{
	int best = NODE_UNKNOWN;

	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		int id = boot_info.ram[i].node;

		if (id > after && (best == NODE_UNKNOWN || id < best))
			best = id;
	}
	for (unsigned i = 0; i < boot_info.nr_cpus; i++) {
		int id = boot_info.cpu_node[i];

		if (id > after && (best == NODE_UNKNOWN || id < best))
			best = id;
	}
	return best;
}

static void collect_ids(void)
{
	int id = NODE_UNKNOWN;

	nr_ids = 0;
	while (nr_ids < MAX_NODES && (id = next_id(id)) != NODE_UNKNOWN)
		firmware_ids[nr_ids++] = id;
}

/* Our number for firmware's, nr_ids if it is none of ours. */
static unsigned index_of(int id)
{
	unsigned i = 0;

	while (i < nr_ids && firmware_ids[i] != id)
		i++;
	return i;
}

void boot_set_distance(int a, int b, unsigned distance)
{
	unsigned i, j;

	if (!nr_ids)
		collect_ids();
	i = index_of(a);
	j = index_of(b);
	if (i < nr_ids && j < nr_ids && i != j && distance > LOCAL_DISTANCE && distance <= 255)
		distances[i][j] = (u8)distance;
}

static int dense(int id)
{
	unsigned i = index_of(id);

	return i < nr_ids ? (int)i : 0;
}

void numa_init(void)
{
	if (!nr_ids)
		collect_ids();
	for (int id = nr_ids ? firmware_ids[nr_ids - 1] : NODE_UNKNOWN; (id = next_id(id)) != NODE_UNKNOWN;)
		nr_folded++;
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		boot_info.ram[i].node = dense(boot_info.ram[i].node);
	for (unsigned i = 0; i < NR_CPUS; i++)
		boot_info.cpu_node[i] = dense(boot_info.cpu_node[i]);
	nr_nodes = max(nr_ids, 1u);
	for (unsigned a = 0; a < nr_nodes; a++) {
		distances[a][a] = LOCAL_DISTANCE;
		/* Only one direction is said: the other is the same. */
		for (unsigned b = 0; b < a; b++) {
			u8 *there = &distances[a][b], *back = &distances[b][a];

			if (!*there)
				*there = *back ? *back : REMOTE_DISTANCE;
			if (!*back)
				*back = *there;
		}
	}
	boot_cpu.node = boot_info.cpu_node[0];
}

unsigned numa_distance(unsigned a, unsigned b)
{
	return distances[a][b];
}

void numa_cpus(unsigned node, struct cpumask *out)
{
	cpumask_zero(out);
	for (unsigned i = 0; i < nr_cpus; i++)
		if (cpus[i]->node == (int)node)
			__cpumask_set(out, i);
}

/* When the console is there, and only if there is something to say. */
static int numa_report(void)
{
	char list[MAX_NODES * 5];

	if (nr_folded)
		pr_warn("%u NUMA nodes found, %u used: the rest counts as node 0", nr_ids + nr_folded, nr_nodes);
	if (boot_info.nodes_incomplete)
		pr_warn("NUMA: memory in too many pieces, some of it counts as another node's");
	for (unsigned node = 0; nr_nodes > 1 && node < nr_nodes; node++) {
		struct cpumask mask;
		int n = 0;

		numa_cpus(node, &mask);
		for (unsigned b = 0; b < nr_nodes; b++)
			n += kscnprintf(list + n, sizeof(list) - (size_t)n, " %u", numa_distance(node, b));
		pr_info("node %u (firmware's %d): %llu MiB, %u CPUs, distances%s", node, firmware_ids[node],
			(unsigned long long)node_total_pages(node) / 256, cpumask_weight(&mask), list);
	}
	return 0;
}
early_initcall(numa_report);
