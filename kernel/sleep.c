/*
 * Sleeping until a point of time. The timer lives on the sleeper's stack; timer_cancel_sync() makes sure that its
 * callback is over before the stack goes.
 */
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"

struct sleep_timer {
	struct timer timer;
	struct task *task;
	bool fired;
};

static void sleep_timer_fn(struct timer *timer)
{
	struct sleep_timer *s = container_of(timer, struct sleep_timer, timer);

	WRITE_ONCE(s->fired, true);
	wake_up_task(s->task);
}

bool schedule_deadline(u64 deadline)
{
	struct sleep_timer s = { .task = current };

	if (deadline == WAIT_FOREVER) {
		schedule();
		return true;
	}
	timer_init(&s.timer, sleep_timer_fn);
	timer_start(&s.timer, deadline);
	schedule();
	timer_cancel_sync(&s.timer);
	return !READ_ONCE(s.fired);
}

void sleep_ns(u64 ns)
{
	u64 deadline = clock_ns() + ns;

	do {
		set_current_state(TASK_UNINTERRUPTIBLE);
	} while (schedule_deadline(deadline) && clock_ns() < deadline);
	WRITE_ONCE(current->state, TASK_RUNNING);
}
