#pragma once
/*
 * Waiting for several files. A file's poll operation names the wait queues on which its state's changes are announced;
 * the first round joins them all, later rounds only look.
 */
#include "kernel/wait.h"
#include "lib/types.h"

struct file;
struct poll_page;
struct poll_table;

struct poll_entry {
	struct wait_entry wait;
	struct wait_queue *wq;
	struct poll_table *table;
	struct file *file;	/* counted, so that the queue stays */
};

#define POLL_INLINE	6

struct poll_table {
	bool joining;		/* poll_wait() joins; else it does nothing */
	u32 triggered;		/* a queue was woken; atomic */
	int error;		/* -ENOMEM */
	unsigned nr;		/* of the inline entries */
	struct poll_page *more;
	struct poll_entry entry[POLL_INLINE];
};

/** From a poll operation. pt may be NULL. */
void poll_wait(struct file *f, struct wait_queue *wq, struct poll_table *pt);
/** One file's state now: POLL* bits. */
unsigned file_poll(struct file *f, struct poll_table *pt);
