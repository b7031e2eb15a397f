#pragma once
/*
 * THE CONTRACT, part 11: the parts of Linux's user ABI that differ by architecture. <asm/uapi.h> gives
 *
 *   struct stat, and void arch_fill_stat(struct stat *, const struct kstat *)	kernel/fs/stat.h
 *   O_DIRECT O_LARGEFILE O_DIRECTORY O_NOFOLLOW
 *   MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE MAP_LOCKED MAP_NORESERVE, MCL_*
 *   ioctl numbers: TCGETS TCSETS TCSETSW TCSETSF TCSBRK TCXONC TCFLSH TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCGWINSZ TIOCSWINSZ
 *   TIOCNOTTY TIOCGSID FIONREAD FIONBIO, and where they are not the usual ones FIOCLEX FIONCLEX
 *
 * What is the same everywhere is in kernel/fs/uapi.h, mm/mman.h, kernel/signal.h.
 */
#include <asm/uapi.h>
