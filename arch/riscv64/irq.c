/*
 * The platform-level interrupt controller (PLIC): device interrupts, all to the boot hart. A context is one privilege
 * mode of one hart; the device tree lists them in order, and we look for ours.
 *
 * arch_irq_enable() and arch_irq_disable() may run on any CPU, one at a time (kernel/irq.c has a lock).
 */
#include <arch/boot.h>
#include <arch/irq.h>

#include "arch/riscv64/port.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/printk.h"
#include "lib/byteorder.h"
#include "lib/errno.h"
#include "lib/fdt.h"
#include "mm/kmap.h"

#define PLIC_PRIORITY(irq)	((irq) * 4u)
#define PLIC_ENABLE(ctx, irq)	(0x2000u + (ctx) * 0x80u + (irq) / 32 * 4)
#define PLIC_THRESHOLD(ctx)	(0x200000u + (ctx) * 0x1000u)
#define PLIC_CLAIM(ctx)		(0x200004u + (ctx) * 0x1000u)

static char *plic;
static unsigned context;
static u32 nr_sources;

static inline volatile u32 *reg(unsigned offset)
{
	return (volatile u32 *)(plic + offset);
}

/*
 * The index of the boot hart's supervisor context in interrupts-extended: pairs of (interrupt controller of a hart, its
 * interrupt).
 */
static bool find_context(int node)
{
	int len;
	const u8 *cells = fdt_prop(rv_fdt, node, "interrupts-extended", &len);

	for (int i = 0; cells && i + 8 <= len; i += 8) {
		int cpu = fdt_parent(rv_fdt, fdt_find_phandle(rv_fdt, get_be32(cells + i)));
		u64 hart;

		if (get_be32(cells + i + 4) == IRQ_EXT && !fdt_reg(rv_fdt, cpu, 0, &hart, NULL) &&
		    hart == boot_info.hwid[0]) {
			context = (unsigned)i / 8;
			return true;
		}
	}
	return false;
}

void rv_plic_init(void)
{
	int node = fdt_find_compatible(rv_fdt, -1, "riscv,plic0");
	u64 base, size;

	if (node < 0)
		node = fdt_find_compatible(rv_fdt, -1, "sifive,plic-1.0.0");
	if (node < 0 || fdt_reg(rv_fdt, node, 0, &base, &size) ||
	    fdt_prop_u32(rv_fdt, node, "riscv,ndev", &nr_sources) || !find_context(node)) {
		pr_warn("no interrupt controller: devices are polled");
		nr_sources = 0;
		return;
	}
	if (nr_sources >= NR_IRQS)
		nr_sources = NR_IRQS - 1;
	plic = ioremap(base, size);
	*reg(PLIC_THRESHOLD(context)) = 0;
	rv_plic_cpu_init();
}

void rv_plic_cpu_init(void)
{
	if (plic)
		csr_set(CSR_SIE, 1ull << IRQ_EXT);
}

int arch_irq_enable(unsigned irq, bool level)
{
	if (!plic || !irq || irq > nr_sources)
		return -EINVAL;
	*reg(PLIC_PRIORITY(irq)) = 1;
	*reg(PLIC_ENABLE(context, irq)) |= 1u << irq % 32;
	return 0;
}

void arch_irq_disable(unsigned irq)
{
	if (plic && irq && irq <= nr_sources)
		*reg(PLIC_ENABLE(context, irq)) &= ~(1u << irq % 32);
}

void rv_plic_interrupt(void)
{
	u32 irq;

	while ((irq = *reg(PLIC_CLAIM(context)))) {
		do_irq(irq);
		*reg(PLIC_CLAIM(context)) = irq;
	}
}
