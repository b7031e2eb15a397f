#pragma once
/*
 * User address spaces for in-kernel tests: kernel threads that adopt one, and short ways to map, touch and look at its
 * pages.
 *
 *	KTEST_MM(cow, first_write_copies)	the body runs in a thread of its own with a fresh, empty address space
 *	(current->mm)
 *	{
 *		uintptr_t va = kt_map(4, PROT_READ | PROT_WRITE);
 *		...
 *	}					mm_check() runs, then the address space is torn down
 */
#include "mm/mm.h"
#include "tests/kernel/ktest.h"

#include <arch/pte.h>

struct page;
struct task;

#define KTEST_MM(suite_, name_)                                                                                        \
	static void ktest_mm_##suite_##_##name_(void *unused);                                                         \
	KTEST(suite_, name_)                                                                                           \
	{                                                                                                              \
		kt_in_mm(ktest_mm_##suite_##_##name_, NULL);                                                           \
	}                                                                                                              \
	static void ktest_mm_##suite_##_##name_(void *unused)

/** Run fn(arg) in a kernel thread that has adopted a new address space, and wait for it. */
void kt_in_mm(void (*fn)(void *), void *arg);

/**
 * Threads that share the caller's address space. fn(arg, i) runs with i = 0, 1, ... on CPUs 1, 2, ... in turn (all on 0
 * if there is one).
 */
struct kt_crowd {
	struct mm *mm;
	void (*fn)(void *arg, unsigned i);
	void *arg;
	u32 started;		/* atomic */
	unsigned n;
	struct task *tasks[16];
};
/** Returns when all have adopted the address space. */
void kt_crowd_start(struct kt_crowd *c, unsigned n, void (*fn)(void *arg, unsigned i), void *arg);
/** The same, on CPUs `first`, first + 1, ... in turn. */
void kt_crowd_start_on(struct kt_crowd *c, unsigned first, unsigned n, void (*fn)(void *arg, unsigned i), void *arg);
void kt_crowd_join(struct kt_crowd *c);

/** New private anonymous memory, prot as in mmap(2): its address, or 0 (reported as a failure). */
uintptr_t kt_map(size_t pages, unsigned prot);
/** The same at a fixed place, which is replaced. do_mmap's result. */
long kt_map_at(uintptr_t va, size_t pages, unsigned prot);
int kt_unmap(uintptr_t va, size_t pages);

/** 64-bit accesses to current's user memory; false: the access faulted. */
bool kt_put(uintptr_t va, u64 value);
bool kt_get(uintptr_t va, u64 *value);
/**
 * A page is there afterwards, as after a write; without the access, which empties QEMU's TLB on riscv64 each time.
 * False: no memory, or no such place.
 */
bool kt_touch(uintptr_t va);
/** What is read, KT_NOTHING if the access faults. */
#define KT_NOTHING 0xbad0bad0bad0bad0ull
u64 kt_peek(uintptr_t va);
/**
 * Plain loads and stores of the kernel, without the user access functions. They are allowed for memory whose entries do
 * not say that it is the user's: kt_make_plain() has the pages of the vma at va entered like that from now on. QEMU
 * empties the TLB of riscv64 when the right to user memory is switched on or off, so only these can see a stale
 * translation there. No fault is handled: KT_NOTHING.
 */
void kt_make_plain(uintptr_t va);
u64 kt_plain_read(uintptr_t va);
/** The same for a store: false if it faults. */
bool kt_plain_write(uintptr_t va, u64 value);
unsigned kt_plain_wrong(uintptr_t va, size_t pages, u64 first);
/** Write first + i to each page: how many accesses faulted. */
unsigned kt_fill(uintptr_t va, size_t pages, u64 first);
/** How many pages do not hold first + i. */
unsigned kt_wrong(uintptr_t va, size_t pages, u64 first);

/** The level-0 entry of current->mm for va, none if there is no table. */
pte_t kt_pte(uintptr_t va);
/** The counted page that is mapped there, NULL. */
struct page *kt_page(uintptr_t va);
/** mm_check of current->mm under its lock. */
void kt_check_mm(void);
