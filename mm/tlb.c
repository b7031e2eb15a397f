/*
 * TLB shootdown: who must be told, telling them, waiting until they did it. vm.tlb_shootdown chooses how:
 *   ipi		interrupt the CPUs in mm->cpumask; each invalidates for itself
 *   broadcast	one instruction (arm64 tlbi, ppc64 tlbie) or firmware call (riscv64 SBI) does it on all CPUs, where
 *		there is one. It may be changed at any time: each flush looks once, and is complete when it returns.
 *
 * Who may hold translations of an mm: the CPUs in mm->cpumask. A CPU sets its bit, full fence, then loads the root
 * (mm/context.c). We change entries, full fence, read the mask. So a CPU whose bit we do not see will walk the new
 * entries.
 *
 * Waiting needs interrupts on: two CPUs that wait for each other must be able to answer.
 */
#include "mm/tlb.h"

#include "kernel/cpu.h"
#include "kernel/init.h"
#include "kernel/ipi.h"
#include "kernel/lazy_tlb.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/race.h"
#include "lib/errno.h"
#include "mm/mm.h"
#include "mm/vmstat.h"

enum { SHOOTDOWN_IPI, SHOOTDOWN_BROADCAST };

static unsigned shootdown;	/* written by the knob only */

static int shootdown_changed(void)
{
	race_point("tlb:knob-written");
	return shootdown == SHOOTDOWN_BROADCAST && !TLB_HAS_BROADCAST ? -EOPNOTSUPP : 0;
}

static const struct cmdline_option option_shootdown = {
	.name = "vm.tlb_shootdown",
	.type = CMDLINE_CHOICE,
	.choice = &shootdown,
	.choices = (const char *const[]){ "ipi", "broadcast", NULL },
	.help = "how other CPUs are told to drop translations: ipi, broadcast (by hardware or firmware)"
};
KNOB(knob_shootdown) = { .name = "vm.tlb_shootdown", .opt = &option_shootdown, .changed = shootdown_changed };

/* The command line may have asked before anybody knew what the machine can do. */
static int shootdown_init(void)
{
	if (shootdown_changed()) {
		pr_warn("vm.tlb_shootdown=broadcast: this machine has none; using ipi");
		shootdown = SHOOTDOWN_IPI;
	}
	return 0;
}
early_initcall(shootdown_init);

/* A value that is about to be refused is in the knob for a moment, and must not be believed. */
static inline bool by_broadcast(void)
{
#ifdef BREAK_TLB_BELIEVE_REFUSED
	return READ_ONCE(shootdown) == SHOOTDOWN_BROADCAST;
#endif
	return TLB_HAS_BROADCAST && READ_ONCE(shootdown) == SHOOTDOWN_BROADCAST;
}

struct flush {
	struct mm *mm;
	uintptr_t start, end;
	unsigned shift;
	bool tables, whole;
};

/*
 * Interrupts off: a port may look which tables are loaded and then load them again (x86_64: CR3), and an interrupt in
 * between may make this CPU leave them.
 */
static void flush_local(const struct flush *f)
{
	unsigned long flags = irq_save();

	if (f->whole) {
		vm_event(VME_tlb_flush_local_full);
		tlb_local_mm(f->mm);
	} else {
		vm_event(VME_tlb_flush_local);
		tlb_local_range(f->mm, f->start, f->end, f->shift, f->tables);
	}
	irq_restore(flags);
}

static void flush_ipi(void *arg)
{
	const struct flush *f = arg;

	vm_event(VME_tlb_shootdown_received);
	flush_local(f);
	/* Not loaded here any more and nothing of it is left: no further interrupts until it is loaded again. */
	if (ARCH_HAS_ASID && f->whole && this_cpu()->active_mm != f->mm)
		cpumask_clear(&f->mm->cpumask, cpu_id());
}

static void flush_broadcast(const struct flush *f)
{
	vm_event(VME_tlb_broadcasts);
#ifdef BREAK_TLB_NO_BROADCAST
	return;
#endif
	if (f->whole)
		tlb_broadcast_mm(f->mm);
	else
		tlb_broadcast_range(f->mm, f->start, f->end, f->shift, f->tables);
}

static void flush(struct flush *f)
{
	struct cpumask others;
	unsigned self = cpu_id();

	smp_mb();	/* entries before the mask; pairs with the bit's fence in switch_mm */
	cpumask_copy(&others, &f->mm->cpumask);
	__cpumask_clear(&others, self);
	if (!cpumask_empty(&others) && by_broadcast()) {
		flush_broadcast(f);
		return;
	}
	if (cpumask_test(&f->mm->cpumask, self))
		flush_local(f);
	if (cpumask_empty(&others))
		return;
	vm_event(VME_tlb_shootdowns);
	vm_event_add(VME_tlb_shootdown_ipis, cpumask_weight(&others));
	call_on_cpus(&others, flush_ipi, f, true);
}

void flush_tlb_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	struct flush f = { mm, start, end, shift, tables, false };

	if (end > start && tlb_local_range_is_full((end - start) >> shift))
		f.whole = true;
	flush(&f);
}

void flush_tlb_mm(struct mm *mm, bool tables)
{
	struct flush f = { mm, 0, USER_TOP, PAGE_SHIFT, tables, true };

	flush(&f);
}

static void leave_dying_ipi(void *arg)
{
	vm_event(VME_tlb_shootdown_received);
	if (this_cpu()->active_mm == arg)
		lazy_tlb_unlazy();
}

void flush_tlb_dying(struct mm *mm, bool tables)
{
	struct flush f = { mm, 0, USER_TOP, PAGE_SHIFT, tables, true };
	struct cpumask others;
	unsigned self = cpu_id(), cpu;

	smp_mb();
	cpumask_copy(&others, &mm->cpumask);
	__cpumask_clear(&others, self);
	/* Acquire: a CPU that has gone on is done with these tables, and can not come back to an mm without users. */
	for_each_cpu(cpu, &others)
		if (smp_load_acquire(&cpus[cpu]->active_mm) != mm)
			__cpumask_clear(&others, cpu);
	if (!cpumask_empty(&others) && by_broadcast()) {
		flush_broadcast(&f);
		return;
	}
	if (this_cpu()->active_mm == mm)
		flush_local(&f);
	if (cpumask_empty(&others))
		return;
	vm_event(VME_tlb_shootdowns);
	vm_event_add(VME_tlb_shootdown_ipis, cpumask_weight(&others));
	call_on_cpus(&others, leave_dying_ipi, mm, true);
}

static void flush_kernel_ipi(void *arg)
{
	const struct flush *f = arg;

	tlb_local_range(NULL, f->start, f->end, PAGE_SHIFT, false);
}

void flush_tlb_kernel_range(uintptr_t start, uintptr_t end)
{
	struct flush f = { NULL, start, end, PAGE_SHIFT, false, false };

	if (by_broadcast()) {
		smp_mb();
		flush_broadcast(&f);
		return;
	}
	call_on_cpus(&cpu_online_mask, flush_kernel_ipi, &f, true);
}
