#pragma once
/*
 * THE CONTRACT, part 11: constants and structures of Linux's user ABI that differ between architectures (ABI.md's last
 * section). <asm/uapi.h> gives them all, or includes the header with what most ports share:
 *   <arch/uapi_open.h>		O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW
 *   <arch/uapi_mman.h>		MAP_*, MCL_*
 *   <arch/uapi_termios.h>	struct termios_k, V*, flags of terminals, terminal ioctls, FIO*
 *   <arch/uapi_stat.h>		struct stat, with the fields that kernel/fs/stat.c names; padding has a name too, or
 *				bytes of the kernel's stack would leak through it
 * ARCH_NO_SA_RESTORER: struct sigaction has no sa_restorer.
 */
#include <asm/uapi.h>
