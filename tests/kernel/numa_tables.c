/*
 * What kernel/numa_firmware.c makes of firmware's tables, good and bad ones. They are read into boot_info as at boot,
 * and what was there is put back: by now only this and other tests look at it.
 */
#include <arch/boot.h>
#include <arch/pte.h>

#include "kernel/numa.h"
#include "lib/string.h"
#include "tests/kernel/ktest.h"

#define MIB 0x100000ull

static struct boot_info saved;
static u8 table[8192];
static u32 length;

static void put(u32 at, u64 value, unsigned bytes)
{
	while (bytes--) {
		table[at++] = (u8)value;
		value >>= 8;
	}
}

/* A machine of one region and three CPUs that knows nothing of nodes, and an empty table. */
static void machine(u8 revision)
{
	saved = boot_info;
	boot_info.nr_ram = 1;
	boot_info.ram[0] = (struct boot_region){ 16 * MIB, 1024 * MIB, NODE_UNKNOWN };
	boot_info.nr_cpus = 3;
	for (unsigned i = 0; i < 3; i++) {
		boot_info.hwid[i] = i + 4;
		boot_info.cpu_node[i] = NODE_UNKNOWN;
	}
	boot_info.nodes_incomplete = false;
	memset(table, 0, sizeof(table));
	table[8] = revision;
	length = 48;
}

static void restore(void)
{
	boot_info = saved;
}

static void add_memory(u64 base, u64 size, u32 domain, u32 flags)
{
	put(length, 1 | 40 << 8, 2);
	put(length + 2, domain, 4);
	put(length + 8, base, 8);
	put(length + 16, size, 8);
	put(length + 28, flags, 4);
	length += 40;
}

static void add_apic(u8 id, u32 domain, u32 flags)
{
	put(length, 16 << 8 | (domain & 0xff) << 16 | (u64)id << 24, 4);
	put(length + 4, flags, 4);
	put(length + 9, domain >> 8, 3);
	length += 16;
}

static void add_x2apic(u32 id, u32 domain, u32 flags)
{
	put(length, 2 | 24 << 8, 2);
	put(length + 4, domain, 4);
	put(length + 8, id, 4);
	put(length + 12, flags, 4);
	length += 24;
}

static void expect_region(unsigned i, u64 base, u64 size, int node)
{
	KT_EQ(boot_info.ram[i].base, base);
	KT_EQ(boot_info.ram[i].size, size);
	KT_EQ(boot_info.ram[i].node, node);
}

KTEST(numa_tables, affinity)
{
	machine(2);
	add_apic(4, 0x123456, 1);
	add_apic(5, 7, 0);			/* not enabled */
	add_x2apic(5, 9, 1);
	add_x2apic(99, 9, 1);			/* nobody's */
	add_memory(0, 272 * MIB, 9, 1);
	add_memory(272 * MIB, 256 * MIB, 8, 0);	/* not enabled */
	add_memory(528 * MIB, 4096 * MIB, 77, 3);
	add_memory(528 * MIB, 512 * MIB, 0x123456, 1);	/* the same piece, said again */
	add_memory(1ull << 40, ~0ull, 5, 1);	/* where no RAM is, and its end is beyond the last byte */
	numa_read_srat(table, length);
	KT_EQ(boot_info.cpu_node[0], 0x123456);
	KT_EQ(boot_info.cpu_node[1], 9);
	KT_EQ(boot_info.cpu_node[2], NODE_UNKNOWN);
	KT_EQ(boot_info.nr_ram, 3);
	expect_region(0, 16 * MIB, 256 * MIB, 9);
	expect_region(1, 272 * MIB, 256 * MIB, NODE_UNKNOWN);
	expect_region(2, 528 * MIB, 512 * MIB, 0x123456);
	restore();
	/* In the first revision a domain is one byte, and the others are anything. */
	machine(1);
	add_apic(4, 0x123403, 1);
	add_memory(0, 272 * MIB, 0xabcd02, 1);
	numa_read_srat(table, length);
	KT_EQ(boot_info.cpu_node[0], 3);
	expect_region(0, 16 * MIB, 256 * MIB, 2);
	restore();
}

/* Whatever stands there: it is left out, and nothing behind the end is read. */
KTEST(numa_tables, broken_affinity)
{
	machine(2);
	add_apic(4, 1, 1);
	add_memory(0, 272 * MIB, 1, 1);
	for (u32 len = 0; len < length; len++) {
		boot_info.cpu_node[0] = NODE_UNKNOWN;
		numa_read_srat(table, len);
		KT_EQ(boot_info.cpu_node[0], len >= 64 ? 1 : NODE_UNKNOWN);
		KT_EQ(boot_info.nr_ram, 1);
	}
	boot_info.cpu_node[0] = NODE_UNKNOWN;
	put(49, 0, 1);		/* an entry of no length: the end */
	numa_read_srat(table, length);
	KT_EQ(boot_info.nr_ram, 1);
	put(49, 15, 1);		/* shorter than its type: left out. What follows is not an entry */
	numa_read_srat(table, length);
	KT_EQ(boot_info.cpu_node[0], NODE_UNKNOWN);
	restore();
	/* Empty and unaligned ranges. */
	machine(2);
	add_memory(100 * MIB, 0, 1, 1);
	add_memory(100 * MIB + 5, 100, 2, 1);
	add_memory(200 * MIB + 5, PAGE_SIZE, 3, 1);
	numa_read_srat(table, length);
	KT_EQ(boot_info.nr_ram, 3);
	expect_region(1, 200 * MIB, PAGE_SIZE, 3);
	restore();
	/* More pieces than boot_info has room for. */
	machine(2);
	for (unsigned i = 0; i < 2 * BOOT_REGIONS; i++)
		add_memory((i + 20) * MIB, MIB, i % 2, 1);
	numa_read_srat(table, length);
	KT_EQ(boot_info.nr_ram, BOOT_REGIONS);
	KT_EXPECT(boot_info.nodes_incomplete);
	for (unsigned i = 0; i + 1 < boot_info.nr_ram; i++)
		KT_EQ(boot_info.ram[i].base + boot_info.ram[i].size, boot_info.ram[i + 1].base);
	restore();
}

/* The distances are known by now; a broken table changes none. */
KTEST(numa_tables, distances)
{
	u8 before[MAX_NODES][MAX_NODES];

	for (unsigned a = 0; a < nr_nodes; a++)
		for (unsigned b = 0; b < nr_nodes; b++)
			before[a][b] = (u8)numa_distance(a, b);
	memset(table, 99, sizeof(table));
	put(36, 3, 8);
	for (u32 len = 0; len < 44 + 9; len++)
		numa_read_slit(table, len);
	put(36, 1ull << 32, 8);		/* its square is 0 */
	numa_read_slit(table, sizeof(table));
	put(36, ~0ull, 8);
	numa_read_slit(table, sizeof(table));
	/* As many nodes as fit, at impossible distances; nodes that do not exist. */
	memset(table + 44, 10, sizeof(table) - 44);
	put(36, 80, 8);
	numa_read_slit(table, 44 + 80 * 80);
	boot_set_distance(-1, 0, 50);
	boot_set_distance(0, 1 << 30, 50);
	boot_set_distance(0, 0, 50);
	boot_set_distance(0, 1, 256);
	for (unsigned a = 0; a < nr_nodes; a++)
		for (unsigned b = 0; b < nr_nodes; b++)
			KT_EQ(numa_distance(a, b), before[a][b]);
}
