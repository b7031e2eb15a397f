/*
 * The local APIC: interprocessor interrupts, the timer's registers, end of interrupt. Registers are in memory (xAPIC),
 * or model-specific registers where CPUID offers x2APIC.
 */
#include <arch/cpu.h>
#include <arch/pte.h>
#include <arch/smp.h>

#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "mm/kmap.h"

#define APIC_ID		0x20
#define APIC_TPR	0x80
#define APIC_EOI	0xb0
#define APIC_SVR	0xf0
#define APIC_ICR	0x300
#define APIC_ICR_HIGH	0x310
#define APIC_LVT_TIMER	0x320
#define APIC_LVT_LINT0	0x350
#define APIC_LVT_LINT1	0x360
#define APIC_LVT_ERROR	0x370
#define APIC_TIMER_INIT	0x380
#define APIC_TIMER_NOW	0x390
#define APIC_TIMER_DIV	0x3e0

#define ICR_NMI		0x400
#define ICR_INIT	0x500
#define ICR_STARTUP	0x600
#define ICR_BUSY	0x1000
#define ICR_ASSERT	0x4000
#define ICR_OTHERS	0xc0000
#define LVT_MASKED	0x10000
#define LVT_DEADLINE	0x40000
#define LVT_NMI		0x400
#define DIVIDE_BY_16	3

static volatile u32 *regs;
static u64 phys_base;

static u32 apic_read(unsigned reg)
{
	return x86_has_x2apic ? (u32)rdmsr(MSR_X2APIC + (reg >> 4)) : regs[reg / 4];
}

static void apic_write(unsigned reg, u32 v)
{
	if (x86_has_x2apic)
		wrmsr(MSR_X2APIC + (reg >> 4), v);
	else
		regs[reg / 4] = v;
}

u32 apic_id(void)
{
	u32 id = apic_read(APIC_ID);

	return x86_has_x2apic ? id : id >> 24;
}

/* Interrupts are off: the two halves of the xAPIC's command register belong together. */
static void send(u32 dest, u32 command)
{
	if (x86_has_x2apic) {
		/* Unlike a store to device memory, this MSR write waits for nothing. */
		__asm__ volatile("mfence\n\tlfence" : : : "memory");
		wrmsr(MSR_X2APIC + (APIC_ICR >> 4), (u64)dest << 32 | command);
		return;
	}
	while (apic_read(APIC_ICR) & ICR_BUSY)
		cpu_relax();
	apic_write(APIC_ICR_HIGH, dest << 24);
	apic_write(APIC_ICR, command);
}

void apic_send_init(u32 id)
{
	unsigned long flags = irq_save();

	send(id, ICR_INIT | ICR_ASSERT);
	irq_restore(flags);
}

void apic_send_startup(u32 id, u8 page)
{
	unsigned long flags = irq_save();

	send(id, ICR_STARTUP | ICR_ASSERT | page);
	irq_restore(flags);
}

/*
 * After panic() has begun there is one message left, stop, and it reaches CPUs whose interrupts are off: see
 * x86_trap_paranoid().
 */
static u32 ipi_command(void)
{
	return unlikely(panicking) ? ICR_NMI | ICR_ASSERT : VEC_IPI | ICR_ASSERT;
}

void arch_send_ipi(const struct cpumask *mask)
{
	unsigned long flags = irq_save();
	unsigned self = cpu_id(), cpu;
	struct cpumask others;

	cpumask_copy(&others, &cpu_online_mask);
	__cpumask_clear(&others, self);
	if (cpumask_equal(&others, mask)) {
		send(0, ipi_command() | ICR_OTHERS);
	} else {
		for_each_cpu(cpu, mask)
			send((u32)cpus[cpu]->hwid, ipi_command());
	}
	irq_restore(flags);
}

void arch_send_ipi_one(unsigned cpu)
{
	unsigned long flags = irq_save();

	send((u32)cpus[cpu]->hwid, ipi_command());
	irq_restore(flags);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_timer_set(u32 ticks)
{
	apic_write(APIC_TIMER_INIT, ticks);
}

u32 apic_timer_read(void)
{
	return apic_read(APIC_TIMER_NOW);
}

/**
 * Every CPU: on, accepting everything, timer one-shot. The legacy interrupt pin is shut: the IOAPIC has what used to
 * come there.
 */
void apic_cpu_enable(void)
{
	if (x86_has_x2apic)
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
	apic_write(APIC_SVR, 0x100 | VEC_SPURIOUS);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_write(APIC_LVT_ERROR, LVT_MASKED);
	apic_write(APIC_TIMER_DIV, DIVIDE_BY_16);
	apic_write(APIC_LVT_TIMER, VEC_TIMER | (x86_has_tsc_deadline ? LVT_DEADLINE : 0));
	/* The mode must be seen before the first deadline. */
	mb();
}

/** Boot CPU, through the provisional direct map. */
void apic_early_init(u64 base)
{
	phys_base = base;
	regs = phys_to_virt(base);
	apic_cpu_enable();
}

/** The final tables map RAM only. */
void apic_ioremap(void)
{
	if (!x86_has_x2apic)
		regs = ioremap(phys_base, PAGE_SIZE);
}
