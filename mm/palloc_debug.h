#pragma once
/*
 * Debug builds: a free page holds a pattern that is checked when it is handed out again; allocations fail on demand
 * (palloc_fail() and alloc_should_fail() in palloc.h). Nothing in other builds.
 */
#include "mm/page.h"

#ifdef CONFIG_DEBUG
void poison_init(void);
/** The page comes from a free list of the set (DIRTY, ZERO: mm/buddy.h): panics if somebody has written into it. */
void poison_check(struct page *p, unsigned set);
void poison_fill(struct page *p);
#else
static inline void poison_init(void) {}
static inline void poison_check(struct page *p, unsigned set) {}
static inline void poison_fill(struct page *p) {}
#endif
