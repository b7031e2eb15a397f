#pragma once
/*
 * Processes: what the threads of one program share, the tree of parents and children, process groups and sessions,
 * and the numbers.
 *
 * Locks:  p proc_lock: one for the whole tree (spinlock, RANK_PROC, task context, interrupts on)
 *         s the process's siglock (RANK_SIGHAND, inside proc_lock)
 *         b p and s to write, either to read
 *         m mm_lock (RANK_SPIN_LEAF): task->mm of the threads, and the group list
 *         a atomic   i fixed at creation   t this process's threads; others read without a lock: statistics
 *
 * References. A struct task is held by: the scheduler (the reference task_alloc gives; the switch away from a
 * TASK_DEAD task drops it, also for kernel threads), and the tree (from attach until it is reaped). A struct process
 * is held by each of its struct tasks, as long as they are not freed. A task is freed by RCU after its last
 * reference, and drops its process then. So under rcu_read_lock() a task found by number is valid, its ->proc is
 * valid, and so is the process that ->parent points to.
 *
 * Numbers. One table for tasks, groups and sessions: a number is in use while there is a task, a group, or a session
 * of that name.
 */
#include "kernel/rcu.h"
#include "kernel/signal.h"
#include "kernel/spinlock.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/types.h"

struct mm;
struct trapframe;
struct tty;

#define PID_MAX		32768

/* clone flags */
#define CLONE_CSIGNAL		0x000000ffull
#define CLONE_VM		0x00000100ull
#define CLONE_FS		0x00000200ull
#define CLONE_FILES		0x00000400ull
#define CLONE_SIGHAND		0x00000800ull
#define CLONE_PIDFD		0x00001000ull
#define CLONE_PTRACE		0x00002000ull
#define CLONE_VFORK		0x00004000ull
#define CLONE_PARENT		0x00008000ull
#define CLONE_THREAD		0x00010000ull
#define CLONE_NEWNS		0x00020000ull
#define CLONE_SYSVSEM		0x00040000ull
#define CLONE_SETTLS		0x00080000ull
#define CLONE_PARENT_SETTID	0x00100000ull
#define CLONE_CHILD_CLEARTID	0x00200000ull
#define CLONE_DETACHED		0x00400000ull
#define CLONE_UNTRACED		0x00800000ull
#define CLONE_CHILD_SETTID	0x01000000ull
#define CLONE_NEWANY		0x7e020080ull	/* all namespaces */
#define CLONE_IO		0x80000000ull
#define CLONE_CLEAR_SIGHAND	0x100000000ull
#define CLONE_INTO_CGROUP	0x200000000ull

#define RLIMIT_CPU		0
#define RLIMIT_FSIZE		1
#define RLIMIT_DATA		2
#define RLIMIT_STACK		3
#define RLIMIT_CORE		4
#define RLIMIT_RSS		5
#define RLIMIT_NPROC		6
#define RLIMIT_NOFILE		7
#define RLIMIT_MEMLOCK		8
#define RLIMIT_AS		9
#define RLIMIT_LOCKS		10
#define RLIMIT_SIGPENDING	11
#define RLIMIT_MSGQUEUE		12
#define RLIMIT_NICE		13
#define RLIMIT_RTPRIO		14
#define RLIMIT_RTTIME		15
#define NR_RLIMITS		16
#define RLIM_INFINITY		(~0ull)

struct rlimit_k {
	u64 cur, max;
};

struct group_info {
	atomic_t refs;
	u32 n;
	u32 gid[];			/* ascending */
};

/*
 * Identity. Changed by the process's own threads; a change is not atomic for others, who only report or compare
 * single fields.
 */
struct cred {
	u32 uid, euid, suid, fsuid;
	u32 gid, egid, sgid, fsgid;
	u64 cap_effective, cap_permitted, cap_inheritable;
	struct group_info *groups;	/* m. counted; NULL: none */
};

/* Resource use: of dead threads, or of reaped children. */
struct usage {
	u64 utime, stime;		/* ns */
	u64 min_flt, maj_flt;
	u64 nvcsw, nivcsw;
	u64 maxrss;			/* pages */
	u64 kernel_count;		/* cpu_counter() units spent in the kernel */
};

enum process_state {
	PROC_RUNNING,
	PROC_ZOMBIE,			/* every thread is gone, nobody has waited yet */
	PROC_REAPED,
};

/* process->flags */
#define PROC_GROUP_EXIT		0x1u	/* s. all threads must end with group_exit_code */
#define PROC_STOPPED		0x2u	/* s. job control: threads stop at their next return to user mode */
#define PROC_CONT_NOTIFY	0x4u	/* s. continued: tell the parent */
#define PROC_UNKILLABLE		0x8u	/* i. init: signals without a handler do nothing, unless it sends them itself */
#define PROC_EXECED		0x10u	/* s. has called execve: setpgid by the parent is refused */

struct itimers;

struct process {
	atomic_t refs;			/* a */
	int pid;			/* i. tgid */
	struct process *parent;		/* p; RCU to read */
	struct list_head children;	/* p. zombies first */
	struct list_head sibling;	/* p */
	struct list_head threads;	/* b. task->thread_link */
	struct task *leader;		/* b. the task with number pid; stays, dead or alive, until p is reaped */
	unsigned nr_threads;		/* b. the dead leader included */
	bool leader_dead;		/* b. the leader has left exit_notify; it stays in threads */
	atomic_t live;			/* a. threads that have not begun to exit */
	enum process_state state;	/* p */
	u32 flags;			/* PROC_* */
	int exit_signal;		/* p. what the parent gets, 0 for none */
	int exit_code;			/* p. wait status, once a zombie */
	int group_exit_code;		/* s */
	int pgrp, session;		/* p; one word each, may be read without */
	struct list_head pgrp_link;	/* p */
	struct tty *tty;		/* p. controlling terminal, owned by the tty layer; NULL */

	/* signals and waiting */
	spinlock_t siglock;
	unsigned nr_queued;		/* s. struct sigqueue entries, all threads */
	struct sigpending pending;	/* s. shared */
	struct sighand *sighand;	/* i; exec replaces it under s when no other thread is left */
	struct wait_queue wait_chld;	/* wait4 and waitid */
	unsigned nr_stopping;		/* s. threads that have not stopped yet */
	int stop_sig;			/* s. why it is stopped */
	int stop_report;		/* s. stop signal not yet reported by wait, 0 for none */
	bool cont_report;		/* s. continued, not yet reported by wait */
	struct task *exec_task;		/* s. thread in execve, waiting for the others to end */
	struct completion *vfork_done;	/* a (xchg). the parent waits on this until exec or exit */

	spinlock_t mm_lock;		/* task->mm of the threads: see task_mm_lock */
	struct cred cred;		/* t */
	struct rlimit_k rlim[NR_RLIMITS];	/* t; one word at a time */
	struct usage dead;		/* b. of threads that are gone */
	struct usage reaped;		/* p. of children waited for, theirs included */
	struct itimers *itimers;	/* t. NULL until used */
	u64 start_time;			/* i. clock_ns */
	u32 personality;		/* t */
	bool child_subreaper;		/* t */
	bool no_new_privs;		/* t */
	int pdeath_signal;		/* t */
	int oom_score_adj;		/* t. /proc/PID/oom_score_adj, -1000..1000 */
};

extern spinlock_t proc_lock;
extern struct process kernel_process;	/* of kernel threads and idle tasks: pid 0, never ends */
extern struct process *init_process;	/* pid 1; NULL until spawn_init */
extern struct list_head all_tasks;	/* p. task->all_link: user threads and kernel threads, not idle tasks */

/* ---- numbers and look-up ---- */

/**
 * The task or process of that number with a reference for the caller, NULL. Any context in which RCU readers may run.
 */
struct task *find_get_task(int pid);
struct process *find_get_process(int tgid);
static inline struct process *get_process(struct process *p)
{
	atomic_inc(&p->refs);
	return p;
}
void put_process(struct process *p);
/** Same without a reference, under rcu_read_lock or proc_lock. */
struct task *find_task(int pid);
struct process *find_process(int tgid);
/** Pages of the table of numbers: those with one in use, and that of the last one handed out. Any context. */
u64 pid_table_pages(void);
/** The process with the smallest number >= pid, with a reference; NULL at the end. For /proc and kill(-1). */
struct process *next_process(int pid);
/** The thread of p with the smallest number >= tid, with a reference. */
struct task *next_thread(struct process *p, int tid);
/** Processes of a group (linked by pgrp_link), NULL if there never was one; proc_lock held. */
struct list_head *pgrp_members(int pgrp);
unsigned nr_processes(void);
unsigned nr_threads(void);	/* user threads */
int last_pid(void);

#define for_each_thread(p, t) list_for_each_entry(t, &(p)->threads, thread_link)

/* ---- the tree ---- */

/** A new process as a child of the current one would have it; not yet visible. ERR_PTR. */
struct process *process_create(void);
/**
 * Give t a number and enter it, with its process if t is the leader. want: that number, or 0 for the next free one.
 * 0, -EAGAIN (no number left, or RLIMIT_NPROC), -EINTR (current is being killed, or the process is ending). Sleeps.
 */
int process_attach(struct task *t, struct process *p, struct process *parent, int want);
/**
 * A kernel thread (of task_alloc): number, all_tasks. Its tree reference is dropped by do_exit_kthread. 0 or -EAGAIN.
 * Sleeps.
 */
int process_attach_kthread(struct task *t);
/** A kernel thread ends: leaves the table. The caller then calls sched_exit(). */
void process_detach_kthread(struct task *t);
/**
 * The thread leaves its process: siglock and proc_lock held. Drops nothing: the caller puts the tree's reference
 * afterwards.
 */
void process_unlink_thread(struct task *t);
/** A zombie leaves the tree; proc_lock held. The caller puts the leader (the tree's reference) after unlocking. */
void process_unlink(struct process *p);
/** Group and session changes; proc_lock held. */
void process_set_pgrp(struct process *p, int pgrp);
void process_set_session(struct process *p, int session);
/**
 * execve by a thread that is not the leader: it takes the leader's number. Both locks held. Returns the old leader,
 * to be put.
 */
struct task *process_take_over(struct task *t);
/**
 * Has the group no member whose parent is in another group of the same session? except (may be NULL) does not count.
 * proc_lock held.
 */
bool pgrp_orphaned(int pgrp, const struct process *except);
/** proc_lock held: an ending (or moving) p may leave stopped orphaned groups behind: SIGHUP and SIGCONT for them. */
void pgrp_check_orphans(struct process *p, struct process *parent);

/* ---- other processes' memory ---- */

/*
 * The lock under which others take a reference on task->mm. A task that gives up its address space holds a reference
 * of its own on it until it has taken this lock once afterwards (exec), or marks itself TF_EXITING under it before
 * (exit): so the mm that a holder of the lock reads is alive.
 */
static inline void task_mm_lock(struct task *t)
{
	spin_lock(&t->proc->mm_lock);
}
static inline void task_mm_unlock(struct task *t)
{
	spin_unlock(&t->proc->mm_lock);
}
/** The address space with a user reference, NULL for kernel threads and the dead. mmput() it. */
struct mm *get_task_mm(struct task *t);
struct mm *get_process_mm(struct process *p);

/* ---- limits and identity ---- */

/** Soft limit of the current process. */
static inline u64 rlimit(unsigned resource)
{
	return READ_ONCE(current->proc->rlim[resource].cur);
}
static inline struct cred *current_cred(void)
{
	return &current->proc->cred;
}
bool in_group(u32 gid);			/* current: effective or supplementary */
static inline bool is_root(void)
{
	return current->proc->cred.euid == 0;
}
void put_groups(struct group_info *g);

/* ---- time and reports ---- */

/** Times of one task, ns; runtime split as the counters say. */
void task_times(struct task *t, u64 *utime, u64 *stime);
/** Of all threads, dead ones included. Takes proc_lock. */
void process_times(struct process *p, u64 *utime, u64 *stime);
/** Adds a task's use to u. */
void usage_add_task(struct usage *u, struct task *t);
void usage_add(struct usage *u, const struct usage *more);

/* What /proc/PID/{stat,status} show; a snapshot. */
struct process_stat {
	int pid, ppid, pgrp, session;
	struct tty *tty;
	char state;			/* R S D T Z I */
	char comm[TASK_COMM_LEN];
	u64 min_flt, maj_flt, cmin_flt, cmaj_flt;
	u64 utime, stime, cutime, cstime;	/* ns */
	u64 kernel_count, ckernel_count;
	u64 nvcsw, nivcsw;
	int nice;
	unsigned threads;
	u64 start_time;			/* ns since boot */
	u64 vsize;			/* bytes */
	u64 rss;			/* pages */
	int exit_code, exit_signal;
	unsigned cpu;
	u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	sigset pending, shared_pending, blocked, ignored, caught;
	unsigned nr_queued;
};
/**
 * t NULL: the whole process; else that thread of it. State 'X' and the number alone if it is gone. Takes proc_lock;
 * may sleep (mmput).
 */
void process_stat(struct process *p, struct task *t, struct process_stat *st);
char task_state_char(const struct task *t);

/* ---- life ---- */

/** Arguments of clone, clone3, fork and vfork. */
struct clone_args_k {
	u64 flags;			/* CLONE_*, without the signal */
	int exit_signal;
	uintptr_t stack;		/* new stack pointer, 0: as the parent */
	uintptr_t tls;
	int *parent_tid, *child_tid;	/* user */
};
/** The new task's number or -errno. Sleeps. */
long do_clone(const struct clone_args_k *args);
/** Ends the calling thread; code is a wait status. */
void do_exit(int code) __noreturn;
/** Ends the whole process. */
void do_group_exit(int code) __noreturn;
/**
 * What exec and exit both do before the current task leaves its address space: robust futexes and the thread id's
 * word. Sleeps.
 */
void release_user_memory(void);
/** The parent of a vfork may go on: the child has left its memory. */
void vfork_release(struct process *p);
/** Prints the closing line and powers off. */
void init_exited(int code) __noreturn;
int do_execve(const char *path, const char *const *argv, const char *const *envp, bool kernel_strings);
/**
 * Opens /dev/console as 0, 1, 2 and executes init; on success the current task returns to user mode there. 0 or
 * -errno.
 */
int kernel_exec_init(void);
/** Creates pid 1, not started: wake_up_new_task() it. ERR_PTR. */
struct task *spawn_init(void);

/** Timers of a process. */
void itimers_exit(struct process *p);		/* sleeps */

/** futex(2) parts that exit needs. */
int futex_wake_user(u32 *uaddr, int n);		/* both private and shared waiters; 0.. or -errno */
void exit_robust_list(struct task *t);
void futex_init(void);

/**
 * Written by the tty layer: a session leader ended; called without locks, before its children are reparented. Sleeps.
 */
void tty_session_exit(struct process *leader) __attribute__((weak));

/** Boot: kernel_process, number table, caches; after slab_init, before the first kernel thread. */
void process_init(void);
void task_cache_init(void);
/** The signal state allocated with t; t->sig points there for tasks of user space. */
struct signal_task *task_signal_state(struct task *t);

#define UTS_FIELD	65
/** String i of uname(2), in its order, into buf of UTS_FIELD bytes: for procfs. */
void uts_field(unsigned i, char *buf);
