/*
 * t_badptr: every call that takes a pointer, with pointers that are no good. The answer is EFAULT, never a signal and
 * never anything worse: null, low, unmapped, without rights, the kernel's own, between the halves of the address space,
 * and objects that begin on a good page and end on a bad one.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "tests/user/ktap.h"

static size_t P;	/* page size */
static int zero_fd, pipe_rd, pipe_wr, file_fd, dir_fd;
static char *good;	/* two pages, the second unmapped */
static char *read_only, *no_access;

#define NULL_OK 1	/* null means "nothing" to this call */
#define IN 2		/* the kernel only reads: read-only memory is good */
#define WHOLE 4		/* taken whole or not at all, so a straddling object must fail as well */
#define WORD 8		/* a 32-bit word: must be aligned, cannot straddle */

static long c_read(void *p)
{
	return syscall(SYS_read, zero_fd, p, 64);
}

static long c_write(void *p)
{
	return syscall(SYS_write, pipe_wr, p, 64);
}

static long c_file_write(void *p)
{
	return syscall(SYS_write, file_fd, p, 64);
}

static long c_pread(void *p)
{
	return syscall(SYS_pread64, file_fd, p, 64, 0);
}

static long c_pwrite(void *p)
{
	return syscall(SYS_pwrite64, file_fd, p, 64, 0);
}

static long c_readv(void *p)
{
	return syscall(SYS_readv, zero_fd, p, 1);
}

static long c_readv_base(void *p)
{
	struct iovec iov = { p, 64 };

	return syscall(SYS_readv, zero_fd, &iov, 1);
}

static long c_writev(void *p)
{
	return syscall(SYS_writev, pipe_wr, p, 1);
}

static long c_writev_base(void *p)
{
	struct iovec iov = { p, 64 };

	return syscall(SYS_writev, pipe_wr, &iov, 1);
}

static long c_openat(void *p)
{
	return syscall(SYS_openat, AT_FDCWD, p, O_RDONLY, 0);
}

static long c_fstat(void *p)
{
	return syscall(SYS_fstat, file_fd, p);
}

static long c_statat_path(void *p)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, p, &st, 0);
}

static long c_statat(void *p)
{
	return syscall(SYS_newfstatat, AT_FDCWD, "/", p, 0);
}

static long c_pipe2(void *p)
{
	return syscall(SYS_pipe2, p, 0);
}

static long c_getdents(void *p)
{
	syscall(SYS_lseek, dir_fd, 0, SEEK_SET);
	return syscall(SYS_getdents64, dir_fd, p, 4096);
}

static long c_getcwd(void *p)
{
	return syscall(SYS_getcwd, p, 4096);
}

static long c_chdir(void *p)
{
	return syscall(SYS_chdir, p);
}

static long c_mkdirat(void *p)
{
	return syscall(SYS_mkdirat, AT_FDCWD, p, 0755);
}

static long c_unlinkat(void *p)
{
	return syscall(SYS_unlinkat, AT_FDCWD, p, 0);
}

static long c_renameat2_from(void *p)
{
	return syscall(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, "/tmp/no", 0);
}

static long c_symlinkat(void *p)
{
	return syscall(SYS_symlinkat, p, AT_FDCWD, "/tmp/no/no");
}

static long c_readlinkat_path(void *p)
{
	char buf[16];

	return syscall(SYS_readlinkat, AT_FDCWD, p, buf, sizeof(buf));
}

static long c_readlinkat(void *p)
{
	return syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", p, 64);
}

static long c_faccessat(void *p)
{
	return syscall(SYS_faccessat, AT_FDCWD, p, F_OK);
}

static long c_truncate(void *p)
{
	return syscall(SYS_truncate, p, 0L);
}

static long c_execve_path(void *p)
{
	return syscall(SYS_execve, p, NULL, NULL);
}

static long c_execve_argv(void *p)
{
	return syscall(SYS_execve, "/proc/self/exe", p, NULL);
}

static long c_execve_string(void *p)
{
	char *argv[] = { p, NULL };

	return syscall(SYS_execve, "/proc/self/exe", argv, NULL);
}

static long c_execve_envp(void *p)
{
	char *argv[] = { (char *)"x", NULL };

	return syscall(SYS_execve, "/proc/self/exe", argv, p);
}

static long c_wait4_status(void *p)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(3);
	return syscall(SYS_wait4, pid, p, 0, NULL);
}

static long c_wait4_rusage(void *p)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(3);
	return syscall(SYS_wait4, pid, NULL, 0, p);
}

static long c_clock_gettime(void *p)
{
	return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p);
}

static long c_clock_getres(void *p)
{
	return syscall(SYS_clock_getres, CLOCK_MONOTONIC, p);
}

static long c_gettimeofday(void *p)
{
	return syscall(SYS_gettimeofday, p, NULL);
}

static long c_nanosleep(void *p)
{
	return syscall(SYS_nanosleep, p, NULL);
}

static long c_clock_nanosleep(void *p)
{
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, p, NULL);
}

static long c_sigaction(void *p)
{
	return syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8);
}

static long c_sigaction_old(void *p)
{
	return syscall(SYS_rt_sigaction, SIGUSR1, NULL, p, 8);
}

static long c_sigprocmask(void *p)
{
	return syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, p, NULL, 8);
}

static long c_sigprocmask_old(void *p)
{
	return syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, p, 8);
}

static long c_sigpending(void *p)
{
	return syscall(SYS_rt_sigpending, p, 8);
}

static long c_sigsuspend(void *p)
{
	return syscall(SYS_rt_sigsuspend, p, 8);
}

static long c_sigtimedwait(void *p)
{
	struct timespec ts = { 0 };

	return syscall(SYS_rt_sigtimedwait, p, NULL, &ts, 8);
}

static long c_sigaltstack(void *p)
{
	return syscall(SYS_sigaltstack, p, NULL);
}

static long c_sigaltstack_old(void *p)
{
	return syscall(SYS_sigaltstack, NULL, p);
}

static long c_getitimer(void *p)
{
	return syscall(SYS_getitimer, ITIMER_REAL, p);
}

static long c_setitimer_old(void *p)
{
	struct itimerval it = { 0 };

	return syscall(SYS_setitimer, ITIMER_REAL, &it, p);
}

static long c_futex_wait(void *p)
{
	struct timespec ts = { 0 };

	return syscall(SYS_futex, p, FUTEX_WAIT, 12345, &ts, NULL, 0);
}

static long c_futex_wait_private(void *p)
{
	struct timespec ts = { 0 };

	return syscall(SYS_futex, p, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 12345, &ts, NULL, 0);
}

static long c_futex_timeout(void *p)
{
	static uint32_t word;

	return syscall(SYS_futex, &word, FUTEX_WAIT, 1, p, NULL, 0);
}

static long c_uname(void *p)
{
	return syscall(SYS_uname, p);
}

static long c_sysinfo(void *p)
{
	return syscall(SYS_sysinfo, p);
}

static long c_prlimit_new(void *p)
{
	return syscall(SYS_prlimit64, 0, RLIMIT_CORE, p, NULL);
}

static long c_prlimit_old(void *p)
{
	return syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, p);
}

static long c_getrusage(void *p)
{
	return syscall(SYS_getrusage, RUSAGE_SELF, p);
}

static long c_times(void *p)
{
	return syscall(SYS_times, p);
}

static long c_getaffinity(void *p)
{
	return syscall(SYS_sched_getaffinity, 0, 128, p);
}

static long c_setaffinity(void *p)
{
	return syscall(SYS_sched_setaffinity, 0, 128, p);
}

static long c_getrandom(void *p)
{
	return syscall(SYS_getrandom, p, 64, 0);
}

static long c_getcpu(void *p)
{
	return syscall(SYS_getcpu, p, NULL, NULL);
}

static long c_ppoll(void *p)
{
	struct timespec ts = { 0 };

	return syscall(SYS_ppoll, p, 1, &ts, NULL, 8);
}

static long c_ppoll_timeout(void *p)
{
	struct pollfd fd = { .fd = -1 };

	return syscall(SYS_ppoll, &fd, 1, p, NULL, 8);
}

static long c_getresuid(void *p)
{
	return syscall(SYS_getresuid, p, p, p);
}

static const struct {
	const char *name;
	long (*call)(void *p);
	int flags;
} calls[] = {
#define CALL(name, flags) { #name, c_##name, flags }
	CALL(read, 0),
	CALL(write, IN),
	CALL(file_write, IN),
	CALL(pread, 0),
	CALL(pwrite, IN),
	CALL(readv, IN | WHOLE),
	CALL(readv_base, 0),
	CALL(writev, IN | WHOLE),
	CALL(writev_base, IN),
	CALL(openat, IN | WHOLE),
	CALL(fstat, WHOLE),
	CALL(statat_path, IN | WHOLE),
	CALL(statat, WHOLE),
	CALL(pipe2, WHOLE),
	CALL(getdents, 0),
	CALL(getcwd, 0),
	CALL(chdir, IN | WHOLE),
	CALL(mkdirat, IN | WHOLE),
	CALL(unlinkat, IN | WHOLE),
	CALL(renameat2_from, IN | WHOLE),
	CALL(symlinkat, IN | WHOLE),
	CALL(readlinkat_path, IN | WHOLE),
	CALL(readlinkat, 0),
	CALL(faccessat, IN | WHOLE),
	CALL(truncate, IN | WHOLE),
	CALL(execve_path, IN | WHOLE),
	CALL(execve_argv, IN | NULL_OK | WHOLE),
	CALL(execve_string, IN | NULL_OK | WHOLE),
	CALL(execve_envp, IN | NULL_OK | WHOLE),
	CALL(wait4_status, NULL_OK | WORD),
	CALL(wait4_rusage, NULL_OK | WHOLE),
	CALL(clock_gettime, WHOLE),
	CALL(clock_getres, NULL_OK | WHOLE),
	CALL(gettimeofday, NULL_OK | WHOLE),
	CALL(nanosleep, IN | WHOLE),
	CALL(clock_nanosleep, IN | WHOLE),
	CALL(sigaction, IN | NULL_OK | WHOLE),
	CALL(sigaction_old, NULL_OK | WHOLE),
	CALL(sigprocmask, IN | NULL_OK | WHOLE),
	CALL(sigprocmask_old, NULL_OK | WHOLE),
	CALL(sigpending, WHOLE),
	CALL(sigsuspend, IN | WHOLE),
	CALL(sigtimedwait, IN | WHOLE),
	CALL(sigaltstack, IN | NULL_OK | WHOLE),
	CALL(sigaltstack_old, NULL_OK | WHOLE),
	CALL(getitimer, WHOLE),
	CALL(setitimer_old, NULL_OK | WHOLE),
	CALL(futex_wait, IN | WORD),
	CALL(futex_wait_private, IN | WORD),
	CALL(futex_timeout, IN | NULL_OK | WHOLE),
	CALL(uname, WHOLE),
	CALL(sysinfo, WHOLE),
	CALL(prlimit_new, IN | NULL_OK | WHOLE),
	CALL(prlimit_old, NULL_OK | WHOLE),
	CALL(getrusage, WHOLE),
	CALL(times, NULL_OK | WHOLE),
	CALL(getaffinity, 0),
	CALL(setaffinity, IN | WHOLE),
	CALL(getrandom, 0),
	CALL(getcpu, NULL_OK | WORD),
	CALL(ppoll, IN | WHOLE),
	CALL(ppoll_timeout, IN | NULL_OK | WHOLE),
	CALL(getresuid, WORD),
};
#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

static void set_up(void)
{
	char path[64];
	int fds[2];

	snprintf(path, sizeof(path), "/tmp/t_badptr.%d", (int)getpid());
	file_fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	zero_fd = open("/dev/zero", O_RDONLY);
	dir_fd = open("/", O_RDONLY | O_DIRECTORY);
	good = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	read_only = mmap(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	no_access = mmap(NULL, P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(file_fd >= 0 && unlink(path) == 0 && zero_fd >= 0 && dir_fd >= 0 && pipe(fds) == 0) ||
	    !CHECK(write(file_fd, path, sizeof(path)) == sizeof(path)) ||
	    !CHECK(good != MAP_FAILED && read_only != MAP_FAILED && no_access != MAP_FAILED &&
		   munmap(good + P, P) == 0))
		_exit(1);
	pipe_rd = fds[0];
	pipe_wr = fds[1];
	/* A straddling string has no end before the bad page, a straddling vector begins with something. */
	memset(good, 0x2f, P);
}

/* One call with one bad pointer; what it does not support is no failure. */
static void try(size_t i, const char *what, void *p)
{
	long r;
	int err;

	errno = 0;
	r = calls[i].call(p);
	err = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (r == -1 && err == ENOSYS)
		return;
	if (r != -1 || err != EFAULT) {
		CHECK(!"EFAULT");
		diag("  %s(%s): returned %ld, errno %d (%s)", calls[i].name, what, r, err, strerror(err));
	}
}

/* A straddling buffer may be used up to the bad page; then a short count is right. */
static void try_straddling(size_t i, size_t before)
{
	void *p = good + P - before;
	long r;
	int err;

	errno = 0;
	r = calls[i].call(p);
	err = errno;
	memset(good, 0x2f, P);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if ((r == -1 && (err == EFAULT || err == ENOSYS)) || (!(calls[i].flags & WHOLE) && r >= 0 && r <= (long)before))
		return;
	CHECK(!"EFAULT, or a short count");
	diag("  %s(ends %zu bytes after the start): returned %ld, errno %d", calls[i].name, before, r, err);
}

static void null(void)
{
	set_up();
	for (size_t i = 0; i < NR_CALLS; i++)
		if (!(calls[i].flags & NULL_OK))
			try(i, "null", NULL);
}

static void low(void)
{
	set_up();
	for (size_t i = 0; i < NR_CALLS; i++)
		try(i, "16", (void *)16);
}

static void unmapped(void)
{
	set_up();
	for (size_t i = 0; i < NR_CALLS; i++)
		try(i, "unmapped", good + P);
}

static void without_rights(void)
{
	set_up();
	for (size_t i = 0; i < NR_CALLS; i++) {
		try(i, "PROT_NONE", no_access);
		if (!(calls[i].flags & IN))
			try(i, "PROT_READ", read_only);
	}
}

static void kernel_addresses(void)
{
	static const int shifts[] = { 63, 56, 48, 47, 40, 39, 38, 31, 21, 12 };

	set_up();
	for (size_t i = 0; i < NR_CALLS; i++) {
		for (size_t s = 0; s < sizeof(shifts) / sizeof(shifts[0]); s++)
			try(i, "kernel", (void *)(UINTPTR_MAX << shifts[s]));
		try(i, "last bytes", (void *)(UINTPTR_MAX - 7));
	}
}

static void between_the_halves(void)
{
	set_up();
	for (size_t i = 0; i < NR_CALLS; i++)
		for (int shift = 57; shift < 63; shift++)
			try(i, "non-canonical", (void *)(((uintptr_t)1 << shift) + 0x1000));
}

static void straddling(void)
{
	set_up();
	for (size_t i = 0; i < NR_CALLS; i++) {
		if (calls[i].flags & WORD)
			continue;
		try_straddling(i, 4);
		if (!(calls[i].flags & WHOLE)) {
			try_straddling(i, 1);
			try_straddling(i, 63);
		}
	}
}

/* Lengths that wrap round the end of the address space. */
static void wrapping_lengths(void)
{
	long r;

	set_up();
	r = syscall(SYS_read, zero_fd, good, SIZE_MAX);
	CHECK(r >= 0 || (r == -1 && (errno == EFAULT || errno == EINVAL)));
	r = syscall(SYS_read, zero_fd, good + 8, SIZE_MAX - 4);
	CHECK(r >= 0 || (r == -1 && (errno == EFAULT || errno == EINVAL)));
	CHECK_ERR(syscall(SYS_write, pipe_wr, (void *)(UINTPTR_MAX - 100), 200), EFAULT);
	CHECK_ERR(syscall(SYS_getrandom, (void *)(UINTPTR_MAX - 100), 200, 0), EFAULT);
}

/* A bad vector must not have moved anything before it is refused, a bad element ends the transfer. */
static void vectors(void)
{
	char buf[8];
	struct iovec bad_first[2] = { { (void *)16, 4 }, { buf, 4 } };
	struct iovec bad_second[2] = { { (char *)"abcd", 4 }, { (void *)16, 4 } };
	struct iovec huge[2] = { { buf, SIZE_MAX / 2 }, { buf, SIZE_MAX / 2 } };
	long r;

	set_up();
	CHECK_ERR(writev(pipe_wr, bad_first, 2), EFAULT);
	r = writev(pipe_wr, bad_second, 2);
	CHECK(r == 4 || (r == -1 && errno == EFAULT));
	r = readv(zero_fd, huge, 2);
	CHECK(r == -1 && (errno == EINVAL || errno == EFAULT));
}

static void pointers_for_later(void)
{
	pid_t pid = must_fork();

	/* The kernel writes there when the thread ends; that this fails is nobody's concern. */
	if (pid == 0) {
		syscall(SYS_set_tid_address, (void *)16);
		_exit(4);
	}
	CHECK_EXIT(pid, 4);
	pid = must_fork();
	if (pid == 0) {
		syscall(SYS_set_tid_address, (void *)(UINTPTR_MAX - 4095));
		syscall(SYS_set_robust_list, (void *)(UINTPTR_MAX - 4095), 24);
		_exit(5);
	}
	CHECK_EXIT(pid, 5);
	pid = must_fork();
	if (pid == 0) {
		void *head[3] = { (void *)16, 0, (void *)16 };

		syscall(SYS_set_robust_list, head, sizeof(head));
		_exit(6);
	}
	CHECK_EXIT(pid, 6);
}

/* The first failure with a wait4 pointer has still taken the child away. */
static void reaped_although_bad(void)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(0);
	CHECK_ERR(syscall(SYS_wait4, pid, (void *)16, 0, NULL), EFAULT);
	CHECK_ERR(syscall(SYS_wait4, pid, NULL, 0, NULL), ECHILD);
}

static const struct ktap_case cases[] = {
	CASE(null), CASE(low), CASE(unmapped), CASE(without_rights), CASE(kernel_addresses), CASE(between_the_halves),
	CASE(straddling), CASE(wrapping_lengths), CASE(vectors), CASE(pointers_for_later), CASE(reaped_although_bad),
};

int main(int argc, char **argv)
{
	P = page_bytes();
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
