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

/*
 * NUMA. A port says which node each piece of RAM and each CPU belongs to, by the numbers that firmware uses: any
 * non-negative ones, with gaps; nodes without memory and nodes without CPUs are fine. Machines that know nothing of
 * nodes say NODE_UNKNOWN or the same number everywhere. numa_init() then replaces the numbers by dense ones, in
 * ascending order; more than MAX_NODES (kernel/numa.h) are counted as the first.
 */
#define NODE_UNKNOWN	(-1)

struct boot_region {
	u64 base, size;		/* bytes; page aligned by boot_add_ram (inwards) and boot_reserve (outwards) */
	int node;		/* of RAM: firmware's number, ours after numa_init() */
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
	int cpu_node[NR_CPUS];				/* as in struct boot_region; NODE_UNKNOWN at first */
	bool nodes_incomplete;				/* boot_set_node() had no room for so many pieces of RAM */
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
/** The RAM that is known by now in this range belongs to the node: for firmware that tells nodes apart from memory. */
void boot_set_node(u64 base, u64 size, int node);
/** The same for a CPU that boot_info.hwid knows by now; other ids are ignored. */
void boot_set_cpu_node(u64 hwid, int node);
/**
 * Distance from node a's CPUs to node b's memory, 11 to 255; others are ignored, and so are nodes that neither RAM nor
 * CPUs named: they come first. What is not said is as far as the other direction, or 20.
 */
void boot_set_distance(int a, int b, unsigned distance);

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
