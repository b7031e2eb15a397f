#pragma once
/* The host port's address-space ids: never reused, so that a stale translation can not hide behind a recycled id. */
#include "lib/types.h"

#include <arch/pte.h>

struct mm;

struct arch_mm {
	u64 id;		/* 0: none yet */
};

#define ARCH_HAS_ASID	(host_mmu.asid)

void arch_mm_init(struct mm *mm);
void arch_mm_destroy(struct mm *mm);
void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu);
void arch_root_init(pte_t *root);
