#pragma once
/*
 * Times of the Linux ABI (64-bit time_t everywhere) and nanoseconds. Inside the kernel a time is a u64 of nanoseconds.
 */
#include "kernel/timer.h"
#include "kernel/uaccess.h"
#include "kernel/wait.h"
#include "lib/types.h"

struct timespec_k {
	s64 sec, nsec;
};

struct timeval_k {
	s64 sec, usec;
};

#define SEC_MAX	((s64)(~0ull / NSEC_PER_SEC) - 1)	/* longer times count as this many seconds: 584 years */

/** -EFAULT; -EINVAL for negative seconds or a fraction that is none. */
static inline int timespec_from_user(u64 *ns, const struct timespec_k *uts)
{
	struct timespec_k ts;

	if (copy_from_user(&ts, uts, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (s64)NSEC_PER_SEC)
		return -EINVAL;
	*ns = (u64)min(ts.sec, SEC_MAX) * NSEC_PER_SEC + (u64)ts.nsec;
	return 0;
}

static inline int timespec_to_user(struct timespec_k *uts, u64 ns)
{
	struct timespec_k ts = { (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC) };

	return copy_to_user(uts, &ts, sizeof(ts));
}

static inline struct timeval_k ns_to_timeval(u64 ns)
{
	return (struct timeval_k){ (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / NSEC_PER_USEC) };
}

/** -EINVAL likewise. */
static inline int timeval_to_ns(u64 *ns, const struct timeval_k *tv)
{
	if (tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000)
		return -EINVAL;
	*ns = (u64)min(tv->sec, SEC_MAX) * NSEC_PER_SEC + (u64)tv->usec * NSEC_PER_USEC;
	return 0;
}

/** now + ns, for ever if that does not fit. */
static inline u64 deadline_after(u64 now, u64 ns)
{
	return now + ns < now ? WAIT_FOREVER - 1 : now + ns;
}
