/*
 * System calls about scheduling, and membarrier. There is one policy, SCHED_OTHER.
 */
#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

#define SCHED_OTHER	0
#define SCHED_FIFO	1
#define SCHED_RR	2
#define SCHED_BATCH	3
#define SCHED_IDLE	5

#define PRIO_PROCESS	0
#define PRIO_PGRP	1
#define PRIO_USER	2

SYSCALL0(sched_yield)
{
	sched_yield();
	return 0;
}

SYSCALL3(getcpu, u32 *, ucpu, u32 *, unode, void *, unused)
{
	u32 cpu = this_cpu()->id, node = (u32)this_cpu()->node;

	if (ucpu && copy_to_user(ucpu, &cpu, sizeof(cpu)))
		return -EFAULT;
	return unode ? copy_to_user(unode, &node, sizeof(node)) : 0;
}

/* 0: the caller. With a reference, NULL if there is no such thread of a program. */
static struct task *get_target(int pid)
{
	struct task *t;

	if (!pid)
		return get_task(current);
	t = pid > 0 ? find_get_task(pid) : NULL;
	if (t && t->proc == &kernel_process) {
		put_task(t);
		return NULL;
	}
	return t;
}

static bool may_control(const struct task *t)
{
	const struct cred *me = current_cred();

	return me->euid == 0 || me->euid == t->proc->cred.uid || me->euid == t->proc->cred.euid;
}

/* ---- affinity ---- */

SYSCALL3(sched_setaffinity, int, pid, u32, len, const void *, umask)
{
	struct cpumask mask;
	struct task *t;
	int err;

	cpumask_zero(&mask);
	if (copy_from_user(mask.bits, umask, min_t(size_t, len, sizeof(mask.bits))))
		return -EFAULT;
	t = get_target(pid);
	if (!t)
		return -ESRCH;
	err = may_control(t) ? sched_set_affinity(t, &mask) : -EPERM;
	put_task(t);
	return err;
}

SYSCALL3(sched_getaffinity, int, pid, u32, len, void *, umask)
{
	size_t n = align_up(div_round_up((size_t)nr_cpus, 8), sizeof(long));
	struct cpumask mask;
	struct task *t;

	if (len < n || len % sizeof(long))
		return -EINVAL;
	t = get_target(pid);
	if (!t)
		return -ESRCH;
	cpumask_and(&mask, &t->affinity, &cpu_online_mask);
	put_task(t);
	if (copy_to_user(umask, mask.bits, n))
		return -EFAULT;
	return (long)n;
}

/* ---- nice ---- */

static long set_nice(struct task *t, int nice)
{
	if (!may_control(t))
		return -EPERM;
	if (nice < t->nice && !is_root())
		return -EACCES;
	return sched_set_nice(t, nice);
}

/* What one thread contributes to the result so far, which begins as -ESRCH. */
typedef long priority_fn(struct task *t, int nice, long so_far);

static long for_priority(int which, int who, priority_fn *fn, int nice)
{
	struct list_head *members;
	struct process *p;
	struct task *t;
	long ret = -ESRCH;

	switch (which) {
	case PRIO_PROCESS:
		t = get_target(who);
		if (!t)
			return -ESRCH;
		ret = fn(t, nice, ret);
		put_task(t);
		return ret;
	case PRIO_PGRP:
		spin_lock(&proc_lock);
		members = pgrp_members(who ? who : current->proc->pgrp);
		if (members)
			list_for_each_entry(p, members, pgrp_link)
				for_each_thread(p, t)
					ret = fn(t, nice, ret);
		spin_unlock(&proc_lock);
		return ret;
	case PRIO_USER:
		spin_lock(&proc_lock);
		list_for_each_entry(t, &all_tasks, all_link)
			if (t->proc != &kernel_process && t->proc->cred.uid == (who ? (u32)who : current_cred()->uid))
				ret = fn(t, nice, ret);
		spin_unlock(&proc_lock);
		return ret;
	default:
		return -EINVAL;
	}
}

static long one_set(struct task *t, int nice, long so_far)
{
	long err = set_nice(t, nice);

	return so_far == -ESRCH || err ? err : so_far;
}

SYSCALL3(setpriority, int, which, int, who, int, nice)
{
	return for_priority(which, who, one_set, clamp(nice, -20, 19));
}

/* The kernel's form: 20 - nice, so that no result is negative. The highest of several wins. */
static long one_get(struct task *t, int unused, long so_far)
{
	return max(20l - t->nice, so_far);
}

SYSCALL2(getpriority, int, which, int, who)
{
	return for_priority(which, who, one_get, 0);
}

SYSCALL1(nice, int, change)
{
	return set_nice(current, clamp(current->nice + clamp(change, -40, 40), -20, 19));
}

/* ---- policies ---- */

static long check_target(int pid)
{
	struct task *t;

	if (pid < 0)
		return -EINVAL;
	t = get_target(pid);
	if (!t)
		return -ESRCH;
	put_task(t);
	return 0;
}

SYSCALL1(sched_getscheduler, int, pid)
{
	long err = check_target(pid);

	return err ? err : SCHED_OTHER;
}

static long check_param(int pid, const s32 *uparam)
{
	s32 prio;

	if (!uparam || pid < 0)
		return -EINVAL;
	if (copy_from_user(&prio, uparam, sizeof(prio)))
		return -EFAULT;
	return prio ? -EINVAL : check_target(pid);
}

SYSCALL3(sched_setscheduler, int, pid, int, policy, const s32 *, uparam)
{
	if (policy != SCHED_OTHER)
		return -EINVAL;
	return check_param(pid, uparam);
}

SYSCALL2(sched_setparam, int, pid, const s32 *, uparam)
{
	return check_param(pid, uparam);
}

SYSCALL2(sched_getparam, int, pid, s32 *, uparam)
{
	s32 prio = 0;
	long err = check_target(pid);

	if (err)
		return err;
	return uparam ? copy_to_user(uparam, &prio, sizeof(prio)) : -EINVAL;
}

static long priority_limit(int policy, long rt)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return rt;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
		return 0;
	default:
		return -EINVAL;
	}
}

SYSCALL1(sched_get_priority_max, int, policy)
{
	return priority_limit(policy, 99);
}

SYSCALL1(sched_get_priority_min, int, policy)
{
	return priority_limit(policy, 1);
}

SYSCALL2(sched_rr_get_interval, int, pid, struct timespec_k *, uts)
{
	long err = check_target(pid);

	return err ? err : timespec_to_user(uts, 0);
}

/* ---- membarrier ---- */

#define MEMBARRIER_CMD_QUERY				0
#define MEMBARRIER_CMD_GLOBAL				(1 << 0)
#define MEMBARRIER_CMD_GLOBAL_EXPEDITED			(1 << 1)
#define MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED	(1 << 2)
#define MEMBARRIER_CMD_PRIVATE_EXPEDITED		(1 << 3)
#define MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED	(1 << 4)

static void fence(void *unused)
{
	smp_mb();
}

/*
 * A full fence on every CPU. All forms are the same here: an interrupt on each CPU is a fence in the program it
 * interrupts, and whoever is not running passes through the scheduler's locks before it does. Registration is not
 * needed.
 */
SYSCALL3(membarrier, int, cmd, u32, flags, int, cpu)
{
	if (flags)
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
		       MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		smp_mb();
		call_on_cpus(&cpu_online_mask, fence, NULL, true);
		smp_mb();
		return 0;
	default:
		return -EINVAL;
	}
}
