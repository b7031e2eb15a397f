/*
 * What firmware says about NUMA nodes, in the forms that several architectures share: ACPI's SRAT and SLIT, a device
 * tree's numa-node-id and distance-map. Nothing in a table is believed before it was checked to lie inside it.
 *
 * Boot CPU only, before other CPUs start; no locks.
 */
#include <arch/boot.h>

#include "kernel/numa.h"
#include "lib/byteorder.h"
#include "lib/fdt.h"

/* ---- ACPI */

#define SRAT_HEADER	48u
#define SLIT_HEADER	44u
#define ENTRY_ENABLED	1u

enum { SRAT_APIC, SRAT_MEMORY, SRAT_X2APIC, SRAT_NR_TYPES };

static const u8 entry_sizes[SRAT_NR_TYPES] = { [SRAT_APIC] = 16, [SRAT_MEMORY] = 40, [SRAT_X2APIC] = 24 };

void numa_read_srat(const u8 *t, u32 len)
{
	u32 mask = len >= SRAT_HEADER && t[8] >= 2 ? ~0u : 0xff;	/* domains had one byte at first */

	for (u32 o = SRAT_HEADER; o + 2 <= len && t[o + 1] >= 2 && t[o + 1] <= len - o; o += t[o + 1]) {
		const u8 *e = t + o;

		if (e[0] >= SRAT_NR_TYPES || e[1] < entry_sizes[e[0]])
			continue;
		switch (e[0]) {
		case SRAT_APIC:	/* the domain's upper bytes came later, and stand elsewhere */
			if (get_le32(e + 4) & ENTRY_ENABLED)
				boot_set_cpu_node(e[3], (int)(mask & (e[2] | (get_le32(e + 8) & ~0xffu))));
			break;
		case SRAT_MEMORY:
			if (get_le32(e + 28) & ENTRY_ENABLED)
				boot_set_node(get_le64(e + 8), get_le64(e + 16), (int)(mask & get_le32(e + 2)));
			break;
		case SRAT_X2APIC:
			if (get_le32(e + 12) & ENTRY_ENABLED)
				boot_set_cpu_node(get_le32(e + 8), (int)get_le32(e + 4));
			break;
		}
	}
}

void numa_read_slit(const u8 *t, u32 len)
{
	u64 n = len >= SLIT_HEADER ? get_le64(t + 36) : 0;

	if (n > len || n * n > len - SLIT_HEADER)
		return;
	for (u64 i = 0; i < n * n; i++)
		boot_set_distance((int)(i / n), (int)(i % n), t[SLIT_HEADER + i]);
}

/* ---- device tree */

int numa_fdt_node(const void *fdt, int node)
{
	u32 id;

	return fdt_prop_u32(fdt, node, "numa-node-id", &id) || (int)id < 0 ? NODE_UNKNOWN : (int)id;
}

void numa_read_fdt_distances(const void *fdt)
{
	int map = fdt_find_compatible(fdt, -1, "numa-distance-map-v1"), len;
	const u8 *matrix = fdt_prop(fdt, map, "distance-matrix", &len);

	for (int i = 0; matrix && i + 12 <= len; i += 12)
		boot_set_distance((int)get_be32(matrix + i), (int)get_be32(matrix + i + 4), get_be32(matrix + i + 8));
}
