/*
 * Sending signals: queues, who takes a signal, what happens at once (stop, continue, death), and masks.
 *
 * A fatal signal is decided when it is sent: if nothing blocks, handles or waits for it, the process is marked
 * PROC_GROUP_EXIT and SIGKILL becomes pending in each thread, so sleeps that only a fatal signal may end know it from
 * their own task.
 *
 * Locks: siglock of the receiver; its sighand->lock for a moment inside, because CLONE_SIGHAND shares actions between
 * processes. Allocation under these locks does not sleep and may fail: a standard signal then goes without its
 * siginfo, a real-time one that was queued by a program is refused with -EAGAIN.
 */
#include "kernel/signal.h"

#include <arch/trap.h>

#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab.h"

#define QUEUE_LIMIT	4096u	/* entries per process, whatever RLIMIT_SIGPENDING says */

struct sigqueue {
	struct list_head link;		/* s */
	u8 info[SIGINFO_USED];
};

static struct kmem_cache *sigqueue_cache;

void sigpending_init(struct sigpending *sp)
{
	sp->set = 0;
	list_init(&sp->queue);
}

/* ---- queues: siglock held ---- */

static void drop_entry(struct process *p, struct sigqueue *q)
{
	list_del(&q->link);
	p->nr_queued--;
	kmem_cache_free(sigqueue_cache, q);
}

static int entry_signo(const struct sigqueue *q)
{
	s32 signo;

	memcpy(&signo, q->info, sizeof(signo));
	return signo;
}

static void flush_signals(struct process *p, struct sigpending *sp, sigset which)
{
	struct sigqueue *q, *tmp;

	if (!(sp->set & which))
		return;
	sp->set &= ~which;
	list_for_each_entry_safe(q, tmp, &sp->queue, link)
		if (sigmask(entry_signo(q)) & which)
			drop_entry(p, q);
}

void flush_signals_everywhere(struct process *p, sigset which)
{
	struct task *t;

	flush_signals(p, &p->pending, which);
	for_each_thread(p, t)
		flush_signals(p, &t->sig->pending, which);
}

static void take_info(struct process *p, struct sigpending *sp, int sig, struct siginfo_k *info)
{
	struct sigqueue *q, *tmp, *found = NULL;

	*info = (struct siginfo_k){ .si_signo = sig, .si_code = SI_USER };
	sp->set &= ~sigmask(sig);
	if (list_empty(&sp->queue))
		return;
	list_for_each_entry_safe(q, tmp, &sp->queue, link) {
		if (entry_signo(q) != sig)
			continue;
		if (found) {
			sp->set |= sigmask(sig);	/* another of the same number waits */
			break;
		}
		found = q;
	}
	if (found) {
		memcpy(info, found->info, SIGINFO_USED);
		drop_entry(p, found);
	}
}

/* What the program did to itself first, then the lowest number; the thread's own before the shared ones. */
int dequeue_signal(sigset wanted, struct siginfo_k *info)
{
	struct process *p = current->proc;
	struct sigpending *sp = &current->sig->pending;
	sigset set = sp->set & wanted;
	int sig;

	assert_spin_locked(&p->siglock);
	if (!set) {
		sp = &p->pending;
		set = sp->set & wanted;
		if (!set)
			return 0;
	} else if (set & SIG_SYNCHRONOUS) {
		set &= SIG_SYNCHRONOUS;
	}
	sig = (int)__ffs64(set) + 1;
	take_info(p, sp, sig, info);
	return sig;
}

static int enqueue(struct process *p, struct sigpending *sp, int sig, const struct siginfo_k *info)
{
	struct sigqueue *q = NULL;

	if (sig == SIGKILL) {
		sp->set |= sigmask(sig);
		return 0;
	}
	if (p->nr_queued < QUEUE_LIMIT && (sig < SIGRTMIN || p->nr_queued < p->rlim[RLIMIT_SIGPENDING].cur))
		q = kmem_cache_alloc(sigqueue_cache, GFP_NOWAIT | GFP_NOWARN);
	if (q) {
		if (info) {
			memcpy(q->info, info, SIGINFO_USED);
		} else {
			struct siginfo_k kernel = { .si_signo = sig, .si_code = SI_KERNEL };

			memcpy(q->info, &kernel, SIGINFO_USED);
		}
		list_add_tail(&q->link, &sp->queue);
		p->nr_queued++;
	} else if (sig >= SIGRTMIN && info && info->si_code != SI_USER) {
		return -EAGAIN;
	}
	sp->set |= sigmask(sig);
	return 0;
}

/* ---- who is told ---- */

static void signal_wake_up(struct task *t, bool fatal)
{
	set_work(t, WORK_SIGNAL);
	if (!wake_up_state(t, TASK_INTERRUPTIBLE | (fatal ? TASK_KILLABLE | TASK_STOPPED : 0)))
		kick_task(t);
}

static bool wants_signal(struct task *t, int sig)
{
	if (t->sig->blocked & sigmask(sig) || READ_ONCE(t->flags) & TF_EXITING)
		return false;
	if (sig == SIGKILL)
		return true;
	return READ_ONCE(t->state) != TASK_STOPPED && (t == current || !signal_pending(t));
}

void zap_other_threads(struct process *p, struct task *except)
{
	struct task *t;

	assert_spin_locked(&p->siglock);
	p->flags &= ~PROC_STOPPED;
	p->nr_stopping = 0;
	for_each_thread(p, t) {
		t->sig->stopping = false;
		t->sig->stop_dequeued = false;
		if (t == except)
			continue;
		t->sig->pending.set |= sigmask(SIGKILL);
		signal_wake_up(t, true);
	}
}

/* Does this signal, now pending, end the process as soon as a thread that does not block it looks? */
static bool is_fatal(struct process *p, struct task *t, int sig)
{
	sigset mask = sigmask(sig);

	if (mask & (SIG_IGNORED | SIG_STOPS) || p->flags & (PROC_UNKILLABLE | PROC_GROUP_EXIT))
		return false;
	return !(t->sig->waiting & mask) && (handler_of(p, sig) == SIG_DFL || t->sig->forced & mask);
}

/* A thread that can take the signal is chosen and told. If there is none, the signal waits until one unblocks it. */
static void complete_signal(struct process *p, struct task *to, int sig)
{
	struct task *t = NULL, *busy = NULL;

	if (to) {
		if (!(to->sig->blocked & sigmask(sig)) && !(READ_ONCE(to->flags) & TF_EXITING))
			t = to;
	} else if (current->proc == p && wants_signal(current, sig)) {
		t = current;
	} else if (wants_signal(p->leader, sig)) {
		t = p->leader;
	} else {
		struct task *i;

		for_each_thread(p, i) {
			if (wants_signal(i, sig)) {
				t = i;
				break;
			}
			if (!(i->sig->blocked & sigmask(sig)) && !(READ_ONCE(i->flags) & TF_EXITING))
				busy = i;
		}
		if (!t)
			t = busy;
	}
	if (!t)
		return;
	if (is_fatal(p, t, sig)) {
		p->flags |= PROC_GROUP_EXIT;
		p->group_exit_code = sig;
		zap_other_threads(p, NULL);
		return;
	}
	signal_wake_up(t, sig == SIGKILL);
}

/* Stop and continue signals cancel each other when they are sent, whatever becomes of them later. */
static void cancel_opposites(struct process *p, int sig)
{
	struct task *t;

	if (sigmask(sig) & SIG_STOPS) {
		flush_signals_everywhere(p, sigmask(SIGCONT));
	} else if (sig == SIGCONT) {
		flush_signals_everywhere(p, SIG_STOPS);
		for_each_thread(p, t)
			t->sig->stop_dequeued = false;
		if (!(p->flags & PROC_STOPPED))
			return;
		p->flags &= ~PROC_STOPPED;
		if (p->nr_stopping == 0) {
			p->flags |= PROC_CONT_NOTIFY;
			p->cont_report = true;
			p->stop_report = 0;
		}
		p->nr_stopping = 0;
		for_each_thread(p, t) {
			t->sig->stopping = false;
			set_work(t, WORK_SIGNAL);
			wake_up_state(t, TASK_STOPPED);
		}
	}
}

static bool is_ignored(struct process *p, struct task *t, int sig)
{
	uintptr_t handler;

	if ((t->sig->blocked | t->sig->waiting) & sigmask(sig))
		return false;
	handler = handler_of(p, sig);
	if (handler == SIG_IGN)
		return true;
	if (handler != SIG_DFL)
		return false;
	return sigmask(sig) & SIG_IGNORED || p->flags & PROC_UNKILLABLE;
}

/* siglock of p held. to NULL: any thread. */
static int send_locked(struct process *p, struct task *to, int sig, const struct siginfo_k *info)
{
	struct sigpending *sp = to ? &to->sig->pending : &p->pending;

	assert_spin_locked(&p->siglock);
	if (atomic_read(&p->live) == 0 || p->flags & PROC_GROUP_EXIT)
		return 0;
	cancel_opposites(p, sig);
	/* What init does to itself on purpose (abort) ends it as it would end another program. */
	if (to && p->flags & PROC_UNKILLABLE && current->proc == p && sig != SIGKILL &&
	    !(sigmask(sig) & (SIG_IGNORED | SIG_STOPS)) && handler_of(p, sig) == SIG_DFL)
		p->flags &= ~PROC_UNKILLABLE;
	if (is_ignored(p, to ? to : p->leader, sig))
		return 0;
	if (sig < SIGRTMIN && sp->set & sigmask(sig))
		return 0;
	if (enqueue(p, sp, sig, info))
		return -EAGAIN;
	complete_signal(p, to, sig);
	return 0;
}

int send_signal_task(struct task *t, int sig, const struct siginfo_k *info)
{
	struct process *p = t->proc;
	int err;

	if (!t->sig)
		return 0;
	spin_lock(&p->siglock);
	err = send_locked(p, t, sig, info);
	spin_unlock(&p->siglock);
	return err;
}

int send_signal_process(struct process *p, int sig, const struct siginfo_k *info)
{
	int err;

	if (p == &kernel_process)
		return 0;
	spin_lock(&p->siglock);
	err = send_locked(p, NULL, sig, info);
	spin_unlock(&p->siglock);
	return err;
}

int kill_pgrp_locked(int pgrp, int sig, const struct siginfo_k *info)
{
	struct list_head *members = pgrp_members(pgrp);
	struct process *p;
	int err = -ESRCH;

	assert_spin_locked(&proc_lock);
	if (!members)
		return -ESRCH;
	list_for_each_entry(p, members, pgrp_link) {
		int e = sig ? send_signal_process(p, sig, info) : 0;

		if (err)
			err = e;
	}
	return err;
}

int kill_pgrp(int pgrp, int sig)
{
	int err;

	spin_lock(&proc_lock);
	err = kill_pgrp_locked(pgrp, sig, NULL);
	spin_unlock(&proc_lock);
	return err;
}

/* ---- forced signals ---- */

static bool print_fatal_signals;

static const struct cmdline_option print_fatal_option = {
	.name = "kernel.print_fatal_signals",
	.help = "one line for each program that ends by a fault",
	.type = CMDLINE_FLAG,
	.flag = &print_fatal_signals,
};
KNOB(print_fatal_knob) = { .name = "kernel.print_fatal_signals", .opt = &print_fatal_option };

static void force(int sig, int code, uintptr_t addr, bool uncatchable)
{
	struct siginfo_k info = { .si_signo = sig, .si_code = code };
	struct process *p = current->proc;
	struct signal_task *sg = current->sig;
	uintptr_t handler;
	bool dies;

	info.si_addr = addr;
	spin_lock(&p->siglock);
	handler = handler_of(p, sig);
	if (uncatchable || handler == SIG_IGN || sg->blocked & sigmask(sig))
		sg->forced |= sigmask(sig);
	sg->blocked &= ~sigmask(sig);
	dies = handler == SIG_DFL || sg->forced & sigmask(sig);
	if (dies)
		p->flags &= ~PROC_UNKILLABLE;
	if (!(p->flags & PROC_GROUP_EXIT)) {
		if (!(sg->pending.set & sigmask(sig)))
			(void)enqueue(p, &sg->pending, sig, &info);
		complete_signal(p, current, sig);
	}
	set_work(current, WORK_SIGNAL);
	spin_unlock(&p->siglock);
	if (dies && READ_ONCE(print_fatal_signals))
		pr_info("%s[%d]: fatal signal %d, code %d, address %lx, pc %lx, sp %lx", current->comm, current->pid,
			sig, code, addr, tf_pc(task_trapframe(current)), tf_sp(task_trapframe(current)));
}

void force_signal(int sig, int code, uintptr_t addr)
{
	force(sig, code, addr, false);
}

void force_sigsegv(int sig)
{
	force(SIGSEGV, SI_KERNEL, 0, sig == SIGSEGV);
}

bool signal_ignored_or_blocked(int sig)
{
	struct process *p = current->proc;
	bool ret;

	spin_lock(&p->siglock);
	ret = current->sig->blocked & sigmask(sig) || handler_of(p, sig) == SIG_IGN;
	spin_unlock(&p->siglock);
	return ret;
}

/* ---- children ---- */

bool notify_parent(struct process *p, int why, int status)
{
	struct process *parent = p->parent;
	bool exited = why == CLD_EXITED;
	int sig = exited ? p->exit_signal : SIGCHLD;
	bool reap = false;

	assert_spin_locked(&proc_lock);
	if (parent != &kernel_process && sig) {
		struct ksigaction act;

		spin_lock(&parent->siglock);
		act = action_of(parent, sig);
		if (exited && sig == SIGCHLD)
			reap = act.handler == SIG_IGN || act.flags & SA_NOCLDWAIT;
		if (act.handler != SIG_IGN && (exited || !(act.flags & SA_NOCLDSTOP))) {
			struct siginfo_k info = { .si_signo = sig, .si_code = why };

			info.si_pid = p->pid;
			info.si_uid = p->cred.uid;
			info.si_status = status;
			if (exited && status & 0x7f) {
				info.si_code = CLD_KILLED;
				info.si_status = status & 0x7f;
			} else if (exited) {
				info.si_status = status >> 8 & 0xff;
			}
			info.si_utime = (s64)(p->dead.utime / (NSEC_PER_SEC / 100));
			info.si_stime = (s64)(p->dead.stime / (NSEC_PER_SEC / 100));
			(void)send_locked(parent, NULL, sig, &info);
		}
		spin_unlock(&parent->siglock);
	}
	wake_up_all(&parent->wait_chld);
	return reap;
}

/* ---- masks ---- */

void recalc_sigpending_locked(void)
{
	struct process *p = current->proc;
	struct signal_task *sg = current->sig;

	if ((sg->pending.set | p->pending.set) & ~sg->blocked || sg->pending.set & sigmask(SIGKILL) ||
	    p->flags & (PROC_STOPPED | PROC_CONT_NOTIFY | PROC_GROUP_EXIT)) {
		if (!signal_pending(current))
			set_work(current, WORK_SIGNAL);
	} else if (signal_pending(current)) {
		clear_work(current, WORK_SIGNAL);
	}
}

void recalc_sigpending(void)
{
	spin_lock(&current->proc->siglock);
	recalc_sigpending_locked();
	spin_unlock(&current->proc->siglock);
}

/* Shared signals that the current thread will not take after all: tell those who can. siglock held. */
static void retarget_shared(struct process *p, sigset which)
{
	struct task *t;

	which &= p->pending.set;
	if (!which || p->nr_threads == 1)
		return;
	for_each_thread(p, t) {
		if (t == current || READ_ONCE(t->flags) & TF_EXITING || !(which & ~t->sig->blocked))
			continue;
		if (!signal_pending(t))
			signal_wake_up(t, false);
		which &= t->sig->blocked;
		if (!which)
			break;
	}
}

void set_blocked(sigset mask)
{
	struct process *p = current->proc;
	struct signal_task *sg = current->sig;
	sigset more;

	mask &= ~SIG_KERNEL_ONLY;
	if (mask == sg->blocked)
		return;
	spin_lock(&p->siglock);
	more = mask & ~sg->blocked;
	sg->blocked = mask;
	retarget_shared(p, more);
	recalc_sigpending_locked();
	spin_unlock(&p->siglock);
}

bool signal_exit_thread(void)
{
	struct process *p = current->proc;
	struct signal_task *sg = current->sig;

	assert_spin_locked(&p->siglock);
	retarget_shared(p, ~sg->blocked);
	if (!sg->stopping)
		return false;
	sg->stopping = false;
	if (--p->nr_stopping || !(p->flags & PROC_STOPPED))
		return false;
	p->stop_report = p->stop_sig;
	return true;
}

/* ---- the end ---- */

static void free_queue(struct sigpending *sp)
{
	struct sigqueue *q, *tmp;

	list_for_each_entry_safe(q, tmp, &sp->queue, link)
		kmem_cache_free(sigqueue_cache, q);
}

void signal_free_task(struct task *t)
{
	if (!list_empty(&t->sig->pending.queue))
		free_queue(&t->sig->pending);
}

void signal_free_process(struct process *p)
{
	free_queue(&p->pending);
	signal_put_actions(p);
}

void signal_init(void)
{
	sigqueue_cache = kmem_cache_create("sigqueue", sizeof(struct sigqueue), 0, NULL);
	sigaction_init();
}
