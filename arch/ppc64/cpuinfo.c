/* What /proc/cpuinfo says, as Linux has it on this port: a paragraph for each CPU, and one about the machine. */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/ppc64/port.h"
#include "kernel/seq.h"

static const char *cpu_name(u32 version)
{
	switch (version) {
	case 0x4e:
		return "POWER9";
	case 0x80:
		return "POWER10";
	default:
		return "POWER";
	}
}

/* All CPUs are taken to be alike: this one's version register counts, and the first one's clock. */
void arch_cpuinfo(struct seq *m, unsigned cpu)
{
	u32 pvr = (u32)mfspr(SPR_PVR);

	seq_printf(m, "processor\t: %u\ncpu\t\t: %s, altivec supported\nclock\t\t: %llu.000000MHz\n", cpu,
		   cpu_name(pvr >> 16), ppc_cpu_prop("clock-frequency") / 1000000);
	seq_printf(m, "revision\t: %u.%u (pvr %04x %04x)\n\n", pvr >> 8 & 15, pvr & 255, pvr >> 16, pvr & 0xffff);
	if (cpu == nr_cpus - 1)
		seq_printf(m, "timebase\t: %llu\nplatform\t: %s\nmachine\t\t: %s\nMMU\t\t: Radix\n\n",
			   ppc_cpu_prop("timebase-frequency"), ppc_hv ? "PowerNV" : "pSeries", boot_info.platform);
}
