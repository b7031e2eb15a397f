/*
 * The console: the PL011 serial port that /chosen/stdout-path names. It is reached through the early direct map first,
 * through a mapping of its own once there is one. Callers of console_putc keep each other apart (kernel/printk.c).
 */
#include <arch/boot.h>

#include "arch/arm64/port.h"
#include "kernel/dev/pl011.h"
#include "kernel/dev/tty.h"
#include "kernel/irq.h"
#include "lib/errno.h"
#include "lib/fdt.h"
#include "mm/kmap.h"

static struct pl011 uart;
static u64 uart_base; /* physical; 0: there is none */
static u32 uart_irq;

void a64_console_early(void)
{
	const char *path = fdt_prop_string(a64_fdt, fdt_find_path(a64_fdt, "/chosen"), "stdout-path");
	int node = path ? fdt_find_path(a64_fdt, path) : -ENOENT;
	u64 base, size, page;

	if (node < 0 || !fdt_is_compatible(a64_fdt, node, "arm,pl011"))
		node = fdt_find_compatible(a64_fdt, -1, "arm,pl011");
	if (node < 0 || fdt_reg(a64_fdt, node, 0, &base, &size))
		return;
	uart_base = base;
	uart_irq = a64_fdt_irq(node, 0);
	page = align_down(base, PAGE_SIZE);
	if (a64_early_map(page, page + PAGE_SIZE, PROT_R | PROT_W | PROT_DEV) <= page)
		return;
	uart.base = phys_to_virt(base);
	pl011_init(&uart);
}

void a64_console_map(void)
{
	if (uart_base)
		uart.base = ioremap(uart_base, PAGE_SIZE);
}

void console_putc(char c)
{
	pl011_putc(&uart, c);
}

int console_getc(void)
{
	return pl011_getc(&uart);
}

void a64_console_drain(void)
{
	pl011_drain(&uart);
}

static void console_irq(unsigned irq, void *arg)
{
	pl011_irq(&uart);
	tty_input_ready();
}

int console_irq_init(void)
{
	if (!uart.base || !uart_irq || irq_request(uart_irq, true, console_irq, NULL, "uart"))
		return -ENODEV;
	pl011_irq_init(&uart);
	tty_input_ready();	/* what came before may have made its interrupt already */
	return 0;
}
