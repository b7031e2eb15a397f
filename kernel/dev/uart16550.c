/*
 * The 16550 serial port: see uart16550.h. No locks: the console's lock keeps writers apart; interrupt enable is a
 * single register that the interrupt handler clears and the reader sets, and setting it once too often costs one
 * interrupt.
 */
#include "kernel/dev/uart16550.h"

#include <arch/cpu.h>

#define REG_DATA	0
#define REG_IER		1	/* interrupt enable */
#define REG_FCR		2	/* FIFO control */
#define REG_LCR		3	/* line control */
#define REG_MCR		4	/* modem control */
#define REG_LSR		5	/* line status */

#define IER_RX		0x01
#define FCR_ON		0x07	/* on, both cleared, interrupt at one character */
#define LCR_8N1		0x03
#define LCR_DIVISOR	0x80
#define MCR_READY	0x0b	/* DTR, RTS, and OUT2, which lets interrupts through on a PC */
#define LSR_RX		0x01
#define LSR_ROOM	0x20
#define LSR_EMPTY	0x40

#define PATIENCE	100000	/* polls; a character takes 87 us at 115200 baud */

void uart16550_init(struct uart16550 *u, unsigned divisor)
{
	u->write(u, REG_IER, 0);
	if (divisor) {
		u->write(u, REG_LCR, LCR_DIVISOR);
		u->write(u, REG_DATA, divisor & 0xff);
		u->write(u, REG_IER, divisor >> 8);
	}
	u->write(u, REG_LCR, LCR_8N1);
	u->write(u, REG_FCR, FCR_ON);
	u->write(u, REG_MCR, MCR_READY);
}

static void wait_for(struct uart16550 *u, u8 status)
{
	for (unsigned i = 0; i < PATIENCE && !(u->read(u, REG_LSR) & status); i++)
		cpu_relax();
}

void uart16550_putc(struct uart16550 *u, char c)
{
	if (c == '\n')
		uart16550_putc(u, '\r');
	wait_for(u, LSR_ROOM);
	u->write(u, REG_DATA, (u8)c);
}

void uart16550_drain(struct uart16550 *u)
{
	wait_for(u, LSR_EMPTY);
}

int uart16550_getc(struct uart16550 *u)
{
	u8 status = u->read(u, REG_LSR);

	if (status == 0xff)
		return -1;	/* nothing is connected there */
	if (status & LSR_RX)
		return u->read(u, REG_DATA);
	if (u->irq_wanted)
		u->write(u, REG_IER, IER_RX);
	return -1;
}

void uart16550_irq_init(struct uart16550 *u)
{
	u->irq_wanted = true;
	u->write(u, REG_IER, IER_RX);
}

void uart16550_irq(struct uart16550 *u)
{
	u->write(u, REG_IER, 0);
}

u8 uart16550_mmio_read(const struct uart16550 *u, unsigned reg)
{
	return *(volatile u8 *)(u->base + ((uintptr_t)reg << u->shift));
}

void uart16550_mmio_write(const struct uart16550 *u, unsigned reg, u8 val)
{
	*(volatile u8 *)(u->base + ((uintptr_t)reg << u->shift)) = val;
}
