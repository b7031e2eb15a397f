/*
 * Numbers of tasks, groups and sessions: getpid and its relatives.
 */
#include "kernel/process.h"
#include "kernel/syscall.h"

SYSCALL0(getpid)
{
	return current->proc->pid;
}

SYSCALL0(gettid)
{
	return current->pid;
}

SYSCALL0(getppid)
{
	int pid;

	rcu_read_lock();
	pid = rcu_dereference(current->proc->parent)->pid;
	rcu_read_unlock();
	return pid;
}

SYSCALL0(getpgrp)
{
	return READ_ONCE(current->proc->pgrp);
}

/* 0: the caller's. */
static long id_of(int pid, bool session)
{
	struct process *p;
	long id = -ESRCH;

	if (!pid)
		return session ? current->proc->session : current->proc->pgrp;
	rcu_read_lock();
	p = find_process(pid);
	if (p)
		id = session ? READ_ONCE(p->session) : READ_ONCE(p->pgrp);
	rcu_read_unlock();
	return id;
}

SYSCALL1(getpgid, int, pid)
{
	return id_of(pid, false);
}

SYSCALL1(getsid, int, pid)
{
	return id_of(pid, true);
}

SYSCALL2(setpgid, int, pid, int, pgid)
{
	struct process *self = current->proc, *p = self;
	long err = -ESRCH;

	if (!pid)
		pid = self->pid;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	spin_lock(&proc_lock);
	p = find_process(pid);
	if (!p || p->state == PROC_REAPED)
		goto out;
	if (p != self) {
		if (p->parent != self)
			goto out;
		err = -EPERM;
		if (p->session != self->session)
			goto out;
		err = -EACCES;
		if (p->flags & PROC_EXECED)
			goto out;
	}
	err = -EPERM;
	if (p->session == p->pid)	/* a session leader stays where it is */
		goto out;
	if (pgid != pid) {
		struct list_head *members = pgrp_members(pgid);
		struct process *first;

		if (!members || list_empty(members))
			goto out;
		first = list_first_entry(members, struct process, pgrp_link);
		if (first->session != self->session)
			goto out;
	}
	err = 0;
	if (p->pgrp != pgid) {
		pgrp_check_orphans(p, p->parent);
		process_set_pgrp(p, pgid);
	}
out:
	spin_unlock(&proc_lock);
	return err;
}

SYSCALL0(setsid)
{
	struct process *p = current->proc;
	struct list_head *members;
	long ret = -EPERM;

	spin_lock(&proc_lock);
	members = pgrp_members(p->pid);
	/* The new group must be new: nobody else may be in a group of this number, nor this process lead one. */
	if (p->session != p->pid && list_empty(members)) {
		process_set_session(p, p->pid);
		process_set_pgrp(p, p->pid);
		p->tty = NULL;
		ret = p->pid;
	}
	spin_unlock(&proc_lock);
	return ret;
}

SYSCALL1(set_tid_address, u32 *, tidptr)
{
	current->clear_child_tid = tidptr;
	return current->pid;
}
