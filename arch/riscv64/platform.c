/*
 * The rest of the board: leaving it, and its clock. SiFive's test device carries QEMU's exit status; else SBI switches
 * off.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/timer.h>

#include "arch/riscv64/port.h"
#include "arch/riscv64/sbi.h"
#include "kernel/ipi.h"
#include "lib/fdt.h"
#include "mm/kmap.h"

#define TEST_FAIL	0x3333u
#define TEST_PASS	0x5555u
#define TEST_RESET	0x7777u

static volatile u32 *test_device;

static volatile u32 *map_device(const char *compat)
{
	int node = fdt_find_compatible(rv_fdt, -1, compat);
	u64 base, size;

	return node >= 0 && !fdt_reg(rv_fdt, node, 0, &base, &size) ? ioremap(base, size) : NULL;
}

void rv_platform_init(void)
{
	test_device = map_device("sifive,test0");
}

u64 arch_wall_clock(void)
{
	/* Nanoseconds since 1970; the low word, read first, latches the high one. */
	volatile u32 *goldfish = map_device("google,goldfish-rtc");
	u64 low, high;

	if (!goldfish)
		return 0;
	low = goldfish[0];
	high = goldfish[1];
	return (high << 32 | low) / 1000000000;
}

void arch_poweroff(int status)
{
	irq_disable();
	rv_console_drain();
	if (test_device)
		*test_device = status ? (u32)status << 16 | TEST_FAIL : TEST_PASS;
	sbi_call(SBI_SRST, 0, SBI_SRST_SHUTDOWN, status ? 1 : 0, 0, 0);
	ipi_stop_others();	/* no way off: at least nobody goes on */
	cpu_halt();
}

void arch_reboot(void)
{
	irq_disable();
	rv_console_drain();
	sbi_call(SBI_SRST, 0, SBI_SRST_COLD_REBOOT, 0, 0, 0);
	if (test_device)
		*test_device = TEST_RESET;
	cpu_halt();
}
