/*
 * Which address space a CPU has loaded: switching, lazy use by kernel threads, exec and exit.
 *
 * A kernel thread borrows the page tables of whoever ran before it (task->active_mm) and holds a counted reference
 * on that struct mm (policy "refcount" of mechanism 3); init_mm needs none. task->mm, task->active_mm and
 * cpu->active_mm change together with interrupts off.
 *
 * cpumask: the bit is set, with a full fence, before the root is loaded. It is cleared after another root was loaded,
 * on ports where that drops all translations; where entries outlive the switch (ARCH_HAS_ASID) it stays until a flush
 * finds the mm unloaded.
 */
#include <arch/ctx.h>
#include <arch/tlb.h>

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/task.h"
#include "mm/mm.h"
#include "mm/vmstat.h"

static void load_mm(struct cpu *c, struct mm *next)
{
	struct mm *prev = c->active_mm;

	if (!cpumask_test(&next->cpumask, c->id))
		cpumask_set(&next->cpumask, c->id);
	smp_mb();	/* the bit before the root: pairs with flush() in mm/tlb.c */
	c->active_mm = next;
	arch_mm_switch(prev, next, c->id);
	if (!ARCH_HAS_ASID)
		cpumask_clear(&prev->cpumask, c->id);
}

void switch_mm(struct task *prev, struct task *next)
{
	struct cpu *c = this_cpu();

	if (!next->mm) {
		next->active_mm = c->active_mm;
		if (prev->mm) {
			vm_event(VME_lazy_tlb_switches);
			if (c->active_mm != &init_mm) {
				vm_event(VME_lazy_tlb_refs);
				mmgrab(c->active_mm);
			}
		} else {
			prev->active_mm = NULL;		/* its reference goes to next */
		}
		return;
	}
	if (next->mm != c->active_mm)
		load_mm(c, next->mm);
	next->active_mm = next->mm;
	if (!prev->mm) {
		c->drop_mm = prev->active_mm;
		prev->active_mm = NULL;
	}
}

void switch_mm_finish(struct task *prev)
{
	struct cpu *c = this_cpu();
	struct mm *mm = c->drop_mm;

	if (mm) {
		c->drop_mm = NULL;
		if (mm != &init_mm)
			mmdrop(mm);
	}
}

void exec_mmap(struct mm *mm)
{
	struct task *t = current;
	struct mm *old = t->mm, *lazy = NULL;

	task_mm_lock(t);
	irq_disable();
	if (!old)
		lazy = t->active_mm;	/* a kernel thread becomes a program */
	if (this_cpu()->active_mm != mm)	/* it may be the one that it borrows */
		load_mm(this_cpu(), mm);
	t->mm = mm;
	t->active_mm = mm;
	irq_enable();
	task_mm_unlock(t);
	if (old)
		mmput(old);
	else if (lazy != &init_mm)
		mmdrop(lazy);
}

void exit_mm(void)
{
	struct task *t = current;
	struct mm *mm = t->mm;

	if (!mm)
		return;
	mmgrab(mm);		/* from now on only borrowed */
	task_mm_lock(t);
	irq_disable();
	t->mm = NULL;
	irq_enable();
	task_mm_unlock(t);
	mmput(mm);
}
