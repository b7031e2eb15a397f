/*
 * Sleeping mutex.
 *
 * `owner` is the holder's task pointer with two flags: WAITERS (bit 0): unlock must look at the queue; HANDOFF (bit 1):
 * the first waiter was overtaken too often, so unlock gives it the lock directly. Everything is decided by
 * compare-and-exchange on that word; the waiters' list is protected by the queue's lock.
 */
#include "kernel/mutex.h"

#include "kernel/lockcheck.h"
#include "kernel/printk.h"
#include "kernel/task.h"

#define WAITERS	1ul
#define HANDOFF	2ul
#define FLAGS	3ul
#define MAX_OVERTAKEN 2

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	m->owner = NULL;
	wait_queue_init(&m->wq);
#ifdef CONFIG_DEBUG
	m->rank = rank;
#endif
}

static inline uintptr_t *word(struct mutex *m)
{
	return (uintptr_t *)&m->owner;
}

#ifdef CONFIG_DEBUG
#define mutex_rank(m) ((m)->rank)
#else
#define mutex_rank(m) 0u
#endif

static bool take(struct mutex *m)
{
	uintptr_t old = __atomic_load_n(word(m), __ATOMIC_RELAXED);

	while (!(old & ~FLAGS)) {
		if (__atomic_compare_exchange_n(word(m), &old, (old & WAITERS) | (uintptr_t)current, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	}
	/* Handed to us by unlock? */
	return (old & ~FLAGS) == (uintptr_t)current;
}

static int lock_slow(struct mutex *m, unsigned state)
{
	struct wait_entry e;
	unsigned overtaken = 0;
	int ret = 0;

	wait_entry_init(&e);
	e.exclusive = true;
	for (;;) {
		prepare_to_wait(&m->wq, &e, state);
		__atomic_fetch_or(word(m), overtaken > MAX_OVERTAKEN ? WAITERS | HANDOFF : WAITERS, __ATOMIC_SEQ_CST);
		if (take(m))
			break;
		if (state != TASK_UNINTERRUPTIBLE && task_interrupted(current, state)) {
			ret = -EINTR;
			break;
		}
		schedule();
		overtaken++;
	}
	finish_wait(&m->wq, &e);
	if (ret && (__atomic_load_n(word(m), __ATOMIC_ACQUIRE) & ~FLAGS) == (uintptr_t)current)
		ret = 0;	/* it was handed to us while we gave up */
	if (ret)
		wake_up_nr(&m->wq, 1);	/* a wake-up meant for us goes on to the next */
	return ret;
}

static int lock_state(struct mutex *m, unsigned state, bool nested)
{
	uintptr_t free = 0;
	int ret = 0;

	sleep_lock_acquire(m, mutex_rank(m), nested);
	if (!__atomic_compare_exchange_n(word(m), &free, (uintptr_t)current, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		ret = lock_slow(m, state);
	if (ret)
		sleep_lock_release(m);
	return ret;
}

void mutex_lock(struct mutex *m)
{
	lock_state(m, TASK_UNINTERRUPTIBLE, false);
}

void mutex_lock_nested(struct mutex *m)
{
	lock_state(m, TASK_UNINTERRUPTIBLE, true);
}

int mutex_lock_interruptible(struct mutex *m)
{
	return lock_state(m, TASK_INTERRUPTIBLE, false);
}

bool mutex_trylock(struct mutex *m)
{
	uintptr_t free = 0;

	if (!__atomic_compare_exchange_n(word(m), &free, (uintptr_t)current, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	sleep_lock_acquire(m, mutex_rank(m), true);
	return true;
}

static void unlock_slow(struct mutex *m)
{
	unsigned long flags = spin_lock_irqsave(&m->wq.lock);
	struct wait_entry *first = list_first_entry_or_null(&m->wq.waiters, struct wait_entry, link);
	uintptr_t old = __atomic_load_n(word(m), __ATOMIC_RELAXED), new;

	do {
		if (!first)
			new = 0;
		else if (old & HANDOFF)
			new = (uintptr_t)first->task | (list_is_singular(&m->wq.waiters) ? 0 : WAITERS);
		else
			new = WAITERS;
	} while (!__atomic_compare_exchange_n(word(m), &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	if (first)
		wake_up_task(first->task);
	spin_unlock_irqrestore(&m->wq.lock, flags);
}

void mutex_unlock(struct mutex *m)
{
	uintptr_t mine = (uintptr_t)current;

	DEBUG_ASSERT((__atomic_load_n(word(m), __ATOMIC_RELAXED) & ~FLAGS) == mine,
		     "mutex unlocked by %s, who does not own it", current->comm);
	sleep_lock_release(m);
	if (!__atomic_compare_exchange_n(word(m), &mine, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		unlock_slow(m);
}

bool mutex_is_locked(struct mutex *m)
{
	return __atomic_load_n(word(m), __ATOMIC_RELAXED) & ~FLAGS;
}
