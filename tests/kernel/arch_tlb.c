/*
 * The contract, parts 1 to 3, with the MMU at work: protections of user mappings, accessed and dirty bits, TLB
 * invalidation.
 */
#include <arch/cpu.h>
#include <arch/ctx.h>
#include <arch/tlb.h>
#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "tests/kernel/space.h"

#define RW (PROT_READ | PROT_WRITE)

/* ---- protections of user mappings, as user access sees them */

KTEST_MM(arch_tlb, user_protections)
{
	uintptr_t va = kt_map(1, RW);
	u64 v;

	KT_ASSERT(va && kt_put(va, 1));
	KT_EQ(do_mprotect(va, PAGE_SIZE, PROT_READ), 0);
	KT_EXPECT(!kt_put(va, 2) && kt_get(va, &v) && v == 1);
	KT_EQ(do_mprotect(va, PAGE_SIZE, PROT_NONE), 0);
	KT_EXPECT(!kt_put(va, 3) && !kt_get(va, &v));
	KT_EXPECT(pte_present(kt_pte(va)));
	KT_EQ(do_mprotect(va, PAGE_SIZE, RW), 0);
	KT_EXPECT(kt_put(va, 4) && kt_peek(va) == 4);
	KT_EQ(do_mprotect(va, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	KT_EXPECT(!kt_put(va, 5) && kt_peek(va) == 4);
	KT_EQ(kt_unmap(va, 1), 0);
	KT_EXPECT(!kt_put(va, 6) && !kt_get(va, &v));
}

/* The entry itself decides, not only the fault handler: no fault is taken when all is well, one when it is not. */
KTEST_MM(arch_tlb, entry_decides)
{
	uintptr_t va = kt_map(1, RW);
	u32 before;

	KT_ASSERT(va && kt_put(va, 1));
	before = current->min_flt;
	for (int i = 0; i < 10; i++)
		KT_EXPECT(kt_put(va, (u64)i) && kt_peek(va) == i);
	KT_EQ(current->min_flt, before);
	KT_EQ(do_mprotect(va, PAGE_SIZE, PROT_READ), 0);
	KT_EXPECT(!kt_put(va, 9));
	KT_EXPECT(current->min_flt > before);
}

/* ---- accessed and dirty */

/* Change the entry by fn and flush. */
static void change_pte(uintptr_t va, pte_t (*fn)(pte_t))
{
	spinlock_t *ptl;
	pte_t *e = pte_offset_map_lock(current->mm, va, &ptl), v;

	do
		v = pte_load(e);
	while (!pte_cas(e, v, fn(v)));
	pte_publish();
	pte_unmap_unlock(ptl);
	flush_tlb_page(current->mm, va);
}

static pte_t old_and_clean(pte_t e)
{
	return pte_mkclean(pte_mkold(e));
}

KTEST_MM(arch_tlb, accessed_and_dirty)
{
	uintptr_t va = kt_map(1, RW);

	KT_ASSERT(va && kt_put(va, 1));
	for (int i = 0; i < 3; i++) {
		change_pte(va, old_and_clean);
		KT_EXPECT(!pte_dirty(kt_pte(va)));
		KT_EQ(kt_peek(va), 1);
		KT_EXPECT(pte_young(kt_pte(va)));
		KT_EXPECT(!pte_dirty(kt_pte(va)));
		KT_EXPECT(kt_put(va, 1));
		KT_EXPECT(pte_young(kt_pte(va)) && pte_dirty(kt_pte(va)));
	}
	/* Not through other pages of the same table. */
	va = kt_map(2, RW);
	KT_ASSERT(va && !kt_fill(va, 2, 5));
	change_pte(va, old_and_clean);
	KT_EXPECT(kt_put(va + PAGE_SIZE, 7));
	KT_EXPECT(!pte_dirty(kt_pte(va)));
}

/* ---- invalidation */

enum flavour { PAGE, RANGE_ONE, RANGE_MANY, RANGE_TABLES, MM, ALL, NR_FLAVOURS };

static void invalidate(enum flavour f, uintptr_t va, size_t pages)
{
	struct mm *mm = current->mm;
	uintptr_t end = va + pages * PAGE_SIZE;
	unsigned long flags = irq_save();

	switch (f) {
	case PAGE:
		for (; va < end; va += PAGE_SIZE)
			tlb_local_page(mm, va);
		break;
	case RANGE_ONE:
		for (; va < end; va += PAGE_SIZE)
			tlb_local_range(mm, va, va + PAGE_SIZE, PAGE_SHIFT, false);
		break;
	case RANGE_MANY:
		tlb_local_range(mm, va, end, PAGE_SHIFT, false);
		break;
	case RANGE_TABLES:
		tlb_local_range(mm, va, end, PAGE_SHIFT, true);
		break;
	case MM:
		tlb_local_mm(mm);
		break;
	default:
		tlb_local_all();
	}
	irq_restore(flags);
}

/* The frames of two pages change places in the tables. Nothing sleeps in between, so this stays on one CPU. */
static void swap_entries(uintptr_t a, uintptr_t b, enum flavour f)
{
	pte_t *ea = pt_lookup(current->mm, a), *eb = pt_lookup(current->mm, b);
	pte_t va = pte_load(ea), vb = pte_load(eb);

	if (PTE_BBM) {
		pte_clear(ea);
		pte_clear(eb);
		invalidate(f, a, 1);
		invalidate(f, b, 1);
	}
	pte_store(ea, vb);
	pte_store(eb, va);
	pte_publish();
	if (!PTE_BBM) {
		invalidate(f, a, 1);
		invalidate(f, b, 1);
	}
}

KTEST_MM(arch_tlb, new_entry_is_seen_after_a_flush)
{
	uintptr_t va = kt_map(2, RW);

	KT_ASSERT(va);
	kt_make_plain(va);
	KT_EXPECT(!kt_fill(va, 2, 10));
	for (enum flavour f = 0; f < NR_FLAVOURS; f++) {
		for (int i = 0; i < 4; i++) {
			u64 a = kt_plain_read(va), b = kt_plain_read(va + PAGE_SIZE);

			KT_EXPECT(a != b && a + b == 21);
			swap_entries(va, va + PAGE_SIZE, f);
			KT_EQ(kt_plain_read(va), b);
			KT_EQ(kt_plain_read(va + PAGE_SIZE), a);
		}
	}
}

/* All pages of a range, for lengths on both sides of where the port takes the whole address space. */
KTEST_MM(arch_tlb, ranges_of_every_length)
{
	const size_t most = 80;
	uintptr_t va = kt_map(most, RW);
	pte_t saved[80];

	KT_ASSERT(va);
	kt_make_plain(va);
	KT_EXPECT(!kt_fill(va, most, 0));
	for (size_t n = 1; n <= most; n += n < 8 ? 1 : 9) {
		unsigned stale = 0;

		KT_EQ(kt_plain_wrong(va, n, 0), 0);	/* into the TLB, then gone */
		for (size_t i = 0; i < n; i++)
			saved[i] = pte_xchg(pt_lookup(current->mm, va + i * PAGE_SIZE), (pte_t){ 0 });
		invalidate(RANGE_MANY, va, n);
		for (size_t i = 0; i < n; i++)
			stale += kt_plain_read(va + i * PAGE_SIZE) != KT_NOTHING;
		for (size_t i = 0; i < n; i++)
			pte_store(pt_lookup(current->mm, va + i * PAGE_SIZE), saved[i]);
		pte_publish();
		invalidate(MM, va, n);
		if (stale)
			kt_fail(__FILE__, __LINE__, "%u of %zu pages can still be read after the flush", stale, n);
	}
}

/* A table is unhooked and another one hooked in: walk caches must go with it. */
KTEST_MM(arch_tlb, unhooked_tables_are_forgotten)
{
	uintptr_t a = align_up(0x40000000ul, pt_size(1)), b = a + pt_size(1);
	enum flavour flavours[] = { RANGE_TABLES, MM, ALL };

	KT_ASSERT(kt_map_at(a, 1, RW) > 0 && kt_map_at(b, 1, RW) > 0);
	kt_make_plain(a);
	kt_make_plain(b);
	KT_ASSERT(kt_put(a, 1) && kt_put(b, 2));
	for (unsigned i = 0; i < ARRAY_SIZE(flavours); i++) {
		u64 before = kt_plain_read(a);
		pte_t *ea = pt_alloc_level(current->mm, a, 1, GFP_KERNEL),
		      *eb = pt_alloc_level(current->mm, b, 1, GFP_KERNEL);
		pte_t va = pte_load(ea), vb = pte_load(eb);

		pte_clear(ea);
		pte_clear(eb);
		invalidate(flavours[i], a, pt_size(1) / PAGE_SIZE * 2);
		pte_store(ea, vb);
		pte_store(eb, va);
		pte_publish();
		KT_EQ(kt_plain_read(a), 3 - before);
		KT_EQ(kt_plain_read(b), before);
	}
}

/* Any argument shape may be asked for, on any mm, loaded or not. */
static void all_shapes(void *arg)
{
	struct mm *mms[] = { arg, NULL, &init_mm };
	unsigned long flags = irq_save();

	for (unsigned m = 0; m < ARRAY_SIZE(mms); m++) {
		uintptr_t base = m == 1 ? VMALLOC_BASE : PAGE_SIZE;

		tlb_local_page(mms[m], base);
		for (int l = 0; l < PT_LEVELS; l++)
			for (unsigned n = 1; n <= 256; n *= 4)
				for (int tables = 0; tables < 2; tables++)
					if (n * pt_size(l) < 1ul << 37)
						tlb_local_range(mms[m], base, base + n * pt_size(l), pt_shift(l),
								tables);
		if (mms[m])
			tlb_local_mm(mms[m]);
	}
	tlb_local_range(arg, 0, USER_TOP, PAGE_SHIFT, true);
	tlb_local_all();
	irq_restore(flags);
}

KTEST_MM(arch_tlb, shapes_of_arguments)
{
	struct mm *other = mm_create();

	KT_ASSERT(other);
	all_shapes(current->mm);
	all_shapes(other);
	call_on_cpus(&cpu_online_mask, all_shapes, current->mm, true);
	call_on_cpus(&cpu_online_mask, all_shapes, other, true);
	if (TLB_HAS_BROADCAST) {
		tlb_broadcast_range(current->mm, PAGE_SIZE, 2 * PAGE_SIZE, PAGE_SHIFT, false);
		tlb_broadcast_range(current->mm, 0, USER_TOP, PAGE_SHIFT, true);
		tlb_broadcast_mm(current->mm);
		tlb_broadcast_mm(other);
	}
	KT_EXPECT(tlb_local_range_is_full(~0ull >> 12) && !tlb_local_range_is_full(1));
	mmput(other);
}

/* ---- contexts */

struct visit {
	struct mm *mm[3];
	uintptr_t va;
	u32 wrong;
};

/* One address, three address spaces with three values: whatever ids the port uses, none sees another's page. */
static int visit_all(void *arg)
{
	struct visit *v = arg;

	for (int round = 0; round < 60; round++) {
		unsigned i = (unsigned)round % 3;

		exec_mmap(mmget(v->mm[i]));
		if (kt_peek(v->va) != 100 + i)
			__atomic_fetch_add(&v->wrong, 1, __ATOMIC_RELAXED);
		if (round % 4 == 0)
			sched_yield();
		if (round % 5 == 0)
			exit_mm();
	}
	exit_mm();
	return 0;
}

static void make_visited(void *arg)
{
	struct visit *v = arg;
	unsigned i = 0;

	while (v->mm[i])
		i++;
	v->va = 0x10000000;
	KT_ASSERT(kt_map_at(v->va, 1, RW) > 0 && kt_put(v->va, 100 + i));
	v->mm[i] = mmget(current->mm);
}

KTEST(arch_tlb, address_spaces_do_not_mix)
{
	struct visit v = { .wrong = 0 };

	for (int i = 0; i < 3; i++)
		kt_in_mm(make_visited, &v);
	KT_ASSERT(v.mm[0] && v.mm[1] && v.mm[2]);
	KT_EQ(kt_threads(2 * nr_cpus, visit_all, &v), 0);
	KT_EQ(v.wrong, 0);
	for (int i = 0; i < 3; i++)
		mmput(v.mm[i]);
}

/* More address spaces than a small id space has ids: ids are recycled, and nobody sees a dead one's page. */
static int many_spaces(void *arg)
{
	u32 *wrong = arg;

	for (u64 i = 0; i < min(150u, 2400 / nr_cpus); i++) {
		struct mm *mm = mm_create();
		u64 mine = (u64)cpu_id() << 32 | i;

		if (!mm)
			break;
		exec_mmap(mm);
		if (kt_map_at(0x10000000, 1, RW) < 0 || !kt_put(0x10000000, mine))
			__atomic_fetch_add(wrong, 1, __ATOMIC_RELAXED);
		sched_yield();
		if (kt_peek(0x10000000) != mine)
			__atomic_fetch_add(wrong, 1, __ATOMIC_RELAXED);
	}
	exit_mm();
	return 0;
}

KTEST(arch_tlb, ids_are_recycled)
{
	u32 wrong = 0;

	KT_EQ(kt_threads(2 * nr_cpus, many_spaces, &wrong), 0);
	KT_EQ(wrong, 0);
}
