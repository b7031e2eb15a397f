/*
 * tlb_shootdown.pml with C++'s memory orders: the CPU that loads an mm (bit, smp_mb, root, walk) against the one that
 * takes a page away (entry, smp_mb, mask, flush, free).
 *
 *	NO_BIT_FENCE	no smp_mb() in load_mm
 *	NO_ENTRY_FENCE	none in flush()
 *
 * run: holds
 * run: fails NO_BIT_FENCE -> USER ASSERT FAILED
 * run: fails NO_ENTRY_FENCE -> USER ASSERT FAILED
 */
#include "relacy.h"

struct mask_test : rl::test_suite<mask_test, 2> {
	rl::atomic<int> mask, entry;
	int freed_unseen, walked;	/* what each side found */

	void before()
	{
		mask($) = 0;
		entry($) = 1;
		freed_unseen = 0;
		walked = 0;
	}

	void thread(unsigned index)
	{
		if (index == 0) {
			mask.fetch_or(1, memory_order_seq_cst);	/* cpumask_set */
			if (!removed("NO_BIT_FENCE"))
				rl::atomic_thread_fence(memory_order_seq_cst);
			walked = entry.load(memory_order_relaxed);	/* the MMU, after arch_mm_switch */
		} else {
			entry.store(0, memory_order_relaxed);
			if (!removed("NO_ENTRY_FENCE"))
				rl::atomic_thread_fence(memory_order_seq_cst);
			freed_unseen = !mask.load(memory_order_relaxed);	/* no IPI: freed at once */
		}
	}

	void after()
	{
		RL_ASSERT(!(freed_unseen && walked));
	}
};

int main(int argc, char **argv)
{
	argc_ = argc;
	argv_ = argv;
	return run<mask_test>();
}
