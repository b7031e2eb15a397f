#pragma once
/*
 * What the Linux ABI of riscv64 has that other architectures have differently: struct stat. The constants are the
 * generic ones.
 */
#include <arch/uapi_generic.h>

#include "kernel/fs/stat.h"
#include "lib/types.h"

struct stat {
	u64 st_dev;
	u64 st_ino;
	u32 st_mode;
	u32 st_nlink;
	u32 st_uid;
	u32 st_gid;
	u64 st_rdev;
	u64 __pad1;
	s64 st_size;
	s32 st_blksize;
	s32 __pad2;
	s64 st_blocks;		/* of 512 bytes */
	s64 st_atime;
	u64 st_atime_nsec;
	s64 st_mtime;
	u64 st_mtime_nsec;
	s64 st_ctime;
	u64 st_ctime_nsec;
	u32 __unused[2];
};

static_assert(sizeof(struct stat) == 128, "struct stat of riscv64");

static inline void arch_fill_stat(struct stat *st, const struct kstat *k)
{
	*st = (struct stat){
		.st_dev = k->dev,
		.st_ino = k->ino,
		.st_mode = k->mode,
		.st_nlink = k->nlink,
		.st_uid = k->uid,
		.st_gid = k->gid,
		.st_rdev = k->rdev,
		.st_size = (s64)k->size,
		.st_blksize = (s32)k->blksize,
		.st_blocks = (s64)k->blocks,
		.st_atime = (s64)(k->atime / 1000000000),
		.st_atime_nsec = k->atime % 1000000000,
		.st_mtime = (s64)(k->mtime / 1000000000),
		.st_mtime_nsec = k->mtime % 1000000000,
		.st_ctime = (s64)(k->ctime / 1000000000),
		.st_ctime_nsec = k->ctime % 1000000000,
	};
}

#define ARCH_NO_SA_RESTORER	1	/* struct sigaction has no sa_restorer */
