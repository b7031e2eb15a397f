/*
 * t_oom: what happens when memory runs out. Whoever eats it is killed, all of it comes back, whoever frees it, and the
 * system goes on. In a small guest of its own: tests/matrix.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <fcntl.h>

#include "tests/user/ktap.h"
#include "tests/user/threads.h"
#include "user/common/knobs.h"

#define MIB (1024 * 1024)

/* A guest that has more is not worth filling up. */
#define MOST_KIB (256 * 1024)

static char *ground;		/* more than there is */
static size_t ground_bytes;

/* Every nr-th of `of` pieces of the ground, until somebody stops us. */
static void eat(size_t nr, size_t of)
{
	for (size_t at = nr * MIB; at < ground_bytes; at += of * MIB)
		for (size_t page = 0; page < MIB && at + page < ground_bytes; page += page_bytes())
			ground[at + page] = 1;
}

#define EATERS 3

static void *eat_a_part(void *nr)
{
	eat((size_t)nr, EATERS);
	return NULL;
}

static void eat_in_threads(void)
{
	pthread_t t[EATERS];

	for (size_t i = 0; i < EATERS; i++)
		t[i] = start(eat_a_part, (void *)i);
	for (size_t i = 0; i < EATERS; i++)
		join(t[i]);
}

/* Threads that hold something, and one that eats: they all go. */
static void *hold(void *arg)
{
	static __thread char mine[64 * 1024];

	memset(mine, 1, sizeof(mine));
	for (;;)
		pause();
	return arg;
}

static void eat_beside_threads(void)
{
	start(hold, NULL);
	start(hold, NULL);
	eat(0, 1);
}

/* 32 MiB in a child: written, read, given back. */
static void still_works(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		size_t bytes = 32 * MIB, wrong = 0;
		char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(2);
		for (size_t i = 0; i < bytes; i += page_bytes())
			p[i] = (char)(i / page_bytes());
		for (size_t i = 0; i < bytes; i += page_bytes())
			wrong += p[i] != (char)(i / page_bytes());
		_exit(wrong != 0);
	}
	CHECK_EXIT(pid, 0);
}

/* A process that is asleep needs no page. Whoever is still on the way to its wait() could be the one who finds none. */
static void until_ancestors_sleep(void)
{
	char path[64], buf[512], *p;

	for (int pid = getppid(); pid > 1;) {
		CHECK(falls_asleep(pid));
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		p = proc_read(path, buf, sizeof(buf)) > 0 ? strrchr(buf, ')') : NULL;
		if (!CHECK(p && sscanf(p, ") %*c %d", &pid) == 1))
			return;
	}
}

static void killed(void (*eater)(void))
{
	uint64_t before = ktap_memory();
	pid_t pid = must_fork();

	if (pid == 0) {
		ground_bytes = (size_t)mem_free_kib() * 1024 + 64 * MIB;
		ground = mmap(NULL, ground_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			      -1, 0);
		if (ground == MAP_FAILED)
			_exit(2);
		until_ancestors_sleep();
		eater();
		_exit(3);	/* there was enough */
	}
	CHECK_KILLED(pid, SIGKILL);
	CHECK(ktap_balanced(before, ktap_tolerance()));
	still_works();
}

static void can_run(void)
{
	if (!ktap_on_exeunt())
		SKIP("another kernel: it might kill somebody else");
	if (mem_free_kib() > MOST_KIB)
		SKIP("too much memory to fill: it wants MEM=256M or less");
}

static void killed_under(const char *policy)
{
	int err;

	can_run();
	err = knob_set("free_async", policy);
	REQUIRE(!err);
	killed(eat_beside_threads);
	killed(eat_in_threads);
	knobs_restore();
}

static void with_off(void)
{
	killed_under("off");
}

static void with_batch(void)
{
	killed_under("batch");
}

static void with_node(void)
{
	killed_under("node");
}

static void with_zap(void)
{
	killed_under("zap");
}

/* One thread, and it eats with the kernel's hands: read(2) finds no page to put its bytes in. */
static void eat_by_read(void)
{
	int fd = open("/dev/zero", O_RDONLY);

	for (size_t at = 0; at < ground_bytes; at += MIB)
		if (read(fd, ground + at, MIB) < 0)
			_exit(4);
}

static void in_a_system_call(void)
{
	can_run();
	killed(eat_by_read);
}

static const struct ktap_case cases[] = {
	CASE(with_off), CASE(with_batch), CASE(with_node), CASE(with_zap), CASE(in_a_system_call),
};

KTAP_MAIN(cases)
