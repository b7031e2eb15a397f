/*
 * Taking signals: what happens to a task on its way back to user mode. Handlers get a frame, default actions stop or
 * end the process, and interrupted system calls are restarted or become EINTR.
 *
 * Stopping: the thread that takes a stop signal marks the process PROC_STOPPED and all its threads `stopping`; each
 * of them comes by here, counts itself out, and sleeps as TASK_STOPPED until the mark is gone. Who counts last tells
 * the parent. SIGCONT (or death) removes the mark when it is sent, under siglock, and wakes them.
 */
#include "kernel/signal.h"

#include <arch/cpu.h>
#include <arch/trap.h>

#include "kernel/entry.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "mm/mm.h"

static void tell_parent(struct process *p, int why, int status)
{
	spin_lock(&proc_lock);
	if (p->state == PROC_RUNNING)
		(void)notify_parent(p, why, status);
	spin_unlock(&proc_lock);
}

/* Sleep as long as the process is stopped. siglock held on entry and return. */
static void stop_here(struct process *p)
{
	struct signal_task *sg = current->sig;
	bool last = false;
	int sig = p->stop_sig;

	if (sg->stopping) {
		sg->stopping = false;
		last = --p->nr_stopping == 0;
		if (last)
			p->stop_report = sig;
	}
	set_current_state(TASK_STOPPED);
	spin_unlock(&p->siglock);
	if (last)
		tell_parent(p, CLD_STOPPED, sig);
	schedule();
	spin_lock(&p->siglock);
}

/* The default action of a stop signal. siglock held on entry and return, dropped in between. */
static void begin_stop(struct process *p, int sig)
{
	struct task *t;

	current->sig->stop_dequeued = true;
	if (sig != SIGSTOP) {
		bool orphaned;

		spin_unlock(&p->siglock);
		spin_lock(&proc_lock);
		orphaned = pgrp_orphaned(p->pgrp, NULL);
		spin_unlock(&proc_lock);
		spin_lock(&p->siglock);
		if (orphaned)
			current->sig->stop_dequeued = false;
	}
	/* SIGCONT may have come meanwhile, or death. */
	if (!current->sig->stop_dequeued || p->flags & PROC_GROUP_EXIT || p->exec_task)
		return;
	current->sig->stop_dequeued = false;
	if (p->flags & PROC_STOPPED)
		return;
	p->flags |= PROC_STOPPED;
	p->stop_sig = sig;
	p->nr_stopping = 0;
	p->cont_report = false;
	for_each_thread(p, t) {
		if (READ_ONCE(t->flags) & TF_EXITING)
			continue;
		t->sig->stopping = true;
		p->nr_stopping++;
		set_work(t, WORK_SIGNAL);
		if (t != current && !wake_up_state(t, TASK_INTERRUPTIBLE))
			kick_task(t);
	}
}

/* init takes no default action, except for what it sent itself: then send_locked() has cleared the mark. */
static bool default_is_nothing(struct process *p, int sig)
{
	return sigmask(sig) & SIG_IGNORED || (p->flags & PROC_UNKILLABLE);
}

/* The next signal that has a handler. False: none is left. Does not return if the thread must end. */
static bool get_signal(struct ksignal *ks)
{
	struct process *p = current->proc;
	struct signal_task *sg = current->sig;
	struct ksigaction act;
	int sig;

	spin_lock(&p->siglock);
	for (;;) {
		if (p->flags & PROC_GROUP_EXIT || sg->pending.set & sigmask(SIGKILL)) {
			/* Another thread's execve ends this thread only. */
			bool alone = !(p->flags & PROC_GROUP_EXIT) && p->exec_task && p->exec_task != current;

			spin_unlock(&p->siglock);
			if (alone)
				do_exit(0);
			do_group_exit(SIGKILL);
		}
		if (p->flags & PROC_CONT_NOTIFY) {
			p->flags &= ~PROC_CONT_NOTIFY;
			spin_unlock(&p->siglock);
			tell_parent(p, CLD_CONTINUED, SIGCONT);
			spin_lock(&p->siglock);
			continue;
		}
		if (p->flags & PROC_STOPPED) {
			stop_here(p);
			continue;
		}
		sig = dequeue_signal(~sg->blocked, &ks->info);
		if (!sig)
			break;
		act = action_of(p, sig);
		if (sg->forced & sigmask(sig)) {
			sg->forced &= ~sigmask(sig);
			act.handler = SIG_DFL;
		}
		if (act.handler == SIG_IGN)
			continue;
		if (act.handler != SIG_DFL) {
			recalc_sigpending_locked();
			spin_unlock(&p->siglock);
			ks->sig = sig;
			ks->handler = act.handler;
			ks->flags = act.flags;
			ks->restorer = act.flags & SA_RESTORER && act.restorer ? act.restorer : current->mm->sigtramp;
			sg->saved = sg->restore ? sg->saved : sg->blocked;
			sg->restore = true;	/* until the frame, which holds it, is written */
			set_blocked(sg->blocked | act.mask | (act.flags & SA_NODEFER ? 0 : sigmask(sig)));
			if (act.flags & SA_RESETHAND) {
				struct ksigaction dfl = { .handler = SIG_DFL, .flags = act.flags, .mask = act.mask };

				if (set_action(sig, &dfl, NULL))
					force_sigsegv(SIGSEGV);
			}
			return true;
		}
		if (default_is_nothing(p, sig))
			continue;
		if (sigmask(sig) & SIG_STOPS) {
			begin_stop(p, sig);
			continue;
		}
		spin_unlock(&p->siglock);
		do_group_exit(sig);
	}
	recalc_sigpending_locked();
	spin_unlock(&p->siglock);
	return false;
}

/* ---- frames ---- */

bool on_altstack(const struct kstack_t *ss, uintptr_t sp)
{
	if (ss->ss_flags & SS_DISABLE || (u32)ss->ss_flags & SS_AUTODISARM)
		return false;
	return sp > ss->ss_sp && sp - ss->ss_sp <= ss->ss_size;
}

static void push_frame(struct trapframe *tf, struct ksignal *ks)
{
	struct signal_task *sg = current->sig;
	struct kstack_t *ss = &sg->altstack;

	ks->sp = tf_sp(tf);
	ks->altstack = *ss;
	ks->on_altstack = false;
	if (ks->flags & SA_ONSTACK && !(ss->ss_flags & SS_DISABLE) && !on_altstack(ss, ks->sp)) {
		ks->sp = ss->ss_sp + ss->ss_size;
		ks->on_altstack = true;
	}
	if (arch_signal_frame(tf, ks, &sg->saved)) {
		set_blocked(sg->saved);
		sg->restore = false;
		force_sigsegv(ks->sig);
		return;
	}
	sg->restore = false;
	sg->restarting = false;
	if ((u32)ss->ss_flags & SS_AUTODISARM)
		*ss = (struct kstack_t){ .ss_flags = SS_DISABLE };
}

/* What becomes of an interrupted system call. ks: the signal that is about to be handled, NULL if none. */
static void settle_syscall(struct trapframe *tf, const struct ksignal *ks)
{
	long ret;

	if (tf_syscall_nr(tf) < 0)
		return;
	ret = tf_return(tf);
	switch (ret) {
	case -ERESTARTSYS:
		if (ks && !(ks->flags & SA_RESTART))
			break;
		tf_restart_syscall(tf);
		return;
	case -ERESTARTNOINTR:
		tf_restart_syscall(tf);
		return;
	case -ERESTARTNOHAND:
	case -ERESTART_RESTARTBLOCK:
		if (ks)
			break;
		current->sig->restarting = ret == -ERESTART_RESTARTBLOCK;
		tf_restart_syscall(tf);
		return;
	default:
		return;
	}
	tf_set_return(tf, -EINTR);
}

void do_signals(struct trapframe *tf)
{
	bool settled = false;
	struct ksignal ks;

	while (signal_pending(current)) {
		if (!get_signal(&ks))
			break;
		if (!settled)
			settle_syscall(tf, &ks);
		settled = true;
		push_frame(tf, &ks);
	}
	if (!settled)
		settle_syscall(tf, NULL);
	restore_sigmask();
}

/* ---- faults ---- */

void do_user_exception(struct trapframe *tf, int sig, int code, uintptr_t addr)
{
	bool off = irqs_off();

	if (off)
		irq_enable();
	force_signal(sig, code, addr);
	if (off)
		irq_disable();
}

void restore_sigmask(void)
{
	struct signal_task *sg = current->sig;

	if (!sg->restore)
		return;
	sg->restore = false;
	set_blocked(sg->saved);
}
