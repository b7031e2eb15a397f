/*
 * The device tree into boot_info: see fdt_boot.h.
 */
#include "kernel/dev/fdt_boot.h"

#include <arch/boot.h>

#include "kernel/cpumask.h"
#include "kernel/numa.h"
#include "lib/fdt.h"
#include "lib/string.h"

static bool has_type(const void *fdt, int node, const char *wanted)
{
	const char *type = fdt_prop_string(fdt, node, "device_type");

	return type && !strcmp(type, wanted) && fdt_is_available(fdt, node);
}

/* [base, end) without what must not be mapped: there the CPU must not read ahead, since others than we may own it. */
static void add_ram(const void *fdt, u64 base, u64 end, int numa, void (*found)(u64 base, u64 end))
{
	int reserved = fdt_find_path(fdt, "/reserved-memory"), node;
	u64 from, size;

	fdt_for_each_child(node, fdt, reserved) {
		if (!fdt_prop(fdt, node, "no-map", NULL))
			continue;
		for (int i = 0; !fdt_reg(fdt, node, i, &from, &size); i++) {
			if (!size || from >= end || from + size <= base)
				continue;
			if (from > base)
				add_ram(fdt, base, from, numa, found);
			base = from + size;
			if (base >= end)
				return;
		}
	}
	boot_add_ram(base, end - base, numa);
	if (found)
		found(base, end);
}

void fdt_boot_memory(const void *fdt, int (*numa)(const void *fdt, int node), void (*found)(u64 base, u64 end))
{
	int root = fdt_root(fdt), reserved = fdt_find_path(fdt, "/reserved-memory"), node;
	u64 base, size;

	fdt_for_each_child(node, fdt, root) {
		if (!has_type(fdt, node, "memory"))
			continue;
		for (int i = 0; !fdt_reg(fdt, node, i, &base, &size); i++)
			add_ram(fdt, base, base + size, numa(fdt, node), found);
	}
	for (int i = 0; !fdt_memreserve(fdt, i, &base, &size); i++)
		boot_reserve(base, size);
	fdt_for_each_child(node, fdt, reserved)
		for (int i = 0; !fdt_reg(fdt, node, i, &base, &size); i++)
			boot_reserve(base, size);
}

/* One or two cells, as loaders like it. */
static u64 chosen_address(const void *fdt, int chosen, const char *name)
{
	u64 v = 0;

	return fdt_prop_u64(fdt, chosen, name, &v) ? 0 : v;
}

void fdt_boot_chosen(const void *fdt)
{
	int chosen = fdt_find_path(fdt, "/chosen");
	const char *args = fdt_prop_string(fdt, chosen, "bootargs");
	u64 start = chosen_address(fdt, chosen, "linux,initrd-start");
	u64 end = chosen_address(fdt, chosen, "linux,initrd-end");

	if (args)
		strlcpy(boot_info.cmdline, args, sizeof(boot_info.cmdline));
	if (start && end > start) {
		boot_info.initrd = start;
		boot_info.initrd_size = end - start;
		boot_reserve(start, end - start);
	}
	boot_info.platform = fdt_prop_string(fdt, fdt_root(fdt), "compatible");
}

void fdt_boot_cpus(const void *fdt, u64 self, int (*numa)(const void *fdt, int node),
		   bool (*usable)(int node, int i, u64 *hwid), void (*found)(unsigned cpu, int node))
{
	int parent = fdt_find_path(fdt, "/cpus"), node;
	unsigned n = 1, cpu;
	u64 hwid;

	fdt_for_each_child(node, fdt, parent) {
		if (!has_type(fdt, node, "cpu"))
			continue;
		for (int i = 0; usable(node, i, &hwid); i++) {
			boot_info.nr_cpus_found++;
			if (hwid != self && n == NR_CPUS)
				continue;
			cpu = hwid == self ? 0 : n++;
			boot_info.hwid[cpu] = hwid;
			boot_info.cpu_node[cpu] = numa(fdt, node);
			if (found)
				found(cpu, node);
		}
	}
	boot_info.hwid[0] = self;
	boot_info.nr_cpus = n;
	numa_read_fdt_distances(fdt);
}
