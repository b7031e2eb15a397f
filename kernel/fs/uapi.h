#pragma once
/*
 * Numbers and layouts of Linux's file ABI. What differs by architecture (O_DIRECTORY, O_NOFOLLOW, O_DIRECT,
 * O_LARGEFILE, struct stat, termios ioctls) is in <arch/uapi.h>; what is here is the same on every port.
 */
#include <arch/uapi.h>

#include "lib/types.h"

#define PATH_MAX	4096	/* with the NUL */
#define NAME_MAX	255

/* File types and mode bits. */
#define S_IFMT		0170000u
#define S_IFSOCK	0140000u
#define S_IFLNK		0120000u
#define S_IFREG		0100000u
#define S_IFBLK		0060000u
#define S_IFDIR		0040000u
#define S_IFCHR		0020000u
#define S_IFIFO		0010000u
#define S_ISUID		0004000u
#define S_ISGID		0002000u
#define S_ISVTX		0001000u
#define S_ISLNK(m)	(((m) & S_IFMT) == S_IFLNK)
#define S_ISREG(m)	(((m) & S_IFMT) == S_IFREG)
#define S_ISDIR(m)	(((m) & S_IFMT) == S_IFDIR)
#define S_ISCHR(m)	(((m) & S_IFMT) == S_IFCHR)
#define S_ISBLK(m)	(((m) & S_IFMT) == S_IFBLK)
#define S_ISSOCK(m)	(((m) & S_IFMT) == S_IFSOCK)
#define S_ISFIFO(m)	(((m) & S_IFMT) == S_IFIFO)

/* open(2) */
#define O_RDONLY	00000000
#define O_WRONLY	00000001
#define O_RDWR		00000002
#define O_ACCMODE	00000003
#define O_CREAT		00000100
#define O_EXCL		00000200
#define O_NOCTTY	00000400
#define O_TRUNC		00001000
#define O_APPEND	00002000
#define O_NONBLOCK	00004000
#define O_CLOEXEC	02000000
#define O_PATH		010000000
#define __O_TMPFILE	020000000

/* *at() */
#define AT_FDCWD		(-100)
#define AT_SYMLINK_NOFOLLOW	0x100
#define AT_REMOVEDIR		0x200
#define AT_EACCESS		0x200
#define AT_SYMLINK_FOLLOW	0x400
#define AT_NO_AUTOMOUNT		0x800
#define AT_EMPTY_PATH		0x1000
#define AT_STATX_SYNC_TYPE	0x6000

#define SEEK_SET	0
#define SEEK_CUR	1
#define SEEK_END	2
#define SEEK_DATA	3
#define SEEK_HOLE	4

/* access(2) */
#define F_OK	0
#define X_OK	1
#define W_OK	2
#define R_OK	4

/* fcntl(2) */
#define F_DUPFD		0
#define F_GETFD		1
#define F_SETFD		2
#define F_GETFL		3
#define F_SETFL		4
#define F_GETLK		5
#define F_SETLK		6
#define F_SETLKW	7
#define F_SETOWN	8
#define F_GETOWN	9
#define F_OFD_GETLK	36
#define F_OFD_SETLK	37
#define F_OFD_SETLKW	38
#define F_DUPFD_CLOEXEC	1030
#define F_SETPIPE_SZ	1031
#define F_GETPIPE_SZ	1032
#define F_ADD_SEALS	1033
#define F_GET_SEALS	1034
#define FD_CLOEXEC	1
#define F_RDLCK		0
#define F_WRLCK		1
#define F_UNLCK		2

struct uapi_flock {
	s16 type, whence;
	s64 start, len;
	s32 pid;
};

/* poll(2) */
#define POLLIN		0x0001u
#define POLLPRI		0x0002u
#define POLLOUT		0x0004u
#define POLLERR		0x0008u
#define POLLHUP		0x0010u
#define POLLNVAL	0x0020u
#define POLLRDNORM	0x0040u
#define POLLRDBAND	0x0080u
#define POLLWRNORM	0x0100u
#define POLLWRBAND	0x0200u

struct uapi_pollfd {
	s32 fd;
	s16 events, revents;
};

/* Directory entries. */
#define DT_UNKNOWN	0
#define DT_FIFO		1
#define DT_CHR		2
#define DT_DIR		4
#define DT_BLK		6
#define DT_REG		8
#define DT_LNK		10
#define DT_SOCK		12

struct uapi_dirent64 {
	u64 ino;
	s64 off;
	u16 reclen;
	u8 type;
	char name[];
};

struct uapi_iovec {
	void *base;
	size_t len;
};

#define UIO_MAXIOV	1024
#define IO_MAX		0x7ffff000ul	/* longest transfer of one call */

struct uapi_timespec {
	s64 sec, nsec;
};

struct uapi_timeval {
	s64 sec, usec;
};

#define UTIME_NOW	0x3fffffff
#define UTIME_OMIT	0x3ffffffe

struct uapi_statfs {
	s64 type, bsize;
	u64 blocks, bfree, bavail, files, ffree;
	s32 fsid[2];
	s64 namelen, frsize, flags, spare[4];
};

struct uapi_statx_time {
	s64 sec;
	u32 nsec, pad;
};

#define STATX_BASIC_STATS	0x7ffu
#define STATX_BTIME		0x800u
#define STATX__RESERVED		0x80000000u

struct uapi_statx {
	u32 mask, blksize;
	u64 attributes;
	u32 nlink, uid, gid;
	u16 mode, pad1;
	u64 ino, size, blocks, attributes_mask;
	struct uapi_statx_time atime, btime, ctime, mtime;
	u32 rdev_major, rdev_minor, dev_major, dev_minor;
	u64 mnt_id;
	u64 spare[13];
};

static_assert(sizeof(struct uapi_statx) == 256, "struct statx is 256 bytes");

/* rename, mount, memfd, fallocate, close_range */
#define RENAME_NOREPLACE	1u
#define RENAME_EXCHANGE		2u
#define MS_RDONLY		1ul
#define MS_REMOUNT		32ul
#define MS_BIND			4096ul
#define MS_MOVE			8192ul
#define MS_PROPAGATION		0x1e0000ul	/* unbindable, private, slave, shared */
#define MNT_FORCE		1
#define MNT_DETACH		2
#define MNT_EXPIRE		4
#define UMOUNT_NOFOLLOW		8
#define MFD_CLOEXEC		1u
#define MFD_ALLOW_SEALING	2u
#define FALLOC_FL_KEEP_SIZE	1
#define FALLOC_FL_PUNCH_HOLE	2
#define CLOSE_RANGE_UNSHARE	2u
#define CLOSE_RANGE_CLOEXEC	4u
#define GRND_NONBLOCK		1u
#define GRND_RANDOM		2u
#define GRND_INSECURE		4u
#define EFD_SEMAPHORE		1

#define PIPE_BUF	4096

/* ioctl(2), where the port has no number of its own */
#ifndef FIOCLEX
#define FIONCLEX	0x5450
#define FIOCLEX		0x5451
#endif
