#pragma once
/*
 * Debug builds: how much a task frees, and how many entries of page tables it looks at, without offering to give way
 * (cond_resched(), schedule()). The largest of both are kept: tests reset them, and say what the bound is. Nothing in
 * other builds.
 */
#include "kernel/task.h"

#ifdef CONFIG_DEBUG
extern u32 longest_freed;	/* atomic. pages and tables */
extern u32 longest_walked;	/* atomic. entries */
void stretch_freed(u32 n);
void stretch_walked(u32 n);

static inline void stretch_end(void)
{
	current->stretch_freed = 0;
	current->stretch_walked = 0;
}
#else
static inline void stretch_freed(u32 n) {}
static inline void stretch_walked(u32 n) {}
static inline void stretch_end(void) {}
#endif
