/*
 * Races replayed: one CPU is held at a pause point in the middle of an operation while others act. CPUs in turn, so
 * each run is the same.
 *
 * The stage: an address space `shared` with a task on CPU 0 and one on CPU 1, which holds translations of its pages,
 * and a forked child on CPU 2.
 */
#include "kernel/fsapi.h"
#include "lib/err.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/vma.h"
#include "tests/host/mm/test.h"

#define AT	0x10000000ul
#define PAGES	8u

static struct task *first, *second, *child;
static struct file *file;

static void touch(uintptr_t va, bool write)
{
	u64 val = va;

	CHECK(!host_access(va, write, &val), "access to %#lx", va);
}

/* Map PAGES at AT, private anonymous or of the file, written by CPU 0, read by CPU 1; fork. */
static void set_up(unsigned flags)
{
	struct mm *mm = mm_create(), *copy;

	CHECK(mm, "no memory");
	mm->mmap_base = 0x40000000;
	first = host_task(mm);
	second = host_task(mmget(mm));
	file = host_file(PAGES);
	host_run_on(0);
	host_switch(first);
	CHECK(do_mmap(file, AT, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, 0) == (long)AT, "mmap");
	for (unsigned i = 0; i < PAGES; i++)
		touch(AT + i * PAGE_SIZE, true);
	copy = mm_dup(mm);
	CHECK(!IS_ERR(copy), "fork");
	child = host_task(copy);
	host_run_on(2);
	host_switch(child);
	for (unsigned i = 0; i < PAGES; i++)
		touch(AT + i * PAGE_SIZE, false);
	host_run_on(1);
	host_switch(second);
	for (unsigned i = 0; i < PAGES; i++)
		touch(AT + i * PAGE_SIZE, flags & MAP_SHARED);
	host_run_on(0);
}

static void end_task(unsigned cpu, struct task *t)
{
	host_run_on(cpu);
	if (current == t) {
		exit_mm();
		host_switch(this_cpu()->idle);
		host_unlazy();
		host_task_free(t);
	}
}

static void tear_down(void)
{
	end_task(2, child);
	end_task(1, second);
	end_task(0, first);
	host_run_on(0);
	if (file)
		fput(file);
}

/* Take what is free on CPU 2 and put it back: whoever has a stale translation to one of these frames is found. */
static void reuse_frames(void)
{
	struct page *pages[64];

	host_run_on(2);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = alloc_page(GFP_KERNEL);
	for (unsigned i = ARRAY_SIZE(pages); i-- > 0;)
		if (pages[i])
			free_page(pages[i]);
}

static void child_exits(void)
{
	end_task(2, child);
	reuse_frames();
}

static void file_is_cut(void)
{
	end_task(2, child);
	host_file_truncate(file, 0);
	fput(file);
	file = NULL;
	reuse_frames();
}

static void second_reads(void)
{
	u64 val;

	host_run_on(1);
	for (unsigned i = 0; i < PAGES; i++)
		host_access(AT + i * PAGE_SIZE, false, &val);
}

/* It may find everything unhooked already, but when it returns, nobody sees what was there. */
static void second_drops(void)
{
	u64 val;

	host_run_on(1);
	CHECK(!do_madvise(current->mm, AT, PAGES * PAGE_SIZE, MADV_DONTNEED), "madvise");
	for (unsigned i = 0; i < PAGES; i++)
		CHECK(!host_access(AT + i * PAGE_SIZE, false, &val) && !val, "page %u: %#llx after MADV_DONTNEED", i,
		      val);
	child_exits();
}

/* One operation of CPU 0 held at one point while `act` runs. */
static void replay(unsigned flags, const char *point, void (*act)(void), void (*op)(void))
{
	set_up(flags);
	host_race_hook(point, act);
	op();
	host_race_hook(NULL, NULL);
	mm_check(first->mm);
	tear_down();
}

static void op_dontneed(void)
{
	CHECK(!do_madvise(current->mm, AT, PAGES * PAGE_SIZE, MADV_DONTNEED), "madvise");
}

static void op_munmap(void)
{
	struct mm *mm = current->mm;

	down_write(&mm->mmap_lock);
	CHECK(!do_munmap(mm, AT, PAGES * PAGE_SIZE), "munmap");
	mmap_write_unlock(mm);
}

static void op_write(void)
{
	touch(AT + PAGE_SIZE, true);
}

void test_races(struct run *r)
{
	/* An entry is unhooked, not yet flushed, and the page's other owners let go of it. */
	replay(MAP_PRIVATE | MAP_ANONYMOUS, "zap:after-unhook", child_exits, op_dontneed);
	replay(MAP_PRIVATE | MAP_ANONYMOUS, "zap:after-unhook", child_exits, op_munmap);
	replay(MAP_SHARED, "zap:after-unhook", file_is_cut, op_dontneed);
	/* Two gathers on one range: the second finds nothing, but must flush. */
	replay(MAP_PRIVATE | MAP_ANONYMOUS, "zap:after-unhook", second_drops, op_dontneed);
	replay(MAP_PRIVATE | MAP_ANONYMOUS, "zap:after-unhook", second_reads, op_dontneed);
	/* A page is being copied; the others let go of it, or drop the range. */
	replay(MAP_PRIVATE | MAP_ANONYMOUS, "fault:cow-copied", child_exits, op_write);
	replay(MAP_PRIVATE | MAP_ANONYMOUS, "fault:cow-copied", second_drops, op_write);
	replay(MAP_PRIVATE, "fault:cow-copied", second_reads, op_write);
}
