#pragma once
/*
 * Sleeping locks: mutex and reader-writer semaphore. Not for interrupt context. Stealing is allowed: a task that finds
 * the lock free takes it although others wait; a waiter that has waited for 1 ms or was overtaken twice closes the lock
 * to thieves (hand-off), so nobody starves.
 */
#include "kernel/lockrank.h"
#include "kernel/spinlock.h"
#include "kernel/wait.h"

struct mutex {
	struct task *owner;		/* by cmpxchg; NULL free. Bit 0: waiters exist */
	struct wait_queue wq;
#ifdef CONFIG_DEBUG
	u32 rank;
#endif
};

#ifdef CONFIG_DEBUG
#define MUTEX_INIT(name, r) { NULL, WAIT_QUEUE_INIT((name).wq), (r) }
#else
#define MUTEX_INIT(name, r) { NULL, WAIT_QUEUE_INIT((name).wq) }
#endif

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m);
void mutex_lock_nested(struct mutex *m);	/* a second one of the same rank */
int mutex_lock_interruptible(struct mutex *m);	/* 0 or -EINTR */
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_locked(struct mutex *m);

/*
 * count: readers, or bit 29 for a writer; bit 30 says that someone waits: then everybody
 * queues up, and the lock is handed on in order (kernel/rwsem.c).
 */
struct rwsem {
	s32 count;			/* atomic */
	spinlock_t lock;		/* the list; interrupts on */
	struct list_head waiters;	/* lock */
#ifdef CONFIG_DEBUG
	u32 rank;
	struct task *writer;
#endif
};

void rwsem_init(struct rwsem *s, enum lock_rank rank);
void down_read(struct rwsem *s);
bool down_read_trylock(struct rwsem *s);
int down_read_killable(struct rwsem *s);
void up_read(struct rwsem *s);
void down_write(struct rwsem *s);
void down_write_nested(struct rwsem *s);
int down_write_killable(struct rwsem *s);	/* 0 or -EINTR */
bool down_write_trylock(struct rwsem *s);
void up_write(struct rwsem *s);
void downgrade_write(struct rwsem *s);
bool rwsem_is_locked(struct rwsem *s);
bool rwsem_is_write_locked(struct rwsem *s);
