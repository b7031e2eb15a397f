/*
 * Per-CPU blocks of CPUs other than the boot CPU, whose block is boot_cpu and the section itself. Per-CPU variables
 * start as zero.
 */
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/bits.h"
#include "lib/errno.h"
#include "mm/mm.h"
#include "mm/palloc.h"

#include <arch/boot.h>

struct cpu boot_cpu = { .curr = &init_task };
struct cpu *cpus[NR_CPUS] = { &boot_cpu };

int percpu_init(unsigned n)
{
	size_t section = (size_t)(__stop_percpu - __start_percpu);
	size_t size = align_up(sizeof(struct cpu), 128ul) + section;
	unsigned order = size <= PAGE_SIZE ? 0 : ilog2(size - 1) + 1 - PAGE_SHIFT;

	for (unsigned i = 1; i < n; i++) {
		char *block = alloc_kpages(order, GFP_KERNEL | GFP_ZERO);
		struct cpu *c = (struct cpu *)block;
		char *copy;

		if (!block)
			return -ENOMEM;
		copy = block + align_up(sizeof(struct cpu), 128ul);
		c->offset = (uintptr_t)copy - (uintptr_t)__start_percpu;
		c->id = i;
		c->hwid = boot_info.hwid[i];
		c->node = boot_info.cpu_node[i];
		c->active_mm = &init_mm;
		cpus[i] = c;
		palloc_init_cpu(i);
	}
	return 0;
}
