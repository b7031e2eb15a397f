/*
 * t_balance: what is taken is given back. Each case goes through a cycle of use many times; free memory, and the
 * objects in the slab caches where the kernel lists them, must be what they were. A page lost per cycle shows.
 *
 * On another kernel the cycles run, but the figures are not judged: there others use memory too.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/user/ktap.h"
#include "tests/user/threads.h"

#define RW (PROT_READ | PROT_WRITE)
#define CACHES 128

static size_t P;	/* page size */
static char grown[128];	/* the slab cache that has, in words */

struct slab_use {
	int n;
	struct {
		char name[32];
		long active;
	} cache[CACHES];
};

/* "name active total ..." per line of /proc/slabinfo, lines of another shape left out. */
static void read_slabs(struct slab_use *use)
{
	static char text[65536];

	use->n = 0;
	if (proc_read("/proc/slabinfo", text, sizeof(text)) < 0)
		return;
	for (char *line = text, *next; *line && use->n < CACHES; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : line + strlen(line);
		if (sscanf(line, "%31s %ld", use->cache[use->n].name, &use->cache[use->n].active) == 2 &&
		    line[0] != '#')
			use->n++;
	}
}

/* No cache may have grown by half an object per cycle. */
static bool slabs_balanced(const struct slab_use *before, int cycles)
{
	static struct slab_use now;
	bool same = true;

	read_slabs(&now);
	for (int i = 0; i < now.n; i++)
		for (int k = 0; k < before->n; k++)
			if (!strcmp(now.cache[i].name, before->cache[k].name) &&
			    now.cache[i].active - before->cache[k].active > cycles / 2) {
				same = false;
				snprintf(grown, sizeof(grown), "slab %s: %ld objects before, %ld after",
					 now.cache[i].name, before->cache[k].active, now.cache[i].active);
			}
	return same;
}

/*
 * Run the cycle: some rounds to fill caches, then the ones that count. A cache that grows once more stops growing, a
 * leak does not: each attempt begins with what is there then.
 */
static void balance(void (*cycle)(void), int cycles)
{
	static struct slab_use slabs;
	uint64_t memory = 0, after = 0;
	bool good = false;

	cycles = ktap_scale(cycles);
	for (int i = 0; i < cycles / 4 + 2; i++)
		cycle();
	for (int attempt = 0; attempt < 3 && !good; attempt++) {
		msleep(30);
		memory = ktap_memory();
		read_slabs(&slabs);
		for (int i = 0; i < cycles; i++)
			cycle();
		if (!ktap_on_exeunt())
			return;
		/* Half a page per cycle. What RCU frees comes when the host has let every CPU run. */
		grown[0] = '\0';
		good = within(4000000000u, (after = ktap_memory()) + (uint64_t)cycles * P / 2048 + 64 >= memory &&
						   slabs_balanced(&slabs, cycles));
	}
	if (!CHECK(good))
		diag("  %llu KiB before, %llu KiB after; %s", (unsigned long long)memory, (unsigned long long)after,
		     grown);
}

static void reap(pid_t pid, int code)
{
	CHECK_EXIT(pid, code);
}

static void fork_cycle(void)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(1);
	reap(pid, 1);
}

static void forks(void)
{
	balance(fork_cycle, 300);
}

static void killed_cycle(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		char *p = mmap(NULL, 64 * P, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		memset(p, 1, 64 * P);
		for (;;)
			pause();
	}
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
}

static void killed_children(void)
{
	balance(killed_cycle, 100);
}

static void orphan_cycle(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		if (must_fork() == 0)
			_exit(0);
		_exit(2);
	}
	reap(pid, 2);
}

static void orphans(void)
{
	balance(orphan_cycle, 100);
}

static void exec_cycle(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		execl("/proc/self/exe", "t_balance", "--child", (char *)NULL);
		_exit(9);
	}
	reap(pid, 3);
}

static void execs(void)
{
	balance(exec_cycle, 60);
}

static void failed_exec_cycle(void)
{
	char *argv[] = { (char *)"x", NULL }, *bad[] = { (char *)"x", (char *)16, NULL };

	CHECK_ERR(execve("/nonexistent", argv, NULL), ENOENT);
	CHECK_ERR(execve("/dev/null", argv, NULL), EACCES);
	CHECK_ERR(execve("/proc/self/exe", bad, NULL), EFAULT);
}

static void failed_execs(void)
{
	balance(failed_exec_cycle, 200);
}

static void map_cycle(void)
{
	char *p = mmap(NULL, 100 * P, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < 100; i += 3)
		p[i * P] = 1;
	mprotect(p + 10 * P, 20 * P, PROT_READ);
	munmap(p + 50 * P, 7 * P);
	madvise(p, 20 * P, MADV_DONTNEED);
	p = mremap(p, 40 * P, 80 * P, MREMAP_MAYMOVE);
	munmap(p, 80 * P);
}

static void maps_in_a_child(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		for (int i = 0; i < 10; i++)
			map_cycle();
		_exit(4);
	}
	reap(pid, 4);
}

static void mappings(void)
{
	balance(maps_in_a_child, 60);
}

/* Page tables of a sparse mapping go too. */
static void sparse_cycle(void)
{
	const size_t size = (size_t)8 << 30;
	char *p = mmap(NULL, size, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t off = 0; off < size; off += (size_t)512 << 20)
		p[off] = 1;
	munmap(p, size);
}

static void page_tables(void)
{
	balance(sparse_cycle, 100);
}

static void cow_cycle(void)
{
	static char data[64 * 4096];
	pid_t pid;

	memset(data, 1, sizeof(data));
	pid = must_fork();
	if (pid == 0) {
		memset(data, 2, sizeof(data) / 2);
		_exit(5);
	}
	memset(data, 3, sizeof(data));
	reap(pid, 5);
}

static void copies_on_write(void)
{
	balance(cow_cycle, 100);
}

static void shared_cycle(void)
{
	char *p = mmap(NULL, 50 * P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = must_fork();

	if (pid == 0) {
		memset(p, 1, 50 * P);
		_exit(6);
	}
	reap(pid, 6);
	CHECK_EQ(p[49 * P], 1);
	munmap(p, 50 * P);
}

static void shared_mappings(void)
{
	balance(shared_cycle, 100);
}

static void pipe_cycle(void)
{
	static char buf[30000];
	int fds[2];

	if (!CHECK(pipe(fds) == 0))
		_exit(1);
	CHECK_EQ(write(fds[1], buf, sizeof(buf)), (long)sizeof(buf));
	close(fds[0]);
	close(fds[1]);
}

static void full_pipes(void)
{
	balance(pipe_cycle, 300);
}

static void file_cycle(void)
{
	static char buf[20000];
	char path[64];
	int fd;
	char *p;

	snprintf(path, sizeof(path), "/tmp/t_balance.%d", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK_EQ(write(fd, buf, sizeof(buf)), (long)sizeof(buf));
	p = mmap(NULL, 4 * P, RW, MAP_SHARED, fd, 0);
	p[0] = 1;
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(mkdir(path, 0700), 0);
	CHECK_EQ(rmdir(path), 0);
	CHECK_ERR(open(path, O_RDONLY), ENOENT);
	close(fd);
	munmap(p, 4 * P);
}

static void files(void)
{
	balance(file_cycle, 200);
}

static void proc_cycle(void)
{
	char buf[4096];

	CHECK(proc_read("/proc/meminfo", buf, sizeof(buf)) > 0);
	CHECK(proc_read("/proc/self/maps", buf, sizeof(buf)) > 0);
	CHECK(proc_read("/proc/self/status", buf, sizeof(buf)) > 0);
	CHECK(access("/proc/1/stat", F_OK) == 0);
}

static void proc_files(void)
{
	balance(proc_cycle, 300);
}

static void *nothing(void *arg)
{
	return arg;
}

static void thread_cycle(void)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		t[i] = start(nothing, NULL);
	for (int i = 0; i < 4; i++)
		join(t[i]);
}

static void threads(void)
{
	balance(thread_cycle, 100);
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void threaded_process_cycle(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		for (int i = 0; i < 3; i++)
			start(wait_for_ever, NULL);
		if (getpid() % 2)
			_exit(7);
		execl("/proc/self/exe", "t_balance", "--child-7", (char *)NULL);
		_exit(9);
	}
	reap(pid, 7);
}

static void processes_with_threads(void)
{
	balance(threaded_process_cycle, 60);
}

static void signal_cycle(void)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, &old);
	if (must_fork() == 0) {
		sigprocmask(SIG_BLOCK, &set, NULL);
		for (int i = 0; i < 20; i++)
			kill(getpid(), SIGRTMIN + 3);
		_exit(0);
	}
	wait(NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void pending_signals(void)
{
	balance(signal_cycle, 100);
}

static volatile uintptr_t low = 16;

static void fault_cycle(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		*(volatile char *)low = 1;
		_exit(1);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void faults(void)
{
	balance(fault_cycle, 60);
}

static const struct ktap_case cases[] = {
	CASE(forks),	       CASE(killed_children),
	CASE(orphans),	       CASE(execs),
	CASE(failed_execs),    CASE(mappings),
	CASE(page_tables),     CASE(copies_on_write),
	CASE(shared_mappings), CASE(full_pipes),
	CASE(files),	       CASE(proc_files),
	CASE(threads),	       CASE(processes_with_threads),
	CASE(pending_signals), CASE(faults),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--child"))
		return 3;
	if (argc > 1 && !strcmp(argv[1], "--child-7"))
		return 7;
	P = page_bytes();
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
