#pragma once
/*
 * What an instruction's bytes say about its cost to other CPUs, for the four guests. See decode.c.
 */
#include <stddef.h>
#include <stdint.h>

enum {
	INSN_ATOMIC = 1,	/* a read-modify-write as a whole; of load-linked and store-conditional, the store */
	INSN_FENCE = 2,		/* a full fence: stores before it are visible before loads after it are done */
	INSN_RELAX = 4,		/* a hint that its CPU waits in a loop */
};

enum guest { GUEST_X86_64, GUEST_ARM64, GUEST_RISCV64, GUEST_PPC64, NR_GUESTS };

/** The guest by QEMU's name of the target; -1: none of the four. */
int decode_guest(const char *target);

/** INSN_* of an instruction of n bytes as they lie in memory; ppc64 code is little-endian. */
unsigned decode(int guest, const uint8_t *bytes, size_t n);

/** The number of a marker instruction (user/common/mark.h), or -1. */
int decode_mark(int guest, const uint8_t *bytes, size_t n);
