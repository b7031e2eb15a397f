/*
 * Time: the time-stamp counter as clock, the local APIC's timer (by count, or by TSC deadline where the CPU has it) as
 * alarm, the CMOS clock for the date. Both rates are measured against the PIT's second counter, before anything else
 * runs, so clock_ns() is right from the first line of generic code.
 */
#include <arch/cpu.h>
#include <arch/timer.h>

#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "kernel/timer.h"

#define PIT_HZ		1193182
#define PIT_COUNTER2	0x42
#define PIT_COMMAND	0x43
#define PIT_GATE	0x61
#define MEASURE_TICKS	2400	/* of the PIT: 2 ms */

u64 x86_tsc_hz = 1000000000;
static u64 tsc_base;
static u64 ns_per_tsc = 1ull << 32;	/* 32.32 fixed point, like the next two */
static u64 tsc_per_ns = 1ull << 32;
static u64 ticks_per_ns;		/* of the APIC timer */

static inline u64 scale(u64 x, u64 factor)
{
	return (u64)((unsigned __int128)x * factor >> 32);
}

static inline u64 ratio(u64 num, u64 den)
{
	return (num << 32) / den;
}

u64 clock_ns(void)
{
	return scale(cpu_counter() - tsc_base, ns_per_tsc);
}

struct sample {
	u64 tsc, width;
	u32 pit, apic;
};

/* Reads all three clocks at once, as nearly as the machine lets us: the best of some tries. */
static struct sample sample(void)
{
	struct sample best = { .width = ~0ull };

	for (unsigned i = 0; i < 5; i++) {
		struct sample s;

		s.tsc = cpu_counter();
		outb(PIT_COMMAND, 0x80);	/* latch counter 2 */
		s.apic = apic_timer_read();
		s.width = cpu_counter() - s.tsc;
		s.pit = inb(PIT_COUNTER2);
		s.pit |= (u32)inb(PIT_COUNTER2) << 8;
		if (s.width < best.width)
			best = s;
	}
	best.tsc += best.width / 2;
	return best;
}

/* Crystals run at round rates: what is as near to one as the measurement is good, is one. */
static u64 snap(u64 hz)
{
	u64 round = (hz + 50000000) / 100000000 * 100000000, off = hz > round ? hz - round : round - hz;

	return round && off < hz / 1000 ? round : hz;
}

/** Boot CPU, very early; takes 2 ms. The local APIC is on. */
void clock_early_init(void)
{
	struct sample a, b;
	u64 ticks, apic_hz;

	outb(PIT_GATE, (inb(PIT_GATE) & ~2u) | 1);	/* counter 2 runs, the speaker is off */
	outb(PIT_COMMAND, 0xb0);			/* counter 2, both bytes, count down once */
	outb(PIT_COUNTER2, 0xff);
	outb(PIT_COUNTER2, 0xff);
	apic_timer_set(~0u);
	a = sample();
	for (unsigned i = 0; i < 1000000; i++) {
		b = sample();
		if (((a.pit - b.pit) & 0xffff) >= MEASURE_TICKS)
			break;
	}
	apic_timer_set(0);
	ticks = (a.pit - b.pit) & 0xffff;
	if (!ticks)
		ticks = 1;	/* no PIT: the rates are nonsense, but nothing divides by zero */
	x86_tsc_hz = snap((b.tsc - a.tsc) * PIT_HZ / ticks);
	apic_hz = snap((u64)(a.apic - b.apic) * 16 * PIT_HZ / ticks) / 16;
	if (!x86_tsc_hz)
		x86_tsc_hz = 1000000000;
	ns_per_tsc = ratio(NSEC_PER_SEC, x86_tsc_hz);
	tsc_per_ns = ratio(x86_tsc_hz / 1000, NSEC_PER_SEC / 1000);
	ticks_per_ns = ratio(apic_hz / 1000, NSEC_PER_SEC / 1000);
	tsc_base = a.tsc;
}

void arch_timer_init(void)
{
}

void timer_arm(u64 deadline)
{
	u64 now, ticks;

	this_cpu()->arch.deadline = deadline;
	if (x86_has_tsc_deadline) {
		/* Far deadlines would overflow; an hour is as good as never, since clock_interrupt() looks again. */
		now = clock_ns();
		if (deadline > now + 3600 * NSEC_PER_SEC)
			deadline = now + 3600 * NSEC_PER_SEC;
		wrmsr(MSR_TSC_DEADLINE, tsc_base + scale(deadline, tsc_per_ns) + 1);
		return;
	}
	now = clock_ns();
	ticks = deadline > now ? scale(min(deadline - now, 3600 * NSEC_PER_SEC), ticks_per_ns) + 1 : 1;
	apic_timer_set((u32)min(ticks, 0xffffffffull));
}

void timer_disarm(void)
{
	this_cpu()->arch.deadline = ~0ull;
	if (x86_has_tsc_deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		apic_timer_set(0);
}

/** The timer's interrupt: early, if the deadline was out of its reach. */
void clock_interrupt(void)
{
	struct cpu *c = this_cpu();

	if (c->arch.deadline == ~0ull)
		return;
	if (clock_ns() < c->arch.deadline) {
		timer_arm(c->arch.deadline);
		return;
	}
	c->arch.deadline = ~0ull;
	timer_interrupt();
}

static unsigned cmos(u8 reg)
{
	outb(0x70, reg | 0x80);
	return inb(0x71);
}

static unsigned from_bcd(unsigned v, unsigned status)
{
	return status & 4 ? v : (v >> 4) * 10 + (v & 15);
}

u64 arch_wall_clock(void)
{
	static const u16 days_before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	static const u8 regs[] = { 0, 2, 4, 7, 8, 9 };	/* second, minute, hour, day, month, year */
	unsigned now[6] = { 0 }, status = cmos(11), hour, year;
	bool same = false;
	u64 days;

	/* Until two readings agree, none of them during the chip's update. */
	for (unsigned tries = 0; !same && tries < 10; tries++) {
		for (unsigned i = 0; i < 100000 && cmos(10) & 0x80; i++)
			cpu_relax();
		same = true;
		for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
			unsigned v = from_bcd(cmos(regs[i]) & (i == 2 ? 0x7f : 0xff), status);

			same &= v == now[i];
			now[i] = v;
		}
	}
	hour = status & 2 ? now[2] : now[2] % 12 + (cmos(4) & 0x80 ? 12 : 0);
	if (!same || now[4] < 1 || now[4] > 12 || now[3] < 1)
		return 0;
	year = 2000 + now[5];
	days = (year - 1970) * 365 + (year - 1969) / 4 + days_before[now[4] - 1] + now[3] - 1;
	if (now[4] > 2 && year % 4 == 0)
		days++;
	return ((days * 24 + hour) * 60 + now[1]) * 60 + now[0];
}
