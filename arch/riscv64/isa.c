/*
 * Which extensions the CPU has, from the device tree, and what /proc/cpuinfo and the auxiliary vector say about it. All
 * usable harts are taken to be alike: the boot hart's description counts.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "kernel/seq.h"
#include "lib/fdt.h"
#include "lib/string.h"

u64 rv_hwcap;
const char *cpu_counter_name = "ticks";

/* rdinstret counts instructions on hardware and under icount, else QEMU makes it a clock. A known loop tells. */
void rv_isa_check_counter(void)
{
	u64 begin = cpu_counter(), n = 1000, counted;

	__asm__ volatile("1: addi %0, %0, -1\n\tbnez %0, 1b" : "+r"(n));
	counted = cpu_counter() - begin;
	if (counted >= 2000 && counted < 2100)
		cpu_counter_name = "instructions";
}

static const char *isa = "rv64imac";
static const char *isa_of[NR_CPUS];	/* points into the device tree */

bool rv_isa_has(const char *ext)
{
	const char *p = isa + 4;
	size_t n = strlen(ext);

	if (n == 1) {
		for (; *p && *p != '_'; p++)
			if (*p == *ext)
				return true;
		return false;
	}
	while ((p = strchr(p, '_'))) {
		p++;
		if (!strncmp(p, ext, n) && (p[n] == '_' || !p[n]))
			return true;
	}
	return false;
}

void rv_isa_init(const void *fdt, int cpu_node)
{
	const char *s = fdt_prop_string(fdt, cpu_node, "riscv,isa");

	if (s && strlen(s) >= 4)
		isa = s;
	for (char letter = 'a'; letter <= 'z'; letter++)
		if (strchr("imafdcv", letter) && rv_isa_has((char[]){ letter, 0 }))
			rv_hwcap |= 1ull << (letter - 'a');
	/* The vector registers are not switched: nobody may use them. */
	rv_hwcap &= ~(1ull << ('v' - 'a'));
}

void rv_cpu_describe(unsigned cpu, int node)
{
	isa_of[cpu] = fdt_prop_string(rv_fdt, node, "riscv,isa");
}

void arch_cpuinfo(struct seq *m, unsigned cpu)
{
	seq_printf(m, "processor\t: %u\nhart\t\t: %llu\nisa\t\t: %s\nmmu\t\t: %s\n\n", cpu,
		   (unsigned long long)boot_info.hwid[cpu], isa_of[cpu] ? isa_of[cpu] : isa,
		   PT_LEVELS == 4 ? "sv48" : "sv39");
}
