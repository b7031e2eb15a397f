#pragma once
/* Pipes and FIFOs: what other files of kernel/fs need of pipe.c. */
#include "lib/types.h"

struct file;
struct inode;
struct file_ops;

extern const struct file_ops fifo_ops;		/* S_IFIFO by name */
/** F_GETPIPE_SZ, F_SETPIPE_SZ; -EBADF if it is no pipe. */
long pipe_fcntl(struct file *f, unsigned cmd, unsigned long arg);
/** The pipe that hangs on a FIFO's inode goes with it. */
void fifo_evict(struct inode *inode);
