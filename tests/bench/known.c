/*
 * Work whose cost is known, for the test of the measuring plugin (tools/bench_test.py). Runs on four CPUs.
 *
 *	known path A B C D	instructions: A alone; then B on each of three other CPUs, beside C here; when all have
 *				ended, D. The longest way through is A + max(B, C) + D
 *	known spin A		A here, while another CPU spins until it is done
 *	known share N		two CPUs take turns, N each: an atomic on a line that both use, one on a line of its own, a
 *				full fence, and a store that passes the turn on
 *
 * What counts lies between markers 1 and 2.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/common/mark.h"

#define LINE	512	/* farther apart than lines of any machine */
#define WORKERS 3

static uint64_t amount[4];
static pthread_barrier_t ready, go, done;

/* A cell each, on lines of their own. */
static struct cell {
	uint32_t value;
} __attribute__((aligned(LINE))) turn, both, own[2], flag;

/* n instructions, n even, and a few to get here. */
static void __attribute__((noinline)) work(uint64_t n)
{
	uint64_t rounds = n / 2;

	if (!rounds)
		return;
#if defined(__x86_64__)
	__asm__ volatile("1:\n\tdec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
#elif defined(__aarch64__)
	__asm__ volatile("1:\n\tsubs %0, %0, #1\n\tb.ne 1b" : "+r"(rounds) : : "cc");
#elif defined(__riscv)
	__asm__ volatile("1:\n\taddi %0, %0, -1\n\tbnez %0, 1b" : "+r"(rounds));
#elif defined(__powerpc64__)
	__asm__ volatile("1:\n\taddic. %0, %0, -1\n\tbne 1b" : "+b"(rounds) : : "cr0", "xer");
#endif
}

static void relax(void)
{
#if defined(__x86_64__)
	__asm__ volatile("pause");
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#elif defined(__riscv)
	__asm__ volatile(".word 0x0100000f");
#elif defined(__powerpc64__)
	__asm__ volatile("or 27, 27, 27");
#endif
}

static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		perror("known: sched_setaffinity");
		exit(1);
	}
}

static void start(pthread_t *t, void *(*fn)(void *), uintptr_t arg)
{
	if (pthread_create(t, NULL, fn, (void *)arg) != 0) {
		fputs("known: no thread\n", stderr);
		exit(1);
	}
}

static void *path_worker(void *arg)
{
	pin((unsigned)(uintptr_t)arg);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&go);
	work(amount[1]);
	pthread_barrier_wait(&done);
	return NULL;
}

static void path(void)
{
	pthread_t t[WORKERS];

	pthread_barrier_init(&ready, NULL, WORKERS + 1);
	pthread_barrier_init(&go, NULL, WORKERS + 1);
	pthread_barrier_init(&done, NULL, WORKERS + 1);
	pin(0);
	for (uintptr_t i = 0; i < WORKERS; i++)
		start(&t[i], path_worker, i + 1);
	pthread_barrier_wait(&ready);
	work(20000000);		/* until the workers sleep at the next barrier */
	MARK(1);
	work(amount[0]);
	pthread_barrier_wait(&go);
	work(amount[2]);
	pthread_barrier_wait(&done);
	work(amount[3]);
	MARK(2);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
}

static void *spin_worker(void *arg)
{
	pin(1);
	pthread_barrier_wait(&ready);
	while (!__atomic_load_n(&flag.value, __ATOMIC_ACQUIRE))
		relax();
	return NULL;
}

static void spin(void)
{
	pthread_t t;

	pthread_barrier_init(&ready, NULL, 2);
	pin(0);
	start(&t, spin_worker, 1);
	pthread_barrier_wait(&ready);
	work(20000000);
	MARK(1);
	work(amount[0]);
	MARK(2);
	__atomic_store_n(&flag.value, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
}

/* Plain loads and stores: what compilers make of others is not known. The fence orders the turn behind what it is for. */
static void take_turns(unsigned me)
{
	volatile uint32_t *whose = &turn.value;

	for (uint64_t i = 0; i < amount[0]; i++) {
		while (*whose != me)
			relax();
		__atomic_fetch_add(&both.value, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&own[me].value, 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		*whose = !me;
	}
}

static void *share_worker(void *arg)
{
	pin(1);
	pthread_barrier_wait(&ready);
	take_turns(1);
	return NULL;
}

/* The other CPU waits for its turn already when the first one is taken; the last one is its. */
static void share(void)
{
	pthread_t t;

	pthread_barrier_init(&ready, NULL, 2);
	pin(0);
	start(&t, share_worker, 1);
	pthread_barrier_wait(&ready);
	work(20000000);
	MARK(1);
	take_turns(0);
	while (*(volatile uint32_t *)&turn.value)
		relax();
	MARK(2);
	pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc && i < 6; i++)
		amount[i - 2] = strtoull(argv[i], NULL, 0);
	if (argc == 6 && strcmp(argv[1], "path") == 0)
		path();
	else if (argc == 3 && strcmp(argv[1], "spin") == 0)
		spin();
	else if (argc == 3 && strcmp(argv[1], "share") == 0)
		share();
	else
		return 2;
	return 0;
}
