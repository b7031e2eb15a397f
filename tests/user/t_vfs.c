/*
 * t_vfs: what t_file and t_pipe leave out. Exchanging names, descriptors without a path, FIFOs, sendfile, select,
 * mounts,
 * /proc/PID/fd; and storms in which several processes make, map, cut and remove the same few files.
 * Every case works in a directory of its own below /tmp.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "tests/user/ktap.h"

static char directory[64];

static void enter(void)
{
	mkdir("/tmp", 01777);
	snprintf(directory, sizeof(directory), "/tmp/t_vfs.%d", (int)getpid());
	if (!CHECK(mkdir(directory, 0755) == 0) || !CHECK(chdir(directory) == 0))
		_exit(1);
}

static void leave(void)
{
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(rmdir(directory), 0);
}

static int create(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);

	if (!CHECK(fd >= 0) || !CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text)))
		_exit(1);
	return fd;
}

static bool contains(const char *name, const char *text)
{
	char buf[256];
	long n = proc_read(name, buf, sizeof(buf));

	return n == (long)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static int rename2(const char *from, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void exchange(void)
{
	struct stat st;

	enter();
	close(create("a", "first"));
	close(create("b", "second"));
	CHECK_ERR(rename2("a", "b", 1), EEXIST);
	CHECK_EQ(rename2("a", "b", 2), 0);
	CHECK(contains("a", "second") && contains("b", "first"));
	CHECK_ERR(rename2("a", "none", 2), ENOENT);
	CHECK_ERR(rename2("a", "b", 3), EINVAL);
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(mkdir("d/inner", 0755), 0);
	CHECK_EQ(rename2("d/inner", "a", 2), 0);
	CHECK(stat("a", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(contains("d/inner", "second"));
	CHECK(stat("d", &st) == 0 && st.st_nlink == 2);
	CHECK_ERR(rename2("d", "d/inner/x", 0), ENOTDIR);
	CHECK_ERR(rename2("d", "d/x", 0), EINVAL);
	CHECK_EQ(rename2("d/inner", "c", 1), 0);
	CHECK(unlink("b") == 0 && unlink("c") == 0 && rmdir("a") == 0 && rmdir("d") == 0);
	leave();
}

static void special_files(void)
{
	struct stat st;

	enter();
	CHECK_ERR(open("/dev", O_WRONLY), EISDIR);
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) < 0)
		SKIP("mknod: %s", strerror(errno));
	CHECK(stat("null", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	CHECK_EQ(mknod("nothing", S_IFCHR | 0666, makedev(250, 77)), 0);
	CHECK_ERR(open("nothing", O_RDONLY), ENXIO);
	CHECK_EQ(close(open("null", O_RDWR | O_TRUNC)), 0);
	CHECK(unlink("null") == 0 && unlink("nothing") == 0);
	leave();
}

static void fifo(void)
{
	char buf[8];
	pid_t pid;
	int fd, wr;

	enter();
	CHECK_EQ(mkfifo("f", 0600), 0);
	CHECK_ERR(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
	pid = must_fork();
	if (pid == 0) {
		fd = open("f", O_WRONLY);	/* waits for the reader */
		_exit(fd < 0 || write(fd, "through", 7) != 7);
	}
	CHECK(falls_asleep(pid));
	fd = open("f", O_RDONLY);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 7);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 0);
	wr = open("f", O_WRONLY);
	CHECK(wr >= 0 && write(wr, "x", 1) == 1);
	CHECK_EQ(read(fd, buf, sizeof(buf)), 1);
	close(fd);
	close(wr);
	CHECK_EQ(unlink("f"), 0);
	leave();
}

static void without_a_path(void)
{
	uint64_t value = 5;
	char name[64], link[128];
	struct stat st;
	ssize_t n;
	int fd;

	fd = eventfd(3, EFD_NONBLOCK);
	REQUIRE(fd >= 0);
	CHECK_EQ(write(fd, &value, 8), 8);
	CHECK(read(fd, &value, 8) == 8 && value == 8);
	CHECK_ERR(read(fd, &value, 8), EAGAIN);
	CHECK_ERR(read(fd, &value, 7), EINVAL);
	close(fd);
	fd = memfd_create("some name", MFD_CLOEXEC);
	REQUIRE(fd >= 0);
	CHECK_EQ(write(fd, "in memory", 9), 9);
	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 9 && st.st_nlink == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n > 0 ? n : 0] = '\0';
	CHECK(!strcmp(link, "/memfd:some name (deleted)"));
	CHECK(contains(name, "in memory"));
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	CHECK_ERR(readlink(name, link, sizeof(link)), ENOENT);
}

static void names_of_descriptors(void)
{
	char name[64], link[300], want[200];
	int fd, again, fds[2];
	ssize_t n;

	enter();
	fd = create("x", "text");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	snprintf(want, sizeof(want), "%s/x", directory);
	n = readlink(name, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	CHECK(!strcmp(link, want));
	CHECK_EQ(rename("x", "y"), 0);
	CHECK_EQ(unlink("y"), 0);
	snprintf(want, sizeof(want), "%s/y (deleted)", directory);
	n = readlink(name, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	CHECK(!strcmp(link, want));
	again = open(name, O_RDONLY);
	CHECK(again >= 0 && read(again, link, 10) == 4);
	close(again);
	close(fd);
	REQUIRE(pipe(fds) == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fds[0]);
	n = readlink(name, link, sizeof(link) - 1);
	CHECK(n > 6 && !strncmp(link, "pipe:[", 6));
	close(fds[0]);
	close(fds[1]);
	fd = open(".", O_PATH | O_DIRECTORY);
	CHECK(fd >= 0);
	CHECK_ERR(read(fd, link, 1), EBADF);
	CHECK_EQ(faccessat(fd, "..", F_OK, 0), 0);
	CHECK_EQ(fchdir(fd), 0);
	close(fd);
	leave();
}

static void sending_files(void)
{
	char buf[16];
	off_t off = 2;
	int in, out, fds[2];

	enter();
	in = create("in", "0123456789");
	out = create("out", "");
	REQUIRE(pipe(fds) == 0);
	CHECK_EQ(sendfile(out, in, &off, 5), 5);
	CHECK_EQ(off, 7);
	CHECK(contains("out", "23456"));
	CHECK_EQ(lseek(in, 8, SEEK_SET), 8);
	CHECK_EQ(sendfile(fds[1], in, NULL, 100), 2);
	CHECK_EQ(read(fds[0], buf, sizeof(buf)), 2);
	CHECK_EQ(lseek(in, 0, SEEK_CUR), 10);
	CHECK_ERR(sendfile(out, fds[0], NULL, 1), EINVAL);
	CHECK_ERR(sendfile(in, -1, NULL, 1), EBADF);
	CHECK(unlink("in") == 0 && unlink("out") == 0);
	leave();
}

static void selecting(void)
{
	struct timeval tv = { 0, 20000 };
	fd_set in, out;
	int a[2], b[2];

	REQUIRE(pipe(a) == 0 && pipe(b) == 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(a[0], &in);
	FD_SET(b[0], &in);
	CHECK_EQ(select(b[1] + 1, &in, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(a[0], &in) && !FD_ISSET(b[0], &in));
	CHECK_EQ(write(b[1], "x", 1), 1);
	FD_SET(a[0], &in);
	FD_SET(b[0], &in);
	FD_SET(a[1], &out);
	CHECK_EQ(select(b[1] + 1, &in, &out, NULL, NULL), 2);
	CHECK(!FD_ISSET(a[0], &in) && FD_ISSET(b[0], &in) && FD_ISSET(a[1], &out));
	close(a[0]);
	FD_ZERO(&in);
	FD_SET(a[0], &in);
	CHECK_ERR(select(a[0] + 1, &in, NULL, NULL, NULL), EBADF);
	CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
}

static void pipe_size(void)
{
	char *buf = malloc(1 << 17), *back = malloc(1 << 17);
	int fds[2];

	REQUIRE(buf && back && pipe2(fds, O_NONBLOCK) == 0);
	for (int i = 0; i < 1 << 17; i++)
		buf[i] = (char)(i * 7 + i / 4096);
	CHECK_EQ(fcntl(fds[0], F_GETPIPE_SZ), 65536);
	CHECK_EQ(write(fds[1], buf, 10000), 10000);
	CHECK_EQ(read(fds[0], back, 5000), 5000);
	CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 1 << 17), 1 << 17);
	CHECK(write(fds[1], buf + 10000, 50000) == 50000);
	CHECK_ERR(fcntl(fds[1], F_SETPIPE_SZ, 8192), EBUSY);
	CHECK_EQ(read(fds[0], back + 5000, 55000), 55000);
	CHECK(!memcmp(buf, back, 60000));
	CHECK_EQ(fcntl(fds[1], F_SETPIPE_SZ, 1), (int)page_bytes());
	CHECK_EQ(write(fds[1], buf, 1 << 17), (int)page_bytes());
	CHECK_ERR(fcntl(0, F_SETPIPE_SZ, 4096), EBADF);
}

static void times_and_owners(void)
{
	struct timespec ts[2] = { { 1000, 5 }, { 0, UTIME_OMIT } };
	struct statx stx;
	struct stat st;
	int fd;

	enter();
	fd = create("a", "x");
	CHECK_EQ(utimensat(AT_FDCWD, "a", ts, 0), 0);
	CHECK(stat("a", &st) == 0 && st.st_atim.tv_sec == 1000 && st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec != 1000);
	ts[1].tv_nsec = 1000000000;
	CHECK_ERR(futimens(fd, ts), EINVAL);
	CHECK_EQ(fchmod(fd, 0640), 0);
	CHECK(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &stx) == 0 && stx.stx_mode == (S_IFREG | 0640) &&
	      stx.stx_size == 1);
	CHECK_EQ(statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx), 0);
	CHECK_ERR(statx(AT_FDCWD, "a", 0x40000000, STATX_BASIC_STATS, &stx), EINVAL);
	if (fchown(fd, 12, 34) == 0)
		CHECK(fstat(fd, &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
	CHECK_EQ(syscall(SYS_close_range, fd, fd, 0), 0);
	CHECK_ERR(fchmod(fd, 0600), EBADF);
	CHECK_EQ(unlink("a"), 0);
	leave();
}

static void randomness(void)
{
	unsigned char a[600], b[600];
	int seen = 0;

	memset(a, 0, sizeof(a));
	CHECK_EQ(getrandom(a, sizeof(a), 0), sizeof(a));
	CHECK_EQ(getrandom(b, sizeof(b), GRND_NONBLOCK), sizeof(b));
	CHECK(memcmp(a, b, sizeof(a)));
	for (int v = 0; v < 256; v++)
		seen += memchr(a, v, sizeof(a)) != NULL;
	CHECK(seen > 200);
	CHECK_ERR(getrandom(a, 1, 0x100), EINVAL);
}

/* ---- mounts */

static void mounting(void)
{
	char buf[4096];
	struct statfs sf;
	int fd, n;

	enter();
	CHECK_EQ(mkdir("m", 0755), 0);
	if (mount("test", "m", "tmpfs", 0, "size=64k,mode=700") < 0) {
		rmdir("m");
		SKIP("mount: %s", strerror(errno));
	}
	CHECK(statfs("m", &sf) == 0 && sf.f_blocks * (unsigned long)sf.f_bsize == 65536);
	fd = create("m/a", "");
	memset(buf, 'x', sizeof(buf));
	for (n = 0; write(fd, buf, sizeof(buf)) == sizeof(buf); n++)
		;
	CHECK_EQ(errno, ENOSPC);
	CHECK_EQ(n, 16);
	CHECK_EQ(ftruncate(fd, 4096), 0);
	CHECK_EQ(pwrite(fd, buf, sizeof(buf), 8192), (int)sizeof(buf));
	CHECK_ERR(link("m/a", "b"), EXDEV);
	CHECK_ERR(rename("m/a", "b"), EXDEV);
	CHECK_ERR(rmdir("m"), EBUSY);
	CHECK_ERR(umount("m"), EBUSY);
	close(fd);
	CHECK_EQ(umount("m"), 0);
	CHECK_ERR(umount("m"), EINVAL);
	CHECK_ERR(open("m/a", O_RDONLY), ENOENT);
	CHECK_ERR(mount("test", "m", "nosuchfs", 0, NULL), ENODEV);
	CHECK_ERR(mount("test", "m", "tmpfs", 0, "size=much"), EINVAL);
	CHECK_EQ(mount("test", "m", "tmpfs", MS_RDONLY, NULL), 0);
	CHECK_ERR(mkdir("m/d", 0755), EROFS);
	CHECK_ERR(open("m/a", O_CREAT | O_RDWR, 0600), EROFS);
	CHECK_EQ(umount("m"), 0);
	CHECK_EQ(rmdir("m"), 0);
	leave();
}

/* ---- storms */

#define WORKERS	4
#define NAMES	6

static uint64_t rng;

static unsigned int below(unsigned int n)
{
	return (unsigned int)(random_next(&rng) >> 33) % n;
}

static const char *some_name(char *buf)
{
	snprintf(buf, 16, "d%u/f%u", below(2), below(NAMES));
	return buf;
}

/* Workers in a directory with d0 and d1; afterwards whatever is there goes. */
static void storm(void (*work)(void))
{
	char name[16];
	pid_t pid[WORKERS];

	enter();
	CHECK(mkdir("d0", 0755) == 0 && mkdir("d1", 0755) == 0);
	for (int i = 0; i < WORKERS; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			rng = (uint64_t)(i + 1) * 7919;
			for (int n = ktap_scale(400); n; n--)
				work();
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK_EXIT(pid[i], 0);
	for (int d = 0; d < 2; d++) {
		for (int f = 0; f < NAMES; f++) {
			snprintf(name, sizeof(name), "d%d/f%d", d, f);
			if (unlink(name) < 0)
				rmdir(name);
		}
		snprintf(name, sizeof(name), "d%d", d);
		CHECK_EQ(rmdir(name), 0);
	}
	leave();
}

static void work_on_names(void)
{
	char a[16], b[16], buf[64];
	struct dirent *e;
	DIR *d;
	int fd;

	some_name(a);
	some_name(b);
	switch (below(10)) {
	case 0:
	case 1:
		fd = open(a, O_CREAT | O_RDWR, 0644);
		if (fd >= 0 && write(fd, a, strlen(a)) < 0)
			CHECK(errno == EISDIR);
		close(fd);
		break;
	case 2:
		unlink(a);
		break;
	case 3:
		rename(a, b);
		break;
	case 4:
		rename2(a, b, 2);
		break;
	case 5:
		if (link(a, b) < 0)
			CHECK(errno == EEXIST || errno == ENOENT || errno == EPERM || errno == ELOOP);
		break;
	case 6:
		if (symlink(a, b) < 0)
			CHECK(errno == EEXIST);
		break;
	case 7:
		mkdir(a, 0755);
		rmdir(b);
		break;
	case 8:
		d = opendir("d0");
		while (d && (e = readdir(d)))
			if (e->d_name[0] == 'f' && !below(4)) {
				snprintf(buf, sizeof(buf), "d0/%.20s", e->d_name);
				unlink(buf);
			}
		closedir(d);
		break;
	case 9:
		fd = open(a, O_RDONLY);
		if (fd >= 0) {
			struct stat st;

			CHECK_EQ(fstat(fd, &st), 0);
			close(fd);
		}
		break;
	}
}

static void storm_of_names(void)
{
	storm(work_on_names);
}

static sigjmp_buf beyond_the_end;

static void on_bus(int sig)
{
	siglongjmp(beyond_the_end, 1);
}

/* What another process cuts off while it is mapped gives SIGBUS, and nothing else. */
static void work_on_mappings(void)
{
	size_t page = page_bytes(), len = (below(30) + 1) * page;
	char a[16];
	char *volatile p;
	int fd = open(some_name(a), O_CREAT | O_RDWR, 0644);

	if (fd < 0)
		return;
	signal(SIGBUS, on_bus);
	switch (below(4)) {
	case 0:
		CHECK_EQ(ftruncate(fd, below(100000)), 0);
		break;
	case 1:
		CHECK_EQ(pwrite(fd, a, 4, below(100000)), 4);
		break;
	case 2:
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, below(50000), below(50000) + 1) < 0)
			CHECK(errno == EOPNOTSUPP);
		break;
	case 3:
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, below(2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		if (!CHECK(p != MAP_FAILED))
			break;
		if (!sigsetjmp(beyond_the_end, 1))
			for (size_t at = 0; at < len; at += page)
				p[at + below((unsigned int)page)]++;
		if (!below(8)) {
			pid_t pid = must_fork();

			if (pid == 0) {
				if (!sigsetjmp(beyond_the_end, 1))
					for (size_t at = 0; at < len; at += page)
						p[at]++;
				_exit(0);
			}
			CHECK_EXIT(pid, 0);
		}
		CHECK_EQ(munmap(p, len), 0);
		break;
	}
	close(fd);
	if (!below(10))
		unlink(a);
}

static void storm_of_mappings(void)
{
	storm(work_on_mappings);
}

static void work_on_mounts(void)
{
	char buf[4096] = { 0 };
	const char *where = below(2) ? "d0" : "d1";
	char name[16];
	int fd;

	if (mount("storm", where, "tmpfs", 0, "size=40k") < 0) {
		/* Linux says so when what is mounted there goes at this moment. */
		CHECK(errno == EPERM || (errno == EINVAL && !ktap_on_exeunt()));
		return;
	}
	fd = open(some_name(name), O_CREAT | O_RDWR, 0644);
	for (int n = 0; fd >= 0 && n < 20 && write(fd, buf, sizeof(buf)) > 0; n++)
		;	/* the mount may be gone already, and with it the limit */
	if (below(2))
		close(fd);
	for (int tries = 0; umount2(where, below(2) ? MNT_DETACH : 0) < 0 && tries < 50; tries++)
		sched_yield();
	close(fd);
}

static void storm_of_mounts(void)
{
	char *dirs[] = { "d0", "d1" };
	pid_t pid[WORKERS];

	if (geteuid())
		SKIP("only root mounts");
	enter();
	CHECK(mkdir("d0", 0755) == 0 && mkdir("d1", 0755) == 0);
	for (int i = 0; i < WORKERS; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			rng = (uint64_t)(i + 1) * 104729;
			for (int n = ktap_scale(60); n; n--)
				work_on_mounts();
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK_EXIT(pid[i], 0);
	for (int d = 0; d < 2; d++) {
		char name[16];

		for (int n = 0; n < 1000 && umount2(dirs[d], MNT_DETACH) == 0; n++)
			;
		for (int f = 0; f < NAMES; f++) {
			snprintf(name, sizeof(name), "%s/f%d", dirs[d], f);
			unlink(name);
		}
		CHECK_EQ(rmdir(dirs[d]), 0);
	}
	leave();
}

/* Processes come and go while others read all that /proc says of them. */
static void work_on_proc(void)
{
	static const char *const files[] = { "stat",   "status", "maps", "cmdline", "comm",
					     "limits", "exe",	 "cwd",	 "fd",	    "task" };
	char path[300], text[2000];
	struct dirent *e;
	DIR *d;

	if (below(3)) {
		pid_t pid = must_fork();

		if (pid == 0)
			_exit(0);
		CHECK_EXIT(pid, 0);
		return;
	}
	d = opendir("/proc");
	REQUIRE(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/%s", e->d_name, files[below(10)]);
		if (proc_read(path, text, sizeof(text)) < 0)
			CHECK(errno == ENOENT || errno == ESRCH || errno == EISDIR || errno == EACCES ||
			      errno == EINVAL);
	}
	closedir(d);
}

static void storm_of_processes(void)
{
	pid_t pid[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			rng = (uint64_t)(i + 1) * 65537;
			for (int n = ktap_scale(60); n; n--)
				work_on_proc();
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK_EXIT(pid[i], 0);
}

static const struct ktap_case cases[] = {
	CASE(exchange),
	CASE(special_files),
	CASE(fifo),
	CASE(without_a_path),
	CASE(names_of_descriptors),
	CASE(sending_files),
	CASE(selecting),
	CASE(pipe_size),
	CASE(times_and_owners),
	CASE(randomness),
	CASE(mounting),
	CASE(storm_of_names),
	CASE(storm_of_mappings),
	CASE(storm_of_mounts),
	CASE(storm_of_processes),
};

KTAP_MAIN(cases)
