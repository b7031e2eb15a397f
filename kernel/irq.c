/*
 * Device interrupts: handlers and counts.
 *
 * Locks: a line's handler is set once, before it is enabled, and cleared after it was disabled: no lock in the
 * interrupt path.
 */
#include "kernel/irq.h"

#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/seq.h"
#include "lib/errno.h"

struct irq_line {
	irq_fn fn;
	void *arg;
	const char *name;
	u64 count;		/* boot CPU: all lines are routed there */
};

static struct irq_line lines[NR_IRQS];
static struct mutex irq_mutex = MUTEX_INIT(irq_mutex, RANK_KERNEL_MUTEX);	/* request and free */

int irq_request(unsigned irq, bool level, irq_fn fn, void *arg, const char *name)
{
	struct irq_line *l;
	int err;

	if (irq >= NR_IRQS)
		return -EINVAL;
	l = &lines[irq];
	mutex_lock(&irq_mutex);
	if (l->fn) {
		mutex_unlock(&irq_mutex);
		return -EBUSY;
	}
	l->arg = arg;
	l->name = name;
	smp_store_release(&l->fn, fn);
	err = arch_irq_enable(irq, level);
	if (err)
		l->fn = NULL;
	mutex_unlock(&irq_mutex);
	return err;
}

void irq_free(unsigned irq)
{
	mutex_lock(&irq_mutex);
	arch_irq_disable(irq);
	smp_store_release(&lines[irq].fn, NULL);
	mutex_unlock(&irq_mutex);
}

void do_irq(unsigned irq)
{
	struct irq_line *l;
	irq_fn fn;

	if (irq >= NR_IRQS)
		return;
	l = &lines[irq];
	l->count++;
	fn = smp_load_acquire(&l->fn);
	if (fn)
		fn(irq, l->arg);
	else
		arch_irq_disable(irq);	/* nobody wants it: do not let it storm */
}

/* Every line is routed to CPU 0; the other columns are for programs that count them. */
void irq_show(struct seq *m)
{
	unsigned cpu;

	seq_puts(m, "    ");
	for_each_online_cpu(cpu)
		seq_printf(m, "       CPU%-3u", cpu);
	seq_putc(m, '\n');
	for (unsigned i = 0; i < NR_IRQS; i++) {
		if (!lines[i].count && !lines[i].fn)
			continue;
		seq_printf(m, "%4u:", i);
		for_each_online_cpu(cpu)
			seq_printf(m, " %12llu", (unsigned long long)(cpu ? 0 : lines[i].count));
		seq_printf(m, "   %s\n", lines[i].name ? lines[i].name : "-");
	}
}
