#pragma once
/*
 * What stat(2) says about a file, before it goes into the port's struct stat (<arch/uapi.h>).
 */
#include "lib/types.h"

struct kstat {
	u64 dev, rdev;		/* as makedev() encodes them: see dev_encode() */
	u64 ino;
	u32 mode;		/* S_IF* and permission bits */
	u32 nlink;
	u32 uid, gid;
	u64 size;		/* bytes */
	u64 blocks;		/* units of 512 bytes */
	u32 blksize;
	u64 atime, mtime, ctime, btime;	/* nanoseconds since 1970 */
};

/** Device numbers as user space sees them: 12 bits of major, 20 of minor, in Linux's mixed order. */
static inline u64 dev_encode(u32 major, u32 minor)
{
	return (minor & 0xff) | (u64)(major & 0xfff) << 8 | (u64)(minor & 0xfff00) << 12;
}

static inline u32 dev_major(u64 dev)
{
	return dev >> 8 & 0xfff;
}

static inline u32 dev_minor(u64 dev)
{
	return (dev & 0xff) | (dev >> 12 & 0xfff00);
}
