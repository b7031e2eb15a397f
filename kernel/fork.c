/*
 * New tasks: clone and its relatives, and pid 1.
 *
 * Everything that can fail happens before process_attach(), which makes the task visible; after it the new task is
 * started for certain.
 */
#include "kernel/process.h"

#include <arch/trap.h>

#include "kernel/fsapi.h"
#include "kernel/printk.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"

#define CLONE_KNOWN                                                                                                    \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT | CLONE_THREAD |               \
	 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED | \
	 CLONE_CHILD_SETTID | CLONE_IO | CLONE_CLEAR_SIGHAND)

static int check_flags(const struct clone_args_k *a)
{
	u64 f = a->flags;

	if (f & ~CLONE_KNOWN)
		return -EINVAL;
	if (f & CLONE_THREAD && (!(f & CLONE_SIGHAND) || f & CLONE_VFORK || a->exit_signal))
		return -EINVAL;
	if (f & CLONE_SIGHAND && (!(f & CLONE_VM) || f & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if (f & CLONE_PARENT && current->proc->flags & PROC_UNKILLABLE)
		return -EINVAL;
	if (a->exit_signal < 0 || a->exit_signal > NSIG)
		return -EINVAL;
	return 0;
}

/* The parts that a task shares with its maker or copies from it. What was taken is given back by drop_parts(). */
static int copy_parts(struct task *t, const struct clone_args_k *a)
{
	struct task *self = current;
	int err;

	if (a->flags & CLONE_THREAD) {
		t->proc = get_process(self->proc);
	} else {
		struct process *p = process_create();

		if (IS_ERR(p))
			return PTR_ERR(p);
		t->proc = p;
		p->exit_signal = a->flags & CLONE_PARENT ? self->proc->exit_signal : a->exit_signal;
	}
	err = signal_fork(t, t->proc, a->flags);
	if (err)
		return err;

	t->files = a->flags & CLONE_FILES ? files_get(self->files) : files_dup(self->files);
	if (IS_ERR(t->files)) {
		err = PTR_ERR(t->files);
		t->files = NULL;
		return err;
	}
	t->fs = a->flags & CLONE_FS ? fs_get(self->fs) : fs_dup(self->fs);
	if (IS_ERR(t->fs)) {
		err = PTR_ERR(t->fs);
		t->fs = NULL;
		return err;
	}
	t->mm = a->flags & CLONE_VM ? mmget(self->mm) : mm_dup(self->mm);
	if (IS_ERR(t->mm)) {
		err = PTR_ERR(t->mm);
		t->mm = NULL;
		return err;
	}
	return arch_thread_user(t, task_trapframe(self), a->stack, a->tls, a->flags & CLONE_SETTLS);
}

/* A task that never became visible. */
static void drop_parts(struct task *t)
{
	if (t->mm)
		mmput(t->mm);
	t->mm = NULL;
	if (t->fs)
		fs_put(t->fs);
	if (t->files)
		files_put(t->files);
	t->fs = NULL;
	t->files = NULL;
	put_task(t);
}

static void wait_for_vfork(struct process *p, struct completion *done)
{
	if (!wait_for_completion_killable(done))
		return;
	/* Killed: take the completion back, unless the child is about to use it. */
	if (!xchg(&p->vfork_done, NULL))
		wait_for_completion(done);
}

void vfork_release(struct process *p)
{
	struct completion *done;

	if (!READ_ONCE(p->vfork_done))
		return;
	done = xchg(&p->vfork_done, NULL);
	if (done)
		complete(done);
}

long do_clone(const struct clone_args_k *a)
{
	struct completion vfork;
	struct process *p;
	struct task *t;
	int err, pid;

	err = check_flags(a);
	if (err)
		return err;
	t = task_alloc();
	if (IS_ERR(t))
		return PTR_ERR(t);
	t->flags = TF_FORKNOEXEC;
	memcpy(t->comm, current->comm, TASK_COMM_LEN);
	t->start_time = clock_ns();
	sched_fork(t);
	err = copy_parts(t, a);
	if (err)
		goto fail;
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = (u32 *)a->child_tid;
	p = t->proc;
	if (a->flags & CLONE_VFORK) {
		completion_init(&vfork);
		p->vfork_done = &vfork;
		get_process(p);
	}
	err = process_attach(t, p, a->flags & CLONE_PARENT ? NULL : current->proc, 0);
	if (err) {
		if (a->flags & CLONE_VFORK)
			put_process(p);
		goto fail;
	}

	/*
	 * From here on the new task may be signalled, so nothing fails any more: like Linux, a bad address for the
	 * number is ignored.
	 */
	pid = t->pid;
	if (a->flags & CLONE_PARENT_SETTID && copy_to_user(a->parent_tid, &pid, sizeof(pid)))
		pid = t->pid;
	if (a->flags & CLONE_CHILD_SETTID && access_ok(a->child_tid, sizeof(pid)))
		(void)access_process_vm(t->mm, (uintptr_t)a->child_tid, &pid, sizeof(pid), true);
	wake_up_new_task(t);
	if (a->flags & CLONE_VFORK) {
		wait_for_vfork(p, &vfork);
		put_process(p);
	}
	return pid;

fail:
	drop_parts(t);
	return err;
}

/* ---- system calls ---- */

SYSCALL5(clone, unsigned long, flags, uintptr_t, stack, int *, parent_tid, unsigned long, a3, unsigned long, a4)
{
	struct clone_args_k args = {
		.flags = (u32)flags & ~CLONE_CSIGNAL,
		.exit_signal = flags & CLONE_CSIGNAL,
		.stack = stack,
		.tls = CLONE_TLS_LAST ? a4 : a3,
		.parent_tid = parent_tid,
		.child_tid = (int *)(CLONE_TLS_LAST ? a3 : a4),
	};

	if (args.flags & CLONE_THREAD)
		args.exit_signal = 0;
	return do_clone(&args);
}

SYSCALL0(fork)
{
	struct clone_args_k args = { .exit_signal = SIGCHLD };

	return do_clone(&args);
}

SYSCALL0(vfork)
{
	struct clone_args_k args = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };

	return do_clone(&args);
}

/* struct clone_args; longer ones are taken if what we do not know is zero. */
struct clone3_args {
	u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

SYSCALL2(clone3, const struct clone3_args *, uargs, size_t, size)
{
	struct clone_args_k args;
	struct clone3_args c = { 0 };
	u64 extra;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < offsetof(struct clone3_args, set_tid))
		return -EINVAL;
	if (copy_from_user(&c, uargs, min(size, sizeof(c))))
		return -EFAULT;
	for (size_t at = sizeof(c); at < size; at += sizeof(extra)) {
		extra = 0;
		if (copy_from_user(&extra, (const char *)uargs + at, min(size - at, sizeof(extra))))
			return -EFAULT;
		if (extra)
			return -E2BIG;
	}
	if (c.flags & (CLONE_CSIGNAL | CLONE_DETACHED) || c.exit_signal > NSIG || c.set_tid || c.set_tid_size)
		return -EINVAL;
	if (!c.stack != !c.stack_size || (c.stack && !access_ok((void *)c.stack, c.stack_size)))
		return -EINVAL;
	args = (struct clone_args_k){
		.flags = c.flags,
		.exit_signal = (int)c.exit_signal,
		.stack = c.stack + c.stack_size,
		.tls = c.tls,
		.parent_tid = (int *)c.parent_tid,
		.child_tid = (int *)c.child_tid,
	};
	return do_clone(&args);
}

/* ---- pid 1 ---- */

/* Returns into the program that it loaded. */
static void init_thread(void *arg)
{
	int err = kernel_exec_init();

	if (err)
		panic("cannot start init: error %d", -err);
}

struct task *spawn_init(void)
{
	struct task *t = task_alloc();
	struct process *p;
	int err;

	if (IS_ERR(t))
		return t;
	strscpy(t->comm, "init", TASK_COMM_LEN);
	t->start_time = clock_ns();
	sched_fork(t);
	t->nice = 0;
	cpumask_copy(&t->affinity, &cpu_online_mask);
	p = process_create();
	if (IS_ERR(p)) {
		put_task(t);
		return ERR_CAST(p);
	}
	t->proc = p;
	p->exit_signal = SIGCHLD;
	p->flags = PROC_UNKILLABLE;
	err = signal_fork(t, p, 0);
	if (err)
		goto fail;
	t->files = files_create();
	if (IS_ERR(t->files)) {
		err = PTR_ERR(t->files);
		t->files = NULL;
		goto fail;
	}
	t->fs = fs_create();
	if (IS_ERR(t->fs)) {
		err = PTR_ERR(t->fs);
		t->fs = NULL;
		goto fail;
	}
	arch_thread_kernel(t, init_thread, NULL);
	err = process_attach(t, p, &kernel_process, 1);
	if (err)
		goto fail;
	init_process = p;
	return t;
fail:
	drop_parts(t);
	return ERR_PTR(err);
}
