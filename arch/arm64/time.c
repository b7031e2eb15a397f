/*
 * Time: the generic timer. The virtual counter is the same on all CPUs; each has a compare register, whose interrupt is
 * private and stays pending as long as the deadline lies in the past. The cycle counter of the performance monitors
 * measures effort.
 */
#include <arch/cpu.h>
#include <arch/timer.h>

#include "arch/arm64/port.h"
#include "kernel/timer.h"
#include "lib/fdt.h"

#define CTL_ENABLE 1
#define CTL_MASK   2
#define KCTL_EL0   3	/* user space reads the physical and the virtual counter */
#define PMCR_ON	   0x45 /* enable, reset the cycle counter, all of its 64 bits */
#define PM_CYCLES  (1u << 31)

u32 a64_timer_irq = 27;
u64 a64_timer_hz;
bool a64_pmu;
const char *cpu_counter_name = "ticks";

static u64 boot_ticks;
static u64 ns_per_tick;	 /* fixed point, 32 bits of fraction */
static u64 ticks_per_ns; /* likewise, rounded up: a deadline is not met early */

/* Without the isb the counter may be read ahead of what comes before in the program. */
static inline u64 read_time(void)
{
	isb();
	return sysreg_read(cntvct_el0);
}

static inline u64 scale(u64 v, u64 by)
{
	return (u64)((unsigned __int128)v * by >> 32);
}

void a64_time_init(void)
{
	int node = fdt_find_compatible(a64_fdt, -1, "arm,armv8-timer");
	u32 hz = 0, irq = a64_fdt_irq(node, 2); /* secure, physical, virtual, hypervisor's */

	(void)fdt_prop_u32(a64_fdt, node, "clock-frequency", &hz);
	a64_timer_hz = hz ? hz : sysreg_read(cntfrq_el0);
	if (!a64_timer_hz)
		a64_timer_hz = 1000000; /* wrong, but the machine goes on */
	if (irq)
		a64_timer_irq = irq;
	ns_per_tick = (NSEC_PER_SEC << 32) / a64_timer_hz;
	ticks_per_ns = ((a64_timer_hz << 32) + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
	boot_ticks = read_time();
}

static bool has_pmu(void)
{
	u64 version = sysreg_read(id_aa64dfr0_el1) >> 8 & 15;

	return version != 0 && version != 15;
}

void a64_time_cpu_init(void)
{
	sysreg_write(cntv_ctl_el0, 0);
	sysreg_write(cntkctl_el1, KCTL_EL0);
	if (has_pmu()) {
		sysreg_write(pmuserenr_el0, 0);
		sysreg_write(pmintenclr_el1, ~0u);
		sysreg_write(pmccfiltr_el0, 0);
		sysreg_write(pmcntenset_el0, PM_CYCLES);
		sysreg_write(pmcr_el0, PMCR_ON);
	}
	isb();
}

/* An emulator that counts instructions shows it as cycles: a known loop tells. */
void arch_timer_init(void)
{
	u64 begin, n = 1000, counted;

	if (!has_pmu())
		return;
	begin = sysreg_read(pmccntr_el0);
	__asm__ volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(n) : : "cc");
	counted = sysreg_read(pmccntr_el0) - begin;
	a64_pmu = counted != 0;
	if (a64_pmu)
		cpu_counter_name = counted >= 2000 && counted < 2100 ? "instructions" : "cycles";
}

u64 clock_ns(void)
{
	return scale(read_time() - boot_ticks, ns_per_tick);
}

void timer_arm(u64 deadline)
{
	sysreg_write(cntv_cval_el0,
		     deadline > 1ull << 62 ? ~0ull >> 1 : boot_ticks + scale(deadline, ticks_per_ns) + 1);
	sysreg_write(cntv_ctl_el0, CTL_ENABLE);
	isb();
}

void timer_disarm(void)
{
	sysreg_write(cntv_ctl_el0, 0);
	isb();
}

/* The interrupt goes away until the timer is armed again; that must have happened before it is ended. */
void a64_timer_silence(void)
{
	sysreg_write(cntv_ctl_el0, CTL_ENABLE | CTL_MASK);
	isb();
}
