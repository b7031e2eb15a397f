#pragma once
/*
 * THE CONTRACT, part 5: other CPUs. CPU numbers are Exeunt's (0 is the boot CPU, dense); boot_info.hwid[] maps them to
 * what the hardware calls them (APIC id, hart, MPIDR, PIR).
 */
#include "kernel/cpumask.h"

struct cpu;

/**
 * arch_cpu_start() - start one CPU.
 *
 * The CPU must come up on the stack of c->idle (arch_thread_stack_top), with this_cpu() == c and arch_current() ==
 * c->idle, the kernel's page tables loaded (init_mm), traps and FPU set up, interrupts off, and call secondary_main(),
 * which does not return. Called on the boot CPU, may sleep or spin; secondaries are started one after the other, but
 * the caller does not wait for one to be up before it starts the next. Returns 0 or -EIO.
 */
int arch_cpu_start(struct cpu *c);

/**
 * arch_send_ipi() - interrupt every CPU in the mask (never the caller itself).
 *
 * Interrupts may be on or off. The port ends pending stores before the IPI can be seen: what the sender wrote before is
 * visible to the handler. There is one kind of IPI; ipi_handler() (kernel/ipi.c) finds out what for. The port
 * acknowledges the hardware BEFORE it calls ipi_handler(), with interrupts off, so that an IPI sent meanwhile is not
 * lost.
 */
void arch_send_ipi(const struct cpumask *mask);

/** The same to one CPU; may be the caller. */
void arch_send_ipi_one(unsigned cpu);

/**
 * Called once on each CPU (boot CPU included) with interrupts off, when its per-CPU block and the kernel's tables are
 * in place.
 */
void arch_cpu_init(void);
