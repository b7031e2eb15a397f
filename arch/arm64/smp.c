/*
 * Other CPUs: starting them (PSCI), what each CPU sets up for itself, interrupting them.
 */
#include <arch/boot.h>
#include <arch/smp.h>
#include <arch/trap.h>

#include "arch/arm64/abi.h"
#include "arch/arm64/port.h"
#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/errno.h"

static_assert(offsetof(struct cpu, arch.start_sp) == CPU_START_SP && offsetof(struct cpu, curr) == CPU_CURRENT,
	      "struct cpu");

/* The CPU reads only a64_kernel_root before its MMU is on; that was cleaned to memory when it was set. */
int arch_cpu_start(struct cpu *c)
{
	c->curr = c->idle;
	c->arch.start_sp = (u64)(uintptr_t)task_trapframe(c->idle);
	mb();
	return a64_psci(PSCI_CPU_ON, boot_info.hwid[c->id], a64_image_phys(a64_cpu_entry), (u64)(uintptr_t)c) ? -EIO
													      : 0;
}

void arch_cpu_init(void)
{
	struct cpu *c = this_cpu();

	c->arch.midr = sysreg_read(midr_el1);
	a64_mmu_cpu_init();
	a64_user_cpu_init();
	a64_time_cpu_init();
	if (c->id)
		a64_irq_cpu_init(); /* the boot CPU's interrupts wait for arch_init() */
}

/* dsb, not dmb: the order is that of stores and a system register, or a device. */
void arch_send_ipi(const struct cpumask *mask)
{
	dsb(ishst);
	a64_irq_send(mask);
}

void arch_send_ipi_one(unsigned cpu)
{
	struct cpumask mask = { { 0 } };

	__cpumask_set(&mask, cpu);
	arch_send_ipi(&mask);
}
