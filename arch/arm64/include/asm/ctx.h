#pragma once
/*
 * Address-space ids. A context is a generation in the high bits and the ASID in the low 16; an address space has one
 * ASID on all CPUs at any time. See mmu.c.
 */
#include <arch/pte.h>

#include "lib/types.h"

struct mm;

struct arch_mm {
	u64 ctx; /* atomic; changed under asid_lock. 0: none yet */
};

#define ARCH_HAS_ASID 1

void arch_mm_init(struct mm *mm);
void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu);

/* The kernel has a table of its own (TTBR1_EL1): a user root has nothing but user space. */
static inline void arch_root_init(pte_t *root) {}

static inline void arch_mm_destroy(struct mm *mm) {}
