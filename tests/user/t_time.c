/*
 * t_time: clocks and sleeping. No sleep is too short, clocks do not run backwards, timers count.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

#include "tests/user/ktap.h"

#define MS 1000000ull

/* How long a loop may try to use CPU time: time also passes while the host holds up a CPU that is somebody else's. */
#define LONG_ENOUGH (15000 * MS)

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	CHECK_EQ(clock_gettime(id, &ts), 0);
	CHECK(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void monotonic(void)
{
	uint64_t last = 0;
	int n = ktap_scale(5000);

	for (int i = 0; i < n; i++) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		REQUIRE(now >= last);
		last = now;
	}
}

static void monotonic_across_processes(void)
{
	uint64_t *shared = shared_memory(4096);
	int n = ktap_scale(1000);
	pid_t pid[3];

	for (int c = 0; c < 3; c++) {
		pid[c] = must_fork();
		if (pid[c] == 0) {
			for (int i = 0; i < n; i++) {
				uint64_t seen = __atomic_load_n(shared, __ATOMIC_SEQ_CST), now = now_ns();

				if (now < seen) {
					diag("%llu ns back", (unsigned long long)(seen - now));
					_exit(1);
				}
				__atomic_compare_exchange_n(shared, &seen, now, false, __ATOMIC_SEQ_CST,
							    __ATOMIC_SEQ_CST);
				if (i % 50 == 0)
					sched_yield();
			}
			_exit(0);
		}
	}
	for (int c = 0; c < 3; c++)
		CHECK_EXIT(pid[c], 0);
}

static void clock_ids(void)
{
	static const clockid_t needed[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
					    CLOCK_THREAD_CPUTIME_ID };
	static const clockid_t optional[] = { CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
					      CLOCK_BOOTTIME };
	struct timespec ts;

	for (size_t i = 0; i < 4; i++) {
		clock_ns(needed[i]);
		CHECK_EQ(clock_getres(needed[i], &ts), 0);
		CHECK(ts.tv_sec == 0 && ts.tv_nsec > 0 && ts.tv_nsec <= 10000000);
		if (clock_gettime(optional[i], &ts) == 0)
			CHECK(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
		else
			CHECK_EQ(errno, EINVAL);
	}
	CHECK_ERR(syscall(SYS_clock_gettime, 99, &ts), EINVAL);
	CHECK_ERR(syscall(SYS_clock_getres, 99, &ts), EINVAL);
}

static void wall_clock(void)
{
	struct timeval tv;
	time_t a = time(NULL), b;

	CHECK_EQ(gettimeofday(&tv, NULL), 0);
	b = time(NULL);
	CHECK(tv.tv_usec >= 0 && tv.tv_usec < 1000000);
	CHECK(tv.tv_sec >= a - 1 && tv.tv_sec <= b + 1);
}

static void clocks_advance_together(void)
{
	uint64_t m = clock_ns(CLOCK_MONOTONIC), r = clock_ns(CLOCK_REALTIME), dm, dr, later;

	msleep(50);
	dm = clock_ns(CLOCK_MONOTONIC) - m;
	dr = clock_ns(CLOCK_REALTIME) - r;
	later = clock_ns(CLOCK_MONOTONIC) - m;
	CHECK(dm >= 50 * MS);
	CHECK(dr >= 45 * MS && dr <= later + 50 * MS);
}

static uint64_t timeval_ns(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000 * MS + (uint64_t)tv->tv_usec * 1000;
}

static void cpu_time(void)
{
	uint64_t before = clock_ns(CLOCK_PROCESS_CPUTIME_ID), busy, asleep = ~0ull, wall = now_ns();
	struct rusage ru;

	while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 30 * MS && now_ns() - wall < LONG_ENOUGH)
		;
	busy = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(busy - before >= 30 * MS);
	/* Sleep costs nothing; but a host may hold the CPU up just when we are on it. */
	for (int i = 0; i < 5; i++) {
		uint64_t begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID), end;

		msleep(50);
		end = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		asleep = end - begin < asleep ? end - begin : asleep;
	}
	CHECK(asleep < 25 * MS);
	CHECK_EQ(getrusage(RUSAGE_SELF, &ru), 0);
	CHECK(timeval_ns(&ru.ru_utime) + timeval_ns(&ru.ru_stime) >= 10 * MS);
}

static void childrens_time(void)
{
	struct rusage ru;
	struct tms t;
	pid_t pid = must_fork();

	if (pid == 0) {
		uint64_t wall = now_ns();

		while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < 40 * MS && now_ns() - wall < LONG_ENOUGH)
			;
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(getrusage(RUSAGE_CHILDREN, &ru), 0);
	CHECK(timeval_ns(&ru.ru_utime) + timeval_ns(&ru.ru_stime) >= 20 * MS);
	CHECK(times(&t) != (clock_t)-1);
	CHECK(t.tms_cutime + t.tms_cstime >= sysconf(_SC_CLK_TCK) / 50);
}

static void sleeps_are_long_enough(void)
{
	static const int us[] = { 1, 10, 100, 1000, 5000, 20000 };

	for (size_t i = 0; i < sizeof(us) / sizeof(us[0]); i++) {
		struct timespec ts = { .tv_nsec = us[i] * 1000L };
		uint64_t start = now_ns(), took;

		CHECK_EQ(nanosleep(&ts, NULL), 0);
		took = now_ns() - start;
		if (!CHECK(took >= (uint64_t)us[i] * 1000 && took < us[i] * 1000ull + 10000 * MS))
			diag("  %d us took %llu ns", us[i], (unsigned long long)took);
	}
}

static void absolute_sleep(void)
{
	struct timespec ts;
	uint64_t until = now_ns() + 20 * MS;

	ts.tv_sec = (time_t)(until / 1000000000u);
	ts.tv_nsec = (long)(until % 1000000000u);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
	CHECK(now_ns() >= until);
	until = now_ns();
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL), 0);
	CHECK(now_ns() - until < 10000 * MS);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20 * (long)MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL), 0);
}

static void sleep_errors(void)
{
	struct timespec bad = { .tv_nsec = 1000000000 }, negative = { .tv_sec = -1 }, minus = { .tv_nsec = -1 };
	struct itimerval it = { .it_value = { .tv_usec = 1000000 } };

	CHECK_ERR(nanosleep(&bad, NULL), EINVAL);
	CHECK_ERR(nanosleep(&negative, NULL), EINVAL);
	CHECK_ERR(nanosleep(&minus, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(99, 0, &minus, NULL), EINVAL);
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, NULL), EINVAL);
	CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value.tv_usec = -1;
	CHECK_ERR(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
	it.it_value.tv_usec = 0;
	CHECK_ERR(syscall(SYS_setitimer, 77, &it, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_getitimer, 77, &it), EINVAL);
}

/* Many sleepers wake in the order of their times, each late by little. */
static void many_sleepers(void)
{
	enum { N = 40 };
	volatile uint64_t *woke = shared_memory(4096);
	uint64_t start = now_ns();
	pid_t pid[N];

	for (int i = 0; i < N; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			uint64_t until = start + 40 * MS + (uint64_t)((i * 17) % N) * MS;
			struct timespec ts = { (time_t)(until / 1000000000u), (long)(until % 1000000000u) };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
			woke[i] = now_ns();
			_exit(woke[i] < until);
		}
	}
	for (int i = 0; i < N; i++)
		CHECK_EXIT(pid[i], 0);
	for (int i = 0; i < N; i++)
		CHECK(woke[i] - start < 10000 * MS);
}

static void poll_times_out(void)
{
	uint64_t start = now_ns();
	struct timespec ts = { .tv_nsec = 1500000 };

	CHECK_EQ(poll(NULL, 0, 10), 0);
	CHECK(now_ns() - start >= 10 * MS);
	start = now_ns();
	CHECK_EQ(ppoll(NULL, 0, &ts, NULL), 0);
	CHECK(now_ns() - start >= 1500000);
	CHECK_EQ(poll(NULL, 0, 0), 0);
}

static volatile sig_atomic_t ticks;

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

static void interval_timer_left(void)
{
	struct itimerval it = { .it_value = { .tv_sec = 100 } }, now;
	uint64_t before = now_ns(), started, asked, left;

	CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
	started = now_ns();
	msleep(5);
	asked = now_ns();
	CHECK_EQ(getitimer(ITIMER_REAL, &now), 0);
	CHECK(now.it_interval.tv_sec == 0 && now.it_interval.tv_usec == 0);
	/* What is left and what has passed since it was started, at some moment of the two calls, make 100 s. */
	left = timeval_ns(&now.it_value);
	CHECK(left + (asked - started) <= 100001 * MS && left + (now_ns() - before) >= 99999 * MS);
	memset(&it, 0, sizeof(it));
	asked = now_ns();
	CHECK_EQ(setitimer(ITIMER_REAL, &it, &now), 0);
	left = timeval_ns(&now.it_value);
	CHECK(left + (asked - started) <= 100001 * MS && left + (now_ns() - before) >= 99999 * MS);
	CHECK_EQ(getitimer(ITIMER_REAL, &now), 0);
	CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_usec == 0);
}

static void timers_are_not_inherited(void)
{
	struct itimerval it = { .it_value = { .tv_sec = 100 } }, now;
	pid_t pid;

	CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
	pid = must_fork();
	if (pid == 0)
		_exit(getitimer(ITIMER_REAL, &now) || now.it_value.tv_sec || now.it_value.tv_usec);
	CHECK_EXIT(pid, 0);
}

static void virtual_timer(void)
{
	struct itimerval it = { .it_value = { .tv_usec = 20000 } };
	uint64_t start = now_ns();

	signal(SIGVTALRM, tick);
	if (setitimer(ITIMER_VIRTUAL, &it, NULL) && (errno == EINVAL || errno == ENOSYS))
		SKIP("no ITIMER_VIRTUAL");
	while (!ticks && now_ns() - start < LONG_ENOUGH)
		;
	CHECK_EQ(ticks, 1);
	CHECK(now_ns() - start >= 10 * MS);
}

static const struct ktap_case cases[] = {
	CASE(monotonic),
	CASE(monotonic_across_processes),
	CASE(clock_ids),
	CASE(wall_clock),
	CASE(clocks_advance_together),
	CASE(cpu_time),
	CASE(childrens_time),
	CASE(sleeps_are_long_enough),
	CASE(absolute_sleep),
	CASE(sleep_errors),
	CASE(many_sleepers),
	CASE(poll_times_out),
	CASE(interval_timer_left),
	CASE(timers_are_not_inherited),
	CASE(virtual_timer),
};

KTAP_MAIN(cases)
