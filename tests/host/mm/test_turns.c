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
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "tests/host/mm/model.h"

#define MAX_PROCS	5
#define MAX_TASKS	10
#define NR_FILES	3

struct slot {
	struct task *task;
	struct proc *proc;
	int cpu;		/* where it runs, -1: nowhere */
};

static struct run *run;
static struct slot tasks[MAX_TASKS];
static struct slot *on[NR_CPUS];	/* by CPU, NULL: idle */
static struct obj files[NR_FILES];
static unsigned nr_procs;
static u64 next_val = 1;
static bool failing;			/* allocations may fail in this operation */

/* ---- the model */

int model_read(const struct mpage *p, u64 *val)
{
	if (!p->mapped)
		return -EFAULT;
	if (!p->prot)
		return -EACCES;
	if (!p->obj || p->own) {
		*val = p->val;
		return 0;
	}
	if (p->off >= p->obj->pages)
		return -EIO;
	*val = p->obj->val[p->off];
	return 0;
}

int model_write(struct mpage *p, u64 val)
{
	if (!p->mapped)
		return -EFAULT;
	if (!(p->prot & PROT_WRITE))
		return -EACCES;
	if (p->obj && !p->own && p->off >= p->obj->pages)
		return -EIO;
	if (p->shared) {
		p->obj->val[p->off] = val;
	} else {
		p->val = val;
		p->own = true;
	}
	return 0;
}

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

static bool no_memory(long ret)
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

static void check_page(unsigned i, bool write)
{
	struct mpage *p = &me()->proc->page[i];
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
	if (!write && !ret && chance(run, 20)) {
		CHECK(!host_access(va + EMPTY_OFFSET, false, &got) && !got,
		      "page %u (%#lx) holds what nobody wrote: %#llx", i, va, got);
	}
}

static void pick_range(unsigned *i, unsigned *n, unsigned max)
{
	*n = 1 + (unsigned)rnd(run, chance(run, 85) ? 24 : max);
	*i = (unsigned)rnd(run, WINDOW_PAGES);
	/* Near a table's edge is where mistakes are. */
	if (chance(run, 25))
		*i = (unsigned)(256 + 512 * rnd(run, 3) - rnd(run, *n + 1));
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
		check_page(i + (unsigned)rnd(run, n), chance(run, 55));
}

static void op_verify(void)
{
	for (unsigned i = 0; i < WINDOW_PAGES; i++)
		check_page(i, false);
}

static unsigned random_prot(void)
{
	static const u8 prots[] = { PROT_READ,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    0,
				    PROT_READ | PROT_EXEC,
				    PROT_WRITE,
				    PROT_READ | PROT_WRITE | PROT_EXEC };

	return prots[rnd(run, ARRAY_SIZE(prots))];
}

static void fault_in(struct mpage *p, bool write)
{
	if (write && p->obj && !p->shared && !p->own && p->off < p->obj->pages) {
		p->val = p->obj->val[p->off];
		p->own = true;
	}
}

static void op_mmap(void)
{
	struct proc *p = me()->proc;
	unsigned i, n, flags = 0, prot = random_prot(), kind = (unsigned)rnd(run, 100);
	struct obj *obj = NULL;
	bool shared = false, overlap = false, own_obj = false;
	u64 off = 0;
	uintptr_t va;
	long ret;

	pick_range(&i, &n, 500);
	if (kind < 50) {
		flags = MAP_PRIVATE | MAP_ANONYMOUS;
	} else if (kind < 62) {
		flags = MAP_SHARED | MAP_ANONYMOUS;
		shared = own_obj = true;
		obj = calloc(1, sizeof(*obj));	/* small, and few: they live until the run ends */
		obj->pages = n;
	} else {
		obj = &files[rnd(run, NR_FILES)];
		off = rnd(run, 120);
		shared = kind < 80;
		flags = shared ? MAP_SHARED : MAP_PRIVATE;
	}
	if (off + n > OBJ_PAGES)
		n = (unsigned)(OBJ_PAGES - off);
	va = page_va(i);
	for (unsigned k = 0; k < n; k++)
		overlap |= p->page[i + k].mapped;
	if (chance(run, 60))
		flags |= MAP_FIXED;
	else if (chance(run, 30))
		flags |= MAP_FIXED_NOREPLACE;
	else if (chance(run, 50))
		va = 0;
	if (chance(run, 10))
		flags |= MAP_POPULATE;
	if (chance(run, 10))
		flags |= MAP_NORESERVE;
	ret = do_mmap(obj ? obj->file : NULL, va, n * PAGE_SIZE - rnd(run, PAGE_SIZE), prot, flags, off);
	if (ret < 0 && own_obj)
		free(obj);
	if (no_memory(ret))
		return;
	if (flags & MAP_FIXED_NOREPLACE && overlap) {
		CHECK(ret == -EEXIST, "MAP_FIXED_NOREPLACE over a mapping: %ld", ret);
		return;
	}
	CHECK(ret > 0 && is_aligned((uintptr_t)ret, PAGE_SIZE), "mmap: %ld", ret);
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		CHECK((uintptr_t)ret == va, "mmap at %#lx gave %#lx", va, ret);
	else if (va && !overlap)
		CHECK((uintptr_t)ret == va, "the free hint %#lx gave %#lx", va, ret);
	va = (uintptr_t)ret;
	if (va < WINDOW || va + n * PAGE_SIZE > WINDOW_END) {
		palloc_fail(0, 0);
		down_write(&p->mm->mmap_lock);
		ret = do_munmap(p->mm, va, n * PAGE_SIZE);
		mmap_write_unlock(p->mm);
		CHECK(!ret, "munmap outside of the window: %ld", ret);
		return;
	}
	i = page_index(va);
	for (unsigned k = 0; k < n; k++) {
		struct mpage *m = &p->page[i + k];

		CHECK(flags & MAP_FIXED || !m->mapped, "mmap gave page %u, which is in use", i + k);
		*m = (struct mpage){ .mapped = true, .shared = shared, .prot = (u8)prot, .obj = obj, .off = off + k };
		if (flags & MAP_POPULATE && !failing)
			fault_in(m, prot & PROT_WRITE && !shared);
		else if (flags & MAP_POPULATE && obj && !shared && prot & PROT_WRITE && m->off < obj->pages)
			m->prot |= 0x80;	/* unknown whether it was copied: settled below */
	}
	for (unsigned k = 0; k < n; k++) {
		struct mpage *m = &p->page[i + k];

		if (m->prot & 0x80) {
			m->prot &= 0x7f;
			palloc_fail(0, 0);
			failing = false;
			m->own = true;
			m->val = next_val++;
			CHECK(!host_access(page_va(i + k) + WORD_OFFSET, true, &m->val), "write of a populated page");
		}
	}
}

static void op_munmap(void)
{
	struct proc *p = me()->proc;
	unsigned i, n;
	int ret;

	pick_range(&i, &n, 700);
	down_write(&p->mm->mmap_lock);
	ret = do_munmap(p->mm, page_va(i), n * PAGE_SIZE);
	mmap_write_unlock(p->mm);
	if (no_memory(ret))
		return;
	CHECK(!ret, "munmap: %d", ret);
	memset(&p->page[i], 0, n * sizeof(struct mpage));
}

/* After a failure in the middle of several vmas: what the kernel says now must be the old or the new protection. */
static void settle_prot(struct proc *p, unsigned i, unsigned n, u8 prot)
{
	for (; n--; i++) {
		struct vma *vma = vma_lookup(p->mm, page_va(i));
		struct mpage *m = &p->page[i];

		if (!m->mapped)
			continue;
		CHECK(vma, "page %u is no longer mapped", i);
		CHECK((vma->flags & VM_ACCESS) == m->prot || (vma->flags & VM_ACCESS) == prot,
		      "page %u has protection %x", i, vma->flags);
		m->prot = vma->flags & VM_ACCESS;
	}
}

static void op_mprotect(void)
{
	struct proc *p = me()->proc;
	unsigned i, n, prot = random_prot(), k;
	int ret;

	pick_range(&i, &n, 700);
	ret = do_mprotect(page_va(i), n * PAGE_SIZE, prot);
	if (no_memory(ret)) {
		settle_prot(p, i, n, (u8)prot);
		return;
	}
	for (k = 0; k < n && p->page[i + k].mapped; k++)
		p->page[i + k].prot = (u8)prot;
	CHECK(ret == (k < n ? -ENOMEM : 0), "mprotect of pages %u+%u: %d, mapped are %u", i, n, ret, k);
}

static void op_madvise(void)
{
	static const int advices[] = { MADV_DONTNEED,	    MADV_DONTNEED,   MADV_DONTNEED,   MADV_POPULATE_READ,
				       MADV_POPULATE_WRITE, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTFORK,
				       MADV_DOFORK,	    MADV_WILLNEED };
	struct proc *p = me()->proc;
	int advice = advices[rnd(run, ARRAY_SIZE(advices))], expect = 0, ret;
	unsigned i, n;

	pick_range(&i, &n, 700);
	ret = do_madvise(p->mm, page_va(i), n * PAGE_SIZE, advice);
	if (no_memory(ret) && advice != MADV_DONTNEED && advice != MADV_WILLNEED) {
		/* How far it came is not told: undo, and settle what was copied. */
		palloc_fail(0, 0);
		failing = false;
		for (unsigned k = 0; k < n; k++) {
			struct mpage *m = &p->page[i + k];

			if (!m->mapped)
				continue;
			if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK || advice == MADV_DONTFORK ||
			    advice == MADV_DOFORK) {
				m->wipe = vma_lookup(p->mm, page_va(i + k))->flags & VM_WIPEONFORK;
				m->dontfork = vma_lookup(p->mm, page_va(i + k))->flags & VM_DONTFORK;
			} else if (m->obj && !m->shared && !m->own && m->prot & PROT_WRITE && m->off < m->obj->pages) {
				check_page(i + k, true);
			}
		}
		return;
	}
	for (unsigned k = 0; k < n; k++) {
		struct mpage *m = &p->page[i + k];

		if (!m->mapped) {
			expect = -ENOMEM;
			if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
				break;
			continue;
		}
		if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
			bool write = advice == MADV_POPULATE_WRITE;

			if (!(m->prot & (write ? PROT_WRITE : 7))) {
				expect = -EINVAL;
				break;
			}
			if (m->obj && !m->own && m->off >= m->obj->pages) {
				expect = -EFAULT;
				break;
			}
			fault_in(m, write);
		} else if (advice == MADV_DONTNEED) {
			if (!m->shared) {
				m->own = false;
				m->val = 0;
			}
		} else if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK) {
			if (m->obj) {
				expect = -EINVAL;
				break;
			}
			m->wipe = advice == MADV_WIPEONFORK;
		} else if (advice == MADV_DONTFORK || advice == MADV_DOFORK) {
			m->dontfork = advice == MADV_DONTFORK;
		}
	}
	CHECK(ret == expect, "madvise(%d) of pages %u+%u: %d, should be %d", advice, i, n, ret, expect);
}

/* Pages [from, from + n) of p now stand at `to`; what is beyond old_n continues the mapping. */
static void model_move(struct proc *p, unsigned from, unsigned to, unsigned old_n, unsigned n, bool keep)
{
	struct mpage *moved = calloc(n, sizeof(*moved)), first = p->page[from];

	for (unsigned k = 0; k < n; k++) {
		if (k < old_n) {
			moved[k] = p->page[from + k];
		} else {
			moved[k] = first;
			moved[k].own = false;
			moved[k].val = 0;
			moved[k].off = first.off + k;
		}
	}
	for (unsigned k = 0; k < old_n; k++) {
		struct mpage *m = &p->page[from + k];

		if (!keep)
			memset(m, 0, sizeof(*m));
		else if (!m->shared)
			m->own = false, m->val = 0;
	}
	memcpy(&p->page[to], moved, n * sizeof(*moved));
	free(moved);
}

static void op_mremap(void)
{
	struct proc *p = me()->proc;
	unsigned i, n, new_n, to = 0, flags = 0, at;
	struct vma *vma;
	bool overlap;
	long ret;

	pick_range(&i, &n, 300);
	vma = vma_lookup(p->mm, page_va(i));
	if (!vma) {
		CHECK(do_mremap(page_va(i), n * PAGE_SIZE, PAGE_SIZE, 0, 0) == -EFAULT, "mremap of a hole");
		return;
	}
	if (chance(run, 90))
		n = min_t(unsigned, n, (unsigned)((vma->end - page_va(i)) >> PAGE_SHIFT));
	new_n = chance(run, 40) ? n : 1 + (unsigned)rnd(run, 2 * n + 4);
	if (new_n > 400 || (p->page[i].obj && p->page[i].off + new_n > OBJ_PAGES))
		new_n = n;
	if (chance(run, 70))
		flags |= MREMAP_MAYMOVE;
	if (flags && chance(run, 50)) {
		flags |= MREMAP_FIXED;
		to = (unsigned)rnd(run, WINDOW_PAGES - new_n);
	}
	if (flags && new_n == n && chance(run, 30))
		flags |= MREMAP_DONTUNMAP;
	overlap = flags & MREMAP_FIXED && i + n > to && to + new_n > i;
	at = page_index(vma->end);
	ret = do_mremap(page_va(i), n * PAGE_SIZE, new_n * PAGE_SIZE, flags, page_va(to));
	if (overlap) {
		CHECK(ret == -EINVAL, "mremap onto itself: %ld", ret);
		return;
	}
	if (ret < 0 && flags & MREMAP_FIXED) {
		/* The place may have been made free, and the end cut off. */
		CHECK(no_memory(ret) || (i + n > at && ret == -EFAULT), "mremap: %ld", ret);
		for (unsigned k = 0; k < WINDOW_PAGES; k++) {
			bool there = vma_lookup(p->mm, page_va(k));
			bool may_go = (k >= to && k < to + new_n) || (k >= i + new_n && k < i + n);

			CHECK(there == p->page[k].mapped || (may_go && !there), "page %u after a failed mremap", k);
			if (!there)
				memset(&p->page[k], 0, sizeof(struct mpage));
		}
		return;
	}
	if (no_memory(ret))
		return;
	if (i + n > at && (new_n > n || flags & MREMAP_DONTUNMAP || flags & MREMAP_FIXED)) {
		CHECK(ret == -EFAULT, "mremap beyond its vma: %ld", ret);
		return;
	}
	if (ret == -ENOMEM) {
		CHECK(!(flags & MREMAP_MAYMOVE) && new_n > n, "mremap: no memory");
		return;
	}
	CHECK(ret > 0, "mremap: %ld", ret);
	if (new_n <= n && !(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		CHECK((uintptr_t)ret == page_va(i), "shrinking moved to %#lx", ret);
		memset(&p->page[i + new_n], 0, (n - new_n) * sizeof(struct mpage));
		return;
	}
	if (flags & MREMAP_FIXED)
		CHECK((uintptr_t)ret == page_va(to), "mremap to %#lx gave %#lx", page_va(to), ret);
	if ((uintptr_t)ret < WINDOW || (uintptr_t)ret + new_n * PAGE_SIZE > WINDOW_END) {
		palloc_fail(0, 0);
		down_write(&p->mm->mmap_lock);
		CHECK(!do_munmap(p->mm, (uintptr_t)ret, new_n * PAGE_SIZE), "munmap outside of the window");
		mmap_write_unlock(p->mm);
		for (unsigned k = 0; k < n; k++) {
			struct mpage *m = &p->page[i + k];

			if (!(flags & MREMAP_DONTUNMAP))
				memset(m, 0, sizeof(*m));
			else if (!m->shared)
				m->own = false, m->val = 0;
		}
		return;
	}
	to = page_index((uintptr_t)ret);
	if (new_n < n) {
		memset(&p->page[i + new_n], 0, (n - new_n) * sizeof(struct mpage));
		n = new_n;
	}
	for (unsigned k = 0; k < new_n && !(flags & MREMAP_FIXED); k++)
		CHECK(!p->page[to + k].mapped || (to == i && k < n), "mremap gave page %u, which is in use", to + k);
	model_move(p, i, to, n, new_n, flags & MREMAP_DONTUNMAP);
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
	struct obj *o = &files[rnd(run, NR_FILES)];
	u64 pages = rnd(run, OBJ_PAGES / 2);

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
	struct slot *s = &tasks[rnd(run, MAX_TASKS)];
	unsigned i = (unsigned)rnd(run, WINDOW_PAGES);
	bool write = chance(run, 50);
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
	struct slot *s = &tasks[rnd(run, MAX_TASKS)];

	if (chance(run, 10))
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
	u64 pick = rnd(run, total);
	unsigned i = 0;

	while (pick >= ops[i].weight)
		pick -= ops[i++].weight;
	failing = ops[i].may_fail && chance(run, 12);
	if (failing)
		palloc_fail((unsigned)rnd(run, 6), 1 + (unsigned)rnd(run, 4));
	ops[i].fn();
	palloc_fail(0, 0);
	failing = false;
}

void test_turns(struct run *r)
{
	unsigned total = 0;

	run = r;
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].weight;
	for (unsigned i = 0; i < NR_FILES; i++) {
		files[i].pages = 40 + 60 * i;
		files[i].file = host_file(files[i].pages);
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
		fput(files[i].file);
}
