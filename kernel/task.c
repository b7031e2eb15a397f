/*
 * Birth and burial of struct task: the cache, the kernel stack, references.
 *
 * A task is allocated together with its struct signal_task. It is freed by RCU, so look-ups by number need no lock.
 * What it holds at the end is its stack, its queue of signals and a reference on its process; files, memory and the
 * rest went in do_exit().
 */
#include "kernel/process.h"
#include "kernel/rcu.h"
#include "kernel/signal.h"
#include "kernel/task.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/mm.h"
#include "mm/slab.h"

struct task_box {
	struct task task;
	struct signal_task sig;
};

static struct kmem_cache *task_cache;

struct task init_task = {
	.state = TASK_RUNNING,
	.refs = ATOMIC_INIT(1),
	.wake_lock = SPINLOCK_INIT(RANK_TASK_PI),
	.on_cpu = 1,
	.flags = TF_KTHREAD | TF_IDLE,
	.comm = "swapper/0",
	.proc = &kernel_process,
	.thread_link = LIST_HEAD_INIT(init_task.thread_link),
	.all_link = LIST_HEAD_INIT(init_task.all_link),
};

struct task *task_alloc(void)
{
	struct task_box *box = kmem_cache_alloc(task_cache, GFP_KERNEL | GFP_ZERO);
	struct task *t;

	if (!box)
		return ERR_PTR(-ENOMEM);
	t = &box->task;
	t->kstack = kstack_alloc(NODE_ANY);
	if (!t->kstack) {
		kmem_cache_free(task_cache, box);
		return ERR_PTR(-ENOMEM);
	}
	t->state = TASK_NEW;
	atomic_set(&t->refs, 1);
	spin_lock_init(&t->wake_lock, RANK_TASK_PI);
	t->proc = &kernel_process;	/* holds no reference on that one */
	list_init(&t->thread_link);
	list_init(&t->all_link);
	return t;
}

/* The task's number is gone and nobody can find it any more. RCU callback: no sleeping. */
static void task_free_rcu(struct rcu_head *head)
{
	struct task *t = container_of(head, struct task, rcu);

	arch_thread_free(t);
	kstack_free(t->kstack);
	if (t->sig)
		signal_free_task(t);
	put_process(t->proc);
	kmem_cache_free(task_cache, container_of(t, struct task_box, task));
}

void put_task(struct task *t)
{
	if (atomic_dec_and_test(&t->refs))
		call_rcu(&t->rcu, task_free_rcu);
}

struct signal_task *task_signal_state(struct task *t)
{
	return &container_of(t, struct task_box, task)->sig;
}

void task_cache_init(void)
{
	task_cache = kmem_cache_create("task", sizeof(struct task_box), 64, NULL);
}
