#pragma once
/*
 * What a device tree says about the machine, into boot_info: for ports that boot with one. Boot CPU, before the page
 * allocator exists; fdt was checked (fdt_check), and stays where it is. What differs between machines is asked of the
 * port: numa() is a memory or CPU node's NUMA node, or NODE_UNKNOWN (numa_fdt_node(), kernel/numa.h).
 */
#include "lib/types.h"

/**
 * RAM and what is reserved in it. What must not be mapped ("no-map") is not RAM. found(base, end), if not null, is
 * called for each region of RAM.
 */
void fdt_boot_memory(const void *fdt, int (*numa)(const void *fdt, int node), void (*found)(u64 base, u64 end));

/** /chosen: command line, initrd; the platform's name is the root's first "compatible". */
void fdt_boot_chosen(const void *fdt);

/**
 * CPUs. usable(node, i, &hwid): what the hardware calls the i-th CPU that a CPU node stands for; false: that one can
 * not be used, or there are no more. The boot CPU, `self`, becomes CPU 0, the others follow in the tree's order.
 * found(cpu, node), if not null, is called for each. Then the distances
 * between NUMA nodes.
 */
void fdt_boot_cpus(const void *fdt, u64 self, int (*numa)(const void *fdt, int node),
		   bool (*usable)(int node, int i, u64 *hwid), void (*found)(unsigned cpu, int node));
