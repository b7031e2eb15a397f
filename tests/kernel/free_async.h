#pragma once
/*
 * What the suites free_async* share: policies, memory to take away, counters of what was taken.
 */
#include "mm/gather.h"

#define RW	(PROT_READ | PROT_WRITE)
#define PAGES	2500		/* a threshold of 600 is passed twice */
#define MANY	4200		/* worth a helper of vm.free_async=zap */

#define NR_POLICIES 4
extern const char *const free_policies[NR_POLICIES];

/** The policy, vm.gather_runs and a threshold of 600, for this case. */
void choose_free(unsigned policy, unsigned runs);
/**
 * New memory with n pages, all zero; scattered: no two neighbours are physical neighbours, so each takes a slot. 0 is
 * reported as a failure.
 */
uintptr_t map_filled(unsigned n, bool scattered);
/**
 * n pages in an order that makes no two neighbours physical neighbours: one slot for each page. How many could not be
 * had.
 */
unsigned fill_scattered(uintptr_t va, unsigned n);
/** Another address space, of which the caller is the only user, but which it has not loaded. fill(arg) ran in it. */
struct mm *make_victim_by(void (*fill)(void *arg), void *arg);
/** The same with n pages. */
struct mm *make_victim(unsigned n, bool scattered);

struct seen {
	u64 free, pages, slots, batches, flushes, works, inlined, zaps, refused, tables;
};

struct seen seen_now(void);
struct seen seen_since(const struct seen *then);

enum how { MUNMAP, DONTNEED, EXIT };

/** Pages are taken away in this way; what that did. `free` is relative to the time before they were touched. */
struct seen take_away(enum how how, unsigned n, bool scattered);

/** Nobody makes workers while pages are counted; what was never needed before is there now. */
void quiet_begin(void);
void quiet_end(void);

/* A thread that takes memory away when it is told to. */
struct leaver {
	struct mm *mm;		/* to put; NULL: unmap */
	uintptr_t va;
	unsigned n;
	u32 go, done;		/* atomic */
};

void leave(void *leaver, unsigned nr);
