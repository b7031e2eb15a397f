/*
 * xoshiro256** and its seeding.
 */
#include "lib/random.h"
#include "lib/bits.h"

static u64 rotate_left(u64 x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

/* splitmix64 spreads a seed such as 0 or 1 over the whole state, which must not be all zero. */
void prng_seed(struct prng *p, u64 seed)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->s); i++) {
		u64 z = seed += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		p->s[i] = z ^ z >> 31;
	}
}

u64 prng_next(struct prng *p)
{
	u64 *s = p->s, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* Draws as many bits as bound needs until they are below it: fewer than two turns on average, and no division. */
u64 prng_below(struct prng *p, u64 bound)
{
	u64 mask, x;

	if (bound <= 1)
		return 0;
	mask = ~0ull >> (63 - __fls64(bound - 1));
	do {
		x = prng_next(p) & mask;
	} while (x >= bound);
	return x;
}
