/*
 * The console: COM1, a 16550 at I/O port 0x3f8, ISA interrupt 4.
 */
#include <arch/boot.h>

#include "arch/x86_64/x86.h"
#include "kernel/dev/tty.h"
#include "kernel/dev/uart16550.h"
#include "kernel/irq.h"

static u8 port_read(const struct uart16550 *u, unsigned reg)
{
	return inb((u16)(u->base + reg));
}

static void port_write(const struct uart16550 *u, unsigned reg, u8 val)
{
	outb((u16)(u->base + reg), val);
}

static struct uart16550 com1 = { .read = port_read, .write = port_write, .base = 0x3f8 };

void console_early_init(void)
{
	uart16550_init(&com1, 1);	/* 115200 baud */
}

void console_putc(char c)
{
	uart16550_putc(&com1, c);
}

int console_getc(void)
{
	return uart16550_getc(&com1);
}

void console_drain(void)
{
	uart16550_drain(&com1);
}

static void console_interrupt(unsigned irq, void *arg)
{
	uart16550_irq(&com1);
	tty_input_ready();
}

int console_irq_init(void)
{
	int err = irq_request(ioapic_isa_gsi(4), false, console_interrupt, NULL, "ttyS0");

	if (!err)
		uart16550_irq_init(&com1);
	return err;
}
