/*
 * Counting bits in plain C, and under the names by which the compiler calls for it where the CPU has no instruction
 * (riscv64 without Zbb has none of the four, x86_64 none for popcount).
 */
#include "lib/bits.h"

/* Must not be written such that the compiler recognises what it does: it would call the function that this is. */
int bits_clz64(u64 x)
{
	int n = 0;

	for (int step = 32; step; step /= 2) {
		if (!(x >> (64 - step))) {
			x <<= step;
			n += step;
		}
	}
	return n;
}

int bits_ctz64(u64 x)
{
	int n = 0;

	for (int step = 32; step; step /= 2) {
		if (!(x << (64 - step))) {
			x >>= step;
			n += step;
		}
	}
	return n;
}

int bits_popcount64(u64 x)
{
	x -= x >> 1 & 0x5555555555555555;
	x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (int)(x * 0x0101010101010101 >> 56);
}

u64 bits_swab64(u64 x)
{
	x = (x & 0x00ff00ff00ff00ff) << 8 | (x >> 8 & 0x00ff00ff00ff00ff);
	x = (x & 0x0000ffff0000ffff) << 16 | (x >> 16 & 0x0000ffff0000ffff);
	return x << 32 | x >> 32;
}

#if !__STDC_HOSTED__
int __clzdi2(u64 x);
int __ctzdi2(u64 x);
int __ffsdi2(u64 x);
int __popcountdi2(u64 x);
u32 __bswapsi2(u32 x);
u64 __bswapdi2(u64 x);

int __clzdi2(u64 x)
{
	return bits_clz64(x);
}

int __ctzdi2(u64 x)
{
	return bits_ctz64(x);
}

int __ffsdi2(u64 x)
{
	return x ? bits_ctz64(x) + 1 : 0;
}

int __popcountdi2(u64 x)
{
	return bits_popcount64(x);
}

u32 __bswapsi2(u32 x)
{
	return (u32)(bits_swab64(x) >> 32);
}

u64 __bswapdi2(u64 x)
{
	return bits_swab64(x);
}
#endif
