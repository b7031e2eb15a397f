/* The contract, part 6: the clock and the one-shot timer; and of part 4 that counters of two CPUs are comparable. */
#include <arch/cpu.h>
#include <arch/timer.h>

#include "kernel/cpu.h"
#include "kernel/fs/proc.h"
#include "kernel/sched.h"
#include "kernel/spinlock.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/random.h"
#include "tests/kernel/ktest.h"

/* clocks of two CPUs: an IPI's flight, on an emulator that runs one CPU at a time */
#define SKEW (500 * NSEC_PER_USEC)

static u32 bad;

static void wrong(void)
{
	__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
}

static int clock_on_one(void *arg)
{
	u64 last = clock_ns(), first = last;

	for (int i = 0; i < 3000; i++) {
		u64 now = clock_ns();

		if (now < last)
			wrong();
		last = now;
		if (i % 500 == 0)
			sched_yield();
	}
	if (last == first)
		wrong();
	return 0;
}

KTEST(arch_time, clock_never_goes_back)
{
	bad = 0;
	KT_EQ(kt_threads(min(nr_cpus, 64u), clock_on_one, NULL), 0);
	KT_EQ(bad, 0);
}

struct handed {
	spinlock_t lock;
	u64 last, count;
};

static int clock_between(void *arg)
{
	struct handed *h = arg;

	for (int i = 0; i < 500; i++) {
		u64 now, count;

		spin_lock(&h->lock);
		now = clock_ns();
		count = cpu_counter();
		if (now + SKEW < h->last || (count < h->count && counter_to_ns(h->count - count) > SKEW))
			wrong();
		h->last = max(h->last, now);
		h->count = max(h->count, count);
		spin_unlock(&h->lock);
		if (i % 50 == 0)
			sched_yield();
	}
	return 0;
}

/* Time, and what effort is measured by (arch/cpu.h). */
KTEST(arch_time, clocks_agree_between_cpus)
{
	struct handed h = { .last = 0 };

	bad = 0;
	spin_lock_init(&h.lock, RANK_SPIN_LEAF);
	KT_EQ(kt_threads(min(2 * nr_cpus, 64u), clock_between, &h), 0);
	KT_EQ(bad, 0);
}

struct shot {
	struct timer timer;
	u64 at;
	unsigned cpu;
};

static void note_shot(struct timer *t)
{
	struct shot *s = container_of(t, struct shot, timer);

	if (clock_ns() < t->expires || !in_interrupt() || !irqs_off())
		wrong();
	s->cpu = cpu_id();
	__atomic_store_n(&s->at, clock_ns(), __ATOMIC_RELEASE);
}

static int shoot(void *arg)
{
	const u64 delays[] = { 0, 1, 1000, 50000, 300000, 1000000, 2500000 };
	struct prng rng;

	prng_seed(&rng, kt_seed() + cpu_id());
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(delays); i++) {
		u64 delay = i < ARRAY_SIZE(delays) ? delays[i] : prng_below(&rng, 2 * NSEC_PER_MSEC);
		struct shot s = { .at = 0 };
		u64 now = clock_ns(), deadline = now + delay;

		if (i == 0)
			deadline = now > NSEC_PER_SEC ? now - NSEC_PER_SEC : 1;	/* in the past: at once */
		timer_init(&s.timer, note_shot);
		timer_start(&s.timer, deadline);
		while (!__atomic_load_n(&s.at, __ATOMIC_ACQUIRE) && clock_ns() < now + 10 * NSEC_PER_SEC)
			cpu_relax();
		if (!s.at || s.cpu != cpu_id())
			wrong();
		timer_cancel_sync(&s.timer);
	}
	return 0;
}

/* On every CPU, with the CPU busy all the time. */
KTEST(arch_time, timer_is_never_early_and_always_comes)
{
	bad = 0;
	KT_EQ(kt_threads(min(nr_cpus, 64u), shoot, NULL), 0);
	KT_EQ(bad, 0);
}

/* A later call replaces the deadline: the earlier one does not come, the new one does. */
static int replace(void *arg)
{
	struct shot s = { .at = 0 };
	unsigned long flags;
	u64 now;

	timer_init(&s.timer, note_shot);
	flags = irq_save();	/* the first must not come before it is replaced, however long this CPU is held up */
	now = clock_ns();
	timer_start(&s.timer, now + NSEC_PER_MSEC);
	timer_start(&s.timer, now + 4 * NSEC_PER_MSEC);
	irq_restore(flags);
	while (clock_ns() < now + 3 * NSEC_PER_MSEC)
		cpu_relax();
	if (READ_ONCE(s.at) && s.at < now + 4 * NSEC_PER_MSEC)
		wrong();
	while (!__atomic_load_n(&s.at, __ATOMIC_ACQUIRE) && clock_ns() < now + 10 * NSEC_PER_SEC)
		cpu_relax();
	if (s.at < now + 4 * NSEC_PER_MSEC)
		wrong();
	s.at = 0;
	timer_start(&s.timer, clock_ns() + 60 * NSEC_PER_SEC);
	timer_start(&s.timer, clock_ns() + NSEC_PER_MSEC);
	now = clock_ns();
	while (!__atomic_load_n(&s.at, __ATOMIC_ACQUIRE) && clock_ns() < now + 20 * NSEC_PER_SEC)
		cpu_relax();
	if (!s.at)
		wrong();
	timer_cancel_sync(&s.timer);
	return 0;
}

KTEST(arch_time, rearming_replaces)
{
	bad = 0;
	KT_EQ(kt_threads(min(nr_cpus, 64u), replace, NULL), 0);
	KT_EQ(bad, 0);
}

/* From idle: the timer must wake a CPU that waits for interrupts. */
static int sleeper(void *arg)
{
	for (int i = 0; i < 10; i++) {
		u64 start = clock_ns(), ns = 200 * NSEC_PER_USEC * (u64)(i + 1);

		sleep_ns(ns);
		if (clock_ns() - start < ns || clock_ns() - start > ns + 10 * NSEC_PER_SEC)
			wrong();
	}
	return 0;
}

KTEST(arch_time, idle_cpus_wake_for_timers)
{
	bad = 0;
	KT_EQ(kt_threads(min(nr_cpus, 64u), sleeper, NULL), 0);
	KT_EQ(bad, 0);
}

KTEST(arch_time, wall_clock_is_after_2020)
{
	u64 a = wall_clock_ns(), b;

	if (a < 1000000 * NSEC_PER_SEC) {
		kt_skip("no clock chip");
		return;
	}
	KT_EXPECT(a / NSEC_PER_SEC > 1577836800ull);
	sleep_ns(NSEC_PER_MSEC);
	b = wall_clock_ns();
	KT_EXPECT(b - a >= NSEC_PER_MSEC && b - a < 10 * NSEC_PER_SEC);
}
