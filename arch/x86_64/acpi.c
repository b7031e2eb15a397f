/*
 * ACPI, as far as it is needed to boot: the root pointer, the list of tables, the MADT (CPUs, interrupt controllers);
 * SRAT and SLIT are read by kernel/numa_firmware.c. Once, early, through the provisional direct map of the first 4 GiB.
 * Nothing in a table is believed before it was checked to lie inside what can be read.
 */
#include <arch/boot.h>
#include <arch/pte.h>

#include "arch/x86_64/x86.h"
#include "kernel/numa.h"
#include "lib/byteorder.h"
#include "lib/string.h"

#define READABLE	(4ull << 30)
#define TABLE_MAX	(1u << 20)
#define HEADER		36u

static bool sums_to_zero(const u8 *p, u32 n)
{
	u8 sum = 0;

	while (n--)
		sum += *p++;
	return sum == 0;
}

static bool readable(u64 pa, u64 n)
{
	return pa && n <= READABLE && pa <= READABLE - n;
}

/* The table at pa and its length; NULL if it is not one. */
static const u8 *table_at(u64 pa, u32 *len)
{
	const u8 *t;

	if (!readable(pa, HEADER))
		return NULL;
	t = phys_to_virt(pa);
	*len = get_le32(t + 4);
	if (*len < HEADER || *len > TABLE_MAX || !readable(pa, *len) || !sums_to_zero(t, *len))
		return NULL;
	return t;
}

static const u8 *rsdp_at(u64 pa)
{
	const u8 *p;

	if (!readable(pa, HEADER))
		return NULL;
	p = phys_to_virt(pa);
	return !memcmp(p, "RSD PTR ", 8) && sums_to_zero(p, 20) ? p : NULL;
}

/* Where BIOSes leave the root pointer, if the loader did not say. */
static const u8 *rsdp_search(void)
{
	u64 ebda = (u64)(u16)get_le32(phys_to_virt(0x40e)) << 4;
	const u8 *p = NULL;

	for (u64 pa = ebda; ebda && !p && pa < ebda + 1024; pa += 16)
		p = rsdp_at(pa);
	for (u64 pa = 0xe0000; !p && pa < 0x100000; pa += 16)
		p = rsdp_at(pa);
	return p;
}

static void add_cpu(u32 id, u32 flags)
{
	if (!(flags & 1) || id == boot_info.hwid[0])
		return;
	boot_info.nr_cpus_found++;
	if (boot_info.nr_cpus < NR_CPUS && (id < 255 || x86_has_x2apic))
		boot_info.hwid[boot_info.nr_cpus++] = id;
}

static void read_madt(const u8 *t, u32 len)
{
	for (u32 o = 44; o + 2 <= len && t[o + 1] >= 2 && t[o + 1] <= len - o; o += t[o + 1]) {
		const u8 *e = t + o;

		switch (e[0]) {
		case 0:
			if (e[1] >= 8)
				add_cpu(e[3], get_le32(e + 4));
			break;
		case 1:
			if (e[1] >= 12)
				ioapic_add(get_le32(e + 4), get_le32(e + 8));
			break;
		case 2:
			if (e[1] >= 10)
				ioapic_isa_override(e[3], get_le32(e + 4), (u16)get_le32(e + 8));
			break;
		case 9:
			if (e[1] >= 16)
				add_cpu(get_le32(e + 4), get_le32(e + 8));
			break;
		}
	}
}

/* In this order: nodes are those of CPUs that are known, distances those of nodes that are. */
static const struct {
	char signature[5];
	void (*read)(const u8 *table, u32 len);
} readers[] = { { "APIC", read_madt }, { "SRAT", numa_read_srat }, { "SLIT", numa_read_slit } };

/**
 * Fills in boot_info's CPUs (the boot CPU is there already) and the nodes of CPUs and RAM, and tells the I/O APICs.
 * rsdp: physical address, 0 if the loader gave none.
 */
void acpi_early_init(u64 rsdp)
{
	const u8 *p = rsdp_at(rsdp), *root = NULL;
	u32 len = 0, entry = 8;

	if (!p)
		p = rsdp_search();
	if (!p)
		return;
	if (p[15] >= 2)
		root = table_at(get_le64(p + 24), &len);
	if (!root) {
		root = table_at(get_le32(p + 16), &len);
		entry = 4;
	}
	for (unsigned i = 0; root && i < ARRAY_SIZE(readers); i++) {
		for (u32 o = HEADER; o + entry <= len; o += entry) {
			u32 n = 0;
			const u8 *t = table_at(entry == 8 ? get_le64(root + o) : get_le32(root + o), &n);

			if (t && !memcmp(t, readers[i].signature, 4))
				readers[i].read(t, n);
		}
	}
}
