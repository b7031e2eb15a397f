/* The console and the way off, by the platform's functions. Callers of console_putc keep each other apart. */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/ppc64/port.h"
#include "kernel/dev/tty.h"
#include "kernel/ipi.h"
#include "kernel/irq.h"
#include "lib/errno.h"

void console_putc(char c)
{
	if (!ppc_platform)
		return;
	if (c == '\n')
		ppc_platform->putc('\r');
	ppc_platform->putc(c);
}

int console_getc(void)
{
	return ppc_platform->getc();
}

static void console_irq(unsigned irq, void *arg)
{
	tty_input_ready();
}

int console_irq_init(void)
{
	int irq = ppc_platform->console_irq ? ppc_platform->console_irq() : -ENODEV;

	return irq < 0 || irq_request((unsigned)irq, false, console_irq, NULL, "console") ? -ENODEV : 0;
}

void arch_poweroff(int status)
{
	irq_disable();
	ppc_platform->leave(false);
	ipi_stop_others(); /* no way off: at least nobody goes on */
	cpu_halt();
}

void arch_reboot(void)
{
	irq_disable();
	ppc_platform->leave(true);
	cpu_halt();
}
