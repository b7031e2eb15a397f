/*
 * System calls: the table, built from the port's list, and the way through it.
 *
 * A name in <arch/syscalls.h> that nobody defines is a null entry, as is a number without a name: ENOSYS, counted per
 * number.
 */
#include "kernel/syscall.h"

#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/seq.h"
#include "kernel/watchdog.h"

#define SYSCALL(nr, name) long sys_##name(long, long, long, long, long, long) __attribute__((weak));
#include <arch/syscalls.h>
#undef SYSCALL

static const syscall_fn table[NR_SYSCALLS] = {
#define SYSCALL(nr, name) [nr] = sys_##name,
#include <arch/syscalls.h>
#undef SYSCALL
};

static u32 missing[NR_SYSCALLS];	/* atomic. calls of a number that is not there */
static u64 missing_other;		/* atomic. numbers beyond the table */

static noinline long no_syscall(unsigned long nr)
{
	if (nr < NR_SYSCALLS)
		__atomic_fetch_add(&missing[nr], 1, __ATOMIC_RELAXED);
	else
		__atomic_fetch_add(&missing_other, 1, __ATOMIC_RELAXED);
	return -ENOSYS;
}

void do_syscall(struct trapframe *tf)
{
	unsigned long nr = (unsigned long)tf_syscall_nr(tf);
	syscall_fn fn = likely(nr < NR_SYSCALLS) ? table[nr] : NULL;
	long ret;

	account_user_end();
	irq_enable();
	if (likely(fn))
		ret = fn((long)tf_arg(tf, 0), (long)tf_arg(tf, 1), (long)tf_arg(tf, 2), (long)tf_arg(tf, 3),
			 (long)tf_arg(tf, 4), (long)tf_arg(tf, 5));
	else
		ret = no_syscall(nr);
	tf_set_return(tf, ret);
	irq_disable();
	exit_to_user(tf);
}

u64 enosys_count(void)
{
	u64 sum = __atomic_load_n(&missing_other, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < NR_SYSCALLS; i++)
		sum += READ_ONCE(missing[i]);
	return sum;
}

void enosys_show(struct seq *m)
{
	for (unsigned i = 0; i < NR_SYSCALLS; i++)
		if (READ_ONCE(missing[i]))
			seq_printf(m, "%u %u\n", i, READ_ONCE(missing[i]));
	if (READ_ONCE(missing_other))
		seq_printf(m, "other %llu\n", (unsigned long long)READ_ONCE(missing_other));
}
