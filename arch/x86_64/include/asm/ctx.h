#pragma once
/*
 * Address spaces on x86_64. With PCIDs each CPU remembers which address spaces used its few PCIDs last (struct
 * arch_cpu); the identity by which it knows them is never given out twice, so there is nothing to recycle and nothing
 * to clean up.
 */
#include <arch/pte.h>

#include "lib/types.h"

struct mm;

struct arch_mm {
	u64 id;		/* 0: the kernel's own */
};

extern bool x86_has_pcid;
#define ARCH_HAS_ASID x86_has_pcid

void arch_mm_init(struct mm *mm);
void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu);
void arch_root_init(pte_t *root);

static inline void arch_mm_destroy(struct mm *mm)
{
}
