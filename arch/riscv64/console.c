/*
 * The console: the 16550 (or SiFive) serial port that /chosen/stdout-path names. Until its registers are mapped, and if
 * there is none, SBI prints. Callers of console_putc keep each other apart (kernel/printk.c).
 */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/riscv64/port.h"
#include "arch/riscv64/sbi.h"
#include "kernel/dev/tty.h"
#include "kernel/dev/uart16550.h"
#include "kernel/irq.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/fdt.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define SIFIVE_TX	0	/* 32-bit registers by index */
#define SIFIVE_RX	1
#define SIFIVE_RXCTRL	3
#define SIFIVE_IE	4
#define SIFIVE_FLAG	(1u << 31)	/* transmitter full, receiver empty */

static struct uart16550 uart;		/* uart.read: it is there */
static volatile u32 *sifive;
static u32 uart_irq;

/* SiFive's registers, and 16550s with 32-bit ones, are reached by word. */
static u8 read32(const struct uart16550 *u, unsigned r)
{
	return (u8)*(volatile u32 *)(u->base + ((uintptr_t)r << u->shift));
}

static void write32(const struct uart16550 *u, unsigned r, u8 val)
{
	*(volatile u32 *)(u->base + ((uintptr_t)r << u->shift)) = val;
}

void rv_console_init(void)
{
	const char *path = fdt_prop_string(rv_fdt, fdt_find_path(rv_fdt, "/chosen"), "stdout-path");
	int node = path ? fdt_find_path(rv_fdt, path) : -ENOENT;
	u32 shift = 0, width = 1;
	u64 base, size;

	if (node < 0)
		node = fdt_find_compatible(rv_fdt, -1, "ns16550a");
	if (node < 0 || fdt_reg(rv_fdt, node, 0, &base, &size))
		return;
	(void)fdt_prop_u32(rv_fdt, node, "interrupts", &uart_irq);
	if (fdt_is_compatible(rv_fdt, node, "sifive,uart0")) {
		volatile u32 *regs = ioremap(base, size);

		regs[SIFIVE_RXCTRL] = 1;
		sifive = regs;
	} else if (fdt_is_compatible(rv_fdt, node, "ns16550a") || fdt_is_compatible(rv_fdt, node, "snps,dw-apb-uart")) {
		(void)fdt_prop_u32(rv_fdt, node, "reg-shift", &shift);
		(void)fdt_prop_u32(rv_fdt, node, "reg-io-width", &width);
		uart.base = (uintptr_t)ioremap(base, size);
		uart.shift = shift;
		uart.write = width == 4 ? write32 : uart16550_mmio_write;
		uart.read = width == 4 ? read32 : uart16550_mmio_read;
		uart16550_init(&uart, 0);
	}
}

void console_putc(char c)
{
	if (uart.read) {
		uart16550_putc(&uart, c);
		return;
	}
	if (c == '\n')
		console_putc('\r');
	if (sifive) {
		while (sifive[SIFIVE_TX] & SIFIVE_FLAG)
			cpu_relax();
		sifive[SIFIVE_TX] = (u8)c;
	} else {
		sbi_call(SBI_LEGACY_PUTCHAR, 0, (u8)c, 0, 0, 0);
	}
}

int console_getc(void)
{
	if (uart.read)
		return uart16550_getc(&uart);
	if (sifive) {
		u32 v = sifive[SIFIVE_RX];

		if (!(v & SIFIVE_FLAG))
			return (int)(v & 0xff);
		if (sifive[SIFIVE_IE] != 2 && uart_irq)
			sifive[SIFIVE_IE] = 2;
	}
	return -1;
}

void rv_console_drain(void)
{
	if (uart.read)
		uart16550_drain(&uart);
}

static void console_irq(unsigned irq, void *arg)
{
	if (sifive)
		sifive[SIFIVE_IE] = 0;
	else
		uart16550_irq(&uart);
	tty_input_ready();
}

int console_irq_init(void)
{
	if ((!uart.read && !sifive) || !uart_irq || irq_request(uart_irq, true, console_irq, NULL, "uart"))
		return -ENODEV;
	if (sifive)
		sifive[SIFIVE_IE] = 2;
	else
		uart16550_irq_init(&uart);
	return 0;
}
