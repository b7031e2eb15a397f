#pragma once
/*
 * The interrupt controllers: register numbers that GICv2 and GICv3 share (indices of 32-bit registers, of the
 * distributor and, for private interrupts, of a redistributor's second page), and what irq.c knows of either.
 */
#include "lib/types.h"

struct cpumask;

#define GICD_CTLR	0
#define GICD_TYPER	1
#define GICD_IGROUPR	(0x080 / 4)
#define GICD_ISENABLER	(0x100 / 4)
#define GICD_ICENABLER	(0x180 / 4)
#define GICD_ICACTIVER	(0x380 / 4)
#define GICD_IPRIORITYR (0x400 / 4)
#define GICD_ITARGETSR	(0x800 / 4)
#define GICD_ICFGR	(0xc00 / 4)
#define GICD_SGIR	(0xf00 / 4)

#define GIC_IPI	       0	  /* its number */
#define GIC_SHARED     32	  /* lower numbers are private to a CPU */
#define GIC_LIMIT      1020	  /* this and higher ones are no interrupts */
#define GIC_PRIORITIES 0xa0a0a0a0 /* four of them, all alike */
#define GIC_MASK       0xf0	  /* lets these through */

struct a64_gic {
	void (*cpu_init)(void);
	u32 (*acknowledge)(void); /* what end() needs; bits 0-9 are the number */
	void (*end)(u32 acknowledged);
	void (*route)(unsigned irq); /* a shared one, to the boot CPU */
	void (*send)(const struct cpumask *mask);
};

extern volatile u32 *a64_gicd;

/* NULL if the machine has none */
const struct a64_gic *a64_gicv2_init(void);
const struct a64_gic *a64_gicv3_init(void);
/** Enable the distributor with every shared interrupt off. Returns how many numbers it knows. */
unsigned a64_gicd_init(u32 control);
/** The private interrupts of this CPU, from the registers at `base`: the IPI and the timer on, the others off. */
void a64_gic_private_init(volatile u32 *base);
