/*
 * A storm of processes that are made and exit, from several parents at the same time.
 */
#pragma once

#include <stdint.h>

#include "user/common/vmcount.h"

#define STORM_PARENTS_MAX 256
#define STORM_TOUCH_MAX 65536

struct storm_load {
	int parents, children;	/* children: of all parents together */
	int touch;	/* pages that each child writes to */
	int hop;	/* CPUs that each child visits before it exits */
};

struct storm_sample {
	uint64_t ns;
	struct vmcount count;
	double kernel;	/* what all CPUs spent in the kernel (account.h) */
};

/* Prepare, once. 0, or -1 after a message. */
int storm_setup(const char *program, const int *cpu, int nr_cpus);

/* One storm; account_probe() was called. Returns 0, or -1 after a message. */
int storm(const struct storm_load *load, struct storm_sample *out);
