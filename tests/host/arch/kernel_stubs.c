/*
 * The parts of the kernel that are not memory management, as far as memory management calls them: tasks, sleeping, RCU,
 * messages, files. Locks, wait queues and IPI calls are the kernel's own
 * (kernel/{spinlock,lockcheck,rwsem,mutex,wait,ipi}.c): only schedule() underneath is not.
 *
 * RCU: an epoch counter. A callback notes the epoch it was queued in; a CPU in host_quiescent() (or asleep) notes the
 * epoch it has seen. A callback may run when every CPU has seen a later epoch, or when it is the only one that runs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define sched_yield kernel_sched_yield	/* the kernel has a function of that name */

#include "kernel/entry.h"
#include "kernel/fsapi.h"
#include "kernel/lazy_tlb.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/race.h"
#include "kernel/rcu.h"
#include "kernel/sched_internal.h"
#include "kernel/seq.h"
#include "kernel/signal.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/mapping.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "tests/host/arch/host.h"

/* ---- messages */

static char replay[512];
bool panicking;

void host_set_replay(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(replay, sizeof(replay), fmt, args);
	va_end(args);
}

static void fail(const char *text)
{
	fflush(stdout);
	fprintf(stderr, "\nFAILED: %s\nreplay: %s\n", text, replay);
	panicking = true;
	abort();
}

void host_fail(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fail(text);
	__builtin_unreachable();
}

void panic(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fail(text);
	__builtin_unreachable();
}

void printk(char level, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	kvsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (level < '6')
		fprintf(stderr, "%s\n", text);
}

void seq_printf(struct seq *m, const char *fmt, ...)
{
}

void seq_puts(struct seq *m, const char *s)
{
}

/* ---- tasks: just enough to sleep and to be woken */

struct process kernel_process;		/* of all tasks here */
struct task init_task = { .refs = { 1 }, .proc = &kernel_process };

static void __attribute__((constructor)) no_limits(void)
{
	for (unsigned i = 0; i < NR_RLIMITS; i++)
		kernel_process.rlim[i] = (struct rlimit_k){ RLIM_INFINITY, RLIM_INFINITY };
}

struct task *host_task(struct mm *mm)
{
	struct task *t = calloc(1, sizeof(*t));

	atomic_set(&t->refs, 1);
	t->proc = &kernel_process;
	t->mm = mm;
	return t;
}

/* Whoever wakes a task holds a reference while it does. */
void put_task(struct task *t)
{
	if (atomic_dec_and_test(&t->refs))
		free(t);
}

void host_task_free(struct task *t)
{
	put_task(t);
}

void host_switch(struct task *next)
{
	struct cpu *c = this_cpu();
	struct task *prev = c->curr;

	if (prev == next)
		return;
	irq_disable();
	switch_mm(prev, next);
	arch_set_current(next);
	switch_mm_finish(prev);
	irq_enable();
}

void host_unlazy(void)
{
	if (current->mm)
		host_fail("CPU %u does not idle", cpu_id());
	irq_disable();
	lazy_tlb_unlazy();
	irq_enable();
}

static void note_quiescent(void);

void set_current_state(unsigned state)
{
	__atomic_exchange_n(&current->state, state, __ATOMIC_SEQ_CST);
}

bool wake_up_task(struct task *t)
{
	return __atomic_exchange_n(&t->state, TASK_RUNNING, __ATOMIC_SEQ_CST) != TASK_RUNNING;
}

void schedule(void)
{
	bool off = irqs_off();

	while (__atomic_load_n(&current->state, __ATOMIC_ACQUIRE) != TASK_RUNNING) {
		irq_enable();
		note_quiescent();
		if (!host_run_work())
			cpu_relax();
	}
	if (off)
		irq_disable();
}

bool schedule_deadline(u64 deadline)
{
	schedule();
	return true;
}

bool cond_resched(void)
{
	note_quiescent();
	host_poll();
	return false;
}

bool task_interrupted(struct task *t, unsigned state)
{
	return false;
}

void sched_ipi(void)
{
}

void force_signal(int sig, int code, uintptr_t addr)
{
}

void do_user_exception(struct trapframe *tf, int sig, int code, uintptr_t addr)
{
}

void do_kernel_exception(struct trapframe *tf, const char *what, uintptr_t addr)
{
	host_fail("%s at %#lx", what, addr);
}

int send_signal_task(struct task *t, int sig, const struct siginfo_k *info)
{
	return 0;
}

bool has_fixup(const struct trapframe *tf)
{
	return false;
}

bool fixup_exception(struct trapframe *tf)
{
	return false;
}

bool kstack_guard_hit(uintptr_t addr)
{
	return false;
}

u64 kstack_count(void)
{
	return 0;
}

/*
 * Pause points. CPUs in turn: the first one that comes by a point with a hook runs what the hook does, as other CPUs.
 * CPUs at once: whoever comes by lets the others run for a random while.
 */
u32 race_armed;
static const char *hook_point;
static void (*hook_fn)(void);

void host_race_hook(const char *point, void (*fn)(void))
{
	hook_point = point;
	hook_fn = fn;
	race_armed = fn != NULL;
}

void race_point_hit(const char *name)
{
	static __thread u64 state = 1;
	void (*fn)(void) = hook_fn;
	unsigned cpu = cpu_id();

	if (fn) {
		if (strcmp(name, hook_point))
			return;
		host_race_hook(NULL, NULL);
		fn();
		host_run_on(cpu);
		return;
	}
	state = state * 6364136223846793005ull + this_cpu()->id + 1;
	if (state >> 62)
		return;
	for (unsigned i = 0; i < (state >> 56 & 63); i++)
		host_yield();
}

/* ---- RCU */

static u64 epoch = 1;			/* atomic */
static struct rcu_head *callbacks;	/* rcu_lock */
static u64 callback_epoch;		/* rcu_lock. when the newest was queued */
static pthread_mutex_t rcu_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_quiescent(void)
{
	__atomic_store_n(&this_cpu()->arch.quiescent, __atomic_load_n(&epoch, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

void rcu_read_lock(void)
{
	this_cpu()->arch.rcu_depth++;
}

void rcu_read_unlock(void)
{
	this_cpu()->arch.rcu_depth--;
}

/* Has every CPU been between two operations since `since`? CPUs in turn: all but this one always are. */
static bool all_quiescent(u64 since)
{
	for (unsigned i = 0; i < nr_cpus; i++)
		if (host_attached(i) && cpus[i] != this_cpu() &&
		    __atomic_load_n(&cpus[i]->arch.quiescent, __ATOMIC_SEQ_CST) < since)
			return false;
	return true;
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *))
{
	unsigned long flags = irq_save();

	head->func = func;
	pthread_mutex_lock(&rcu_lock);
	head->next = callbacks;
	__atomic_store_n(&callbacks, head, __ATOMIC_RELAXED);
	callback_epoch = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&rcu_lock);
	irq_restore(flags);
}

void synchronize_rcu(void)
{
	u64 since = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);

	while (!all_quiescent(since)) {
		note_quiescent();
		cpu_relax();
	}
}

static void run_callbacks(void)
{
	struct rcu_head *list = NULL;

	pthread_mutex_lock(&rcu_lock);
	if (callbacks && all_quiescent(callback_epoch)) {
		list = callbacks;
		__atomic_store_n(&callbacks, NULL, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&rcu_lock);
	while (list) {
		struct rcu_head *next = list->next;

		list->func(list);
		list = next;
	}
}

void host_quiescent(void)
{
	if (this_cpu()->arch.rcu_depth)
		host_fail("an operation ends inside rcu_read_lock");
	note_quiescent();
	host_poll();
	host_fire_timers();
	host_run_work();
	if (__atomic_load_n(&callbacks, __ATOMIC_RELAXED))
		run_callbacks();
}

void host_drain(void)
{
	lazy_tlb_drain();
	while (host_run_work())
		;
	for (int i = 0; i < 3; i++) {
		synchronize_rcu();
		run_callbacks();
	}
	slab_drain();
	pt_drain_roots();
	drain_pcp();
}

/* ---- files: anonymous ones, all pages in the page cache */

struct file {
	atomic_t refs;
	struct mapping mapping;
};

static atomic64_t open_files;

struct file *shmem_file(const char *name, u64 size)
{
	struct file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return ERR_PTR(-ENOMEM);
	atomic_set(&f->refs, 1);
	mapping_init(&f->mapping, NULL);
	mapping_grow(&f->mapping, size);
	atomic64_inc(&open_files);
	return f;
}

struct file *host_file(u64 pages)
{
	struct file *f = shmem_file("test", pages << PAGE_SHIFT);

	if (IS_ERR(f))
		host_fail("no memory for a file");
	return f;
}

void host_file_truncate(struct file *f, u64 pages)
{
	mapping_truncate(&f->mapping, pages << PAGE_SHIFT);
}

u64 host_files(void)
{
	return (u64)atomic64_read(&open_files);
}

struct file *get_file(struct file *f)
{
	atomic_inc(&f->refs);
	return f;
}

void fput(struct file *f)
{
	if (!atomic_dec_and_test(&f->refs))
		return;
	mapping_destroy(&f->mapping);
	kfree(f);
	atomic64_dec(&open_files);
}

struct file *fget(int fd)
{
	return NULL;
}

struct mapping *file_mapping(const struct file *f)
{
	return (struct mapping *)&f->mapping;
}

bool file_readable(const struct file *f)
{
	return true;
}

bool file_writable(const struct file *f)
{
	return true;
}

static int file_fault_page(struct vm_fault *vf)
{
	struct page *p = mapping_get(file_mapping(vf->vma->file), vf->pgoff, true);

	if (IS_ERR(p))
		return PTR_ERR(p) == -ENOMEM ? -ENOMEM : -EIO;
	vf->page = p;
	return 0;
}

static void file_peek(struct vma *vma, u32 pgoff, unsigned n, struct page **pages)
{
	mapping_find_range(file_mapping(vma->file), pgoff, n, pages);
}

static const struct vma_ops file_ops = { .fault = file_fault_page, .peek = file_peek };

int file_mmap(struct file *f, struct vma *vma)
{
	vma->ops = &file_ops;
	return 0;
}
