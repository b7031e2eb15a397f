#pragma once
/*
 * THE CONTRACT, part 4: the CPU.
 *
 *   identity
 *	struct cpu *this_cpu(void)	this CPU's block (kernel/cpu.h), from a register; not CSEd over a context switch
 *	struct task *arch_current(void)	the running task; may be CSEd (it does not change for the running code)
 *	struct arch_cpu			the port's part of struct cpu
 *	Generic code stores the running task with arch_set_current(task) inside the switch only.
 *   interrupts
 *	unsigned long irq_save(void)	off; returns what irq_restore needs
 *	void irq_restore(unsigned long)
 *	void irq_enable(void), irq_disable(void); bool irqs_off(void)
 *	All four are compiler barriers.
 *   waiting
 *	void cpu_relax(void)		in every spin loop. MUST let another vCPU of a single-threaded emulator run
 *	(PLATFORM:
 *					riscv `pause` does not), and is cheap enough to be called in each iteration
 *	void cpu_yield(void)		now and then, where other CPUs are waited for or may be waiting: on an emulator
 *					that runs all CPUs in one thread, another one runs now. May cost a
 *					microsecond; not for inner loops
 *	void cpu_idle(void)		interrupts are off on entry and on return; waits until an interrupt is pending
 *	and
 *					takes it (enabling and waiting is atomic: a wake-up between the check and the
 *					wait is not lost)
 *	void cpu_halt(void) __noreturn	interrupts off, for ever
 *   ordering between CPUs: smp_mb() full fence, smp_rmb() loads, smp_wmb() stores; mb() also against devices.
 *	smp_mb__after_atomic-style helpers do not exist: value-returning atomics of lib/atomic.h are full fences on
 *	every port, so the port must not compile them to anything weaker
 *   copying and clearing of whole pages (direct-map addresses, page aligned): the quickest way on this CPU
 *	void clear_page(void *), void copy_page(void *dst, const void *src)
 *   instruction cache
 *	void icache_sync(void *kva, size_t len)	the kernel wrote instructions through kva that user space will execute;
 *						all CPUs see them when they next return to user mode
 *   counters
 *	u64 cpu_counter(void)		the finest free-running counter that can be read cheaply: instructions under
 *					icount where there is one (PLATFORM, Counting). For accounting of kernel effort.
 *					Goes on in cpu_idle(). Comparable between CPUs: behind another's by an IPI's
 *					flight at most
 *	const char *cpu_counter_name	"instructions", "cycles", "ns" ...: what one unit is; arch_timer_init()
 *					settles it
 *   description
 *	void arch_cpuinfo(struct seq *m, unsigned cpu)	that CPU's paragraph of /proc/cpuinfo, as Linux has it on this
 *	port
 */
#include "lib/types.h"

struct cpu;
struct task;
struct seq;

#include <asm/cpu.h>

#define current		arch_current()

extern const char *cpu_counter_name;
void arch_cpuinfo(struct seq *m, unsigned cpu);
