/* Event counters and the text of /proc/vmstat and /proc/meminfo. */
#include "mm/vmstat.h"

#include <arch/thread.h>

#include "kernel/sched.h"
#include "kernel/seq.h"
#include "mm/kmap.h"
#include "mm/mapping.h"
#include "mm/palloc.h"
#include "mm/slab.h"

DEFINE_PER_CPU(struct vm_events, vm_events);

static const char *const event_names[] = {
#define X(name) #name,
	VM_EVENTS(X)
#undef X
};

u64 vm_event_sum(enum vm_event e)
{
	u64 sum = 0;

	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		sum += READ_ONCE(per_cpu_ptr(&vm_events, cpu)->count[e]);
	return sum;
}

void vmstat_show(struct seq *m)
{
	seq_printf(m, "nr_free_pages %llu\n", (unsigned long long)nr_free_pages());
	seq_printf(m, "nr_zero_pages %llu\n", (unsigned long long)nr_zero_pages());
	seq_printf(m, "nr_slab_pages %llu\n", (unsigned long long)slab_pages_total());
	seq_printf(m, "nr_kernel_stack %llu\n", (unsigned long long)kstack_count());
	seq_printf(m, "context_switches %llu\n", (unsigned long long)sched_nr_switches());
	for (unsigned e = 0; e < NR_VM_EVENTS; e++)
		seq_printf(m, "%s %llu\n", event_names[e], (unsigned long long)vm_event_sum(e));
}

static void meminfo_line(struct seq *m, const char *name, u64 pages)
{
	seq_printf(m, "%-16s%8llu kB\n", name, (unsigned long long)(pages << (PAGE_SHIFT - 10)));
}

void meminfo_show(struct seq *m)
{
	u64 total = nr_total_pages(), free = nr_free_pages(), slab = slab_pages_total();
	u64 stacks = kstack_count() * (KSTACK_SIZE / PAGE_SIZE), cached = mapping_pages_total();
	u64 tables = vm_event_sum(VME_pte_table_alloc) - vm_event_sum(VME_pte_table_free);
	u64 used = slab + stacks + cached + tables;

	meminfo_line(m, "MemTotal:", total);
	meminfo_line(m, "MemFree:", free);
	meminfo_line(m, "MemAvailable:", free);
	meminfo_line(m, "Buffers:", 0);
	meminfo_line(m, "Cached:", cached);
	meminfo_line(m, "SwapCached:", 0);
	meminfo_line(m, "SwapTotal:", 0);
	meminfo_line(m, "SwapFree:", 0);
	/* What is left is anonymous memory, and a little that nobody counts (roots, per-CPU areas). */
	meminfo_line(m, "AnonPages:", total - free > used ? total - free - used : 0);
	meminfo_line(m, "Shmem:", cached);
	meminfo_line(m, "Slab:", slab);
	meminfo_line(m, "KernelStack:", stacks);
	meminfo_line(m, "PageTables:", tables);
}
