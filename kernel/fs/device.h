#pragma once
/* Character devices by number. */
#include "lib/types.h"

struct file_ops;

/** Operations of a character device; NULL: there is none of that number. */
const struct file_ops *chrdev_ops(u64 rdev);

extern const struct file_ops tty_ops;		/* kernel/dev/tty.c */
extern const struct file_ops random_ops;	/* random.c: /dev/random, /dev/urandom */

/** The ring of kernel messages from *pos on. */
struct file;
struct uio;
long kmsg_read(struct file *f, struct uio *u, u64 *pos);
