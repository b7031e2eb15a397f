#pragma once
/*
 * Constants of open, mmap and mlock in the values that most architectures share; one that numbers them otherwise has
 * its own in <asm/uapi.h> instead of including this.
 */
#define O_DIRECT	0x4000
#define O_LARGEFILE	0x8000
#define O_DIRECTORY	0x10000
#define O_NOFOLLOW	0x20000

#define MAP_GROWSDOWN	0x0100
#define MAP_DENYWRITE	0x0800
#define MAP_EXECUTABLE	0x1000
#define MAP_LOCKED	0x2000
#define MAP_NORESERVE	0x4000

#define MCL_CURRENT	1
#define MCL_FUTURE	2
#define MCL_ONFAULT	4
