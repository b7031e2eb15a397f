#pragma once
/*
 * Address-space ids. An mm gets a PID when it is first loaded and keeps it, the same on all CPUs, until it is
 * destroyed. See mmu.c.
 */
#include <arch/pte.h>

#include "lib/types.h"

struct mm;

struct arch_mm {
	u32 pid; /* atomic; written once under the allocator's lock. 0: none yet */
};

#define ARCH_HAS_ASID 1

void arch_mm_init(struct mm *mm);
void arch_mm_destroy(struct mm *mm);
void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu);

/* The kernel's addresses have a tree of their own. */
static inline void arch_root_init(pte_t *root) {}
