#pragma once
/* The checks of kernel/lockcheck.c for sleeping locks and the scheduler; nothing in builds without CONFIG_DEBUG. */
#include "lib/types.h"

#ifdef CONFIG_DEBUG
void sleep_lock_acquire(const void *lock, u32 rank, bool nested);
void sleep_lock_release(const void *lock);
/** The current task is about to sleep: no spinlock may be held. */
void lock_check_sleep(void);
unsigned lock_check_held(void);		/* spinlocks held by this CPU */
#else
static inline void sleep_lock_acquire(const void *lock, u32 rank, bool nested) {}
static inline void sleep_lock_release(const void *lock) {}
static inline void lock_check_sleep(void) {}
#endif
