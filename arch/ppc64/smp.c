/*
 * Other CPUs: starting, IPIs; interrupts of devices; keeping instruction fetch up to date.
 */
#include <arch/boot.h>
#include <arch/irq.h>
#include <arch/pte.h>
#include <arch/smp.h>

#include "arch/ppc64/port.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "lib/atomic.h"
#include "lib/errno.h"

static_assert(MAX_CPUS == NR_CPUS && KERNEL_BASE == (u64)KERNEL_BASE_HIGH << 32, "head.S");
static_assert(offsetof(struct fw_call, entry) == FW_ENTRY && offsetof(struct fw_call, msr_clear) == FW_MSR_CLEAR &&
		      offsetof(struct fw_call, r[9]) == FW_R(9) && sizeof(struct ppc_start) == 16,
	      "head.S");

struct ppc_start ppc_starting[MAX_CPUS];
u64 ppc_start_lpcr, ppc_start_ptcr;

DEFINE_PER_CPU(static char __aligned(16), overflow_stack[OVERFLOW_STACK_SIZE]);

int arch_cpu_start(struct cpu *c)
{
	c->curr = c->idle;
	ppc_starting[c->id].hwid = boot_info.hwid[c->id];
	smp_store_release(&ppc_starting[c->id].cpu, c);
	mb();
	return ppc_platform->cpu_start(boot_info.hwid[c->id], ppc_image_phys(ppc_cpu_entry));
}

void ppc_cpu_setup(void)
{
	struct cpu *c = this_cpu();

	c->arch.overflow = (uintptr_t)this_cpu_ptr(&overflow_stack) + OVERFLOW_STACK_SIZE;
	c->arch.deadline = ~0ull;
	ppc_trap_cpu_init();
}

void ppc_secondary(void)
{
	ppc_cpu_setup();
	secondary_main();
}

void arch_cpu_init(void)
{
	mtspr(SPR_DEC, 0x7fffffff);
	if (ppc_platform->cpu_init)
		ppc_platform->cpu_init();
}

void arch_send_ipi(const struct cpumask *mask)
{
	unsigned cpu;

	mb();
	for_each_cpu(cpu, mask)
		ppc_platform->send_ipi(boot_info.hwid[cpu]);
}

void arch_send_ipi_one(unsigned cpu)
{
	mb();
	ppc_platform->send_ipi(boot_info.hwid[cpu]);
}

int arch_irq_enable(unsigned irq, bool level)
{
	return ppc_platform->irq_enable ? ppc_platform->irq_enable(irq) : -EINVAL;
}

void arch_irq_disable(unsigned irq)
{
	if (ppc_platform->irq_disable)
		ppc_platform->irq_disable(irq);
}

void cpu_idle(void)
{
	ppc_platform->idle();
}

/*
 * icbi reaches all CPUs; what they have fetched ahead is dropped by the context synchronisation of their next return to
 * user mode.
 */
void icache_sync(void *kva, size_t len)
{
	uintptr_t begin = align_down((uintptr_t)kva, (uintptr_t)CACHE_BLOCK), end = (uintptr_t)kva + len;

	for (uintptr_t at = begin; at < end; at += CACHE_BLOCK)
		__asm__ volatile("dcbst 0, %0" : : "r"(at) : "memory");
	__asm__ volatile("sync" : : : "memory");
	for (uintptr_t at = begin; at < end; at += CACHE_BLOCK)
		__asm__ volatile("icbi 0, %0" : : "r"(at) : "memory");
	__asm__ volatile("sync\n\tisync" : : : "memory");
}
