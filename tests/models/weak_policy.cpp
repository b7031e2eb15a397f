/*
 * lazy_switch.pml with the kernel's memory orders: the knob widens in_force, then publishes the policy. CPU 1 goes
 * lazy, by what it sees; CPU 2 runs the task then, which ends: the last drop must know the policy that CPU 1 borrows
 * by.
 *
 *	RELAXED_POLICY	lazy_tlb_enter() reads the policy without an acquire
 *	RELAXED_ON_CPU	the task leaves CPU 1 without a release
 *	POLICY_FIRST	the policy is published before in_force is widened
 *
 * run: holds
 * run: fails RELAXED_POLICY -> USER ASSERT FAILED
 * run: fails RELAXED_ON_CPU -> USER ASSERT FAILED
 * run: fails POLICY_FIRST -> USER ASSERT FAILED
 */
#include "relacy.h"

#define OLD	1
#define NEW	2

struct policy_test : rl::test_suite<policy_test, 3> {
	rl::atomic<int> in_force, policy, on_cpu;
	int by, kinds;

	void before()
	{
		in_force($) = OLD;
		policy($) = OLD;
		on_cpu($) = 1;
		by = kinds = 0;
	}

	void widen()
	{
		in_force.exchange(OLD | NEW, memory_order_seq_cst);
		rl::atomic_thread_fence(memory_order_seq_cst);
	}

	void thread(unsigned index)
	{
		if (index == 0) {					/* policy_changed() */
			if (!removed("POLICY_FIRST"))
				widen();
			policy.store(NEW, memory_order_release);
			if (removed("POLICY_FIRST"))
				widen();
		} else if (index == 1) {				/* lazy_tlb_enter() */
			if (removed("RELAXED_POLICY"))
				by = policy.load(memory_order_relaxed);
			else
				by = policy.load(memory_order_acquire);
			if (removed("RELAXED_ON_CPU"))
				on_cpu.store(0, memory_order_relaxed);
			else
				on_cpu.store(0, memory_order_release);
		} else {						/* lazy_tlb_release() */
			rl::backoff b;
			while (on_cpu.load(memory_order_acquire))
				b.yield($);
			kinds = in_force.load(memory_order_acquire);
		}
	}

	void after()
	{
		RL_ASSERT(kinds & by);
	}
};

int main(int argc, char **argv)
{
	argc_ = argc;
	argv_ = argv;
	return run<policy_test>();
}
