#pragma once
/*
 * What the Linux ABI of x86_64 has that other architectures have differently: struct stat.
 */
#include <arch/uapi_generic.h>

#include "kernel/fs/stat.h"
#include "lib/types.h"

struct stat {
	u64 st_dev;
	u64 st_ino;
	u64 st_nlink;
	u32 st_mode;
	u32 st_uid;
	u32 st_gid;
	u32 __pad0;
	u64 st_rdev;
	s64 st_size;
	s64 st_blksize;
	s64 st_blocks;		/* of 512 bytes */
	u64 st_atime;
	u64 st_atime_nsec;
	u64 st_mtime;
	u64 st_mtime_nsec;
	u64 st_ctime;
	u64 st_ctime_nsec;
	s64 __unused[3];
};

static inline void arch_fill_stat(struct stat *st, const struct kstat *k)
{
	*st = (struct stat){
		.st_dev = k->dev,
		.st_ino = k->ino,
		.st_nlink = k->nlink,
		.st_mode = k->mode,
		.st_uid = k->uid,
		.st_gid = k->gid,
		.st_rdev = k->rdev,
		.st_size = (s64)k->size,
		.st_blksize = k->blksize,
		.st_blocks = (s64)k->blocks,
		.st_atime = k->atime / 1000000000,
		.st_atime_nsec = k->atime % 1000000000,
		.st_mtime = k->mtime / 1000000000,
		.st_mtime_nsec = k->mtime % 1000000000,
		.st_ctime = k->ctime / 1000000000,
		.st_ctime_nsec = k->ctime % 1000000000,
	};
}

#define MAP_32BIT 0x40
