/*
 * Time: the generic timer. The virtual counter is the same on all CPUs; each has a compare register, whose interrupt is
 * private and stays pending as long as the deadline lies in the past. Under icount the cycle counter of the performance
 * monitors counts instructions; there it measures effort. A real one stands still while the CPU waits, and is each
 * CPU's own.
 */
#include <arch/cpu.h>
#include <arch/timer.h>

#include "arch/arm64/port.h"
#include "kernel/timer.h"
#include "lib/fdt.h"

#define CTL_ENABLE 1
#define CTL_MASK   2
#define KCTL_EL0   3	/* user space reads the physical and the virtual counter */
#define PMCR_ON	   0x41 /* enable, all 64 bits of the cycle counter */
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

/*
 * CPUs compare what they count. Where a cycle is an instruction, it is a nanosecond of the emulator too, and all cycle
 * counters go on together: so each begins with the time.
 */
static void start_cycles(void)
{
	sysreg_write(pmccfiltr_el0, 0);
	sysreg_write(pmcntenset_el0, PM_CYCLES);
	sysreg_write(pmcr_el0, PMCR_ON);
	sysreg_write(pmccntr_el0, scale(read_time(), ns_per_tick));
	isb();
}

void a64_time_cpu_init(void)
{
	sysreg_write(cntv_ctl_el0, 0);
	sysreg_write(cntkctl_el1, KCTL_EL0);
	if (has_pmu()) {
		sysreg_write(pmuserenr_el0, 0);
		sysreg_write(pmintenclr_el1, ~0u);
	}
	if (a64_pmu)
		start_cycles();
	isb();
}

/* Multiplications that wait for each other: no core does a turn in as many cycles as it has instructions. */
#define TURN 6
static noinline u64 cycles_of(u64 turns)
{
	u64 begin = sysreg_read(pmccntr_el0), x = begin;

	__asm__ volatile("1: umulh	%1, %1, %1\n\t"
			 "umulh	%1, %1, %1\n\t"
			 "umulh	%1, %1, %1\n\t"
			 "umulh	%1, %1, %1\n\t"
			 "subs	%0, %0, #1\n\t"
			 "b.ne	1b"
			 : "+r"(turns), "+r"(x)
			 :
			 : "cc");
	return sysreg_read(pmccntr_el0) - begin;
}

/* Several lengths, as an emulator's cycles may be nanoseconds that passed: one of them could fit by chance. */
static bool cycles_are_instructions(void)
{
	for (u64 turns = 100; turns < 500; turns += 100)
		if (cycles_of(turns + 100) - cycles_of(turns) != 100 * TURN)
			return false;
	return true;
}

void arch_timer_init(void)
{
	if (!has_pmu())
		return;
	start_cycles();
	a64_pmu = cycles_are_instructions();
	if (a64_pmu)
		cpu_counter_name = "instructions";
	else
		sysreg_write(pmcntenclr_el0, PM_CYCLES);
}

u64 clock_ns(void)
{
	return scale(read_time() - boot_ticks, ns_per_tick);
}

/* Only what is left is scaled: the error of a factor, times the age of the machine, would be noticed. */
void timer_arm(u64 deadline)
{
	u64 now = read_time(), ns = scale(now - boot_ticks, ns_per_tick);
	u64 left = deadline > ns ? min(deadline - ns, 1ull << 62) : 0;

	sysreg_write(cntv_cval_el0, now + scale(left, ticks_per_ns) + 1);
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
