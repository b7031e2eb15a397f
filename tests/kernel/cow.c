/*
 * Fork and copy-on-write: what parent and child see, who owns a page after each step (references, mappings,
 * permissions), failures at every allocation, forks while other threads write. The child's memory is read and written
 * through access_process_vm(), which faults as the child would.
 */
#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "tests/kernel/space.h"

#define RW (PROT_READ | PROT_WRITE)

static u64 peek_in(struct mm *mm, uintptr_t va)
{
	u64 v = KT_NOTHING;

	return access_process_vm(mm, va, &v, sizeof(v), false) == sizeof(v) ? v : KT_NOTHING;
}

static bool put_in(struct mm *mm, uintptr_t va, u64 v)
{
	return access_process_vm(mm, va, &v, sizeof(v), true) == sizeof(v);
}

static struct page *page_in(struct mm *mm, uintptr_t va)
{
	pte_t *e = pt_lookup(mm, va), v;

	if (!e)
		return NULL;
	v = pte_load(e);
	return pte_present(v) && !pte_special(v) ? pfn_to_page(pte_pfn(v)) : NULL;
}

/* A fork of current's address space, checked; NULL is reported. */
static struct mm *fork_mm(void)
{
	struct mm *child = mm_dup(current->mm);

	if (IS_ERR(child)) {
		kt_fail(__FILE__, __LINE__, "fork: error %ld", PTR_ERR(child));
		return NULL;
	}
	mm_check(child);
	kt_check_mm();
	return child;
}

static void expect_shared(uintptr_t va, size_t pages, unsigned refs)
{
	for (size_t i = 0; i < pages; i++) {
		struct page *p = kt_page(va + i * PAGE_SIZE);

		KT_ASSERT(p);
		if (page_refs(p) != refs || page_mapcount(p) != refs || pte_write(kt_pte(va + i * PAGE_SIZE))) {
			kt_fail(__FILE__, __LINE__, "page %zu: %u references, %u mappings, %s; expected %u, read-only",
				i, page_refs(p), page_mapcount(p),
				pte_write(kt_pte(va + i * PAGE_SIZE)) ? "writable" : "read-only", refs);
			return;
		}
	}
}

/* ---- anonymous memory */

KTEST_MM(cow, fork_shares_and_counts)
{
	uintptr_t va = kt_map(20, RW);
	s64 rss = 20;
	struct mm *child, *second;

	KT_ASSERT(va && !kt_fill(va, 20, 100));
	child = fork_mm();
	KT_ASSERT(child);
	expect_shared(va, 20, 2);
	KT_EQ(atomic64_read(&child->rss_anon), rss);
	KT_EQ(atomic64_read(&current->mm->rss_anon), rss);
	KT_EQ(child->total_vm, current->mm->total_vm);
	for (unsigned i = 0; i < 20; i++) {
		KT_EXPECT(page_in(child, va + i * PAGE_SIZE) == kt_page(va + i * PAGE_SIZE));
		KT_EQ(peek_in(child, va + i * PAGE_SIZE), 100 + i);
	}
	second = fork_mm();
	KT_ASSERT(second);
	expect_shared(va, 20, 3);
	mmput(child);
	expect_shared(va, 20, 2);
	mmput(second);
	for (unsigned i = 0; i < 20; i++) {
		KT_EQ(page_refs(kt_page(va + i * PAGE_SIZE)), 1);
		KT_EQ(page_mapcount(kt_page(va + i * PAGE_SIZE)), 1);
	}
	KT_EQ(kt_wrong(va, 20, 100), 0);
}

KTEST_MM(cow, writes_do_not_cross)
{
	uintptr_t va = kt_map(8, RW);
	struct mm *child;
	u64 copied;

	KT_ASSERT(va && !kt_fill(va, 8, 100));
	child = fork_mm();
	KT_ASSERT(child);
	copied = vm_event_sum(VME_pgcow);
	for (unsigned i = 0; i < 4; i++)
		KT_EXPECT(kt_put(va + i * PAGE_SIZE, 200 + i));
	for (unsigned i = 4; i < 8; i++)
		KT_EXPECT(put_in(child, va + i * PAGE_SIZE, 300 + i));
	KT_EQ(vm_event_sum(VME_pgcow) - copied, 8);
	for (unsigned i = 0; i < 4; i++) {
		KT_EQ(kt_peek(va + i * PAGE_SIZE), 200 + i);
		KT_EQ(peek_in(child, va + i * PAGE_SIZE), 100 + i);
	}
	for (unsigned i = 4; i < 8; i++) {
		KT_EQ(kt_peek(va + i * PAGE_SIZE), 100 + i);
		KT_EQ(peek_in(child, va + i * PAGE_SIZE), 300 + i);
	}
	for (unsigned i = 0; i < 8; i++) {
		struct page *ours = kt_page(va + i * PAGE_SIZE), *theirs = page_in(child, va + i * PAGE_SIZE);

		KT_EXPECT(ours && theirs && ours != theirs);
		KT_EXPECT(page_refs(ours) == 1 && page_refs(theirs) == 1 && page_mapcount(ours) == 1 &&
			  page_mapcount(theirs) == 1);
	}
	mm_check(child);
	mmput(child);
}

/* The rest of a copied page is copied too. */
KTEST_MM(cow, whole_page_is_copied)
{
	uintptr_t va = kt_map(1, RW);
	struct mm *child;

	KT_ASSERT(va);
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		KT_EXPECT(kt_put(va + i * 8, i * 3 + 1));
	child = fork_mm();
	KT_ASSERT(child);
	KT_EXPECT(kt_put(va + 800, 7) && put_in(child, va + 1600, 8));
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		KT_EQ(kt_peek(va + i * 8), i == 100 ? 7 : i * 3 + 1);
		KT_EQ(peek_in(child, va + i * 8), i == 200 ? 8 : i * 3 + 1);
	}
	mmput(child);
}

KTEST_MM(cow, last_owner_takes_the_page_over)
{
	uintptr_t va = kt_map(2, RW);
	struct page *p, *q;
	struct mm *child;
	u64 reused, copied;

	KT_ASSERT(va && !kt_fill(va, 2, 1));
	p = kt_page(va);
	q = kt_page(va + PAGE_SIZE);
	child = fork_mm();
	KT_ASSERT(child);
	/* The child copies the first, and is gone for the second. */
	KT_EXPECT(put_in(child, va, 5));
	KT_EQ(page_refs(p), 1);
	mmput(child);
	reused = vm_event_sum(VME_pgreuse);
	copied = vm_event_sum(VME_pgcow);
	KT_EXPECT(kt_put(va, 6) && kt_put(va + PAGE_SIZE, 7));
	KT_EXPECT(kt_page(va) == p && kt_page(va + PAGE_SIZE) == q);
	KT_EQ(vm_event_sum(VME_pgreuse) - reused, 2);
	KT_EQ(vm_event_sum(VME_pgcow) - copied, 0);
	KT_EXPECT(pte_write(kt_pte(va)) && pte_dirty(kt_pte(va)));
	/* Somebody who merely looks (a transient reference) forces a copy: he must not see the write. */
	child = fork_mm();
	KT_ASSERT(child);
	mmput(child);
	get_page(p);
	KT_EXPECT(kt_put(va, 8));
	KT_EXPECT(kt_page(va) != p);
	KT_EQ(*(u64 *)page_to_virt(p), 6);
	put_page(p);
}

KTEST_MM(cow, generations)
{
	struct mm *mm[6];
	uintptr_t va = kt_map(3, RW);
	unsigned n = 0;

	KT_ASSERT(va && !kt_fill(va, 3, 0));
	for (; n < ARRAY_SIZE(mm); n++) {
		mm[n] = fork_mm();
		KT_ASSERT(mm[n]);
		KT_EXPECT(kt_put(va, n + 1));
	}
	expect_shared(va + PAGE_SIZE, 2, n + 1);
	for (unsigned i = 0; i < n; i++) {
		KT_EQ(peek_in(mm[i], va), i);
		KT_EXPECT(put_in(mm[i], va + PAGE_SIZE, 100 + i));
	}
	KT_EQ(kt_peek(va + PAGE_SIZE), 1);
	KT_EQ(page_refs(kt_page(va + PAGE_SIZE)), 1);
	for (unsigned i = 0; i < n; i++) {
		KT_EQ(peek_in(mm[i], va + PAGE_SIZE), 100 + i);
		mmput(mm[(i * 5 + 2) % n]);	/* each once, in another order than they were made */
		mm[(i * 5 + 2) % n] = NULL;
		if (i + 1 < n && !mm[i + 1])
			break;
	}
	for (unsigned i = 0; i < n; i++)
		if (mm[i])
			mmput(mm[i]);
}

KTEST_MM(cow, zero_page_then_writes)
{
	uintptr_t va = kt_map(4, RW);
	struct mm *child;
	u64 free;

	KT_ASSERT(va && !kt_put(0, 0));
	KT_EXPECT(kt_put(va + 3 * PAGE_SIZE, 9));	/* so that the table is there */
	free = kt_free_pages();
	for (unsigned i = 0; i < 3; i++)
		KT_EQ(kt_peek(va + i * PAGE_SIZE), 0);
	KT_EQ(kt_free_pages(), free);
	KT_EXPECT(pte_special(kt_pte(va)) && !pte_write(kt_pte(va)));
	KT_EXPECT(pte_pfn(kt_pte(va)) == pte_pfn(kt_pte(va + PAGE_SIZE)));
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
	child = fork_mm();
	KT_ASSERT(child);
	KT_EXPECT(kt_put(va, 1) && put_in(child, va + PAGE_SIZE, 2));
	KT_EXPECT(!pte_special(kt_pte(va)) && pte_write(kt_pte(va)));
	KT_EQ(kt_peek(va), 1);
	KT_EQ(kt_peek(va + 8), 0);
	KT_EQ(kt_peek(va + PAGE_SIZE), 0);
	KT_EQ(kt_peek(va + 2 * PAGE_SIZE), 0);
	KT_EQ(peek_in(child, va), 0);
	KT_EQ(peek_in(child, va + PAGE_SIZE), 2);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 2);
	mm_check(child);
	mmput(child);
}

/* Read-only memory that was written before, protections that change on one side only. */
KTEST_MM(cow, protections_are_each_sides_own)
{
	uintptr_t va = kt_map(2, RW);
	struct mm *child;

	KT_ASSERT(va && !kt_fill(va, 2, 1));
	KT_EQ(do_mprotect(va, PAGE_SIZE, PROT_READ), 0);
	child = fork_mm();
	KT_ASSERT(child);
	KT_EXPECT(!put_in(child, va, 5) && !kt_put(va, 5));
	KT_EQ(do_mprotect(va, PAGE_SIZE, RW), 0);
	KT_EXPECT(kt_put(va, 6) && !put_in(child, va, 5));
	KT_EQ(peek_in(child, va), 1);
	KT_EQ(do_mprotect(va + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	KT_EXPECT(put_in(child, va + PAGE_SIZE, 7));
	KT_EQ(do_mprotect(va + PAGE_SIZE, PAGE_SIZE, RW), 0);
	KT_EQ(kt_peek(va + PAGE_SIZE), 2);
	mm_check(child);
	mmput(child);
}

KTEST_MM(cow, advice_for_fork)
{
	uintptr_t va = kt_map(6, RW);
	struct mm *child, *mm = current->mm;

	KT_ASSERT(va && !kt_fill(va, 6, 10));
	KT_EQ(do_madvise(mm, va, 2 * PAGE_SIZE, MADV_WIPEONFORK), 0);
	KT_EQ(do_madvise(mm, va + 2 * PAGE_SIZE, 2 * PAGE_SIZE, MADV_DONTFORK), 0);
	child = fork_mm();
	KT_ASSERT(child);
	KT_EQ(peek_in(child, va), 0);
	KT_EXPECT(put_in(child, va + PAGE_SIZE, 5));
	KT_EQ(peek_in(child, va + 2 * PAGE_SIZE), KT_NOTHING);
	KT_EXPECT(!put_in(child, va + 3 * PAGE_SIZE, 5));
	KT_EQ(peek_in(child, va + 4 * PAGE_SIZE), 14);
	KT_EQ(kt_wrong(va, 6, 10), 0);
	for (unsigned i = 0; i < 4; i++)
		KT_EQ(page_refs(kt_page(va + i * PAGE_SIZE)), 1);
	mm_check(child);
	mmput(child);
	KT_EQ(do_madvise(mm, va, 2 * PAGE_SIZE, MADV_KEEPONFORK), 0);
	KT_EQ(do_madvise(mm, va, 6 * PAGE_SIZE, MADV_DOFORK), 0);
	KT_EQ(mm->nr_vmas, 1);
	child = fork_mm();
	KT_ASSERT(child);
	for (unsigned i = 0; i < 6; i++)
		KT_EQ(peek_in(child, va + i * PAGE_SIZE), 10 + i);
	mmput(child);
}

/* ---- failures */

/* Each allocation of fork fails in turn: nothing is lost, and the parent is as before. */
KTEST_MM(cow, fork_without_memory)
{
	const uintptr_t far = 0x70000000;
	uintptr_t va = kt_map(10, RW);
	unsigned k = 0;

	KT_ASSERT(va && !kt_fill(va, 10, 1));
	KT_EQ(kt_map_at(far, 3, RW), far);
	KT_EXPECT(!kt_fill(far, 3, 50));
	KT_EQ(do_mprotect(far + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	for (; k < 60; k++) {
		struct mm *child;

		palloc_fail(k, 1);
		child = mm_dup(current->mm);
		palloc_fail(0, 0);
		if (!IS_ERR(child)) {
			mmput(child);
			break;
		}
		KT_EQ(PTR_ERR(child), -ENOMEM);
		kt_check_mm();
		for (unsigned i = 0; i < 10; i++)
			KT_EXPECT(page_refs(kt_page(va + i * PAGE_SIZE)) == 1 &&
				  page_mapcount(kt_page(va + i * PAGE_SIZE)) == 1);
		KT_EQ(kt_wrong(va, 10, 1) + kt_wrong(far, 3, 50), 0);
		KT_EXPECT(kt_put(va, 1) && kt_put(far, 50) && !kt_put(far + PAGE_SIZE, 1));
	}
	KT_EXPECT(k >= 8 && k < 60);	/* struct, root, vmas, tables of three levels in two places */
}

KTEST_MM(cow, copy_without_memory)
{
	uintptr_t va = kt_map(1, RW);
	struct mm *child;

	KT_ASSERT(va && kt_put(va, 1));
	child = fork_mm();
	KT_ASSERT(child);
	palloc_fail(0, 1);
	KT_EQ(handle_mm_fault(current->mm, va, FAULT_WRITE), -ENOMEM);
	palloc_fail(0, 0);
	expect_shared(va, 1, 2);
	KT_EQ(handle_mm_fault(current->mm, va, FAULT_WRITE), 0);
	KT_EQ(page_refs(kt_page(va)), 1);
	mmput(child);
}

/* ---- pages of a file: a made-up one, four pages that the test holds */

static struct page *file_pages[4];
static u32 mkwrites;

static int test_fault(struct vm_fault *vf)
{
	if (vf->pgoff >= ARRAY_SIZE(file_pages))
		return -EFAULT;
	vf->page = file_pages[vf->pgoff];
	get_page(vf->page);
	return 0;
}

static void test_mkwrite(struct vm_fault *vf)
{
	mkwrites++;
}

static const struct vma_ops test_ops = { .fault = test_fault, .mkwrite = test_mkwrite, .name = "[test]" };

static bool map_file(uintptr_t va, u32 flags)
{
	struct vma *vma = vma_alloc(current->mm);

	if (!vma)
		return false;
	vma->start = va;
	vma->end = va + sizeof(file_pages) / sizeof(file_pages[0]) * PAGE_SIZE;
	vma->flags = VM_READ | VM_WRITE | VM_MAYALL | flags;
	vma->prot = vma_prot(vma->flags);
	vma->ops = &test_ops;
	down_write(&current->mm->mmap_lock);
	vma_insert(current->mm, vma);
	up_write(&current->mm->mmap_lock);
	return true;
}

static bool make_file(void)
{
	mkwrites = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(file_pages); i++) {
		file_pages[i] = alloc_page(GFP_KERNEL | GFP_ZERO);
		if (!file_pages[i])
			return false;
		*(u64 *)page_to_virt(file_pages[i]) = 1000 + i;
	}
	return true;
}

static void drop_file(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(file_pages); i++) {
		KT_EQ(page_refs(file_pages[i]), 1);
		KT_EQ(page_mapcount(file_pages[i]), 0);
		put_page(file_pages[i]);
	}
}

KTEST_MM(cow, private_file_pages)
{
	const uintptr_t va = 0x60000000;
	struct mm *child;

	KT_ASSERT(make_file() && map_file(va, 0));
	KT_EQ(kt_wrong(va, 4, 1000), 0);
	KT_EQ(atomic64_read(&current->mm->rss_file), 4);
	KT_EXPECT(kt_put(va, 1) && kt_peek(va) == 1);		/* read, then written: copied */
	KT_EXPECT(kt_page(va) != file_pages[0] && page_refs(file_pages[0]) == 1);
	KT_EQ(atomic64_read(&current->mm->rss_file), 3);
	KT_EQ(atomic64_read(&current->mm->rss_anon), 1);
	child = fork_mm();
	KT_ASSERT(child);
	KT_EQ(peek_in(child, va), 1);
	KT_EQ(peek_in(child, va + PAGE_SIZE), 1001);
	KT_EXPECT(put_in(child, va + PAGE_SIZE, 2) && put_in(child, va + 2 * PAGE_SIZE, 3));
	KT_EQ(kt_peek(va + PAGE_SIZE), 1001);
	KT_EQ(*(u64 *)page_to_virt(file_pages[1]), 1001);
	KT_EQ(peek_in(child, va + 2 * PAGE_SIZE), 3);
	KT_EQ(mkwrites, 0);
	KT_EQ(kt_peek(va + 4 * PAGE_SIZE), KT_NOTHING);
	mm_check(child);
	mmput(child);
	KT_EQ(kt_unmap(va, 4), 0);
	drop_file();
}

KTEST_MM(cow, shared_file_pages)
{
	const uintptr_t va = 0x60000000;
	struct mm *child;

	KT_ASSERT(make_file() && map_file(va, VM_SHARED));
	KT_EQ(kt_wrong(va, 4, 1000), 0);
	KT_EXPECT(!pte_write(kt_pte(va)));	/* clean: the first write tells the file */
	KT_EXPECT(kt_put(va, 1) && kt_put(va, 2));
	KT_EQ(mkwrites, 1);
	KT_EXPECT(kt_page(va) == file_pages[0]);
	KT_EQ(*(u64 *)page_to_virt(file_pages[0]), 2);
	child = fork_mm();
	KT_ASSERT(child);
	KT_EXPECT(put_in(child, va, 3) && put_in(child, va + PAGE_SIZE, 4));
	KT_EQ(kt_peek(va), 3);
	KT_EQ(kt_peek(va + PAGE_SIZE), 4);
	/* No access and back: a page that was never written does not become writable without telling the file. */
	mkwrites = 0;
	KT_EQ(kt_peek(va + 2 * PAGE_SIZE), 1002);
	KT_EQ(do_mprotect(va, 4 * PAGE_SIZE, PROT_NONE), 0);
	KT_EQ(do_mprotect(va, 4 * PAGE_SIZE, RW), 0);
	KT_EXPECT(kt_put(va + 2 * PAGE_SIZE, 5));
	KT_EQ(mkwrites, 1);
	mmput(child);
	KT_EQ(kt_unmap(va, 4), 0);
	drop_file();
}

/* ---- while others write */

struct writers {
	uintptr_t va;
	u32 stop, wrong;
	u32 turns;		/* atomic. of all writers */
};

/* Writes n to its first word, then to its second, so a snapshot never has the second ahead of the first. */
static void keep_writing(void *arg, unsigned nr)
{
	struct writers *w = arg;
	uintptr_t a = w->va + 2 * nr * PAGE_SIZE;

	for (u64 n = 1; !READ_ONCE(w->stop); n++) {
		/* Plainly as long as the entry is writable, else with a fault that copies or takes over. */
		if (!kt_plain_write(a, n) && !kt_put(a, n))
			w->wrong++;
		if (!kt_plain_write(a + PAGE_SIZE, n) && !kt_put(a + PAGE_SIZE, n))
			w->wrong++;
		__atomic_fetch_add(&w->turns, 1, __ATOMIC_RELAXED);
		if (n % 32 == 0)
			cond_resched();
		cpu_relax();
	}
}

/* What is in the page that is mapped there; no fault, and no right of the user's needed. */
static u64 page_word_in(struct mm *mm, uintptr_t va)
{
	struct page *p = page_in(mm, va);

	return p ? READ_ONCE(*(u64 *)page_to_virt(p)) : KT_NOTHING;
}

/*
 * The child's memory stands still from the moment fork returns, whatever the parent's other threads hold in their TLBs.
 */
KTEST_MM(cow, fork_while_threads_write)
{
	unsigned n = clamp(nr_cpus - 1, 1u, 4u);
	struct writers w = { .va = kt_map(2 * n, RW) };
	struct kt_crowd crowd;

	KT_ASSERT(w.va);
	kt_make_plain(w.va);
	for (unsigned i = 0; i < 2 * n; i++)
		KT_EXPECT(kt_put(w.va + i * PAGE_SIZE, 0));
	kt_crowd_start(&crowd, n, keep_writing, &w);
	for (int round = 0; round < 60; round++) {
		struct mm *child = mm_dup(current->mm);
		u64 first[8], end = SOON;
		u32 turns = READ_ONCE(w.turns);

		if (IS_ERR(child))
			break;
		for (unsigned i = 0; i < 2 * n; i++)
			first[i] = page_word_in(child, w.va + i * PAGE_SIZE);
		while (READ_ONCE(w.turns) - turns < 4 * n && clock_ns() < end) {
			sched_yield();
			cpu_relax();
		}
		KT_EXPECT(READ_ONCE(w.turns) != turns);
		for (unsigned i = 0; i < 2 * n; i++)
			KT_EXPECT(first[i] != KT_NOTHING && page_word_in(child, w.va + i * PAGE_SIZE) == first[i]);
		for (unsigned i = 0; i < n; i++)
			KT_EXPECT(first[2 * i] == first[2 * i + 1] || first[2 * i] == first[2 * i + 1] + 1);
		mm_check(child);
		mmput(child);
		sched_yield();
	}
	WRITE_ONCE(w.stop, 1);
	kt_crowd_join(&crowd);
	KT_EQ(w.wrong, 0);
}
