/*
 * /proc/cpuinfo. CPUID is asked on whatever CPU reads the file: all are alike.
 */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/x86_64/x86.h"
#include "kernel/seq.h"
#include "lib/string.h"

/* Linux's names of the features, from bit 0 on; a dash is a bit without a name here. */
static const char *const names_1_edx =
	"fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi "
	"mmx fxsr sse sse2 ss ht tm ia64 pbe";
static const char *const names_1_ecx =
	"pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg - cx16 xtpr pdcm - pcid dca "
	"sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes - - - - rdrand hypervisor";
static const char *const names_7_ebx =
	"fsgsbase tsc_adjust - bmi1 - - - smep bmi2 erms invpcid - - - - - - - rdseed adx smap - - clflushopt "
	"clwb";
static const char *const names_ext_edx =
	"- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm";
static const char *const names_ext_ecx =
	"lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch";

/* AVX and XSAVE are left out: the kernel does not save that state, and leaves CR4.OSXSAVE clear. */
static void show_flags(struct seq *m, const char *names, u32 bits)
{
	for (; *names; bits >>= 1) {
		size_t n = (size_t)(strchr(names, ' ') ? strchr(names, ' ') - names : (long)strlen(names));

		if ((bits & 1) && *names != '-')
			seq_printf(m, " %.*s", (int)n, names);
		names = skip_spaces(names + n);
	}
}

void arch_cpuinfo(struct seq *m, unsigned cpu)
{
	struct cpuid id = cpuid(0, 0), f = cpuid(1, 0), ext = cpuid(0x80000001, 0);
	u32 vendor[4] = { id.ebx, id.edx, id.ecx, 0 }, model[13] = { 0 };
	unsigned family = f.eax >> 8 & 15, mod = f.eax >> 4 & 15, line = (f.ebx >> 8 & 0xff) * 8;

	for (unsigned i = 0; i < 3; i++) {
		struct cpuid part = cpuid(0x80000002 + i, 0);

		memcpy(model + 4 * i, &part, sizeof(part));
	}
	if (family >= 6)
		mod |= f.eax >> 12 & 0xf0;
	if (family == 15)
		family += f.eax >> 20 & 0xff;
	seq_printf(m, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu, (const char *)vendor,
		   family, mod);
	seq_printf(m, "model name\t: %s\nstepping\t: %u\n", skip_spaces((const char *)model), f.eax & 15);
	seq_printf(m, "cpu MHz\t\t: %llu.%03llu\n", x86_tsc_hz / 1000000, x86_tsc_hz / 1000 % 1000);
	seq_printf(m, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", nr_cpus, cpu, nr_cpus);
	seq_printf(m, "apicid\t\t: %llu\nfpu\t\t: yes\nfpu_exception\t: yes\n", boot_info.hwid[cpu]);
	seq_printf(m, "cpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", id.eax);
	show_flags(m, names_1_edx, f.edx);
	show_flags(m, names_ext_edx, ext.edx);
	show_flags(m, names_1_ecx, f.ecx);
	show_flags(m, names_ext_ecx, ext.ecx);
	show_flags(m, names_7_ebx, id.eax >= 7 ? cpuid(7, 0).ebx : 0);
	seq_printf(m, "\nbugs\t\t:\nclflush size\t: %u\ncache_alignment\t: %u\n", line, line);
	seq_printf(m, "address sizes\t: %u bits physical, 48 bits virtual\n\n", cpuid(0x80000008, 0).eax & 0xff);
}
