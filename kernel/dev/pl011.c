/*
 * The PL011 serial port: see pl011.h. No locks: the console's lock keeps writers apart; the interrupt mask is a single
 * register that the interrupt handler clears and the reader sets.
 */
#include "kernel/dev/pl011.h"

#include <arch/cpu.h>

/* Registers, as indices of 32-bit words */
#define DR   0
#define FR   (0x18 / 4)
#define LCRH (0x2c / 4)
#define CR   (0x30 / 4)
#define IMSC (0x38 / 4)

#define FR_BUSY	    0x08
#define FR_RX_EMPTY 0x10
#define FR_TX_FULL  0x20
#define LCRH_8N1    0x60
#define CR_ON	    0x301   /* port, transmitter, receiver */
#define INT_RX	    0x50    /* enough was received, or something waits for some time */
#define PATIENCE    1000000 /* polls; a character takes 87 us at 115200 baud */

void pl011_init(struct pl011 *u)
{
	u->base[IMSC] = 0;
	/* Without FIFOs: an emulator may hold input already, and switching them on would lose it. */
	if (!(u->base[CR] & 1)) {
		u->base[LCRH] = LCRH_8N1;
		u->base[CR] = CR_ON;
	}
}

static void wait_while(struct pl011 *u, u32 flag)
{
	for (unsigned i = 0; i < PATIENCE && u->base[FR] & flag; i++)
		cpu_relax();
}

void pl011_putc(struct pl011 *u, char c)
{
	if (!u->base)
		return;
	if (c == '\n')
		pl011_putc(u, '\r');
	wait_while(u, FR_TX_FULL);
	u->base[DR] = (u8)c;
}

void pl011_drain(struct pl011 *u)
{
	if (u->base)
		wait_while(u, FR_BUSY);
}

int pl011_getc(struct pl011 *u)
{
	if (!u->base)
		return -1;
	if (!(u->base[FR] & FR_RX_EMPTY))
		return (int)(u->base[DR] & 0xff);
	if (u->irq_wanted)
		u->base[IMSC] = INT_RX;
	return -1;
}

void pl011_irq_init(struct pl011 *u)
{
	u->irq_wanted = true;
	u->base[IMSC] = INT_RX;
}

void pl011_irq(struct pl011 *u)
{
	u->base[IMSC] = 0;
}
