/*
 * sysfs: what programs ask about CPUs and NUMA nodes, /sys/devices/system/{cpu,node}, over the machinery of procfs.
 * Formats are Linux's. Which nodes and CPUs there are is fixed at boot, so nothing is locked.
 */
#include "kernel/cpu.h"
#include "kernel/fs/proc.h"
#include "kernel/numa.h"
#include "lib/string.h"
#include "mm/palloc.h"

#define SYSFS_MAGIC	0x62656572u

static void show_list(struct seq *m, const unsigned long *map, size_t nbits)
{
	char list[512];

	bitmap_print_list(list, sizeof(list), map, nbits);
	seq_printf(m, "%s\n", list);
}

/* ---- cpu */

static void cpus_show(struct seq *m)
{
	show_list(m, cpu_online_mask.bits, NR_CPUS);
}

static void kernel_max_show(struct seq *m)
{
	seq_printf(m, "%d\n", NR_CPUS - 1);
}

static const struct proc_node cpu_nodes[] = {
	PROC_PLAIN("online", cpus_show),
	PROC_PLAIN("possible", cpus_show),
	PROC_PLAIN("present", cpus_show),
	PROC_PLAIN("kernel_max", kernel_max_show),
	{ .name = NULL },
};

/* ---- node */

static void online_cpus(unsigned node, struct cpumask *out)
{
	numa_cpus(node, out);
	cpumask_and(out, out, &cpu_online_mask);
}

static void nodes_show(struct seq *m)
{
	unsigned long map = (1ul << nr_nodes) - 1;

	show_list(m, &map, MAX_NODES);
}

static void has_memory_show(struct seq *m)
{
	unsigned long map = 0;

	for (unsigned node = 0; node < nr_nodes; node++)
		map |= (unsigned long)(node_total_pages(node) != 0) << node;
	show_list(m, &map, MAX_NODES);
}

static void has_cpu_show(struct seq *m)
{
	unsigned long map = 0;

	for (unsigned node = 0; node < nr_nodes; node++) {
		struct cpumask mask;

		online_cpus(node, &mask);
		map |= (unsigned long)!cpumask_empty(&mask) << node;
	}
	show_list(m, &map, MAX_NODES);
}

static int cpulist_show(struct seq *m, const struct proc_ref *ref)
{
	struct cpumask mask;

	online_cpus((unsigned)ref->n, &mask);
	show_list(m, mask.bits, NR_CPUS);
	return 0;
}

/* Groups of 32 CPUs, the highest first, as many digits as there are CPUs. */
static int cpumap_show(struct seq *m, const struct proc_ref *ref)
{
	unsigned group = div_round_up(nr_cpus, 32u), digits = div_round_up((nr_cpus - 1) % 32 + 1, 4u);
	struct cpumask mask;

	online_cpus((unsigned)ref->n, &mask);
	while (group--) {
		seq_printf(m, "%0*x%c", (int)digits, (u32)(mask.bits[group / 2] >> (group % 2 * 32)),
			   group ? ',' : '\n');
		digits = 8;
	}
	return 0;
}

static int distance_show(struct seq *m, const struct proc_ref *ref)
{
	for (unsigned b = 0; b < nr_nodes; b++)
		seq_printf(m, "%u%c", numa_distance((unsigned)ref->n, b), b + 1 < nr_nodes ? ' ' : '\n');
	return 0;
}

/* Pages on CPUs' lists count as used, here as there. */
static int node_meminfo_show(struct seq *m, const struct proc_ref *ref)
{
	unsigned node = (unsigned)ref->n;
	u64 total = node_total_pages(node), free = min(node_free_pages(node), total);
	const struct {
		const char *name;
		u64 pages;
	} lines[] = { { "MemTotal:", total }, { "MemFree:", free }, { "MemUsed:", total - free } };

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		seq_printf(m, "Node %u %-15s %8llu kB\n", node, lines[i].name,
			   (unsigned long long)(lines[i].pages << (PAGE_SHIFT - 10)));
	return 0;
}

static const struct proc_node one_node_nodes[] = {
	PROC_FILE("cpulist", 0444, cpulist_show),
	PROC_FILE("cpumap", 0444, cpumap_show),
	PROC_FILE("distance", 0444, distance_show),
	PROC_FILE("meminfo", 0444, node_meminfo_show),
	{ .name = NULL },
};
static const struct proc_node one_node = { .mode = S_IFDIR | 0555, .children = one_node_nodes };

static const struct proc_node node_nodes[] = {
	PROC_PLAIN("has_cpu", has_cpu_show),
	PROC_PLAIN("has_memory", has_memory_show),
	PROC_PLAIN("has_normal_memory", has_memory_show),
	PROC_PLAIN("online", nodes_show),
	PROC_PLAIN("possible", nodes_show),
	{ .name = NULL },
};

static int node_lookup(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out)
{
	int node = len > 4 && !memcmp(name, "node", 4) ? proc_number(name + 4, len - 4) : -1;

	if (node < 0 || (unsigned)node >= nr_nodes)
		return -ENOENT;
	out->node = &one_node;
	out->n = (u64)node;
	return 0;
}

static int node_readdir(const struct proc_ref *dir, struct dir_context *ctx, u64 base)
{
	while (ctx->pos - base < nr_nodes) {
		struct proc_ref ref = { .node = &one_node, .n = ctx->pos - base };
		char name[12];
		int len = kscnprintf(name, sizeof(name), "node%u", (unsigned)ref.n);

		if (!proc_emit(ctx, &ref, name, (size_t)len, ctx->pos + 1))
			break;
	}
	return 0;
}

/* ---- the tree */

static const struct proc_node system_nodes[] = {
	PROC_DIR("cpu", cpu_nodes),
	{ .name = "node",
	  .mode = S_IFDIR | 0555,
	  .children = node_nodes,
	  .lookup = node_lookup,
	  .readdir = node_readdir },
	{ .name = NULL },
};
static const struct proc_node devices_nodes[] = { PROC_DIR("system", system_nodes), { .name = NULL } };
static const struct proc_node root_nodes[] = { PROC_DIR("devices", devices_nodes), { .name = NULL } };
static const struct proc_node root = { .mode = S_IFDIR | 0555, .children = root_nodes };

static struct super *get_super(const struct fs_type *type, const char *options)
{
	return proc_super(type, &root);
}

const struct fs_type sysfs_type = { .name = "sysfs", .magic = SYSFS_MAGIC, .get_super = get_super };
