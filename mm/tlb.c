/*
 * TLB shootdown by IPI: issue, dispatch, wait.
 *
 * Who may hold translations of an mm: the CPUs in mm->cpumask. A CPU sets its bit, full fence, then loads the root
 * (mm/context.c). We change entries, full fence, read the mask. So a CPU whose bit we do not see will walk the new
 * entries.
 *
 * Waiting needs interrupts on: two CPUs that wait for each other must be able to answer.
 */
#include "mm/tlb.h"

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include "mm/vmstat.h"

struct flush {
	struct mm *mm;
	uintptr_t start, end;
	unsigned shift;
	bool tables, whole;
};

static void flush_local(const struct flush *f)
{
	if (f->whole) {
		vm_event(VME_tlb_flush_local_full);
		tlb_local_mm(f->mm);
	} else {
		vm_event(VME_tlb_flush_local);
		tlb_local_range(f->mm, f->start, f->end, f->shift, f->tables);
	}
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

static void flush(struct flush *f)
{
	struct cpumask others;
	unsigned self = cpu_id();

	smp_mb();	/* entries before the mask; pairs with the bit's fence in switch_mm */
	if (cpumask_test(&f->mm->cpumask, self))
		flush_local(f);
	if (nr_cpus == 1)
		return;
	cpumask_copy(&others, &f->mm->cpumask);
	__cpumask_clear(&others, self);
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

static void flush_kernel_ipi(void *arg)
{
	const struct flush *f = arg;

	tlb_local_range(NULL, f->start, f->end, PAGE_SHIFT, false);
}

void flush_tlb_kernel_range(uintptr_t start, uintptr_t end)
{
	struct flush f = { NULL, start, end, PAGE_SHIFT, false, false };

	call_on_cpus(&cpu_online_mask, flush_kernel_ipi, &f, true);
}
