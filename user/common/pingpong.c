/*
 * Ping-pong between pairs of CPUs.
 *
 * A CPU idles only while nothing on it can run, so the two threads of a pair are on two CPUs, one thread on each CPU.
 * A thread whose turn it is passes the turn on, wakes the other, and sleeps: its CPU goes idle, while the other CPU
 * comes back from idle. Every turn is one switch user -> idle -> user, with as little around it as a futex needs. (Two
 * threads on one CPU would switch from the one to the other, and never be idle.) All threads belong to one process:
 * every CPU borrows and returns the same address space, which is what a shared reference count suffers from.
 *
 * A CPU that is left over, or alone, has a thread that sleeps for the shortest time that there is.
 *
 * Turns are counted by each thread in its own cache line; switches by the kernel, as voluntary context switches, since
 * a thread whose turn comes back before it sleeps does not sleep.
 */
#define _GNU_SOURCE
#include "user/common/pingpong.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "user/common/account.h"
#include "user/common/cpus.h"
#include "user/common/futex.h"
#include "user/common/stats.h"

#define THREAD_STACK (256 * 1024)
#define SETTLE_MIN_MS 20
#define PATIENCE_NS 15000000000u
#define NAP_MIN_NS 500
#define NAP_MAX_NS 1000000
#define NAP_PROBES 20

struct player {
	_Alignas(64) uint64_t turns;	/* written by the thread only */
	uint32_t *turn;	/* the pair's, whose last bit says whose turn it is; NULL: this one sleeps by the clock */
	uint32_t side;
	int cpu, err;
	pthread_t thread;
};

struct pair {
	_Alignas(64) uint32_t turn;
};

/* Read by all, written once: no cache line of a pair. */
static struct {
	_Alignas(64) int stop;
} control;

static bool stopped(void)
{
	return __atomic_load_n(&control.stop, __ATOMIC_ACQUIRE);
}

static void count_turn(struct player *p)
{
	__atomic_store_n(&p->turns, p->turns + 1, __ATOMIC_RELAXED);
}

/* The end is announced by a change of the turn word, so that nobody goes to sleep and misses it. */
static void play(struct player *p)
{
	for (;;) {
		uint32_t now = __atomic_load_n(p->turn, __ATOMIC_ACQUIRE);

		if (stopped())
			return;
		if ((now & 1) != p->side) {
			futex_sleep(p->turn, now, NULL, FUTEX_ONE_PROCESS);
			continue;
		}
		__atomic_add_fetch(p->turn, 1, __ATOMIC_SEQ_CST);
		futex_wake_up(p->turn, 1, FUTEX_ONE_PROCESS);
		count_turn(p);
	}
}

static long own_switches(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? 0 : u.ru_nvcsw;
}

/* If the time is up before the thread is off its CPU, it does not sleep: find the shortest sleep that is one. */
static void doze(struct player *p)
{
	struct timespec nap = { .tv_nsec = NAP_MIN_NS };

	prctl(PR_SET_TIMERSLACK, 1);
	while (nap.tv_nsec < NAP_MAX_NS && !stopped()) {
		long before = own_switches();

		for (int i = 0; i < NAP_PROBES; i++)
			nanosleep(&nap, NULL);
		if (own_switches() - before >= NAP_PROBES * 9 / 10)
			break;
		nap.tv_nsec += nap.tv_nsec / 2;
	}
	while (!stopped()) {
		nanosleep(&nap, NULL);
		count_turn(p);
	}
}

static void *player_main(void *arg)
{
	struct player *p = arg;

	p->err = -cpu_pin(p->cpu);
	if (p->err)
		return NULL;
	if (p->turn)
		play(p);
	else
		doze(p);
	return NULL;
}

static void sleep_ms(int ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static uint64_t switches(void)
{
	struct rusage u;

	return getrusage(RUSAGE_SELF, &u) ? 0 : (uint64_t)u.ru_nvcsw;
}

static uint64_t turns(const struct player *p, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += __atomic_load_n(&p[i].turns, __ATOMIC_RELAXED);
	return sum;
}

/* A host that holds the CPUs up may let none of them play in all that time: then it takes longer. */
static void window(const struct player *p, int n, int ms, struct pingpong_sample *out)
{
	struct vmcount count;
	uint64_t account, start, played, slept;

	sleep_ms(ms / 5 > SETTLE_MIN_MS ? ms / 5 : SETTLE_MIN_MS);
	vmcount_read(&count);
	account = account_read();
	out->turns = played = turns(p, n);
	out->switches = slept = switches();
	start = now_ns();
	do
		sleep_ms(ms);
	while ((turns(p, n) == played || switches() == slept) && now_ns() - start < PATIENCE_NS);
	out->ns = now_ns() - start;
	out->switches = switches() - out->switches;
	out->turns = turns(p, n) - out->turns;
	out->kernel = account_since(account);
	vmcount_since(&out->count, &count);
}

static void stop(struct pair *pair, int pairs)
{
	__atomic_store_n(&control.stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < pairs; i++) {
		__atomic_add_fetch(&pair[i].turn, 2, __ATOMIC_SEQ_CST);
		futex_wake_up(&pair[i].turn, INT_MAX, FUTEX_ONE_PROCESS);
	}
}

int pingpong(const char *program, const int *cpu, int n, int ms, struct pingpong_sample *out)
{
	static struct player player[CPUS_MAX];
	static struct pair pair[CPUS_MAX / 2];
	const int pairs = n / 2;
	pthread_attr_t attr;
	int started, err = 0;

	memset(player, 0, (size_t)n * sizeof(player[0]));
	memset(pair, 0, sizeof(pair));
	control.stop = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (started = 0; started < n && !err; started++) {
		struct player *p = &player[started];

		p->cpu = cpu[started];
		p->side = (uint32_t)started & 1;
		p->turn = started / 2 < pairs ? &pair[started / 2].turn : NULL;
		err = pthread_create(&p->thread, &attr, player_main, p);
	}
	pthread_attr_destroy(&attr);
	if (err) {
		started--;
		fprintf(stderr, "%s: thread %d: %s; fewer --cpus may do\n", program, started + 1, strerror(err));
	} else {
		window(player, n, ms, out);
	}
	stop(pair, pairs);
	for (int i = 0; i < started; i++) {
		pthread_join(player[i].thread, NULL);
		if (player[i].err && !err) {
			err = player[i].err;
			fprintf(stderr, "%s: a thread on CPU %d: %s\n", program, player[i].cpu, strerror(err));
		}
	}
	return err ? -1 : 0;
}
