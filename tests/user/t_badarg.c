/*
 * t_badarg: arguments that make no sense. Bad descriptors, sizes, flags, unknown calls, and calls with random
 * arguments: whatever happens to the caller, the kernel goes on.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "tests/user/ktap.h"

static void descriptors(void)
{
	int closed = dup(1);
	const int bad[] = { -1, closed, 1000, 1 << 20, INT_MAX, INT_MIN, AT_FDCWD };
	char buf[16];
	struct iovec iov = { buf, sizeof(buf) };
	struct stat st;

	close(closed);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = bad[i];

		CHECK_ERR(read(fd, buf, sizeof(buf)), EBADF);
		CHECK_ERR(read(fd, buf, 0), EBADF);
		CHECK_ERR(write(fd, "x", 1), EBADF);
		CHECK_ERR(readv(fd, &iov, 1), EBADF);
		CHECK_ERR(writev(fd, &iov, 1), EBADF);
		CHECK_ERR(pread(fd, buf, 1, 0), EBADF);
		CHECK_ERR(pwrite(fd, buf, 1, 0), EBADF);
		CHECK_ERR(close(fd), EBADF);
		CHECK_ERR(syscall(SYS_fstat, fd, &st), EBADF);
		CHECK_ERR(lseek(fd, 0, SEEK_CUR), EBADF);
		CHECK_ERR(dup(fd), EBADF);
		CHECK_ERR(dup3(fd, 20, 0), EBADF);
		CHECK_ERR(fcntl(fd, F_GETFL), EBADF);
		CHECK_ERR(ioctl(fd, TIOCGWINSZ, buf), EBADF);
		CHECK_ERR(ftruncate(fd, 0), EBADF);
		CHECK_ERR(syscall(SYS_getdents64, fd, buf, 16), EBADF);
		CHECK_ERR(fchdir(fd), EBADF);
		CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
		if (fd != AT_FDCWD) {
			CHECK_ERR(openat(fd, "x", O_RDONLY), EBADF);
			CHECK_ERR(unlinkat(fd, "x", 0), EBADF);
			CHECK_ERR(mkdirat(fd, "x", 0), EBADF);
		}
	}
	CHECK_ERR(dup2(1, -1), EBADF);
	CHECK_ERR(dup2(1, 1 << 28), EBADF);
	CHECK_ERR(dup2(1, INT_MAX), EBADF);
	CHECK_ERR(fcntl(1, F_DUPFD, -1), EINVAL);
	CHECK_ERR(fcntl(1, F_DUPFD, 1 << 28), EINVAL);
	CHECK_ERR(fcntl(1, 9999, 0), EINVAL);
}

static void wrong_kinds(void)
{
	int null = open("/dev/null", O_RDWR), dir = open("/", O_RDONLY | O_DIRECTORY);
	char buf[64];

	CHECK_ERR(read(dir, buf, sizeof(buf)), EISDIR);
	CHECK_ERR(write(dir, buf, 1), EBADF);
	CHECK_ERR(ftruncate(dir, 0), EINVAL);
	CHECK_ERR(syscall(SYS_getdents64, null, buf, sizeof(buf)), ENOTDIR);
	CHECK_ERR(syscall(SYS_getdents64, dir, buf, 1), EINVAL);
	CHECK_ERR(fchdir(null), ENOTDIR);
	CHECK_ERR(openat(null, "x", O_RDONLY), ENOTDIR);
	CHECK_ERR(ioctl(null, TIOCGWINSZ, buf), ENOTTY);
	CHECK_ERR(ioctl(null, 0xdead, buf), ENOTTY);
	CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, dir, 0), ENODEV);
	close(null);
	close(dir);
}

static void flags_and_numbers(void)
{
	struct timespec ts, none = { 0 };
	struct rusage ru;
	struct rlimit rl;

	CHECK_ERR(syscall(SYS_unlinkat, AT_FDCWD, "/tmp/x", 0x1), EINVAL);
	CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "/a", AT_FDCWD, "/b", 0x8000), EINVAL);
	CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "/", &ts, 0x8), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, -1000, &ts), EINVAL);
	CHECK_ERR(syscall(SYS_getrusage, 55, &ru), EINVAL);
	CHECK_ERR(syscall(SYS_prlimit64, 0, 99, NULL, &rl), EINVAL);
	CHECK_ERR(syscall(SYS_prlimit64, 0x3fffffff, RLIMIT_STACK, NULL, &rl), ESRCH);
	CHECK_ERR(syscall(SYS_getrandom, &ts, 4, 0x8000), EINVAL);
	CHECK_ERR(syscall(SYS_setitimer, 55, NULL, NULL), EINVAL);
	CHECK_ERR(kill(getpid(), 1000), EINVAL);
	CHECK_ERR(syscall(SYS_ppoll, NULL, 1l << 30, &none, NULL, 8), EINVAL);
	CHECK_ERR(mkdir("/", 0755), EEXIST);
	CHECK(rmdir("/") < 0);
	CHECK(rename("/", "/tmp/x") < 0);
	CHECK(unlink("/") < 0);
	rl.rlim_cur = 2;
	rl.rlim_max = 1;
	CHECK_ERR(setrlimit(RLIMIT_CORE, &rl), EINVAL);
}

static void large_counts(void)
{
	static char buf[8192];
	long r;
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY);

	/* Linux refuses at once what reaches beyond the user's half; a kernel may also go as far as it can. */
	r = syscall(SYS_write, null, buf, SSIZE_MAX);
	CHECK(r > 0 || (r == -1 && errno == EFAULT));
	r = syscall(SYS_write, null, buf, SIZE_MAX);
	CHECK(r > 0 || (r == -1 && (errno == EFAULT || errno == EINVAL)));
	r = syscall(SYS_read, null, buf, SSIZE_MAX);
	CHECK(r == 0 || (r == -1 && errno == EFAULT));
	r = syscall(SYS_read, zero, buf + sizeof(buf) - 8, 8);
	CHECK_EQ(r, 8);
	CHECK_ERR(syscall(SYS_readv, zero, buf, (unsigned long)INT_MAX), EINVAL);
	CHECK_ERR(syscall(SYS_pread64, zero, buf, (size_t)16, LONG_MIN), EINVAL);
	close(null);
	close(zero);
}

static void unknown_calls(void)
{
	static const long numbers[] = { 1000, 5000,    65536,	   1 << 20,    INT_MAX,	    -1,
					-2,   INT_MIN, 0x40000000, 0x40000001, 0x80000000l, 0x100000000l + 5000 };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!(CHECK_ERR(syscall(numbers[i], 1, 2, 3, 4, 5, 6), ENOSYS)))
			diag("  call %ld", numbers[i]);
}

/* Random calls */

/* Never called: they end or fork the caller, stop the machine, kill others, or change what every process sees. */
static const long forbidden[] = {
	SYS_exit,
	SYS_exit_group,
	SYS_kill,
	SYS_tkill,
	SYS_tgkill,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_reboot,
	SYS_clone,
#ifdef SYS_clone3
	SYS_clone3,
#endif
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
#ifdef SYS_pidfd_send_signal
	SYS_pidfd_send_signal,
#endif
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_swapon,
	SYS_swapoff,
	SYS_sethostname,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_setsid,
	SYS_setpgid,
	SYS_prctl,
	SYS_rt_sigreturn,
	SYS_execve,
};

/* Another kernel gets only these, without privileges: the test is about ours. */
static const long harmless[] = {
	SYS_read,
	SYS_write,
	SYS_openat,
	SYS_close,
	SYS_fstat,
	SYS_newfstatat,
	SYS_lseek,
	SYS_mmap,
	SYS_mprotect,
	SYS_munmap,
	SYS_brk,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_ioctl,
	SYS_pread64,
	SYS_pwrite64,
	SYS_readv,
	SYS_writev,
	SYS_sched_yield,
	SYS_mremap,
	SYS_msync,
	SYS_madvise,
	SYS_dup,
	SYS_nanosleep,
	SYS_getitimer,
	SYS_setitimer,
	SYS_getpid,
	SYS_wait4,
	SYS_uname,
	SYS_fcntl,
	SYS_ftruncate,
	SYS_getcwd,
	SYS_chdir,
	SYS_fchdir,
	SYS_getrusage,
	SYS_sysinfo,
	SYS_times,
	SYS_getuid,
	SYS_getppid,
	SYS_rt_sigpending,
	SYS_rt_sigtimedwait,
	SYS_rt_sigsuspend,
	SYS_sigaltstack,
	SYS_gettid,
	SYS_futex,
	SYS_sched_setaffinity,
	SYS_sched_getaffinity,
	SYS_getdents64,
	SYS_set_tid_address,
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_clock_nanosleep,
	SYS_unlinkat,
	SYS_mkdirat,
	SYS_renameat2,
	SYS_faccessat,
	SYS_ppoll,
	SYS_set_robust_list,
	SYS_dup3,
	SYS_pipe2,
	SYS_prlimit64,
	SYS_getrandom,
	SYS_getcpu,
	SYS_readlinkat,
	SYS_symlinkat,
	SYS_truncate,
	SYS_umask,
	SYS_getpriority,
};

#define MAX_CALL 470

static long pick_call(uint64_t *seed, bool ours)
{
	for (;;) {
		long nr = (long)(random_next(seed) % MAX_CALL);
		bool good = true;

		/* Mostly those that exist. */
		if (!ours || random_next(seed) % 4)
			nr = harmless[random_next(seed) % (sizeof(harmless) / sizeof(harmless[0]))];
		for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
			good &= nr != forbidden[i];
		if (good)
			return nr;
	}
}

static char scratch[3][8192];

static unsigned long pick_argument(uint64_t *seed)
{
	static const char *const paths[] = { "a", "b", "b/c", ".", "..", "./a", "/proc/self/maps", "/proc/sys/vm", "" };
	uint64_t r = random_next(seed);

	switch (r % 16) {
	case 0:
		return 0;
	case 1:
		return (unsigned long)-1;
	case 2:
	case 3:
	case 4:
		return r >> 32 & 15;
	case 5:
		return 1ul << (r >> 32 & 63);
	case 6:
		return (1ul << (r >> 32 & 63)) - 1;
	case 7:
		return -(r >> 32 & 0xffff);
	case 8:
		return 4096 * (r >> 32 & 31);
	case 9:
	case 10:
	case 11:
		return (unsigned long)scratch[r >> 32 & 1];
	case 12:
		return (unsigned long)scratch[2] + (r >> 32 & 8191);
	case 13:
		return (unsigned long)paths[(r >> 32) % (sizeof(paths) / sizeof(paths[0]))];
	case 14:
		return (unsigned long)&r - (r >> 32 & 0x3fff);
	default:
		return r;
	}
}

/* The child: no terminal, no privileges elsewhere, its own directory. Calls until it dies or is done. */
static void fuzz(uint64_t base, volatile uint64_t *shared, uint64_t calls, bool ours)
{
	struct rlimit files = { 256, 256 }, no_core = { 0, 0 }, data = { 1ul << 28, 1ul << 28 };
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_AS, &data);
	if (setresuid(65534, 65534, 65534) && !ours)
		_exit(0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t at = *shared; at < calls;) {
		uint64_t seed = (base + at) * 0x9e3779b97f4a7c15ull | 1;
		unsigned long a[6];
		long nr;

		random_next(&seed);
		nr = pick_call(&seed, ours);
		for (int i = 0; i < 6; i++)
			a[i] = pick_argument(&seed);
		shared[1] = (uint64_t)nr;
		*shared = ++at;
		syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
	_exit(0);
}

static void empty_directory(const char *path)
{
	for (int pass = 0; pass < 3; pass++) {
		DIR *d = opendir(path);
		struct dirent *e;

		while (d && (e = readdir(d))) {
			char name[512];

			snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
			if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && remove(name))
				empty_directory(name);
		}
		if (d)
			closedir(d);
		if (!rmdir(path))
			return;
	}
}

static void random_calls(void)
{
	const char *given = getenv("FUZZ_SEED");
	uint64_t base = given ? strtoull(given, NULL, 0) : 20261121, calls = (uint64_t)ktap_scale(4000);
	volatile uint64_t *shared = shared_memory(4096);
	uint64_t done = 0;
	int children = 0, hung = 0;
	char path[64];

	diag("FUZZ_SEED=%#llx", (unsigned long long)base);
	snprintf(path, sizeof(path), "/tmp/t_badarg.%d", (int)getpid());
	REQUIRE(mkdir(path, 0777) == 0 && chmod(path, 0777) == 0);
	while (done < calls) {
		uint64_t seen = done, since = now_ns();
		pid_t pid;

		*shared = done;
		pid = must_fork();
		if (pid == 0) {
			if (chdir(path))
				_exit(1);
			fuzz(base, shared, calls, ktap_on_exeunt());
		}
		children++;
		/* Whoever makes no call for a while waits for something: the next child goes on behind it. */
		while (waitpid(pid, NULL, WNOHANG) == 0) {
			if (*shared != seen) {
				seen = *shared;
				since = now_ns();
			}
			if (now_ns() - since > 30000000u) {
				kill(pid, SIGKILL);
				REQUIRE(wait_for(pid) >= 0);
				hung++;
				break;
			}
			msleep(1);
		}
		/* A call may even have reset the counter (MADV_REMOVE): always go forward. */
		done = *shared > done ? *shared : done + 1;
	}
	diag("%d children, %d of them waited in a call", children, hung);
	empty_directory(path);
	/* The kernel is still of sound mind. */
	for (int i = 0; i < 10; i++) {
		pid_t pid = must_fork();

		if (pid == 0)
			_exit(access("/dev/null", R_OK) ? 1 : 17);
		CHECK_EXIT(pid, 17);
	}
}

static const struct ktap_case cases[] = {
	CASE(descriptors),  CASE(wrong_kinds),	 CASE(flags_and_numbers),
	CASE(large_counts), CASE(unknown_calls), CASE(random_calls),
};

KTAP_MAIN(cases)
