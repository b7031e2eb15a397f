/*
 * Interrupts: what came, and who takes care of it; the parts that GICv2 and GICv3 share. Device interrupts (SPIs) go to
 * the boot CPU. Inter-processor interrupts are number 0.
 *
 * arch_irq_enable() and arch_irq_disable() may run on any CPU, one at a time (kernel/irq.c has a lock).
 */
#include <arch/cpu.h>
#include <arch/irq.h>

#include "arch/arm64/gic.h"
#include "arch/arm64/port.h"
#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/timer.h"
#include "lib/byteorder.h"
#include "lib/errno.h"
#include "lib/fdt.h"

static const struct a64_gic *gic;

volatile u32 *a64_gicd; /* the distributor */
static unsigned nr_interrupts;

void a64_irq_init(void)
{
	gic = a64_gicv3_init();
	if (!gic)
		gic = a64_gicv2_init();
	if (!gic)
		panic("the device tree has no interrupt controller that is known here (GICv2, GICv3)");
	a64_irq_cpu_init();
}

void a64_irq_cpu_init(void)
{
	gic->cpu_init();
}

void a64_irq_send(const struct cpumask *mask)
{
	gic->send(mask);
}

u32 a64_fdt_irq(int node, int index)
{
	int len;
	const u8 *cells = fdt_prop(a64_fdt, node, "interrupts", &len);

	if (!cells || len < 12 * (index + 1))
		return 0;
	cells += 12 * index;
	return get_be32(cells + 4) + (get_be32(cells) ? 16 : GIC_SHARED);
}

unsigned a64_gicd_init(u32 control)
{
	a64_gicd[GICD_CTLR] = 0;
	nr_interrupts = min(((a64_gicd[GICD_TYPER] & 31) + 1) * 32, (u32)GIC_LIMIT);
	for (unsigned i = GIC_SHARED; i < nr_interrupts; i += 32) {
		a64_gicd[GICD_ICENABLER + i / 32] = ~0u;
		a64_gicd[GICD_ICACTIVER + i / 32] = ~0u;
	}
	for (unsigned i = GIC_SHARED; i < nr_interrupts; i += 4)
		a64_gicd[GICD_IPRIORITYR + i / 4] = GIC_PRIORITIES;
	a64_gicd[GICD_CTLR] = control;
	return nr_interrupts;
}

void a64_gic_private_init(volatile u32 *base)
{
	base[GICD_ICENABLER] = ~0u;
	base[GICD_ICACTIVER] = ~0u;
	for (unsigned i = 0; i < 32; i += 4)
		base[GICD_IPRIORITYR + i / 4] = GIC_PRIORITIES;
	base[GICD_ISENABLER] = 1u << GIC_IPI | 1u << a64_timer_irq;
}

int arch_irq_enable(unsigned irq, bool level)
{
	u32 shift = irq % 16 * 2 + 1;

	if (irq < GIC_SHARED || irq >= nr_interrupts)
		return -EINVAL;
	a64_gicd[GICD_ICFGR + irq / 16] = (a64_gicd[GICD_ICFGR + irq / 16] & ~(1u << shift)) |
					  (level ? 0u : 1u << shift);
	gic->route(irq);
	a64_gicd[GICD_ISENABLER + irq / 32] = 1u << irq % 32;
	return 0;
}

void arch_irq_disable(unsigned irq)
{
	if (irq >= GIC_SHARED && irq < nr_interrupts)
		a64_gicd[GICD_ICENABLER + irq / 32] = 1u << irq % 32;
}

/*
 * One interrupt; if more are pending, the CPU traps again. What comes by level is ended after its handler has silenced
 * the device; an IPI before, so that the next one can come.
 */
void a64_irq_dispatch(void)
{
	u32 acknowledged = gic->acknowledge(), irq = acknowledged & 1023;

	if (irq == GIC_IPI) {
		gic->end(acknowledged);
		ipi_handler();
	} else if (irq == a64_timer_irq) {
		a64_timer_silence();
		gic->end(acknowledged);
		timer_interrupt();
	} else if (irq < GIC_LIMIT) {
		do_irq(irq);
		gic->end(acknowledged);
	}
}
