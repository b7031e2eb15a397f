/*
 * lazy_shootdown.pml (filtered) and lazy_quiesce.pml with the kernel's memory orders: load_mm() on CPU 0 against
 * find_holders() on CPU 1. CPU 0 loads the mm for a task, borrows it, leaves; CPU 1 runs the task then, which ends:
 * the last drop. If it finds a holder it would send an interrupt: that is not in here.
 *
 * That a bit is found cleared is an acquire here. In the kernel the mask is read relaxed: on hardware the branch on it
 * comes before the stores of who gets the memory next; C++ has no such rule (NO_DEPENDENCY).
 *
 *	RELAXED_ON_CPU	the task leaves CPU 0 without a release: the premise that the last drop sees mask and active_mm
 *	RELAXED_PUBLISH	active_mm is published without a release
 *	RELAXED_LOOK	and read without an acquire
 *
 * run: holds
 * run: fails RELAXED_ON_CPU -> DATA RACE
 * run: fails RELAXED_PUBLISH -> DATA RACE
 * run: fails RELAXED_LOOK -> DATA RACE
 * run: fails NO_DEPENDENCY -> DATA RACE
 */
#include "relacy.h"

#define INIT_MM	0
#define MM	1
#define OTHER	2

struct publish_test : rl::test_suite<publish_test, 2> {
	rl::atomic<int> mask, active_mm, on_cpu;
	VAR_T(int) mm;

	void before()
	{
		mask($) = 0;
		active_mm($) = INIT_MM;
		on_cpu($) = 1;
		VAR(mm) = 1;
	}

	bool held()
	{
		int bit = mask.load(memory_order_relaxed);

		if (!bit) {
			if (!removed("NO_DEPENDENCY"))
				rl::atomic_thread_fence(memory_order_acquire);
			return false;
		}
		if (removed("RELAXED_LOOK"))
			return active_mm.load(memory_order_relaxed) == MM;
		return active_mm.load(memory_order_acquire) == MM;
	}

	void thread(unsigned index)
	{
		if (index == 0) {
			mask.fetch_or(1, memory_order_seq_cst);		/* load_mm(mm) */
			rl::atomic_thread_fence(memory_order_seq_cst);
			active_mm.store(MM, memory_order_release);
			if (removed("RELAXED_ON_CPU"))
				on_cpu.store(0, memory_order_relaxed);
			else
				on_cpu.store(0, memory_order_release);
			(void)(int)VAR(mm);				/* walks until the other root is loaded */
			mask.fetch_and(~1, memory_order_seq_cst);	/* load_mm(other) */
			if (removed("RELAXED_PUBLISH"))
				active_mm.store(OTHER, memory_order_relaxed);
			else
				active_mm.store(OTHER, memory_order_release);
		} else {
			rl::backoff b;
			while (on_cpu.load(memory_order_acquire))
				b.yield($);
			if (!held())
				VAR(mm) = 0;				/* mm_free() */
		}
	}
};

int main(int argc, char **argv)
{
	argc_ = argc;
	argv_ = argv;
	return run<publish_test>();
}
