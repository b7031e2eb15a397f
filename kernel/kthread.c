/* Kernel threads. */
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/wait.h"
#include "lib/err.h"
#include "mm/slab.h"

struct kthread {
	bool stop;			/* written by kthread_stop, read by the thread */
	int result;			/* written before done */
	struct completion done;
};

static void kthread_main(void *arg)
{
	struct task *t = current;
	struct kthread *k = t->kthread;
	int result = t->kfn(t->karg);

	process_detach_kthread(t);
	k->result = result;
	/* Whoever stops us holds a reference on the task, and frees k with it. */
	complete(&k->done);
	sched_exit();
}

static struct task *create(int (*fn)(void *), void *arg, const char *fmt, va_list ap)
{
	struct task *t = task_alloc();
	int err;

	if (IS_ERR(t))
		return t;
	t->kthread = kzalloc(sizeof(*t->kthread), GFP_KERNEL);
	if (!t->kthread) {
		put_task(t);
		return ERR_PTR(-ENOMEM);
	}
	completion_init(&t->kthread->done);
	t->flags = TF_KTHREAD;
	t->kfn = fn;
	t->karg = arg;
	kvsnprintf(t->comm, sizeof(t->comm), fmt, ap);
	sched_fork(t);
	t->start_time = clock_ns();
	get_task(t);	/* the creator's, for kthread_stop; the first one belongs to the running thread */
	arch_thread_kernel(t, kthread_main, NULL);
	err = process_attach_kthread(t);
	if (err) {
		kfree(t->kthread);
		put_task(t);
		put_task(t);
		return ERR_PTR(err);
	}
	return t;
}

struct task *kthread_create(int (*fn)(void *), void *arg, const char *fmt, ...)
{
	struct task *t;
	va_list ap;

	va_start(ap, fmt);
	t = create(fn, arg, fmt, ap);
	va_end(ap);
	return t;
}

struct task *kthread_run(int (*fn)(void *), void *arg, const char *fmt, ...)
{
	struct task *t;
	va_list ap;

	va_start(ap, fmt);
	t = create(fn, arg, fmt, ap);
	va_end(ap);
	if (!IS_ERR(t))
		wake_up_new_task(t);
	return t;
}

struct task *kthread_run_on(unsigned cpu, int (*fn)(void *), void *arg, const char *fmt, ...)
{
	struct task *t;
	va_list ap;

	va_start(ap, fmt);
	t = create(fn, arg, fmt, ap);
	va_end(ap);
	if (!IS_ERR(t)) {
		cpumask_zero(&t->affinity);
		cpumask_set(&t->affinity, cpu);
		wake_up_new_task(t);
	}
	return t;
}

bool kthread_should_stop(void)
{
	return READ_ONCE(current->kthread->stop);
}

int kthread_stop(struct task *t)
{
	struct kthread *k = t->kthread;
	int result;

	WRITE_ONCE(k->stop, true);
	wake_up_task(t);
	wait_for_completion(&k->done);
	result = k->result;
	t->kthread = NULL;
	kfree(k);
	put_task(t);	/* the creator's reference */
	return result;
}
