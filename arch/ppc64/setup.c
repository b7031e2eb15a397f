/*
 * What firmware says about the machine: the device tree, read once by the boot CPU, before the page allocator exists,
 * into boot_info. Open Firmware's tree is flattened first, so both platforms are read in the same way.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>

#include "arch/ppc64/port.h"
#include "kernel/bootmem.h"
#include "kernel/dev/fdt_boot.h"
#include "kernel/entry.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/byteorder.h"
#include "lib/fdt.h"

#define FDT_MAX	     (4ul << 20)
#define VECTORS_SIZE 0x10000u	    /* of real memory from 0: interrupt vectors */
#define CLEAR_MAX    (256ull << 20) /* of what firmware used; more would take too long */

extern char _text[], _end[];

const void *ppc_fdt;
const struct platform *ppc_platform;

/* The node is the domain of the level that the first reference point names. Cell 0 of the list is its length. */
static int node_of(const void *fdt, int node)
{
	int len, points_len;
	const u8 *cells = fdt_prop(fdt, node, "ibm,associativity", &len);
	const u8 *points = fdt_prop(fdt, fdt_find_path(fdt, ppc_hv ? "/ibm,opal" : "/rtas"),
				    "ibm,associativity-reference-points", &points_len);
	u32 level = points && points_len >= 4 ? get_be32(points) : 0;

	if (!cells || !level || (u64)len < 4 * ((u64)level + 1))
		return NODE_UNKNOWN;
	return (int)get_be32(cells + 4 * level);
}

/* Every thread of a core is a CPU of ours. */
static bool thread(int node, int i, u64 *hwid)
{
	int len;
	const u8 *threads = fdt_prop(ppc_fdt, node, "ibm,ppc-interrupt-server#s", &len);

	if (!threads || i >= len / 4)
		return false;
	*hwid = get_be32(threads + 4 * i);
	return true;
}

/* Nodes of caches may stand beside those of CPUs. */
static int first_cpu(void)
{
	int node;
	u64 hwid;

	fdt_for_each_child(node, ppc_fdt, fdt_find_path(ppc_fdt, "/cpus"))
		if (thread(node, 0, &hwid))
			break;
	return node;
}

u64 ppc_cpu_prop(const char *name)
{
	u64 value = 0;

	(void)fdt_prop_u64(ppc_fdt, first_cpu(), name, &value);
	return value;
}

/* A guest is started on the first one. */
static u64 boot_hwid(void)
{
	u64 hwid = 0;

	if (ppc_hv)
		return mfspr(SPR_PIR);
	(void)thread(first_cpu(), 0, &hwid);
	return hwid;
}

static u64 cleared;

static void clear(u64 from, u64 to)
{
	for (u64 at = align_down(from, PAGE_SIZE); at < to && cleared <= CLEAR_MAX; at += PAGE_SIZE) {
		if (!boot_is_free(at))
			continue;
		ppc_early_map(at);
		clear_page(phys_to_virt(at));
		cleared += PAGE_SIZE;
	}
}

/*
 * The hypervisor gave us zeroed memory, of which firmware has used some: what the property "available" leaves out, and
 * some below us that it does not own up to. That becomes zero again, but for what is reserved, so that all free RAM is
 * known to be zero.
 */
static void clear_used_memory(void)
{
	int node = fdt_find_path(ppc_fdt, "/memory@0"), len;
	const u8 *available = fdt_prop(ppc_fdt, node, "available", &len);
	u64 at = 0, base, size;

	if (!available || fdt_reg(ppc_fdt, node, 0, &base, &size))
		return;
	clear(0, ppc_kernel_phys);
	for (int i = 0; i + 16 <= len; i += 16) {
		clear(at, get_be64(available + i));
		at = get_be64(available + i) + get_be64(available + i + 8);
	}
	clear(at, size);
	boot_info.ram_zeroed = cleared <= CLEAR_MAX;
}

/** First C code with the MMU on: boot CPU, on boot_stack, interrupts off. */
void ppc_setup(u64 fdt)
{
	const char *firmware;
	long size;

	init_task.kstack = boot_stack;
	boot_info.kernel_phys = ppc_kernel_phys;
	boot_info.early_limit = 1ull << 30;
	ppc_mmu_init();
	ppc_platform = ppc_hv ? &powernv_platform : &pseries_platform;
	if (!ppc_hv) {
		fdt = of_flatten();
		pseries_early_init();
	}
	ppc_trap_init();
	ppc_cpu_setup();
	if (fdt)
		ppc_early_map(fdt);
	ppc_fdt = phys_to_virt(fdt);
	size = fdt ? fdt_check(ppc_fdt, FDT_MAX) : -1;
	if (size < 0)
		panic("no valid device tree at %#llx", (unsigned long long)fdt);
	if (!ppc_cpu_prop("timebase-frequency"))
		panic("the device tree has no timebase-frequency");
	ppc_time_init(ppc_cpu_prop("timebase-frequency"));
	if (ppc_cpu_prop("d-cache-block-size") != CACHE_BLOCK || ppc_cpu_prop("i-cache-block-size") != CACHE_BLOCK)
		panic("cache blocks are not of %u bytes", CACHE_BLOCK);
	boot_info.fdt = fdt;
	boot_reserve(fdt, (u64)size);
	boot_reserve(0, VECTORS_SIZE);
	boot_reserve(ppc_kernel_phys, (u64)(_end - _text));
	fdt_boot_memory(ppc_fdt, node_of, NULL);
	fdt_boot_chosen(ppc_fdt);
	fdt_boot_cpus(ppc_fdt, boot_hwid(), node_of, thread, NULL);
	firmware = fdt_prop_string(ppc_fdt, fdt_find_path(ppc_fdt, "/openprom"), "model");
	boot_info.loader = ppc_hv ? "OPAL" : firmware ? firmware : "Open Firmware";
	if (!ppc_hv)
		clear_used_memory();
	kernel_main();
}

void arch_init(void)
{
	if (ppc_platform->init)
		ppc_platform->init();
}
