/*
 * The two futex calls that programs here need. The numbers are the ABI's; not every C library comes with the kernel's
 * headers.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum futex_op {
	FUTEX_SLEEP = 0,
	FUTEX_WAKE_UP = 1,
	FUTEX_ONE_PROCESS = 128,	/* flag: the word is used by threads of one process only */
};

/* Sleep while the word has this value: until it is woken, the time is up (NULL: never), or for nothing. */
static inline void futex_sleep(uint32_t *word, uint32_t value, const struct timespec *timeout, int flags)
{
	syscall(SYS_futex, word, FUTEX_SLEEP | flags, value, timeout, NULL, 0);
}

/* Wake up to n sleepers. */
static inline void futex_wake_up(uint32_t *word, int n, int flags)
{
	syscall(SYS_futex, word, FUTEX_WAKE_UP | flags, n, NULL, NULL, 0);
}
