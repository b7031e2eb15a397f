/*
 * One round of exitcost: processes that touch memory and exit at the same time, and what that cost.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EXIT_PROCS_MAX 256
#define EXIT_THREADS_MAX 256
#define EXIT_BACK_TIMEOUT_S 2

/* What is to exit. */
struct exit_load {
	uint64_t size;	/* bytes that each process touches */
	int procs, threads;
	bool join;	/* the threads have ended before the exit; otherwise they sleep, and it has to end them */
	bool interleave;	/* threads touch pages in turn; otherwise each a part of its own */
	bool huge;	/* let the kernel use huge pages */
};

/* Times are ns of CLOCK_MONOTONIC. */
struct exit_sample {
	uint64_t populate;	/* from the first process's first page to the last one's last */
	uint64_t wait;	/* from the first one's last instant in user space until wait4() returned the last */
	uint64_t back;	/* from the same instant until MemFree was back */
	bool timed_out;	/* it was not, within the time limit */
	double kernel;	/* what all CPUs spent in the kernel from that instant until then (account.h) */
};

/* Prepare; account_probe() was called. 0, or -1 after a message. */
int exit_round_setup(const char *program);

/* Pages that a load touches, all processes together. */
uint64_t exit_pages(const struct exit_load *load);

/* Does it fit in memory? Otherwise the reason is written. */
bool exit_fits(const struct exit_load *load, char *reason, unsigned long size);

/* One round. 0; 1 if there is not enough memory, the reason is then written; -1 on a failure, after a message. */
int exit_round(const struct exit_load *load, struct exit_sample *out, char *reason, unsigned long size);
