/*
 * t_cow: memory over fork. Private pages are copied on write in both directions, shared ones are not, the kernel's own
 * writes into user memory copy as well; and stacks, which grow.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "tests/user/fault.h"
#include "tests/user/ktap.h"
#include "tests/user/maps.h"

#define RW (PROT_READ | PROT_WRITE)
#define N 64

static size_t P;	/* page size */

static char *private_pages(size_t n)
{
	char *p = mmap(NULL, n * P, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(p != MAP_FAILED))
		_exit(1);
	return p;
}

static void fill(char *p, size_t n, int base)
{
	for (size_t i = 0; i < n; i++)
		p[i * P] = (char)(base + (int)i);
}

static bool filled(const char *p, size_t n, int base)
{
	for (size_t i = 0; i < n; i++)
		if (p[i * P] != (char)(base + (int)i))
			return false;
	return true;
}

/* Two processes take turns: a byte through a pipe is one turn. */
static void pass(int fd)
{
	char c = 0;

	if (write(fd, &c, 1) != 1)
		_exit(99);
}

static void await(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(98);
}

static void child_writes(void)
{
	char *p = private_pages(N);
	pid_t pid;

	fill(p, N, 1);
	pid = must_fork();
	if (pid == 0) {
		bool same = filled(p, N, 1);

		fill(p, N, 101);
		_exit(same && filled(p, N, 101) ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
	CHECK(filled(p, N, 1));
	fill(p, N, 7);
	CHECK(filled(p, N, 7));
}

static void parent_writes(void)
{
	char *p = private_pages(N);
	int to[2], from[2];
	pid_t pid;

	REQUIRE(pipe(to) == 0 && pipe(from) == 0);
	fill(p, N, 1);
	pid = must_fork();
	if (pid == 0) {
		await(to[0]);
		if (!filled(p, N, 1))
			_exit(1);
		fill(p, N, 55);
		pass(from[1]);
		await(to[0]);
		_exit(filled(p, N, 55) ? 0 : 2);
	}
	fill(p, N, 33);
	pass(to[1]);
	await(from[0]);
	CHECK(filled(p, N, 33));
	fill(p, N, 34);
	pass(to[1]);
	CHECK_EXIT(pid, 0);
}

static void untouched_pages(void)
{
	char *p = private_pages(N);
	pid_t pid = must_fork();

	if (pid == 0) {
		if (!filled(p, 1, 0))
			_exit(1);
		fill(p, N, 5);
		_exit(filled(p, N, 5) ? 0 : 2);
	}
	CHECK_EXIT(pid, 0);
	for (int i = 0; i < N; i++)
		CHECK_EQ(p[(size_t)i * P], 0);
}

/* Each generation writes some pages, forks the next, and looks again after its whole line has ended. */
static void generation(char *p, unsigned char *expect, int depth, uint64_t seed)
{
	for (int k = 0; k < N / 2; k++) {
		size_t i = random_next(&seed) % N;

		expect[i] = (unsigned char)random_next(&seed);
		p[i * P + i] = (char)expect[i];
	}
	for (int child = 0; depth && child < 2; child++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			generation(p, expect, depth - 1, seed + (uint64_t)child);
			_exit(0);
		}
		CHECK_EXIT(pid, 0);
	}
	for (size_t i = 0; i < N; i++)
		if (!CHECK(p[i * P + i] == (char)expect[i]))
			_exit(1);
}

static void generations(void)
{
	unsigned char expect[N] = { 0 };

	generation(private_pages(N), expect, 4, 4711);
}

static void many_children_write(void)
{
	char *p = private_pages(N);
	pid_t pid[16];

	fill(p, N, 1);
	for (int c = 0; c < 16; c++) {
		pid[c] = must_fork();
		if (pid[c] == 0) {
			for (int round = 0; round < 4; round++) {
				fill(p, N, 20 * c + round);
				if (!filled(p, N, 20 * c + round))
					_exit(1);
			}
			_exit(0);
		}
	}
	fill(p, N, 9);
	for (int c = 0; c < 16; c++)
		CHECK_EXIT(pid[c], 0);
	CHECK(filled(p, N, 9));
}

static void read_only_stays_read_only(void)
{
	char *p = private_pages(4);
	pid_t pid;

	fault_catch();
	fill(p, 4, 1);
	REQUIRE(mprotect(p, 4 * P, PROT_READ) == 0);
	pid = must_fork();
	if (pid == 0)
		_exit(fault_write(p, 2) == SIGSEGV && fault_code == SEGV_ACCERR && filled(p, 4, 1) ? 0 : 1);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(fault_write(p, 2), SIGSEGV);
	REQUIRE(mprotect(p, 4 * P, RW) == 0);
	fill(p, 4, 3);
	CHECK(filled(p, 4, 3));
}

/* Rights that come back after a fork must not make a shared page writable. */
static void mprotect_after_fork(void)
{
	char *p = private_pages(N);
	int to[2];
	pid_t pid;

	REQUIRE(pipe(to) == 0);
	fill(p, N, 1);
	pid = must_fork();
	if (pid == 0) {
		await(to[0]);
		_exit(filled(p, N, 1) ? 0 : 1);
	}
	REQUIRE(mprotect(p, N * P, PROT_READ) == 0);
	REQUIRE(mprotect(p, N * P, RW) == 0);
	fill(p, N, 77);
	pass(to[1]);
	CHECK_EXIT(pid, 0);
}

static void shared_memory_is_shared(void)
{
	char *p = shared_memory(N * P);
	int to[2], from[2];
	pid_t pid;

	REQUIRE(pipe(to) == 0 && pipe(from) == 0);
	fill(p, N / 2, 1);
	pid = must_fork();
	if (pid == 0) {
		if (!filled(p, N / 2, 1))
			_exit(1);
		fill(p, N, 50);
		pass(from[1]);
		await(to[0]);
		_exit(filled(p, N, 60) ? 0 : 2);
	}
	await(from[0]);
	CHECK(filled(p, N, 50));
	fill(p, N, 60);
	pass(to[1]);
	CHECK_EXIT(pid, 0);
	CHECK(filled(p, N, 60));
	CHECK_EQ(munmap(p, N * P), 0);
}

static void shared_memory_dontneed_keeps(void)
{
	char *p = shared_memory(4 * P);

	fill(p, 4, 3);
	CHECK_EQ(madvise(p, 4 * P, MADV_DONTNEED), 0);
	CHECK(filled(p, 4, 3));
}

static void shared_counter(void)
{
	long *count = shared_memory(P);
	int n = ktap_scale(2000);
	pid_t pid[4];

	for (int c = 0; c < 4; c++) {
		pid[c] = must_fork();
		if (pid[c] == 0) {
			for (int i = 0; i < n; i++)
				__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
			_exit(0);
		}
	}
	for (int c = 0; c < 4; c++)
		CHECK_EXIT(pid[c], 0);
	CHECK_EQ(*count, 4L * n);
}

/* read() writes through the kernel: it must copy the page like a store would. */
static void kernel_writes_copy(void)
{
	char *p = private_pages(2);
	int data[2], to[2];
	pid_t pid;

	REQUIRE(pipe(data) == 0 && pipe(to) == 0);
	memset(p, 'a', 2 * P);
	pid = must_fork();
	if (pid == 0) {
		await(to[0]);
		_exit(p[P - 2] == 'a' && p[P + 1] == 'a' ? 0 : 1);
	}
	CHECK_EQ(write(data[1], "wxyz", 4), 4);
	CHECK_EQ(read(data[0], p + P - 2, 4), 4);
	CHECK(!memcmp(p + P - 3, "awxyza", 6));
	pass(to[1]);
	CHECK_EXIT(pid, 0);
}

static void kernel_touches_fresh_pages(void)
{
	char *p = private_pages(4);
	int data[2];

	REQUIRE(pipe(data) == 0);
	CHECK_EQ(write(data[1], p + P - 8, 16), 16);
	CHECK_EQ(read(data[0], p + 3 * P - 8, 16), 16);
	CHECK_EQ(write(data[1], "0123456789", 10), 10);
	CHECK_EQ(read(data[0], p + 2 * P - 5, 10), 10);
	CHECK(!memcmp(p + 2 * P - 5, "0123456789", 10));
}

static void child_has_the_same_entries(void)
{
	int here = maps_walk(NULL, NULL);
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(maps_walk(NULL, NULL) == here ? 0 : 1);
	CHECK_EXIT(pid, 0);
}

static void child_changes_its_own_space(void)
{
	char *p = private_pages(4);
	pid_t pid;

	fill(p, 4, 1);
	pid = must_fork();
	if (pid == 0) {
		bool good = munmap(p, 2 * P) == 0 && mprotect(p + 2 * P, P, PROT_NONE) == 0;

		_exit(good && mmap(p, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
	CHECK(filled(p, 4, 1));
	fill(p, 4, 2);
	CHECK(filled(p, 4, 2));
}

static void program_data_is_private(void)
{
	static char data[65536] = { 1 };
	pid_t pid = must_fork();

	if (pid == 0) {
		memset(data, 7, sizeof(data));
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK(data[0] == 1 && data[65535] == 0);
}

static int deep(int depth)
{
	volatile char frame[4096];

	memset((char *)frame, depth, sizeof(frame));
	if (depth > 0 && deep(depth - 1) != depth - 1)
		return -1;
	return frame[0] == (char)depth && frame[4095] == (char)depth ? depth : -1;
}

static void stack_grows(void)
{
	CHECK_EQ(deep(1000), 1000);
}

/* The first touch lies far below what was used, as with a large array. */
static void stack_grows_by_leaps(void)
{
	volatile char *p = alloca(2 << 20);

	p[0] = 1;
	p[1 << 20] = 2;
	CHECK(p[0] == 1 && p[1 << 20] == 2);
}

static int endless(int n)
{
	volatile char frame[1024];

	frame[n & 1023] = (char)n;
	return n < 0 ? 0 : endless(n + 1) + frame[n & 1023];
}

static void stack_has_a_limit(void)
{
	struct rlimit small = { 256 << 10, 256 << 10 };
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(endless(0) & 1);
	CHECK_KILLED(pid, SIGSEGV);
	pid = must_fork();
	if (pid == 0) {
		if (setrlimit(RLIMIT_STACK, &small) && errno == ENOSYS)
			_exit(2);
		deep(200);
		_exit(3);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void *overflow(void *arg)
{
	return arg + (endless(0) & 1);
}

static void thread_stack_has_a_guard(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		pthread_t t;

		if (pthread_create(&t, NULL, overflow, NULL))
			_exit(2);
		pthread_join(t, NULL);
		_exit(3);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void fork_with_much_memory(void)
{
	size_t n = ((size_t)16 << 20) / P;
	char *p = private_pages(n);
	pid_t pid;

	fill(p, n, 1);
	for (int round = 0; round < 3; round++) {
		pid = must_fork();
		if (pid == 0) {
			bool same = filled(p, n, 1 + round);

			fill(p, n / 4, 90);
			_exit(same && filled(p, n / 4, 90) ? 0 : 1);
		}
		CHECK_EXIT(pid, 0);
		CHECK(filled(p, n, 1 + round));
		fill(p, n, 2 + round);
	}
}

static const struct ktap_case cases[] = {
	CASE(child_writes), CASE(parent_writes), CASE(untouched_pages), CASE(generations), CASE(many_children_write),
	CASE(read_only_stays_read_only), CASE(mprotect_after_fork), CASE(shared_memory_is_shared),
	CASE(shared_memory_dontneed_keeps), CASE(shared_counter), CASE(kernel_writes_copy),
	CASE(kernel_touches_fresh_pages), CASE(child_has_the_same_entries), CASE(child_changes_its_own_space),
	CASE(program_data_is_private), CASE(stack_grows), CASE(stack_grows_by_leaps), CASE(stack_has_a_limit),
	CASE(thread_stack_has_a_guard), CASE(fork_with_much_memory),
};

int main(int argc, char **argv)
{
	P = page_bytes();
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
