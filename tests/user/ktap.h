/*
 * ktap.h: the frame of a user-space test program, KTAP on stdout.
 *
 * A suite is a table of cases, each a function. By default each case runs in a child of its own, in its own process
 * group, so that a case that crashes or hangs (KTAP_LIMIT seconds, default 20) fails alone. CHECK() notes a failure and
 * goes on, REQUIRE() leaves the function, SKIP() ends the case; all of them may be used in children and threads of the
 * case. Output is written without stdio, so that forks do not repeat it.
 *
 * At the end, where the kernel is Exeunt, the memory that the suite took must be back.
 *
 *   suite [--list] [--inline] [CASE...]      --inline: no child per case, for a debugger
 *
 * KTAP_SCALE (percent, default 100) scales the loops that use ktap_scale().
 */
#pragma once

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/common/proc.h"
#include "user/common/stats.h"

struct ktap_case {
	const char *name;
	void (*run)(void);
};

/* An entry of the table: the function's name is the case's. */
#define CASE(fn) { #fn, fn }

/* Failed checks of one case that are shown. */
#define KTAP_SHOWN 20

/* Shared by all processes of a case. */
struct ktap_shared {
	volatile int failures;
	volatile int skipped;
	char reason[128];
};

static struct ktap_shared ktap_private;	/* where shared memory fails */
static struct ktap_shared *ktap_state = &ktap_private;
static volatile pid_t ktap_running;
static volatile sig_atomic_t ktap_late;

static inline void ktap_print(const char *prefix, const char *fmt, va_list ap)
{
	char buf[1024];
	size_t len = strlen(prefix);
	ssize_t done;

	memcpy(buf, prefix, len);
	vsnprintf(buf + len, sizeof(buf) - len - 1, fmt, ap);
	len = strlen(buf);
	buf[len++] = '\n';
	for (char *p = buf; len; p += done, len -= (size_t)done) {
		done = write(1, p, len);
		if (done < 0 && errno != EINTR)
			return;
		if (done < 0)
			done = 0;
	}
}

static inline __attribute__((format(printf, 1, 2))) void ktap_line(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ktap_print("", fmt, ap);
	va_end(ap);
}

/* A diagnostic. */
static inline __attribute__((format(printf, 1, 2))) void diag(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	ktap_print("# ", fmt, ap);
	va_end(ap);
	errno = saved;
}

/* Returns cond, so that a caller can react. */
static inline bool ktap_check(bool cond, const char *file, int line, const char *text)
{
	int err = errno;

	if (!cond) {
		int before = __atomic_fetch_add(&ktap_state->failures, 1, __ATOMIC_RELAXED);

		if (before < KTAP_SHOWN)
			diag("%s:%d: failed: %s (errno %d, %s)", file, line, text, err, strerror(err));
		else if (before == KTAP_SHOWN)
			diag("more failures of this case are not shown");
	}
	return cond;
}

#define CHECK(cond) ktap_check((cond), __FILE__, __LINE__, #cond)

#define REQUIRE(cond) \
	do { \
		if (!CHECK(cond)) \
			return; \
	} while (0)

/* Two integers must be equal; both are shown. */
#define CHECK_EQ(a, b) \
	({ \
		long long ktap_a = (long long)(a), ktap_b = (long long)(b); \
		bool ktap_same = ktap_check(ktap_a == ktap_b, __FILE__, __LINE__, #a " == " #b); \
		if (!ktap_same) \
			diag("  %lld (%#llx) != %lld (%#llx)", ktap_a, (unsigned long long)ktap_a, ktap_b, \
			     (unsigned long long)ktap_b); \
		ktap_same; \
	})

/* The call must return -1 with this errno. */
#define CHECK_ERR(call, err)                                                                     \
	({                                                                                       \
		errno = 0;                                                                       \
		long long ktap_r = (long long)(call);                                            \
		int ktap_e = errno;                                                              \
		bool ktap_same = ktap_check(ktap_r == -1 && ktap_e == (err), __FILE__, __LINE__, \
					    #call " fails with " #err);                          \
		if (!ktap_same)                                                                  \
			diag("  returned %lld, expected -1 with errno %d", ktap_r, (err));       \
		ktap_same;                                                                       \
	})

/* End the case as skipped. */
static inline __attribute__((noreturn, format(printf, 1, 2))) void SKIP(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ktap_state->reason, sizeof(ktap_state->reason), fmt, ap);
	va_end(ap);
	ktap_state->skipped = 1;
	_exit(0);
}

/* Is this kernel ours? */
static inline bool ktap_on_exeunt(void)
{
	return access("/proc/exeunt", F_OK) == 0;
}

/* n, scaled by KTAP_SCALE, at least 1. */
static inline int ktap_scale(int n)
{
	const char *scale = getenv("KTAP_SCALE");
	long long scaled = scale ? (long long)n * atoi(scale) / 100 : n;

	return scaled < 1 ? 1 : (int)scaled;
}

/*
 * Another round, of n (scaled)? Where CPUs wait for each other, a host that is slow to let the other one run makes each
 * round slow: after three seconds (scaled) they have been enough. Any thread of the case.
 */
static inline bool another(int round, int n)
{
	static uint64_t begin;
	uint64_t none = 0, now = now_ns();

	__atomic_compare_exchange_n(&begin, &none, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return round < ktap_scale(n) && now < begin + (uint64_t)ktap_scale(3000) * 1000000;
}

static inline void msleep(int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/*
 * One turn of a loop that waits for others, mostly without sleeping. While a host holds a CPU up, time is charged to
 * whoever is on it: all others that only yield would first get as much each.
 */
static inline void let_others_run(void)
{
	static __thread unsigned int turns;

	if (++turns % 64)
		sched_yield();
	else
		msleep(1);
}

/* What is not there by then never comes: a host that is busy may hold a CPU up for seconds. */
#define KTAP_PATIENCE 15000000000u

/* Wait for cond, that long at most: whether it is true in the end. The last look comes after the time was up. */
#define within(ns, cond) \
	({ \
		uint64_t ktap_end = now_ns() + (ns); \
		bool ktap_over = false, ktap_true; \
		while (!(ktap_true = (cond)) && !ktap_over) { \
			msleep(1); \
			ktap_over = now_ns() > ktap_end; \
		} \
		ktap_true; \
	})

#define eventually(cond) within(KTAP_PATIENCE, cond)

/* The state letter of a thread (tid 0: of the process), as in /proc/PID/stat; 0 if there is none. */
static inline char ktap_state_of(pid_t pid, pid_t tid)
{
	char path[64], buf[512], *p;

	if (tid)
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	else
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (proc_read(path, buf, sizeof(buf)) < 0)
		return 0;
	p = strrchr(buf, ')');
	return p ? p[2] : 0;
}

/* Wait until it sleeps in a call that a signal would interrupt, which is what others do not notice otherwise. */
static inline bool falls_asleep(pid_t pid)
{
	return eventually(ktap_state_of(pid, 0) == 'S');
}

/* The wait status of a child, -1 if it could not be had. */
static inline int wait_for(pid_t pid)
{
	int status = -1;
	pid_t dead;

	do
		dead = waitpid(pid, &status, 0);
	while (dead < 0 && errno == EINTR);
	return dead == pid ? status : -1;
}

/* The child must have exited with this code. */
#define CHECK_EXIT(pid, code) \
	({ \
		int ktap_st = wait_for(pid); \
		bool ktap_good = ktap_check(WIFEXITED(ktap_st) && WEXITSTATUS(ktap_st) == (code), __FILE__, __LINE__, \
					    #pid " exits with " #code); \
		if (!ktap_good) \
			diag("  wait status %#x", (unsigned int)ktap_st); \
		ktap_good; \
	})

/* The child must have been killed by this signal. */
#define CHECK_KILLED(pid, sig) \
	({ \
		int ktap_st = wait_for(pid); \
		bool ktap_good = ktap_check(WIFSIGNALED(ktap_st) && WTERMSIG(ktap_st) == (sig), __FILE__, __LINE__, \
					    #pid " is killed by " #sig); \
		if (!ktap_good) \
			diag("  wait status %#x", (unsigned int)ktap_st); \
		ktap_good; \
	})

/* fork() that ends the case on failure; the child dies with the case. */
static inline pid_t must_fork(void)
{
	pid_t pid = fork();

	if (pid < 0) {
		CHECK(pid >= 0);
		_exit(1);
	}
	return pid;
}

/* Memory for test data that all processes of the case share, zeroed. Never fails: ends the case instead. */
static inline void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(p != MAP_FAILED))
		_exit(1);
	return p;
}

/* A small generator, the same everywhere. The state must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

static inline size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static inline void ktap_alarm(int sig)
{
	ktap_late = sig;
	if (kill(-ktap_running, SIGKILL))
		kill(ktap_running, SIGKILL);
}

/* Run the case in a child. Returns its wait status. */
static inline int ktap_run_child(const struct ktap_case *c, unsigned int limit)
{
	struct sigaction sa, old;
	sigset_t none;
	int status = -1;
	pid_t pid, dead;

	pid = fork();
	if (pid < 0) {
		diag("fork: %s", strerror(errno));
		return 1 << 8;
	}
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		c->run();
		_exit(ktap_state->failures != 0);
	}
	setpgid(pid, pid);
	ktap_running = pid;
	ktap_late = 0;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = ktap_alarm;
	sigaction(SIGALRM, &sa, &old);
	alarm(limit);
	do
		dead = waitpid(pid, &status, 0);
	while (dead < 0 && errno == EINTR);
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	kill(-pid, SIGKILL);
	return dead == pid ? status : 1 << 8;
}

#define KTAP_BALANCE "/proc/exeunt/balance"

/* Free memory in KiB, what CPUs and slab caches keep included where the kernel tells. */
static inline uint64_t ktap_memory(void)
{
	static const char *const keys[] = { "free_pages", "slab_pages" };
	uint64_t pages = 0, value;
	char buf[1024];

	if (proc_read(KTAP_BALANCE, buf, sizeof(buf)) < 0)
		return mem_free_kib();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (proc_value(buf, keys[i], &value))
			pages += value;
	return pages * (page_bytes() / 1024);
}

/*
 * What may be missing at the end of a suite, in KiB: page tables and numbers that the kernel keeps, and on each CPU the
 * stacks of two workers more, which stay once there was work for them.
 */
static inline uint64_t ktap_tolerance(void)
{
	return 512 + 32 * (uint64_t)cpus_online();
}

/* Is the memory back to what it was, but for the tolerance? Waits for it. */
static inline bool ktap_balanced(uint64_t before, uint64_t tolerance)
{
	uint64_t after = 0;

	if (eventually((after = ktap_memory()) + tolerance >= before))
		return true;
	diag("free memory: %llu KiB before, %llu KiB after", (unsigned long long)before, (unsigned long long)after);
	return false;
}

/* How many processes there are, 0 where the kernel does not tell. */
static inline uint64_t ktap_processes(void)
{
	uint64_t n = 0;

	return proc_file_value(KTAP_BALANCE, "processes", &n) ? n : 0;
}

/* No process may be left behind. Waits until they are gone. */
static inline bool ktap_processes_gone(uint64_t before)
{
	if (eventually(ktap_processes() <= before))
		return true;
	diag("processes: %llu before, %llu after", (unsigned long long)before, (unsigned long long)ktap_processes());
	return false;
}

static inline bool ktap_wanted(int argc, char **argv, const char *name)
{
	bool any = false;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		any = true;
		if (!strcmp(argv[i], name))
			return true;
	}
	return !any;
}

static inline void ktap_nothing(void)
{
}

/* Run the cases; returns the exit status for main(). */
static inline int ktap_main(int argc, char **argv, const struct ktap_case *cases, size_t n)
{
	static const struct ktap_case warm = { "warm-up", ktap_nothing };
	const char *limit_text = getenv("KTAP_LIMIT");
	unsigned int limit = limit_text && atoi(limit_text) > 0 ? (unsigned int)atoi(limit_text) : 20;
	int number = 0, wanted = 0, failed = 0;
	bool in_child = true;
	uint64_t memory, processes;
	void *shared;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--inline"))
			in_child = false;
		for (size_t k = 0; !strcmp(argv[i], "--list") && k < n; k++)
			ktap_line("%s", cases[k].name);
		if (!strcmp(argv[i], "--list"))
			return 0;
	}
	for (size_t k = 0; k < n; k++)
		wanted += ktap_wanted(argc, argv, cases[k].name);
	if (!wanted) {
		ktap_line("KTAP version 1\n1..0 # SKIP no such case");
		return 2;
	}
	shared = mmap(NULL, sizeof(*ktap_state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared != MAP_FAILED)
		ktap_state = shared;
	ktap_line("KTAP version 1\n1..%d", wanted + 1);
	if (in_child)
		ktap_run_child(&warm, limit);
	memory = ktap_memory();
	processes = ktap_processes();
	for (size_t k = 0; k < n; k++) {
		uint64_t begun = now_ns();
		int status = 0;
		bool bad;

		if (!ktap_wanted(argc, argv, cases[k].name))
			continue;
		memset(ktap_state, 0, sizeof(*ktap_state));
		if (in_child)
			status = ktap_run_child(&cases[k], limit);
		else
			cases[k].run();
		if (now_ns() - begun > 2000000000u)
			diag("%s took %llu ms", cases[k].name, (unsigned long long)(now_ns() - begun) / 1000000);
		if (ktap_late)
			diag("killed after %u s", limit);
		else if (WIFSIGNALED(status))
			diag("killed by signal %d", WTERMSIG(status));
		bad = status || ktap_late || ktap_state->failures;
		failed += bad;
		ktap_line("%sok %d %s%s%s", bad ? "not " : "", ++number, cases[k].name,
			  !bad && ktap_state->skipped ? " # SKIP " : "", !bad ? ktap_state->reason : "");
	}
	if (!ktap_on_exeunt()) {
		ktap_line("ok %d balance # SKIP another kernel", ++number);
	} else {
		bool good = ktap_processes_gone(processes) && ktap_balanced(memory, ktap_tolerance());

		failed += !good;
		ktap_line("%sok %d balance", good ? "" : "not ", ++number);
	}
	return failed != 0;
}

#define KTAP_MAIN(cases) \
	int main(int argc, char **argv) \
	{ \
		return ktap_main(argc, argv, cases, sizeof(cases) / sizeof((cases)[0])); \
	}
