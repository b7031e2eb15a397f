/*
 * t_sched: what user space sees of the scheduler. Affinity, nice, yielding, shares of a CPU, prompt wake-ups.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/user/ktap.h"

#define MS 1000000ull

/* Run on this CPU only. */
static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static int first_cpu(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			return cpu;
	return 0;
}

static void yield(void)
{
	for (int i = 0; i < 100; i++)
		CHECK_EQ(sched_yield(), 0);
}

static void affinity_of_all(void)
{
	cpu_set_t set;

	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK_EQ(CPU_COUNT(&set), cpus_online());
	CHECK_EQ(sched_getaffinity(getpid(), sizeof(set), &set), 0);
	CHECK_ERR(sched_getaffinity(0x3fffffff, sizeof(set), &set), ESRCH);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 1, &set), EINVAL);
}

static void moves_where_told(void)
{
	cpu_set_t all, now;

	REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
	for (int round = 0; round < 3; round++) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &all))
				continue;
			REQUIRE(pin(cpu));
			CHECK_EQ(sched_getcpu(), cpu);
			sched_yield();
			CHECK_EQ(sched_getcpu(), cpu);
			CHECK_EQ(sched_getaffinity(0, sizeof(now), &now), 0);
			CHECK(CPU_COUNT(&now) == 1 && CPU_ISSET(cpu, &now));
		}
	}
	CHECK_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

static void affinity_errors(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CPU_SET(CPU_SETSIZE - 1, &set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CHECK_ERR(sched_setaffinity(0, 0, &set), EINVAL);
	CPU_SET(first_cpu(), &set);
	CHECK_ERR(sched_setaffinity(0x3fffffff, sizeof(set), &set), ESRCH);
}

static void affinity_is_inherited(void)
{
	int cpu = first_cpu();
	pid_t pid;

	REQUIRE(pin(cpu));
	pid = must_fork();
	if (pid == 0) {
		cpu_set_t set;
		bool good = sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1 &&
			    CPU_ISSET(cpu, &set);

		_exit(good && sched_getcpu() == cpu ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
}

/* Another process is moved while it runs. */
static void others_are_moved(void)
{
	volatile int *where = shared_memory(4096);
	cpu_set_t all, set;
	pid_t pid;
	int moved = 0;

	REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
	pid = must_fork();
	if (pid == 0)
		for (;;)
			*where = sched_getcpu() + 1;
	for (int cpu = 0; cpu < CPU_SETSIZE && moved < 8; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		CHECK_EQ(sched_setaffinity(pid, sizeof(set), &set), 0);
		for (int i = 0; i < 1000 && *where != cpu + 1; i++)
			msleep(1);
		CHECK_EQ(*where, cpu + 1);
		moved++;
	}
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

static void nice_values(void)
{
	pid_t pid;

	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) == -1 && errno == ENOSYS)
		SKIP("no getpriority");
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
	pid = must_fork();
	if (pid == 0) {
		bool good = nice(5) == 5 && getpriority(PRIO_PROCESS, 0) == 5 && setpriority(PRIO_PROCESS, 0, 100) == 0;

		_exit(good && getpriority(PRIO_PROCESS, 0) == 19 ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
	CHECK_ERR(setpriority(77, 0, 0), EINVAL);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0x3fffffff, 0), ESRCH);
}

/* n children with the given nice values spin on one CPU; turns[i] says how far each came. */
static void compete(const int *niceness, int n, int ms, volatile uint64_t *turns)
{
	int cpu = first_cpu();
	pid_t pid[8];

	memset((void *)turns, 0, 4096);
	for (int i = 0; i < n; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			if (!pin(cpu) || setpriority(PRIO_PROCESS, 0, niceness[i]))
				_exit(1);
			while (!turns[63])
				sched_yield();
			for (;;)
				for (volatile int k = 0; k < 100; k++)
					turns[i * 8]++;
		}
	}
	turns[63] = 1;
	msleep(ms);
	for (int i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < n; i++)
		CHECK_KILLED(pid[i], SIGKILL);
}

static void equals_share_equally(void)
{
	static const int equal[] = { 0, 0, 0, 0 };
	volatile uint64_t *turns = shared_memory(4096);

	compete(equal, 4, 400, turns);
	for (int i = 0; i < 4; i++) {
		/* A vCPU that loses its host core charges whoever runs: only a gross difference is the scheduler's. */
		if (!CHECK(turns[i * 8] > 0 && turns[i * 8] * 8 > turns[0] && turns[0] * 8 > turns[i * 8]))
			diag("  %llu and %llu turns", (unsigned long long)turns[0], (unsigned long long)turns[i * 8]);
	}
}

static void nicer_gets_less(void)
{
	static const int unequal[] = { 0, 10 };
	volatile uint64_t *turns = shared_memory(4096);

	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) == -1 && errno == ENOSYS)
		SKIP("no getpriority");
	compete(unequal, 2, 400, turns);
	/* By weight 1024 to 110. */
	if (!CHECK(turns[0] > 3 * turns[8] && turns[8] > 0))
		diag("  %llu and %llu turns", (unsigned long long)turns[0], (unsigned long long)turns[8]);
}

/* A sleeper gets its CPU soon although others would spin on it for ever. */
static void sleepers_wake_soon(void)
{
	int cpu = first_cpu();
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			pin(cpu);
			for (;;)
				;
		}
	}
	REQUIRE(pin(cpu));
	for (int i = 0; i < 10; i++) {
		uint64_t start = now_ns();

		msleep(2);
		CHECK(now_ns() - start < 10000 * MS);
	}
	for (int i = 0; i < 3; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < 3; i++)
		CHECK_KILLED(pid[i], SIGKILL);
}

/* More threads than CPUs all get on, and all CPUs are used. */
static volatile bool go, stop;
static volatile uint64_t ran_on[16];
static volatile long progress[16];

static void *spin(void *arg)
{
	long i = (long)arg;

	while (!go)
		sched_yield();
	while (!stop) {
		int cpu = sched_getcpu();

		if (cpu >= 0 && cpu < 64)
			ran_on[i] |= 1ull << cpu;
		progress[i]++;
	}
	return NULL;
}

static void all_cpus_are_used(void)
{
	int n = cpus_online() < 8 ? 2 * cpus_online() : 16, want = cpus_online() < 8 ? cpus_online() : 8;
	int running = 0;
	uint64_t used = 0;
	pthread_t t[16];

	for (long i = 0; i < n; i++)
		REQUIRE(pthread_create(&t[i], NULL, spin, (void *)i) == 0);
	go = true;
	/* Balancing may take a moment, the more so on a machine that is busy otherwise. */
	for (int tries = 0; tries < 50 && (__builtin_popcountll(used) < want || running < n); tries++) {
		msleep(100);
		running = 0;
		for (int i = 0; i < n; i++) {
			used |= ran_on[i];
			running += progress[i] > 0;
		}
	}
	stop = true;
	for (int i = 0; i < n; i++) {
		pthread_join(t[i], NULL);
		CHECK(progress[i] > 0);
	}
	CHECK(__builtin_popcountll(used) >= want);
}

static const struct ktap_case cases[] = {
	CASE(yield), CASE(affinity_of_all), CASE(moves_where_told), CASE(affinity_errors), CASE(affinity_is_inherited),
	CASE(others_are_moved), CASE(nice_values), CASE(equals_share_equally), CASE(nicer_gets_less),
	CASE(sleepers_wake_soon), CASE(all_cpus_are_used),
};

KTAP_MAIN(cases)
