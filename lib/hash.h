/*
 * Hashes of integers and pointers by multiplication (Fibonacci hashing, Knuth volume 3, 6.4). Not for keys that an
 * adversary chooses.
 */
#pragma once

#include "lib/types.h"

/* A number of `bits` bits, 1 to 64; the best bits of the product are the upper ones. */
static __always_inline u64 hash_64(u64 x, unsigned int bits)
{
	return (x * 0x9e3779b97f4a7c15ull) >> (64 - bits);
}

static __always_inline u64 hash_ptr(const void *p, unsigned int bits)
{
	return hash_64((uintptr_t)p, bits);
}
