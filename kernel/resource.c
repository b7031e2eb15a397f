/*
 * Resources: limits, usage and times of processes, and the snapshot that /proc/PID/stat and status show.
 */
#include "kernel/process.h"
#include "kernel/rusage.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"

#define RUSAGE_SELF	0
#define RUSAGE_CHILDREN	(-1)
#define RUSAGE_THREAD	1

#define NOFILE_MAX	(1u << 20)

/* ---- times ---- */

/* n * part / whole for part <= whole, without overflow: the fraction has 16 bits. */
static u64 share(u64 n, u64 part, u64 whole)
{
	u64 f;

	while (whole >> 47) {
		whole >>= 1;
		part >>= 1;
	}
	f = whole ? (part << 16) / whole : 0;
	return (n >> 16) * f + ((n & 0xffff) * f >> 16);
}

void task_times(struct task *t, u64 *utime, u64 *stime)
{
	u64 run = task_runtime_ns(t), user = READ_ONCE(t->user_count), kernel = READ_ONCE(t->kernel_count);

	*utime = share(run, user, user + kernel);
	*stime = run - *utime + READ_ONCE(t->lent_ns);
}

void usage_add_task(struct usage *u, struct task *t)
{
	u64 utime, stime;

	task_times(t, &utime, &stime);
	u->utime += utime;
	u->stime += stime;
	u->min_flt += t->min_flt;
	u->maj_flt += t->maj_flt;
	u->nvcsw += t->nvcsw;
	u->nivcsw += t->nivcsw;
	u->kernel_count += t->kernel_count;
}

void usage_add(struct usage *u, const struct usage *more)
{
	u->utime += more->utime;
	u->stime += more->stime;
	u->min_flt += more->min_flt;
	u->maj_flt += more->maj_flt;
	u->nvcsw += more->nvcsw;
	u->nivcsw += more->nivcsw;
	u->maxrss = max(u->maxrss, more->maxrss);
	u->kernel_count += more->kernel_count;
}

/* Dead threads and living ones; a dead leader that is still listed was counted when it died. proc_lock held. */
static void usage_of_threads(struct process *p, struct usage *u)
{
	struct task *t;

	*u = p->dead;
	for_each_thread(p, t)
		if (t != p->leader || !p->leader_dead)
			usage_add_task(u, t);
}

void process_times(struct process *p, u64 *utime, u64 *stime)
{
	struct usage u;

	spin_lock(&proc_lock);
	usage_of_threads(p, &u);
	spin_unlock(&proc_lock);
	*utime = u.utime;
	*stime = u.stime;
}

/* ---- getrusage ---- */

int rusage_to_user(struct rusage_k *to, const struct usage *u)
{
	struct timeval_k ut = ns_to_timeval(u->utime), st = ns_to_timeval(u->stime);
	struct rusage_k r = {
		.utime_sec = ut.sec,
		.utime_usec = ut.usec,
		.stime_sec = st.sec,
		.stime_usec = st.usec,
		.maxrss = (s64)(u->maxrss << (PAGE_SHIFT - 10)),
		.minflt = (s64)u->min_flt,
		.majflt = (s64)u->maj_flt,
		.nvcsw = (s64)u->nvcsw,
		.nivcsw = (s64)u->nivcsw,
	};

	return copy_to_user(to, &r, sizeof(r));
}

SYSCALL2(getrusage, int, who, struct rusage_k *, uusage)
{
	struct process *p = current->proc;
	struct usage u = { 0 };

	switch (who) {
	case RUSAGE_SELF:
		spin_lock(&proc_lock);
		usage_of_threads(p, &u);
		spin_unlock(&proc_lock);
		break;
	case RUSAGE_THREAD:
		usage_add_task(&u, current);
		break;
	case RUSAGE_CHILDREN:
		spin_lock(&proc_lock);
		u = p->reaped;
		spin_unlock(&proc_lock);
		break;
	default:
		return -EINVAL;
	}
	if (who != RUSAGE_CHILDREN)
		u.maxrss = max(u.maxrss, mm_peak_rss(current->mm));
	return rusage_to_user(uusage, &u);
}

/* ---- limits ---- */

static int change_limit(struct process *p, unsigned resource, const struct rlimit_k *new)
{
	struct rlimit_k *r = &p->rlim[resource];

	if (new->cur > new->max)
		return -EINVAL;
	if (new->max > r->max && !is_root())
		return -EPERM;
	if (resource == RLIMIT_NOFILE && new->max > NOFILE_MAX)
		return -EPERM;
	WRITE_ONCE(r->cur, new->cur);
	WRITE_ONCE(r->max, new->max);
	return 0;
}

SYSCALL4(prlimit64, int, pid, u32, resource, const struct rlimit_k *, unew, struct rlimit_k *, uold)
{
	struct rlimit_k new, old;
	struct process *p;
	int err = 0;

	if (resource >= NR_RLIMITS)
		return -EINVAL;
	if (unew && copy_from_user(&new, unew, sizeof(new)))
		return -EFAULT;
	p = pid ? find_get_process(pid) : get_process(current->proc);
	if (!p)
		return -ESRCH;
	if (p != current->proc && !is_root() && p->cred.uid != current_cred()->uid)
		err = -EPERM;
	old = p->rlim[resource];
	if (!err && unew)
		err = change_limit(p, resource, &new);
	put_process(p);
	if (!err && uold)
		err = copy_to_user(uold, &old, sizeof(old));
	return err;
}

SYSCALL2(getrlimit, u32, resource, struct rlimit_k *, ulim)
{
	if (resource >= NR_RLIMITS)
		return -EINVAL;
	return copy_to_user(ulim, &current->proc->rlim[resource], sizeof(*ulim));
}

SYSCALL2(setrlimit, u32, resource, const struct rlimit_k *, ulim)
{
	struct rlimit_k new;

	if (resource >= NR_RLIMITS)
		return -EINVAL;
	if (copy_from_user(&new, ulim, sizeof(new)))
		return -EFAULT;
	return change_limit(current->proc, resource, &new);
}

/* ---- reports ---- */

char task_state_char(const struct task *t)
{
	switch (READ_ONCE(t->state)) {
	case TASK_RUNNING:
	case TASK_NEW:
		return 'R';
	case TASK_INTERRUPTIBLE:
		return t->flags & TF_KTHREAD ? 'I' : 'S';
	case TASK_STOPPED:
		return 'T';
	case TASK_DEAD:
		return 'X';
	default:
		return 'D';
	}
}

static void signals_of(struct process *p, struct task *t, struct process_stat *st)
{
	spin_lock(&p->siglock);
	st->pending = t->sig->pending.set;
	st->shared_pending = p->pending.set;
	st->blocked = t->sig->blocked;
	st->nr_queued = p->nr_queued;
	for (int sig = 1; sig <= NSIG; sig++) {
		uintptr_t handler = handler_of(p, sig);

		if (handler == SIG_IGN)
			st->ignored |= sigmask(sig);
		else if (handler != SIG_DFL)
			st->caught |= sigmask(sig);
	}
	spin_unlock(&p->siglock);
}

void process_stat(struct process *p, struct task *thread, struct process_stat *st)
{
	struct mm *mm = thread ? get_task_mm(thread) : get_process_mm(p);
	struct task *t;
	struct usage u = { 0 };

	*st = (struct process_stat){ .pid = p->pid, .state = 'X' };
	spin_lock(&proc_lock);
	if (p->state == PROC_REAPED) {		/* its leader may have been freed */
		spin_unlock(&proc_lock);
		if (mm)
			mmput(mm);
		return;
	}
	t = thread ? thread : p->leader;
	st->pid = t->pid;
	memcpy(st->comm, t->comm, sizeof(st->comm));
	st->comm[sizeof(st->comm) - 1] = 0;
	st->nice = t->nice;
	st->cpu = t->cpu;
	if (p->state == PROC_RUNNING && !(t == p->leader && p->leader_dead))
		st->state = task_state_char(t);
	else
		st->state = 'Z';
	st->ppid = p->parent->pid;
	st->pgrp = p->pgrp;
	st->session = p->session;
	st->tty = p->tty;
	st->threads = p->nr_threads;
	st->start_time = thread ? t->start_time : p->start_time;
	st->exit_code = p->exit_code;
	st->exit_signal = thread && t != p->leader ? -1 : p->exit_signal;
	if (thread)
		usage_add_task(&u, t);
	else
		usage_of_threads(p, &u);
	st->utime = u.utime;
	st->stime = u.stime;
	st->min_flt = u.min_flt;
	st->maj_flt = u.maj_flt;
	st->nvcsw = u.nvcsw;
	st->nivcsw = u.nivcsw;
	st->kernel_count = u.kernel_count;
	st->cutime = p->reaped.utime;
	st->cstime = p->reaped.stime;
	st->cmin_flt = p->reaped.min_flt;
	st->cmaj_flt = p->reaped.maj_flt;
	st->ckernel_count = p->reaped.kernel_count;
	st->uid = p->cred.uid;
	st->euid = p->cred.euid;
	st->suid = p->cred.suid;
	st->fsuid = p->cred.fsuid;
	st->gid = p->cred.gid;
	st->egid = p->cred.egid;
	st->sgid = p->cred.sgid;
	st->fsgid = p->cred.fsgid;
	if (t->sig)
		signals_of(p, t, st);
	spin_unlock(&proc_lock);
	if (mm) {
		st->vsize = mm->total_vm << PAGE_SHIFT;
		st->rss = mm_rss(mm);
		mmput(mm);
	}
}
