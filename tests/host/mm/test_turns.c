/*
 * Random operations on several address spaces by tasks on several CPUs in turn, against the model. One thread: a run is
 * a function of its seed. Because each CPU keeps its TLB between its turns, a missing flush shows as a wrong value, a
 * missing fault, or a report of the MMU model. Allocations are made to fail now and then; an operation may then say
 * -ENOMEM, and must have changed nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/fsapi.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "tests/host/mm/turns.h"

#define MAX_PROCS	5
#define MAX_TASKS	10

struct slot {
	struct task *task;
	struct proc *proc;
	int cpu;		/* where it runs, -1: nowhere */
};

struct run *turns_run;
static struct slot tasks[MAX_TASKS];
static struct slot *on[NR_CPUS];	/* by CPU, NULL: idle */
struct obj turn_files[NR_FILES];
static unsigned nr_procs;
u64 next_val = 1;
bool failing;

/* ---- tasks and CPUs */

static struct slot *free_slot(void)
{
	for (unsigned i = 0; i < MAX_TASKS; i++)
		if (!tasks[i].task)
			return &tasks[i];
	return NULL;
}

static struct slot *me(void)
{
	return on[cpu_id()];
}

struct proc *my_proc(void)
{
	return me()->proc;
}

static void switch_to(struct slot *s)
{
	unsigned cpu = cpu_id();

	if (on[cpu])
		on[cpu]->cpu = -1;
	on[cpu] = s;
	if (s)
		s->cpu = (int)cpu;
	host_switch(s ? s->task : this_cpu()->idle);
}

static struct slot *add_task(struct proc *p)
{
	struct slot *s = free_slot();

	s->proc = p;
	s->task = host_task(p->mm);
	s->cpu = -1;
	p->tasks++;
	return s;
}

static struct proc *new_proc(struct mm *mm)
{
	struct proc *p = calloc(1, sizeof(*p));

	p->mm = mm;
	nr_procs++;
	return p;
}

static void drop_task(struct proc *p)
{
	if (--p->tasks)
		return;
	nr_procs--;
	free(p);
}

static struct mm *fresh_mm(void)
{
	struct mm *mm = mm_create();

	if (mm)
		mm->mmap_base = WINDOW_END;
	return mm;
}

/* ---- checks of one result */

bool no_memory(long ret)
{
	return failing && ret == -ENOMEM;
}

/* For taking a write back that did not happen. */
struct saved {
	struct mpage page;
	u64 shared_val;
};

static struct saved save(const struct mpage *p)
{
	return (struct saved){ *p, p->shared && p->off < OBJ_PAGES ? p->obj->val[p->off] : 0 };
}

static void restore(struct mpage *p, const struct saved *s)
{
	*p = s->page;
	if (p->shared)
		p->obj->val[p->off] = s->shared_val;
}

void check_page(unsigned i, bool write)
{
	struct mpage *p = &my_proc()->page[i];
	uintptr_t va = page_va(i);
	u64 want = next_val, got = next_val;
	int expect, ret;

	if (write) {
		struct saved saved = save(p);

		expect = model_write(p, want);
		ret = host_access(va + WORD_OFFSET, true, &got);
		if (no_memory(ret) && (!expect || expect == -EIO)) {
			restore(p, &saved);
			return;
		}
		next_val++;
	} else {
		expect = model_read(p, &want);
		ret = host_access(va + WORD_OFFSET, false, &got);
		if (no_memory(ret) && (!expect || expect == -EIO))
			return;
	}
	CHECK(ret == expect, "%s of page %u (%#lx): %d, should be %d", write ? "write" : "read", i, va, ret, expect);
	CHECK(ret || got == want, "page %u (%#lx): read %llu, should be %llu", i, va, got, want);
	if (!write && !ret && chance(turns_run, 20)) {
		CHECK(!host_access(va + EMPTY_OFFSET, false, &got) && !got,
		      "page %u (%#lx) holds what nobody wrote: %#llx", i, va, got);
	}
}

void pick_range(unsigned *i, unsigned *n, unsigned max)
{
	*n = 1 + (unsigned)rnd(turns_run, chance(turns_run, 85) ? 24 : max);
	*i = (unsigned)rnd(turns_run, WINDOW_PAGES);
	/* Near a table's edge is where mistakes are. */
	if (chance(turns_run, 25))
		*i = (unsigned)(256 + 512 * rnd(turns_run, 3) - rnd(turns_run, *n + 1));
	if (*i >= WINDOW_PAGES)
		*i = 0;
	*n = min(*n, WINDOW_PAGES - *i);
}

/* ---- operations */

static void op_touch(void)
{
	unsigned i, n;

	pick_range(&i, &n, 200);
	for (unsigned k = 0; k < n && k < 24; k++)
		check_page(i + (unsigned)rnd(turns_run, n), chance(turns_run, 55));
}

static void op_verify(void)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		check_page(i, false);
}

static void op_fork(void)
{
	struct proc *p = me()->proc, *child;
	struct mm *mm;

	if (nr_procs == MAX_PROCS || !free_slot())
		return;
	mm = mm_dup(p->mm);
	if (IS_ERR(mm)) {
		CHECK(no_memory(PTR_ERR(mm)), "fork: %ld", PTR_ERR(mm));
		return;
	}
	child = new_proc(mm);
	memcpy(child->page, p->page, sizeof(p->page));
	for (unsigned i = 0; i < WINDOW_PAGES; i++) {
		struct mpage *m = &child->page[i];

		if (m->dontfork)
			memset(m, 0, sizeof(*m));
		else if (m->wipe)
			m->own = false, m->val = 0;
	}
	add_task(child);
}

static void op_thread(void)
{
	struct proc *p = me()->proc;

	if (!free_slot())
		return;
	mmget(p->mm);
	add_task(p);
}

static void op_exit(void)
{
	struct slot *s = me();
	struct task *t = s->task;

	if (s->proc->tasks == 1)
		mm_check(s->proc->mm);
	exit_mm();
	switch_to(NULL);
	drop_task(s->proc);
	host_task_free(t);
	memset(s, 0, sizeof(*s));
}

static void op_exec(void)
{
	struct slot *s = me();
	struct mm *mm;

	if (nr_procs == MAX_PROCS)
		return;
	mm = fresh_mm();
	if (!mm)
		return;
	exec_mmap(mm);
	drop_task(s->proc);
	s->proc = new_proc(mm);
	s->proc->tasks = 1;
}

static void op_truncate(void)
{
	struct obj *o = &turn_files[rnd(turns_run, NR_FILES)];
	u64 pages = rnd(turns_run, OBJ_PAGES / 2);

	host_file_truncate(o->file, pages);
	for (u64 i = pages; i < o->pages; i++)
		o->val[i] = 0;
	/* Private copies of pages that are cut off go too. */
	for (unsigned t = 0; t < MAX_TASKS; t++)
		for (unsigned i = 0; tasks[t].task && i < WINDOW_PAGES; i++) {
			struct mpage *m = &tasks[t].proc->page[i];

			if (m->mapped && m->obj == o && m->off >= pages && pages < o->pages) {
				m->own = false;
				m->val = 0;
			}
		}
	o->pages = pages;
}

static void op_foreign(void)
{
	struct slot *s = &tasks[rnd(turns_run, MAX_TASKS)];
	unsigned i = (unsigned)rnd(turns_run, WINDOW_PAGES);
	bool write = chance(turns_run, 50);
	u64 want = next_val++, got = want;
	struct saved saved;
	struct mpage *m;
	size_t n;

	if (!s->task)
		return;
	m = &s->proc->page[i];
	saved = save(m);
	n = access_process_vm(s->proc->mm, page_va(i) + WORD_OFFSET, &got, sizeof(got), write);
	if (write ? model_write(m, want) : model_read(m, &want)) {
		CHECK(!n, "foreign %s of page %u worked", write ? "write" : "read", i);
	} else if (!n) {
		CHECK(failing, "foreign %s of page %u did not work", write ? "write" : "read", i);
		restore(m, &saved);
	} else {
		CHECK(write || got == want, "foreign read of page %u: %llu, should be %llu", i, got, want);
	}
}

/* Another task, or none, on this CPU. */
static void op_switch(void)
{
	struct slot *s = &tasks[rnd(turns_run, MAX_TASKS)];

	if (chance(turns_run, 10))
		switch_to(NULL);
	else if (s->task && s->cpu < 0)
		switch_to(s);
}

static const struct {
	void (*fn)(void);
	unsigned weight;
	bool may_fail;
} ops[] = {
	{ op_touch, 300, true },   { op_mmap, 90, true },    { op_munmap, 40, true },  { op_mprotect, 70, true },
	{ op_madvise, 60, true },  { op_mremap, 60, true },  { op_fork, 25, true },    { op_thread, 15, false },
	{ op_exit, 22, false },    { op_exec, 4, false },    { op_truncate, 6, false }, { op_foreign, 20, true },
	{ op_switch, 80, false },  { op_verify, 3, false },
};

static void check_all(void)
{
	for (unsigned i = 0; i < MAX_TASKS; i++)
		if (tasks[i].task)
			mm_check(tasks[i].proc->mm);
}

static void one_op(unsigned total)
{
	u64 pick = rnd(turns_run, total);
	unsigned i = 0;

	while (pick >= ops[i].weight)
		pick -= ops[i++].weight;
	failing = ops[i].may_fail && chance(turns_run, 12);
	if (failing)
		palloc_fail((unsigned)rnd(turns_run, 6), 1 + (unsigned)rnd(turns_run, 4));
	ops[i].fn();
	palloc_fail(0, 0);
	failing = false;
}

void test_turns(struct run *r)
{
	unsigned total = 0;

	turns_run = r;
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].weight;
	for (unsigned i = 0; i < NR_FILES; i++) {
		turn_files[i].pages = 40 + 60 * i;
		turn_files[i].file = host_file(turn_files[i].pages);
	}
	for (unsigned n = 0; n < r->ops; n++) {
		host_run_on((unsigned)rnd(r, nr_cpus));
		if (!nr_procs) {
			struct mm *mm = fresh_mm();

			CHECK(mm, "no memory for the first mm");
			add_task(new_proc(mm));
		}
		if (!me())
			op_switch();
		if (me())
			one_op(total);
		host_quiescent();
		if (n % 64 == 0)
			check_all();
		if (n % 1024 == 0)
			slab_check();
	}
	check_all();
	for (unsigned i = 0; i < MAX_TASKS; i++) {
		if (!tasks[i].task)
			continue;
		host_run_on(tasks[i].cpu >= 0 ? (unsigned)tasks[i].cpu : 0);
		switch_to(&tasks[i]);
		op_exit();
	}
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		host_run_on(cpu);
		switch_to(NULL);
		host_unlazy();
	}
	host_run_on(0);
	for (unsigned i = 0; i < NR_FILES; i++)
		fput(turn_files[i].file);
}
