/*
 * The page-table engine: walks and allocation across the edges of tables of every level, what is freed when, and what
 * it costs.
 */
#include "mm/pgtable.h"

#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/zap.h"
#include "tests/kernel/space.h"

static s64 table_size(int level)
{
	return (s64)max(pt_table_bytes(level), (size_t)PAGE_SIZE);
}

static s64 table_bytes(void)
{
	return atomic64_read(&current->mm->table_bytes);
}

/* One table of each level below the root. */
static s64 chain_bytes(void)
{
	s64 sum = 0;

	for (int l = 0; l < PT_LEVELS - 1; l++)
		sum += table_size(l);
	return sum;
}

static void drop_tables(uintptr_t start, uintptr_t end, uintptr_t floor, uintptr_t ceiling)
{
	struct mmu_gather g;

	down_write(&current->mm->mmap_lock);
	gather_begin(&g, current->mm, false);
	free_tables(&g, start, end, floor, ceiling);
	gather_end(&g);
	up_write(&current->mm->mmap_lock);
}

static void drop_all(uintptr_t start, uintptr_t end)
{
	drop_tables(start, end, 0, USER_TOP);
}

/* ---- walks */

KTEST_MM(pgtable, walk_says_where_it_ends)
{
	struct mm *mm = current->mm;
	uintptr_t va = 0x12345000;
	int level;

	KT_EXPECT(!pt_lookup(mm, va));
	pt_walk(mm, va, &level);
	KT_EQ(level, PT_LEVELS - 1);
	for (int l = PT_LEVELS - 2; l >= 0; l--) {
		pte_t *e = pt_alloc_level(mm, va, l, GFP_KERNEL);

		KT_ASSERT(e);
		KT_EXPECT(pte_none(pte_load(e)));
		KT_EXPECT(pt_walk(mm, va, &level) == e);
		KT_EQ(level, l);
		KT_EXPECT(pt_alloc_level(mm, va, l, GFP_KERNEL) == e);
	}
	KT_EXPECT(pt_lookup(mm, va) == pt_alloc(mm, va, GFP_KERNEL));
	KT_EXPECT(pt_lookup(mm, va + PAGE_SIZE) == pt_lookup(mm, va) + 1);
	KT_EXPECT(pt_page(pt_lookup(mm, va))->private == mm);
	KT_EQ(page_type(pt_page(pt_lookup(mm, va))), PAGE_TABLE);
	KT_EQ(table_bytes(), chain_bytes());
	drop_all(va, va + PAGE_SIZE);
	KT_EQ(table_bytes(), 0);
	KT_EXPECT(!pt_lookup(mm, va));
}

/* The last page before and the first one after the edge of a table of each level. */
KTEST_MM(pgtable, edges_of_every_level)
{
	struct mm *mm = current->mm;

	for (int l = 1; l < PT_LEVELS; l++) {
		uintptr_t edge = pt_size(l) * 3;
		s64 want = chain_bytes();
		pte_t *below, *above;

		if (edge >= USER_TOP)
			continue;
		for (int k = 0; k < l; k++)
			want += table_size(k);
		below = pt_alloc(mm, edge - PAGE_SIZE, GFP_KERNEL);
		above = pt_alloc(mm, edge, GFP_KERNEL);
		KT_ASSERT(below && above);
		KT_EXPECT(pt_page(below) != pt_page(above));
		KT_EXPECT(pt_lookup(mm, edge - PAGE_SIZE) == below && pt_lookup(mm, edge) == above);
		KT_EQ(((uintptr_t)below & (pt_table_bytes(0) - 1)) / sizeof(pte_t), pt_entries(0) - 1);
		KT_EQ(((uintptr_t)above & (pt_table_bytes(0) - 1)) / sizeof(pte_t), 0);
		KT_EQ(table_bytes(), want);
		drop_all(edge - PAGE_SIZE, edge + PAGE_SIZE);
		KT_EQ(table_bytes(), 0);
	}
	/* The ends of the user's half. */
	KT_EXPECT(pt_alloc(mm, 0, GFP_KERNEL) && pt_alloc(mm, USER_TOP - PAGE_SIZE, GFP_KERNEL));
	drop_all(0, PAGE_SIZE);
	drop_all(USER_TOP - PAGE_SIZE, USER_TOP);
	KT_EQ(table_bytes(), 0);
}

KTEST_MM(pgtable, many_tables)
{
	struct mm *mm = current->mm;
	const uintptr_t base = pt_size(2) - 8 * pt_size(1);
	const unsigned n = 24;

	for (unsigned i = 0; i < n; i++) {
		pte_t *e = pt_alloc(mm, base + i * pt_size(1) + i * PAGE_SIZE, GFP_KERNEL);

		KT_ASSERT(e);
		pte_store(e, pte_make_soft(i));
	}
	for (unsigned i = 0; i < n; i++) {
		pte_t *e = pt_lookup(mm, base + i * pt_size(1) + i * PAGE_SIZE);

		KT_ASSERT(e);
		KT_EQ(pte_soft_payload(pte_load(e)), i);
		for (unsigned k = 0; k < pt_entries(0); k++)
			KT_EXPECT(k == i || pte_none(pte_load(pt_lookup(mm, base + i * pt_size(1)) + k)));
		pte_clear(e);
	}
	drop_all(base, base + n * pt_size(1));
	KT_EQ(table_bytes(), 0);
}

/* ---- what free_tables leaves alone */

KTEST_MM(pgtable, floor_and_ceiling)
{
	struct mm *mm = current->mm;
	const uintptr_t t = pt_size(1), base = 10 * t;
	s64 all;

	for (unsigned i = 0; i < 5; i++)
		KT_ASSERT(pt_alloc(mm, base + i * t, GFP_KERNEL));
	all = table_bytes();
	KT_EQ(all, chain_bytes() + 4 * table_size(0));
	/* Neighbours in the first and in the last table: only what lies between goes. */
	drop_tables(base + 2 * PAGE_SIZE, base + 3 * t - 2 * PAGE_SIZE, base + PAGE_SIZE, base + 3 * t - PAGE_SIZE);
	KT_EXPECT(pt_lookup(mm, base) && !pt_lookup(mm, base + t) && pt_lookup(mm, base + 2 * t) &&
		  pt_lookup(mm, base + 3 * t));
	KT_EQ(table_bytes(), all - table_size(0));
	/* A neighbour ends exactly where a table begins, the next begins exactly where it ends. */
	drop_tables(base + 2 * t, base + 3 * t, base + 2 * t, base + 3 * t);
	KT_EXPECT(!pt_lookup(mm, base + 2 * t) && pt_lookup(mm, base + 3 * t));
	/* One page too much on either side keeps it. */
	drop_tables(base + 3 * t, base + 4 * t, base + 3 * t + 1, base + 4 * t);
	drop_tables(base + 3 * t, base + 4 * t, base + 3 * t, base + 4 * t - 1);
	KT_EXPECT(pt_lookup(mm, base + 3 * t));
	KT_EQ(table_bytes(), all - 2 * table_size(0));
	/* Holes are walked over. */
	drop_tables(base, base + 5 * t, base, base + 5 * t);
	KT_EQ(table_bytes(), chain_bytes() - table_size(0));
	drop_all(base, base + 5 * t);
	KT_EQ(table_bytes(), 0);
}

/* Real mappings: a table goes with the last mapping that needs it, not before. */
KTEST_MM(pgtable, last_mapping_takes_the_table)
{
	const uintptr_t t = pt_size(1), base = 100 * t;
	const unsigned rw = VM_READ | VM_WRITE;
	s64 bytes;

	KT_EQ(kt_map_at(base + t - 2 * PAGE_SIZE, 4, rw), base + t - 2 * PAGE_SIZE);
	KT_EXPECT(!kt_fill(base + t - 2 * PAGE_SIZE, 4, 1));
	bytes = table_bytes();
	KT_EQ(bytes, chain_bytes() + table_size(0));
	KT_EQ(kt_unmap(base + t - 2 * PAGE_SIZE, 1), 0);
	KT_EQ(kt_unmap(base + t + PAGE_SIZE, 1), 0);
	KT_EQ(table_bytes(), bytes);
	KT_EQ(kt_unmap(base + t - PAGE_SIZE, 1), 0);
	KT_EQ(table_bytes(), chain_bytes());
	KT_EQ(kt_peek(base + t), 3);
	KT_EQ(kt_unmap(base + t, 1), 0);
	KT_EQ(table_bytes(), 0);
}

/* ---- failures and races */

KTEST_MM(pgtable, no_memory)
{
	struct mm *mm = current->mm;
	const uintptr_t va = 0x20000000;

	for (unsigned k = 0; k < (unsigned)PT_LEVELS - 1; k++) {
		s64 want = 0;

		palloc_fail(k, 1);
		KT_EXPECT(!pt_alloc(mm, va, GFP_KERNEL));
		palloc_fail(0, 0);
		for (unsigned i = 0; i < k; i++)
			want += table_size(PT_LEVELS - 2 - (int)i);
		KT_EQ(table_bytes(), want);
		drop_all(va, va + PAGE_SIZE);
		KT_EQ(table_bytes(), 0);
	}
	palloc_fail((unsigned)PT_LEVELS - 1, 1);
	KT_EXPECT(pt_alloc(mm, va, GFP_KERNEL));
	palloc_fail(0, 0);
	drop_all(va, va + PAGE_SIZE);
}

/* A table that is handed out is empty, whatever the one before held. */
KTEST_MM(pgtable, fresh_tables_are_empty)
{
	struct mm *mm = current->mm;
	const uintptr_t base = 0x30000000;

	for (int round = 0; round < 20; round++) {
		pte_t *e = pt_alloc(mm, base, GFP_KERNEL);

		KT_ASSERT(e);
		e = (pte_t *)align_down((uintptr_t)e, pt_table_bytes(0));
		KT_EXPECT(!memchr_inv(e, 0, pt_table_bytes(0)));
		for (unsigned i = 0; i < pt_entries(0); i++)
			pte_store(&e[i], pte_make_soft(i));
		for (unsigned i = 0; i < pt_entries(0); i++)
			pte_clear(&e[i]);
		drop_all(base, base + PAGE_SIZE);
	}
}

#define RACED 40

struct alloc_race {
	pte_t *got[16][RACED];
};

static void alloc_all(void *arg, unsigned nr)
{
	struct alloc_race *r = arg;

	for (unsigned i = 0; i < RACED; i++)
		r->got[nr][i] = pt_alloc(current->mm, (uintptr_t)(i + 1) * (i & 1 ? pt_size(2) : pt_size(1)),
					 GFP_KERNEL);
}

/* All CPUs want the same tables: they get the same ones, and no others are left. */
KTEST_MM(pgtable, several_allocate_at_once)
{
	static struct alloc_race race;
	struct kt_crowd crowd;
	unsigned n = min(2 * nr_cpus, 16u);
	s64 once;

	kt_crowd_start(&crowd, n, alloc_all, &race);
	kt_crowd_join(&crowd);
	for (unsigned i = 0; i < RACED; i++)
		for (unsigned k = 0; k < n; k++)
			KT_EXPECT(race.got[k][i] && race.got[k][i] == race.got[0][i]);
	once = table_bytes();
	drop_all(0, pt_size(2) * (RACED + 1));
	KT_EQ(table_bytes(), 0);
	alloc_all(&race, 0);
	KT_EQ(table_bytes(), once);
	drop_all(0, pt_size(2) * (RACED + 1));
	KT_EQ(table_bytes(), 0);
}

KTEST_MM(pgtable, lookup_with_lock)
{
	uintptr_t va = kt_map(1, VM_READ | VM_WRITE);
	spinlock_t *ptl = NULL;
	pte_t *e;

	KT_ASSERT(va);
	KT_EXPECT(!pte_offset_map_lock(current->mm, va, &ptl) && !ptl);
	KT_EXPECT(kt_put(va, 1));
	e = pte_offset_map_lock(current->mm, va, &ptl);
	KT_ASSERT(e && ptl);
	KT_EXPECT(spin_is_locked(ptl) && ptl == pte_lockptr(e) && pte_present(pte_load(e)));
	pte_unmap_unlock(ptl);
	KT_EXPECT(!spin_is_locked(ptl));
}
