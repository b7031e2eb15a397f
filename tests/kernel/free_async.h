#pragma once
/*
 * What the suites free_async and free_async_races share: policies, and memory to take away.
 */
#include "mm/gather.h"

#define RW	(PROT_READ | PROT_WRITE)
#define SOON	(clock_ns() + 5 * NSEC_PER_SEC)
#define PAGES	2500		/* a threshold of 600 is passed twice */
#define MANY	4200		/* worth a helper of vm.free_async=zap */

#define NR_POLICIES 4
extern const char *const free_policies[NR_POLICIES];

/** The policy, vm.gather_runs and a threshold of 600, for this case. */
void choose_free(unsigned policy, unsigned runs);
/**
 * New memory with n pages; scattered: no two neighbours are physical neighbours, so each takes a slot. 0 is reported as
 * a failure.
 */
uintptr_t map_filled(unsigned n, bool scattered);
/** Another address space with n pages, of which the caller is the only user, but which it has not loaded. */
struct mm *make_victim(unsigned n, bool scattered);
