/*
 * Kernel messages. A message goes into the ring (power of two, oldest bytes overwritten) and, by level, to the console.
 *
 * Locks: c console_lock (interrupts off): ring and console, one message at a time. In a panic it is not waited for
 * long.
 */
#include "kernel/printk.h"

#include <arch/boot.h>
#include <arch/timer.h>

#include "kernel/param.h"
#include "kernel/spinlock.h"
#include "lib/string.h"

#define RING_SIZE 65536u

static spinlock_t console_lock = SPINLOCK_INIT(RANK_CONSOLE);
static char ring[RING_SIZE];		/* c */
static u64 ring_end;			/* c. bytes ever written */
static bool opt_quiet;

BOOT_OPTION(option_quiet) = { .name = "quiet", .type = CMDLINE_FLAG, .flag = &opt_quiet,
	.help = "only warnings and errors go to the console" };

static void ring_write(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ring[ring_end++ % RING_SIZE] = s[i];
}

static void emit(const char *s, size_t n)
{
	while (n--)
		console_putc(*s++);
}

void console_write(const char *s, size_t n)
{
	unsigned long flags = spin_lock_irqsave(&console_lock);

	emit(s, n);
	spin_unlock_irqrestore(&console_lock, flags);
}

static void vprintk(char level, const char *fmt, va_list ap)
{
	u64 us = panicking ? 0 : clock_ns() / 1000;
	unsigned long flags;
	char line[400];
	int head, n;

	head = kscnprintf(line, sizeof(line), "<%c>[%5u.%06u] ", level, (unsigned)(us / 1000000),
			  (unsigned)(us % 1000000));
	n = head + kvscnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	if (line[n - 1] != '\n')
		line[n++] = '\n';
	flags = spin_lock_irqsave(&console_lock);
	ring_write(line, (size_t)n);
	if (level <= '4' || !opt_quiet)
		emit(line + 3, (size_t)n - 3);
	spin_unlock_irqrestore(&console_lock, flags);
}

void printk(char level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(level, fmt, ap);
	va_end(ap);
}

size_t printk_size(void)
{
	return ring_end < RING_SIZE ? ring_end : RING_SIZE;
}

size_t printk_read(char *buf, size_t n)
{
	unsigned long flags = spin_lock_irqsave(&console_lock);

	n = min(n, printk_size());
	for (size_t i = 0; i < n; i++)
		buf[i] = ring[(ring_end - n + i) % RING_SIZE];
	spin_unlock_irqrestore(&console_lock, flags);
	return n;
}
