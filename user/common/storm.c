/*
 * The fork and exit storm.
 *
 * Parents are processes; each makes one child after the other and waits for it, until its share is done. They start
 * together at one gate, and are alive until the figures have been taken, so that only children's exits are in them.
 * A child writes to some pages, visits some CPUs if it is told to (a CPU that it leaves for nothing goes idle with the
 * child's page tables still loaded), and exits.
 */
#define _GNU_SOURCE
#include "user/common/storm.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/common/account.h"
#include "user/common/cpus.h"
#include "user/common/gate.h"
#include "user/common/stats.h"

#define PATIENCE_MS 200

/* What went wrong in a parent: the call and its errno, or how its child ended. */
struct trouble {
	_Alignas(64) const char *what;
	int err, status;
};

static struct shared {
	struct gate start, end;
	struct trouble trouble[STORM_PARENTS_MAX];
} *shared;

static const char *program;
static const int *cpus;
static int nr_cpus;
static volatile char *memory;	/* never touched but in children */
static long page_size;
static pid_t pid[STORM_PARENTS_MAX];	/* 0: not there */

int storm_setup(const char *name, const int *cpu, int n)
{
	void *p;

	program = name;
	cpus = cpu;
	nr_cpus = n;
	page_size = sysconf(_SC_PAGESIZE);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p = mmap(NULL, (size_t)STORM_TOUCH_MAX * (size_t)page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (shared == MAP_FAILED || p == MAP_FAILED) {
		fprintf(stderr, "%s: mmap: %s\n", program, strerror(errno));
		return -1;
	}
	madvise(p, (size_t)STORM_TOUCH_MAX * (size_t)page_size, MADV_NOHUGEPAGE);
	memory = p;
	return 0;
}

static void child(const struct storm_load *load, int number)
{
	for (int i = 0; i < load->touch; i++)
		memory[(long)i * page_size] = 1;
	for (int i = 0; i < load->hop; i++)
		if (cpu_pin(cpus[(number + i) % nr_cpus]))
			_exit(3);
	_exit(0);
}

/* Make children one after the other. Returns at the first trouble. */
static void children(const struct storm_load *load, int parent, struct trouble *t)
{
	for (int i = parent; i < load->children; i += load->parents) {
		pid_t one = fork();

		if (one == 0)
			child(load, i);
		while (one > 0 && waitpid(one, &t->status, 0) != one)
			if (errno != EINTR)
				one = -1;
		if (one < 0) {
			t->err = errno;
			t->what = "fork or wait";
			return;
		}
		if (t->status)
			return;
	}
}

/* Never returns. */
static void parent(const struct storm_load *load, int number)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	gate_arrive(&shared->start);
	gate_wait(&shared->start);
	children(load, number, &shared->trouble[number]);
	gate_arrive(&shared->end);
	gate_wait(&shared->end);
	_exit(0);
}

static void kill_parents(int n)
{
	for (int i = 0; i < n; i++)
		if (pid[i])
			kill(pid[i], SIGKILL);
}

/* Wait for n parents to come to a gate. Returns false, after a message, if one of them has died instead. */
static bool all_at(struct gate *g, int n)
{
	while (!gate_full(g, (uint32_t)n, PATIENCE_MS)) {
		int status;
		pid_t dead = waitpid(-1, &status, WNOHANG);

		for (int i = 0; dead > 0 && i < n; i++) {
			if (pid[i] != dead)
				continue;
			pid[i] = 0;
			fprintf(stderr, "%s: a parent ended early (wait status %#x); if memory ran out, fewer --procs "
				"may do\n", program, (unsigned int)status);
			return false;
		}
	}
	return true;
}

/* Returns false, after a message, if a parent had trouble. */
static bool no_trouble(const struct storm_load *load)
{
	for (int i = 0; i < load->parents; i++) {
		const struct trouble *t = &shared->trouble[i];

		if (t->what) {
			fprintf(stderr, "%s: a parent's %s: %s; fewer --procs may do\n", program, t->what,
				strerror(t->err));
			return false;
		}
		if (t->status) {
			fprintf(stderr, "%s: a child ended with wait status %#x; if memory ran out, a smaller --touch "
				"may do\n", program, (unsigned int)t->status);
			return false;
		}
	}
	return true;
}

/* Parents are there and wait. Returns false after a message. */
static bool run(const struct storm_load *load, struct storm_sample *out)
{
	struct vmcount count;
	uint64_t account, start;

	if (!all_at(&shared->start, load->parents))
		return false;
	vmcount_read(&count);
	account = account_read();
	start = now_ns();
	gate_open(&shared->start);
	if (!all_at(&shared->end, load->parents))
		return false;
	out->ns = now_ns() - start;
	out->kernel = account_since(account);
	vmcount_since(&out->count, &count);
	gate_open(&shared->end);
	return true;
}

int storm(const struct storm_load *load, struct storm_sample *out)
{
	bool good = true;

	memset(shared, 0, sizeof(*shared));
	memset(pid, 0, sizeof(pid));
	for (int i = 0; i < load->parents && good; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			parent(load, i);
		if (pid[i] < 0) {
			fprintf(stderr, "%s: fork of parent %d: %s; fewer --procs may do\n", program, i + 1,
				strerror(errno));
			pid[i] = 0;
			good = false;
		}
	}
	good = good && run(load, out);
	if (!good)
		kill_parents(load->parents);
	for (int i = 0; i < load->parents; i++)
		while (pid[i] && waitpid(pid[i], NULL, 0) < 0 && errno == EINTR)
			;
	return good && no_trouble(load) ? 0 : -1;
}
