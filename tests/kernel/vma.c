/*
 * VMA algebra: random sequences of mmap, munmap, mprotect, mremap and MADV_DONTNEED against a model that knows only
 * pages. After each step the vmas must say what the model says, there must be as few of them as possible, and
 * mm_check() must agree. Then the same with failing allocations, the search for free space, limits and error codes.
 */
#include "mm/vma.h"

#include <arch/trap.h>

#include "kernel/task.h"
#include "lib/errno.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "tests/kernel/space.h"

#define RW	(PROT_READ | PROT_WRITE)
#define N	64u		/* pages of the window that the model knows */

struct model_page {
	bool mapped;
	u8 prot;
	u32 extra;		/* VM_NORESERVE or not */
	u64 pgoff;
	u64 content;
};

struct model {
	uintptr_t base;		/* the window straddles two page tables */
	struct model_page page[N];
};

static struct model model, saved;
static struct prng rng;

static unsigned rnd(unsigned bound)
{
	return (unsigned)prng_below(&rng, bound);
}

static uintptr_t va_of(unsigned i)
{
	return model.base + i * PAGE_SIZE;
}

static void model_reset(void)
{
	memset(&model, 0, sizeof(model));
	model.base = align_up(0x20000000ul, pt_size(1)) - N / 2 * PAGE_SIZE;
	prng_seed(&rng, kt_seed());
}

static bool same_vma(unsigned i, unsigned j)
{
	const struct model_page *a = &model.page[i], *b = &model.page[j];

	return a->mapped && b->mapped && a->prot == b->prot && a->extra == b->extra && a->pgoff + 1 == b->pgoff;
}

/* The page after the run that i is in. */
static unsigned run_end(unsigned i)
{
	while (i + 1 < N && same_vma(i, i + 1))
		i++;
	return i + 1;
}

/* ---- the space against the model */

static bool check_model(const char *what, unsigned step)
{
	struct mm *mm = current->mm;
	unsigned runs = 0, vmas = 0;

	for (unsigned i = 0; i < N; i++) {
		const struct model_page *m = &model.page[i];
		struct vma *vma = vma_lookup(mm, va_of(i));

		runs += m->mapped && (i == 0 || !same_vma(i - 1, i));
		if (!vma != !m->mapped ||
		    (vma && ((vma->flags & VM_ACCESS) != m->prot || (vma->flags & VM_NORESERVE) != m->extra ||
			     vma->pgoff + ((va_of(i) - vma->start) >> PAGE_SHIFT) != m->pgoff))) {
			kt_fail(__FILE__, __LINE__, "step %u (%s): page %u: %s, model: %s, prot %x", step, what, i,
				vma ? "mapped" : "not mapped", m->mapped ? "mapped" : "not mapped", m->prot);
			return false;
		}
	}
	for (struct vma *vma = vma_first(mm); vma; vma = vma_next(vma))
		vmas += vma->start < va_of(N) && vma->end > model.base;
	if (vmas != runs) {
		kt_fail(__FILE__, __LINE__, "step %u (%s): %u vmas, %u would do", step, what, vmas, runs);
		return false;
	}
	mm_check(mm);
	return true;
}

static bool check_contents(const char *what, unsigned step)
{
	for (unsigned i = 0; i < N; i++) {
		const struct model_page *m = &model.page[i];
		u64 v = 0;
		bool ok = kt_get(va_of(i), &v);

		if (ok != (m->mapped && m->prot) || (ok && v != m->content)) {
			kt_fail(__FILE__, __LINE__, "step %u (%s): page %u: %s %llx, model: prot %x, %llx", step, what,
				i, ok ? "reads" : "faults", v, m->prot, m->content);
			return false;
		}
	}
	return true;
}

/* ---- operations: what must happen to the model, and the result that is expected */

static const u8 prots[] = { PROT_NONE, PROT_READ, RW, RW, PROT_READ | PROT_EXEC, RW | PROT_EXEC };

struct op {
	const char *what;
	long (*run)(const struct op *op);
	long (*apply)(const struct op *op);	/* to the model; returns the expected result */
	unsigned s, n, d, m;			/* range; destination and new length */
	unsigned prot, flags;
};

static long run_mmap(const struct op *op)
{
	return do_mmap(NULL, va_of(op->s), op->n * PAGE_SIZE, op->prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | op->flags, 0);
}

static long apply_mmap(const struct op *op)
{
	for (unsigned i = op->s; i < op->s + op->n; i++)
		model.page[i] = (struct model_page){ .mapped = true,
						     .prot = (u8)op->prot,
						     .pgoff = va_of(i) >> PAGE_SHIFT,
						     .extra = op->flags & MAP_NORESERVE ? VM_NORESERVE : 0 };
	return (long)va_of(op->s);
}

static long run_munmap(const struct op *op)
{
	return kt_unmap(va_of(op->s), op->n);
}

static long apply_munmap(const struct op *op)
{
	memset(&model.page[op->s], 0, op->n * sizeof(model.page[0]));
	return 0;
}

static long run_mprotect(const struct op *op)
{
	return do_mprotect(va_of(op->s), op->n * PAGE_SIZE, op->prot);
}

static long apply_mprotect(const struct op *op)
{
	for (unsigned i = op->s; i < op->s + op->n; i++) {
		if (!model.page[i].mapped)
			return -ENOMEM;		/* what lies before the hole is changed */
		model.page[i].prot = (u8)op->prot;
	}
	return 0;
}

static long run_dontneed(const struct op *op)
{
	return do_madvise(current->mm, va_of(op->s), op->n * PAGE_SIZE, MADV_DONTNEED);
}

static long apply_dontneed(const struct op *op)
{
	long ret = 0;

	for (unsigned i = op->s; i < op->s + op->n; i++) {
		model.page[i].content = 0;
		if (!model.page[i].mapped)
			ret = -ENOMEM;
	}
	return ret;
}

static long run_mremap(const struct op *op)
{
	return do_mremap(va_of(op->s), op->n * PAGE_SIZE, op->m * PAGE_SIZE, op->flags, va_of(op->d));
}

static long apply_mremap(const struct op *op)
{
	unsigned n = min(op->n, op->m);
	struct model_page moved[N];

	if (!model.page[op->s].mapped)
		return -EFAULT;
	if (!(op->flags & MREMAP_FIXED)) {
		if (op->m > op->n) {		/* in place only */
			if (run_end(op->s) < op->s + op->n)
				return -EFAULT;
			if (run_end(op->s) != op->s + op->n)
				return -ENOMEM;
			for (unsigned i = op->s + op->n; i < op->s + op->m; i++)
				if (i >= N || model.page[i].mapped)
					return -ENOMEM;
			for (unsigned i = op->s + op->n; i < op->s + op->m; i++) {
				model.page[i] = model.page[i - 1];
				model.page[i].pgoff++;
				model.page[i].content = 0;
			}
			return (long)va_of(op->s);
		}
		memset(&model.page[op->s + op->m], 0, (op->n - op->m) * sizeof(model.page[0]));
		return (long)va_of(op->s);
	}
	if (run_end(op->s) < op->s + op->n)
		return -EFAULT;
	memset(&model.page[op->s + n], 0, (op->n - n) * sizeof(model.page[0]));
	memcpy(moved, &model.page[op->s], n * sizeof(moved[0]));
	for (unsigned i = n; i < op->m; i++) {
		moved[i] = moved[i - 1];
		moved[i].pgoff++;
		moved[i].content = 0;
	}
	if (op->flags & MREMAP_DONTUNMAP)
		for (unsigned i = op->s; i < op->s + n; i++)
			model.page[i].content = 0;
	else
		memset(&model.page[op->s], 0, n * sizeof(moved[0]));
	memcpy(&model.page[op->d], moved, op->m * sizeof(moved[0]));
	return (long)va_of(op->d);
}

static struct op random_op(void)
{
	struct op op = { .s = rnd(N), .prot = prots[rnd(ARRAY_SIZE(prots))] };

	op.n = 1 + rnd(min(N - op.s, 1 + rnd(N / 2)));
	switch (rnd(10)) {
	case 0 ... 2:
		op.what = "mmap", op.run = run_mmap, op.apply = apply_mmap;
		op.flags = rnd(4) ? 0 : MAP_NORESERVE;
		break;
	case 3:
		op.what = "munmap", op.run = run_munmap, op.apply = apply_munmap;
		break;
	case 4 ... 6:
		op.what = "mprotect", op.run = run_mprotect, op.apply = apply_mprotect;
		break;
	case 7:
		op.what = "MADV_DONTNEED", op.run = run_dontneed, op.apply = apply_dontneed;
		break;
	default:
		op.what = "mremap", op.run = run_mremap, op.apply = apply_mremap;
		op.n = min(op.n, 12u);
		op.m = rnd(3) ? op.n : 1 + rnd(min(N - op.s, 16u));
		op.d = rnd(N - op.m + 1);
		if (rnd(4) && (op.d >= op.s + op.n || op.s >= op.d + op.m)) {
			op.flags = MREMAP_MAYMOVE | MREMAP_FIXED;
			if (op.m == op.n && !rnd(3))
				op.flags |= MREMAP_DONTUNMAP;
		}
	}
	return op;
}

/* Write to some pages; whether that works must agree with the model too. */
static bool touch_some(unsigned step)
{
	for (unsigned k = 0; k < 6; k++) {
		unsigned i = rnd(N);
		struct model_page *m = &model.page[i];
		u64 v = prng_next(&rng);
		bool ok = kt_put(va_of(i), v);

		if (ok != (m->mapped && m->prot & PROT_WRITE)) {
			kt_fail(__FILE__, __LINE__, "step %u: write to page %u %s, model: prot %x", step, i,
				ok ? "works" : "faults", m->prot);
			return false;
		}
		if (ok)
			m->content = v;
	}
	return true;
}

KTEST_MM(vma, random_operations)
{
	model_reset();
	for (unsigned step = 0; step < 1500; step++) {
		struct op op = random_op();
		long want = op.apply(&op), got = op.run(&op);

		if (got != want) {
			kt_fail(__FILE__, __LINE__,
				"step %u: %s of %u pages at %u (to %u at %u, flags %x): %ld, expected %ld", step,
				op.what, op.n, op.s, op.m, op.d, op.flags, got, want);
			return;
		}
		if (!check_model(op.what, step) || !touch_some(step))
			return;
		if (step % 16 == 0 && !check_contents(op.what, step))
			return;
	}
}

/* Would the operation be all or nothing? One that works through several vmas, or first makes room, is not. */
static bool is_atomic(const struct op *op)
{
	if (op->run == run_mprotect)
		return model.page[op->s].mapped && run_end(op->s) >= op->s + op->n;
	if (op->run == run_mremap && op->flags & MREMAP_FIXED) {
		for (unsigned i = op->d; i < op->d + op->m; i++)
			if (model.page[i].mapped)
				return false;
		return op->m >= op->n;
	}
	return true;
}

/* An allocation fails somewhere: the operation does all it should, or says -ENOMEM and has changed nothing. */
KTEST_MM(vma, failures_change_nothing)
{
	unsigned failed = 0;

	model_reset();
	for (unsigned step = 0; step < 1500; step++) {
		struct op op = random_op();
		long want, got;

		if (is_atomic(&op))
			palloc_fail(rnd(4), 1);
		memcpy(&saved, &model, sizeof(model));
		want = op.apply(&op);
		got = op.run(&op);
		palloc_fail(0, 0);
		if (got == -ENOMEM && want != -ENOMEM) {
			memcpy(&model, &saved, sizeof(model));
			failed++;
		} else if (got != want) {
			kt_fail(__FILE__, __LINE__, "step %u: %s: %ld, expected %ld or -ENOMEM", step, op.what, got,
				want);
			return;
		}
		if (!check_model(op.what, step) || !touch_some(step))
			return;
		if ((got == -ENOMEM || step % 16 == 0) && !check_contents(op.what, step))
			return;
	}
	KT_EXPECT(failed > 50);
}

/* ---- the search for free space */

/* The highest place for len bytes in [low, high), by looking at every gap. */
static uintptr_t naive_place(size_t len, uintptr_t low, uintptr_t high)
{
	uintptr_t below = low, best = 0;

	for (struct vma *vma = vma_first(current->mm);; vma = vma_next(vma)) {
		uintptr_t top = vma ? min(vma_floor(vma), high) : high;

		if (top > below && top - below >= len)
			best = top - len;
		if (!vma)
			return best;
		below = max(below, vma->end);
	}
}

KTEST_MM(vma, search_finds_the_highest_gap)
{
	struct mm *mm = current->mm;
	const unsigned n = 400;
	uintptr_t top;

	prng_seed(&rng, kt_seed());
	for (int where = 0; where < 2; where++) {
		mm->mmap_base = where ? USER_TOP - 0x10000000 : 0;
		top = kt_map(n, RW);
		KT_ASSERT(top);
		KT_EQ(top + n * PAGE_SIZE, where ? mm->mmap_base : USER_TOP);
		for (unsigned i = 0; i < 60; i++)
			KT_EQ(kt_unmap(top + rnd(n - 6) * PAGE_SIZE, 1 + rnd(6)), 0);
		for (unsigned i = 0; i < 150; i++) {
			size_t pages = 1 + rnd(8);
			uintptr_t want = naive_place(pages * PAGE_SIZE, USER_MIN,
						     mm->mmap_base ? mm->mmap_base : USER_TOP);
			long got = kt_map_at(0, pages, prots[rnd(ARRAY_SIZE(prots))]);

			KT_EQ(got, want);
			if (i % 3 == 0)
				KT_EQ(kt_unmap(top + rnd(n - 6) * PAGE_SIZE, 1 + rnd(6)), 0);
		}
		mm_check(mm);
	}
	/* Nothing below the base is free: the rest of the address space is searched. */
	mm->mmap_base = 0x100000;
	KT_EQ(kt_map_at(USER_MIN, (mm->mmap_base - USER_MIN) >> PAGE_SHIFT, PROT_NONE), USER_MIN);
	top = naive_place(PAGE_SIZE, USER_MIN, USER_TOP);
	KT_EQ(kt_map(1, RW), top);
	/* A hint is taken if it is free, rounded up; else it is only a hint. */
	KT_EQ(do_mmap(NULL, 0x5000123, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 0), 0x5001000);
	top = naive_place(PAGE_SIZE, USER_MIN, USER_TOP);
	KT_EQ(do_mmap(NULL, 0x5001000, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, 0), top);
}

KTEST_MM(vma, stacks_keep_their_guard)
{
	const unsigned flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	struct mm *mm = current->mm;
	uintptr_t stack = 0x40000000, low = stack - 300 * PAGE_SIZE;

	KT_EQ(do_mmap(NULL, stack, 4 * PAGE_SIZE, RW, flags | MAP_GROWSDOWN, 0), stack);
	KT_EQ(do_mmap(NULL, low, PAGE_SIZE, RW, flags, 0), low);
	KT_EXPECT(!range_is_free(mm, stack - PAGE_SIZE, PAGE_SIZE));
	KT_EXPECT(!range_is_free(mm, stack - STACK_GUARD, PAGE_SIZE));
	KT_EXPECT(range_is_free(mm, stack - STACK_GUARD - PAGE_SIZE, PAGE_SIZE));
	KT_EXPECT(kt_put(stack - PAGE_SIZE, 1) && kt_put(stack - 10 * PAGE_SIZE, 2));
	KT_EQ(find_vma(mm, stack)->start, stack - 10 * PAGE_SIZE);
	mm_check(mm);
	KT_EXPECT(kt_put(low + PAGE_SIZE + STACK_GUARD, 3));
	KT_EXPECT(!kt_put(low + STACK_GUARD, 4));
	KT_EXPECT(!kt_put(low - PAGE_SIZE, 4));
	mm_check(mm);
}

/* ---- limits and errors */

KTEST_MM(vma, count_limit)
{
	const uintptr_t base = 0x50000000, three = 0x40000000;
	struct mm *mm = current->mm;
	unsigned i = 0;

	KT_EQ(kt_map_at(three, 3, RW), three);
	KT_EXPECT(!kt_fill(three, 3, 1));
	while (mm->nr_vmas < MAX_VMAS) {
		long va = kt_map_at(base + i * PAGE_SIZE, 1, i & 1 ? RW : PROT_READ);

		if (va < 0) {
			kt_fail(__FILE__, __LINE__, "vma %u: error %ld", mm->nr_vmas, va);
			return;
		}
		i++;
	}
	KT_EQ(kt_map_at(base + (i + 1) * PAGE_SIZE, 1, RW), -ENOMEM);
	KT_EQ(kt_unmap(three + PAGE_SIZE, 1), -ENOMEM);
	KT_EQ(do_mprotect(three + PAGE_SIZE, PAGE_SIZE, PROT_READ), -ENOMEM);
	KT_EQ(do_mremap(three + PAGE_SIZE, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x30000000), -ENOMEM);
	KT_EQ(do_madvise(mm, three + PAGE_SIZE, PAGE_SIZE, MADV_DONTFORK), -ENOMEM);
	KT_EQ(kt_wrong(three, 3, 1), 0);
	KT_EQ(mm->nr_vmas, MAX_VMAS);
	mm_check(mm);
	KT_EQ(kt_unmap(base, 2), 0);
	KT_EQ(do_mprotect(three + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
}

KTEST_MM(vma, error_codes)
{
	const unsigned anon = MAP_PRIVATE | MAP_ANONYMOUS;
	uintptr_t va = kt_map(4, RW);

	KT_ASSERT(va);
	KT_EQ(do_mmap(NULL, 0, 0, RW, anon, 0), -EINVAL);
	KT_EQ(do_mmap(NULL, 0, ~0ul, RW, anon, 0), -ENOMEM);
	KT_EQ(do_mmap(NULL, 0, USER_TOP, RW, anon, 0), -ENOMEM);
	KT_EQ(do_mmap(NULL, 0x1001, PAGE_SIZE, RW, anon | MAP_FIXED, 0), -EINVAL);
	KT_EQ(do_mmap(NULL, 0, PAGE_SIZE, RW, anon | MAP_FIXED, 0), -EPERM);
	KT_EQ(do_mmap(NULL, USER_TOP, PAGE_SIZE, RW, anon | MAP_FIXED, 0), -ENOMEM);
	KT_EQ(do_mmap(NULL, USER_TOP - PAGE_SIZE, 2 * PAGE_SIZE, RW, anon | MAP_FIXED, 0), -ENOMEM);
	KT_EQ(do_mmap(NULL, va, PAGE_SIZE, RW, anon | MAP_FIXED_NOREPLACE, 0), -EEXIST);
	KT_EQ(do_mmap(NULL, 0, PAGE_SIZE, RW, MAP_ANONYMOUS, 0), -EINVAL);
	KT_EQ(do_mmap(NULL, 0, PAGE_SIZE, RW, MAP_PRIVATE, 0), -EBADF);
	KT_EQ(kt_unmap(va + 1, 1), -EINVAL);
	KT_EQ(kt_unmap(va, 0), -EINVAL);
	KT_EQ(kt_unmap(USER_TOP, 1), -EINVAL);
	KT_EQ(kt_unmap(0x10000, 1), 0);
	KT_EQ(do_mprotect(va + 1, PAGE_SIZE, RW), -EINVAL);
	KT_EQ(do_mprotect(va, PAGE_SIZE, 0x40), -EINVAL);
	KT_EQ(do_mprotect(va, 0, RW), 0);
	KT_EQ(do_mprotect(0x10000, PAGE_SIZE, RW), -ENOMEM);
	KT_EQ(do_mprotect(va, ~0ul & PAGE_MASK, RW), -ENOMEM);
	KT_EQ(do_mprotect(va, 5 * PAGE_SIZE, RW), -ENOMEM);
	KT_EQ(do_mremap(va + 1, PAGE_SIZE, PAGE_SIZE, 0, 0), -EINVAL);
	KT_EQ(do_mremap(va, PAGE_SIZE, 0, 0, 0), -EINVAL);
	KT_EQ(do_mremap(va, PAGE_SIZE, PAGE_SIZE, 8, 0), -EINVAL);
	KT_EQ(do_mremap(va, PAGE_SIZE, PAGE_SIZE, MREMAP_FIXED, 0x10000), -EINVAL);
	KT_EQ(do_mremap(va, 2 * PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, va + PAGE_SIZE), -EINVAL);
	KT_EQ(do_mremap(va, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 0), -EPERM);
	KT_EQ(do_mremap(va, 2 * PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0), -EINVAL);
	KT_EQ(do_mremap(va, 0, PAGE_SIZE, MREMAP_MAYMOVE, 0), -EINVAL);
	KT_EQ(do_mremap(0x10000, PAGE_SIZE, PAGE_SIZE, 0, 0), -EFAULT);
	KT_EQ(do_mremap(va, 5 * PAGE_SIZE, 6 * PAGE_SIZE, MREMAP_MAYMOVE, 0), -EFAULT);
	KT_EQ(do_mremap(va, PAGE_SIZE, 2 * PAGE_SIZE, 0, 0), -ENOMEM);
	KT_EQ(do_madvise(current->mm, va, PAGE_SIZE, 5), -EINVAL);
	KT_EQ(do_madvise(current->mm, va + 1, PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	KT_EQ(do_madvise(current->mm, 0x10000, PAGE_SIZE, MADV_DONTNEED), -ENOMEM);
	KT_EQ(do_madvise(current->mm, va, 5 * PAGE_SIZE, MADV_NORMAL), -ENOMEM);
	KT_EQ(kt_unmap(va, 4), 0);
	KT_EQ(current->mm->nr_vmas, 0);
}

KTEST_MM(vma, heap)
{
	struct mm *mm = current->mm;
	const uintptr_t start = 0x40000100;

	mm->start_brk = mm->brk = start;
	KT_EQ(do_brk(0), start);
	KT_EQ(do_brk(start + 10 * PAGE_SIZE), start + 10 * PAGE_SIZE);
	KT_EXPECT(!kt_fill(align_up(start, PAGE_SIZE), 10, 1));
	KT_EQ(do_brk(start + 3 * PAGE_SIZE), start + 3 * PAGE_SIZE);
	KT_EQ(kt_wrong(align_up(start, PAGE_SIZE), 3, 1), 0);
	KT_EXPECT(!kt_put(align_up(start, PAGE_SIZE) + 3 * PAGE_SIZE, 1));
	KT_EQ(do_brk(start - 1), start + 3 * PAGE_SIZE);
	KT_EQ(kt_map_at(align_up(start, PAGE_SIZE) + 5 * PAGE_SIZE, 1, PROT_READ),
	      align_up(start, PAGE_SIZE) + 5 * PAGE_SIZE);
	KT_EQ(do_brk(start + 8 * PAGE_SIZE), start + 3 * PAGE_SIZE);
	KT_EQ(do_brk(start + 4 * PAGE_SIZE), start + 4 * PAGE_SIZE);
	KT_EQ(do_brk(USER_TOP), start + 4 * PAGE_SIZE);
	KT_EQ(kt_peek(align_up(start, PAGE_SIZE) + 3 * PAGE_SIZE), 0);
	mm_check(mm);
}
