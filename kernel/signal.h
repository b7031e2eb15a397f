#pragma once
/*
 * Signals: Linux's numbers, layouts and rules.
 *
 * Locks:  s proc->siglock (RANK_SIGHAND)   h sighand->lock (RANK_SIGHAND, nested inside siglock)   c current task only
 *         p proc_lock (process.h; taken before siglock)   a atomic
 * All of these are taken in task context with interrupts on: nothing here may be called from an interrupt handler.
 * Who wants to signal from one queues a work item that does it.
 *
 * WORK_SIGNAL in task->work says "look at the signals before returning to user mode" and ends interruptible sleeps.
 * Anyone sets it, under siglock, after the signal is pending; only the task itself clears it, under siglock, when it
 * finds nothing (recalc_sigpending). So a sleep that ended with -EINTR or -ERESTARTSYS because of it always finds
 * do_signals() on its way out.
 */
#include "kernel/sched.h"
#include "kernel/spinlock.h"
#include "kernel/task.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/types.h"

struct process;
struct trapframe;

#define SIGHUP		1
#define SIGINT		2
#define SIGQUIT		3
#define SIGILL		4
#define SIGTRAP		5
#define SIGABRT		6
#define SIGBUS		7
#define SIGFPE		8
#define SIGKILL		9
#define SIGUSR1		10
#define SIGSEGV		11
#define SIGUSR2		12
#define SIGPIPE		13
#define SIGALRM		14
#define SIGTERM		15
#define SIGSTKFLT	16
#define SIGCHLD		17
#define SIGCONT		18
#define SIGSTOP		19
#define SIGTSTP		20
#define SIGTTIN		21
#define SIGTTOU		22
#define SIGURG		23
#define SIGXCPU		24
#define SIGXFSZ		25
#define SIGVTALRM	26
#define SIGPROF		27
#define SIGWINCH	28
#define SIGIO		29
#define SIGPWR		30
#define SIGSYS		31
#define SIGRTMIN	32
#define NSIG		64

/* si_code */
#define SI_USER		0
#define SI_KERNEL	0x80
#define SI_QUEUE	(-1)
#define SI_TIMER	(-2)
#define SI_TKILL	(-6)
#define ILL_ILLOPC	1
#define ILL_ILLOPN	2
#define ILL_ILLTRP	4
#define ILL_PRVOPC	5
#define FPE_INTDIV	1
#define FPE_INTOVF	2
#define FPE_FLTDIV	3
#define FPE_FLTOVF	4
#define FPE_FLTUND	5
#define FPE_FLTRES	6
#define FPE_FLTINV	7
#define SEGV_MAPERR	1	/* nothing is mapped there */
#define SEGV_ACCERR	2	/* the mapping does not allow it */
#define BUS_ADRALN	1
#define BUS_ADRERR	2	/* beyond the end of the file */
#define BUS_OBJERR	3
#define TRAP_BRKPT	1
#define TRAP_TRACE	2
#define CLD_EXITED	1
#define CLD_KILLED	2
#define CLD_DUMPED	3
#define CLD_STOPPED	5
#define CLD_CONTINUED	6

/* sa_flags */
#define SA_NOCLDSTOP	0x00000001ul
#define SA_NOCLDWAIT	0x00000002ul
#define SA_SIGINFO	0x00000004ul
#define SA_RESTORER	0x04000000ul
#define SA_ONSTACK	0x08000000ul
#define SA_RESTART	0x10000000ul
#define SA_NODEFER	0x40000000ul
#define SA_RESETHAND	0x80000000ul

#define SIG_DFL		((uintptr_t)0)
#define SIG_IGN		((uintptr_t)1)

/* stack_t.ss_flags */
#define SS_ONSTACK	1
#define SS_DISABLE	2
#define SS_AUTODISARM	(1u << 31)

/* A set of signals: bit n - 1 is signal n. User space's sigset_t is this word on every port. */
typedef u64 sigset;

static inline sigset sigmask(int sig)
{
	return 1ull << (sig - 1);
}

#define SIG_KERNEL_ONLY	(sigmask(SIGKILL) | sigmask(SIGSTOP))
#define SIG_STOPS	(sigmask(SIGSTOP) | sigmask(SIGTSTP) | sigmask(SIGTTIN) | sigmask(SIGTTOU))
#define SIG_IGNORED	(sigmask(SIGCONT) | sigmask(SIGCHLD) | sigmask(SIGWINCH) | sigmask(SIGURG))	/* by default */
#define SIG_SYNCHRONOUS                                                                                                \
	(sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGILL) | sigmask(SIGTRAP) | sigmask(SIGFPE) | sigmask(SIGSYS))

/*
 * siginfo_t. The kernel uses the first SIGINFO_USED bytes only; the rest is zero when it goes to user space.
 */
struct siginfo_k {
	s32 si_signo;
	s32 si_errno;
	s32 si_code;
	s32 __pad0;
	union {
		struct {
			s32 si_pid;
			u32 si_uid;
			union {
				struct {
					s32 si_status;		/* SIGCHLD */
					s32 __pad1;
					s64 si_utime, si_stime;	/* clock ticks of 1/100 s */
				};
				u64 si_value;			/* sigqueue */
			};
		};
		struct {
			u64 si_addr;				/* faults */
			s16 si_addr_lsb;
		};
		struct {
			s32 si_tid;				/* timers */
			s32 si_overrun;
			u64 si_tvalue;
		};
		struct {
			u64 si_call_addr;			/* SIGSYS */
			s32 si_syscall;
			u32 si_arch;
		};
		u8 __fill[112];
	};
};

#define SIGINFO_USED	48
static_assert(sizeof(struct siginfo_k) == 128, "siginfo_t is 128 bytes");

/* stack_t */
struct kstack_t {
	u64 ss_sp;
	s32 ss_flags;
	s32 __pad;
	u64 ss_size;
};

struct ksigaction {
	uintptr_t handler;
	unsigned long flags;		/* SA_* */
	uintptr_t restorer;
	sigset mask;
};

/*
 * A signal on its way to a handler, for arch_signal_frame(). The port subtracts its red zone from sp, aligns, pushes
 * the frame, and makes the trapframe call handler(sig, &frame->info, &frame->uc), returning to `restorer` (which the
 * kernel sets to its own signal-return page if the program gave none; 0 if there is neither).
 */
struct ksignal {
	int sig;
	uintptr_t handler;		/* user address */
	unsigned long flags;		/* SA_* */
	uintptr_t restorer;		/* user address */
	uintptr_t sp;			/* build the frame below this: alternate stack's top, or the interrupted sp */
	bool on_altstack;		/* sp is the alternate stack's top: no red zone */
	struct kstack_t altstack;	/* for uc_stack */
	struct siginfo_k info;
};

/** The port: push the frame; saved goes into uc_sigmask. 0 or -EFAULT. Sleeps (user memory). */
int arch_signal_frame(struct trapframe *tf, struct ksignal *ksig, const sigset *saved);
/**
 * The port: pop the frame at tf's sp. -EFAULT: the caller kills with SIGSEGV. Afterwards tf_syscall_nr() is -1. May
 * pass uc_stack to restore_altstack().
 */
int arch_sigreturn(struct trapframe *tf, sigset *restored);
/** What sigreturn does with uc_stack (copied from the frame): errors are ignored, as Linux does. */
void restore_altstack(const struct kstack_t *ss, uintptr_t sp);
/** Does sp lie on this alternate stack (one that does not disarm itself)? */
bool on_altstack(const struct kstack_t *ss, uintptr_t sp);

/*
 * Signals sent and not yet taken. A bit may be set without an entry in the list: memory or the limit ran out, so
 * there is no siginfo.
 */
struct sigpending {
	sigset set;
	struct list_head queue;		/* struct sigqueue, in the order of arrival */
};

/* The task's own part. Allocated together with the task (kernel/task.c). */
struct signal_task {
	struct sigpending pending;	/* s */
	sigset blocked;			/* c writes, under s; c or s to read */
	sigset saved;			/* c. mask to restore when the system call ends, if restore */
	sigset waiting;			/* s. blocked signals that rt_sigtimedwait waits for, lifted meanwhile */
	sigset forced;			/* s. forced signals that take the default action whatever the table says */
	bool restore;			/* c */
	bool stopping;			/* s. counted in proc->nr_stopping */
	bool stop_dequeued;		/* s. took a stop signal and has not acted on it; SIGCONT clears it */
	bool restarting;		/* c. the call that comes next is a restarted sleep: until restart_deadline */
	u64 restart_deadline;		/* c. clock_ns */
	struct kstack_t altstack;	/* c */
};

/*
 * Actions: shared by the threads of a process, and between processes by CLONE_SIGHAND. The table is shared, copied on
 * write, after fork.
 */
struct sigtable {
	atomic_t refs;			/* a. sighands. While more than one holds it, nobody writes it */
	unsigned handlers;		/* h. actions that are functions */
	struct ksigaction action[NSIG];
};

struct sighand {
	atomic_t refs;			/* a. processes */
	spinlock_t lock;
	struct sigtable *table;		/* h */
};

static inline bool signal_pending(const struct task *t)
{
	return READ_ONCE(t->work) & WORK_SIGNAL;
}

/** Will t die before it returns to user mode? SIGKILL stays pending from the moment the decision falls. */
static inline bool fatal_signal_pending(const struct task *t)
{
	return signal_pending(t) && t->sig && READ_ONCE(t->sig->pending.set) & sigmask(SIGKILL);
}

/*
 * Sending. Task context, no lock of rank RANK_SIGHAND or higher held. sig is 1..NSIG. `info` NULL: from the kernel
 * (SI_KERNEL).
 */

/** To one thread. 0, or -EAGAIN if a queued real-time signal has no room. */
int send_signal_task(struct task *t, int sig, const struct siginfo_k *info);
/** To a process: any thread that does not block it takes it. Likewise. */
int send_signal_process(struct process *p, int sig, const struct siginfo_k *info);
/** To every process of the group, from the kernel. 0 or -ESRCH. Takes proc_lock. */
int kill_pgrp(int pgrp, int sig);
int kill_pgrp_locked(int pgrp, int sig, const struct siginfo_k *info);	/* proc_lock held */
/** From the kernel to the current task, for what it just did: cannot be blocked or ignored (then it kills). */
void force_signal(int sig, int code, uintptr_t addr);
/** SIGSEGV that the handler of sig cannot catch, if sig is SIGSEGV itself. */
void force_sigsegv(int sig);
/** SIGPIPE and the like, for the current thread. */
static inline void send_sig(int sig)
{
	(void)send_signal_task(current, sig, NULL);
}

/**
 * Before every return to user mode with WORK_SIGNAL set; called by exit_to_user() with interrupts on. Restarts an
 * interrupted system call, pushes a handler's frame, stops, or does not return because the process ends.
 */
void do_signals(struct trapframe *tf);

/* Masks of the current task. */
void set_blocked(sigset mask);
/**
 * For ppoll, pselect6, epoll_pwait, rt_sigsuspend: replace the mask until the system call ends. mask NULL: nothing.
 * 0, -EFAULT, -EINVAL. When the call was not ended by a signal it calls restore_sigmask(); otherwise do_signals()
 * does it, after the handler's frame has the old mask.
 */
int set_user_sigmask(const sigset *umask, size_t size);
void restore_sigmask(void);
void recalc_sigpending(void);

/** Is the signal ignored or blocked by the current task? (Background reads from a terminal ask.) */
bool signal_ignored_or_blocked(int sig);

/* Life of the state. */
/** p: the child's process, new unless CLONE_THREAD. 0 or -ENOMEM. Sleeps. */
int signal_fork(struct task *child, struct process *p, u64 clone_flags);
void signal_free_task(struct task *t);		/* the task is gone: drop its queue */
void signal_free_process(struct process *p);	/* likewise */
void sigpending_init(struct sigpending *sp);
/*
 * exec: memory first (0 or -ENOMEM), then, with no other thread left, actions back to default; pending signals and
 * the mask stay.
 */
struct signal_exec {
	struct sighand *sighand;
	struct sigtable *table;
};
int signal_exec_prepare(struct signal_exec *x);
void signal_exec_commit(struct signal_exec *x);
void signal_exec_abort(struct signal_exec *x);
/** siglock held: every other thread of the process gets SIGKILL, pending and unblockable; a stop ends. */
void zap_other_threads(struct process *p, struct task *except);
/**
 * The current thread ends: it counts in no stop any more, and others take its share of signals. siglock held. True:
 * that completed a stop.
 */
bool signal_exit_thread(void);
/**
 * The parent hears of p: why is CLD_EXITED (or KILLED: taken from the status), CLD_STOPPED or CLD_CONTINUED; status
 * as si_status has it or, for an exit, as wait(2) has it. proc_lock held. True, for an exit: the parent ignores its
 * children, so reap p now.
 */
bool notify_parent(struct process *p, int why, int status);
/** A copy of an action of p, or its handler alone. siglock of p or nothing held. */
struct ksigaction action_of(struct process *p, int sig);
uintptr_t handler_of(struct process *p, int sig);
static inline bool is_function(const struct ksigaction *act)
{
	return act->handler > SIG_IGN;
}
/** rt_sigaction: 0, -EINVAL, -ENOMEM. new and old may be NULL. Sleeps. */
int set_action(int sig, const struct ksigaction *new, struct ksigaction *old);
/** Take a signal of the set from the current task's queues; 0 if there is none. siglock held. */
int dequeue_signal(sigset wanted, struct siginfo_k *info);
/** siglock held: signal_pending() again says what is pending. */
void recalc_sigpending_locked(void);
/** Drop what is pending of `which`, in the process and in all threads; siglock held. */
void flush_signals_everywhere(struct process *p, sigset which);
void signal_put_actions(struct process *p);
void signal_init(void);
void sigaction_init(void);
