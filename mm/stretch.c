/*
 * See stretch.h.
 */
#ifdef CONFIG_DEBUG
#include "mm/stretch.h"

u32 longest_freed, longest_walked;

static void note(u32 *longest, u32 n)
{
	u32 seen = __atomic_load_n(longest, __ATOMIC_RELAXED);

	while (n > seen && !__atomic_compare_exchange_n(longest, &seen, n, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void stretch_freed(u32 n)
{
	current->stretch_freed += n;
	note(&longest_freed, current->stretch_freed);
}

void stretch_walked(u32 n)
{
	current->stretch_walked += n;
	note(&longest_walked, current->stretch_walked);
}
#endif
