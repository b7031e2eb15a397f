#pragma once
/*
 * Per-CPU data. Each CPU has a block: struct cpu, followed by its copy of the section "percpu". The contract's
 * this_cpu() finds the block through a register. A variable is declared with DEFINE_PER_CPU and reached with
 * this_cpu_ptr() or per_cpu_ptr().
 *
 * The kernel is not preemptible, so a pointer from this_cpu_ptr() stays good until the task sleeps; only interrupts
 * come in between.
 */
#include <arch/cpu.h>

#include "kernel/cpumask.h"
#include "lib/types.h"

struct mm;
struct task;

struct cpu {
	uintptr_t offset;	/* add it to a per-CPU symbol's address. First: entry code may use it */
	struct task *curr;	/* second, for the same reason; written by arch_set_current() only */
	unsigned id;
	unsigned irq_depth;	/* > 0 while in interrupt context; this CPU only */
	bool in_idle;		/* halted, or in an interrupt out of that; this CPU */
	u64 hwid;
	int node;
	unsigned mem_node;	/* the nearest node with memory: where its allocations begin */
	struct task *idle;
	/* whose root is loaded; written by this CPU, interrupts off (mm/context.c); others read it with acquire */
	struct mm *active_mm;
	/* the mm whose borrowing has ended and that is owed an mmdrop, after the switch; this CPU, interrupts off */
	struct mm *drop_mm;
	u64 stamp;		/* cpu_counter() when the CPU last changed between user, kernel and idle; this CPU */
	/* counter units in user mode, kernel, idle; read by others without a lock: statistics */
	u64 user_count;
	u64 kernel_count;
	u64 idle_count;
	struct arch_cpu arch;
} __aligned(128);

extern struct cpu *cpus[NR_CPUS];	/* set once before the CPU starts */
extern struct cpu boot_cpu;
extern char __start_percpu[], __stop_percpu[];

/* No initialisers: every CPU's copy starts as zero. */
#define DEFINE_PER_CPU(type, name)  __section("percpu") __attribute__((used)) type name
#define DECLARE_PER_CPU(type, name) extern type name

#define this_cpu_ptr(ptr) ((typeof(ptr))((uintptr_t)(ptr) + this_cpu()->offset))
#define per_cpu_ptr(ptr, cpu) ((typeof(ptr))((uintptr_t)(ptr) + cpus[cpu]->offset))

static inline unsigned cpu_id(void)
{
	return this_cpu()->id;
}

static inline bool in_interrupt(void)
{
	return this_cpu()->irq_depth != 0;
}

/** Allocate the blocks of CPUs 1..n-1 (boot, before they start). -ENOMEM. */
int percpu_init(unsigned n);
