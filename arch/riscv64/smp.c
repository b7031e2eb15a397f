/*
 * Other CPUs: starting them (SBI HSM), interrupting them (SBI IPI), and keeping their instruction fetch up to date.
 */
#include <arch/boot.h>
#include <arch/pte.h>
#include <arch/smp.h>
#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "arch/riscv64/sbi.h"
#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "lib/atomic.h"

DEFINE_PER_CPU(static char __aligned(16), overflow_stack[OVERFLOW_STACK_SIZE]);

static_assert(MAX_HARTS == NR_CPUS, "head.S has room for as many");

int arch_cpu_start(struct cpu *c)
{
	struct sbi_result r;

	c->curr = c->idle;
	rv_harts[c->id].hart = boot_info.hwid[c->id];
	smp_store_release(&rv_harts[c->id].cpu, c);
	mb();
	r = sbi_call(SBI_HSM, 0, boot_info.hwid[c->id], rv_image_phys(rv_cpu_entry), 0, 0);
	return r.error ? -EIO : 0;
}

void arch_cpu_init(void)
{
	struct cpu *c = this_cpu();

	c->arch.overflow = (uintptr_t)this_cpu_ptr(&overflow_stack) + OVERFLOW_STACK_SIZE;
	c->arch.deadline = ~0ull;
	rv_mmu_cpu_init();
	csr_write(CSR_SCOUNTEREN, 7);	/* user programs read time, cycles and instructions */
	csr_write(CSR_SIE, 1ull << IRQ_SOFT);
	if (!c->id)
		rv_plic_cpu_init();
}

/* Harts come in masks of 64 from a base that we choose. */
void arch_send_ipi(const struct cpumask *mask)
{
	struct cpumask left = *mask;
	unsigned cpu;

	mb();
	for (cpu = cpumask_next(&left, 0); cpu < NR_CPUS; cpu = cpumask_next(&left, cpu + 1)) {
		u64 base = align_down(boot_info.hwid[cpu], 64), harts = 0;

		for (unsigned other = cpu; other < NR_CPUS; other = cpumask_next(&left, other + 1)) {
			u64 bit = boot_info.hwid[other] - base;

			if (bit < 64) {
				harts |= 1ull << bit;
				__cpumask_clear(&left, other);
			}
		}
		sbi_call(SBI_IPI, 0, harts, base, 0, 0);
	}
}

void arch_send_ipi_one(unsigned cpu)
{
	u64 hart = boot_info.hwid[cpu];

	mb();
	sbi_call(SBI_IPI, 0, 1ull << hart % 64, align_down(hart, 64), 0, 0);
}

static void fence_i(void *arg)
{
	__asm__ volatile("fence.i" : : : "memory");
}

/*
 * Each hart must do its own fence.i. The ones that run a task now, maybe in user mode, are interrupted for it. An idle
 * one is left alone but marked: it passes arch_switch() first, whose fence pairs with ours. Interrupts on.
 */
void icache_sync(void *kva, size_t len)
{
	struct cpumask busy;
	unsigned cpu, self = cpu_id();

	fence_i(NULL);
	if (nr_cpus == 1)
		return;
	for_each_online_cpu(cpu)
		if (cpu != self)
			WRITE_ONCE(cpus[cpu]->arch.fence_i, 1);
	smp_mb();
	cpumask_zero(&busy);
	for_each_online_cpu(cpu)
		if (cpu != self && READ_ONCE(cpus[cpu]->curr) != cpus[cpu]->idle)
			__cpumask_set(&busy, cpu);
	if (!cpumask_empty(&busy))
		call_on_cpus(&busy, fence_i, NULL, true);
}

#define FLUSH_ICACHE_LOCAL 1ul

/* Linux ignores the range, too. */
SYSCALL3(riscv_flush_icache, uintptr_t, start, uintptr_t, end, unsigned long, flags)
{
	if (flags & ~FLUSH_ICACHE_LOCAL)
		return -EINVAL;
	icache_sync((void *)start, end - start);
	return 0;
}
