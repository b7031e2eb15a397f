#pragma once
/* struct rusage of the Linux ABI, and its way to user space. */
#include "kernel/process.h"

struct rusage_k {
	s64 utime_sec, utime_usec;
	s64 stime_sec, stime_usec;
	s64 maxrss;			/* KiB */
	s64 ixrss, idrss, isrss;
	s64 minflt, majflt;
	s64 nswap, inblock, oublock, msgsnd, msgrcv, nsignals;
	s64 nvcsw, nivcsw;
};

/** 0 or -EFAULT. Sleeps. */
int rusage_to_user(struct rusage_k *to, const struct usage *u);
