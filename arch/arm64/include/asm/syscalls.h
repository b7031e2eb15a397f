/* System calls of arm64: the generic table, and one that older versions of it had. Hence no #pragma once. */
#include <arch/syscalls_generic.h>

SYSCALL(38, renameat)
