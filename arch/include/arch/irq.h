#pragma once
/*
 * THE CONTRACT, part 9: device interrupts. Numbers are the port's (GSI, PLIC source, SPI, XICS source); generic drivers
 * get them from the device's description. kernel/irq.c keeps handlers and counts and is called through do_irq(irq).
 */
#include "lib/types.h"

#define NR_IRQS	1024

/** Route irq to the boot CPU and unmask it; level: level-triggered. 0 or -EINVAL. */
int arch_irq_enable(unsigned irq, bool level);
void arch_irq_disable(unsigned irq);
