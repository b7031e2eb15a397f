#pragma once
/*
 * The Linux ABI of riscv64: the generic one, but that struct sigaction has no sa_restorer.
 */
#include <arch/uapi_mman.h>
#include <arch/uapi_open.h>
#include <arch/uapi_stat.h>
#include <arch/uapi_termios.h>

#define ARCH_NO_SA_RESTORER	1
