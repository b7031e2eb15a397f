/*
 * GICv2: at most 8 CPUs, all registers in memory. A CPU's own part of the distributor and its interface are at the same
 * addresses for all.
 */
#include <arch/cpu.h>

#include "arch/arm64/gic.h"
#include "arch/arm64/port.h"
#include "kernel/cpu.h"
#include "lib/fdt.h"
#include "mm/kmap.h"

/* The CPU interface, as indices */
#define GICC_CTLR 0
#define GICC_PMR  1
#define GICC_BPR  2
#define GICC_IAR  3
#define GICC_EOIR 4
#define GICC_APR  (0xd0 / 4)

static volatile u32 *gicc;

/*
 * Which CPU interface is ours: the private interrupts' targets say it, but for a uniprocessor's, which read as zero. An
 * interrupt that whoever ran before acknowledged and never ended would keep ours away.
 */
static void cpu_init(void)
{
	u32 mask = a64_gicd[GICD_ITARGETSR] & 0xff;

	this_cpu()->arch.gic_mask = mask ? mask : 1;
	a64_gic_private_init(a64_gicd);
	for (unsigned i = 0; i < 4; i++)
		gicc[GICC_APR + i] = 0;
	gicc[GICC_PMR] = GIC_MASK;
	gicc[GICC_BPR] = 0;
	gicc[GICC_CTLR] = 1;
}

/* The device's read must be done before what the handler reads. */
static u32 acknowledge(void)
{
	u32 v = gicc[GICC_IAR];

	mb();
	return v;
}

static void end(u32 acknowledged)
{
	mb();
	gicc[GICC_EOIR] = acknowledged;
}

static void route(unsigned irq)
{
	u32 shift = irq % 4 * 8, i = GICD_ITARGETSR + irq / 4;

	a64_gicd[i] = (a64_gicd[i] & ~(0xffu << shift)) | cpus[0]->arch.gic_mask << shift;
}

static void send(const struct cpumask *mask)
{
	u32 targets = 0;
	unsigned cpu;

	for_each_cpu(cpu, mask)
		targets |= cpus[cpu]->arch.gic_mask;
	a64_gicd[GICD_SGIR] = targets << 16 | GIC_IPI;
}

static const struct a64_gic gicv2 = {
	.cpu_init = cpu_init,
	.acknowledge = acknowledge,
	.end = end,
	.route = route,
	.send = send,
};

const struct a64_gic *a64_gicv2_init(void)
{
	int node = fdt_find_compatible(a64_fdt, -1, "arm,cortex-a15-gic");
	u64 base, size;

	if (node < 0)
		node = fdt_find_compatible(a64_fdt, -1, "arm,gic-400");
	if (node < 0 || fdt_reg(a64_fdt, node, 0, &base, &size))
		return NULL;
	a64_gicd = ioremap(base, size);
	if (fdt_reg(a64_fdt, node, 1, &base, &size))
		return NULL;
	gicc = ioremap(base, size);
	a64_gicd_init(1);
	return &gicv2;
}
