#pragma once
/*
 * Who wrote a line of the guest's memory last. See lines.c.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern unsigned line_shift;	/* 6; 7 for lines of 128 bytes. Set before the first use */

/** This vCPU writes there. True: another one wrote the line last. Any thread. */
bool line_write(unsigned vcpu, uint64_t phys);
