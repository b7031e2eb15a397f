#pragma once
/*
 * Sets of CPUs. A mask is two words; the atomic forms act on one word each. They are not full fences on every port: a
 * protocol that needs one says smp_mb().
 */
#include "lib/bitmap.h"
#include "lib/types.h"

#define NR_CPUS		128
#define CPUMASK_WORDS	(NR_CPUS / 64)

struct cpumask {
	unsigned long bits[CPUMASK_WORDS];
};

extern struct cpumask cpu_online_mask;	/* runs the scheduler; grows during boot only, except in panic */
extern unsigned nr_cpus;		/* online or about to be; CPU numbers are below it */

static inline void cpumask_zero(struct cpumask *m)
{
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		m->bits[i] = 0;
}

static inline void cpumask_set(struct cpumask *m, unsigned cpu)
{
	__atomic_fetch_or(&m->bits[cpu / 64], 1ul << (cpu % 64), __ATOMIC_SEQ_CST);
}

static inline void cpumask_clear(struct cpumask *m, unsigned cpu)
{
	__atomic_fetch_and(&m->bits[cpu / 64], ~(1ul << (cpu % 64)), __ATOMIC_SEQ_CST);
}

/* Not atomic: for masks that nobody else sees. */
static inline void __cpumask_set(struct cpumask *m, unsigned cpu)
{
	m->bits[cpu / 64] |= 1ul << (cpu % 64);
}

static inline void __cpumask_clear(struct cpumask *m, unsigned cpu)
{
	m->bits[cpu / 64] &= ~(1ul << (cpu % 64));
}

static inline bool cpumask_test(const struct cpumask *m, unsigned cpu)
{
	return __atomic_load_n(&m->bits[cpu / 64], __ATOMIC_RELAXED) >> (cpu % 64) & 1;
}

static inline bool cpumask_empty(const struct cpumask *m)
{
	unsigned long any = 0;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		any |= __atomic_load_n(&m->bits[i], __ATOMIC_RELAXED);
	return !any;
}

/** A snapshot, word by word. */
static inline void cpumask_copy(struct cpumask *dst, const struct cpumask *src)
{
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		dst->bits[i] = __atomic_load_n(&src->bits[i], __ATOMIC_RELAXED);
}

static inline void cpumask_or(struct cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		dst->bits[i] = a->bits[i] | b->bits[i];
}

static inline void cpumask_and(struct cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		dst->bits[i] = __atomic_load_n(&a->bits[i], __ATOMIC_RELAXED) &
			       __atomic_load_n(&b->bits[i], __ATOMIC_RELAXED);
}

static inline bool cpumask_equal(const struct cpumask *a, const struct cpumask *b)
{
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		if (a->bits[i] != b->bits[i])
			return false;
	return true;
}

static inline unsigned cpumask_weight(const struct cpumask *m)
{
	return bitmap_weight(m->bits, NR_CPUS);
}

/** First CPU in the mask at or after `from`, NR_CPUS if there is none. */
static inline unsigned cpumask_next(const struct cpumask *m, unsigned from)
{
	return find_next_bit(m->bits, NR_CPUS, from);
}

#define for_each_cpu(cpu, mask) \
	for ((cpu) = cpumask_next((mask), 0); (cpu) < NR_CPUS; (cpu) = cpumask_next((mask), (cpu) + 1))
#define for_each_online_cpu(cpu) for_each_cpu(cpu, &cpu_online_mask)
