/*
 * GICv3: a distributor, one redistributor a CPU, and the CPU interface in system registers. CPUs are addressed by
 * affinity (MPIDR).
 */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/arm64/gic.h"
#include "arch/arm64/port.h"
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "lib/fdt.h"
#include "mm/kmap.h"

#define ICC_PMR_EL1	  S3_0_C4_C6_0
#define ICC_AP1R_EL1(n)	  S3_0_C12_C9_##n
#define ICC_SGI1R_EL1	  S3_0_C12_C11_5
#define ICC_IAR1_EL1	  S3_0_C12_C12_0
#define ICC_EOIR1_EL1	  S3_0_C12_C12_1
#define ICC_BPR1_EL1	  S3_0_C12_C12_3
#define ICC_CTLR_EL1	  S3_0_C12_C12_4
#define ICC_SRE_EL1	  S3_0_C12_C12_5
#define ICC_IGRPEN1_EL1	  S3_0_C12_C12_7
#define CTLR_PRIBITS	  8 /* of ICC_CTLR_EL1: bits of a priority, less one */
#define read_icc(reg)	  sysreg_read(reg)
#define write_icc(reg, v) sysreg_write(reg, v)

/* Distributor and redistributor, as indices of 32-bit registers */
#define GICD_CTLR_RWP	 (1u << 31)
#define GICD_CTLR_ON	 0x13 /* affinity routing, groups 1 and 1A (in a single security state: 0 and 1) */
#define GICD_IGRPMODR	 (0xd00 / 4)
#define GICD_IROUTER	 (0x6000 / 4)
#define GICR_CTLR	 0
#define GICR_CTLR_RWP	 (1u << 3)
#define GICR_TYPER	 (0x8 / 4)
#define GICR_TYPER_VLPIS (1u << 1)
#define GICR_TYPER_LAST	 (1u << 4)
#define GICR_WAKER	 (0x14 / 4)
#define WAKER_SLEEP	 (1u << 1)
#define WAKER_ASLEEP	 (1u << 2)
#define GICR_PRIVATE	 0x10000 /* bytes: the page with the registers of private interrupts */

#define MAX_REGIONS 8

static struct {
	char *base;
	u64 size;
} regions[MAX_REGIONS];
static unsigned nr_regions;
static u64 stride; /* of redistributors; 0: as TYPER says */

/* Writes of enables and of control take a while. */
static void wait_clear(volatile u32 *reg, u32 bit)
{
	while (*reg & bit)
		cpu_relax();
}

/* The redistributor whose affinity is ours. */
static char *find_redistributor(void)
{
	u64 mpidr = sysreg_read(mpidr_el1);
	u32 affinity = (u32)(mpidr & 0xffffff) | (u32)(mpidr >> 32 & 0xff) << 24;

	for (unsigned i = 0; i < nr_regions; i++) {
		char *at = regions[i].base;
		u32 type;

		do {
			volatile u32 *r = (volatile u32 *)at;

			type = r[GICR_TYPER];
			if (r[GICR_TYPER + 1] == affinity)
				return at;
			at += stride ? stride : type & GICR_TYPER_VLPIS ? 0x40000 : 0x20000;
		} while (!(type & GICR_TYPER_LAST) && at < regions[i].base + regions[i].size);
	}
	panic("CPU %u has no GICv3 redistributor", cpu_id());
}

/*
 * An interrupt that whoever ran before acknowledged and never ended would keep ours away. A register for each 32 levels
 * of preemption.
 */
static void clear_active_priorities(void)
{
	unsigned bits = (read_icc(ICC_CTLR_EL1) >> CTLR_PRIBITS & 7) + 1;

	write_icc(ICC_AP1R_EL1(0), 0);
	if (bits > 5)
		write_icc(ICC_AP1R_EL1(1), 0);
	if (bits > 6) {
		write_icc(ICC_AP1R_EL1(2), 0);
		write_icc(ICC_AP1R_EL1(3), 0);
	}
}

static void cpu_init(void)
{
	char *redistributor = find_redistributor();
	volatile u32 *r = (volatile u32 *)redistributor;
	volatile u32 *private = (volatile u32 *)(redistributor + GICR_PRIVATE);

	r[GICR_WAKER] &= ~WAKER_SLEEP;
	wait_clear(&r[GICR_WAKER], WAKER_ASLEEP);
	private[GICD_IGROUPR] = ~0u;
	private[GICD_IGRPMODR] = 0;
	a64_gic_private_init(private);
	wait_clear(&r[GICR_CTLR], GICR_CTLR_RWP);

	write_icc(ICC_SRE_EL1, read_icc(ICC_SRE_EL1) | 1);
	isb();
	if (!(read_icc(ICC_SRE_EL1) & 1))
		panic("firmware does not let us use GICv3's system registers");
	write_icc(ICC_PMR_EL1, GIC_MASK);
	write_icc(ICC_BPR1_EL1, 0);
	write_icc(ICC_CTLR_EL1, 0); /* EOIR1 drops the priority and deactivates */
	clear_active_priorities();
	write_icc(ICC_IGRPEN1_EL1, 1);
	isb();
}

/* The read acknowledges: that must be done before what the handler reads. */
static u32 acknowledge(void)
{
	u32 v = (u32)read_icc(ICC_IAR1_EL1);

	dsb(sy);
	return v;
}

static void end(u32 acknowledged)
{
	write_icc(ICC_EOIR1_EL1, acknowledged);
	isb();
}

static void route(unsigned irq)
{
	*(volatile u64 *)&a64_gicd[GICD_IROUTER + 2 * irq] = boot_info.hwid[0];
}

/*
 * One write reaches 16 CPUs that differ only in the low four bits of affinity 0. CPU numbers follow the device tree,
 * where such CPUs are neighbours: a run of them is one write.
 */
static void send(const struct cpumask *mask)
{
	u64 group = ~0ull, targets = 0;
	unsigned cpu;

	for_each_cpu(cpu, mask) {
		u64 id = boot_info.hwid[cpu];

		if ((id & ~15ull) != group) {
			if (targets)
				write_icc(ICC_SGI1R_EL1, targets);
			group = id & ~15ull;
			targets = (id >> 32 & 0xff) << 48 | (id >> 4 & 15) << 44 | (id >> 16 & 0xff) << 32 |
				  (u64)GIC_IPI << 24 | (id >> 8 & 0xff) << 16;
		}
		targets |= 1ull << (id & 15);
	}
	if (targets)
		write_icc(ICC_SGI1R_EL1, targets);
	isb();
}

static const struct a64_gic gicv3 = {
	.cpu_init = cpu_init,
	.acknowledge = acknowledge,
	.end = end,
	.route = route,
	.send = send,
};

const struct a64_gic *a64_gicv3_init(void)
{
	int node = fdt_find_compatible(a64_fdt, -1, "arm,gic-v3");
	u32 nr = 1;
	u64 base, size;
	unsigned n;

	if (node < 0 || fdt_reg(a64_fdt, node, 0, &base, &size))
		return NULL;
	a64_gicd = ioremap(base, size);
	(void)fdt_prop_u32(a64_fdt, node, "#redistributor-regions", &nr);
	(void)fdt_prop_u64(a64_fdt, node, "redistributor-stride", &stride);
	while (nr_regions < min(nr, (u32)MAX_REGIONS) && !fdt_reg(a64_fdt, node, 1 + (int)nr_regions, &base, &size)) {
		regions[nr_regions].base = ioremap(base, size);
		regions[nr_regions++].size = size;
	}
	n = a64_gicd_init(GICD_CTLR_ON);
	wait_clear(&a64_gicd[GICD_CTLR], GICD_CTLR_RWP);
	for (unsigned i = GIC_SHARED; i < n; i += 32) {
		a64_gicd[GICD_IGROUPR + i / 32] = ~0u;
		a64_gicd[GICD_IGRPMODR + i / 32] = 0;
	}
	return &gicv3;
}
