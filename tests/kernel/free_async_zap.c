/*
 * vm.free_async=zap: address spaces of all shapes are taken apart by several CPUs: edges within tables, holes, files,
 * more units than helpers, hardly anything, nothing. Afterwards every page and every table is back (a dead mm asserts
 * that nothing is left in it).
 */
#include "tests/kernel/free_async.h"

#include "kernel/cpu.h"
#include "kernel/fsapi.h"
#include "kernel/race.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/err.h"
#include "mm/mapping.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "mm/zap.h"
#include "tests/kernel/space.h"

#define AT	0x1000000000ul
#define TABLE	pt_size(1)		/* bytes that a level-0 table maps */
#define UNIT	(8 * TABLE)

static bool enough_cpus(void)
{
	if (nr_cpus < 2)
		kt_skip("one CPU only");
	return nr_cpus >= 2;
}

/* Private anonymous memory there, of which nothing is reserved. */
static void map_at(uintptr_t va, size_t bytes)
{
	KT_EQ(do_mmap(NULL, va, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, 0), va);
}

/*
 * The address space that fill made dies, with as many helpers as there are CPUs. Repeated until at least `helpers` of
 * them have run in one exit: they may come too late, or be late for the last unit.
 */
static void dies(void (*fill)(void *arg), void *arg, unsigned helpers)
{
	u64 end = SOON;
	struct seen s;

	do {
		u64 free = kt_free_pages();
		struct seen before;
		struct mm *mm;
		u64 pages;

		choose_free(FREE_ZAP, end & 1);
		kt_set("vm.free_async_threshold", "16384");	/* works are helpers only */
		zap_helper_pages = 1;
		mm = make_victim_by(fill, arg);
		KT_ASSERT(mm);
		pages = (u64)atomic64_read(&mm->rss_anon);
		before = seen_now();
		mmput(mm);
		s = seen_since(&before);
		KT_EQ(s.zaps, 1);
		KT_EQ(s.inlined, 0);
		/* What files keep is not gathered. */
		KT_EQ(s.pages, pages);
		KT_EXPECT(s.works <= min(nr_cpus - 1, 15u));
		KT_EXPECT(kt_free_pages() + 64 >= free);
	} while (s.works < min(helpers, nr_cpus - 1) && clock_ns() < end);
	KT_EXPECT(s.works >= min(helpers, nr_cpus - 1));
}

/* ---- shapes */

/*
 * Hundreds of vmas, of two pages each with a hole of one between them: many begin and end in one table, some lie over
 * the edge between two. None has a table to itself, so nothing is left to share out.
 */
static void fill_edges(void *unused)
{
	const unsigned n = 2100;
	uintptr_t va = AT + UNIT - 1100 * PAGE_SIZE;

	map_at(va, n * PAGE_SIZE);
	KT_EQ(kt_fill(va, n, 0), 0);
	for (unsigned i = 2; i < n; i += 3)
		KT_EQ(kt_unmap(va + i * PAGE_SIZE, 1), 0);
}

KTEST_MM(free_async_zap, edges_within_tables)
{
	if (enough_cpus())
		dies(fill_edges, NULL, 0);
}

/* Tables that several vmas share over an edge of a unit: the last pass frees them, and what hangs above. */
static void fill_shared_tables(void *unused)
{
	for (unsigned i = 0; i < 20; i++) {
		/* From the middle of a table to the middle of one in the next unit; the next vma begins there. */
		uintptr_t va = AT + i * UNIT + TABLE / 2;

		map_at(va, UNIT);
		KT_EXPECT(kt_put(va, 1) && kt_put(va + UNIT - PAGE_SIZE, 1) && kt_put(va + UNIT / 2, 1));
		KT_EQ(do_mprotect(va, UNIT, i & 1 ? PROT_READ : RW), 0);
	}
}

KTEST_MM(free_async_zap, tables_that_vmas_share)
{
	if (enough_cpus())
		dies(fill_shared_tables, NULL, 1);
}

/* Vmas of GiB with next to nothing in them: holes without tables on every level, at both ends and between. */
static void fill_holes(void *unused)
{
	map_at(AT, 8ul << 30);
	KT_EXPECT(kt_put(AT + (1ul << 30) + 5 * PAGE_SIZE, 1));
	KT_EXPECT(kt_put(AT + (6ul << 30) - PAGE_SIZE, 1));
	map_at(AT + (16ul << 30), 4ul << 30);	/* nothing */
	map_at(AT + (32ul << 30), 1ul << 30);
	KT_EXPECT(kt_put(AT + (33ul << 30) - PAGE_SIZE, 1));
	map_at(AT + (40ul << 30), PAGE_SIZE);
	KT_EXPECT(kt_put(AT + (40ul << 30), 1));
}

KTEST_MM(free_async_zap, holes_without_tables)
{
	if (enough_cpus())
		dies(fill_holes, NULL, 0);
}

/* A page in each table, over 4 GiB: some hundred units for a few helpers, each with few pages and many tables. */
static void fill_sparse(void *unused)
{
	map_at(AT, 2048 * TABLE);
	for (unsigned i = 0; i < 2048; i++)
		KT_EXPECT(kt_touch(AT + i * TABLE + i % 512 * PAGE_SIZE));
}

KTEST_MM(free_async_zap, sparse_and_more_units_than_helpers)
{
	if (!enough_cpus())
		return;
	dies(fill_sparse, NULL, 2);
}

/* Thousands of vmas that map nothing, and one page at the end: each look under the lock is at a few of them. */
static void fill_nothing(void *unused)
{
	const unsigned n = 5000;

	for (unsigned i = 0; i < n; i++)
		map_at(AT + 2 * i * PAGE_SIZE, PAGE_SIZE);
	KT_EXPECT(kt_put(AT + 2 * (n - 1) * PAGE_SIZE, 1));
}

KTEST_MM(free_async_zap, thousands_of_empty_vmas)
{
	if (enough_cpus())
		dies(fill_nothing, NULL, 0);
}

/* ---- files */

#define FILE_PAGES	1500u

struct with_file {
	struct file *file;
	unsigned anon;		/* pages that are the address space's own */
};

/* Shared and private, over edges of tables and units; private ones written here and there. */
static void fill_files(void *arg)
{
	struct with_file *w = arg;
	uintptr_t shared = AT + UNIT - 700 * PAGE_SIZE, private = shared + 2 * UNIT;

	KT_EQ(do_mmap(w->file, shared, FILE_PAGES * PAGE_SIZE, RW, MAP_SHARED | MAP_FIXED, 0), shared);
	KT_EQ(do_mmap(w->file, private, FILE_PAGES * PAGE_SIZE, RW, MAP_PRIVATE | MAP_FIXED, 0), private);
	KT_EQ(kt_fill(shared, FILE_PAGES, 100), 0);
	w->anon = 0;
	for (unsigned i = 0; i < FILE_PAGES; i++) {
		KT_EQ(kt_peek(private + i * PAGE_SIZE), 100 + i);
		if (i % 3 == 0)
			w->anon += kt_put(private + i * PAGE_SIZE, 0);
	}
	KT_EXPECT(w->anon == FILE_PAGES / 3);
}

KTEST_MM(free_async_zap, file_pages)
{
	struct with_file w = { .file = shmem_file("zap", FILE_PAGES * PAGE_SIZE) };
	struct mapping *m;
	struct mm *mm;

	if (!enough_cpus()) {
		if (!IS_ERR(w.file))
			fput(w.file);
		return;
	}
	KT_ASSERT(!IS_ERR(w.file));
	m = file_mapping(w.file);
	/* Once, so that what the file keeps is there before pages are counted. */
	mm = make_victim_by(fill_files, &w);
	KT_ASSERT(mm);
	mmput(mm);
	dies(fill_files, &w, 1);
	KT_EQ(m->nr_pages, FILE_PAGES);
	/* They are the file's alone now, dirty, and say what was written. */
	for (unsigned i = 0; i < FILE_PAGES; i++) {
		struct page *p = mapping_find(m, i);

		KT_ASSERT(p);
		KT_EQ(page_mapcount(p), 0);
		KT_EQ(page_refs(p), 2);
		KT_EXPECT(page_flag(p, PG_DIRTY));
		KT_EQ(*(u64 *)page_to_virt(p), 100 + i);
		put_page(p);
	}
	fput(w.file);
}

/* ---- helpers */

/* Whoever has the first table is held: the others, the exiting task or its helpers, do all the rest meanwhile. */
static int puts(void *mm)
{
	mmput(mm);
	return 0;
}

KTEST_MM(free_async_zap, others_do_the_rest)
{
	struct mm *mm;
	struct task *t;
	u64 end, works;

	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	choose_free(FREE_ZAP, 0);
	zap_helper_pages = 1;
	mm = make_victim_by(fill_sparse, NULL);
	KT_ASSERT(mm);
	works = vm_event_sum(VME_free_async_works);
	mmgrab(mm);
	race_arm("zap:after-unhook");
	t = kthread_run_on(1, puts, mm, "puts");
	KT_ASSERT(!IS_ERR(t));
	KT_EQ(race_wait(SOON), 0);
	/* All but its unit of 8 tables. A helper may have been queued to this CPU. */
	end = SOON;
	while (atomic64_read(&mm->rss_anon) > 8 && clock_ns() < end)
		sched_yield();
	KT_EXPECT(atomic64_read(&mm->rss_anon) <= 8 && atomic64_read(&mm->rss_anon) >= 1);
	race_release();
	kthread_stop(t);
	KT_EQ(atomic64_read(&mm->rss_anon), 0);
	KT_EXPECT(vm_event_sum(VME_free_async_works) > works);
	mmdrop(mm);
}
