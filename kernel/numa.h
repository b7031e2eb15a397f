#pragma once
/*
 * NUMA nodes: numbered 0 to nr_nodes - 1 without gaps, in the order of firmware's numbers. A node may have no memory or
 * no CPUs; it has one of them. All of it is fixed once numa_init() has run. See kernel/numa.c.
 */
#include "kernel/cpumask.h"
#include "lib/types.h"

#define MAX_NODES	16	/* memory and CPUs of more are counted as node 0's */
#define LOCAL_DISTANCE	10
#define REMOTE_DISTANCE	20	/* where firmware says nothing */

extern unsigned nr_nodes;

/** Relative cost of an access from node a's CPUs to node b's memory, as ACPI and device trees write it: 10 is local. */
unsigned numa_distance(unsigned a, unsigned b);
/** The CPUs in use (below nr_cpus) that belong to the node. */
void numa_cpus(unsigned node, struct cpumask *out);
/** Boot: firmware's numbers in boot_info become ours. After kmap_init(), before palloc_init(). */
void numa_init(void);

/*
 * For ports: firmware's tables in the forms that several architectures share (kernel/numa_firmware.c), into boot_info.
 * RAM and CPUs must be there already. What is malformed in a table is left out.
 */
/** ACPI's affinity table and its distance table, header included. The caller has checked that len bytes can be read. */
void numa_read_srat(const u8 *table, u32 len);
void numa_read_slit(const u8 *table, u32 len);
/** /distance-map of a device tree. */
void numa_read_fdt_distances(const void *fdt);
/** Node of a device-tree node (memory or CPU) by its numa-node-id; NODE_UNKNOWN if it has none. */
int numa_fdt_node(const void *fdt, int node);
