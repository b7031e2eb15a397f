/*
 * t_fault: faults as signals. What si_code and si_addr say, recovery by a jump or by repairing the mapping, a stack
 * overflow caught on another stack, and every way to die that "crash" knows.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>

#include "tests/user/fault.h"
#include "tests/user/ktap.h"

#define RW (PROT_READ | PROT_WRITE)

static size_t P;	/* page size */

static char *pages(size_t n, int prot)
{
	char *p = mmap(NULL, n * P, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(p != MAP_FAILED))
		_exit(1);
	return p;
}

static void unmapped(void)
{
	char *p = pages(3, RW);

	fault_catch();
	REQUIRE(munmap(p + P, P) == 0);
	CHECK_EQ(fault_read(p + P + 5), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	CHECK(fault_address == p + P + 5);
	CHECK_EQ(fault_write(p + 2 * P - 1, 0), SIGSEGV);
	CHECK(fault_address == p + 2 * P - 1);
	CHECK_EQ(fault_read((void *)8), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	CHECK(fault_address == (void *)8);
}

static void protected(void)
{
	char *r = pages(1, PROT_READ), *n = pages(1, PROT_NONE);

	fault_catch();
	CHECK_EQ(fault_read(r), 0);
	CHECK_EQ(fault_write(r + 3, 1), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK(fault_address == r + 3);
	CHECK_EQ(fault_read(n + 4), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK(fault_address == n + 4);
	CHECK_EQ(fault_write((void *)(uintptr_t)unmapped, 0), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
}

static void not_for_users(void)
{
	static const int shifts[] = { 63, 62, 56, 55, 48, 47, 40, 39, 38 };

	fault_catch();
	CHECK_EQ(fault_read((void *)(UINTPTR_MAX - 7)), SIGSEGV);
	CHECK_EQ(fault_write((void *)(UINTPTR_MAX - 4095), 0), SIGSEGV);
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		CHECK_EQ(fault_read((void *)(UINTPTR_MAX << shifts[i])), SIGSEGV);
		CHECK_EQ(fault_write((void *)(UINTPTR_MAX << shifts[i]), 1), SIGSEGV);
	}
	/* Kernel memory must not tell by its signal whether something is there. */
	CHECK_EQ(fault_read((void *)(UINTPTR_MAX << 31)), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	for (int shift = 56; shift < 63; shift++)
		CHECK_EQ(fault_read((void *)(((uintptr_t)1 << shift) + 64)), SIGSEGV);
}

static void data_is_not_executable(void)
{
	char *p = pages(1, RW);

	fault_catch();
	p[0] = 1;
	if (!sigsetjmp(fault_jump, 1)) {
		fault_armed = 1;
		((void (*)(void))(uintptr_t)p)();
		CHECK(!"it ran");
	}
	fault_armed = 0;
	CHECK_EQ(fault_signal, SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK(fault_address == p);
}

static void many_faults(void)
{
	char *p = pages(1, PROT_NONE);
	int n = ktap_scale(1000);

	fault_catch();
	for (int i = 0; i < n; i++)
		REQUIRE(fault_write(p + i % (int)P, 1) == SIGSEGV && fault_address == p + i % (int)P);
}

/* The classic user of SIGSEGV: pages appear when they are touched. */
static char *lazy;
static volatile int repaired;

static void repair(int sig, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr / P * P);

	(void)context;
	if (page < lazy || page >= lazy + 64 * P || mprotect(page, P, RW)) {
		signal(sig, SIG_DFL);
		return;
	}
	repaired++;
}

static void handler_repairs_protection(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = repair;
	sa.sa_flags = SA_SIGINFO;
	REQUIRE(sigaction(SIGSEGV, &sa, NULL) == 0);
	lazy = pages(64, PROT_NONE);
	for (size_t i = 0; i < 64; i++)
		((volatile char *)lazy)[i * P + i] = (char)i;
	CHECK_EQ(repaired, 64);
	for (size_t i = 0; i < 64; i++)
		CHECK_EQ(lazy[i * P + i], (char)i);
	CHECK_EQ(repaired, 64);
}

static void map_it(int sig, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr / P * P);

	(void)context;
	if (info->si_code != SEGV_MAPERR ||
	    mmap(page, P, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		signal(sig, SIG_DFL);
	repaired++;
}

static void handler_maps_memory(void)
{
	struct sigaction sa;
	volatile char *p = pages(8, RW);

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = map_it;
	sa.sa_flags = SA_SIGINFO;
	REQUIRE(sigaction(SIGSEGV, &sa, NULL) == 0 && munmap((void *)p, 8 * P) == 0);
	for (size_t i = 0; i < 8; i++)
		p[i * P + 7] = 5;
	CHECK_EQ(p[7 * P + 7], 5);
	CHECK_EQ(repaired, 8);
}

static void blocked_fault_kills(void)
{
	sigset_t set;
	pid_t pid = must_fork();

	if (pid == 0) {
		fault_catch();
		sigemptyset(&set);
		sigaddset(&set, SIGSEGV);
		sigprocmask(SIG_BLOCK, &set, NULL);
		fault_read((void *)8);
		_exit(1);
	}
	CHECK_KILLED(pid, SIGSEGV);
	pid = must_fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_IGN);
		fault_read((void *)8);
		_exit(1);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static volatile bool overflowed;

static void on_overflow(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	overflowed = true;
	siglongjmp(fault_jump, 1);
}

static int endless(int n)
{
	volatile char frame[1024];

	frame[n & 1023] = (char)n;
	return n < 0 ? 0 : endless(n + 1) + frame[n & 1023];
}

static void stack_overflow_is_caught(void)
{
	static char alternate[65536];
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = on_overflow;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	REQUIRE(sigaltstack(&ss, NULL) == 0 && sigaction(SIGSEGV, &sa, NULL) == 0);
	for (volatile int i = 0; i < 2; i++) {
		overflowed = false;
		if (!sigsetjmp(fault_jump, 1))
			endless(0);
		CHECK(overflowed);
	}
}

/* The frame of a signal goes to a stack that is not there: death, no loop. */
static void no_room_for_the_frame(void)
{
	stack_t ss = { .ss_size = 65536 };
	struct sigaction sa;
	pid_t pid = must_fork();

	if (pid == 0) {
		ss.ss_sp = pages(16, PROT_NONE);
		memset(&sa, 0, sizeof(sa));
		sa.sa_sigaction = on_overflow;
		sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
		sigaltstack(&ss, NULL);
		sigaction(SIGUSR1, &sa, NULL);
		raise(SIGUSR1);
		_exit(1);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void fault_in_the_handler(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		struct sigaction sa;

		memset(&sa, 0, sizeof(sa));
		sa.sa_handler = (void (*)(int))16;
		sigaction(SIGSEGV, &sa, NULL);
		fault_read((void *)8);
		_exit(1);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void children_fault(void)
{
	char *p = pages(4, RW);
	pid_t pid[8];

	REQUIRE(munmap(p + P, P) == 0);
	for (int i = 0; i < 8; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			((volatile char *)p)[0] = 1;
			((volatile char *)p)[P] = 1;
			_exit(1);
		}
	}
	for (int i = 0; i < 8; i++)
		CHECK_KILLED(pid[i], SIGSEGV);
}

static void file_end_is_a_bus_error(void)
{
	char path[64], *p;
	int fd;

	fault_catch();
	snprintf(path, sizeof(path), "/tmp/t_fault.%d", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	REQUIRE(fd >= 0 && unlink(path) == 0 && ftruncate(fd, 100) == 0);
	p = mmap(NULL, 3 * P, RW, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED);
	CHECK_EQ(fault_read(p + 99), 0);
	CHECK_EQ(fault_read(p + P - 1), 0);
	CHECK_EQ(fault_read(p + P + 1), SIGBUS);
	CHECK_EQ(fault_code, BUS_ADRERR);
	CHECK(fault_address == p + P + 1);
	CHECK_EQ(fault_write(p + 2 * P, 1), SIGBUS);
}

/* The path of a program: beside this one, or in /bin. */
static bool find(const char *name, char *path, size_t size)
{
	static const char *const places[] = { ".", "../bin", "../user" };
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[len < 0 ? 0 : len] = '\0';
	for (size_t i = 0; len > 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		char copy[PATH_MAX];

		memcpy(copy, self, sizeof(copy));
		snprintf(path, size, "%s/%s/%s", dirname(copy), places[i], name);
		if (!access(path, X_OK))
			return true;
	}
	snprintf(path, size, "/bin/%s", name);
	return !access(path, X_OK);
}

static int crash(const char *path, const char *way)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		execl(path, "crash", way, (char *)NULL);
		_exit(127);
	}
	return wait_for(pid);
}

static void ways_to_crash(void)
{
	static const char *const segv[] = {
		"null-read",	  "null-write",	     "null-call",	 "text-write",	     "data-exec",
		"stack-exec",	  "kernel-read",     "kernel-write",	 "kernel-jump",	     "noncanonical",
		"stack-overflow", "thread-overflow", "bad-signal-stack", "unmapped-handler",
	};
	char path[PATH_MAX + 64];
	int status;

	if (!find("crash", path, sizeof(path)))
		SKIP("no crash program");
	for (size_t i = 0; i < sizeof(segv) / sizeof(segv[0]); i++) {
		status = crash(path, segv[i]);
		if (!CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV))
			diag("  %s: wait status %#x", segv[i], (unsigned int)status);
	}
	status = crash(path, "illegal");
	CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP));
	status = crash(path, "divide");
	CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGFPE));
	status = crash(path, "abort");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	status = crash(path, "kill");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static const struct ktap_case cases[] = {
	CASE(unmapped), CASE(protected), CASE(not_for_users), CASE(data_is_not_executable), CASE(many_faults),
	CASE(handler_repairs_protection), CASE(handler_maps_memory), CASE(blocked_fault_kills),
	CASE(stack_overflow_is_caught), CASE(no_room_for_the_frame), CASE(fault_in_the_handler), CASE(children_fault),
	CASE(file_end_is_a_bus_error), CASE(ways_to_crash),
};

int main(int argc, char **argv)
{
	P = page_bytes();
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
