/*
 * Processes: the number table, the tree, groups and sessions.
 *
 * The number table has a slot for each number, in pages that exist while a number of theirs is in use (or was the
 * last one handed out) and are freed by RCU, so readers follow slot->task without a lock. A slot counts who uses its
 * number: a task, the members of the group, the members of the session. Numbers are handed out in turn, so that one
 * is not used again soon.
 */
#include "kernel/process.h"

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "lib/bitmap.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/slab.h"

#define FIRST_PID_AFTER_WRAP	300

struct pid_slot {
	struct task *task;		/* p; RCU to read */
	u32 users;			/* p */
	union {
		struct list_head group;	/* p. process->pgrp_link */
		struct rcu_head rcu;	/* first slot of a page that is being freed */
	};
};

#define SLOTS_PER_PAGE	(PAGE_SIZE / sizeof(struct pid_slot))

struct pid_page {
	struct pid_slot *slots;		/* p to write; RCU to read */
	u32 used;			/* p. numbers in use */
};

spinlock_t proc_lock = SPINLOCK_INIT(RANK_PROC);
struct process *init_process;
LIST_HEAD(all_tasks);

static struct pid_page pid_pages[PID_MAX * sizeof(struct pid_slot) / PAGE_SIZE];
static unsigned long pid_map[BITS_TO_LONGS(PID_MAX)];	/* p. numbers in use */
static int pid_last;		/* p */
static atomic_t nr_pid_pages;	/* allocated */
static unsigned count_procs, count_threads;	/* p */
static struct kmem_cache *process_cache;

struct process kernel_process = {
	.refs = ATOMIC_INIT(1),
	.parent = &kernel_process,
	.children = LIST_HEAD_INIT(kernel_process.children),
	.sibling = LIST_HEAD_INIT(kernel_process.sibling),
	.threads = LIST_HEAD_INIT(kernel_process.threads),
	.leader = &init_task,
	.pgrp_link = LIST_HEAD_INIT(kernel_process.pgrp_link),
	.siglock = SPINLOCK_INIT(RANK_SIGHAND),
	.pending = { 0, LIST_HEAD_INIT(kernel_process.pending.queue) },
	.wait_chld = WAIT_QUEUE_INIT(kernel_process.wait_chld),
	.mm_lock = SPINLOCK_INIT(RANK_SPIN_LEAF),
	.cred = { .cap_effective = ~0ull >> 23, .cap_permitted = ~0ull >> 23 },
};

/* ---- numbers ---- */

static struct pid_slot *pid_slot(int nr)
{
	struct pid_slot *slots = (unsigned)nr < PID_MAX ? rcu_dereference(pid_pages[nr / SLOTS_PER_PAGE].slots) : NULL;

	return slots ? &slots[nr % SLOTS_PER_PAGE] : NULL;
}

static void slots_free_rcu(struct rcu_head *head)
{
	free_kpages(container_of(head, struct pid_slot, rcu), 0);
	atomic_dec(&nr_pid_pages);
}

static struct pid_slot *slots_create(void)
{
	struct pid_slot *slots = alloc_kpages(0, GFP_KERNEL | GFP_ZERO);

	if (!slots)
		return NULL;
	for (unsigned i = 0; i < SLOTS_PER_PAGE; i++)
		list_init(&slots[i].group);
	atomic_inc(&nr_pid_pages);
	return slots;
}

u64 pid_table_pages(void)
{
	return (u64)atomic_read(&nr_pid_pages);
}

/* The page is not needed if no number of it is in use, and the next one will not come from it. */
static void page_put(unsigned index)
{
	struct pid_page *page = &pid_pages[index];
	struct pid_slot *slots = page->slots;

	if (page->used || index == (unsigned)pid_last / SLOTS_PER_PAGE)
		return;
	rcu_assign_pointer(page->slots, NULL);
	call_rcu(&slots->rcu, slots_free_rcu);
}

static void slot_get(int nr)
{
	pid_slot(nr)->users++;
}

static void slot_put(int nr)
{
	if (--pid_slot(nr)->users)
		return;
	__clear_bit(nr, pid_map);
	pid_pages[nr / SLOTS_PER_PAGE].used--;
	page_put(nr / SLOTS_PER_PAGE);
}

/* Number nr, whose page exists, is taken; `next` if it was the next in turn. */
static void pid_take(int nr, bool next)
{
	unsigned old = (unsigned)pid_last / SLOTS_PER_PAGE;

	__set_bit(nr, pid_map);
	pid_pages[nr / SLOTS_PER_PAGE].used++;
	pid_slot(nr)->users = 1;
	if (!next)
		return;
	pid_last = nr;
	if (unlikely(nr / SLOTS_PER_PAGE != old && pid_pages[old].slots))
		page_put(old);
}

/*
 * Take a number: `want`, or the next free one. proc_lock is held, and dropped meanwhile if the slot's page must be
 * allocated; nothing may have been decided under it before. -EAGAIN if there is none.
 */
static int pid_alloc(int want)
{
	for (;;) {
		struct pid_slot *slots;
		int nr = want;

		if (!want) {
			nr = (int)find_next_zero_bit(pid_map, PID_MAX, pid_last + 1);
			if (nr >= PID_MAX)
				nr = (int)find_next_zero_bit(pid_map, PID_MAX, FIRST_PID_AFTER_WRAP);
		}
		if (nr >= PID_MAX || test_bit(nr, pid_map))
			return -EAGAIN;
		if (likely(pid_pages[nr / SLOTS_PER_PAGE].slots)) {
			pid_take(nr, !want);
			return nr;
		}
		spin_unlock(&proc_lock);
		slots = slots_create();
		spin_lock(&proc_lock);
		if (!slots)
			return -EAGAIN;
		/* Meanwhile another may have made the page, or even taken the number. */
		if (pid_pages[nr / SLOTS_PER_PAGE].slots || test_bit(nr, pid_map)) {
			slots_free_rcu(&slots->rcu);
			continue;
		}
		rcu_assign_pointer(pid_pages[nr / SLOTS_PER_PAGE].slots, slots);
		pid_take(nr, !want);
		return nr;
	}
}

struct task *find_task(int pid)
{
	struct pid_slot *slot = pid_slot(pid);

	return slot ? rcu_dereference(slot->task) : NULL;
}

struct process *find_process(int tgid)
{
	struct task *t = find_task(tgid);

	return t && t->proc->pid == tgid ? t->proc : NULL;
}

struct task *find_get_task(int pid)
{
	struct task *t;

	rcu_read_lock();
	t = find_task(pid);
	if (t && !atomic_inc_not_zero(&t->refs))
		t = NULL;
	rcu_read_unlock();
	return t;
}

/* A task that RCU lets us see has not been freed, so it still holds its process: the plain increment is safe. */
struct process *find_get_process(int tgid)
{
	struct process *p;

	rcu_read_lock();
	p = find_process(tgid);
	if (p)
		get_process(p);
	rcu_read_unlock();
	return p;
}

struct process *next_process(int pid)
{
	struct process *p = NULL;

	rcu_read_lock();
	for (size_t nr = max(pid, 1); nr < PID_MAX; nr++) {
		nr = find_next_bit(pid_map, PID_MAX, nr);
		if (nr >= PID_MAX)
			break;
		p = find_process((int)nr);
		if (p) {
			get_process(p);
			break;
		}
	}
	rcu_read_unlock();
	return p;
}

struct task *next_thread(struct process *p, int tid)
{
	struct task *t, *best = NULL;

	spin_lock(&proc_lock);
	for_each_thread(p, t)
		if (t->pid >= tid && (!best || t->pid < best->pid))
			best = t;
	if (best)
		get_task(best);
	spin_unlock(&proc_lock);
	return best;
}

struct list_head *pgrp_members(int pgrp)
{
	struct pid_slot *slot = pid_slot(pgrp);

	return slot ? &slot->group : NULL;
}

unsigned nr_processes(void)
{
	return READ_ONCE(count_procs);
}

unsigned nr_threads(void)
{
	return READ_ONCE(count_threads);
}

int last_pid(void)
{
	return READ_ONCE(pid_last);
}

/* ---- life of struct process ---- */

struct process *process_create(void)
{
	struct process *old = current->proc;
	struct process *p = kmem_cache_alloc(process_cache, GFP_KERNEL);

	if (!p)
		return ERR_PTR(-ENOMEM);
	atomic_set(&p->refs, 1);
	p->pid = 0;
	p->parent = NULL;
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->threads);
	p->leader = NULL;
	p->nr_threads = 0;
	p->leader_dead = false;
	atomic_set(&p->live, 0);
	p->state = PROC_RUNNING;
	p->flags = 0;
	p->exit_signal = 0;
	p->exit_code = 0;
	p->group_exit_code = 0;
	p->pgrp = 0;
	p->session = 0;
	list_init(&p->pgrp_link);
	p->tty = NULL;
	spin_lock_init(&p->siglock, RANK_SIGHAND);
	p->nr_queued = 0;
	sigpending_init(&p->pending);
	p->sighand = NULL;
	wait_queue_init(&p->wait_chld);
	p->nr_stopping = 0;
	p->stop_sig = 0;
	p->stop_report = 0;
	p->cont_report = false;
	p->exec_task = NULL;
	p->vfork_done = NULL;
	spin_lock_init(&p->mm_lock, RANK_SPIN_LEAF);
	memcpy(p->rlim, old->rlim, sizeof(p->rlim));
	p->cred = old->cred;
	if (old->cred.groups) {
		spin_lock(&old->mm_lock);
		p->cred.groups = old->cred.groups;
		if (p->cred.groups)
			atomic_inc(&p->cred.groups->refs);
		spin_unlock(&old->mm_lock);
	}
	p->dead = p->reaped = (struct usage){ 0 };
	p->itimers = NULL;
	p->start_time = clock_ns();
	p->personality = old->personality;
	p->child_subreaper = false;
	p->no_new_privs = old->no_new_privs;
	p->pdeath_signal = 0;
	p->oom_score_adj = old->oom_score_adj;
	return p;
}

void put_groups(struct group_info *g)
{
	if (g && atomic_dec_and_test(&g->refs))
		kfree(g);
}

void put_process(struct process *p)
{
	if (p == &kernel_process || !atomic_dec_and_test(&p->refs))
		return;
	DEBUG_ASSERT(!p->itimers && !p->nr_threads, "process %d: %u threads", p->pid, p->nr_threads);
	signal_free_process(p);
	put_groups(p->cred.groups);
	kmem_cache_free(process_cache, p);
}

/* ---- entering and leaving the tree ---- */

static void attach_leader(struct task *t, struct process *p, struct process *parent, int nr)
{
	struct process *self = current->proc;

	p->pid = nr;
	p->leader = t;
	p->parent = parent;
	p->pgrp = self->pgrp;
	p->session = self->session;
	p->tty = self->tty;
	slot_get(p->pgrp);
	slot_get(p->session);
	list_add_tail(&p->pgrp_link, &pid_slot(p->pgrp)->group);
	list_add_tail(&p->sibling, &parent->children);
	count_procs++;
}

int process_attach(struct task *t, struct process *p, struct process *parent, int want)
{
	int nr;

	spin_lock(&proc_lock);
	nr = pid_alloc(want);
	if (nr < 0) {
		spin_unlock(&proc_lock);
		return nr;
	}
	spin_lock(&p->siglock);
	/* A signal that kills the parent, or the process that t would join, must not miss the newcomer. */
	if (fatal_signal_pending(current) || p->flags & PROC_GROUP_EXIT || p->exec_task) {
		spin_unlock(&p->siglock);
		slot_put(nr);
		spin_unlock(&proc_lock);
		return -EINTR;
	}
	t->pid = nr;
	if (!p->leader) {
		attach_leader(t, p, parent ? parent : current->proc->parent, nr);
	} else if (p->flags & PROC_STOPPED) {
		p->nr_stopping++;
		t->sig->stopping = true;
		set_work(t, WORK_SIGNAL);
	}
	get_task(t);
	list_add_tail(&t->thread_link, &p->threads);
	p->nr_threads++;
	atomic_inc(&p->live);
	spin_unlock(&p->siglock);
	list_add_tail(&t->all_link, &all_tasks);
	count_threads++;
	rcu_assign_pointer(pid_slot(nr)->task, t);
	spin_unlock(&proc_lock);
	return 0;
}

int process_attach_kthread(struct task *t)
{
	int nr;

	spin_lock(&proc_lock);
	nr = pid_alloc(0);
	if (nr < 0) {
		spin_unlock(&proc_lock);
		return nr;
	}
	t->pid = nr;
	get_task(t);
	list_add_tail(&t->all_link, &all_tasks);
	rcu_assign_pointer(pid_slot(nr)->task, t);
	spin_unlock(&proc_lock);
	return 0;
}

void process_detach_kthread(struct task *t)
{
	spin_lock(&proc_lock);
	list_del_init(&t->all_link);
	rcu_assign_pointer(pid_slot(t->pid)->task, NULL);
	slot_put(t->pid);
	spin_unlock(&proc_lock);
	put_task(t);
}

void process_unlink_thread(struct task *t)
{
	struct process *p = t->proc;

	assert_spin_locked(&proc_lock);
	assert_spin_locked(&p->siglock);
	list_del_init(&t->thread_link);
	p->nr_threads--;
	list_del_init(&t->all_link);
	count_threads--;
	rcu_assign_pointer(pid_slot(t->pid)->task, NULL);
	slot_put(t->pid);
}

void process_unlink(struct process *p)
{
	assert_spin_locked(&proc_lock);
	spin_lock(&p->siglock);
	process_unlink_thread(p->leader);
	spin_unlock(&p->siglock);
	list_del_init(&p->sibling);
	list_del_init(&p->pgrp_link);
	slot_put(p->pgrp);
	slot_put(p->session);
	p->state = PROC_REAPED;
	count_procs--;
}

void process_set_pgrp(struct process *p, int pgrp)
{
	slot_get(pgrp);
	list_move_tail(&p->pgrp_link, &pid_slot(pgrp)->group);
	slot_put(p->pgrp);
	WRITE_ONCE(p->pgrp, pgrp);
}

void process_set_session(struct process *p, int session)
{
	slot_get(session);
	slot_put(p->session);
	WRITE_ONCE(p->session, session);
}

struct task *process_take_over(struct task *t)
{
	struct process *p = t->proc;
	struct task *old = p->leader;
	int nr = t->pid;

	assert_spin_locked(&proc_lock);
	assert_spin_locked(&p->siglock);
	old->pid = nr;
	t->pid = p->pid;
	rcu_assign_pointer(pid_slot(nr)->task, old);
	rcu_assign_pointer(pid_slot(p->pid)->task, t);
	p->leader = t;
	p->leader_dead = false;
	process_unlink_thread(old);
	return old;
}

/* ---- orphaned groups: nobody in their session could continue them ---- */

bool pgrp_orphaned(int pgrp, const struct process *except)
{
	struct process *p;

	assert_spin_locked(&proc_lock);
	list_for_each_entry(p, pgrp_members(pgrp), pgrp_link) {
		if (p == except || p->state != PROC_RUNNING || p->parent == init_process)
			continue;
		if (p->parent->pgrp != pgrp && p->parent->session == p->session)
			return false;
	}
	return true;
}

static bool pgrp_has_stopped(int pgrp)
{
	struct process *p;

	list_for_each_entry(p, pgrp_members(pgrp), pgrp_link)
		if (READ_ONCE(p->flags) & PROC_STOPPED)
			return true;
	return false;
}

void pgrp_check_orphans(struct process *p, struct process *parent)
{
	int pgrp = p->pgrp;

	if (parent->pgrp == pgrp || parent->session != p->session)
		return;		/* the group did not depend on this pair */
	if (!pgrp_has_stopped(pgrp) || !pgrp_orphaned(pgrp, p))
		return;
	kill_pgrp_locked(pgrp, SIGHUP, NULL);
	kill_pgrp_locked(pgrp, SIGCONT, NULL);
}

/* ---- other processes' memory ---- */

struct mm *get_task_mm(struct task *t)
{
	struct mm *mm;

	if (t->flags & TF_KTHREAD)
		return NULL;
	task_mm_lock(t);
	mm = READ_ONCE(t->mm);
	if (t->flags & TF_EXITING)
		mm = NULL;
	if (mm)
		mmget(mm);
	task_mm_unlock(t);
	return mm;
}

struct mm *get_process_mm(struct process *p)
{
	struct mm *mm = NULL;
	struct task *t;

	if (p == &kernel_process)
		return NULL;
	spin_lock(&proc_lock);
	for_each_thread(p, t) {
		mm = get_task_mm(t);
		if (mm)
			break;
	}
	spin_unlock(&proc_lock);
	return mm;
}

void process_init(void)
{
	task_cache_init();
	process_cache = kmem_cache_create("process", sizeof(struct process), 64, NULL);
	signal_init();
	for (unsigned i = 0; i < NR_RLIMITS; i++)
		kernel_process.rlim[i] = (struct rlimit_k){ RLIM_INFINITY, RLIM_INFINITY };
	kernel_process.rlim[RLIMIT_STACK].cur = 8 << 20;
	kernel_process.rlim[RLIMIT_CORE].cur = 0;
	kernel_process.rlim[RLIMIT_NOFILE] = (struct rlimit_k){ 1024, 4096 };
	kernel_process.rlim[RLIMIT_MEMLOCK] = (struct rlimit_k){ 8 << 20, 8 << 20 };
	kernel_process.rlim[RLIMIT_SIGPENDING] = (struct rlimit_k){ 4096, 4096 };
	kernel_process.rlim[RLIMIT_NICE] = (struct rlimit_k){ 0, 0 };
	kernel_process.rlim[RLIMIT_RTPRIO] = (struct rlimit_k){ 0, 0 };
	kernel_process.start_time = clock_ns();

	/* Number 0 is the idle tasks' and init's first group and session; number 1 waits for init. */
	pid_pages[0].slots = slots_create();
	if (!pid_pages[0].slots)
		panic("no memory for the table of process numbers");
	pid_take(0, false);
	pid_last = 1;
	futex_init();
}
