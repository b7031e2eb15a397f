/*
 * Atomics, full fences and waiting hints by their encoding. Only what is asked for is told apart: this is no
 * disassembler.
 *
 *	x86_64	atomic: lock prefix, xchg with memory. Each is a full fence too, as is mfence. A locked or/add of 0 to
 *		the stack is how a fence is written, and counts as nothing else.
 *	arm64	atomic: LSE operations, stxr and kin. Full fence: dmb and dsb that order all accesses. An atomic that
 *		acquires and releases is no full fence.
 *	riscv64	atomic: AMOs and sc. Full fence: fence of at least rw,rw; AMO, lr or sc with both aq and rl.
 *	ppc64	atomic: stwcx. and kin, the POWER9 AMOs. Full fence: sync (hwsync, ptesync), not lwsync.
 *
 * tools/bench_test.py checks this against the assemblers.
 */
#include "decode.h"

#include <stdbool.h>
#include <string.h>

#define RELAX_HINTS 5

static uint32_t word_of(const uint8_t *b)
{
	return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

int decode_guest(const char *target)
{
	static const char *const names[NR_GUESTS] = { "x86_64", "aarch64", "riscv64", "ppc64" };

	for (int i = 0; i < NR_GUESTS; i++)
		if (strcmp(target, names[i]) == 0)
			return i;
	return -1;
}

/* ---- x86_64 ---- */

/* "lock orl $0,(%rsp)" and the like: op and the bytes behind it, up to the end of the instruction. */
static bool is_stack_fence(const uint8_t *op, size_t n)
{
	unsigned reg;

	if (n < 4 || (op[0] != 0x80 && op[0] != 0x81 && op[0] != 0x83))
		return false;
	reg = op[1] >> 3 & 7;
	if ((reg != 0 && reg != 1) || op[1] >> 6 == 3 || (op[1] & 7) != 4 || (op[2] & 7) != 4)
		return false;
	return op[0] == 0x81 ? n > 6 && word_of(op + n - 4) == 0 : op[n - 1] == 0;
}

static unsigned decode_x86_64(const uint8_t *b, size_t n)
{
	bool lock = false, rep = false, other = false, high_base = false;
	size_t i = 0;

	for (; i < n; i++) {
		if (b[i] == 0xf0)
			lock = true;
		else if (b[i] == 0xf3)
			rep = true;
		else if (b[i] == 0x66 || b[i] == 0xf2)
			other = true;
		else if (b[i] != 0x67 && b[i] != 0x64 && b[i] != 0x65 && (b[i] & ~0x18) != 0x26)
			break;
	}
	if (i < n && (b[i] & 0xf0) == 0x40)
		high_base = b[i++] & 1;
	if (i + 1 >= n)
		return i < n && b[i] == 0x90 && rep ? INSN_RELAX : 0;
	if ((b[i] == 0x86 || b[i] == 0x87) && b[i + 1] >> 6 != 3)
		return INSN_ATOMIC | INSN_FENCE;
	if (b[i] == 0x0f && b[i + 1] == 0xae)
		return i + 2 < n && b[i + 2] >> 3 == 0x1e && !rep && !other ? INSN_FENCE : 0;
	if (!lock)
		return 0;
	return !high_base && is_stack_fence(b + i, n - i) ? INSN_FENCE : INSN_ATOMIC | INSN_FENCE;
}

/* ---- arm64 ---- */

static unsigned decode_arm64(uint32_t w)
{
	if ((w & 0xfffff0ff) == 0xd50330bf || (w & 0xfffff0ff) == 0xd503309f)	/* dmb, dsb: reads and writes? */
		return (w >> 8 & 3) == 3 ? INSN_FENCE : 0;
	if ((w & 0xfffff3ff) == 0xd503323f)	/* dsb nXS */
		return INSN_FENCE;
	if (w == 0xd503203f || w == 0xd503205f)	/* yield, wfe */
		return INSN_RELAX;
	if ((w & 0x3f200c00) == 0x38200000) {	/* ldadd...; with o3 only swp, the others load or store 64 bytes */
		bool o3 = w >> 15 & 1;

		return !o3 || (w >> 12 & 7) == 0 ? INSN_ATOMIC : 0;
	}
	if ((w & 0x3fa07c00) == 0x08a07c00 || (w & 0xbfa07c00) == 0x08207c00)	/* cas, casp */
		return INSN_ATOMIC;
	if ((w & 0x3fe00000) == 0x08000000 || (w & 0xbfe00000) == 0x88200000)	/* stxr, stxp */
		return INSN_ATOMIC;
	return 0;
}

/* ---- riscv64 ---- */

static unsigned decode_riscv64(uint32_t w)
{
	unsigned funct3 = w >> 12 & 7;

	if (w == 0x0100000f)	/* pause */
		return INSN_RELAX;
	if ((w & 0x7f) == 0x0f && funct3 == 0) {
		bool before = (w >> 24 & 3) == 3, after = (w >> 20 & 3) == 3;

		return before && after && w >> 28 == 0 ? INSN_FENCE : 0;	/* fence.tso is weaker */
	}
	if ((w & 0x7f) == 0x2f && (funct3 == 2 || funct3 == 3)) {
		bool lr = w >> 27 == 2, both = (w >> 25 & 3) == 3;

		return (lr ? 0 : INSN_ATOMIC) | (both ? INSN_FENCE : 0);
	}
	return 0;
}

/* ---- ppc64 ---- */

static unsigned decode_ppc64(uint32_t w)
{
	static const uint32_t relax[RELAX_HINTS] = { 1, 27, 29, 30, 31 };	/* or r,r,r */
	unsigned xo = w >> 1 & 0x3ff, l = w >> 21 & 7;

	for (int i = 0; i < RELAX_HINTS; i++)
		if (w == (0x7c000378 | relax[i] << 21 | relax[i] << 16 | relax[i] << 11))
			return INSN_RELAX;
	if (w >> 26 != 31)
		return 0;
	switch (xo) {
	case 598:	/* sync: L 0 heavyweight, 1 lightweight, 2 ptesync, 4 persistent heavyweight */
		return l == 0 || l == 2 || l == 4 ? INSN_FENCE : 0;
	case 150:	/* stwcx. */
	case 182:	/* stqcx. */
	case 214:	/* stdcx. */
	case 694:	/* stbcx. */
	case 726:	/* sthcx. */
		return w & 1 ? INSN_ATOMIC : 0;
	case 582:	/* lwat */
	case 614:	/* ldat */
	case 710:	/* stwat */
	case 742:	/* stdat */
		return INSN_ATOMIC;
	default:
		return 0;
	}
}

unsigned decode(int guest, const uint8_t *bytes, size_t n)
{
	if (guest == GUEST_X86_64)
		return decode_x86_64(bytes, n);
	if (n != 4)	/* compressed riscv64 code knows none of this */
		return 0;
	if (guest == GUEST_ARM64)
		return decode_arm64(word_of(bytes));
	if (guest == GUEST_RISCV64)
		return decode_riscv64(word_of(bytes));
	return decode_ppc64(word_of(bytes));
}

int decode_mark(int guest, const uint8_t *bytes, size_t n)
{
	static const uint8_t x86_tail[] = { 'E', 'X', 'M' };
	uint32_t w;

	if (guest == GUEST_X86_64) {
		if (n != 7 || bytes[0] != 0x0f || bytes[1] != 0x1f || bytes[2] != 0x80 ||
		    memcmp(bytes + 4, x86_tail, sizeof(x86_tail)) != 0)
			return -1;
		return bytes[3] < 8 ? bytes[3] : -1;
	}
	if (n != 4)
		return -1;
	w = word_of(bytes);
	if (guest == GUEST_ARM64)	/* hint #112... */
		return (w & 0xffffff1f) == 0xd5032e1f ? (int)(w >> 5 & 7) : -1;
	if (guest == GUEST_RISCV64)	/* slti x0, x0, 0x5e0... */
		return (w & 0xff8fffff) == 0x5e002013 ? (int)(w >> 20 & 7) : -1;
	for (uint32_t r = 16; r < 24; r++)	/* or 16,16,16... */
		if (w == (0x7c000378 | r << 21 | r << 16 | r << 11))
			return (int)r - 16;
	return -1;
}
