#pragma once
/*
 * Wait queues and completions.
 *
 * A sleeper publishes itself (prepare_to_wait: queue entry, then task state, then full fence) before it tests its
 * condition; a waker makes the condition true, then wake_up() (full fence, then looks at the queue). So one of them
 * sees the other.
 */
#include "kernel/sched.h"
#include "kernel/spinlock.h"
#include "lib/errno.h"
#include "lib/list.h"

struct wait_queue {
	spinlock_t lock;		/* interrupts off */
	struct list_head waiters;	/* lock */
};

struct wait_entry {
	struct task *task;
	struct list_head link;		/* queue's lock */
	bool exclusive;			/* wake_up() stops after waking one of these */
	/*
	 * If set, called under the queue's lock with interrupts off instead of waking task; returns whether it counts
	 * as woken.
	 */
	bool (*func)(struct wait_entry *);
};

#define WAIT_QUEUE_INIT(name) { SPINLOCK_INIT(RANK_WAIT), { &(name).waiters, &(name).waiters } }

void wait_queue_init(struct wait_queue *wq);
/**
 * Join the queue (if not yet there) and set the task's state; full fence. e must be initialised by wait_entry_init. A
 * wake-up takes the entry off the queue: whoever sleeps again calls this again.
 */
void prepare_to_wait(struct wait_queue *wq, struct wait_entry *e, unsigned state);
/** Leave the queue, state becomes RUNNING. */
void finish_wait(struct wait_queue *wq, struct wait_entry *e);
void wait_entry_init(struct wait_entry *e);
/** For poll: join without changing the task's state; e->func decides what a wake-up does. */
void add_wait_queue(struct wait_queue *wq, struct wait_entry *e);
void remove_wait_queue(struct wait_queue *wq, struct wait_entry *e);
/** Wake all non-exclusive waiters and up to nr exclusive ones. Any context. Returns how many were woken. */
int wake_up_nr(struct wait_queue *wq, int nr);
static inline void wake_up(struct wait_queue *wq)
{
	wake_up_nr(wq, 1);
}
static inline void wake_up_all(struct wait_queue *wq)
{
	wake_up_nr(wq, 0x7fffffff);
}
static inline bool waitqueue_active(struct wait_queue *wq)
{
	smp_mb();
	return !list_empty(&wq->waiters);
}

/*
 * ___wait_event: sleeps in `state` until cond is true. Evaluates to 0, -EINTR (interruptible and a signal is pending),
 * or
 * -ETIMEDOUT (deadline, clock_ns time, WAIT_FOREVER for none). cond is evaluated with the task's state set: it must not
 * sleep.
 */
#define WAIT_FOREVER (~0ull)
#define ___wait_event(wq, cond, st, deadline, excl)                                                                    \
	({                                                                                                             \
		struct wait_entry __e;                                                                                 \
		int __ret = 0;                                                                                         \
		wait_entry_init(&__e);                                                                                 \
		__e.exclusive = (excl);                                                                                \
		for (;;) {                                                                                             \
			prepare_to_wait((wq), &__e, (st));                                                             \
			if (cond)                                                                                      \
				break;                                                                                 \
			if ((st) != TASK_UNINTERRUPTIBLE && task_interrupted(current, (st))) {                         \
				__ret = -EINTR;                                                                        \
				break;                                                                                 \
			}                                                                                              \
			if (!schedule_deadline(deadline)) {                                                            \
				__ret = (cond) ? 0 : -ETIMEDOUT;                                                       \
				break;                                                                                 \
			}                                                                                              \
		}                                                                                                      \
		finish_wait((wq), &__e);                                                                               \
		__ret;                                                                                                 \
	})

#define wait_event(wq, cond)                                                                      \
	do {                                                                                      \
		if (!(cond))                                                                      \
			(void)___wait_event(wq, cond, TASK_UNINTERRUPTIBLE, WAIT_FOREVER, false); \
	} while (0)
#define wait_event_interruptible(wq, cond)                                                                             \
	((cond) ? 0 : ___wait_event(wq, cond, TASK_INTERRUPTIBLE, WAIT_FOREVER, false))
#define wait_event_killable(wq, cond) ((cond) ? 0 : ___wait_event(wq, cond, TASK_KILLABLE, WAIT_FOREVER, false))
#define wait_event_timeout(wq, cond, deadline)                                                                         \
	((cond) ? 0 : ___wait_event(wq, cond, TASK_UNINTERRUPTIBLE, deadline, false))
#define wait_event_interruptible_timeout(wq, cond, deadline)                                                           \
	((cond) ? 0 : ___wait_event(wq, cond, TASK_INTERRUPTIBLE, deadline, false))

struct completion {
	unsigned done;			/* wq.lock */
	struct wait_queue wq;
};

#define COMPLETION_INIT(name) { 0, WAIT_QUEUE_INIT((name).wq) }
void completion_init(struct completion *c);
void complete(struct completion *c);		/* any context */
void complete_all(struct completion *c);
void wait_for_completion(struct completion *c);	/* sleeps; when it returns, complete() no longer touches *c */
int wait_for_completion_timeout(struct completion *c, u64 deadline);	/* 0 or -ETIMEDOUT */
int wait_for_completion_killable(struct completion *c);
