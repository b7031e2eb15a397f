/*
 * spin [SECONDS [THREADS]]: keep CPUs busy in user space, then say how many turns each thread made.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "user/common/stats.h"

#define MAX_THREADS 128

static uint64_t until;
static unsigned long turns[MAX_THREADS];

static void *spin(void *arg)
{
	volatile unsigned long *turn = arg;

	while (now_ns() < until)
		for (int i = 0; i < 1000; i++)
			(*turn)++;
	return NULL;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 1, threads = argc > 2 ? atoi(argv[2]) : 1;
	pthread_t thread[MAX_THREADS];

	if (seconds < 1 || threads < 1 || threads > MAX_THREADS) {
		fprintf(stderr, "usage: spin [SECONDS [THREADS]] (1 to %d threads)\n", MAX_THREADS);
		return 2;
	}
	until = now_ns() + (uint64_t)seconds * 1000000000u;
	for (int i = 1; i < threads; i++) {
		if (pthread_create(&thread[i], NULL, spin, &turns[i])) {
			fprintf(stderr, "spin: no thread %d\n", i);
			return 1;
		}
	}
	spin(&turns[0]);
	for (int i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < threads; i++)
		printf("thread %d: %lu turns\n", i, turns[i]);
	return 0;
}
