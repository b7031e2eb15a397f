/*
 * What firmware says about the machine: the device tree, read once by the boot CPU, before the page allocator exists,
 * into boot_info.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>
#include <arch/thread.h>

#include "arch/arm64/abi.h"
#include "arch/arm64/port.h"
#include "kernel/cpu.h"
#include "kernel/dev/fdt_boot.h"
#include "kernel/entry.h"
#include "kernel/numa.h"
#include "kernel/printk.h"
#include "kernel/seq.h"
#include "kernel/task.h"
#include "lib/byteorder.h"
#include "lib/fdt.h"
#include "lib/printf.h"
#include "lib/string.h"

#define FDT_MAX	    (2ul << 20)
#define EARLY_LIMIT (512ull << 30)

extern char _text[], _end[];

const void *a64_fdt;

static char loader[64];

static void found_ram(u64 base, u64 end)
{
	u64 mapped;

	end = align_down(end, PAGE_SIZE);
	mapped = a64_early_map(align_up(base, PAGE_SIZE), end, PROT_R | PROT_W);
	if (mapped < end && mapped < boot_info.early_limit)
		boot_info.early_limit = mapped;
}

static void read_loader(u64 current_el)
{
	const char *uboot = fdt_prop_string(a64_fdt, fdt_find_path(a64_fdt, "/chosen"), "u-boot,version");
	long version = a64_psci_conduit ? a64_psci(PSCI_VERSION, 0, 0, 0) : 0;

	ksnprintf(loader, sizeof(loader), "%sEL%u, PSCI %ld.%ld (%s)", uboot ? "U-Boot, " : "", (unsigned)current_el,
		  version >> 16, version & 0xffff, a64_psci_conduit ? a64_psci_conduit : "none");
	boot_info.loader = loader;
	boot_info.ram_zeroed = !uboot && fdt_is_compatible(a64_fdt, fdt_root(a64_fdt), "linux,dummy-virt");
}

/* Can it be started? (Or is it the one that runs.) */
static bool usable_cpu(int node, int i, u64 *mpidr)
{
	const char *method = fdt_prop_string(a64_fdt, node, "enable-method");

	if (i || fdt_reg(a64_fdt, node, 0, mpidr, NULL))
		return false;
	return *mpidr == boot_info.hwid[0] || (a64_psci_conduit && method && !strcmp(method, "psci"));
}

/** First C code with the MMU on: boot CPU, on boot_stack, interrupts off. fdt_phys is what the loader passed on. */
void a64_setup(u64 fdt_phys, u64 current_el)
{
	long size = -1;

	init_task.kstack = boot_stack;
	boot_info.kernel_phys = a64_kernel_phys;
	boot_info.early_limit = EARLY_LIMIT;
	boot_info.hwid[0] = sysreg_read(mpidr_el1) & MPIDR_AFFINITY;
	a64_mmu_init();
	a64_user_init();
	if (fdt_phys && fdt_phys % 8 == 0 && fdt_phys < EARLY_LIMIT - FDT_MAX) {
		u64 total;

		a64_fdt = phys_to_virt(fdt_phys);
		total = min((u64)get_be32((const u8 *)a64_fdt + 4), (u64)FDT_MAX);
		a64_early_map(align_down(fdt_phys, PAGE_SIZE), align_up(fdt_phys + total, PAGE_SIZE), PROT_R | PROT_W);
		size = fdt_check(a64_fdt, total);
	}
	if (size < 0)
		panic("no valid device tree at %#llx", (unsigned long long)fdt_phys);
	boot_info.fdt = fdt_phys;
	boot_reserve(fdt_phys, (u64)size);
	boot_reserve(a64_kernel_phys, (u64)(_end - _text));
	a64_console_early();
	a64_platform_early();
	fdt_boot_memory(a64_fdt, numa_fdt_node, found_ram);
	fdt_boot_chosen(a64_fdt);
	read_loader(current_el);
	fdt_boot_cpus(a64_fdt, boot_info.hwid[0], numa_fdt_node, usable_cpu, NULL);
	a64_time_init();
	kernel_main();
}

void arch_init(void)
{
	a64_irq_init();
}

void arch_cpuinfo(struct seq *m, unsigned cpu)
{
	u64 midr = cpus[cpu]->arch.midr;

	seq_printf(m, "processor\t: %u\nBogoMIPS\t: %llu.%02llu\n", cpu, (unsigned long long)a64_timer_hz / 500000,
		   (unsigned long long)a64_timer_hz / 5000 % 100);
	a64_cpuinfo_features(m);
	seq_printf(m, "CPU implementer\t: 0x%02x\nCPU architecture: 8\nCPU variant\t: 0x%x\nCPU part\t: 0x%03x\n",
		   (unsigned)(midr >> 24 & 0xff), (unsigned)(midr >> 20 & 15), (unsigned)(midr >> 4 & 0xfff));
	seq_printf(m, "CPU revision\t: %u\n\n", (unsigned)(midr & 15));
}
