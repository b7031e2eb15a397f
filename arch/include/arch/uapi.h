#pragma once
/*
 * THE CONTRACT, part 11: constants and structures of Linux's user ABI that differ between architectures (ABI.md's last
 * section): struct stat, O_*, MAP_*, MCL_*, terminal ioctls. <arch/uapi_generic.h> has the values that most ports
 * share.
 */
#include <asm/uapi.h>
