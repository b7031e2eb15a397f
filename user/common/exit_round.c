/*
 * Processes that exit together.
 *
 * Each child maps memory, its threads touch it, and its last act in user space is to note the time. One child alone
 * just does so. Several meet at a gate first, asleep; who comes last opens it, the others are woken and leave. The
 * parent sleeps in wait4() all the while.
 *
 * What is measured must not be disturbed: notes are in shared memory, a cache line for each child; a child writes no
 * file and allocates nothing behind its last page; what the parent keeps does not grow from round to round, since
 * every child inherits it. Reading the account and MemFree has a cost, which is measured once and subtracted.
 */
#define _GNU_SOURCE
#include "user/common/exit_round.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/common/account.h"
#include "user/common/cpus.h"
#include "user/common/gate.h"
#include "user/common/proc.h"
#include "user/common/stats.h"

/* Kept free beside what is measured: this program, the kernel's own needs; and for each process and thread. */
#define SLACK_KIB (32 * 1024)
#define SLACK_TASK_KIB 512
#define THREAD_STACK (256 * 1024)
#define PROBES 8

/* A child's notes. */
struct note {
	_Alignas(64) uint64_t start;
	uint64_t touched, exit_at;
	int err;
	const char *what;	/* failed; a string that parent and child both have */
};

static struct shared {
	_Alignas(64) struct gate gate;
	uint64_t account;	/* before the first exit */
	struct note note[EXIT_PROCS_MAX];
} *shared;

/* A child's own: what its threads work on. */
struct touch_job {
	const struct exit_load *load;
	volatile char *memory;
	struct gate done;
	int failed;
};

struct toucher {
	struct touch_job *job;
	int index, cpu;
};

static const char *program;
static size_t page_size;
static int cpu[CPUS_MAX], nr_cpus;
static pid_t pid[EXIT_PROCS_MAX];	/* 0: not there */
static double look_cost, nap_cost;

static uint64_t pages_of_one(const struct exit_load *load)
{
	return (load->size + page_size - 1) / page_size;
}

uint64_t exit_pages(const struct exit_load *load)
{
	return pages_of_one(load) * (uint64_t)load->procs;
}

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

int exit_round_setup(const char *name)
{
	uint64_t start;

	program = name;
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	nr_cpus = cpus_allowed(cpu);
	if (nr_cpus < 0) {
		fprintf(stderr, "%s: sched_getaffinity: %s\n", program, strerror(-nr_cpus));
		return -1;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		fprintf(stderr, "%s: mmap: %s\n", program, strerror(errno));
		return -1;
	}
	mem_free_kib();
	start = account_read();
	for (int i = 0; i < PROBES; i++)
		mem_free_kib();
	look_cost = account_since(start) / PROBES;
	start = account_read();
	for (int i = 0; i < PROBES; i++)
		nap();
	nap_cost = account_since(start) / PROBES;
	return 0;
}

bool exit_fits(const struct exit_load *load, char *reason, unsigned long size)
{
	uint64_t kib = 0, procs = (uint64_t)load->procs, need;

	if (load->size > SIZE_MAX / 2 || load->size > UINT64_MAX / 4 / procs) {
		snprintf(reason, size, "larger than an address space");
		return false;
	}
	if (!proc_file_value("/proc/meminfo", "MemAvailable", &kib))
		kib = mem_free_kib();
	need = procs * (load->size / 1024 + load->size / 1024 / 256) + SLACK_KIB;
	if (procs > 1 || load->threads > 1)
		need += procs * (uint64_t)load->threads * SLACK_TASK_KIB;
	if (kib >= need)
		return true;
	snprintf(reason, size, "needs %llu MiB with slack, %llu MiB available", (unsigned long long)(need / 1024),
		 (unsigned long long)(kib / 1024));
	return false;
}

/* ---- the child ---- */

static void touch(const struct touch_job *job, int index)
{
	uint64_t pages = pages_of_one(job->load), n = (uint64_t)job->load->threads, i = (uint64_t)index;
	uint64_t first = job->load->interleave ? i : pages * i / n, step = job->load->interleave ? n : 1;
	uint64_t end = job->load->interleave ? pages : pages * (i + 1) / n;

	for (uint64_t page = first; page < end; page += step)
		job->memory[page * page_size] = 1;
}

static void *toucher_main(void *arg)
{
	const struct toucher *t = arg;
	struct touch_job *job = t->job;

	if (cpu_pin(t->cpu))
		__atomic_store_n(&job->failed, 1, __ATOMIC_RELAXED);
	else
		touch(job, t->index);
	gate_arrive(&job->done);
	while (!job->load->join)
		pause();
	return NULL;
}

/* Threads are spread over all CPUs, and so over their nodes; the next process's stand one CPU further. */
static int cpu_of(const struct exit_load *load, int proc, int thread)
{
	return cpu[((long)thread * nr_cpus / load->threads + proc) % nr_cpus];
}

/* Returns NULL, or what failed, with errno. */
static const char *touch_with_threads(struct touch_job *job, int proc)
{
	static struct toucher toucher[EXIT_THREADS_MAX];
	static pthread_t thread[EXIT_THREADS_MAX];
	const int n = job->load->threads;
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (int i = 1; i < n; i++) {
		toucher[i] = (struct toucher){ .job = job, .index = i, .cpu = cpu_of(job->load, proc, i) };
		err = pthread_create(&thread[i], &attr, toucher_main, &toucher[i]);
		if (err) {
			errno = err;
			return "pthread_create";
		}
	}
	err = cpu_pin(cpu_of(job->load, proc, 0));
	if (err) {
		errno = -err;
		return "sched_setaffinity";
	}
	touch(job, 0);
	while (!gate_full(&job->done, (uint32_t)(n - 1), 1000))
		;
	for (int i = 1; i < n && job->load->join; i++)
		pthread_join(thread[i], NULL);
	if (__atomic_load_n(&job->failed, __ATOMIC_RELAXED)) {
		errno = EINVAL;
		return "sched_setaffinity";
	}
	return NULL;
}

/* Map and touch. Returns NULL, or what failed, with errno. */
static const char *populate(const struct exit_load *load, int proc)
{
	static struct touch_job job;
	void *p = mmap(NULL, load->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct note *note = &shared->note[proc];
	const char *failed = NULL;

	if (p == MAP_FAILED)
		return "mmap";
	if (!load->huge)
		madvise(p, load->size, MADV_NOHUGEPAGE);
	job.load = load;
	job.memory = p;
	note->start = now_ns();
	if (load->threads == 1)
		touch(&job, 0);
	else
		failed = touch_with_threads(&job, proc);
	note->touched = now_ns();
	return failed;
}

/* Populate, meet the others, say when, leave. Never returns. One that failed comes to the gate too. */
static void child(const struct exit_load *load, int proc)
{
	struct note *note = &shared->note[proc];
	const char *failed;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	failed = populate(load, proc);
	if (failed) {
		note->err = errno;
		note->what = failed;
	}
	if (load->procs == 1) {
		shared->account = account_read();
	} else if (gate_arrive(&shared->gate) == (uint32_t)load->procs) {
		shared->account = account_read();
		gate_open(&shared->gate);
	} else {
		gate_wait(&shared->gate);
	}
	note->exit_at = now_ns();
	_exit(failed ? 3 : 0);
}

/* ---- the parent ---- */

static void kill_all(int n)
{
	for (int i = 0; i < n; i++)
		if (pid[i])
			kill(pid[i], SIGKILL);
}

/* Returns 0, or -1 after a message; then all that were started are gone. */
static int start(const struct exit_load *load)
{
	for (int i = 0; i < load->procs; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			child(load, i);
		if (pid[i] < 0) {
			fprintf(stderr, "%s: fork of process %d: %s%s\n", program, i + 1, strerror(errno),
				i ? "; fewer --procs may do" : "");
			pid[i] = 0;
			kill_all(i);
			while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
				;
			return -1;
		}
	}
	return 0;
}

/*
 * Wait for all. One that is killed may leave others at the gate for ever: they are killed too. Returns the first wait
 * status that is neither an exit nor our own kill, or 0; -1 after a message.
 */
static int reap(int procs)
{
	int bad = 0;

	for (int left = procs; left; left--) {
		int status, i = 0;
		pid_t done = waitpid(-1, &status, 0);

		if (done < 0) {
			left++;
			if (errno == EINTR)
				continue;
			fprintf(stderr, "%s: waitpid: %s\n", program, strerror(errno));
			kill_all(procs);
			return -1;
		}
		while (i < procs && pid[i] != done)
			i++;
		if (i == procs) {
			left++;	/* not one of ours: inherited from whoever started this program */
			continue;
		}
		pid[i] = 0;
		if (WIFSIGNALED(status) && !bad) {
			bad = status;
			kill_all(procs);
		}
	}
	return bad;
}

/* How did they end? As exit_round(). */
static int verdict(const struct exit_load *load, int status, char *reason, unsigned long size)
{
	if (status < 0)
		return -1;
	if (status) {
		fprintf(stderr, "%s: a child was killed by signal %d%s\n", program, WTERMSIG(status),
			WTERMSIG(status) == SIGKILL ? "; if memory ran out, a smaller --size may do" : "");
		return -1;
	}
	for (int i = 0; i < load->procs; i++) {
		const struct note *note = &shared->note[i];

		if (!note->err)
			continue;
		if (note->err == ENOMEM) {
			snprintf(reason, size, "%s: %s", note->what, strerror(note->err));
			return 1;
		}
		fprintf(stderr, "%s: a child's %s: %s%s\n", program, note->what, strerror(note->err),
			note->err == EAGAIN ? "; fewer --threads may do" : "");
		return -1;
	}
	return 0;
}

/* Wait until MemFree is what it was, less a tolerance. Returns the looks that it took. */
static int wait_for_memory(const struct exit_load *load, uint64_t free_before, uint64_t since, struct exit_sample *out)
{
	uint64_t tolerance = load->size / 1024 / 256 * (uint64_t)load->procs, want;
	int looks = 0;

	if (tolerance < 1024)
		tolerance = 1024;
	want = free_before > tolerance ? free_before - tolerance : 0;
	for (;;) {
		bool enough = mem_free_kib() >= want;

		looks++;
		out->back = now_ns() - since;
		out->timed_out = !enough && out->back > EXIT_BACK_TIMEOUT_S * 1000000000ull;
		if (enough || out->timed_out)
			return looks;
		nap();
	}
}

int exit_round(const struct exit_load *load, struct exit_sample *out, char *reason, unsigned long size)
{
	uint64_t free_before = mem_free_kib(), first_start, last_touch, first_exit, end;
	int status, looks;

	shared->gate = (struct gate){ 0 };
	shared->account = 0;
	memset(shared->note, 0, (size_t)load->procs * sizeof(shared->note[0]));
	if (start(load))
		return -1;
	status = reap(load->procs);
	end = now_ns();
	status = verdict(load, status, reason, size);
	if (status)
		return status;
	first_start = shared->note[0].start;
	last_touch = shared->note[0].touched;
	first_exit = shared->note[0].exit_at;
	for (int i = 1; i < load->procs; i++) {
		const struct note *note = &shared->note[i];

		first_start = note->start < first_start ? note->start : first_start;
		last_touch = note->touched > last_touch ? note->touched : last_touch;
		first_exit = note->exit_at < first_exit ? note->exit_at : first_exit;
	}
	out->populate = last_touch - first_start;
	out->wait = end - first_exit;
	looks = wait_for_memory(load, free_before, first_exit, out);
	out->kernel = account_since(shared->account) - looks * look_cost - (looks - 1) * nap_cost;
	if (out->kernel < 0)
		out->kernel = 0;
	return 0;
}
