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
#include "kernel/dev/fdt_boot.h"
#include "kernel/entry.h"
#include "kernel/numa.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/fdt.h"
#include "lib/printf.h"
#include "lib/string.h"

#define FDT_MAX (2ul << 20)

extern char _text[], _end[];

const void *rv_fdt;

static char loader[48];

static void read_memory(void)
{
	fdt_boot_memory(rv_fdt, numa_fdt_node, NULL);
	/* Firmware that says nothing about itself lies below us. */
	if (fdt_find_path(rv_fdt, "/reserved-memory") < 0)
		boot_reserve(align_down(rv_kernel_phys - 1, 2ul << 20),
			     rv_kernel_phys - align_down(rv_kernel_phys - 1, 2ul << 20));
	boot_reserve(rv_kernel_phys, (u64)(_end - _text));
}

static void read_loader(void)
{
	const char *uboot = fdt_prop_string(rv_fdt, fdt_find_path(rv_fdt, "/chosen"), "u-boot,version");
	struct sbi_result impl = sbi_call(SBI_BASE, SBI_BASE_IMPL_ID, 0, 0, 0, 0);
	struct sbi_result version = sbi_call(SBI_BASE, SBI_BASE_IMPL_VERSION, 0, 0, 0, 0);

	ksnprintf(loader, sizeof(loader), "%s%s %ld.%ld", uboot ? "U-Boot, " : "", impl.value == 1 ? "OpenSBI" : "SBI",
		  version.value >> 16, version.value & 0xffff);
	boot_info.loader = loader;
	boot_info.ram_zeroed = !uboot && fdt_is_compatible(rv_fdt, fdt_root(rv_fdt), "riscv-virtio");
}

/* Can this hart run us, and be started? (Or is it the one that runs.) */
static bool usable_hart(int node, int i, u64 *hart)
{
	const char *mmu = fdt_prop_string(rv_fdt, node, "mmu-type");

	return !i && mmu && strcmp(mmu, "riscv,none") && !fdt_reg(rv_fdt, node, 0, hart, NULL) &&
	       (*hart == boot_info.hwid[0] || sbi_probe(SBI_HSM));
}

static void found_hart(unsigned cpu, int node)
{
	if (!cpu)
		rv_isa_init(rv_fdt, node);
	rv_cpu_describe(cpu, node);
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
	boot_info.hwid[0] = hart;
	read_memory();
	fdt_boot_chosen(rv_fdt);
	read_loader();
	fdt_boot_cpus(rv_fdt, hart, numa_fdt_node, usable_hart, found_hart);
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
