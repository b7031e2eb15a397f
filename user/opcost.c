/*
 * opcost: what single operations cost, in nanoseconds of CLOCK_MONOTONIC per operation.
 *
 * Under "-icount shift=0" with one CPU a guest nanosecond is an instruction and a run repeats exactly: `make
 * bench-check` compares these figures with a committed baseline. Each operation is timed in batches; after a warm-up
 * the median of some rounds counts. Costs "per page" are differences between a process with 32 MiB populated and a bare
 * one. An ordinary Linux program: the same binary gives Linux's figures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/common/proc.h"
#include "user/common/stats.h"
#include "user/common/table.h"

#define REGION ((size_t)32 << 20)

/* Where a child notes the time just before it exits. */
static volatile uint64_t *child_exit_at;
static size_t page, pages;
static char self[4096];

static void die(const char *what)
{
	fprintf(stderr, "opcost: %s: %s\n", what, strerror(errno));
	exit(1);
}

static char *map_region(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

/* Write to every page; returns the time it took. */
static uint64_t touch(char *p, size_t size)
{
	uint64_t start = now_ns();

	for (size_t off = 0; off < size; off += page)
		((volatile char *)p)[off] = 1;
	return now_ns() - start;
}

static pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	return pid;
}

/* Wait for the child; returns when that was done. */
static uint64_t reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			die("waitpid");
	if (status) {
		fprintf(stderr, "opcost: a child failed (status %#x)\n", (unsigned int)status);
		exit(1);
	}
	return now_ns();
}

/* From the child's last instant until wait returns; the child touches size bytes first. */
static double exit_time(size_t size)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		if (size)
			touch(map_region(size), size);
		*child_exit_at = now_ns();
		_exit(0);
	}
	return (double)(reap(pid) - *child_exit_at);
}

static double exit_page(void)
{
	return (exit_time(REGION) - exit_time(0)) / (double)pages;
}

static double munmap_page(void)
{
	char *p = map_region(REGION);
	uint64_t start;

	touch(p, REGION);
	start = now_ns();
	munmap(p, REGION);
	return (double)(now_ns() - start) / (double)pages;
}

static double anon_fault(void)
{
	char *p = map_region(REGION);
	uint64_t first = touch(p, REGION), again = touch(p, REGION);

	munmap(p, REGION);
	return (double)(first - again) / (double)pages;
}

static double fork_exit_wait(void)
{
	const int n = 20;
	uint64_t start = now_ns();

	for (int i = 0; i < n; i++) {
		pid_t pid = must_fork();

		if (pid == 0)
			_exit(0);
		reap(pid);
	}
	return (double)(now_ns() - start) / n;
}

/*
 * Fork with size bytes populated; the child exits at once. Sets the whole time until wait returns, and the part of it
 * from the child's last instant. On one CPU this does not depend on who runs first after the fork.
 */
static void fork_populated(size_t size, double *whole, double *leave)
{
	char *p = size ? map_region(size) : NULL;
	uint64_t start, end;
	pid_t pid;

	if (p)
		touch(p, size);
	start = now_ns();
	pid = must_fork();
	if (pid == 0) {
		*child_exit_at = now_ns();
		_exit(0);
	}
	end = reap(pid);
	*whole = (double)(end - start);
	*leave = (double)(end - *child_exit_at);
	if (p)
		munmap(p, size);
}

static double fork_page(void)
{
	double whole, leave, bare_whole, bare_leave;

	fork_populated(REGION, &whole, &leave);
	fork_populated(0, &bare_whole, &bare_leave);
	return ((whole - leave) - (bare_whole - bare_leave)) / (double)pages;
}

static double fork_exit_page(void)
{
	double whole, leave, bare_whole, bare_leave;

	fork_populated(REGION, &whole, &leave);
	fork_populated(0, &bare_whole, &bare_leave);
	return (leave - bare_leave) / (double)pages;
}

/* A write to a page shared with a child that lives on: copied. */
static double cow_fault(void)
{
	const size_t size = (size_t)4 << 20;
	char *p = map_region(size);
	uint64_t first, again;
	int fds[2];
	char c = 0;
	pid_t pid;

	touch(p, size);
	if (pipe(fds))
		die("pipe");
	pid = must_fork();
	if (pid == 0) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) != 0);
	}
	close(fds[0]);
	first = touch(p, size);
	again = touch(p, size);
	close(fds[1]);
	reap(pid);
	munmap(p, size);
	return (double)(first - again) / (double)(size / page);
}

static double pipe_rtt(void)
{
	const int n = 500;
	int to[2], from[2];
	uint64_t start;
	char c = 0;
	pid_t pid;

	if (pipe(to) || pipe(from))
		die("pipe");
	pid = must_fork();
	if (pid == 0) {
		close(to[1]);
		close(from[0]);
		while (read(to[0], &c, 1) == 1)
			if (write(from[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	close(to[0]);
	close(from[1]);
	if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
		die("pipe");
	start = now_ns();
	for (int i = 0; i < n; i++)
		if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
			die("pipe");
	start = now_ns() - start;
	close(to[1]);
	close(from[0]);
	reap(pid);
	return (double)start / n;
}

/* Stands for the loop and call around the system call. */
static __attribute__((noinline)) pid_t no_call(void)
{
	__asm__ volatile("" ::: "memory");
	return 1;
}

static double syscall_getppid(void)
{
	const int n = 2000;
	uint64_t start = now_ns(), loop, calls;

	for (int i = 0; i < n; i++)
		no_call();
	loop = now_ns() - start;
	start = now_ns();
	for (int i = 0; i < n; i++)
		getppid();
	calls = now_ns() - start;
	return calls > loop ? (double)(calls - loop) / n : 0;
}

static double clock_gettime_call(void)
{
	const int n = 1000;
	uint64_t start = now_ns();

	for (int i = 0; i < n; i++)
		now_ns();
	return (double)(now_ns() - start) / n;
}

static double mmap_munmap_empty(void)
{
	const int n = 200;
	uint64_t start = now_ns();

	for (int i = 0; i < n; i++) {
		void *p = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || munmap(p, 16 * page))
			die("mmap");
	}
	return (double)(now_ns() - start) / n;
}

static double mprotect_page(void)
{
	char *p = map_region(REGION / 8);
	uint64_t start;

	touch(p, REGION / 8);
	start = now_ns();
	if (mprotect(p, REGION / 8, PROT_READ))
		die("mprotect");
	start = now_ns() - start;
	munmap(p, REGION / 8);
	return (double)start / (double)(pages / 8);
}

static void *empty_thread(void *arg)
{
	return arg;
}

static double thread_create_join(void)
{
	const int n = 50;
	uint64_t start = now_ns();

	for (int i = 0; i < n; i++) {
		pthread_t thread;

		errno = pthread_create(&thread, NULL, empty_thread, NULL);
		if (errno || pthread_join(thread, NULL))
			die("pthread_create");
	}
	return (double)(now_ns() - start) / n;
}

static double futex_wake(void)
{
	static int word;
	const int n = 1000;
	uint64_t start = now_ns();

	for (int i = 0; i < n; i++)
		syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	return (double)(now_ns() - start) / n;
}

/* Two processes on one CPU give way to each other. */
static double context_switch_yield(void)
{
	const int n = 500;
	cpu_set_t all, one;
	bool pinned;
	uint64_t start;
	pid_t pid;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu() < 0 ? 0 : sched_getcpu(), &one);
	pinned = !sched_getaffinity(0, sizeof(all), &all) && !sched_setaffinity(0, sizeof(one), &one);
	pid = must_fork();
	if (pid == 0) {
		for (int i = 0; i < n + 50; i++)
			sched_yield();
		_exit(0);
	}
	for (int i = 0; i < 25; i++)
		sched_yield();
	start = now_ns();
	for (int i = 0; i < n; i++)
		sched_yield();
	start = now_ns() - start;
	reap(pid);
	if (pinned)
		sched_setaffinity(0, sizeof(all), &all);
	return (double)start / (2 * n);
}

static volatile sig_atomic_t signals_taken;

static void take_signal(int sig)
{
	signals_taken += sig != 0;
}

static double signal_deliver_return(void)
{
	const int n = 500;
	struct sigaction sa, old;
	pid_t me = getpid();
	uint64_t start;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = take_signal;
	if (sigaction(SIGUSR1, &sa, &old))
		die("sigaction");
	signals_taken = 0;
	start = now_ns();
	for (int i = 0; i < n; i++)
		kill(me, SIGUSR1);
	start = now_ns() - start;
	sigaction(SIGUSR1, &old, NULL);
	if (signals_taken != n) {
		fprintf(stderr, "opcost: %d signals of %d arrived\n", (int)signals_taken, n);
		exit(1);
	}
	return (double)start / n;
}

/* vfork, exec of this program, which leaves at once, and wait. */
static double execve_wait(void)
{
	static char *args[] = { (char *)"opcost", (char *)"true", NULL };
	static char *env[] = { NULL };
	const int n = 10;
	uint64_t start = now_ns();

	for (int i = 0; i < n; i++) {
		pid_t pid = vfork();

		if (pid < 0)
			die("vfork");
		if (pid == 0) {
			execve(self, args, env);
			_exit(127);
		}
		reap(pid);
	}
	return (double)(now_ns() - start) / n;
}

static const struct op {
	const char *name;
	double (*measure)(void);
	const char *what;
} ops[] = {
	{ "exit_page", exit_page, "exit of a touched page" },
	{ "munmap_page", munmap_page, "munmap of a touched page" },
	{ "fork_exit_wait", fork_exit_wait, "fork, exit and wait of a bare process" },
	{ "anon_fault", anon_fault, "first touch of a page, clearing included" },
	{ "cow_fault", cow_fault, "write to a page that a child shares, copying included" },
	{ "fork_page", fork_page, "fork, per populated page" },
	{ "fork_exit_page", fork_exit_page, "exit of that child, per page" },
	{ "pipe_rtt", pipe_rtt, "a byte there and back between two processes" },
	{ "syscall_getppid", syscall_getppid, "the smallest system call" },
	{ "clock_gettime", clock_gettime_call, "CLOCK_MONOTONIC" },
	{ "mmap_munmap_empty", mmap_munmap_empty, "map and unmap 16 pages untouched" },
	{ "mprotect_page", mprotect_page, "mprotect of a touched page to read-only" },
	{ "thread_create_join", thread_create_join, "pthread_create and pthread_join" },
	{ "futex_wake", futex_wake, "wake nobody" },
	{ "context_switch_yield", context_switch_yield, "sched_yield to another process" },
	{ "signal_deliver_return", signal_deliver_return, "kill of oneself, with a handler" },
	{ "execve", execve_wait, "vfork, exec of this program, its start and exit, wait" },
};
#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static struct stats results[NR_OPS];

/* Is the name one of the list a,b,c? */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p; p = strchr(p, ','), p += p ? 1 : 0)
		if (!strncmp(p, name, len) && (p[len] == ',' || !p[len]))
			return true;
	return false;
}

static bool known(const char *list)
{
	char copy[512], *save;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (i < NR_OPS && strcmp(ops[i].name, name) != 0)
			i++;
		if (i == NR_OPS) {
			fprintf(stderr, "opcost: no operation '%s'\n", name);
			return false;
		}
	}
	return true;
}

static void usage(FILE *f)
{
	fputs("usage: opcost [--only NAME[,NAME...]] [--rounds N] [--json]\n"
	      "Measures single operations in nanoseconds: median (min..max) of N rounds (default 5) after a warm-up.\n"
	      "With --json a line {\"op\":..,\"value\":..,\"min\":..,\"max\":..} each. Operations:\n",
	      f);
	for (size_t i = 0; i < NR_OPS; i++)
		fprintf(f, "  %-22s %s\n", ops[i].name, ops[i].what);
}

static void print_results(const char *only)
{
	static struct table t = { .left = 1u << 2 };

	table_row(&t);
	table_cell(&t, "operation");
	table_cell(&t, "ns");
	table_cell(&t, "what");
	for (size_t i = 0; i < NR_OPS; i++) {
		if (only && !listed(only, ops[i].name))
			continue;
		table_row(&t);
		table_cell(&t, "%s", ops[i].name);
		table_stats(&t, &results[i], 1, 1);
		table_cell(&t, "%s", ops[i].what);
	}
	table_print(&t, 1);
}

int main(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "only", required_argument, NULL, 'o' }, { "rounds", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },	  { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *only = NULL;
	bool json = false;
	int c, rounds = 5;
	ssize_t len;

	if (argc == 2 && !strcmp(argv[1], "true"))
		return 0;
	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == 'o') {
			only = optarg;
		} else if (c == 'r') {
			rounds = atoi(optarg);
		} else if (c == 'j') {
			json = true;
		} else {
			usage(c == 'h' ? stdout : stderr);
			return c == 'h' ? 0 : 2;
		}
	}
	if (optind < argc || rounds < 1 || rounds > STATS_MAX || (only && !known(only))) {
		usage(stderr);
		return 2;
	}
	page = (size_t)sysconf(_SC_PAGESIZE);
	pages = REGION / page;
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		snprintf(self, sizeof(self), "%s", argv[0]);
	child_exit_at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child_exit_at == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < NR_OPS; i++) {
		if (only && !listed(only, ops[i].name))
			continue;
		ops[i].measure();
		for (int round = 0; round < rounds; round++)
			stats_add(&results[i], ops[i].measure());
		stats_finish(&results[i]);
		if (json) {
			printf("{\"op\":\"%s\",\"value\":%.2f,\"min\":%.2f,\"max\":%.2f,\"unit\":\"ns\"}\n",
			       ops[i].name, results[i].median, results[i].min, results[i].max);
			fflush(stdout);
		}
	}
	if (!json)
		print_results(only);
	return 0;
}
