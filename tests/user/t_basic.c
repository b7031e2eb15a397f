/*
 * t_basic: what any program needs; also built with musl. Output, memory, fork, exec, a thread, a signal.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>

#include "tests/user/ktap.h"

static void output(void)
{
	int fds[2];
	char buf[16];

	REQUIRE(pipe(fds) == 0);
	CHECK_EQ(dprintf(fds[1], "%d %s %.2f", 42, "abc", 1.5), 11);
	CHECK_EQ(read(fds[0], buf, sizeof(buf)), 11);
	CHECK(!memcmp(buf, "42 abc 1.50", 11));
}

static void memory(void)
{
	enum { N = 200 };
	unsigned char *p[N];

	for (int i = 0; i < N; i++) {
		size_t size = (size_t)1 << (i % 18);

		p[i] = malloc(size);
		REQUIRE(p[i]);
		memset(p[i], i, size);
	}
	for (int i = 0; i < N; i++) {
		size_t size = (size_t)1 << (i % 18);

		CHECK(p[i][0] == (unsigned char)i && p[i][size - 1] == (unsigned char)i);
		p[i] = realloc(p[i], 2 * size);
		REQUIRE(p[i]);
		CHECK(p[i][size - 1] == (unsigned char)i);
		free(p[i]);
	}
}

static void fork_wait(void)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(getppid() > 0 ? 33 : 1);
	CHECK_EXIT(pid, 33);
}

static __thread int thread_local = 5;

static void *thread(void *arg)
{
	thread_local += *(int *)arg;
	return thread_local == 12 ? arg : NULL;
}

static void thread_join(void)
{
	pthread_t t;
	int seven = 7;
	void *result;

	REQUIRE(pthread_create(&t, NULL, thread, &seven) == 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK(result == &seven);
	CHECK_EQ(thread_local, 5);
}

static volatile sig_atomic_t caught;

static void catch (int sig)
{
	caught = sig;
}

static void signal_handler(void)
{
	CHECK(signal(SIGUSR1, catch) == SIG_DFL);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(caught, SIGUSR1);
}

static void exec_self(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		execl("/proc/self/exe", "t_basic", "--exit-44", (char *)NULL);
		_exit(1);
	}
	CHECK_EXIT(pid, 44);
}

static void file(void)
{
	char path[64], buf[8];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/t_basic.%d", (int)getpid());
	f = fopen(path, "w");
	REQUIRE(f);
	CHECK(fputs("hello", f) >= 0);
	CHECK_EQ(fclose(f), 0);
	f = fopen(path, "r");
	REQUIRE(f);
	CHECK(fgets(buf, sizeof(buf), f) && !strcmp(buf, "hello"));
	fclose(f);
	CHECK_EQ(unlink(path), 0);
}

static const struct ktap_case cases[] = {
	CASE(output),	      CASE(memory),    CASE(fork_wait), CASE(thread_join),
	CASE(signal_handler), CASE(exec_self), CASE(file),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--exit-44"))
		return 44;
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
