/*
 * Where time goes: /proc/stat, /proc/uptime, and /proc/exeunt, which has what no other system has.
 *
 * CPUs count in units of cpu_counter(); nanoseconds come from the ratio of clock to counter since boot.
 */
#include <arch/cpu.h>
#include <arch/timer.h>

#include "kernel/cpu.h"
#include "kernel/fs/proc.h"
#include "kernel/init.h"
#include "kernel/param.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/timer.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/mapping.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/vmstat.h"

#define TICK_NS	(NSEC_PER_SEC / 100)	/* of the unit that /proc/stat counts in */

static u64 base_ns, base_count;

static int account_init(void)
{
	base_ns = clock_ns();
	base_count = cpu_counter();
	return 0;
}
early_initcall(account_init);

u64 counter_to_ns(u64 count)
{
	u64 ns = clock_ns() - base_ns, units = cpu_counter() - base_count;

	while (ns >> 32 || units >> 32) {
		ns >>= 1;
		units >>= 1;
	}
	if (!units)
		return count;
	return count / units * ns + count % units * ns / units;
}

struct cpu_times {
	u64 user, kernel, idle;		/* counter units */
};

/* A CPU that idles brings its count up to date only when it wakes. */
static void cpu_times(unsigned cpu, struct cpu_times *t)
{
	const struct cpu *c = cpus[cpu];
	u64 now = cpu_counter(), stamp = READ_ONCE(c->stamp);

	t->user += READ_ONCE(c->user_count);
	t->kernel += READ_ONCE(c->kernel_count);
	t->idle += READ_ONCE(c->idle_count) + (READ_ONCE(c->in_idle) && now > stamp ? now - stamp : 0);
}

static void cpu_line(struct seq *m, const char *name, const struct cpu_times *t)
{
	seq_printf(m, "%s %llu 0 %llu %llu 0 0 0 0 0 0\n", name, counter_to_ns(t->user) / TICK_NS,
		   counter_to_ns(t->kernel) / TICK_NS, counter_to_ns(t->idle) / TICK_NS);
}

void proc_stat_show(struct seq *m)
{
	struct cpu_times all = { 0 };
	unsigned cpu;

	for_each_online_cpu(cpu)
		cpu_times(cpu, &all);
	cpu_line(m, "cpu ", &all);
	for_each_online_cpu(cpu) {
		struct cpu_times one = { 0 };
		char name[16];

		cpu_times(cpu, &one);
		kscnprintf(name, sizeof(name), "cpu%u", cpu);
		cpu_line(m, name, &one);
	}
	seq_puts(m, "intr 0\n");
	seq_printf(m, "ctxt %llu\n", sched_nr_switches());
	seq_printf(m, "btime %llu\n", (wall_clock_ns() - clock_ns()) / NSEC_PER_SEC);
	seq_printf(m, "processes %d\nprocs_running %u\nprocs_blocked 0\n", last_pid(), sched_nr_running());
	seq_puts(m, "softirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

void proc_uptime_show(struct seq *m)
{
	struct cpu_times all = { 0 };
	u64 up = clock_ns(), idle;
	unsigned cpu;

	for_each_online_cpu(cpu)
		cpu_times(cpu, &all);
	idle = counter_to_ns(all.idle);
	seq_printf(m, "%llu.%02llu %llu.%02llu\n", up / NSEC_PER_SEC, up % NSEC_PER_SEC / TICK_NS, idle / NSEC_PER_SEC,
		   idle % NSEC_PER_SEC / TICK_NS);
}

/* ---- /proc/exeunt ---- */

/* Sums over all CPUs since boot; the time in the kernel also under the name of its unit. */
static void account_show(struct seq *m)
{
	struct cpu_times all = { 0 };
	unsigned cpu;

	for_each_online_cpu(cpu)
		cpu_times(cpu, &all);
	seq_printf(m, "kernel_count %llu\nuser_count %llu\nidle_count %llu\ncounter %s\n", all.kernel, all.user,
		   all.idle, cpu_counter_name);
	if (!strcmp(cpu_counter_name, "instructions"))
		seq_printf(m, "kernel_instructions %llu\n", all.kernel);
	seq_printf(m, "kernel_ns %llu\n", counter_to_ns(all.kernel));
}

static void knobs_show(struct seq *m)
{
	for (const struct knob *k = __start_knobs; k < __stop_knobs; k++) {
		char value[128];

		if (knob_show(k, value, sizeof(value)) > 0)
			seq_printf(m, "%s %s", k->name, value);
	}
}

/* What a test balances: everything here is back where it was when nothing is left behind. */
static void balance_show(struct seq *m)
{
	kstack_drain();
	seq_printf(m,
		   "free_pages %llu\ncache_pages %llu\nslab_objects %llu\nslab_pages %llu\nprocesses %u\nthreads %u\n",
		   nr_free_pages(), mapping_pages_total(), slab_objects_total(), slab_pages_total(), nr_processes(),
		   nr_threads());
}

const struct proc_node proc_exeunt_nodes[] = {
	PROC_PLAIN("account", account_show),
	PROC_PLAIN("balance", balance_show),
	PROC_PLAIN("enosys", enosys_show),
	PROC_PLAIN("knobs", knobs_show),
	{ .name = NULL },
};
