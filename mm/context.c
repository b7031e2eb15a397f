/*
 * Which address space a CPU has loaded: switching, exec and exit. What keeps a borrowed one alive is
 * kernel/lazy_tlb.c's business.
 *
 * cpu->active_mm is the address space whose root is loaded. task->mm and what the CPU borrows change together, with
 * interrupts off. It is published after the root was loaded: another CPU that reads something else there knows that
 * this one is done with the mm that it asks about (it can not come back to an mm without users).
 *
 * cpumask: the bit is set, with a full fence, before the root is loaded. It is cleared after another root was loaded,
 * on ports where that drops all translations, and where the mm is dead; else (ARCH_HAS_ASID) it stays until a flush
 * finds the mm unloaded.
 */
#include <arch/ctx.h>
#include <arch/tlb.h>

#include "kernel/cpu.h"
#include "kernel/lazy_tlb.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/race.h"
#include "kernel/task.h"
#include "mm/mm.h"

static __always_inline void load(struct cpu *c, struct mm *next)
{
	struct mm *prev = c->active_mm;

	if (next != &init_mm) {		/* whose mask nobody reads: its flushes go to all CPUs */
		if (!cpumask_test(&next->cpumask, c->id))
			cpumask_set(&next->cpumask, c->id);
		smp_mb();	/* the bit before the root: pairs with flush() in mm/tlb.c */
	}
#ifdef BREAK_LAZY_EARLY_CLEAR
	cpumask_clear(&prev->cpumask, c->id);
	smp_store_release(&c->active_mm, next);
	race_point("lazy:before-load");
	arch_mm_switch(prev, next, c->id);
	return;
#endif
	race_point("lazy:before-load");
	arch_mm_switch(prev, next, c->id);
	if (prev != &init_mm && (!ARCH_HAS_ASID || !atomic_read(&prev->users)))
		cpumask_clear(&prev->cpumask, c->id);
	smp_store_release(&c->active_mm, next);	/* the last that we do with prev: pairs with find_holders */
}

void load_mm(struct cpu *c, struct mm *next)
{
	load(c, next);
}

void switch_mm(struct task *prev, struct task *next)
{
	struct cpu *c = this_cpu();
	struct mm *old = c->active_mm;

	if (!next->mm) {
		if (prev->mm)
			lazy_tlb_enter(c);
		return;
	}
	if (next->mm != old)
		load(c, next->mm);
	if (!prev->mm)
		c->drop_mm = lazy_tlb_leave(old);
}

void switch_mm_finish(struct task *prev)
{
	struct cpu *c = this_cpu();
	struct mm *mm = c->drop_mm;

	if (mm) {
		c->drop_mm = NULL;
		mmdrop(mm);
	}
}

void exec_mmap(struct mm *mm)
{
	struct task *t = current;
	struct mm *old = t->mm, *left, *owed = NULL;
	struct cpu *c;

	task_mm_lock(t);
	irq_disable();
	c = this_cpu();
	left = c->active_mm;
	if (left != mm)		/* a kernel thread may have borrowed it already */
		load_mm(c, mm);
	if (!old)
		owed = lazy_tlb_leave(left);
	t->mm = mm;
	irq_enable();
	task_mm_unlock(t);
	if (old)
		mmput(old);
	else if (owed)
		mmdrop(owed);
}

void exit_mm(void)
{
	struct task *t = current;
	struct mm *mm = t->mm;

	if (!mm)
		return;
	task_mm_lock(t);
	irq_disable();
	lazy_tlb_enter(this_cpu());	/* from now on it is only borrowed */
	t->mm = NULL;
	irq_enable();
	task_mm_unlock(t);
	race_point("lazy:before-put");
	mmput(mm);
}
