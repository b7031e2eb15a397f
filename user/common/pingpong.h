/*
 * Threads of one process that send every CPU from user space to the idle loop and back as often as possible.
 */
#pragma once

#include <stdint.h>

#include "user/common/vmcount.h"

/* What happened in one window of time. */
struct pingpong_sample {
	uint64_t ns;
	uint64_t turns;	/* how often a thread had its turn; it wanted to sleep then */
	uint64_t switches;	/* how often one slept: user -> idle -> user */
	struct vmcount count;
	double kernel;	/* what all CPUs spent in the kernel (account.h) */
};

/*
 * Use the first n of the CPUs, for ms milliseconds after a start that does not count. account_probe() was called.
 * Returns 0, or -1 after a message.
 */
int pingpong(const char *program, const int *cpu, int n, int ms, struct pingpong_sample *out);
