/*
 * Time: the time register, which counts at a fixed rate on all harts, and a one-shot interrupt (Sstc's stimecmp, or
 * SBI). And how to let others run while spinning, which takes the timer.
 *
 * The timer interrupt stays pending while the deadline lies in the past, so it is switched in sie; the compare register
 * is only moved.
 */
#include <arch/timer.h>

#include "arch/riscv64/port.h"
#include "arch/riscv64/sbi.h"
#include "kernel/cpu.h"
#include "kernel/timer.h"

#define STIE		(1ull << IRQ_TIMER)
#define SSIE		(1ull << IRQ_SOFT)
#define RELAX_YIELDS	8	/* every so many calls of cpu_relax() */

static u64 boot_ticks;
static u64 ns_per_tick;		/* fixed point, 32 bits of fraction */
static u64 ticks_per_ns;	/* likewise */
static bool has_sstc;

static inline u64 read_time(void)
{
	u64 v;

	__asm__ volatile("rdtime %0" : "=r"(v));
	return v;
}

static inline u64 scale(u64 v, u64 by)
{
	return (u64)((unsigned __int128)v * by >> 32);
}

void rv_time_init(u64 frequency, bool sstc)
{
	has_sstc = sstc;
	ns_per_tick = (NSEC_PER_SEC << 32) / frequency;
	ticks_per_ns = (frequency << 32) / NSEC_PER_SEC;
	boot_ticks = read_time();
}

void arch_timer_init(void)
{
	rv_isa_check_counter();
}

u64 clock_ns(void)
{
	return scale(read_time() - boot_ticks, ns_per_tick);
}

static inline void set_compare(u64 ticks)
{
	if (likely(has_sstc))
		csr_write(CSR_STIMECMP, ticks);
	else
		sbi_call(SBI_TIME, 0, ticks, 0, 0, 0);
}

void timer_arm(u64 deadline)
{
	u64 ticks = deadline > 1ull << 62 ? ~0ull : boot_ticks + scale(deadline, ticks_per_ns) + 1;

	this_cpu()->arch.deadline = ticks;
	set_compare(ticks);
	csr_set(CSR_SIE, STIE);
}

void timer_disarm(void)
{
	this_cpu()->arch.deadline = ~0ull;
	csr_clear(CSR_SIE, STIE);
}

/*
 * `pause` does not make an emulator that runs all CPUs in one thread go on to the next one, wfi does; it returns at
 * once if something is pending that sie lets through, taken or not. With Sstc the timer is made to be pending for a
 * moment; without, an IPI is sent to ourselves (there will be one interrupt too many).
 */
void cpu_yield(void)
{
	struct arch_cpu *c = &this_cpu()->arch;
	unsigned long flags = irq_save();
	u64 sie = csr_read(CSR_SIE);

	if (has_sstc) {
		csr_write(CSR_STIMECMP, 0);
		csr_set(CSR_SIE, STIE);
		__asm__ volatile("wfi" : : : "memory");
		csr_write(CSR_STIMECMP, c->deadline);
	} else {
		csr_set(CSR_SIP, SSIE);
		csr_set(CSR_SIE, SSIE);
		__asm__ volatile("wfi" : : : "memory");
	}
	csr_write(CSR_SIE, sie);
	irq_restore(flags);
}

/* It costs too much to yield each time. */
void cpu_relax(void)
{
	if (++this_cpu()->arch.relax % RELAX_YIELDS)
		__asm__ volatile(".4byte 0x0100000f" : : : "memory");	/* pause (Zihintpause) */
	else
		cpu_yield();
}
