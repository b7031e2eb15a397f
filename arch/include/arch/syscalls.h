/*
 * THE CONTRACT, part 12: the port's table of system calls, an X-macro: included with SYSCALL(number, name) defined,
 * more than once, so it has no #pragma once. Defines NR_SYSCALLS. Names are Linux's; kernel/syscall.c turns them into
 * sys_NAME.
 */
#include <asm/syscalls.h>
