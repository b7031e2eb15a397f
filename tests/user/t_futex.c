/*
 * t_futex: the futex call itself. Values, timeouts, bit sets, requeueing, shared and private words, and races.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/user/ktap.h"

#define PRIVATE FUTEX_PRIVATE_FLAG
#define MS 1000000

static long futex(void *word, int op, uint32_t val, const void *timeout, void *word2, uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

#define WAITERS 6

static uint32_t word, word2;
static volatile int woken, waiting;
static volatile pid_t waiter[WAITERS];	/* thread ids, in the order in which they came */

/* Wait on the word once, with the bits in arg, and note that it came back. */
static void *wait_once(void *arg)
{
	waiter[__atomic_fetch_add(&waiting, 1, __ATOMIC_SEQ_CST)] = (pid_t)syscall(SYS_gettid);
	while (futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 0, NULL, NULL, (uint32_t)(uintptr_t)arg) && errno == EINTR)
		;
	__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Start n threads that wait. Who has said its id sleeps nowhere but in the futex call. */
static void start_waiters(pthread_t *t, int n, uint32_t bits)
{
	int first = waiting;

	for (int i = 0; i < n; i++)
		if (!CHECK(pthread_create(&t[i], NULL, wait_once, (void *)(uintptr_t)bits) == 0))
			_exit(1);
	for (int i = first; i < first + n; i++)
		CHECK(eventually(waiter[i] && ktap_state_of(getpid(), waiter[i]) == 'S'));
}

static void wrong_value(void)
{
	word = 5;
	CHECK_ERR(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 6, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 6, NULL, NULL, 1), EAGAIN);
}

static void errors(void)
{
	struct timespec bad = { .tv_nsec = 1000000000 }, negative = { .tv_sec = -1 };

	CHECK_ERR(futex((char *)&word + 1, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((char *)&word + 2, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 0, &bad, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 0, &negative, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, FUTEX_WAKE_BITSET | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(NULL, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(NULL, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex((void *)(UINTPTR_MAX - 4095), FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 0, (void *)8, NULL, 0), EFAULT);
}

static void relative_timeout(void)
{
	struct timespec ts = { .tv_nsec = 15 * MS };
	uint64_t start = now_ns();

	CHECK_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
	CHECK(now_ns() - start >= 15 * MS);
	CHECK(now_ns() - start < 10000ull * MS);
	ts.tv_nsec = 0;
	CHECK_ERR(futex(&word, FUTEX_WAIT | PRIVATE, 0, &ts, NULL, 0), ETIMEDOUT);
}

static void absolute_timeout(void)
{
	static const struct {
		clockid_t clock;
		int flag;
	} clocks[] = { { CLOCK_MONOTONIC, 0 }, { CLOCK_REALTIME, FUTEX_CLOCK_REALTIME } };

	for (int i = 0; i < 2; i++) {
		uint64_t start = now_ns();
		struct timespec ts;

		clock_gettime(clocks[i].clock, &ts);
		ts.tv_nsec += 15 * MS;
		ts.tv_sec += ts.tv_nsec / 1000000000;
		ts.tv_nsec %= 1000000000;
		CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | PRIVATE | clocks[i].flag, 0, &ts, NULL, ~0u), ETIMEDOUT);
		CHECK(now_ns() - start >= 14 * MS);
		ts.tv_sec = 1;
		start = now_ns();
		CHECK_ERR(futex(&word, FUTEX_WAIT_BITSET | PRIVATE | clocks[i].flag, 0, &ts, NULL, ~0u), ETIMEDOUT);
	}
}

static void wake_counts(void)
{
	pthread_t t[6];

	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
	start_waiters(t, 6, ~0u);
	CHECK_EQ(woken, 0);
	CHECK_EQ(futex(&word2, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK(eventually(woken == 1));
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 3, NULL, NULL, 0), 3);
	CHECK(eventually(woken == 4));
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 2);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 0);
}

static void bit_sets(void)
{
	pthread_t a[3], b[2];

	start_waiters(a, 3, 1);
	start_waiters(b, 2, 6);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET | PRIVATE, 100, NULL, NULL, 8), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET | PRIVATE, 100, NULL, NULL, 4), 2);
	CHECK(eventually(woken == 2));
	pthread_join(b[0], NULL);
	pthread_join(b[1], NULL);
	CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET | PRIVATE, 2, NULL, NULL, 9), 2);
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 1);
	for (int i = 0; i < 3; i++)
		pthread_join(a[i], NULL);
}

static void requeue(void)
{
	pthread_t t[5];
	long moved;

	start_waiters(t, 5, ~0u);
	moved = futex(&word, FUTEX_REQUEUE | PRIVATE, 1, (void *)2, &word2, 0);
	if (moved < 0 && errno == ENOSYS)
		SKIP("no FUTEX_REQUEUE");
	CHECK_EQ(moved, 3);
	CHECK(eventually(woken == 1));
	CHECK_ERR(futex(&word, FUTEX_CMP_REQUEUE | PRIVATE, 1, (void *)1, &word2, 7), EAGAIN);
	CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE | PRIVATE, 0, (void *)1, &word2, 0), 1);
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 1);
	CHECK(eventually(woken == 2));
	CHECK_EQ(futex(&word2, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 3);
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
}

static void between_processes(void)
{
	uint32_t *shared = shared_memory(4096);
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 0)
				futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
			_exit(0);
		}
	}
	for (int i = 0; i < 3; i++)
		CHECK(falls_asleep(pid[i]));
	CHECK_EQ(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	__atomic_store_n(shared, 1, __ATOMIC_SEQ_CST);
	CHECK(futex(shared, FUTEX_WAKE, 100, NULL, NULL, 0) >= 2);
	for (int i = 0; i < 3; i++)
		CHECK_EXIT(pid[i], 0);
}

/* The same page mapped at two addresses is one futex. */
static void shared_word_at_two_addresses(void)
{
	size_t page = page_bytes();
	char *a = shared_memory(2 * page), *b;
	pid_t pid;

	b = mremap(a, 0, 2 * page, MREMAP_MAYMOVE);
	if (b == MAP_FAILED)
		SKIP("no second mapping");
	pid = must_fork();
	if (pid == 0) {
		while (*(volatile uint32_t *)(a + 4) == 0)
			futex(a + 4, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(0);
	}
	CHECK(falls_asleep(pid));
	*(volatile uint32_t *)(b + 4) = 1;
	CHECK_EQ(futex(b + 4, FUTEX_WAKE, 100, NULL, NULL, 0), 1);
	CHECK_EXIT(pid, 0);
}

static void private_words_stay_apart(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(1);
	}
	CHECK(falls_asleep(pid));
	CHECK_EQ(futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&word, FUTEX_WAKE | PRIVATE, 100, NULL, NULL, 0), 0);
	CHECK_EQ(ktap_state_of(pid, 0), 'S');
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

static void nothing(int sig)
{
	(void)sig;
}

static void interrupted(void)
{
	struct sigaction sa;
	pid_t me = getpid(), pid;
	long r;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = nothing;
	sigaction(SIGUSR1, &sa, NULL);
	pid = must_fork();
	if (pid == 0) {
		do
			msleep(10);
		while (!kill(me, SIGUSR1));
		_exit(1);
	}
	r = futex(&word, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0);
	CHECK(r == -1 && errno == EINTR);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

static void killed_waiter_is_forgotten(void)
{
	uint32_t *shared = shared_memory(4096);
	pid_t pid = must_fork();

	if (pid == 0) {
		futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(1);
	}
	CHECK(falls_asleep(pid));
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
	CHECK_EQ(futex(shared, FUTEX_WAKE, 100, NULL, NULL, 0), 0);
}

/* Strict turns: whoever loses a wake-up hangs, and the watchdog tells. Who has turn 0 says when it is over. */
#define OVER 2u

static void *take_turns(void *arg)
{
	uint32_t mine = (uint32_t)(uintptr_t)arg, now = mine, next = mine;

	for (int i = 0; next != OVER; i++) {
		while ((now = __atomic_load_n(&word, __ATOMIC_SEQ_CST)) != mine) {
			if (now == OVER)
				return NULL;
			futex(&word, FUTEX_WAIT | PRIVATE, now, NULL, NULL, 0);
		}
		next = mine || another(i, 1000) ? !mine : OVER;
		__atomic_store_n(&word, next, __ATOMIC_SEQ_CST);
		futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

static void ping_pong(void)
{
	pthread_t t;

	REQUIRE(pthread_create(&t, NULL, take_turns, (void *)1) == 0);
	take_turns((void *)0);
	pthread_join(t, NULL);
}

/* The three-state lock of "Futexes are tricky", with many threads. */
static uint32_t lock_word;
static volatile long guarded;
static int turns;

static void lock(void)
{
	uint32_t c = 0;

	if (__atomic_compare_exchange_n(&lock_word, &c, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	if (c != 2)
		c = __atomic_exchange_n(&lock_word, 2, __ATOMIC_SEQ_CST);
	while (c) {
		futex(&lock_word, FUTEX_WAIT | PRIVATE, 2, NULL, NULL, 0);
		c = __atomic_exchange_n(&lock_word, 2, __ATOMIC_SEQ_CST);
	}
}

static void unlock(void)
{
	if (__atomic_exchange_n(&lock_word, 0, __ATOMIC_SEQ_CST) == 2)
		futex(&lock_word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0);
}

static void *contend(void *arg)
{
	for (int i = 0; i < turns; i++) {
		lock();
		long seen = guarded;

		if (i % 16 == 0)
			sched_yield();
		guarded = seen + 1;
		unlock();
	}
	return arg;
}

static void contended_lock(void)
{
	enum { N = 12 };
	pthread_t t[N];

	turns = ktap_scale(500);
	for (int i = 0; i < N; i++)
		REQUIRE(pthread_create(&t[i], NULL, contend, NULL) == 0);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(guarded, (long)N * turns);
}

/* Waits with timeouts race with wake-ups; every wake-up that counted somebody must have woken somebody. */
static volatile int stop, returned_woken, counted;

static void *wait_briefly(void *arg)
{
	while (!stop) {
		struct timespec ts = { .tv_nsec = 200000 };

		if (futex(&word, FUTEX_WAIT | PRIVATE, 0, &ts, NULL, 0) == 0)
			__atomic_fetch_add(&returned_woken, 1, __ATOMIC_SEQ_CST);
	}
	return arg;
}

static void timeouts_race_with_wakes(void)
{
	enum { N = 4 };
	pthread_t t[N];
	int rounds = ktap_scale(1500);

	for (int i = 0; i < N; i++)
		REQUIRE(pthread_create(&t[i], NULL, wait_briefly, NULL) == 0);
	for (int i = 0; i < rounds || counted < 20; i++) {
		counted += (int)futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0);
		if (i % 8 == 0)
			sched_yield();
		if (i % 64 == 0)
			msleep(1);
	}
	stop = 1;
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(returned_woken, counted);
	diag("%d wake-ups met a waiter", counted);
}

static void *exit_at_once(void *arg)
{
	return arg;
}

/* Joining waits on the word that the kernel clears when the thread ends. */
static void clear_child_tid(void)
{
	for (int i = 0; another(i, 300); i++) {
		pthread_t t[3];

		for (int k = 0; k < 3; k++)
			REQUIRE(pthread_create(&t[k], NULL, exit_at_once, NULL) == 0);
		for (int k = 0; k < 3; k++)
			REQUIRE(pthread_join(t[k], NULL) == 0);
	}
}

static const struct ktap_case cases[] = {
	CASE(wrong_value),
	CASE(errors),
	CASE(relative_timeout),
	CASE(absolute_timeout),
	CASE(wake_counts),
	CASE(bit_sets),
	CASE(requeue),
	CASE(between_processes),
	CASE(shared_word_at_two_addresses),
	CASE(private_words_stay_apart),
	CASE(interrupted),
	CASE(killed_waiter_is_forgotten),
	CASE(ping_pong),
	CASE(contended_lock),
	CASE(timeouts_race_with_wakes),
	CASE(clear_child_tid),
};

KTAP_MAIN(cases)
