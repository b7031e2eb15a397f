/* Address spaces for in-kernel tests: see space.h. */
#include "tests/kernel/space.h"

#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "mm/mman.h"
#include "mm/pgtable.h"
#include "mm/vma.h"

struct in_mm {
	void (*fn)(void *);
	void *arg;
};

static int in_mm_thread(void *arg)
{
	struct in_mm *in = arg;
	struct mm *mm = mm_create();

	if (!mm) {
		kt_fail(__FILE__, __LINE__, "no memory for an address space");
		return 0;
	}
	exec_mmap(mm);
	in->fn(in->arg);
	kt_check_mm();
	exit_mm();
	return 0;
}

void kt_in_mm(void (*fn)(void *), void *arg)
{
	struct in_mm in = { fn, arg };

	if (kt_threads(1, in_mm_thread, &in))
		kt_fail(__FILE__, __LINE__, "no memory for a thread");
}

static int crowd_thread(void *arg)
{
	struct kt_crowd *c = arg;
	unsigned i;

	exec_mmap(mmget(c->mm));
	i = __atomic_fetch_add(&c->started, 1, __ATOMIC_SEQ_CST);
	c->fn(c->arg, i);
	exit_mm();
	return 0;
}

void kt_crowd_start_on(struct kt_crowd *c, unsigned first, unsigned n, void (*fn)(void *arg, unsigned i), void *arg)
{
	c->mm = current->mm;
	c->fn = fn;
	c->arg = arg;
	c->started = 0;
	c->n = 0;
	for (unsigned i = 0; i < min(n, (unsigned)ARRAY_SIZE(c->tasks)); i++) {
		struct task *t = kthread_run_on((first + i) % nr_cpus, crowd_thread, c, "crowd/%u", i);

		if (IS_ERR(t)) {
			kt_fail(__FILE__, __LINE__, "no memory for a thread");
			break;
		}
		c->tasks[c->n++] = t;
		/* One after the other, so that thread i is on the CPU that the header says. */
		while (__atomic_load_n(&c->started, __ATOMIC_ACQUIRE) != c->n) {
			sched_yield();
			cpu_relax();
		}
	}
}

void kt_crowd_start(struct kt_crowd *c, unsigned n, void (*fn)(void *arg, unsigned i), void *arg)
{
	kt_crowd_start_on(c, 1, n, fn, arg);
}

void kt_crowd_join(struct kt_crowd *c)
{
	while (c->n)
		kthread_stop(c->tasks[--c->n]);
}

long kt_map_at(uintptr_t va, size_t pages, unsigned prot)
{
	return do_mmap(NULL, va, pages << PAGE_SHIFT, prot, MAP_PRIVATE | MAP_ANONYMOUS | (va ? MAP_FIXED : 0), 0);
}

uintptr_t kt_map(size_t pages, unsigned prot)
{
	long va = kt_map_at(0, pages, prot);

	if (va > 0)
		return (uintptr_t)va;
	kt_fail(__FILE__, __LINE__, "mmap of %zu pages: error %ld", pages, va);
	return 0;
}

int kt_unmap(uintptr_t va, size_t pages)
{
	int err;

	down_write(&current->mm->mmap_lock);
	err = do_munmap(current->mm, va, pages << PAGE_SHIFT);
	mmap_write_unlock(current->mm);
	return err;
}

bool kt_put(uintptr_t va, u64 value)
{
	return !arch_put_user64((u64 *)va, value);
}

bool kt_get(uintptr_t va, u64 *value)
{
	return !arch_get_user64(value, (const u64 *)va);
}

bool kt_touch(uintptr_t va)
{
	return !handle_mm_fault(current->mm, va, FAULT_WRITE);
}

u64 kt_peek(uintptr_t va)
{
	u64 value;

	return kt_get(va, &value) ? value : KT_NOTHING;
}

unsigned kt_fill(uintptr_t va, size_t pages, u64 first)
{
	unsigned faulted = 0;

	for (size_t i = 0; i < pages; i++)
		faulted += !kt_put(va + i * PAGE_SIZE, first + i);
	return faulted;
}

unsigned kt_wrong(uintptr_t va, size_t pages, u64 first)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += kt_peek(va + i * PAGE_SIZE) != first + i;
	return wrong;
}

/*
 * The first instruction of these functions is the access, and the exception table has an entry for it: a fault goes on
 * in the function for refused ones as if that had been called.
 */
u64 kt_plain_load(const u64 *p);
u64 kt_plain_refused(const u64 *p);
void kt_plain_store(u64 *p, u64 value);
void kt_plain_store_refused(u64 *p, u64 value);
static DEFINE_PER_CPU(bool, store_refused);

__attribute__((__noinline__, __noclone__, __optimize__("omit-frame-pointer"))) u64 kt_plain_load(const u64 *p)
{
	return *p;
}

noinline u64 kt_plain_refused(const u64 *p)
{
	return KT_NOTHING;
}

__attribute__((__noinline__, __noclone__, __optimize__("omit-frame-pointer"))) void kt_plain_store(u64 *p, u64 value)
{
	*p = value;
}

noinline void kt_plain_store_refused(u64 *p, u64 value)
{
	*this_cpu_ptr(&store_refused) = true;
}

__asm__(".pushsection __ex_table, \"a\"\n\t"
	".balign 4\n\t"
	".4byte kt_plain_load - .\n\t"
	".4byte kt_plain_refused - .\n\t"
	".4byte kt_plain_store - .\n\t"
	".4byte kt_plain_store_refused - .\n\t"
	".popsection");

u64 kt_plain_read(uintptr_t va)
{
	u64 value;

	pagefault_disable();
	value = kt_plain_load((const u64 *)va);
	pagefault_enable();
	return value;
}

bool kt_plain_write(uintptr_t va, u64 value)
{
	bool *refused = this_cpu_ptr(&store_refused);	/* nothing sleeps before it is read */

	*refused = false;
	pagefault_disable();
	kt_plain_store((u64 *)va, value);
	pagefault_enable();
	return !READ_ONCE(*refused);
}

unsigned kt_plain_wrong(uintptr_t va, size_t pages, u64 first)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < pages; i++)
		wrong += kt_plain_read(va + i * PAGE_SIZE) != first + i;
	return wrong;
}

void kt_make_plain(uintptr_t va)
{
	struct vma *vma;

	down_write(&current->mm->mmap_lock);
	vma = vma_lookup(current->mm, va);
	if (vma)
		vma->prot = pgprot_make(PROT_R | PROT_W);
	up_write(&current->mm->mmap_lock);
}

pte_t kt_pte(uintptr_t va)
{
	pte_t *e = pt_lookup(current->mm, va);

	return e ? pte_load(e) : (pte_t){ 0 };
}

struct page *kt_page(uintptr_t va)
{
	pte_t e = kt_pte(va);

	return pte_present(e) && !pte_special(e) ? pfn_to_page(pte_pfn(e)) : NULL;
}

void kt_check_mm(void)
{
	struct mm *mm = current->mm;

	down_write(&mm->mmap_lock);
	mm_check(mm);
	up_write(&mm->mmap_lock);
}
