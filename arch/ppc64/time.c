/*
 * Time: the time base, which counts at a fixed rate on all CPUs, and the decrementer. The decrementer interrupts when
 * it becomes negative and as long as it is; it is 32 bits wide, so far deadlines take several rounds.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/timer.h>

#include "arch/ppc64/port.h"
#include "kernel/cpu.h"
#include "kernel/timer.h"

#define DEC_MAX 0x7fffffffull
#define NEVER	(~0ull)

const char *cpu_counter_name = "timebase ticks";

static u64 boot_ticks;
static u64 ns_per_tick;	 /* fixed point, 32 bits of fraction */
static u64 ticks_per_ns; /* likewise */

static inline u64 scale(u64 v, u64 by)
{
	return (u64)((unsigned __int128)v * by >> 32);
}

void ppc_time_init(u64 frequency)
{
	ns_per_tick = (NSEC_PER_SEC << 32) / frequency;
	ticks_per_ns = ~0ull / ns_per_tick + 1; /* up, so that no timer is early */
	boot_ticks = cpu_counter();
}

void arch_timer_init(void) {}

u64 clock_ns(void)
{
	return scale(cpu_counter() - boot_ticks, ns_per_tick);
}

static void set_decrementer(u64 deadline)
{
	u64 now = cpu_counter(), left = deadline > now ? deadline - now : 0;

	mtspr(SPR_DEC, min(left, DEC_MAX));
}

/* From now on, because what is rounded grows with the time that is converted. */
void timer_arm(u64 deadline)
{
	u64 ticks = cpu_counter(), now = scale(ticks - boot_ticks, ns_per_tick);

	if (deadline > 1ull << 62)
		ticks = NEVER;
	else if (deadline > now)
		ticks += scale(deadline - now, ticks_per_ns) + 1;
	this_cpu()->arch.deadline = ticks;
	set_decrementer(ticks);
}

void timer_disarm(void)
{
	this_cpu()->arch.deadline = NEVER;
	mtspr(SPR_DEC, DEC_MAX);
}

void ppc_decrementer(void)
{
	struct arch_cpu *c = &this_cpu()->arch;

	if (cpu_counter() < c->deadline) {
		set_decrementer(c->deadline); /* a round of a far one, or not armed */
		return;
	}
	timer_disarm();
	timer_interrupt();
}

u64 arch_wall_clock(void)
{
	return ppc_platform->wall_clock();
}
