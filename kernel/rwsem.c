/*
 * Reader-writer semaphore.
 *
 * count: number of readers, or WRITER; plus WAITERS while the list is not empty. The fast paths are one atomic
 * operation each. Whoever finds WAITERS set queues up, and whoever releases the lock last grants it to the front of the
 * list (one writer, or all readers up to the next writer) by changing the count for them: first come, first served, so
 * writers do not starve. The list is under s->lock.
 */
#include "kernel/cpu.h"
#include "kernel/lockcheck.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/task.h"

#define WRITER	(1 << 29)
#define WAITERS	(1 << 30)

struct rwsem_waiter {
	struct list_head link;		/* s->lock */
	struct task *task;		/* NULL: granted. Written with release by the granter, its last access */
	bool write;
};

#ifdef CONFIG_DEBUG
#define rwsem_rank(s) ((s)->rank)
#else
#define rwsem_rank(s) 0u
#endif

void rwsem_init(struct rwsem *s, enum lock_rank rank)
{
	s->count = 0;
	spin_lock_init(&s->lock, RANK_SPIN_LEAF);
	list_init(&s->waiters);
#ifdef CONFIG_DEBUG
	s->rank = rank;
	s->writer = NULL;
#endif
}

static inline void set_writer(struct rwsem *s, struct task *t)
{
#ifdef CONFIG_DEBUG
	s->writer = t;
#endif
}

/* s->lock held, the lock is free or held by readers only: let in who may come in. */
static void grant(struct rwsem *s)
{
	while (!list_empty(&s->waiters)) {
		struct rwsem_waiter *w = list_first_entry(&s->waiters, struct rwsem_waiter, link);
		struct task *t = w->task;
		s32 old = __atomic_load_n(&s->count, __ATOMIC_RELAXED), new;

		do {
			if (old & WRITER || (w->write && (old & ~WAITERS)))
				return;
			new = w->write ? old | WRITER : old + 1;
			if (list_is_singular(&s->waiters))
				new &= ~WAITERS;
		} while (!__atomic_compare_exchange_n(&s->count, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
		list_del(&w->link);
		get_task(t);	/* it may run and end as soon as it sees the grant */
		smp_store_release(&w->task, NULL);
		wake_up_task(t);
		put_task(t);
	}
}

/* Queue up and sleep until granted. 0 or -EINTR. */
static int wait_for(struct rwsem *s, bool write, unsigned state)
{
	struct rwsem_waiter w = { .task = current, .write = write };

	spin_lock(&s->lock);
	list_add_tail(&w.link, &s->waiters);
	__atomic_fetch_or(&s->count, WAITERS, __ATOMIC_SEQ_CST);
	grant(s);	/* it may have been released before WAITERS was set */
	spin_unlock(&s->lock);
	for (;;) {
		set_current_state(state);
		if (!smp_load_acquire(&w.task))
			break;
		if (state != TASK_UNINTERRUPTIBLE && task_interrupted(current, state)) {
			bool granted;

			spin_lock(&s->lock);
			granted = !w.task;
			if (!granted) {
				list_del(&w.link);
				if (list_empty(&s->waiters))
					__atomic_fetch_and(&s->count, ~WAITERS, __ATOMIC_SEQ_CST);
				else
					grant(s);	/* we may have been a writer in the way of readers */
			}
			spin_unlock(&s->lock);
			WRITE_ONCE(current->state, TASK_RUNNING);
			return granted ? 0 : -EINTR;
		}
		schedule();
	}
	WRITE_ONCE(current->state, TASK_RUNNING);
	return 0;
}

static void release_slow(struct rwsem *s)
{
	spin_lock(&s->lock);
	grant(s);
	spin_unlock(&s->lock);
}

bool down_read_trylock(struct rwsem *s)
{
	s32 old = __atomic_load_n(&s->count, __ATOMIC_RELAXED);

	do {
		if (old & (WRITER | WAITERS))
			return false;
	} while (!__atomic_compare_exchange_n(&s->count, &old, old + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	sleep_lock_acquire(s, rwsem_rank(s), true);
	return true;
}

static inline bool read_fast(struct rwsem *s)
{
	s32 old = __atomic_load_n(&s->count, __ATOMIC_RELAXED);

	while (!(old & (WRITER | WAITERS)))
		if (__atomic_compare_exchange_n(&s->count, &old, old + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return true;
	return false;
}

void down_read(struct rwsem *s)
{
	sleep_lock_acquire(s, rwsem_rank(s), false);
	if (!read_fast(s))
		wait_for(s, false, TASK_UNINTERRUPTIBLE);
}

int down_read_killable(struct rwsem *s)
{
	int err = 0;

	sleep_lock_acquire(s, rwsem_rank(s), false);
	if (!read_fast(s))
		err = wait_for(s, false, TASK_KILLABLE);
	if (err)
		sleep_lock_release(s);
	return err;
}

void up_read(struct rwsem *s)
{
	s32 old;

	sleep_lock_release(s);
	old = __atomic_fetch_sub(&s->count, 1, __ATOMIC_SEQ_CST);
	DEBUG_ASSERT(!(old & WRITER) && (old & ~WAITERS) > 0, "up_read of a lock with count %#x", old);
	if (old == WAITERS + 1)
		release_slow(s);
}

static inline bool write_fast(struct rwsem *s)
{
	s32 free = 0;

	return __atomic_compare_exchange_n(&s->count, &free, WRITER, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static int write_state(struct rwsem *s, unsigned state, bool nested)
{
	int err = 0;

	sleep_lock_acquire(s, rwsem_rank(s), nested);
	if (!write_fast(s))
		err = wait_for(s, true, state);
	if (err)
		sleep_lock_release(s);
	else
		set_writer(s, current);
	return err;
}

void down_write(struct rwsem *s)
{
	write_state(s, TASK_UNINTERRUPTIBLE, false);
}

void down_write_nested(struct rwsem *s)
{
	write_state(s, TASK_UNINTERRUPTIBLE, true);
}

int down_write_killable(struct rwsem *s)
{
	return write_state(s, TASK_KILLABLE, false);
}

bool down_write_trylock(struct rwsem *s)
{
	if (!write_fast(s))
		return false;
	sleep_lock_acquire(s, rwsem_rank(s), true);
	set_writer(s, current);
	return true;
}

void up_write(struct rwsem *s)
{
	s32 old;

	sleep_lock_release(s);
	set_writer(s, NULL);
	old = __atomic_fetch_and(&s->count, ~WRITER, __ATOMIC_SEQ_CST);
	DEBUG_ASSERT(old & WRITER, "up_write of a lock with count %#x", old);
	if (old & WAITERS)
		release_slow(s);
}

void downgrade_write(struct rwsem *s)
{
	s32 old;

	set_writer(s, NULL);
	old = __atomic_fetch_add(&s->count, 1 - WRITER, __ATOMIC_SEQ_CST);
	if (old & WAITERS)
		release_slow(s);	/* readers at the front may join */
}

bool rwsem_is_locked(struct rwsem *s)
{
	return __atomic_load_n(&s->count, __ATOMIC_RELAXED) & ~WAITERS;
}

bool rwsem_is_write_locked(struct rwsem *s)
{
	return __atomic_load_n(&s->count, __ATOMIC_RELAXED) & WRITER;
}
