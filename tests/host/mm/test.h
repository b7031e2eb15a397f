#pragma once
/*
 * Tests of portable mm/ on the host port. Each run is a process of its own; main.c makes its configuration from the
 * seed.
 */
#include "tests/host/arch/host.h"

struct run {
	u64 seed;
	unsigned ops;
	struct prng rng;
};

/** Stops the run with a message if cond is false. */
#define CHECK(cond, fmt, ...)                                                                                          \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			host_fail("%s:%d: !(%s): " fmt, __FILE__, __LINE__, #cond, ##__VA_ARGS__);                     \
	} while (0)

void test_palloc(struct run *r);
void test_slab(struct run *r);
void test_calls(struct run *r);
void test_races(struct run *r);
void test_turns(struct run *r);
void test_threads(struct run *r);
void test_borrow(struct run *r);

/* What must be the same before and after a test: pages, objects, files. */
struct balance {
	u64 pages, objects, files;
};
void balance_take(struct balance *b);
void balance_check(const struct balance *b);

static inline u64 rnd(struct run *r, u64 bound)
{
	return prng_below(&r->rng, bound);
}

static inline bool chance(struct run *r, unsigned percent)
{
	return prng_below(&r->rng, 100) < percent;
}
