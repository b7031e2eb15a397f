/*
 * Job control: whose terminal it is, and which group is in the foreground.
 */
#include "kernel/dev/tty.h"

#include <arch/uapi.h>

#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/uaccess.h"

/* Is it current's controlling terminal? */
static bool is_mine(const struct tty *tty)
{
	return READ_ONCE(current->proc->tty) == tty;
}

int tty_check_background(struct tty *tty, int sig)
{
	struct process *p = current->proc;
	int pgrp = READ_ONCE(p->pgrp), fg = READ_ONCE(tty->pgrp);
	bool orphaned;

	if (likely(!is_mine(tty) || !fg || pgrp == fg))
		return 0;
	if (signal_ignored_or_blocked(sig))
		return sig == SIGTTIN ? -EIO : 0;
	spin_lock(&proc_lock);
	orphaned = pgrp_orphaned(pgrp, NULL);
	spin_unlock(&proc_lock);
	if (orphaned)
		return -EIO;
	kill_pgrp(pgrp, sig);
	return -ERESTARTSYS;
}

/* The terminal is nobody's: processes of the session lose it. tty->lock is held. */
static void tty_give_up(struct tty *tty)
{
	int session = tty->session, pid = 1;
	struct process *p;

	while ((p = next_process(pid))) {
		pid = p->pid + 1;
		spin_lock(&proc_lock);
		if (p->session == session && p->tty == tty)
			p->tty = NULL;
		spin_unlock(&proc_lock);
		put_process(p);
	}
	spin_lock(&proc_lock);
	tty->session = tty->pgrp = 0;
	spin_unlock(&proc_lock);
}

void tty_session_exit(struct process *leader)
{
	struct tty *tty = READ_ONCE(leader->tty);
	int pgrp = 0;

	if (!tty)
		return;
	mutex_lock(&tty->lock);
	if (tty->session == leader->session && leader->pid == leader->session) {
		pgrp = tty->pgrp;
		tty_give_up(tty);
	}
	mutex_unlock(&tty->lock);
	if (pgrp) {
		kill_pgrp(pgrp, SIGHUP);
		kill_pgrp(pgrp, SIGCONT);
	}
}

/* TIOCSCTTY: tty->lock is held. */
static long tty_take(struct tty *tty, bool steal)
{
	struct process *p = current->proc;
	long err = 0;

	if (p->tty == tty && tty->session == p->session)
		return 0;
	if (p->pid != p->session || p->tty)
		return -EPERM;
	if (tty->session) {
		if (!steal || !is_root())
			return -EPERM;
		tty_give_up(tty);
	}
	spin_lock(&proc_lock);
	tty->session = p->session;
	tty->pgrp = p->pgrp;
	p->tty = tty;
	spin_unlock(&proc_lock);
	return err;
}

static long tty_set_pgrp(struct tty *tty, const int __user *arg)
{
	struct list_head *members;
	long err;
	int pgrp;

	err = tty_check_background(tty, SIGTTOU);
	if (err)
		return err;
	if (copy_from_user(&pgrp, arg, sizeof(pgrp)))
		return -EFAULT;
	if (pgrp <= 0)
		return -EINVAL;
	mutex_lock(&tty->lock);
	spin_lock(&proc_lock);
	members = pgrp_members(pgrp);
	if (current->proc->tty != tty || current->proc->session != tty->session)
		err = -ENOTTY;
	else if (!members || list_empty(members))
		err = -ESRCH;
	else if (list_first_entry(members, struct process, pgrp_link)->session != tty->session)
		err = -EPERM;
	else
		tty->pgrp = pgrp;
	spin_unlock(&proc_lock);
	mutex_unlock(&tty->lock);
	return err;
}

long tty_job_ioctl(struct tty *tty, unsigned cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;
	long err;
	int val;

	switch (cmd) {
	case TIOCSCTTY:
		mutex_lock(&tty->lock);
		err = tty_take(tty, arg == 1);
		mutex_unlock(&tty->lock);
		return err;
	case TIOCNOTTY:
		if (!is_mine(tty))
			return -ENOTTY;
		if (current->proc->pid == current->proc->session) {
			tty_session_exit(current->proc);
		} else {
			spin_lock(&proc_lock);
			current->proc->tty = NULL;
			spin_unlock(&proc_lock);
		}
		return 0;
	case TIOCGPGRP:
	case TIOCGSID:
		if (!is_mine(tty))
			return -ENOTTY;
		val = cmd == TIOCGPGRP ? READ_ONCE(tty->pgrp) : READ_ONCE(tty->session);
		return copy_to_user(p, &val, sizeof(val));
	case TIOCSPGRP:
		return is_mine(tty) ? tty_set_pgrp(tty, p) : -ENOTTY;
	}
	return -ENOIOCTL;
}
