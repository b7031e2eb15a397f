/*
 * System calls about signals.
 */
#include <arch/trap.h>
#include <arch/uapi.h>

#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/timer.h"
#include "kernel/timespec.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"

#define SIG_BLOCK	0
#define SIG_UNBLOCK	1
#define SIG_SETMASK	2

#define MINSIGSTKSZ	2048

/* struct sigaction as the C libraries pass it. */
struct user_sigaction {
	u64 handler;
	u64 flags;
#ifndef ARCH_NO_SA_RESTORER
	u64 restorer;
#endif
	u64 mask;
};

SYSCALL4(rt_sigaction, int, sig, const struct user_sigaction *, unew, struct user_sigaction *, uold, size_t, size)
{
	struct ksigaction new = { 0 }, old;
	struct user_sigaction u;
	int err;

	if (size != sizeof(sigset))
		return -EINVAL;
	if (unew) {
		if (copy_from_user(&u, unew, sizeof(u)))
			return -EFAULT;
		new.handler = u.handler;
		new.flags = u.flags;
		new.mask = u.mask;
#ifndef ARCH_NO_SA_RESTORER
		new.restorer = u.restorer;
#endif
	}
	err = set_action(sig, unew ? &new : NULL, uold ? &old : NULL);
	if (err || !uold)
		return err;
	u = (struct user_sigaction){ .handler = old.handler, .flags = old.flags, .mask = old.mask };
#ifndef ARCH_NO_SA_RESTORER
	u.restorer = old.restorer;
#endif
	return copy_to_user(uold, &u, sizeof(u));
}

SYSCALL4(rt_sigprocmask, int, how, const sigset *, unew, sigset *, uold, size_t, size)
{
	sigset old = current->sig->blocked, new;

	if (size != sizeof(sigset))
		return -EINVAL;
	if (unew) {
		if (copy_from_user(&new, unew, sizeof(new)))
			return -EFAULT;
		switch (how) {
		case SIG_BLOCK:
			new |= old;
			break;
		case SIG_UNBLOCK:
			new = old & ~new;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		set_blocked(new);
	}
	return uold ? copy_to_user(uold, &old, sizeof(old)) : 0;
}

SYSCALL2(rt_sigpending, sigset *, uset, size_t, size)
{
	struct process *p = current->proc;
	sigset set;

	if (size > sizeof(sigset))
		return -EINVAL;
	spin_lock(&p->siglock);
	set = (current->sig->pending.set | p->pending.set) & current->sig->blocked;
	spin_unlock(&p->siglock);
	return copy_to_user(uset, &set, size);
}

int set_user_sigmask(const sigset *umask, size_t size)
{
	struct signal_task *sg = current->sig;
	sigset mask;

	if (!umask)
		return 0;
	if (size != sizeof(sigset))
		return -EINVAL;
	if (copy_from_user(&mask, umask, sizeof(mask)))
		return -EFAULT;
	sg->saved = sg->blocked;
	sg->restore = true;
	set_blocked(mask);
	return 0;
}

SYSCALL2(rt_sigsuspend, const sigset *, umask, size_t, size)
{
	int err;

	if (!umask)
		return -EFAULT;
	err = set_user_sigmask(umask, size);
	if (err)
		return err;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (signal_pending(current))
			break;
		schedule();
	}
	set_current_state(TASK_RUNNING);
	return -ERESTARTNOHAND;
}

SYSCALL0(pause)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (signal_pending(current))
			break;
		schedule();
	}
	set_current_state(TASK_RUNNING);
	return -ERESTARTNOHAND;
}

SYSCALL4(rt_sigtimedwait, const sigset *, uset, struct siginfo_k *, uinfo, const struct timespec_k *, uts, size_t, size)
{
	struct process *p = current->proc;
	struct signal_task *sg = current->sig;
	u64 deadline = WAIT_FOREVER, ns;
	struct siginfo_k info;
	sigset wanted;
	int sig, err;

	if (size != sizeof(sigset))
		return -EINVAL;
	if (copy_from_user(&wanted, uset, sizeof(wanted)))
		return -EFAULT;
	if (uts) {
		err = timespec_from_user(&ns, uts);
		if (err)
			return err;
		deadline = deadline_after(clock_ns(), ns);
	}
	wanted &= ~SIG_KERNEL_ONLY;

	spin_lock(&p->siglock);
	sig = dequeue_signal(wanted, &info);
	if (!sig && (!uts || deadline > clock_ns())) {
		/* While we wait they are not blocked, so that we are chosen and woken. */
		sg->waiting = sg->blocked;
		sg->blocked &= ~wanted;
		recalc_sigpending_locked();
		set_current_state(TASK_INTERRUPTIBLE);
		spin_unlock(&p->siglock);
		if (!signal_pending(current))
			(void)schedule_deadline(deadline);
		set_current_state(TASK_RUNNING);
		spin_lock(&p->siglock);
		sg->blocked = sg->waiting;
		sg->waiting = 0;
		sig = dequeue_signal(wanted, &info);
	}
	recalc_sigpending_locked();
	spin_unlock(&p->siglock);
	if (!sig)
		return signal_pending(current) ? -EINTR : -EAGAIN;
	if (uinfo && copy_to_user(uinfo, &info, sizeof(info)))
		return -EFAULT;
	return sig;
}

SYSCALL0(rt_sigreturn)
{
	struct trapframe *tf = task_trapframe(current);
	sigset mask;

	if (arch_sigreturn(tf, &mask)) {
		force_signal(SIGSEGV, SI_KERNEL, 0);
		return tf_return(tf);
	}
	set_blocked(mask);
	return tf_return(tf);	/* what the interrupted code had there */
}

/* ---- alternate stacks ---- */

static int set_altstack(const struct kstack_t *want, uintptr_t sp)
{
	struct kstack_t *ss = &current->sig->altstack;
	u32 flags = (u32)want->ss_flags, mode = flags & ~SS_AUTODISARM;

	if (on_altstack(ss, sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		*ss = (struct kstack_t){ .ss_flags = SS_DISABLE };
		return 0;
	}
	if (want->ss_size < MINSIGSTKSZ || !access_ok((void *)want->ss_sp, want->ss_size))
		return -ENOMEM;
	*ss = (struct kstack_t){
		.ss_sp = want->ss_sp,
		.ss_size = want->ss_size,
		.ss_flags = want->ss_flags & (s32)SS_AUTODISARM,
	};
	return 0;
}

void restore_altstack(const struct kstack_t *ss, uintptr_t sp)
{
	(void)set_altstack(ss, sp);
}

SYSCALL2(sigaltstack, const struct kstack_t *, unew, struct kstack_t *, uold)
{
	uintptr_t sp = tf_sp(task_trapframe(current));
	struct kstack_t new, old = current->sig->altstack;
	int err;

	if (on_altstack(&old, sp))
		old.ss_flags |= SS_ONSTACK;
	if (unew) {
		if (copy_from_user(&new, unew, sizeof(new)))
			return -EFAULT;
		err = set_altstack(&new, sp);
		if (err)
			return err;
	}
	return uold ? copy_to_user(uold, &old, sizeof(old)) : 0;
}

/* ---- sending ---- */

static bool may_signal(const struct process *to, int sig)
{
	const struct cred *me = current_cred(), *him = &to->cred;

	if (me->euid == 0 || me->euid == him->suid || me->euid == him->uid || me->uid == him->suid ||
	    me->uid == him->uid)
		return true;
	return sig == SIGCONT && to->session == current->proc->session;
}

static struct siginfo_k info_from_me(int sig, int code)
{
	struct siginfo_k info = { .si_signo = sig, .si_code = code };

	info.si_pid = current->proc->pid;
	info.si_uid = current_cred()->uid;
	return info;
}

/* A signal to each process of a group, or (pgrp -1) to all but init and ourselves, as far as we may. */
static int kill_many(int pgrp, int sig, const struct siginfo_k *info)
{
	struct list_head *members;
	struct process *p;
	int sent = 0, err = -ESRCH;

	if (pgrp == -1) {
		int pid = 2;

		while ((p = next_process(pid)) != NULL) {
			pid = p->pid + 1;
			if (p != current->proc && p->state == PROC_RUNNING) {
				int e = may_signal(p, sig) ? (sig ? send_signal_process(p, sig, info) : 0) : -EPERM;

				sent += !e;
				err = e;
			}
			put_process(p);
			cond_resched();
		}
		return sent ? 0 : err;
	}
	spin_lock(&proc_lock);
	members = pgrp_members(pgrp);
	if (members) {
		list_for_each_entry(p, members, pgrp_link) {
			int e = may_signal(p, sig) ? (sig ? send_signal_process(p, sig, info) : 0) : -EPERM;

			sent += !e;
			err = e;
		}
	}
	spin_unlock(&proc_lock);
	return sent ? 0 : err;
}

static int kill_one(int pid, int sig, const struct siginfo_k *info)
{
	struct process *p = find_get_process(pid);
	int err;

	if (!p)
		return -ESRCH;
	if (!may_signal(p, sig))
		err = -EPERM;
	else
		err = sig ? send_signal_process(p, sig, info) : 0;
	put_process(p);
	return err;
}

SYSCALL2(kill, int, pid, int, sig)
{
	struct siginfo_k info;

	if (sig < 0 || sig > NSIG)
		return -EINVAL;
	info = info_from_me(sig, SI_USER);
	if (pid > 0)
		return kill_one(pid, sig, &info);
	if (pid == INT_MIN)
		return -ESRCH;
	return kill_many(pid == -1 ? -1 : pid ? -pid : current->proc->pgrp, sig, &info);
}

/* tgid 0: whatever process the thread is in. */
static int signal_thread(int tgid, int tid, int sig, const struct siginfo_k *info)
{
	struct task *t;
	int err;

	if (tid <= 0 || sig < 0 || sig > NSIG)
		return -EINVAL;
	t = find_get_task(tid);
	if (!t)
		return -ESRCH;
	if (t->proc == &kernel_process || (tgid && t->proc->pid != tgid))
		err = -ESRCH;
	else if (!may_signal(t->proc, sig))
		err = -EPERM;
	else
		err = sig ? send_signal_task(t, sig, info) : 0;
	put_task(t);
	return err;
}

SYSCALL2(tkill, int, tid, int, sig)
{
	struct siginfo_k info = info_from_me(sig, SI_TKILL);

	return signal_thread(0, tid, sig, &info);
}

SYSCALL3(tgkill, int, tgid, int, tid, int, sig)
{
	struct siginfo_k info = info_from_me(sig, SI_TKILL);

	return tgid <= 0 ? -EINVAL : signal_thread(tgid, tid, sig, &info);
}

/* A program may claim any negative si_code about itself; about others neither the kernel's codes nor tkill's. */
static int user_info(struct siginfo_k *info, const struct siginfo_k *uinfo, int sig, int target)
{
	if (copy_from_user(info, uinfo, sizeof(*info)))
		return -EFAULT;
	if (sig < 1 || sig > NSIG)
		return -EINVAL;
	info->si_signo = sig;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && target != current->proc->pid)
		return -EPERM;
	return 0;
}

SYSCALL3(rt_sigqueueinfo, int, pid, int, sig, const struct siginfo_k *, uinfo)
{
	struct siginfo_k info;
	int err = user_info(&info, uinfo, sig, pid);

	return err ? err : kill_one(pid, sig, &info);
}

SYSCALL4(rt_tgsigqueueinfo, int, tgid, int, tid, int, sig, const struct siginfo_k *, uinfo)
{
	struct siginfo_k info;
	int err = user_info(&info, uinfo, sig, tgid);

	if (tgid <= 0)
		return -EINVAL;
	return err ? err : signal_thread(tgid, tid, sig, &info);
}
