/*
 * All CPUs at once on shared address spaces. Each CPU owns a range of pages in each address space: only it maps,
 * changes and writes there, so its model is exact, while neighbours use the same page tables, flush and are flushed. A
 * common range belongs to everybody: there a value only has to be one that somebody wrote for that address space, or
 * zero. Forks happen in between; the child's copy of the owner's range must be as it was at that moment.
 */
#include <stdlib.h>

#include "kernel/fsapi.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mman.h"
#include "mm/vma.h"
#include "tests/host/mm/test.h"

#define NR_MMS		3
#define MAX_CPUS	4
#define OWN_PAGES	256u		/* two owners share each table */
#define COMMON_PAGES	64u
#define BASE		(0x80000000ul - 2 * OWN_PAGES * PAGE_SIZE)
#define COMMON		(BASE + MAX_CPUS * OWN_PAGES * PAGE_SIZE)
#define COMMON_END	(COMMON + COMMON_PAGES * PAGE_SIZE)

struct own_page {
	bool mapped;
	u8 prot;
	u64 val;
};

static struct own_page own[NR_MMS][MAX_CPUS][OWN_PAGES];	/* by the owner alone */
static struct task *task[NR_MMS][MAX_CPUS];
static struct run *config;

struct local {
	struct prng rng;
	unsigned cpu, mm;
	u64 seq;
};

static u64 below(struct local *l, u64 n)
{
	return prng_below(&l->rng, n);
}

static uintptr_t own_va(unsigned cpu, unsigned i)
{
	return BASE + (cpu * OWN_PAGES + i) * PAGE_SIZE;
}

/* Says which address space it was written for. */
static u64 tag(struct local *l)
{
	return (u64)(l->mm + 1) << 56 | (u64)l->cpu << 48 | ++l->seq;
}

static void check_tag(struct local *l, uintptr_t va, u64 val)
{
	CHECK(!val || val >> 56 == l->mm + 1, "address space %u, %#lx: %#llx does not belong here", l->mm, va, val);
}

static void use(struct local *l, unsigned mm)
{
	l->mm = mm;
	host_switch(task[mm][l->cpu]);
}

/* ---- the own range: exact */

static void own_access(struct local *l, struct own_page *pages, unsigned i, bool write)
{
	struct own_page *p = &pages[i];
	u64 val = write ? tag(l) : 0;
	int expect = !p->mapped ? -EFAULT : !p->prot || (write && !(p->prot & PROT_WRITE)) ? -EACCES : 0;
	int ret = host_access(own_va(l->cpu, i), write, &val);

	CHECK(ret == expect, "CPU %u, mm %u: %s of own page %u: %d, should be %d", l->cpu, l->mm,
	      write ? "write" : "read", i, ret, expect);
	if (write && !ret)
		p->val = val;
	CHECK(ret || val == p->val, "CPU %u, mm %u, own page %u: %#llx, should be %#llx", l->cpu, l->mm, i, val,
	      p->val);
}

static void own_op(struct local *l)
{
	struct own_page *pages = own[l->mm][l->cpu];
	unsigned i = (unsigned)below(l, OWN_PAGES), n = 1 + (unsigned)below(l, below(l, 4) ? 12 : OWN_PAGES);
	uintptr_t va = own_va(l->cpu, i);
	u8 prot = (u8[]){ PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, 0 }[below(l, 4)];
	struct mm *mm = current->mm;
	unsigned k = 0;
	long ret;

	n = min(n, OWN_PAGES - i);
	switch (below(l, 12)) {
	case 0 ... 1:
		ret = do_mmap(NULL, va, n * PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
		CHECK(ret == (long)va, "mmap: %ld", ret);
		for (; k < n; k++)
			pages[i + k] = (struct own_page){ true, prot, 0 };
		break;
	case 2:
		down_write(&mm->mmap_lock);
		ret = do_munmap(mm, va, n * PAGE_SIZE);
		mmap_write_unlock(mm);
		CHECK(!ret, "munmap: %ld", ret);
		memset(&pages[i], 0, n * sizeof(pages[0]));
		break;
	case 3 ... 4:
		ret = do_mprotect(va, n * PAGE_SIZE, prot);
		for (; k < n && pages[i + k].mapped; k++)
			pages[i + k].prot = prot;
		CHECK(ret == (k < n ? -ENOMEM : 0), "mprotect: %ld", ret);
		break;
	case 5 ... 6:
		ret = do_madvise(mm, va, n * PAGE_SIZE, MADV_DONTNEED);
		for (; k < n; k++) {
			if (!pages[i + k].mapped)
				CHECK(ret == -ENOMEM, "madvise over a hole: %ld", ret);
			pages[i + k].val = 0;
		}
		break;
	default:
		for (; k < 12; k++)
			own_access(l, pages, i + (unsigned)below(l, n), below(l, 2));
	}
}

/* ---- everybody's range */

static void common_op(struct local *l)
{
	unsigned i = (unsigned)below(l, COMMON_PAGES), n = 1 + (unsigned)below(l, COMMON_PAGES - i);
	uintptr_t va = COMMON + i * PAGE_SIZE;
	struct mm *mm = current->mm;

	switch (below(l, 16)) {
	case 0:
		do_mmap(NULL, va, n * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
		break;
	case 1:
		do_mmap(NULL, va, n * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, 0);
		break;
	case 2:
		down_write(&mm->mmap_lock);
		do_munmap(mm, va, n * PAGE_SIZE);
		mmap_write_unlock(mm);
		break;
	case 3:
		do_mprotect(va, n * PAGE_SIZE, below(l, 2) ? PROT_READ : PROT_READ | PROT_WRITE);
		break;
	case 4:
		n = min(n, COMMON_PAGES / 2);
		do_mremap(va, n * PAGE_SIZE, n * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			  COMMON + below(l, COMMON_PAGES - n) * PAGE_SIZE);
		break;
	case 5 ... 8:
		do_madvise(mm, va, n * PAGE_SIZE, MADV_DONTNEED);
		break;
	default:
		for (unsigned k = 0; k < 16; k++) {
			u64 val = tag(l);
			bool write = below(l, 2);

			va = COMMON + below(l, COMMON_PAGES) * PAGE_SIZE;
			if (!host_access(va, write, &val))
				check_tag(l, va, val);
		}
	}
}

/* Somebody else's own range: only look. */
static void spy(struct local *l)
{
	unsigned other = (unsigned)below(l, nr_cpus);

	for (unsigned k = 0; k < 8; k++) {
		uintptr_t va = own_va(other, (unsigned)below(l, OWN_PAGES));
		u64 val;

		if (!host_access(va, false, &val))
			check_tag(l, va, val);
	}
}

static void fork_op(struct local *l)
{
	struct own_page copy[OWN_PAGES];
	struct task *parent = current, *child;
	struct mm *mm = mm_dup(parent->mm);

	if (IS_ERR(mm))
		return;
	memcpy(copy, own[l->mm][l->cpu], sizeof(copy));
	/* The parent goes on writing first: its child must not see that. */
	for (unsigned k = 0; k < 8; k++)
		own_access(l, own[l->mm][l->cpu], (unsigned)below(l, OWN_PAGES), true);
	child = host_task(mm);
	host_switch(child);
	for (unsigned k = 0; k < 40; k++)
		own_access(l, copy, (unsigned)below(l, OWN_PAGES), below(l, 3) == 0);
	exit_mm();
	host_switch(parent);
	host_task_free(child);
}

static void cpu_main(unsigned cpu)
{
	struct local l = { .cpu = cpu };

	prng_seed(&l.rng, config->seed * 64 + cpu);
	for (unsigned op = 0; op < config->ops; op++) {
		u64 what = below(&l, 100);

		if (what < 8)
			use(&l, (unsigned)below(&l, NR_MMS));
		else if (what < 10)
			host_switch(this_cpu()->idle);
		if (!current->mm)
			use(&l, l.mm);
		what = below(&l, 100);
		if (what < 55)
			own_op(&l);
		else if (what < 85)
			common_op(&l);
		else if (what < 95)
			spy(&l);
		else
			fork_op(&l);
		host_quiescent();
	}
	for (unsigned m = 0; m < NR_MMS; m++) {
		use(&l, m);
		for (unsigned i = 0; i < OWN_PAGES; i++)
			own_access(&l, own[m][cpu], i, false);
		exit_mm();
		host_switch(this_cpu()->idle);
		host_task_free(task[m][cpu]);
	}
	host_unlazy();
}

void test_threads(struct run *r)
{
	config = r;
	for (unsigned m = 0; m < NR_MMS; m++) {
		struct mm *mm = mm_create();

		CHECK(mm, "no memory");
		mm->mmap_base = BASE;
		for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
			if (cpu)
				mmget(mm);
			task[m][cpu] = host_task(mm);
		}
	}
	host_threads(cpu_main);
	host_run_on(0);
}
