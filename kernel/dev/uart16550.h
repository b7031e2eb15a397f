#pragma once
/*
 * The 16550 serial port and its many descendants. How a register is reached is the port's business (I/O port, device
 * memory, distance between registers), given by two functions.
 *
 * Receive interrupts: uart16550_irq() masks them and leaves the characters where they are; uart16550_getc() unmasks
 * them when it finds none left. So a level-triggered interrupt does not come again and again until somebody has read.
 */
#include "lib/types.h"

struct uart16550 {
	u8 (*read)(const struct uart16550 *u, unsigned reg);
	void (*write)(const struct uart16550 *u, unsigned reg, u8 val);
	uintptr_t base;		/* I/O port, or virtual address of the registers */
	unsigned shift;		/* log2 of the bytes from one register to the next, for uart16550_mmio_* */
	bool irq_wanted;	/* set once, by uart16550_irq_init */
};

/** 8 data bits, no parity, FIFOs on, interrupts off. divisor 0: the speed stays as firmware left it. */
void uart16550_init(struct uart16550 *u, unsigned divisor);
/** Waits for room, but not for ever: a port that is stuck loses characters. \n becomes \r\n. Any context. */
void uart16550_putc(struct uart16550 *u, char c);
/** A received character or -1. Any context. */
int uart16550_getc(struct uart16550 *u);
/** Wait until everything was sent (before the machine goes away); bounded. */
void uart16550_drain(struct uart16550 *u);
/** Receive interrupts from now on; the handler is in place. */
void uart16550_irq_init(struct uart16550 *u);
/** To be called by the interrupt handler. */
void uart16550_irq(struct uart16550 *u);

/* For ->read and ->write of registers in memory. */
u8 uart16550_mmio_read(const struct uart16550 *u, unsigned reg);
void uart16550_mmio_write(const struct uart16550 *u, unsigned reg, u8 val);
