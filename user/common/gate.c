/*
 * Gates over futexes that work between processes. A sleeper that is woken for nothing looks again.
 */
#define _GNU_SOURCE
#include "user/common/gate.h"

#include "user/common/futex.h"
#include "user/common/stats.h"

#define NSEC_PER_SEC 1000000000u

uint32_t gate_arrive(struct gate *g)
{
	uint32_t n = __atomic_add_fetch(&g->arrived, 1, __ATOMIC_SEQ_CST);

	futex_wake_up(&g->arrived, INT_MAX, 0);
	return n;
}

void gate_wait(struct gate *g)
{
	while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE))
		futex_sleep(&g->open, 0, NULL, 0);
}

void gate_open(struct gate *g)
{
	__atomic_store_n(&g->open, 1, __ATOMIC_SEQ_CST);
	futex_wake_up(&g->open, INT_MAX, 0);
}

bool gate_full(struct gate *g, uint32_t n, int timeout_ms)
{
	uint64_t until = now_ns() + (uint64_t)timeout_ms * 1000000u;

	for (;;) {
		uint32_t there = __atomic_load_n(&g->arrived, __ATOMIC_ACQUIRE);
		uint64_t now = now_ns();
		struct timespec left;

		if (there >= n || now >= until)
			return there >= n;
		left.tv_sec = (time_t)((until - now) / NSEC_PER_SEC);
		left.tv_nsec = (long)((until - now) % NSEC_PER_SEC);
		futex_sleep(&g->arrived, there, &left, 0);
	}
}
