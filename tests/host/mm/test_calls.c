/*
 * The system calls' rules one by one: what is refused with which errno, the stack's growth and its guard gap, the heap,
 * the limit of vmas, and every call with each of its allocations failing in turn.
 */
#include "kernel/fsapi.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "tests/host/mm/test.h"

#define P	PAGE_SIZE
#define AT	0x10000000ul
#define RW	(PROT_READ | PROT_WRITE)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

#define EXPECT(expr, want)                                                                                             \
	do {                                                                                                           \
		long __got = (long)(expr), __want = (long)(want);                                                      \
		CHECK(__got == __want, "%s: %ld (%#lx), should be %ld", #expr, __got, __got, __want);                  \
	} while (0)

static int unmap(uintptr_t addr, size_t len)
{
	struct mm *mm = current->mm;
	int err;

	down_write(&mm->mmap_lock);
	err = do_munmap(mm, addr, len);
	mmap_write_unlock(mm);
	return err;
}

static void enter(void)
{
	struct mm *mm = mm_create();

	CHECK(mm, "no memory");
	mm->mmap_base = 0x40000000;
	mm->start_brk = mm->brk = 0x20000000;
	exec_mmap(mm);
}

static void leave(void)
{
	mm_check(current->mm);
	exit_mm();
	host_unlazy();
}

static int put(uintptr_t va, u64 val)
{
	return host_access(va, true, &val);
}

static u64 get(uintptr_t va)
{
	u64 val = 0;

	EXPECT(host_access(va, false, &val), 0);
	return val;
}

static void test_mmap(void)
{
	struct file *f = host_file(4);

	enter();
	EXPECT(do_mmap(NULL, 0, 0, RW, ANON, 0), -EINVAL);
	EXPECT(do_mmap(NULL, 0, P, RW, MAP_ANONYMOUS, 0), -EINVAL);
	EXPECT(do_mmap(NULL, 0, P, RW, MAP_PRIVATE, 0), -EBADF);
	EXPECT(do_mmap(NULL, 0, ~0ul, RW, ANON, 0), -ENOMEM);
	EXPECT(do_mmap(NULL, 0, ~0ul, RW, MAP_SHARED | MAP_ANONYMOUS, 0), -ENOMEM);
	EXPECT(do_mmap(NULL, 0, USER_TOP, PROT_READ, ANON, 0), -ENOMEM);
	EXPECT(do_mmap(NULL, 1, P, RW, ANON | MAP_FIXED, 0), -EINVAL);
	EXPECT(do_mmap(NULL, 0, P, RW, ANON | MAP_FIXED, 0), -EPERM);
	EXPECT(do_mmap(NULL, USER_TOP, P, RW, ANON | MAP_FIXED, 0), -ENOMEM);
	EXPECT(do_mmap(NULL, USER_TOP - P, P, RW, ANON | MAP_FIXED, 0), USER_TOP - P);
	EXPECT(do_mmap(NULL, AT, P, RW, ANON | MAP_HUGETLB, 0), -EINVAL);
	EXPECT(do_mmap(NULL, AT, P, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, 0), -EINVAL);
	EXPECT(do_mmap(f, AT, P, RW, MAP_SHARED_VALIDATE | 0x4000000, 0), -EOPNOTSUPP);
	EXPECT(do_mmap(f, AT, P, RW, MAP_SHARED, ~0ull), -EOVERFLOW);
	EXPECT(do_mmap(f, AT, P, RW, MAP_SHARED, MAX_FILE_PAGES), -EOVERFLOW);
	EXPECT(do_mmap(f, AT, P, RW, MAP_SHARED | MAP_FIXED, MAX_FILE_PAGES - 1), AT);
	EXPECT(put(AT, 1), -EIO);
	EXPECT(do_mremap(AT, P, 2 * P, MREMAP_MAYMOVE, 0), -EINVAL);
	EXPECT(unmap(AT, P), 0);
	EXPECT(do_mmap(NULL, 0, nr_total_pages() * 2 * P, RW, ANON, 0), -ENOMEM);
	CHECK(do_mmap(NULL, 0, nr_total_pages() * 2 * P, RW, ANON | MAP_NORESERVE, 0) > 0, "MAP_NORESERVE");
	CHECK(do_mmap(NULL, 0, nr_total_pages() * 2 * P, PROT_READ, ANON, 0) > 0, "read-only is no commitment");
	EXPECT(do_mmap(NULL, AT, 3 * P, RW, ANON | MAP_FIXED, 0), AT);
	EXPECT(do_mmap(NULL, AT + 2 * P, P, RW, ANON | MAP_FIXED_NOREPLACE, 0), -EEXIST);
	EXPECT(do_mmap(NULL, AT + 3 * P, P, RW, ANON | MAP_FIXED_NOREPLACE, 0), AT + 3 * P);
	EXPECT(vma_lookup(current->mm, AT)->end, AT + 4 * P);	/* merged */

	EXPECT(unmap(AT + 1, P), -EINVAL);
	EXPECT(unmap(AT, 0), -EINVAL);
	EXPECT(unmap(USER_TOP, P), -EINVAL);
	EXPECT(unmap(AT, ~0ul), -EINVAL);
	EXPECT(unmap(AT + 64 * P, P), 0);
	EXPECT(unmap(AT + P, P), 0);
	EXPECT(put(AT + P, 1), -EFAULT);
	EXPECT(put(AT + 2 * P, 1), 0);

	EXPECT(do_mmap(f, AT, 8 * P, RW, MAP_SHARED | MAP_FIXED, 0), AT);
	EXPECT(put(AT + 3 * P, 7), 0);
	EXPECT(put(AT + 4 * P, 7), -EIO);
	EXPECT(do_mmap(f, AT + 16 * P, 4 * P, RW, MAP_PRIVATE | MAP_FIXED, 3), AT + 16 * P);
	EXPECT(get(AT + 16 * P), 7);
	EXPECT(put(AT + 16 * P, 8), 0);
	EXPECT(get(AT + 3 * P), 7);
	EXPECT(do_mprotect(AT, P, 8 | 16), -EINVAL);
	EXPECT(do_mprotect(AT + 1, P, RW), -EINVAL);
	EXPECT(do_mprotect(AT, 0, RW), 0);
	EXPECT(do_mprotect(AT, ~0ul, RW), -ENOMEM);
	EXPECT(do_mprotect(AT, P, RW | PROT_GROWSDOWN), -EINVAL);
	EXPECT(do_madvise(current->mm, AT + 1, P, MADV_DONTNEED), -EINVAL);
	EXPECT(do_madvise(current->mm, AT, P, 9999), -EINVAL);
	EXPECT(do_madvise(current->mm, AT, ~0ul, MADV_DONTNEED), -EINVAL);
	EXPECT(do_madvise(current->mm, AT, 0, MADV_DONTNEED), 0);
	EXPECT(do_madvise(current->mm, AT, P, MADV_FREE), -EINVAL);
	EXPECT(do_madvise(current->mm, AT, USER_TOP - AT, MADV_WILLNEED), -ENOMEM);
	EXPECT(do_mremap(AT, P, P, 8, 0), -EINVAL);
	EXPECT(do_mremap(AT, P, P, MREMAP_FIXED, AT + 64 * P), -EINVAL);
	EXPECT(do_mremap(AT + 1, P, P, 0, 0), -EINVAL);
	EXPECT(do_mremap(AT, P, 0, 0, 0), -EINVAL);
	EXPECT(do_mremap(AT, P, ~0ul << PAGE_SHIFT, MREMAP_MAYMOVE, 0), -ENOMEM);
	EXPECT(do_mremap(AT, P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED, USER_TOP - P), -EINVAL);
	EXPECT(do_mremap(AT, 100 * P, 101 * P, MREMAP_MAYMOVE, 0), -EFAULT);
	/* Old length 0: a second view of shared memory. */
	EXPECT(get(do_mremap(AT + 3 * P, 0, P, MREMAP_MAYMOVE, 0)), 7);
	EXPECT(do_mremap(AT + 16 * P, 0, P, MREMAP_MAYMOVE, 0), -EINVAL);
	fput(f);
	leave();
}

static void test_stack(void)
{
	uintptr_t top = 0x30000000;
	struct vma *vma;

	enter();
	current->proc->rlim[RLIMIT_STACK].cur = 1 << 20;
	EXPECT(setup_stack(current->mm, top, 1 << 20), 0);
	EXPECT(put(top - 8, 1), 0);
	EXPECT(put(top - 40 * P, 2), 0);		/* grows */
	vma = vma_lookup(current->mm, top - P);
	EXPECT(vma->start, top - 40 * P);
	EXPECT(put(top - (1 << 20) - 8, 1), -EFAULT);	/* the limit */
	EXPECT(put(top - (1 << 20), 1), 0);
	/* Neighbours stay away from it, and it from them. */
	EXPECT(do_mmap(NULL, top - (1 << 20) - 16 * P, P, RW, ANON, 0) >= 0, 1);
	CHECK(!vma_lookup(current->mm, top - (1 << 20) - 16 * P), "a hint within the guard gap was taken");
	EXPECT(do_mmap(NULL, AT, 64 * P, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, 0), AT);
	EXPECT(do_mmap(NULL, AT - 300 * P, P, RW, ANON | MAP_FIXED, 0), AT - 300 * P);
	EXPECT(put(AT - 43 * P, 1), 0);
	EXPECT(put(AT - 44 * P, 1), -EFAULT);
	EXPECT(do_mprotect(AT, P, PROT_READ | PROT_GROWSDOWN), 0);
	EXPECT(put(AT - 43 * P, 1), -EACCES);
	/* Heap. */
	EXPECT(do_brk(0), 0x20000000);
	EXPECT(do_brk(0x20000000 + 3 * P + 5), 0x20000000 + 3 * P + 5);
	EXPECT(put(0x20000000 + 3 * P, 9), 0);
	EXPECT(do_brk(0x20000000 + P), 0x20000000 + P);
	EXPECT(put(0x20000000 + P, 9), -EFAULT);
	EXPECT(do_brk(0x1fffffff), 0x20000000 + P);
	EXPECT(do_brk(~0ul), 0x20000000 + P);
	EXPECT(do_mmap(NULL, 0x20000000 + 8 * P, P, RW, ANON | MAP_FIXED, 0), 0x20000000 + 8 * P);
	EXPECT(do_brk(0x20000000 + 9 * P), 0x20000000 + P);
	EXPECT(map_sigtramp(current->mm), 0);
	CHECK(get(current->mm->sigtramp), "the trampoline is empty");
	EXPECT(put(current->mm->sigtramp, 1), -EACCES);
	EXPECT(do_mprotect(current->mm->sigtramp, P, RW), -EACCES);
	EXPECT(do_mremap(current->mm->sigtramp, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, 0x50000000), 0x50000000);
	EXPECT(current->mm->sigtramp, 0x50000000);
	CHECK(get(0x50000000), "the trampoline is empty");
	leave();
}

/* More vmas than allowed: refused, and nothing else happens. */
static void test_limit(void)
{
	struct mm *mm;
	uintptr_t va = AT;

	enter();
	mm = current->mm;
	while (mm->nr_vmas < MAX_VMAS) {
		unsigned prot = mm->nr_vmas % 2 ? PROT_READ : RW;

		EXPECT(do_mmap(NULL, va, 2 * P, prot, ANON | MAP_FIXED, 0), va);
		va += 2 * P;
	}
	EXPECT(do_mmap(NULL, 0, P, PROT_EXEC, ANON, 0), -ENOMEM);
	EXPECT(unmap(AT, P), 0);
	EXPECT(do_mprotect(AT + 2 * P, P, 0), -ENOMEM);
	EXPECT(do_mremap(AT + 2 * P, P, 4 * P, MREMAP_MAYMOVE, 0), -ENOMEM);
	EXPECT(do_madvise(mm, AT + 2 * P, P, MADV_WIPEONFORK), -ENOMEM);
	EXPECT(unmap(AT + 4 * P, P), 0);
	mm_check(mm);
	leave();
}

/* A range over the edge of a table, which can not grow in place. */
#define WIDE_PAGES 40u
#define WIDE	   (AT + 0x1000000ul - WIDE_PAGES / 2 * P)

static void make_pages(void)
{
	EXPECT(do_mmap(NULL, AT, 64 * P, RW, ANON | MAP_FIXED, 0), AT);
	EXPECT(do_mmap(NULL, WIDE, WIDE_PAGES * P, RW, ANON | MAP_FIXED, 0), WIDE);
	EXPECT(do_mmap(NULL, WIDE + WIDE_PAGES * P, P, PROT_READ, ANON | MAP_FIXED, 0), WIDE + WIDE_PAGES * P);
	for (unsigned i = 0; i < 64; i++)
		EXPECT(put(AT + i * P, AT + i), 0);
	for (unsigned i = 0; i < WIDE_PAGES; i++)
		EXPECT(put(WIDE + i * P, WIDE + i), 0);
}

/* A call that failed has changed nothing. */
static void check_pages(void)
{
	for (unsigned i = 0; i < 64; i++)
		EXPECT(get(AT + i * P), AT + i);
	for (unsigned i = 0; i < WIDE_PAGES; i++)
		EXPECT(get(WIDE + i * P), WIDE + i);
	for (unsigned i = 0; i < 64; i += 3)
		EXPECT(put(AT + i * P, AT + i), 0);
}

/* One call after the other, its n-th allocation failing, until it gets through. */
static long call(unsigned which, struct file *f)
{
	struct mm *mm, *copy;

	switch (which) {
	case 0:
		return do_mmap(NULL, AT + 4 * P, 4 * P, PROT_READ, ANON | MAP_FIXED | MAP_POPULATE, 0) < 0 ? -ENOMEM
													   : 0;
	case 1:
		return do_mmap(f, AT + 600 * P, 8 * P, RW, MAP_PRIVATE | MAP_FIXED, 0) < 0 ? -ENOMEM : 0;
	case 2:
		return do_mmap(NULL, AT + 620 * P, 8 * P, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, 0) < 0 ? -ENOMEM
													     : 0;
	case 3:
		return put(AT + 601 * P, 3);
	case 4:
		return put(AT + 622 * P, 4);
	case 5:
		return do_mprotect(AT + P, P, PROT_READ);
	case 6:
		return unmap(AT + 17 * P, P);
	case 7:
		current->mm->mmap_base = 0x40000000 + WIDE_PAGES / 2 * P; /* the new place lies over an edge too */
		return do_mremap(WIDE, WIDE_PAGES * P, (WIDE_PAGES + 1) * P, MREMAP_MAYMOVE, 0) < 0 ? -ENOMEM : 0;
	case 8:
		mm = current->mm;
		copy = mm_dup(mm);
		if (IS_ERR(copy))
			return PTR_ERR(copy);
		mmput(copy);
		return 0;
	case 9:
		return do_brk(0x20000000 + 5 * P) == 0x20000000 + 5 * P ? 0 : -ENOMEM;
	case 10:
		return do_madvise(current->mm, AT + 24 * P, P, MADV_DONTFORK);
	default:
		return 1;
	}
}

/*
 * The call with its allocation number skip failing (some failures are made up for): false if it is beyond the last
 * call.
 */
static bool fail_once(unsigned which, unsigned skip, struct file *f)
{
	unsigned nr_vmas;
	long ret;

	enter();
	make_pages();
	if (which == 3)
		EXPECT(call(1, f), 0);
	if (which == 4)
		EXPECT(call(2, f), 0);
	nr_vmas = current->mm->nr_vmas;
	palloc_fail(skip, 1);
	ret = call(which, f);
	palloc_fail(0, 0);
	mm_check(current->mm);
	if (ret == -ENOMEM) {
		check_pages();
		EXPECT(current->mm->nr_vmas, nr_vmas);
	}
	leave();
	CHECK(ret == 0 || ret == 1 || ret == -ENOMEM, "call %u: %ld", which, ret);
	CHECK(skip || ret, "call %u needs no memory", which);
	return ret != 1;
}

static void test_failures(void)
{
	struct file *f = host_file(8);
	unsigned which = 0;

	while (fail_once(which, 0, f)) {
		for (unsigned skip = 1; skip < 20; skip++)
			fail_once(which, skip, f);
		which++;
	}
	fput(f);
}

void test_calls(struct run *r)
{
	test_mmap();
	test_stack();
	test_failures();
	if (r->seed == 1)
		test_limit();
}
