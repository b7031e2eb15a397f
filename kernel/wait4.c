/*
 * Waiting for children: wait4 and waitid.
 *
 * A parent's children are listed zombies first, so who waits for any child looks at one. A child is reaped under
 * proc_lock by the first waiter that finds it.
 */
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/rusage.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

#define WNOHANG		0x00000001
#define WUNTRACED	0x00000002
#define WSTOPPED	0x00000002
#define WEXITED		0x00000004
#define WCONTINUED	0x00000008
#define WNOWAIT		0x01000000
#define __WNOTHREAD	0x20000000
#define __WALL		0x40000000
#define __WCLONE	0x80000000u

#define P_ALL		0
#define P_PID		1
#define P_PGID		2

struct waiter {
	int type;			/* P_* */
	int id;
	u32 options;
	bool want_usage;

	/* What was found. */
	int pid;
	u32 uid;
	int status;			/* as wait(2) has it */
	int code;			/* CLD_* */
	struct usage usage;
};

static bool eligible(const struct waiter *w, const struct process *child)
{
	if (w->type == P_PID && child->pid != w->id)
		return false;
	if (w->type == P_PGID && child->pgrp != w->id)
		return false;
	return w->options & __WALL || (child->exit_signal != SIGCHLD) == !!(w->options & __WCLONE);
}

static void found(struct waiter *w, struct process *child, int code, int status)
{
	w->pid = child->pid;
	w->uid = child->cred.uid;
	w->code = code;
	w->status = status;
	if (w->want_usage) {
		w->usage = child->dead;
		usage_add(&w->usage, &child->reaped);
	}
}

/* Something to report about this child? A reaped leader's tree reference goes into *gone. proc_lock held. */
static bool check_child(struct waiter *w, struct process *child, struct task **gone)
{
	bool ret = false;

	if (child->state == PROC_ZOMBIE) {
		if (!(w->options & WEXITED))
			return false;
		found(w, child, child->exit_code & 0x7f ? CLD_KILLED : CLD_EXITED, child->exit_code);
		if (!(w->options & WNOWAIT)) {
			struct process *parent = child->parent;

			usage_add(&parent->reaped, &child->dead);
			usage_add(&parent->reaped, &child->reaped);
			*gone = child->leader;
			process_unlink(child);
		}
		return true;
	}
	if (!(w->options & (WSTOPPED | WCONTINUED)))
		return false;
	spin_lock(&child->siglock);
	if (w->options & WSTOPPED && child->stop_report) {
		found(w, child, CLD_STOPPED, child->stop_report << 8 | 0x7f);
		if (!(w->options & WNOWAIT))
			child->stop_report = 0;
		ret = true;
	} else if (w->options & WCONTINUED && child->cont_report) {
		found(w, child, CLD_CONTINUED, 0xffff);
		if (!(w->options & WNOWAIT))
			child->cont_report = false;
		ret = true;
	}
	spin_unlock(&child->siglock);
	return ret;
}

/* 1: found, 0: nothing yet, -ECHILD: nothing can come. */
static int scan(struct waiter *w, struct task **gone)
{
	struct process *self = current->proc, *child;
	int ret = -ECHILD;

	if (w->type == P_PID) {
		child = find_process(w->id);
		if (!child || child->parent != self || child->state == PROC_REAPED || !eligible(w, child))
			return -ECHILD;
		return check_child(w, child, gone);
	}
	list_for_each_entry(child, &self->children, sibling) {
		if (!eligible(w, child))
			continue;
		if (check_child(w, child, gone))
			return 1;
		ret = 0;
		if (child->state != PROC_ZOMBIE && !(w->options & (WSTOPPED | WCONTINUED)))
			break;		/* zombies come first: there is none further on */
	}
	return ret;
}

/* 1: w says what was found, 0: nothing (WNOHANG), -ECHILD, -ERESTARTSYS. Sleeps. */
static int do_wait(struct waiter *w)
{
	struct wait_queue *wq = &current->proc->wait_chld;
	struct task *gone = NULL;
	struct wait_entry e;
	bool queued = false;
	int ret;

	for (;;) {
		spin_lock(&proc_lock);
		ret = scan(w, &gone);
		spin_unlock(&proc_lock);
		if (ret || w->options & WNOHANG)
			break;
		if (!queued) {
			wait_entry_init(&e);
			prepare_to_wait(wq, &e, TASK_INTERRUPTIBLE);
			queued = true;
			continue;	/* look again: what happened before we were in the queue woke nobody */
		}
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
		prepare_to_wait(wq, &e, TASK_INTERRUPTIBLE);	/* the wake-up took us off the queue */
	}
	if (queued)
		finish_wait(wq, &e);
	if (gone)
		put_task(gone);
	return ret;
}

SYSCALL4(wait4, int, pid, int *, ustatus, u32, options, struct rusage_k *, urusage)
{
	struct waiter w = { .type = P_ALL, .options = options | WEXITED, .want_usage = urusage != NULL };
	int ret;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT_MIN)
		return -ESRCH;
	if (pid > 0) {
		w.type = P_PID;
		w.id = pid;
	} else if (pid != -1) {
		w.type = P_PGID;
		w.id = pid ? -pid : current->proc->pgrp;
	}
	ret = do_wait(&w);
	if (ret <= 0)
		return ret;
	if (ustatus && copy_to_user(ustatus, &w.status, sizeof(w.status)))
		return -EFAULT;
	if (urusage && rusage_to_user(urusage, &w.usage))
		return -EFAULT;
	return w.pid;
}

SYSCALL5(waitid, int, which, int, id, struct siginfo_k *, uinfo, u32, options, struct rusage_k *, urusage)
{
	struct waiter w = { .type = which, .id = id, .options = options, .want_usage = urusage != NULL };
	struct siginfo_k info = { 0 };
	int ret;

	if (options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL) ||
	    !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch (which) {
	case P_ALL:
		break;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		break;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		if (!id)
			w.id = current->proc->pgrp;
		break;
	default:
		return -EINVAL;
	}
	ret = do_wait(&w);
	if (ret < 0)
		return ret;
	if (ret) {
		info.si_signo = SIGCHLD;
		info.si_code = w.code;
		info.si_pid = w.pid;
		info.si_uid = w.uid;
		if (w.code == CLD_EXITED || w.code == CLD_STOPPED)
			info.si_status = w.status >> 8 & 0xff;
		else
			info.si_status = w.code == CLD_KILLED ? w.status & 0x7f : SIGCONT;
		if (urusage && rusage_to_user(urusage, &w.usage))
			return -EFAULT;
	}
	/* Linux writes the first fields only, so a shorter siginfo_t would do. */
	if (uinfo && copy_to_user(uinfo, &info, SIGINFO_USED))
		return -EFAULT;
	return 0;
}
