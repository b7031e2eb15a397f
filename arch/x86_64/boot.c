/*
 * From the loader to kernel_main(): what PVH or Multiboot2 say about memory, command line and initrd; and the way out.
 *
 * All of it runs on the provisional tables (boot.S): physical memory below 4 GiB is reached through the direct map,
 * what lies above is not looked at.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>
#include <arch/thread.h>

#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/string.h"

#define EARLY_LIMIT	(4ull << 30)
#define PVH_MAGIC	0x336ec578
#define MB2_MAGIC	0x36d76289
#define E820_RAM	1

struct pvh_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modules, cmdline, rsdp, memmap;	/* physical; memmap from version 1 on */
	u32 memmap_entries, reserved;
};

struct pvh_module {
	u64 base, size, cmdline, reserved;
};

struct e820_entry {
	u64 base, size;
	u32 type, reserved;
};

struct mb2_tag {
	u32 type, size;
	u32 data[];	/* module: start, end. Memory map: size of an entry, version, entries */
};

enum { MB2_END, MB2_CMDLINE, MB2_LOADER, MB2_MODULE, MB2_MEMMAP = 6, MB2_RSDP_OLD = 14, MB2_RSDP_NEW = 15 };

extern char _text[], _end[];
static u8 boot_ist_stacks[X86_IST_STACKS] __aligned(16);
static char loader_name[64];

static void *early(u64 pa, u64 n)
{
	if (!pa || n > EARLY_LIMIT || pa > EARLY_LIMIT - n)
		panic("boot: the loader put something at %#llx, beyond 4 GiB", pa);
	return phys_to_virt(pa);
}

static void add_region(const struct e820_entry *e)
{
	if (e->type == E820_RAM && e->base + e->size > e->base)
		boot_add_ram(e->base, e->size, NODE_UNKNOWN);
}

static void set_initrd(u64 base, u64 size)
{
	if (boot_info.initrd_size || !size)
		return;
	boot_info.initrd = base;
	boot_info.initrd_size = size;
	boot_reserve(base, size);
}

static void set_cmdline(const char *s)
{
	strlcpy(boot_info.cmdline, s, sizeof(boot_info.cmdline));
}

static u64 parse_pvh(u64 info)
{
	const struct pvh_start_info *si = early(info, sizeof(*si));
	const struct e820_entry *map;
	const struct pvh_module *mod;

	boot_info.loader = "PVH";
	boot_info.ram_zeroed = true;	/* a virtual machine's new memory, and no loader that would write into it */
	if (si->version < 1 || !si->memmap_entries)
		panic("boot: PVH start information of version %u has no memory map", si->version);
	map = early(si->memmap, (u64)si->memmap_entries * sizeof(*map));
	for (u32 i = 0; i < si->memmap_entries; i++)
		add_region(&map[i]);
	if (si->cmdline)
		set_cmdline(early(si->cmdline, sizeof(boot_info.cmdline)));
	if (si->nr_modules) {
		mod = early(si->modules, sizeof(*mod));
		set_initrd(mod->base, mod->size);
	}
	return si->rsdp;
}

static u64 parse_multiboot2(u64 info)
{
	const u32 *head = early(info, 8);
	const u8 *p = early(info, head[0]), *end = p + head[0];
	u64 rsdp = 0;

	boot_info.loader = "Multiboot2";
	for (p += 8; end - p >= 8;) {
		const struct mb2_tag *t = (const void *)p;

		if (t->type == MB2_END || t->size < 8 || t->size > (u64)(end - p))
			break;
		switch (t->type) {
		case MB2_CMDLINE:
			set_cmdline((const char *)t->data);
			break;
		case MB2_LOADER:
			strlcpy(loader_name, (const char *)t->data, sizeof(loader_name));
			boot_info.loader = loader_name;
			break;
		case MB2_MODULE:
			if (t->size >= 16 && t->data[1] > t->data[0])
				set_initrd(t->data[0], t->data[1] - t->data[0]);
			break;
		case MB2_MEMMAP:
			if (t->size < 16 || t->data[0] < sizeof(struct e820_entry))
				panic("boot: Multiboot2's memory map is malformed");
			for (u64 o = 16; o + t->data[0] <= t->size; o += t->data[0])
				add_region((const void *)(p + o));
			break;
		case MB2_RSDP_OLD:
		case MB2_RSDP_NEW:
			if (!rsdp || t->type == MB2_RSDP_NEW)
				rsdp = virt_to_phys(t->data);
			break;
		}
		p += align_up(t->size, 8u);
	}
	return rsdp;
}

/** From boot.S, on the boot CPU: what was in eax and ebx when the loader jumped to us. */
void x86_start(u32 magic, u32 info)
{
	u64 rsdp = 0;

	x86_detect();
	console_early_init();
	if (!init_task.kstack)
		init_task.kstack = boot_stack;
	boot_cpu.arch.tss.rsp0 = (uintptr_t)init_task.kstack + KSTACK_SIZE;
	x86_cpu_setup(&boot_cpu, boot_ist_stacks);

	boot_info.platform = "PC";
	boot_info.early_limit = EARLY_LIMIT;
	boot_info.kernel_phys = X86_LOAD_ADDR;
	boot_reserve(X86_LOAD_ADDR, (u64)(_end - _text));
	/* QEMU's microvm leaves Multiboot 1's magic in eax but passes PVH's structure. */
	if (info && *(const u32 *)phys_to_virt(info) == PVH_MAGIC)
		rsdp = parse_pvh(info);
	else if (magic == MB2_MAGIC)
		rsdp = parse_multiboot2(info);
	else
		panic("boot: neither PVH nor Multiboot2 (eax %#x, ebx %#x)", magic, info);

	apic_early_init(rdmsr(MSR_APIC_BASE) & 0xffffff000);
	clock_early_init();
	boot_info.hwid[0] = apic_id();
	boot_info.nr_cpus = boot_info.nr_cpus_found = 1;
	acpi_early_init(rsdp);
	smp_reserve_trampoline();
	kernel_main();
}

void arch_init(void)
{
	ioapic_init();
	smp_init();
}

/* QEMU's isa-debug-exit ends with the status; without it there is ACPI's soft-off, where QEMU's machines have it. */
void arch_poweroff(int status)
{
	irq_disable();
	console_drain();
	outl(0xf4, (u32)status);
	outw(0x604, 0x2000);
	cpu_halt();
}

void arch_reboot(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __packed no_idt;

	irq_disable();
	console_drain();
	outb(0xcf9, 0x06);	/* chipset reset */
	outb(0x64, 0xfe);	/* keyboard controller */
	__asm__ volatile("lidt %0\n\tint3" : : "m"(no_idt));
	cpu_halt();
}
