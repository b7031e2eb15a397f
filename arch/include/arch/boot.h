#pragma once
/*
 * THE CONTRACT, part 10: boot and the end.
 *
 * The port's entry code brings the boot CPU into C on a stack, with the kernel mapped at its link address and a
 * provisional direct map that covers [0, early_limit) or at least all RAM below early_limit, fills in boot_info, and
 * calls kernel_main(), which never returns. this_cpu() is &boot_cpu and arch_current() is &init_task from the first C
 * line on. Interrupts are off. Generic code then builds the final kernel tables (mm/kmap.c) and loads them with
 * arch_load_kernel_root().
 */
#include "kernel/cpumask.h"
#include "lib/types.h"

#define BOOT_REGIONS	64

struct boot_region {
	u64 base, size;		/* bytes; page aligned by boot_add_ram (inwards) and boot_reserve (outwards) */
	int node;
};

struct boot_info {
	struct boot_region ram[BOOT_REGIONS];		/* usable RAM, what firmware keeps is left out */
	unsigned nr_ram;
	/* inside RAM: kernel image, device tree, initrd, tables, trampoline */
	struct boot_region reserved[BOOT_REGIONS];
	unsigned nr_reserved;
	u64 early_limit;				/* early allocations stay below this physical address */
	u64 kernel_phys;				/* physical address of _text */
	u64 initrd, initrd_size;
	char cmdline[2048];
	unsigned nr_cpus;				/* usable CPUs, at most NR_CPUS; the rest is reported */
	unsigned nr_cpus_found;
	u64 hwid[NR_CPUS];				/* of CPU i; [0] is the boot CPU */
	int cpu_node[NR_CPUS];
	u64 fdt;					/* physical, 0 if none */
	/* the platform promises that RAM nobody wrote reads zero (QEMU without a boot loader) */
	bool ram_zeroed;
	const char *platform;				/* "QEMU q35 (PVH)", "riscv-virtio,qemu" ... */
	const char *loader;				/* "PVH", "Multiboot2", "OpenSBI 1.1" ... */
};

extern struct boot_info boot_info;

/* kernel/bootinfo.c: for ports. Regions may come in any order, overlaps and reservations are resolved later. */
void boot_add_ram(u64 base, u64 size, int node);
void boot_reserve(u64 base, u64 size);

/** Load the final kernel root (a physical address) on this CPU and flush everything. Also for secondaries. */
void arch_load_kernel_root(u64 root);

/**
 * Second boot stage of the port, with allocator, direct map and vmalloc in place, before other CPUs start: interrupt
 * controllers, firmware tables that did not fit early. Interrupts are off.
 */
void arch_init(void);

/**
 * Early console: one character, polled, any context, from the first instruction on. Adds \r before \n itself if needed.
 */
void console_putc(char c);
/** One received character or -1. Interrupts any. */
int console_getc(void);
/**
 * Ask for an interrupt when input is there: tty_input_ready() is called in interrupt context. 0 or -ENODEV (then tty
 * polls).
 */
int console_irq_init(void);

/**
 * Leave: QEMU's exit status carries `status` (0..127) as well as the platform can; on hardware, power off. No return.
 */
void arch_poweroff(int status) __noreturn;
void arch_reboot(void) __noreturn;
