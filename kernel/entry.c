/*
 * Between the ports' entry code and the kernel: what happens around every trap. See entry.h; interrupts are off
 * throughout unless said.
 */
#include "kernel/entry.h"

#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/sched_internal.h"
#include "kernel/signal.h"
#include "kernel/uaccess.h"
#include "kernel/watchdog.h"
#include "lib/string.h"

struct ex_entry {
	s32 insn, fixup;	/* relative to the field's own address */
};

extern const struct ex_entry __start___ex_table[], __stop___ex_table[];

static const struct ex_entry *find_fixup(uintptr_t pc)
{
	for (const struct ex_entry *e = __start___ex_table; e < __stop___ex_table; e++)
		if ((uintptr_t)&e->insn + (uintptr_t)(intptr_t)e->insn == pc)
			return e;
	return NULL;
}

bool has_fixup(const struct trapframe *tf)
{
	return find_fixup(tf_pc(tf)) != NULL;
}

bool fixup_exception(struct trapframe *tf)
{
	const struct ex_entry *e = find_fixup(tf_pc(tf));

	if (!e)
		return false;
	tf_set_pc(tf, (uintptr_t)&e->fixup + (uintptr_t)(intptr_t)e->fixup);
	return true;
}

void do_kernel_exception(struct trapframe *tf, const char *what, uintptr_t addr)
{
	if (fixup_exception(tf))
		return;
	panic_trap(tf, "%s at address %#lx", what, addr);
}

static inline void leave_kernel(void)
{
	watchdog_touch();
	account_kernel_end();
}

/*
 * Everything that must happen before user mode is entered, until there is nothing left. Apart, so that the usual way
 * needs no stack frame.
 */
static noinline void exit_with_work(struct trapframe *tf)
{
	while (work_pending(current)) {
		irq_enable();
		if (need_resched())
			schedule();
		if (READ_ONCE(current->work) & (WORK_SIGNAL | WORK_STOP))
			do_signals(tf);
		irq_disable();
	}
	leave_kernel();
}

void exit_to_user(struct trapframe *tf)
{
	if (unlikely(work_pending(current)))
		exit_with_work(tf);
	else
		leave_kernel();
}

void irq_enter(struct trapframe *tf)
{
	struct cpu *c = this_cpu();

	if (tf_user(tf)) {
		*this_cpu_ptr(&rcu_from_user) = true;
		watchdog_irq(true);
	} else if (c->in_idle && !c->irq_depth) {
		account_idle_end();
		rcu_irq_enter();
	}
	c->irq_depth++;
}

void irq_exit(struct trapframe *tf)
{
	struct cpu *c = this_cpu();

	c->irq_depth--;
	if (tf_user(tf)) {
		*this_cpu_ptr(&rcu_from_user) = false;
		watchdog_irq(false);
	} else if (c->in_idle && !c->irq_depth) {
		rcu_irq_exit();
		account_kernel_end();
	}
}

void pagefault_disable(void)
{
	current->pagefault_disabled++;
	barrier();
}

void pagefault_enable(void)
{
	barrier();
	current->pagefault_disabled--;
}

long strncpy_from_user(char *dst, const char __user *src, size_t n)
{
	size_t room;
	long len;

	if ((uintptr_t)src >= USER_TOP)
		return -EFAULT;
	room = min(n, (size_t)(USER_TOP - (uintptr_t)src));
	len = arch_strncpy_from_user(dst, src, room);
	if (len < 0)
		return len;
	if ((size_t)len == room)
		return room < n ? -EFAULT : -ENAMETOOLONG;
	return len;
}
