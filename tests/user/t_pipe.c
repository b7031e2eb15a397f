/*
 * t_pipe: pipes and poll. Capacity, atomic writes, ends that close, non-blocking ends, many readers and writers.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "tests/user/ktap.h"

static int rd, wr;	/* the ends of the case's pipe */

static void open_pipe(int flags)
{
	int fds[2];

	if (!CHECK(pipe2(fds, flags) == 0))
		_exit(1);
	rd = fds[0];
	wr = fds[1];
}

/* Read exactly n bytes unless the pipe ends. Returns how many. */
static size_t read_all(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)buf + done, n - done);

		if (r <= 0)
			break;
		done += (size_t)r;
	}
	return done;
}

static void bytes_in_order(void)
{
	char out[300], in[600];

	open_pipe(0);
	for (int i = 0; i < 300; i++)
		out[i] = (char)i;
	CHECK_EQ(write(wr, out, 100), 100);
	CHECK_EQ(write(wr, out + 100, 200), 200);
	CHECK_EQ(read(rd, in, 50), 50);
	CHECK_EQ(read(rd, in + 50, 500), 250);
	CHECK(!memcmp(in, out, 300));
	CHECK_EQ(write(wr, out, 0), 0);
	CHECK_EQ(read(rd, in, 0), 0);
}

static void end_of_file(void)
{
	char buf[8];

	open_pipe(0);
	CHECK_EQ(write(wr, "abc", 3), 3);
	CHECK_EQ(close(wr), 0);
	CHECK_EQ(read(rd, buf, 8), 3);
	CHECK_EQ(read(rd, buf, 8), 0);
	CHECK_EQ(read(rd, buf, 8), 0);
}

static void end_of_file_wakes(void)
{
	char c;
	pid_t pid;

	open_pipe(0);
	pid = must_fork();
	if (pid == 0) {
		close(wr);
		_exit((int)read(rd, &c, 1));
	}
	CHECK(falls_asleep(pid));
	close(wr);
	CHECK_EXIT(pid, 0);
}

static void broken_pipe(void)
{
	pid_t pid;

	open_pipe(0);
	CHECK_EQ(close(rd), 0);
	pid = must_fork();
	if (pid == 0) {
		ssize_t n = write(wr, "x", 1);

		_exit((int)n);
	}
	CHECK_KILLED(pid, SIGPIPE);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(wr, "x", 1), EPIPE);
}

static void broken_pipe_wakes_the_writer(void)
{
	static char big[1 << 20];
	pid_t pid;

	open_pipe(0);
	pid = must_fork();
	if (pid == 0) {
		close(rd);
		signal(SIGPIPE, SIG_IGN);
		for (;;)
			if (write(wr, big, sizeof(big)) < 0)
				_exit(errno == EPIPE ? 0 : 1);
	}
	CHECK(falls_asleep(pid));
	close(rd);
	CHECK_EXIT(pid, 0);
}

static void wrong_ends(void)
{
	char c = 0;

	open_pipe(0);
	CHECK_ERR(read(wr, &c, 1), EBADF);
	CHECK_ERR(write(rd, &c, 1), EBADF);
	CHECK_ERR(lseek(rd, 0, SEEK_SET), ESPIPE);
	CHECK_ERR(pread(rd, &c, 1, 0), ESPIPE);
	CHECK_ERR(ftruncate(wr, 0), EINVAL);
}

static void pipe_errors(void)
{
	int fds[2] = { -1, -1 };

	CHECK_ERR(pipe2(fds, 0x4), EINVAL);
	CHECK_EQ(fds[0], -1);
}

static void status_of_a_pipe(void)
{
	struct stat st;

	open_pipe(O_CLOEXEC);
	CHECK_EQ(fstat(rd, &st), 0);
	CHECK(S_ISFIFO(st.st_mode));
	CHECK_EQ(fcntl(rd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(rd, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(fcntl(wr, F_GETFL) & O_ACCMODE, O_WRONLY);
}

static void capacity(void)
{
	char block[1024];
	size_t filled = 0, drained = 0;
	ssize_t n;

	memset(block, 7, sizeof(block));
	open_pipe(O_NONBLOCK);
	CHECK_ERR(read(rd, block, 1), EAGAIN);
	while ((n = write(wr, block, sizeof(block))) > 0)
		filled += (size_t)n;
	CHECK(n == -1 && errno == EAGAIN);
	CHECK(filled >= 4096 && filled <= 1 << 20);
	CHECK_ERR(write(wr, block, 1024), EAGAIN);
	while ((n = read(rd, block, sizeof(block))) > 0)
		drained += (size_t)n;
	CHECK(n == -1 && errno == EAGAIN);
	CHECK_EQ(drained, filled);
	diag("capacity %zu", filled);
}

/* A small write to a non-blocking pipe is done whole or not at all; a large one may be cut. */
static void nonblocking_writes(void)
{
	static char big[1 << 20];
	char c;
	ssize_t first, n;

	open_pipe(O_NONBLOCK);
	first = write(wr, big, sizeof(big));
	CHECK(first >= 4096 && first < (ssize_t)sizeof(big));
	CHECK_EQ(read(rd, &c, 1), 1);
	n = write(wr, big, PIPE_BUF);
	CHECK((n == -1 && errno == EAGAIN) || n == PIPE_BUF);
	for (int i = 0; i < PIPE_BUF; i++)
		CHECK_EQ(read(rd, &c, 1), 1);
	CHECK_EQ(write(wr, big, PIPE_BUF / 2), PIPE_BUF / 2);
}

static void nonblock_by_fcntl(void)
{
	char c;

	open_pipe(0);
	CHECK_EQ(fcntl(rd, F_SETFL, O_NONBLOCK), 0);
	CHECK(fcntl(rd, F_GETFL) & O_NONBLOCK);
	CHECK(!(fcntl(wr, F_GETFL) & O_NONBLOCK));
	CHECK_ERR(read(rd, &c, 1), EAGAIN);
}

static void much_data(void)
{
	enum { SIZE = 1 << 20 };
	unsigned char *data = malloc(SIZE), *got = malloc(SIZE);
	uint64_t seed = 7;
	pid_t pid;

	REQUIRE(data && got);
	for (int i = 0; i < SIZE; i++)
		data[i] = (unsigned char)random_next(&seed);
	open_pipe(0);
	pid = must_fork();
	if (pid == 0) {
		close(rd);
		_exit(write(wr, data, SIZE) == SIZE ? 0 : 1);
	}
	close(wr);
	CHECK_EQ(read_all(rd, got, SIZE), SIZE);
	CHECK(!memcmp(data, got, SIZE));
	CHECK_EQ(read(rd, got, 1), 0);
	CHECK_EXIT(pid, 0);
}

struct record {
	unsigned short writer, serial, size;
	unsigned char body[];
};

/* Writes of up to PIPE_BUF bytes are never mixed. */
static void atomic_writes(void)
{
	enum { WRITERS = 6 };
	static char buf[PIPE_BUF];
	struct record *r = (struct record *)buf;
	int each = ktap_scale(150), next[WRITERS] = { 0 }, total = 0;
	pid_t pid[WRITERS];

	open_pipe(0);
	for (int w = 0; w < WRITERS; w++) {
		pid[w] = must_fork();
		if (pid[w] == 0) {
			uint64_t seed = (uint64_t)w + 1;

			close(rd);
			for (int i = 0; i < each; i++) {
				r->writer = (unsigned short)w;
				r->serial = (unsigned short)i;
				r->size =
					(unsigned short)(sizeof(*r) + random_next(&seed) % (PIPE_BUF - sizeof(*r) + 1));
				memset(r->body, w + i, r->size - sizeof(*r));
				if (write(wr, r, r->size) != r->size)
					_exit(1);
			}
			_exit(0);
		}
	}
	close(wr);
	while (read_all(rd, r, sizeof(*r)) == sizeof(*r)) {
		size_t body = r->size - sizeof(*r);

		REQUIRE(r->writer < WRITERS && r->size <= PIPE_BUF && r->serial == next[r->writer]);
		REQUIRE(read_all(rd, r->body, body) == body);
		for (size_t i = 0; i < body; i++)
			REQUIRE(r->body[i] == (unsigned char)(r->writer + r->serial));
		next[r->writer]++;
		total++;
	}
	CHECK_EQ(total, WRITERS * each);
	for (int w = 0; w < WRITERS; w++)
		CHECK_EXIT(pid[w], 0);
}

/* Every byte goes to exactly one of many readers. */
static void many_readers(void)
{
	long *sum = shared_memory(4096), expected = 0;
	int n = ktap_scale(2000);
	pid_t pid[4];

	open_pipe(0);
	for (int c = 0; c < 4; c++) {
		pid[c] = must_fork();
		if (pid[c] == 0) {
			unsigned char b;

			close(wr);
			while (read(rd, &b, 1) == 1)
				__atomic_fetch_add(sum, b, __ATOMIC_RELAXED);
			_exit(0);
		}
	}
	for (int i = 0; i < n; i++) {
		unsigned char b = (unsigned char)i;

		expected += b;
		REQUIRE(write(wr, &b, 1) == 1);
	}
	close(wr);
	for (int c = 0; c < 4; c++)
		CHECK_EXIT(pid[c], 0);
	CHECK_EQ(*sum, expected);
}

static void ping_pong(void)
{
	int n = ktap_scale(500), back_rd, back_wr;
	unsigned char b;
	pid_t pid;

	open_pipe(0);
	back_rd = rd;
	back_wr = wr;
	open_pipe(0);
	pid = must_fork();
	if (pid == 0) {
		close(wr);
		while (read(rd, &b, 1) == 1) {
			b++;
			if (write(back_wr, &b, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	for (int i = 0; i < n; i++) {
		b = (unsigned char)i;
		REQUIRE(write(wr, &b, 1) == 1);
		REQUIRE(read(back_rd, &b, 1) == 1 && b == (unsigned char)(i + 1));
	}
	close(wr);
	CHECK_EXIT(pid, 0);
}

/* Data through a chain of processes, each adding one. */
static void chain(void)
{
	enum { LINKS = 16 };
	pid_t pid[LINKS];
	int in;

	open_pipe(0);
	in = wr;
	for (int i = 0; i < LINKS; i++) {
		int from = rd;

		open_pipe(0);
		pid[i] = must_fork();
		if (pid[i] == 0) {
			unsigned char b;

			close(in);
			close(rd);
			while (read(from, &b, 1) == 1) {
				b++;
				if (write(wr, &b, 1) != 1)
					_exit(1);
			}
			_exit(0);
		}
		close(from);
		close(wr);
	}
	for (int i = 0; i < 20; i++) {
		unsigned char b = (unsigned char)i;

		REQUIRE(write(in, &b, 1) == 1);
		REQUIRE(read(rd, &b, 1) == 1 && b == i + LINKS);
	}
	close(in);
	CHECK_EQ(read(rd, &in, 1), 0);
	for (int i = 0; i < LINKS; i++)
		CHECK_EXIT(pid[i], 0);
}

static void copies_keep_it_open(void)
{
	int copy;
	char c;

	open_pipe(0);
	copy = dup(wr);
	CHECK(copy >= 0);
	close(wr);
	CHECK_EQ(write(copy, "x", 1), 1);
	CHECK_EQ(read(rd, &c, 1), 1);
	CHECK_EQ(fcntl(rd, F_SETFL, O_NONBLOCK), 0);
	CHECK_ERR(read(rd, &c, 1), EAGAIN);
	close(copy);
	CHECK_EQ(read(rd, &c, 1), 0);
}

static void vectors(void)
{
	char a[3], b[10], c[4];
	struct iovec out[3] = { { (char *)"abc", 3 }, { NULL, 0 }, { (char *)"defghij", 7 } };
	struct iovec in[3] = { { a, 3 }, { b, 5 }, { c, 4 } };

	open_pipe(0);
	CHECK_EQ(writev(wr, out, 3), 10);
	CHECK_EQ(readv(rd, in, 3), 10);
	CHECK(!memcmp(a, "abc", 3) && !memcmp(b, "defgh", 5) && !memcmp(c, "ij", 2));
	CHECK_EQ(writev(wr, out, 0), 0);
	CHECK_ERR(syscall(SYS_writev, wr, out, -1L), EINVAL);
	CHECK_ERR(syscall(SYS_writev, wr, out, 1025L), EINVAL);
}

static short poll_one(int fd, short events, int timeout)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n = poll(&p, 1, timeout);

	CHECK_EQ(n, p.revents != 0);
	return p.revents;
}

static void poll_states(void)
{
	static char big[1 << 20];
	uint64_t start;

	open_pipe(O_NONBLOCK);
	CHECK_EQ(poll_one(rd, POLLIN, 0), 0);
	CHECK_EQ(poll_one(wr, POLLOUT, 0), POLLOUT);
	CHECK_EQ(write(wr, "x", 1), 1);
	CHECK_EQ(poll_one(rd, POLLIN, -1), POLLIN);
	CHECK_EQ(poll_one(rd, 0, 0), 0);
	CHECK(write(wr, big, sizeof(big)) > 0);
	CHECK_EQ(poll_one(wr, POLLOUT, 0), 0);
	start = now_ns();
	CHECK_EQ(poll_one(wr, POLLOUT, 15), 0);
	CHECK(now_ns() - start >= 15000000u);
	while (read(rd, big, sizeof(big)) > 0)
		;
	CHECK_EQ(poll_one(wr, POLLOUT, 0), POLLOUT);
	CHECK_EQ(write(wr, "x", 1), 1);
	close(wr);
	CHECK_EQ(poll_one(rd, POLLIN, 0), POLLIN | POLLHUP);
	CHECK_EQ(read(rd, big, 10), 1);
	CHECK_EQ(poll_one(rd, POLLIN, 0), POLLHUP);
	open_pipe(0);
	close(rd);
	CHECK(poll_one(wr, POLLOUT, 0) & POLLERR);
	CHECK_EQ(poll_one(999, POLLIN, 0), POLLNVAL);
	CHECK_EQ(poll_one(-1, POLLIN, 0), 0);
}

static void poll_wakes(void)
{
	struct pollfd p[3];
	pid_t me = getpid(), pid;

	for (int i = 0; i < 3; i++) {
		open_pipe(0);
		p[i].fd = rd;
		p[i].events = POLLIN;
	}
	pid = must_fork();
	if (pid == 0)
		_exit(!falls_asleep(me) || write(wr, "x", 1) != 1);
	CHECK_EQ(poll(p, 3, 100000), 1);
	CHECK(p[0].revents == 0 && p[1].revents == 0 && p[2].revents == POLLIN);
	CHECK_EXIT(pid, 0);
}

static const struct ktap_case cases[] = {
	CASE(bytes_in_order), CASE(end_of_file), CASE(end_of_file_wakes), CASE(broken_pipe),
	CASE(broken_pipe_wakes_the_writer), CASE(wrong_ends), CASE(pipe_errors), CASE(status_of_a_pipe), CASE(capacity),
	CASE(nonblocking_writes), CASE(nonblock_by_fcntl), CASE(much_data), CASE(atomic_writes), CASE(many_readers),
	CASE(ping_pong), CASE(chain), CASE(copies_keep_it_open), CASE(vectors), CASE(poll_states), CASE(poll_wakes),
};

KTAP_MAIN(cases)
