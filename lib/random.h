/*
 * Pseudo-random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded through splitmix64. Repeatable, quick, not
 * for secrets. A state has one user at a time.
 */
#pragma once

#include "lib/types.h"

struct prng {
	u64 s[4];
};

/* Any seed will do, 0 included. */
void prng_seed(struct prng *p, u64 seed);
u64 prng_next(struct prng *p);
/* A number below bound, each equally likely; 0 if bound is 0. */
u64 prng_below(struct prng *p, u64 bound);
