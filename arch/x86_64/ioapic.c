/*
 * I/O APICs: device interrupts by global system interrupt number (GSI), all of them to the boot CPU. The old ISA
 * numbers become GSIs through the overrides of the MADT.
 */
#include <arch/boot.h>
#include <arch/irq.h>

#include "arch/x86_64/x86.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/errno.h"
#include "mm/kmap.h"

#define MAX_IOAPICS	8
#define REG_VERSION	1
#define REG_ENTRY	0x10
#define ENTRY_MASKED	0x10000
#define ENTRY_LEVEL	0x8000
#define ENTRY_LOW	0x2000

struct ioapic {
	u64 phys;
	u32 gsi_base, entries;
	volatile u32 *regs;	/* [0] selects, [4] is the register selected; by lock */
};

static struct ioapic ioapics[MAX_IOAPICS];
static unsigned nr_ioapics;
static struct {
	u32 gsi;
	u16 flags;	/* MADT: bits 0-1 polarity, 2-3 trigger; 3 in the former is active low */
} isa[16];
static spinlock_t lock = SPINLOCK_INIT(RANK_IRQ_DEV);

void ioapic_add(u64 base, u32 gsi_base)
{
	if (nr_ioapics < MAX_IOAPICS)
		ioapics[nr_ioapics++] = (struct ioapic){ .phys = base, .gsi_base = gsi_base };
}

void ioapic_isa_override(u8 irq, u32 gsi, u16 flags)
{
	if (irq < ARRAY_SIZE(isa)) {
		isa[irq].gsi = gsi;
		isa[irq].flags = flags | 0x8000;
	}
}

unsigned ioapic_isa_gsi(u8 irq)
{
	return isa[irq].flags ? isa[irq].gsi : irq;
}

static u32 reg_read(struct ioapic *a, u32 reg)
{
	a->regs[0] = reg;
	return a->regs[4];
}

static void reg_write(struct ioapic *a, u32 reg, u32 v)
{
	a->regs[0] = reg;
	a->regs[4] = v;
}

/** After the kernel's final tables: find out how many inputs there are, mask them all. */
void ioapic_init(void)
{
	for (unsigned i = 0; i < nr_ioapics; i++) {
		struct ioapic *a = &ioapics[i];

		a->regs = ioremap(a->phys, 0x20);
		a->entries = (reg_read(a, REG_VERSION) >> 16 & 0xff) + 1;
		for (u32 e = 0; e < a->entries; e++)
			reg_write(a, REG_ENTRY + 2 * e, ENTRY_MASKED);
	}
}

/* Writes the entry of a GSI; -EINVAL if there is none or no vector for it. */
static int route(unsigned gsi, u32 low)
{
	int err = -EINVAL;
	unsigned long flags = spin_lock_irqsave(&lock);

	for (unsigned i = 0; i < nr_ioapics; i++) {
		struct ioapic *a = &ioapics[i];
		u32 reg = REG_ENTRY + 2 * (gsi - a->gsi_base);

		if (gsi < a->gsi_base || gsi - a->gsi_base >= a->entries || gsi > VEC_GSI_LAST - VEC_GSI)
			continue;
		reg_write(a, reg, ENTRY_MASKED);
		reg_write(a, reg + 1, (u32)boot_info.hwid[0] << 24);
		reg_write(a, reg, low);
		err = 0;
	}
	spin_unlock_irqrestore(&lock, flags);
	return err;
}

int arch_irq_enable(unsigned irq, bool level)
{
	/* what comes from PCI is active low, what comes from ISA active high, unless an override says otherwise */
	bool low = level;

	for (unsigned i = 0; i < ARRAY_SIZE(isa); i++) {
		if (ioapic_isa_gsi(i) != irq)
			continue;
		if (isa[i].flags & 3)
			low = (isa[i].flags & 3) == 3;
		if (isa[i].flags & 12)
			level = (isa[i].flags & 12) == 12;
	}
	return route(irq, (VEC_GSI + irq) | (level ? ENTRY_LEVEL : 0) | (low ? ENTRY_LOW : 0));
}

void arch_irq_disable(unsigned irq)
{
	(void)route(irq, ENTRY_MASKED);
}
