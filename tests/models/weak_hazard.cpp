/*
 * lazy_hazard.pml with the kernel's memory orders. CPU 0 has run a task of the mm, borrows it and leaves at some time;
 * CPU 1 runs the task then, which ends: the last drop. `mm` is the root table and struct mm: CPU 0 reads it until it
 * leaves, who frees it writes it.
 *
 *	RELAXED_ON_CPU	the task leaves CPU 0 without a release: the premise that the last drop sees the slot
 *	RELAXED_LEAVE	the exchange in lazy_tlb_leave() orders nothing
 *	RELAXED_DEC	atomic_dec_and_test() at the end of owe() orders nothing: it makes the look at slots an acquire
 *	PLAIN_LEAVE	leaving is a load and a store
 *	LATE_REFERENCE	the reference is taken after the compare-and-exchange
 *
 * run: holds
 * run: fails RELAXED_ON_CPU -> DATA RACE
 * run: fails RELAXED_LEAVE -> DATA RACE
 * run: fails RELAXED_DEC -> DATA RACE
 * run: fails PLAIN_LEAVE -> USER ASSERT FAILED
 * run: fails LATE_REFERENCE -> DATA RACE or USER ASSERT FAILED
 */
#include "relacy.h"

#define MM	2
#define OWED	1

struct hazard_test : rl::test_suite<hazard_test, 2> {
	rl::atomic<int> slot, on_cpu, count;
	VAR_T(int) mm;
	int nr_freed;

	void before()
	{
		slot($) = 0;
		on_cpu($) = 1;
		count($) = 1;
		VAR(mm) = 1;
		nr_freed = 0;
	}

	void mm_free()
	{
		VAR(mm) = 0;
		nr_freed++;
	}

	bool dec_and_test()
	{
		if (removed("RELAXED_DEC"))
			return count.fetch_sub(1, memory_order_relaxed) == 1;
		bool last = count.fetch_sub(1, memory_order_seq_cst) == 1;
		rl::atomic_thread_fence(memory_order_seq_cst);
		return last;
	}

	bool owe()
	{
		int seen = MM;

		count.store(1, memory_order_relaxed);
		if (slot.load(memory_order_relaxed) == MM) {
			if (!removed("LATE_REFERENCE"))
				count.fetch_add(1, memory_order_relaxed);
			if (slot.compare_exchange_strong(seen, MM | OWED, memory_order_acq_rel, memory_order_acquire)) {
				if (removed("LATE_REFERENCE"))
					count.fetch_add(1, memory_order_relaxed);
			} else if (!removed("LATE_REFERENCE")) {
				count.fetch_sub(1, memory_order_relaxed);
			}
		}
		return !dec_and_test();
	}

	void mmdrop()
	{
		if (dec_and_test() && !owe())
			mm_free();
	}

	bool leave()
	{
		int seen;

		if (removed("PLAIN_LEAVE")) {
			seen = slot.load(memory_order_acquire);
			slot.store(0, memory_order_release);
		} else if (removed("RELAXED_LEAVE")) {
			seen = slot.exchange(0, memory_order_relaxed);
		} else {
			seen = slot.exchange(0, memory_order_acq_rel);
		}
		return seen & OWED;
	}

	void thread(unsigned index)
	{
		if (index == 0) {
			slot.store(MM, memory_order_relaxed);		/* lazy_tlb_enter() */
			if (removed("RELAXED_ON_CPU"))
				on_cpu.store(0, memory_order_relaxed);
			else
				on_cpu.store(0, memory_order_release);	/* finish_switch() */
			(void)(int)VAR(mm);				/* walks, and what load_mm() does with prev */
			if (leave())
				mmdrop();
		} else {
			rl::backoff b;
			while (on_cpu.load(memory_order_acquire))
				b.yield($);
			mmdrop();
		}
	}

	void after()
	{
		RL_ASSERT(nr_freed == 1);
	}
};

int main(int argc, char **argv)
{
	argc_ = argc;
	argv_ = argv;
	return run<hazard_test>();
}
