#pragma once
/* Flags of open, in the values that most architectures share. */
#define O_DIRECT	0x4000
#define O_LARGEFILE	0x8000
#define O_DIRECTORY	0x10000
#define O_NOFOLLOW	0x20000
