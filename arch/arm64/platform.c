/*
 * The rest of the board: PSCI firmware, leaving, the clock chip. QEMU's exit status goes through semihosting, a call to
 * a debugger; without one that is an undefined instruction, which the exception table passes over.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/timer.h>

#include "arch/arm64/port.h"
#include "kernel/ipi.h"
#include "lib/fdt.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define SEMIHOSTING_EXIT 0x20 /* SYS_EXIT_EXTENDED */
#define APPLICATION_EXIT 0x20026ul

const char *a64_psci_conduit;

void a64_platform_early(void)
{
	int node = fdt_find_compatible(a64_fdt, -1, "arm,psci-0.2");
	const char *method;

	if (node < 0)
		node = fdt_find_compatible(a64_fdt, -1, "arm,psci-1.0");
	method = fdt_prop_string(a64_fdt, node, "method");
	if (method && (!strcmp(method, "hvc") || !strcmp(method, "smc")))
		a64_psci_conduit = method;
}

/* Firmware may use x0-x17 (SMCCC). */
#define CALL(insn)                                                                                                     \
	__asm__ volatile(insn " #0"                                                                                    \
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)                                                      \
			 :                                                                                             \
			 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", \
			   "memory")

long a64_psci(u64 function, u64 arg0, u64 arg1, u64 arg2)
{
	register u64 x0 __asm__("x0") = function;
	register u64 x1 __asm__("x1") = arg0;
	register u64 x2 __asm__("x2") = arg1;
	register u64 x3 __asm__("x3") = arg2;

	if (*a64_psci_conduit == 'h')
		CALL("hvc");
	else
		CALL("smc");
	return (long)(s32)x0;
}

u64 arch_wall_clock(void)
{
	int node = fdt_find_compatible(a64_fdt, -1, "arm,pl031");
	u64 base, size;

	/* The first register is seconds since 1970. */
	return node >= 0 && !fdt_reg(a64_fdt, node, 0, &base, &size) ? *(volatile u32 *)ioremap(base, size) : 0;
}

static void semihosting_exit(int status)
{
	u64 block[2] = { APPLICATION_EXIT, (u64)status };
	register u64 x0 __asm__("x0") = SEMIHOSTING_EXIT;
	register u64 x1 __asm__("x1") = (u64)(uintptr_t)block;

	__asm__ volatile("1:	hlt	#0xf000\n"
			 "2:\n"
			 "	.pushsection __ex_table, \"a\"\n"
			 "	.balign	4\n"
			 "	.4byte	1b - ., 2b - .\n"
			 "	.popsection"
			 : "+r"(x0)
			 : "r"(x1)
			 : "memory");
}

void arch_poweroff(int status)
{
	irq_disable();
	a64_console_drain();
	if (fdt_is_compatible(a64_fdt, fdt_root(a64_fdt), "linux,dummy-virt"))
		semihosting_exit(status);
	if (a64_psci_conduit)
		a64_psci(PSCI_SYSTEM_OFF, 0, 0, 0);
	ipi_stop_others(); /* no way off: at least nobody goes on */
	cpu_halt();
}

void arch_reboot(void)
{
	irq_disable();
	a64_console_drain();
	if (a64_psci_conduit)
		a64_psci(PSCI_SYSTEM_RESET, 0, 0, 0);
	cpu_halt();
}
