/*
 * Counting and finding bits. Where the CPU has no instruction for it, the compiler calls the functions of the
 * compiler's own library (__clzdi2 and the like); lib/bits.c has them, since no such library is linked.
 */
#pragma once

#include "lib/types.h"

#if __STDC_HOSTED__
#include <strings.h>
#else
/* The lowest set bit, counted from 1; 0 if there is none. */
static __always_inline int ffs(int x)
{
	return __builtin_ffs(x);
}
#endif

/* The highest set bit, counted from 1; 0 if there is none. */
static __always_inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static __always_inline int fls(unsigned int x)
{
	return fls64(x);
}

/* The lowest and highest set bit, counted from 0. x is not 0. */
static __always_inline unsigned int __ffs64(u64 x)
{
	return (unsigned int)__builtin_ctzll(x);
}

static __always_inline unsigned int __fls64(u64 x)
{
	return 63 - (unsigned int)__builtin_clzll(x);
}

static __always_inline unsigned int hweight64(u64 x)
{
	return (unsigned int)__builtin_popcountll(x);
}

/* Logarithm to base 2, rounded down, of an integer that is not 0; usable in constant expressions. */
#define ilog2(n)	(63 - __builtin_clzll((u64)(n)))

static __always_inline bool is_power_of_2(u64 n)
{
	return n && !(n & (n - 1));
}

/* The smallest power of two that is at least n; 1 for 0; 0 if it is beyond 64 bits. */
static __always_inline u64 roundup_pow_of_two(u64 n)
{
	if (n <= 1)
		return 1;
	return n > 1ull << 63 ? 0 : 1ull << fls64(n - 1);
}

/* The largest power of two that is at most n, which is not 0. */
static __always_inline u64 rounddown_pow_of_two(u64 n)
{
	return 1ull << __fls64(n);
}

/* What stands behind the builtins where there is no instruction; x is not 0 for the first two. */
int bits_clz64(u64 x);
int bits_ctz64(u64 x);
int bits_popcount64(u64 x);
u64 bits_swab64(u64 x);
