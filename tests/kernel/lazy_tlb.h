#pragma once
/* What the suites of vm.lazy_tlb share: its policies by number, in the knob's order. */
#include "kernel/timer.h"
#include "mm/mman.h"
#include "tests/kernel/ktest.h"

#define RW	(PROT_READ | PROT_WRITE)

enum { NONE, REFCOUNT, SHOOTDOWN, FILTERED, HAZARD, QUIESCE, NR_POLICIES };

static const char *const policies[NR_POLICIES] = { "none", "refcount", "shootdown", "filtered", "hazard", "quiesce" };

static inline void choose(unsigned policy)
{
	kt_set("vm.lazy_tlb", policies[policy]);
}
