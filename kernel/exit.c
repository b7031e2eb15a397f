/*
 * The end of tasks. The order a reader follows:
 *
 *	do_exit -> release_user_memory -> exit_mm (the address space goes, if this was its last user) -> files
 *		-> exit_notify (children to init, zombie, parent told) -> sched_exit (never returns)
 *
 * The parent is told after the memory is back, so wait(2) returns when it is. A thread that is not the leader
 * vanishes in exit_notify; the leader stays as a number until every thread has gone and somebody has waited for the
 * process.
 */
#include "kernel/process.h"

#include <arch/boot.h>

#include "kernel/fsapi.h"
#include "kernel/printk.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"

void init_exited(int code)
{
	int status = code & 0x7f ? 128 + (code & 0x7f) : code >> 8 & 0xff;
	char line[40];
	int n = kscnprintf(line, sizeof(line), "exeunt: exit status %d\n", status);

	console_write(line, (size_t)n);
	arch_poweroff(status);
}

void release_user_memory(void)
{
	struct task *t = current;
	u32 *tid = t->clear_child_tid;

	if (!t->mm)
		return;
	if (unlikely(t->robust_list))
		exit_robust_list(t);
	if (!tid)
		return;
	t->clear_child_tid = NULL;
	/* Nobody can wait on the word if nobody else has the memory. */
	if (atomic_read(&t->mm->users) > 1) {
		u32 zero = 0;

		if (!copy_to_user(tid, &zero, sizeof(zero)))
			(void)futex_wake_user(tid, 1);
	}
}

/* Who takes the children of p: the nearest ancestor that asked for it, else init. */
static struct process *find_reaper(struct process *p)
{
	for (struct process *a = p->parent; a != &kernel_process; a = a->parent)
		if (a->child_subreaper && atomic_read(&a->live))
			return a;
	return init_process;
}

static void reparent_children(struct process *p)
{
	struct process *reaper, *child, *tmp;

	if (list_empty(&p->children))
		return;
	reaper = find_reaper(p);
	list_for_each_entry_safe(child, tmp, &p->children, sibling) {
		rcu_assign_pointer(child->parent, reaper);
		if (child->pdeath_signal)
			(void)send_signal_process(child, child->pdeath_signal, NULL);
		if (child->state != PROC_ZOMBIE) {
			list_move_tail(&child->sibling, &reaper->children);
			pgrp_check_orphans(child, p);
			continue;
		}
		list_move(&child->sibling, &reaper->children);
		child->exit_signal = SIGCHLD;
		if (notify_parent(child, CLD_EXITED, child->exit_code)) {
			process_unlink(child);
			put_task(child->leader);
		}
	}
}

/* The last thread has gone: p becomes a zombie, or vanishes if its parent does not care. proc_lock held. */
static void process_ends(struct process *p)
{
	reparent_children(p);
	p->exit_code = p->flags & PROC_GROUP_EXIT ? p->group_exit_code : p->leader->exit_code;
	pgrp_check_orphans(p, p->parent);
	p->state = PROC_ZOMBIE;
	list_move(&p->sibling, &p->parent->children);
	if (notify_parent(p, CLD_EXITED, p->exit_code)) {
		process_unlink(p);
		put_task(p->leader);
	}
}

static void exit_notify(u64 maxrss)
{
	struct task *t = current;
	struct process *p = t->proc;
	bool leader, stopped;

	spin_lock(&proc_lock);
	spin_lock(&p->siglock);
	stopped = signal_exit_thread();
	usage_add_task(&p->dead, t);
	p->dead.maxrss = max(p->dead.maxrss, maxrss);
	leader = t == p->leader;
	if (leader)
		p->leader_dead = true;
	else
		process_unlink_thread(t);
	if (unlikely(p->exec_task))
		wake_up_task(p->exec_task);
	spin_unlock(&p->siglock);
	if (p->nr_threads == 1 && p->leader_dead)
		process_ends(p);
	else if (stopped)
		(void)notify_parent(p, CLD_STOPPED, p->stop_sig);
	spin_unlock(&proc_lock);
	if (!leader)
		put_task(t);
}

/* The pointers first: /proc looks at them, under RCU. */
static void drop_files(struct task *t)
{
	struct files *files = t->files;
	struct fs_context *fs = t->fs;

	WRITE_ONCE(t->files, NULL);
	WRITE_ONCE(t->fs, NULL);
	files_put(files);
	fs_put(fs);
}

void do_exit(int code)
{
	struct task *t = current;
	struct process *p = t->proc;
	u64 maxrss = 0;

	ASSERT(p != &kernel_process, "%s[%d] is a kernel thread", t->comm, t->pid);
	task_mm_lock(t);
	t->flags |= TF_EXITING;
	task_mm_unlock(t);
	t->exit_code = code;
	if (atomic_dec_and_test(&p->live)) {
		if (unlikely(p == init_process))
			init_exited(p->flags & PROC_GROUP_EXIT ? p->group_exit_code : code);
		if (p->itimers)
			itimers_exit(p);
		if (p->session == p->pid && tty_session_exit)
			tty_session_exit(p);
	}
	if (t->mm) {
		maxrss = mm_peak_rss(t->mm);
		release_user_memory();
		exit_mm();
	}
	if (p->vfork_done && atomic_read(&p->live) == 0)
		vfork_release(p);
	drop_files(t);
	exit_notify(maxrss);
	sched_exit();
}

void do_group_exit(int code)
{
	struct process *p = current->proc;

	if (p->nr_threads > 1 || READ_ONCE(p->flags) & PROC_GROUP_EXIT) {
		spin_lock(&p->siglock);
		if (p->flags & PROC_GROUP_EXIT) {
			code = p->group_exit_code;
		} else {
			p->flags |= PROC_GROUP_EXIT;
			p->group_exit_code = code;
			zap_other_threads(p, current);
		}
		spin_unlock(&p->siglock);
	}
	do_exit(code);
}

SYSCALL1(exit, int, status)
{
	do_exit((status & 0xff) << 8);
}

SYSCALL1(exit_group, int, status)
{
	do_group_exit((status & 0xff) << 8);
}
