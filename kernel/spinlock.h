#pragma once
/*
 * Spinlocks: a word, taken by exchange. 0 free, 1 held, 2 held and some CPU may have halted in wait for it.
 *
 * A vCPU can lose its host core at any time, so there is no queue: whoever comes first gets the lock (stealing). A
 * waiter spins for a bounded time with cpu_relax(), then, if it had interrupts on, halts until the holder kicks it
 * (kernel/spinlock.c). Unlock is a release, lock an acquire. Not recursive. A lock that interrupt handlers take must be
 * taken with interrupts off.
 */
#include <arch/cpu.h>

#include "kernel/lockrank.h"
#include "lib/types.h"

typedef struct spinlock {
	u32 word;
#ifdef CONFIG_DEBUG
	u32 rank;
#endif
} spinlock_t;

#ifdef CONFIG_DEBUG
#define SPINLOCK_INIT(r) { .word = 0, .rank = (r) }
void lock_check_acquire(const void *lock, u32 rank, bool nested);	/* panics with both places on a violation */
void lock_check_release(const void *lock);
void lock_assert_held(const void *lock);
#else
#define SPINLOCK_INIT(r) { .word = 0 }
static inline void lock_check_acquire(const void *lock, u32 rank, bool nested) {}
static inline void lock_check_release(const void *lock) {}
static inline void lock_assert_held(const void *lock) {}
#endif

#ifdef CONFIG_DEBUG
#define spin_rank(l) ((l)->rank)
#else
#define spin_rank(l) 0u
#endif

void spin_lock_slow(spinlock_t *l);
void spin_unlock_slow(spinlock_t *l);

static inline void spin_lock_init(spinlock_t *l, enum lock_rank rank)
{
	l->word = 0;
#ifdef CONFIG_DEBUG
	l->rank = rank;
#endif
}

static inline bool spin_is_locked(const spinlock_t *l)
{
	return READ_ONCE(l->word) != 0;
}

static inline bool spin_trylock(spinlock_t *l)
{
	u32 free = 0;

	if (!__atomic_compare_exchange_n(&l->word, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	lock_check_acquire(l, 0, true);	/* cannot deadlock: the rank is not checked */
	return true;
}

static inline void __spin_lock(spinlock_t *l)
{
	u32 free = 0;

	if (unlikely(!__atomic_compare_exchange_n(&l->word, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		spin_lock_slow(l);
}

static inline void spin_lock(spinlock_t *l)
{
	lock_check_acquire(l, spin_rank(l), false);
	__spin_lock(l);
}

/**
 * A second lock of the same rank: the caller has an order of its own (by address, parent before child) and says so in a
 * comment.
 */
static inline void spin_lock_nested(spinlock_t *l)
{
	lock_check_acquire(l, spin_rank(l), true);
	__spin_lock(l);
}

static inline void spin_unlock(spinlock_t *l)
{
	lock_check_release(l);
	if (unlikely(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) != 1))
		spin_unlock_slow(l);
}

static inline unsigned long spin_lock_irqsave(spinlock_t *l)
{
	unsigned long flags = irq_save();

	spin_lock(l);
	return flags;
}

static inline void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags)
{
	spin_unlock(l);
	irq_restore(flags);
}

static inline void spin_lock_irq(spinlock_t *l)
{
	irq_disable();
	spin_lock(l);
}

static inline void spin_unlock_irq(spinlock_t *l)
{
	spin_unlock(l);
	irq_enable();
}

#ifdef CONFIG_DEBUG
#define assert_spin_locked(l) lock_assert_held(l)
#else
#define assert_spin_locked(l) ((void)(l))
#endif
