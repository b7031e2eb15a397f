/*
 * What firmware says about the machine: the device tree, read once by the boot CPU, before the page allocator exists,
 * into boot_info.
 */
#include <arch/boot.h>
#include <arch/pte.h>
#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "arch/riscv64/sbi.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/byteorder.h"
#include "lib/fdt.h"
#include "lib/printf.h"
#include "lib/string.h"

#define FDT_MAX (2ul << 20)

extern char _text[], _end[];

const void *rv_fdt;

static char loader[48], platform[48];

static int node_of(int node)
{
	u32 id;

	return fdt_prop_u32(rv_fdt, node, "numa-node-id", &id) ? 0 : (int)id;
}

static void read_memory(void)
{
	int root = fdt_root(rv_fdt), node, reserved;
	u64 base, size;

	fdt_for_each_child(node, rv_fdt, root) {
		const char *type = fdt_prop_string(rv_fdt, node, "device_type");

		if (!type || strcmp(type, "memory") || !fdt_is_available(rv_fdt, node))
			continue;
		for (int i = 0; !fdt_reg(rv_fdt, node, i, &base, &size); i++)
			boot_add_ram(base, size, node_of(node));
	}
	for (int i = 0; !fdt_memreserve(rv_fdt, i, &base, &size); i++)
		boot_reserve(base, size);
	reserved = fdt_find_path(rv_fdt, "/reserved-memory");
	fdt_for_each_child(node, rv_fdt, reserved)
		for (int i = 0; !fdt_reg(rv_fdt, node, i, &base, &size); i++)
			boot_reserve(base, size);
	/* Firmware that says nothing about itself lies below us. */
	if (reserved < 0)
		boot_reserve(align_down(rv_kernel_phys - 1, 2ul << 20),
			     rv_kernel_phys - align_down(rv_kernel_phys - 1, 2ul << 20));
	boot_reserve(rv_kernel_phys, (u64)(_end - _text));
}

/* One or two cells, as loaders like it. */
static u64 chosen_address(int chosen, const char *name)
{
	u64 v = 0;

	return fdt_prop_u64(rv_fdt, chosen, name, &v) ? 0 : v;
}

static void read_chosen(void)
{
	int chosen = fdt_find_path(rv_fdt, "/chosen");
	const char *args = fdt_prop_string(rv_fdt, chosen, "bootargs");
	u64 start = chosen_address(chosen, "linux,initrd-start"), end = chosen_address(chosen, "linux,initrd-end");
	const char *name;
	struct sbi_result impl, version;

	if (args)
		strlcpy(boot_info.cmdline, args, sizeof(boot_info.cmdline));
	if (start && end > start) {
		boot_info.initrd = start;
		boot_info.initrd_size = end - start;
		boot_reserve(start, end - start);
	}
	name = fdt_prop_string(rv_fdt, fdt_root(rv_fdt), "compatible");
	strlcpy(platform, name ? name : "unknown", sizeof(platform));
	boot_info.platform = platform;
	impl = sbi_call(SBI_BASE, SBI_BASE_IMPL_ID, 0, 0, 0, 0);
	version = sbi_call(SBI_BASE, SBI_BASE_IMPL_VERSION, 0, 0, 0, 0);
	name = fdt_prop_string(rv_fdt, chosen, "u-boot,version");
	ksnprintf(loader, sizeof(loader), "%s%s %ld.%ld", name ? "U-Boot, " : "", impl.value == 1 ? "OpenSBI" : "SBI",
		  version.value >> 16, version.value & 0xffff);
	boot_info.loader = loader;
	boot_info.ram_zeroed = !name && fdt_is_compatible(rv_fdt, fdt_root(rv_fdt), "riscv-virtio");
}

/* Can this hart run us, and which one is it? */
static bool usable_hart(int node, u64 *hart)
{
	const char *type = fdt_prop_string(rv_fdt, node, "device_type");
	const char *mmu = fdt_prop_string(rv_fdt, node, "mmu-type");

	return type && !strcmp(type, "cpu") && fdt_is_available(rv_fdt, node) && mmu && strcmp(mmu, "riscv,none") &&
	       !fdt_reg(rv_fdt, node, 0, hart, NULL);
}

/* The boot hart becomes CPU 0, whichever it is; the others follow in the order of the tree. */
static void read_cpus(u64 boot_hart)
{
	int parent = fdt_find_path(rv_fdt, "/cpus"), node;
	bool hsm = sbi_probe(SBI_HSM);
	unsigned n = 1;
	u64 hart;

	fdt_for_each_child(node, rv_fdt, parent) {
		unsigned cpu = 0;

		if (!usable_hart(node, &hart))
			continue;
		boot_info.nr_cpus_found++;
		if (hart != boot_hart) {
			if (n == NR_CPUS || !hsm)
				continue;
			cpu = n++;
		} else {
			rv_isa_init(rv_fdt, node);
		}
		boot_info.hwid[cpu] = hart;
		boot_info.cpu_node[cpu] = node_of(node);
		rv_cpu_describe(cpu, node);
	}
	boot_info.hwid[0] = boot_hart;
	boot_info.nr_cpus = n;
}

/** First C code with the MMU on: boot CPU, on boot_stack, interrupts off. fdt_phys is what firmware passed on. */
void rv_setup(u64 hart, u64 fdt_phys)
{
	extern struct rv_layout rv_layout_writable __asm__("rv_layout");
	long size = -1;
	u32 hz = 0;

	init_task.kstack = boot_stack;
	boot_info.kernel_phys = rv_kernel_phys;
	boot_info.early_limit = rv_early_limit;
	rv_mmu_init();
	if (fdt_phys && fdt_phys < rv_early_limit - FDT_MAX) {
		rv_fdt = phys_to_virt(fdt_phys);
		size = fdt_check(rv_fdt, FDT_MAX);
	}
	if (size < 0)
		panic("no valid device tree at %#llx", (unsigned long long)fdt_phys);
	boot_info.fdt = fdt_phys;
	boot_reserve(fdt_phys, (u64)size);
	read_memory();
	read_chosen();
	read_cpus(hart);
	if (rv_isa_has("svpbmt"))
		rv_layout_writable.pte_dev = 2ull << 61;
	if (fdt_prop_u32(rv_fdt, fdt_find_path(rv_fdt, "/cpus"), "timebase-frequency", &hz) || !hz)
		panic("the device tree has no timebase-frequency");
	rv_time_init(hz, rv_isa_has("sstc"));
	kernel_main();
}

void arch_init(void)
{
	rv_console_init();
	rv_plic_init();
	rv_platform_init();
}
