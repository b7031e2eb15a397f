/*
 * The page allocator's debug checks. fail_* belong to the one task that has asked for failures.
 */
#ifdef CONFIG_DEBUG
#include "mm/palloc_debug.h"

#include <arch/cpu.h>

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "mm/buddy.h"

static u64 poison = 0x6b6b6b6b00000000ull;	/* with a number of this boot's: memory may be full of the last one's */
static struct task *fail_task;
static unsigned fail_skip, fail_count;

void poison_init(void)
{
	poison |= (u32)cpu_counter();
}

void poison_check(struct page *p, unsigned set)
{
	const u64 *w = page_to_virt(p);
	u64 want = set == ZERO ? 0 : poison;

	if (set == DIRTY && w[0] != poison && w[511] != poison)
		return;		/* came from boot, never freed */
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		ASSERT(w[i] == want, "free page %#llx written at +%u: %#llx", (unsigned long long)page_to_pfn(p), i * 8,
		       (unsigned long long)w[i]);
}

void poison_fill(struct page *p)
{
	u64 *w = page_to_virt(p);

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		w[i] = poison;
}

bool alloc_should_fail(void)
{
	if (likely(READ_ONCE(fail_task) != current) || in_interrupt())
		return false;
	if (fail_skip) {
		fail_skip--;
		return false;
	}
	if (!fail_count)
		return false;
	fail_count--;
	return true;
}

void palloc_fail(unsigned skip, unsigned n)
{
	fail_skip = skip;
	fail_count = n;
	WRITE_ONCE(fail_task, n ? current : NULL);
}
#endif
