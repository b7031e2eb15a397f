#pragma once
/*
 * The Linux ABI of arm64: the generic one, but for four flags of open that keep the numbers of 32-bit ARM.
 */
#include <arch/uapi_mman.h>
#include <arch/uapi_stat.h>
#include <arch/uapi_termios.h>

#define O_DIRECTORY 0x4000
#define O_NOFOLLOW  0x8000
#define O_DIRECT    0x10000
#define O_LARGEFILE 0x20000
