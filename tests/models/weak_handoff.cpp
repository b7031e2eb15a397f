/*
 * gather_handoff.pml with the kernel's memory orders: the chain goes to a worker (queue_work), the worker frees it and
 * completes, the gatherer joins (kernel/wait.c, kernel/spinlock.h), and its stack is used for something else.
 *
 *	RELAXED_QUEUE	queueing is no release
 *	RELAXED_LOCK	taking the completion's lock is no acquire
 *	RELAXED_UNLOCK	dropping it is no release
 *	LOCKLESS_JOIN	the gatherer, woken, goes on without taking the lock
 *
 * run: holds
 * run: fails RELAXED_QUEUE -> DATA RACE
 * run: fails RELAXED_LOCK -> DATA RACE
 * run: fails RELAXED_UNLOCK -> DATA RACE
 * run: fails LOCKLESS_JOIN -> DATA RACE
 */
#include "relacy.h"

struct handoff_test : rl::test_suite<handoff_test, 2> {
	rl::atomic<int> queued, awake;	/* not in the gather: the work's, the task's */
	VAR_T(int) chain;		/* flushed pages, and the pointer to the gather */
	rl::atomic<int> word;		/* the completion's lock */
	VAR_T(int) done;
	VAR_T(int) worker_ns;
	VAR_T(int) stack;		/* read before each use of the gather; written when it is gone */

	void before()
	{
		queued($) = 0;
		awake($) = 0;
		word($) = 0;
		VAR(done) = 0;
		VAR(worker_ns) = 0;
		VAR(stack) = 1;
	}

	void lock()
	{
		for (;;) {
			int unlocked = 0;
			rl::memory_order order = removed("RELAXED_LOCK") ? rl::mo_relaxed : rl::mo_acquire;

			(void)(int)VAR(stack);
			if (word.compare_exchange_strong(unlocked, 1, order, $, rl::mo_relaxed, $))
				return;
			rl::yield(1, $);
		}
	}

	void unlock()
	{
		(void)(int)VAR(stack);
		word.exchange(0, removed("RELAXED_UNLOCK") ? rl::mo_relaxed : rl::mo_release, $);
	}

	bool is_done()
	{
		bool over;

		lock();
		over = (int)VAR(done);
		unlock();
		return over;
	}

	void thread(unsigned index)
	{
		if (index == 0) {
			VAR(chain) = 1;					/* unhooked and flushed */
			if (removed("RELAXED_QUEUE"))
				queued.store(1, memory_order_relaxed);
			else
				queued.store(1, memory_order_release);
			if (!is_done()) {				/* wait_for_completion() */
				while (!awake.load(memory_order_acquire))
					rl::yield(1, $);
				if (!removed("LOCKLESS_JOIN"))
					RL_ASSERT(is_done());
			}
			(void)(int)VAR(worker_ns);
			VAR(stack) = 0;
		} else {						/* free_chain_work() */
			while (!queued.load(memory_order_acquire))
				rl::yield(1, $);
			VAR(chain) = 0;
			(void)(int)VAR(stack);
			VAR(worker_ns) = 1;
			lock();						/* complete() */
			VAR(done) = 1;
			awake.store(1, memory_order_release);		/* wake_up_task() */
			unlock();
		}
	}
};

int main(int argc, char **argv)
{
	argc_ = argc;
	argv_ = argv;
	return run<handoff_test>();
}
