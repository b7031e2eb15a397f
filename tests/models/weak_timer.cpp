/*
 * kernel/timer.c: timer_interrupt() on one CPU, timer_cancel_sync() on another, which then frees the timer. Off the
 * queue means running, or over: `running` is stored before the release of cpu = -1, and read after its acquire.
 *
 *	LATE_RUNNING	running is set after cpu = -1
 *	RELAXED_CPU	cpu = -1 is no release
 *	RELAXED_END	running = false is no release
 *	RESTARTED	the timer is started on a third CPU while its callback runs, and expires there: two CPUs share
 *			one `running`. Premise of timer_cancel_sync: that does not happen
 *	COUNTED		would do without the premise: `running` counts callbacks
 *
 * run: holds
 * run: fails LATE_RUNNING -> DATA RACE
 * run: fails RELAXED_CPU -> DATA RACE
 * run: fails RELAXED_END -> DATA RACE
 * run: fails RESTARTED -> DATA RACE
 * run: holds RESTARTED COUNTED
 */
#include "relacy.h"

struct timer_test : rl::test_suite<timer_test, 3> {
	rl::atomic<int> cpu, running;
	rl::atomic<int> restarted;		/* queued on CPU 2: under that base's lock, which also orders */
	VAR_T(int) timer;			/* all of it: read by callbacks, written by who frees it */

	void before()
	{
		cpu($) = 0;
		running($) = 0;
		restarted($) = 0;
		VAR(timer) = 1;
	}

	void expire()
	{
		if (removed("COUNTED")) {
			running.fetch_add(1, memory_order_relaxed);
			cpu.store(-1, memory_order_release);
			return;
		}
		if (removed("LATE_RUNNING")) {
			cpu.store(-1, memory_order_release);
			running.store(1, memory_order_relaxed);
		} else {
			running.store(1, memory_order_relaxed);
			if (removed("RELAXED_CPU"))
				cpu.store(-1, memory_order_relaxed);
			else
				cpu.store(-1, memory_order_release);
		}
	}

	void callback_over()
	{
		(void)(int)VAR(timer);
		if (removed("COUNTED")) {
			running.fetch_sub(1, memory_order_release);
			return;
		}
		if (removed("RELAXED_END"))
			running.store(0, memory_order_relaxed);
		else
			running.store(0, memory_order_release);
	}

	void thread(unsigned index)
	{
		if (index == 0) {				/* timer_interrupt() */
			expire();
			if (removed("RESTARTED")) {		/* setitimer, elsewhere, meanwhile */
				cpu.store(2, memory_order_relaxed);
				restarted.store(1, memory_order_release);
			}
			callback_over();
		} else if (index == 2) {			/* timer_interrupt() where it was started again */
			if (!removed("RESTARTED") || !restarted.load(memory_order_acquire))
				return;
			expire();
			callback_over();
		} else {			/* timer_cancel_sync(), off the queues */
			if (removed("RESTARTED") && !restarted.load(memory_order_acquire))
				return;
			if (cpu.load(memory_order_acquire) != -1)
				return;
			rl::backoff b;
			while (running.load(memory_order_acquire))
				b.yield($);
			VAR(timer) = 0;				/* kfree */
		}
	}
};

int main(int argc, char **argv)
{
	argc_ = argc;
	argv_ = argv;
	return run<timer_test>();
}
