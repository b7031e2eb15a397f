#pragma once
/*
 * What the Linux ABI of ppc64 has that other architectures have differently: nearly everything that can be numbered in
 * more than one way.
 */
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
	u64 st_blksize;
	u64 st_blocks;		/* of 512 bytes */
	u64 st_atime;
	u64 st_atime_nsec;
	u64 st_mtime;
	u64 st_mtime_nsec;
	u64 st_ctime;
	u64 st_ctime_nsec;
	u64 __unused[3];
};

static_assert(sizeof(struct stat) == 144, "struct stat of ppc64");

#define O_DIRECTORY	0x4000
#define O_NOFOLLOW	0x8000
#define O_LARGEFILE	0x10000
#define O_DIRECT	0x20000

#define MAP_NORESERVE	0x40
#define MAP_LOCKED	0x80
#define MAP_GROWSDOWN	0x0100
#define MAP_DENYWRITE	0x0800
#define MAP_EXECUTABLE	0x1000

#define MCL_CURRENT	0x2000
#define MCL_FUTURE	0x4000
#define MCL_ONFAULT	0x8000

#define NCCS		19

struct termios_k {
	u32 iflag, oflag, cflag, lflag;
	u8 cc[NCCS];
	u8 line;
	u32 ispeed, ospeed;
};

static_assert(sizeof(struct termios_k) == 44, "struct termios of ppc64");

enum {
	VINTR,
	VQUIT,
	VERASE,
	VKILL,
	VEOF,
	VMIN,
	VEOL,
	VTIME,
	VEOL2,
	VSWTC,
	VWERASE,
	VREPRINT,
	VSUSP,
	VSTART,
	VSTOP,
	VLNEXT,
	VDISCARD
};

#define ISTRIP		0x0020u
#define INLCR		0x0040u
#define IGNCR		0x0080u
#define ICRNL		0x0100u
#define IXON		0x0200u
#define IUTF8		0x4000u
#define OPOST		0x0001u
#define ONLCR		0x0002u
#define CS8		0x0300u
#define CREAD		0x0800u
#define HUPCL		0x4000u
#define B38400		0x000fu
#define ISIG		0x00000080u
#define ICANON		0x00000100u
#define ECHO		0x00000008u
#define ECHOE		0x00000002u
#define ECHOK		0x00000004u
#define ECHONL		0x00000010u
#define NOFLSH		0x80000000u
#define TOSTOP		0x00400000u
#define ECHOCTL		0x00000040u
#define ECHOKE		0x00000001u
#define IEXTEN		0x00000400u

/* ioctl numbers say what they copy and how long it is: direction in bits 29-31, size in 16-28. */
#define TCGETS		0x402c7413
#define TCSETS		0x802c7414
#define TCSETSW		0x802c7415
#define TCSETSF		0x802c7416
#define TCSBRK		0x2000741d
#define TCXONC		0x2000741e
#define TCFLSH		0x2000741f
#define TIOCSWINSZ	0x80087467
#define TIOCGWINSZ	0x40087468
#define TIOCSPGRP	0x80047476
#define TIOCGPGRP	0x40047477
#define FIONBIO		0x8004667e
#define FIONREAD	0x4004667f
#define TIOCSCTTY	0x540e
#define TIOCNOTTY	0x5422
#define TIOCGSID	0x5429
