#pragma once
/*
 * Address-space ids. A context is a number that only ever grows: its low bits are the ASID, the rest is the generation.
 * See mmu.c.
 */
#include <arch/pte.h>

#include "lib/types.h"

struct mm;

struct arch_mm {
	u64 ctx;	/* atomic. 0: none yet */
};

extern unsigned rv_asid_bits;		/* 0: the hardware has none; set before the first user address space exists */
#define ARCH_HAS_ASID (rv_asid_bits != 0)

void arch_mm_init(struct mm *mm);
void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu);
void arch_root_init(pte_t *root);

static inline void arch_mm_destroy(struct mm *mm)
{
}
