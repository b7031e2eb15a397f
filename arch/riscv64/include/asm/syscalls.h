/* System calls of riscv64: the generic table, and its own. Included often, so no #pragma once. */
#include <arch/syscalls_generic.h>

SYSCALL(259, riscv_flush_icache)
