#pragma once
/*
 * What the Linux ABI of x86_64 has that other architectures have differently: struct stat.
 */
#include <arch/uapi_mman.h>
#include <arch/uapi_open.h>
#include <arch/uapi_termios.h>

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

#define MAP_32BIT 0x40
