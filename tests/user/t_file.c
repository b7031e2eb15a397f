/*
 * t_file: files and directories of a tmpfs. Opening, reading and writing, seeking, directories, links, names, mappings.
 * Every case works in a directory of its own below /tmp.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "tests/user/fault.h"
#include "tests/user/ktap.h"

static char directory[64];

/* Enter an empty directory. */
static void enter(void)
{
	mkdir("/tmp", 01777);
	snprintf(directory, sizeof(directory), "/tmp/t_file.%d", (int)getpid());
	if (!CHECK(mkdir(directory, 0755) == 0) || !CHECK(chdir(directory) == 0))
		_exit(1);
}

/* Leave it; it must be empty by now. */
static void leave(void)
{
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(rmdir(directory), 0);
}

static int create(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);

	if (!CHECK(fd >= 0))
		_exit(1);
	return fd;
}

static bool contains(const char *name, const char *text)
{
	char buf[256];
	long n = proc_read(name, buf, sizeof(buf));

	return n == (long)strlen(text) && !memcmp(buf, text, (size_t)n);
}

static void open_flags(void)
{
	struct stat st;
	int fd;

	enter();
	CHECK_ERR(open("a", O_RDONLY), ENOENT);
	fd = create("a");
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_EQ(close(fd), 0);
	CHECK_ERR(open("a", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
	fd = open("a", O_RDONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_ERR(write(fd, "x", 1), EBADF);
	close(fd);
	fd = open("a", O_WRONLY);
	CHECK_ERR(read(fd, &st, 1), EBADF);
	CHECK_EQ(write(fd, "J", 1), 1);
	close(fd);
	CHECK(contains("a", "Jello"));
	fd = open("a", O_WRONLY | O_TRUNC);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 0);
	close(fd);
	CHECK_ERR(open("a/b", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("a/", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERR(open(".", O_RDWR), EISDIR);
	CHECK_ERR(open("", O_RDONLY), ENOENT);
	CHECK_ERR(open("no/such", O_RDWR | O_CREAT, 0644), ENOENT);
	CHECK_EQ(unlink("a"), 0);
	leave();
}

static void long_names(void)
{
	static char name[PATH_MAX + 100];

	enter();
	memset(name, 'n', NAME_MAX);
	close(create(name));
	CHECK_EQ(unlink(name), 0);
	name[NAME_MAX] = 'n';
	CHECK_ERR(open(name, O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
	memset(name, '/', sizeof(name) - 1);
	CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
	leave();
}

static void seek_and_holes(void)
{
	struct stat st;
	char buf[16];
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(lseek(fd, 0, SEEK_END), 0);
	CHECK_EQ(lseek(fd, 20000, SEEK_SET), 20000);
	CHECK_EQ(write(fd, "end", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 20003);
	CHECK_EQ(lseek(fd, -4, SEEK_END), 19999);
	CHECK_EQ(read(fd, buf, 16), 4);
	CHECK(!memcmp(buf, "\0end", 4));
	CHECK_EQ(read(fd, buf, 16), 0);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, 0, 77), EINVAL);
	CHECK_EQ(lseek(fd, 12345, SEEK_SET), 12345);
	CHECK_EQ(read(fd, buf, 4), 4);
	CHECK(!memcmp(buf, "\0\0\0", 4));
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 20003);
	close(fd);
	unlink("a");
	leave();
}

static void positioned(void)
{
	char buf[8] = "";
	struct iovec iov[2] = { { buf, 2 }, { buf + 2, 3 } };
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(pwrite(fd, "abcdef", 6, 10), 6);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_EQ(pread(fd, buf, 3, 12), 3);
	CHECK(!memcmp(buf, "cde", 3));
	CHECK_EQ(pread(fd, buf, 8, 16), 0);
	CHECK_EQ(pread(fd, buf, 8, 1000), 0);
	CHECK_ERR(pread(fd, buf, 1, -1), EINVAL);
	CHECK_ERR(pwrite(fd, buf, 1, -1), EINVAL);
	CHECK_EQ(lseek(fd, 11, SEEK_SET), 11);
	CHECK_EQ(readv(fd, iov, 2), 5);
	CHECK(!memcmp(buf, "bcdef", 5));
	close(fd);
	unlink("a");
	leave();
}

static void append(void)
{
	int a, b;

	enter();
	close(create("a"));
	a = open("a", O_WRONLY | O_APPEND);
	b = open("a", O_WRONLY | O_APPEND);
	CHECK(a >= 0 && b >= 0);
	CHECK_EQ(write(a, "one", 3), 3);
	CHECK_EQ(write(b, "two", 3), 3);
	CHECK_EQ(lseek(a, 0, SEEK_SET), 0);
	CHECK_EQ(write(a, "three", 5), 5);
	CHECK(contains("a", "onetwothree"));
	close(a);
	close(b);
	unlink("a");
	leave();
}

static void truncation(void)
{
	struct stat st;
	char buf[8];
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(ftruncate(fd, 4), 0);
	CHECK_EQ(ftruncate(fd, 9000), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 9000);
	CHECK_EQ(pread(fd, buf, 8, 0), 8);
	CHECK(!memcmp(buf, "0123\0\0\0", 8));
	CHECK_ERR(ftruncate(fd, -1), EINVAL);
	CHECK_EQ(truncate("a", 2), 0);
	CHECK(contains("a", "01"));
	close(fd);
	fd = open("a", O_RDONLY);
	CHECK_ERR(ftruncate(fd, 0), EINVAL);
	close(fd);
	unlink("a");
	leave();
}

static void unlinked_files_live_on(void)
{
	struct stat st;
	char buf[8];
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(write(fd, "alive", 5), 5);
	CHECK_EQ(unlink("a"), 0);
	CHECK_ERR(unlink("a"), ENOENT);
	CHECK_ERR(stat("a", &st), ENOENT);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	close(create("a"));
	CHECK_EQ(pread(fd, buf, 8, 0), 5);
	CHECK(!memcmp(buf, "alive", 5));
	close(fd);
	CHECK_EQ(unlink("a"), 0);
	CHECK_ERR(unlink("."), EISDIR);
	leave();
}

static void renaming(void)
{
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(write(fd, "A", 1), 1);
	close(fd);
	fd = create("b");
	CHECK_EQ(write(fd, "B", 1), 1);
	close(fd);
	CHECK_EQ(rename("a", "c"), 0);
	CHECK(contains("c", "A"));
	CHECK_ERR(open("a", O_RDONLY), ENOENT);
	CHECK_EQ(rename("c", "b"), 0);
	CHECK(contains("b", "A"));
	CHECK_ERR(rename("nothing", "b"), ENOENT);
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(mkdir("d/e", 0755), 0);
	CHECK_ERR(rename("b", "d"), EISDIR);
	CHECK_ERR(rename("d", "b"), ENOTDIR);
	CHECK_ERR(rename("d", "d/e/f"), EINVAL);
	CHECK_EQ(rename("b", "d/e/b"), 0);
	CHECK(contains("d/e/b", "A"));
	CHECK_EQ(mkdir("full", 0755), 0);
	CHECK_EQ(mkdir("full/x", 0755), 0);
	CHECK(rename("d", "full") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
	CHECK_EQ(rmdir("full/x"), 0);
	CHECK_EQ(rename("d", "full"), 0);
	CHECK(contains("full/e/b", "A"));
	CHECK_EQ(rename("full/e/b", "full/e/b"), 0);
	CHECK_EQ(unlink("full/e/b"), 0);
	CHECK_EQ(rmdir("full/e"), 0);
	CHECK_EQ(rmdir("full"), 0);
	leave();
}

static void directories(void)
{
	struct stat st;

	enter();
	CHECK_EQ(mkdir("d", 0751), 0);
	CHECK_ERR(mkdir("d", 0755), EEXIST);
	CHECK_ERR(mkdir("x/y", 0755), ENOENT);
	CHECK_EQ(stat("d", &st), 0);
	CHECK(S_ISDIR(st.st_mode));
	CHECK_EQ(st.st_mode & 0777, 0751);
	close(create("d/f"));
	CHECK(rmdir("d") == -1 && (errno == ENOTEMPTY || errno == EEXIST));
	CHECK_ERR(rmdir("d/f"), ENOTDIR);
	CHECK_ERR(rmdir("nothing"), ENOENT);
	CHECK_ERR(rmdir("d/."), EINVAL);
	CHECK_EQ(unlink("d/f"), 0);
	CHECK_EQ(rmdir("d/"), 0);
	CHECK_ERR(stat("d", &st), ENOENT);
	leave();
}

static void listing(void)
{
	enum { N = 100 };
	bool seen[N] = { false };
	int dots = 0, others = 0;
	struct dirent *e;
	char name[16];
	DIR *d;

	enter();
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		if (i % 10)
			close(create(name));
		else
			CHECK_EQ(mkdir(name, 0755), 0);
	}
	d = opendir(".");
	REQUIRE(d);
	for (int pass = 0; pass < 2; pass++) {
		memset(seen, 0, sizeof(seen));
		dots = others = 0;
		while ((e = readdir(d))) {
			int i = -1;

			if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
				dots++;
			} else if (sscanf(e->d_name, "file%d", &i) == 1 && i >= 0 && i < N && !seen[i]) {
				seen[i] = true;
				CHECK(e->d_type == DT_UNKNOWN || e->d_type == (i % 10 ? DT_REG : DT_DIR));
				CHECK(e->d_ino != 0);
			} else {
				others++;
			}
		}
		CHECK_EQ(dots, 2);
		CHECK_EQ(others, 0);
		for (int i = 0; i < N; i++)
			CHECK(seen[i]);
		rewinddir(d);
	}
	closedir(d);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "file%d", i);
		CHECK_EQ(remove(name), 0);
	}
	leave();
}

static void unlink_while_listing(void)
{
	struct dirent *e;
	char name[16];
	int n = 0;
	DIR *d;

	enter();
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		close(create(name));
	}
	d = opendir(".");
	REQUIRE(d);
	while ((e = readdir(d)))
		if (e->d_name[0] == 'f')
			n += unlink(e->d_name) == 0;
	closedir(d);
	CHECK_EQ(n, 50);
	leave();
}

static void working_directory(void)
{
	char buf[256], expected[96];
	int fd;

	enter();
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, directory));
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(chdir("d"), 0);
	snprintf(expected, sizeof(expected), "%s/d", directory);
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, expected));
	CHECK(!getcwd(buf, 5) && errno == ERANGE);
	close(create("../x"));
	CHECK_EQ(chdir("./..//d/../"), 0);
	CHECK_EQ(access("x", F_OK), 0);
	CHECK_ERR(chdir("x"), ENOTDIR);
	CHECK_ERR(chdir("nothing"), ENOENT);
	fd = open("d", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	CHECK_EQ(fchdir(fd), 0);
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, expected));
	CHECK_EQ(chdir("/"), 0);
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, "/"));
	CHECK_EQ(chdir(".."), 0);
	CHECK(getcwd(buf, sizeof(buf)) && !strcmp(buf, "/"));
	CHECK_EQ(unlinkat(fd, "../x", 0), 0);
	CHECK_EQ(openat(fd, "y", O_RDWR | O_CREAT, 0644) < 0, 0);
	CHECK_EQ(unlinkat(fd, "y", 0), 0);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(chdir(directory), 0);
	CHECK_EQ(unlinkat(AT_FDCWD, "d", AT_REMOVEDIR), 0);
	leave();
}

static void symbolic_links(void)
{
	struct stat st;
	char buf[32];
	int fd;

	enter();
	if (symlink("target", "link") && (errno == ENOSYS || errno == EPERM)) {
		leave();
		SKIP("no symlink");
	}
	CHECK_EQ(readlink("link", buf, sizeof(buf)), 6);
	CHECK(!memcmp(buf, "target", 6));
	CHECK_EQ(readlink("link", buf, 3), 3);
	CHECK_ERR(open("link", O_RDONLY), ENOENT);
	fd = create("target");
	CHECK_EQ(write(fd, "T", 1), 1);
	close(fd);
	CHECK(contains("link", "T"));
	CHECK_EQ(lstat("link", &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(st.st_size, 6);
	CHECK_EQ(stat("link", &st), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERR(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERR(readlink("target", buf, sizeof(buf)), EINVAL);
	CHECK_EQ(symlink("loop2", "loop1"), 0);
	CHECK_EQ(symlink("loop1", "loop2"), 0);
	CHECK_ERR(open("loop1", O_RDONLY), ELOOP);
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(symlink("../target", "d/up"), 0);
	CHECK(contains("d/up", "T"));
	CHECK_EQ(symlink("d", "dirlink"), 0);
	CHECK(contains("dirlink/up", "T"));
	CHECK_EQ(unlink("dirlink"), 0);
	CHECK_EQ(unlink("d/up"), 0);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_EQ(unlink("loop1"), 0);
	CHECK_EQ(unlink("loop2"), 0);
	CHECK_EQ(unlink("link"), 0);
	CHECK_EQ(unlink("target"), 0);
	leave();
}

static void descriptors(void)
{
	int a, b, c;
	char x;

	enter();
	a = create("a");
	CHECK_EQ(write(a, "abc", 3), 3);
	b = dup(a);
	CHECK(b > a);
	CHECK_EQ(lseek(b, 1, SEEK_SET), 1);
	CHECK_EQ(read(a, &x, 1), 1);
	CHECK_EQ(x, 'b');
	CHECK_EQ(dup2(a, 100), 100);
	CHECK_EQ(dup2(a, a), a);
	CHECK_ERR(dup2(99, 98), EBADF);
	CHECK_ERR(dup3(a, a, 0), EINVAL);
	CHECK_ERR(dup3(a, 101, 0x1), EINVAL);
	CHECK_EQ(dup3(a, 101, O_CLOEXEC), 101);
	CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(100, F_GETFD), 0);
	CHECK_EQ(fcntl(100, F_SETFD, FD_CLOEXEC), 0);
	CHECK_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
	c = fcntl(a, F_DUPFD, 50);
	CHECK_EQ(c, 50);
	CHECK_EQ(fcntl(a, F_DUPFD_CLOEXEC, 50), 51);
	CHECK_EQ(fcntl(a, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR);
	CHECK_EQ(fcntl(a, F_SETFL, O_APPEND), 0);
	CHECK(fcntl(b, F_GETFL) & O_APPEND);
	CHECK_EQ(close(a), 0);
	CHECK_ERR(close(a), EBADF);
	CHECK_EQ(open("a", O_RDONLY), a);
	CHECK_ERR(fcntl(9999, F_GETFD), EBADF);
	CHECK_EQ(unlink("a"), 0);
	leave();
}

static void descriptor_table_is_bounded(void)
{
	int n = 0, fd = -1, last;

	while (n < 5000 && (last = open("/dev/null", O_RDONLY)) >= 0) {
		fd = last;
		n++;
	}
	if (n < 5000)
		CHECK_EQ(errno, EMFILE);
	CHECK(n >= 200);
	for (int i = 3; i <= fd; i++)
		close(i);
}

static void status(void)
{
	struct stat st, st2;
	time_t before = time(NULL);
	int fd;

	enter();
	umask(022);
	fd = open("a", O_RDWR | O_CREAT, 0666);
	CHECK_EQ(write(fd, "12345", 5), 5);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(stat("a", &st2), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_mode & 0777, 0644);
	CHECK_EQ(st.st_size, 5);
	CHECK_EQ(st.st_nlink, 1);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK(st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
	CHECK(st.st_blksize > 0 && st.st_blocks >= 0);
	CHECK(st.st_mtime >= before - 1 && st.st_mtime <= time(NULL) + 1);
	close(create("b"));
	CHECK_EQ(stat("b", &st2), 0);
	CHECK(st.st_ino != st2.st_ino);
	CHECK_EQ(stat("/dev/null", &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_ERR(stat("nothing", &st), ENOENT);
	CHECK_ERR(stat("a/x", &st), ENOTDIR);
	CHECK_ERR(fstat(999, &st), EBADF);
	CHECK_EQ(fstatat(AT_FDCWD, "a", &st, 0), 0);
	CHECK_EQ(fstatat(fd, "", &st, AT_EMPTY_PATH), 0);
	CHECK_EQ(st.st_size, 5);
	close(fd);
	CHECK_EQ(access("a", F_OK), 0);
	CHECK_EQ(access("a", R_OK | W_OK), 0);
	CHECK_ERR(access("nothing", F_OK), ENOENT);
	CHECK_ERR(access("a", 0x77), EINVAL);
	unlink("a");
	unlink("b");
	leave();
}

static void devices(void)
{
	unsigned char buf[64], other[64];
	bool zero = true;
	int fd = open("/dev/zero", O_RDWR);

	REQUIRE(fd >= 0);
	memset(buf, 1, sizeof(buf));
	CHECK_EQ(read(fd, buf, sizeof(buf)), 64);
	for (size_t i = 0; i < sizeof(buf); i++)
		zero &= buf[i] == 0;
	CHECK(zero);
	CHECK_EQ(write(fd, buf, 10), 10);
	close(fd);
	fd = open("/dev/null", O_RDWR);
	REQUIRE(fd >= 0);
	CHECK_EQ(read(fd, buf, 10), 0);
	CHECK_EQ(write(fd, buf, 64), 64);
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	REQUIRE(fd >= 0);
	CHECK_EQ(read(fd, buf, 64), 64);
	CHECK_EQ(read(fd, other, 64), 64);
	CHECK(memcmp(buf, other, 64) != 0);
	close(fd);
}

static void shared_mapping(void)
{
	size_t page = page_bytes();
	char *p, *q, buf[8];
	pid_t pid;
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(ftruncate(fd, (off_t)(2 * page)), 0);
	CHECK_EQ(pwrite(fd, "file", 4, 0), 4);
	p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)page);
	REQUIRE(p != MAP_FAILED && q != MAP_FAILED);
	CHECK(!memcmp(p, "file", 4));
	memcpy(p + page, "mapped", 6);
	CHECK(!memcmp(q, "mapped", 6));
	CHECK_EQ(pread(fd, buf, 6, (off_t)page), 6);
	CHECK(!memcmp(buf, "mapped", 6));
	CHECK_EQ(pwrite(fd, "again", 5, (off_t)page), 5);
	CHECK(!memcmp(q, "againd", 6));
	CHECK_EQ(msync(p, 2 * page, MS_SYNC), 0);
	CHECK_ERR(msync(p + 1, page, MS_SYNC), EINVAL);
	CHECK_ERR(msync(p, page, MS_SYNC | MS_ASYNC), EINVAL);
	pid = must_fork();
	if (pid == 0) {
		p[5] = 'C';
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(p[5], 'C');
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(unlink("a"), 0);
	p[6] = 'D';
	CHECK_EQ(p[6], 'D');
	CHECK_EQ(munmap(p, 2 * page), 0);
	CHECK_EQ(q[0], 'a');
	CHECK_EQ(munmap(q, page), 0);
	leave();
}

static void private_mapping(void)
{
	size_t page = page_bytes();
	char *p, buf[8];
	int fd;

	enter();
	fd = create("a");
	CHECK_EQ(write(fd, "original", 8), 8);
	p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	REQUIRE(p != MAP_FAILED);
	CHECK(!memcmp(p, "original", 8));
	CHECK_EQ(p[8] + p[page - 1], 0);
	memcpy(p, "changed!", 8);
	CHECK_EQ(pread(fd, buf, 8, 0), 8);
	CHECK(!memcmp(buf, "original", 8));
	CHECK_EQ(madvise(p, page, MADV_DONTNEED), 0);
	CHECK(!memcmp(p, "original", 8));
	close(fd);
	CHECK_EQ(munmap(p, page), 0);
	unlink("a");
	leave();
}

static void truncated_mapping(void)
{
	size_t page = page_bytes();
	char *p;
	int fd;

	enter();
	fault_catch();
	fd = create("a");
	CHECK_EQ(ftruncate(fd, (off_t)(3 * page)), 0);
	p = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED);
	memset(p, 5, 3 * page);
	CHECK_EQ(ftruncate(fd, (off_t)page + 10), 0);
	CHECK_EQ(fault_read(p + page + 9), 0);
	CHECK_EQ(p[page + 10], 0);
	CHECK_EQ(fault_read(p + 2 * page), SIGBUS);
	CHECK_EQ(ftruncate(fd, (off_t)(3 * page)), 0);
	CHECK_EQ(fault_read(p + 2 * page), 0);
	CHECK_EQ(p[2 * page], 0);
	close(fd);
	munmap(p, 3 * page);
	unlink("a");
	leave();
}

static void large_file(void)
{
	enum { BLOCK = 65536, BLOCKS = 64 };
	char *block = calloc(1, BLOCK);
	int fd;

	REQUIRE(block);
	enter();
	fd = create("a");
	for (int i = 0; i < BLOCKS; i++) {
		memset(block, i, BLOCK);
		REQUIRE(write(fd, block, BLOCK) == BLOCK);
	}
	for (int i = BLOCKS - 1; i >= 0; i--) {
		REQUIRE(pread(fd, block, BLOCK, (off_t)i * BLOCK) == BLOCK);
		REQUIRE(block[0] == (char)i && block[BLOCK - 1] == (char)i);
	}
	close(fd);
	unlink("a");
	leave();
}

static const struct ktap_case cases[] = {
	CASE(open_flags),
	CASE(long_names),
	CASE(seek_and_holes),
	CASE(positioned),
	CASE(append),
	CASE(truncation),
	CASE(unlinked_files_live_on),
	CASE(renaming),
	CASE(directories),
	CASE(listing),
	CASE(unlink_while_listing),
	CASE(working_directory),
	CASE(symbolic_links),
	CASE(descriptors),
	CASE(descriptor_table_is_bounded),
	CASE(status),
	CASE(devices),
	CASE(shared_mapping),
	CASE(private_mapping),
	CASE(truncated_mapping),
	CASE(large_file),
};

KTAP_MAIN(cases)
