#pragma once
/*
 * A task: one thread of control, of user space or of the kernel. What the threads of one process share is struct
 * process (kernel/process.h). A task is freed by RCU after its last reference is dropped.
 *
 * Locks:  c current task only   r its run queue's lock   w wake_lock   a atomic   i fixed at creation   p proc tree
 * (process.h)
 *         s sighand lock
 */
#include <arch/thread.h>

#include "kernel/cpumask.h"
#include "kernel/sched.h"
#include "kernel/spinlock.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"

struct files;
struct fs_context;
struct mm;
struct process;
struct sighand;
struct signal_task;

#define TASK_COMM_LEN 16

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *);
};

struct task {
	struct arch_thread thread;	/* c. First: entry code knows offset 0 */
	void *kstack;			/* i. lowest address; the guard page is below */
	u32 work;			/* a. WORK_* */
	u32 state;			/* c; wakers change it under w */
	atomic_t refs;			/* a */

	/* scheduling */
	spinlock_t wake_lock;		/* interrupts off; taken before the run queue's */
	/* a. still on a CPU's stack; cleared with release by the next task's schedule_tail */
	u32 on_cpu;
	u32 on_rq;			/* r */
	unsigned cpu;			/* r and w to change, either to read. Where it runs or ran last */
	int nice;			/* r */
	u32 weight;			/* r */
	u64 vruntime;			/* r. weighted nanoseconds */
	u64 exec_start;			/* r. clock_ns when it was last charged */
	u64 runtime;			/* r. nanoseconds */
	u64 lent_ns;			/* c. workers' time spent for this task: counts as its time in the kernel */
	u64 slice_end;			/* r */
	struct rb_node rq_node;		/* r */
	struct cpumask affinity;	/* r */
	u64 nvcsw, nivcsw;		/* r. voluntary and involuntary switches */
	u64 user_count, kernel_count;	/* c. units of cpu_counter(); others read without a lock: statistics */

	/* memory */
	/* c; others under task_mm_lock rules of process.h. NULL for kernel threads and after exit */
	struct mm *mm;
	u32 pagefault_disabled;		/* c */
	u32 min_flt, maj_flt;		/* c */

	/* identity */
	int pid;			/* i */
	u32 flags;			/* c. TF_* */
	char comm[TASK_COMM_LEN];	/* c writes; readers may see a mix */
	struct process *proc;		/* i. never NULL: kernel threads belong to kernel_process */
	struct list_head thread_link;	/* p. in proc->threads */
	struct files *files;		/* c */
	struct fs_context *fs;		/* c */
	struct sighand *sighand;	/* i */
	/* the task's own part of signal state: kernel/signal.h; NULL for kernel threads */
	struct signal_task *sig;
	u32 *clear_child_tid;		/* c. user address */
	uintptr_t robust_list;		/* c. user address */
	u64 start_time;			/* i. clock_ns */
	int exit_code;			/* c; p once dead */
	struct rcu_head rcu;

	/* kernel threads */
	int (*kfn)(void *);		/* i */
	void *karg;			/* i */
	struct kthread *kthread;

	struct list_head all_link;	/* p. every task */
#ifdef CONFIG_DEBUG
	struct {
		const void *lock;
		u32 rank;
	} held[16];			/* c. sleeping locks, for the rank check */
	unsigned nr_held;
	u32 stretch_freed, stretch_walked;	/* c. since it last offered to give way: mm/stretch.h */
#endif
};

#define TF_KTHREAD	0x1u
#define TF_EXITING	0x2u
#define TF_IDLE		0x4u
#define TF_MEMALLOC	0x8u	/* may use the reserve: it is freeing memory */
#define TF_OOM_VICTIM	0x10u
#define TF_FORKNOEXEC	0x20u

extern struct task init_task;	/* the boot CPU's first thread, its idle task later */

static inline struct task *get_task(struct task *t)
{
	atomic_inc(&t->refs);
	return t;
}

/** Drop a reference; the last one frees the task after a grace period. Any context. */
void put_task(struct task *t);

/** A zeroed task with a kernel stack, one reference. ERR_PTR(-ENOMEM). Sleeps. */
struct task *task_alloc(void);

static inline bool work_pending(const struct task *t)
{
	return READ_ONCE(t->work) != 0;
}

static inline void set_work(struct task *t, u32 bits)
{
	__atomic_fetch_or(&t->work, bits, __ATOMIC_SEQ_CST);
}

static inline void clear_work(struct task *t, u32 bits)
{
	__atomic_fetch_and(&t->work, ~bits, __ATOMIC_SEQ_CST);
}

static inline bool need_resched(void)
{
	return READ_ONCE(current->work) & WORK_RESCHED;
}
