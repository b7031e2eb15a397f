#pragma once
/*
 * The PL011 serial port. Receive interrupts work as in uart16550.h: pl011_irq() masks them, pl011_getc() unmasks them
 * when it finds no more characters.
 */
#include "lib/types.h"

struct pl011 {
	volatile u32 *base; /* mapped registers; NULL: nothing happens */
	bool irq_wanted;    /* set once, by pl011_irq_init */
};

/** Interrupts off; switched on, if firmware has not done that: the speed is firmware's. */
void pl011_init(struct pl011 *u);
/** Waits for room, but not for ever: a port that is stuck loses characters. \n becomes \r\n. Any context. */
void pl011_putc(struct pl011 *u, char c);
/** A received character or -1. Any context. */
int pl011_getc(struct pl011 *u);
/** Wait until everything was sent (before the machine goes away); bounded. */
void pl011_drain(struct pl011 *u);
/** Receive interrupts from now on; the handler is in place. */
void pl011_irq_init(struct pl011 *u);
/** To be called by the interrupt handler. */
void pl011_irq(struct pl011 *u);
