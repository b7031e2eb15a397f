/*
 * exitcost: what the exit of a process costs.
 *
 * For each size a child maps anonymous memory, touches every page, and exits; the parent waits. Reported are, as
 * median, min and max of the rounds: populating per page, the parent's wait from the child's last instant in user space
 * until wait4() returns, the same per page, the time until MemFree is back, and, where /proc/exeunt/account exists, the
 * kernel instructions (or nanoseconds) that all CPUs spent on it, workers included: work moved is not work saved.
 *
 * An ordinary Linux program: the same binary runs on Linux. Huge pages are refused unless --huge is given.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/common/proc.h"
#include "user/common/stats.h"
#include "user/common/table.h"

#define MAX_SIZES 16
#define ACCOUNT "/proc/exeunt/account"
#define BACK_TIMEOUT_S 2
#define WARM_UP_SIZE (4u << 20)
/* Kept free beside what is measured: this program, page tables, the kernel's own needs. */
#define SLACK_KIB (32 * 1024)

static const char *const knob_names[] = {
	"free_async", "free_async_threshold", "gather_runs", "swap_free",
	"lazy_tlb",   "thp_serialize",	      "pte_reclaim", "tlb_shootdown",
};
#define NR_KNOBS (sizeof(knob_names) / sizeof(knob_names[0]))

static struct options {
	uint64_t size[MAX_SIZES];
	int nr_sizes;
	int rounds;
	bool json, huge;
} opt = { .rounds = 5 };

/* Which of the two figures the kernel offers. */
static enum { ACCOUNT_NONE, ACCOUNT_INSTRUCTIONS, ACCOUNT_NS } account_kind;
static const char *const account_key[] = { "", "kernel_instructions", "kernel_ns" };
static const char *const account_unit[] = { "-", "instructions", "ns" };

/* Shared with the child, which cannot report in another way without disturbing its own exit. */
struct child_report {
	uint64_t populate_ns;
	uint64_t account;	/* just before exit_at */
	uint64_t exit_at;	/* CLOCK_MONOTONIC, the last thing the child does */
	int map_errno;
};

/* One size; filled round by round. */
struct result {
	uint64_t size, pages;
	struct stats populate, wait, exit_page, back, kernel, kernel_page;
	int back_timeouts;
	char skipped[96];	/* reason, or empty */
};

static long page_size;
static struct child_report *report;
static double poll_overhead;	/* what one look at MemFree adds to the account */
static struct result results[MAX_SIZES];

static uint64_t read_account(void)
{
	uint64_t value = 0;

	if (account_kind != ACCOUNT_NONE)
		proc_file_value(ACCOUNT, account_key[account_kind], &value);
	return value;
}

/* Find out what the kernel accounts, and what reading it costs itself. */
static void probe_account(void)
{
	uint64_t value, before, after;

	if (proc_file_value(ACCOUNT, account_key[ACCOUNT_INSTRUCTIONS], &value))
		account_kind = ACCOUNT_INSTRUCTIONS;
	else if (proc_file_value(ACCOUNT, account_key[ACCOUNT_NS], &value))
		account_kind = ACCOUNT_NS;
	else
		return;
	mem_free_kib();
	before = read_account();
	for (int i = 0; i < 8; i++)
		mem_free_kib();
	after = read_account();
	poll_overhead = (double)(after - before) / 8;
}

/* The child: map, touch, say when, leave. Never returns. */
static void child(uint64_t size)
{
	uint64_t start;
	volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		report->map_errno = errno;
		_exit(3);
	}
	if (!opt.huge)
		madvise((void *)p, size, MADV_NOHUGEPAGE);
	start = now_ns();
	for (uint64_t off = 0; off < size; off += (uint64_t)page_size)
		p[off] = 1;
	report->populate_ns = now_ns() - start;
	report->account = read_account();
	report->exit_at = now_ns();
	_exit(0);
}

static uint64_t tolerance_kib(uint64_t size)
{
	uint64_t kib = size / 1024 / 256;

	return kib > 1024 ? kib : 1024;
}

/* Wait until MemFree is back to what it was. Returns the looks it took; *back_ns is relative to the child's exit. */
static int wait_for_memory(uint64_t want_kib, uint64_t *back_ns, bool *timed_out)
{
	const struct timespec nap = { .tv_nsec = 20000 };
	int looks = 0;

	for (;;) {
		bool enough = mem_free_kib() >= want_kib;

		looks++;
		*back_ns = now_ns() - report->exit_at;
		*timed_out = !enough && *back_ns > BACK_TIMEOUT_S * 1000000000ull;
		if (enough || *timed_out)
			return looks;
		nanosleep(&nap, NULL);
	}
}

/* Returns 0; 1 when the size was skipped (reason set); -1 on a failure that was printed. */
static int one_round(struct result *r)
{
	uint64_t free_before = mem_free_kib(), waited, back, tolerance = tolerance_kib(r->size);
	bool timed_out;
	int status, looks;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	pid = fork();
	if (pid < 0) {
		fprintf(stderr, "exitcost: fork: %s\n", strerror(errno));
		return -1;
	}
	if (pid == 0)
		child(r->size);
	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR) {
			fprintf(stderr, "exitcost: waitpid: %s\n", strerror(errno));
			return -1;
		}
	}
	waited = now_ns() - report->exit_at;
	if (report->map_errno == ENOMEM) {
		snprintf(r->skipped, sizeof(r->skipped), "mmap: %s", strerror(report->map_errno));
		return 1;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		if (WIFSIGNALED(status))
			fprintf(stderr, "exitcost: the child was killed by signal %d\n", WTERMSIG(status));
		else
			fprintf(stderr, "exitcost: the child failed: %s\n", strerror(report->map_errno));
		return -1;
	}
	looks = wait_for_memory(free_before > tolerance ? free_before - tolerance : 0, &back, &timed_out);
	stats_add(&r->populate, (double)report->populate_ns / (double)r->pages);
	stats_add(&r->wait, (double)waited);
	stats_add(&r->exit_page, (double)waited / (double)r->pages);
	stats_add(&r->back, (double)back);
	r->back_timeouts += timed_out;
	if (account_kind != ACCOUNT_NONE) {
		double spent = (double)(read_account() - report->account) - looks * poll_overhead;

		if (spent < 0)
			spent = 0;
		stats_add(&r->kernel, spent);
		stats_add(&r->kernel_page, spent / (double)r->pages);
	}
	return 0;
}

/* Does the size fit in memory? Otherwise say why not. */
static bool fits(struct result *r)
{
	uint64_t kib = 0, need = r->size / 1024 + r->size / 1024 / 256 + SLACK_KIB;

	if (!proc_file_value("/proc/meminfo", "MemAvailable", &kib))
		kib = mem_free_kib();
	if (r->size > SIZE_MAX / 2)
		snprintf(r->skipped, sizeof(r->skipped), "larger than an address space");
	else if (kib < need)
		snprintf(r->skipped, sizeof(r->skipped), "needs %llu MiB with slack, %llu MiB available",
			 (unsigned long long)(need / 1024), (unsigned long long)(kib / 1024));
	return !r->skipped[0];
}

static int measure(struct result *r, uint64_t size)
{
	memset(r, 0, sizeof(*r));
	r->size = size;
	r->pages = (size + (uint64_t)page_size - 1) / (uint64_t)page_size;
	if (!fits(r))
		return 0;
	for (int i = 0; i < opt.rounds; i++) {
		int err = one_round(r);

		if (err)
			return err < 0 ? -1 : 0;
	}
	stats_finish(&r->populate);
	stats_finish(&r->wait);
	stats_finish(&r->exit_page);
	stats_finish(&r->back);
	stats_finish(&r->kernel);
	stats_finish(&r->kernel_page);
	return 0;
}

/* A small round or two that do not count: first times, caches, an emulator that translates. */
static int warm_up(void)
{
	static struct result r;

	memset(&r, 0, sizeof(r));
	r.size = WARM_UP_SIZE;
	r.pages = 1;
	for (int i = 0; i < 3; i++) {
		int err = one_round(&r);

		if (err)
			return err < 0 ? -1 : 0;
	}
	return 0;
}

static bool read_knob(size_t i, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/vm/%s", knob_names[i]);
	return proc_read_line(path, buf, size) >= 0;
}

static void print_header(void)
{
	struct utsname u;
	uint64_t total = 0;
	bool any = false;
	char value[64];

	memset(&u, 0, sizeof(u));
	uname(&u);
	proc_file_value("/proc/meminfo", "MemTotal", &total);
	if (opt.json) {
		struct json j;

		json_open(&j);
		json_string(&j, "program", "exitcost");
		json_string(&j, "kernel", u.sysname);
		json_string(&j, "release", u.release);
		json_string(&j, "machine", u.machine);
		json_u64(&j, "cpus", (uint64_t)cpus_online());
		json_u64(&j, "mem_total_kib", total);
		json_u64(&j, "page_size", (uint64_t)page_size);
		json_u64(&j, "rounds", (uint64_t)opt.rounds);
		json_u64(&j, "huge", opt.huge);
		json_object_begin(&j, "knobs");
		for (size_t i = 0; i < NR_KNOBS; i++)
			if (read_knob(i, value, sizeof(value)))
				json_string(&j, knob_names[i], value);
		json_object_end(&j);
		json_close(&j);
		return;
	}
	printf("exitcost: %s %s %s, %d CPUs, %llu MiB, %ld-byte pages, %d rounds, median (min..max)\n", u.sysname,
	       u.release, u.machine, cpus_online(), (unsigned long long)(total / 1024), page_size, opt.rounds);
	for (size_t i = 0; i < NR_KNOBS; i++) {
		if (!read_knob(i, value, sizeof(value)))
			continue;
		printf("%svm.%s=%s", any ? " " : "", knob_names[i], value);
		any = true;
	}
	if (any)
		putchar('\n');
	putchar('\n');
	fflush(stdout);
}

static void print_json(const struct result *r)
{
	struct json j;

	json_open(&j);
	json_u64(&j, "size", r->size);
	json_u64(&j, "pages", r->pages);
	json_string(&j, "status", r->skipped[0] ? "skipped" : "ok");
	if (r->skipped[0]) {
		json_string(&j, "reason", r->skipped);
		json_close(&j);
		return;
	}
	json_stats(&j, "populate_ns_per_page", &r->populate);
	json_stats(&j, "wait_ns", &r->wait);
	json_stats(&j, "exit_ns_per_page", &r->exit_page);
	json_stats(&j, "back_ns", &r->back);
	json_u64(&j, "back_timeouts", (uint64_t)r->back_timeouts);
	json_string(&j, "kernel_unit", account_unit[account_kind]);
	if (account_kind != ACCOUNT_NONE) {
		json_stats(&j, "kernel", &r->kernel);
		json_stats(&j, "kernel_per_page", &r->kernel_page);
	} else {
		json_null(&j, "kernel");
		json_null(&j, "kernel_per_page");
	}
	json_close(&j);
}

static void print_table(int nr)
{
	static struct table t;
	static const char *const head[] = { "size",	 "pages",	"populate/page", "parent's wait",
					    "exit/page", "memory back", "kernel/page" };
	const char *unit[] = { "", "", "ns", "us", "ns", "us", account_unit[account_kind] };
	int timeouts = 0;

	table_row(&t);
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		table_cell(&t, "%s", head[i]);
	table_row(&t);
	for (size_t i = 0; i < sizeof(unit) / sizeof(unit[0]); i++)
		table_cell(&t, "%s", unit[i]);
	for (int i = 0; i < nr; i++) {
		const struct result *r = &results[i];
		char size[32];

		table_row(&t);
		table_cell(&t, "%s", format_size(r->size, size, sizeof(size)));
		table_cell(&t, "%llu", (unsigned long long)r->pages);
		if (r->skipped[0]) {
			table_cell(&t, "skipped: %s", r->skipped);
			continue;
		}
		table_stats(&t, &r->populate, 1, 0);
		table_stats(&t, &r->wait, 1000, 0);
		table_stats(&t, &r->exit_page, 1, 0);
		table_stats(&t, &r->back, 1000, 0);
		if (account_kind != ACCOUNT_NONE)
			table_stats(&t, &r->kernel_page, 1, 0);
		else
			table_cell(&t, "-");
		timeouts += r->back_timeouts;
	}
	table_print(&t, 2);
	if (timeouts)
		printf("MemFree was not back within %d s in %d rounds\n", BACK_TIMEOUT_S, timeouts);
}

static void usage(FILE *f)
{
	fputs("usage: exitcost [--size SIZE[,SIZE...]]... [--rounds N] [--json] [--huge]\n"
	      "Measures what the exit of a process costs that has touched SIZE of anonymous memory.\n"
	      "  --size    bytes, or with a suffix K, M or G (default 16M,64M,256M,1G)\n"
	      "  --rounds  rounds per size, 1 to 101 (default 5)\n"
	      "  --json    JSON lines: a header, then one object per size\n"
	      "  --huge    let the kernel use huge pages\n"
	      "What does not fit in memory is reported as skipped.\n"
	      "Exit status: 0 measured or skipped, 1 a failure, 2 wrong usage.\n", f);
}

/* Returns false, with a message, for a malformed list. */
static bool add_sizes(char *list)
{
	for (char *save, *s = strtok_r(list, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
		if (opt.nr_sizes == MAX_SIZES) {
			fprintf(stderr, "exitcost: more than %d sizes\n", MAX_SIZES);
			return false;
		}
		if (!parse_size(s, &opt.size[opt.nr_sizes])) {
			fprintf(stderr, "exitcost: '%s' is not a size\n", s);
			return false;
		}
		opt.nr_sizes++;
	}
	return true;
}

/* Returns -1 to go on, or an exit status. */
static int parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "size", required_argument, NULL, 's' }, { "rounds", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },	  { "huge", no_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },	  { NULL, 0, NULL, 0 },
	};
	static char defaults[] = "16M,64M,256M,1G";
	uint64_t n;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 's':
			if (!add_sizes(optarg))
				return 2;
			break;
		case 'r':
			if (!parse_size(optarg, &n) || n > STATS_MAX) {
				fprintf(stderr, "exitcost: --rounds takes 1 to %d\n", STATS_MAX);
				return 2;
			}
			opt.rounds = (int)n;
			break;
		case 'j':
			opt.json = true;
			break;
		case 'u':
			opt.huge = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "exitcost: unexpected '%s'\n", argv[optind]);
		usage(stderr);
		return 2;
	}
	if (!opt.nr_sizes)
		add_sizes(defaults);
	return -1;
}

int main(int argc, char **argv)
{
	int status = parse_options(argc, argv), nr;

	if (status >= 0)
		return status;
	page_size = sysconf(_SC_PAGESIZE);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED) {
		fprintf(stderr, "exitcost: mmap: %s\n", strerror(errno));
		return 1;
	}
	probe_account();
	print_header();
	if (warm_up() < 0)
		return 1;
	status = 0;
	for (nr = 0; nr < opt.nr_sizes; nr++) {
		if (measure(&results[nr], opt.size[nr]) < 0) {
			status = 1;
			break;
		}
		if (opt.json)
			print_json(&results[nr]);
	}
	if (!opt.json)
		print_table(nr);
	return status;
}
