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
		CHECK(eventually(*where == cpu + 1));
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
static void compete(const int *niceness, int n, int ms, uint64_t *turns)
{
	static struct {
		volatile int ready, go;
		struct {
			_Alignas(64) volatile uint64_t turns;
		} of[8];
	} *s;
	int cpu = first_cpu();
	pid_t pid[8];

	if (!s)
		s = shared_memory(sizeof(*s));
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < n; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			if (!pin(cpu) || setpriority(PRIO_PROCESS, 0, niceness[i]))
				_exit(1);
			__atomic_fetch_add(&s->ready, 1, __ATOMIC_SEQ_CST);
			while (!s->go)
				let_others_run();
			for (;;)
				s->of[i].turns++;
		}
	}
	CHECK(eventually(s->ready == n));
	s->go = 1;
	msleep(ms);
	for (int i = 0; i < n; i++)
		turns[i] = s->of[i].turns;
	for (int i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < n; i++)
		CHECK_KILLED(pid[i], SIGKILL);
}

/*
 * Is that how the turns are shared? A vCPU that loses its host core charges whoever is on it, so only a gross
 * difference is the scheduler's: the best of a few competitions, each twice as long as the one before.
 */
static void shared_like(bool (*fair)(const uint64_t *turns), const int *niceness, int n)
{
	uint64_t turns[8] = { 0 };

	for (int ms = 400; ms <= 3200; ms *= 2) {
		compete(niceness, n, ms, turns);
		if (fair(turns))
			return;
		for (int i = 0; i < n; i++)
			diag("  %d: %llu turns in %d ms", i, (unsigned long long)turns[i], ms);
	}
	CHECK(!"shares of a CPU");
}

static bool four_alike(const uint64_t *turns)
{
	bool alike = turns[0] > 0;

	for (int i = 1; i < 4; i++)
		alike &= turns[i] * 8 > turns[0] && turns[0] * 8 > turns[i];
	return alike;
}

static void equals_share_equally(void)
{
	static const int equal[] = { 0, 0, 0, 0 };

	shared_like(four_alike, equal, 4);
}

/* By weight 1024 to 110. */
static bool second_has_less(const uint64_t *turns)
{
	return turns[0] > 3 * turns[1] && turns[1] > 0;
}

static void nicer_gets_less(void)
{
	static const int unequal[] = { 0, 10 };

	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) == -1 && errno == ENOSYS)
		SKIP("no getpriority");
	shared_like(second_has_less, unequal, 2);
}

/* A sleeper gets its CPU soon although others would spin on it for ever. */
static void sleepers_wake_soon(void)
{
	volatile uint64_t *turns = shared_memory(4096);
	uint64_t best = ~0ull;
	int cpu = first_cpu();
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			pin(cpu);
			for (;;)
				turns[i]++;
		}
	}
	CHECK(eventually(turns[0] && turns[1] && turns[2]));
	REQUIRE(pin(cpu));
	for (int i = 0; i < 10; i++) {
		uint64_t start = now_ns(), took;

		msleep(2);
		took = now_ns() - start;
		best = took < best ? took : best;
	}
	/* What the host's delay is charged to waits until the others have had as much: the best tells. */
	CHECK(best < 500 * MS);
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
		let_others_run();
	while (!stop) {
		int cpu = sched_getcpu();

		if (cpu >= 0 && cpu < 64)
			ran_on[i] |= 1ull << cpu;
		progress[i]++;
	}
	return NULL;
}

static int cpus_used(int n)
{
	uint64_t used = 0;

	for (int i = 0; i < n; i++)
		used |= ran_on[i];
	return __builtin_popcountll(used);
}

static bool all_progress(int n)
{
	bool all = true;

	for (int i = 0; i < n; i++)
		all &= progress[i] > 0;
	return all;
}

static void all_cpus_are_used(void)
{
	int n = cpus_online() < 8 ? 2 * cpus_online() : 16, want = cpus_online() < 8 ? cpus_online() : 8;
	pthread_t t[16];

	for (long i = 0; i < n; i++)
		REQUIRE(pthread_create(&t[i], NULL, spin, (void *)i) == 0);
	go = true;
	/* Balancing may take a moment, the more so on a machine that is busy otherwise. */
	CHECK(eventually(cpus_used(n) >= want));
	CHECK(eventually(all_progress(n)));
	stop = true;
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

static const struct ktap_case cases[] = {
	CASE(yield), CASE(affinity_of_all), CASE(moves_where_told), CASE(affinity_errors), CASE(affinity_is_inherited),
	CASE(others_are_moved), CASE(nice_values), CASE(equals_share_equally), CASE(nicer_gets_less),
	CASE(sleepers_wake_soon), CASE(all_cpus_are_used),
};

KTAP_MAIN(cases)
