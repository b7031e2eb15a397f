/*
 * exitcost: what the exit of a process costs.
 *
 * For each size a child maps anonymous memory, touches every page, and exits; the parent waits. Reported are, as
 * median, min and max of the rounds: populating per page, the parent's wait from the child's last instant in user space
 * until wait4() returns, the same per page, the time until MemFree is back, and, where /proc/exeunt/account exists, the
 * kernel instructions (or nanoseconds) that all CPUs spent on it, workers included: work moved is not work saved.
 *
 * Several processes may exit at the same time, each with several threads that touched its memory on different CPUs
 * (common/exit_round.c), and one run may go through the values of the kernel's knobs (common/sweep.c): a row each.
 *
 * An ordinary Linux program: the same binary runs on Linux. Huge pages are refused unless --huge is given.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "user/common/account.h"
#include "user/common/banner.h"
#include "user/common/exit_round.h"
#include "user/common/knobs.h"
#include "user/common/proc.h"
#include "user/common/stats.h"
#include "user/common/sweep.h"
#include "user/common/table.h"

#define MAX_SIZES 16
#define MAX_ROWS (TABLE_ROWS - 2)
#define WARM_UP_SIZE (4u << 20)
#define WARM_UP_ROUNDS 3

static struct options {
	uint64_t size[MAX_SIZES];
	int nr_sizes;
	int rounds;
	bool json;
	struct exit_load load;	/* its size is that of the row */
} opt = { .rounds = 5, .load = { .procs = 1, .threads = 1 } };

/* The policies change fastest, so that their rows stand together. */
enum { LAZY, RUNS, THRESHOLD, POLICIES, NR_LISTS };

static struct sweep sweep = {
	.program = "exitcost",
	.nr = NR_LISTS,
	.list = {
		[LAZY] = { .knob = "lazy_tlb", .all = "none,refcount,shootdown,filtered,hazard,quiesce" },
		[RUNS] = { .knob = "gather_runs", .all = "0,1" },
		[THRESHOLD] = { .knob = "free_async_threshold" },
		[POLICIES] = { .knob = "free_async", .all = "off,batch,node,zap" },
	},
};

/* Samples of the row that is being measured. */
static struct {
	struct stats populate, wait, exit_page, back, kernel, kernel_page;
} now;

/* A finished row. Children do not inherit rows, or each would have more to leave behind than the one before. */
static struct row {
	uint64_t size, pages;
	struct summary populate, wait, exit_page, back, kernel_page;
	int back_timeouts;
	char status[16];	/* ok, skipped, not available */
	char reason[128];	/* unless ok */
	char policy[NR_LISTS][KNOB_VALUE];
} *rows;
static int nr_rows;

static void reset_samples(void)
{
	stats_reset(&now.populate);
	stats_reset(&now.wait);
	stats_reset(&now.exit_page);
	stats_reset(&now.back);
	stats_reset(&now.kernel);
	stats_reset(&now.kernel_page);
}

static void finish_samples(struct row *r)
{
	stats_finish(&now.populate);
	stats_finish(&now.wait);
	stats_finish(&now.exit_page);
	stats_finish(&now.back);
	stats_finish(&now.kernel);
	stats_finish(&now.kernel_page);
	r->populate = stats_summary(&now.populate);
	r->wait = stats_summary(&now.wait);
	r->exit_page = stats_summary(&now.exit_page);
	r->back = stats_summary(&now.back);
	r->kernel_page = stats_summary(&now.kernel_page);
}

/* One round for the row. As exit_round(). */
static int one_round(const struct exit_load *load, struct row *r)
{
	struct exit_sample s = { 0 };
	double pages = (double)r->pages;
	int err = exit_round(load, &s, r->reason, sizeof(r->reason));

	if (err)
		return err;
	stats_add(&now.populate, (double)s.populate / pages);
	stats_add(&now.wait, (double)s.wait);
	stats_add(&now.exit_page, (double)s.wait / pages);
	stats_add(&now.back, (double)s.back);
	r->back_timeouts += s.timed_out;
	if (account_known()) {
		stats_add(&now.kernel, s.kernel);
		stats_add(&now.kernel_page, s.kernel / pages);
	}
	return 0;
}

/* Rounds that do not count: first times, caches, an emulator that translates, another policy's first steps. */
static int warm_up(struct exit_load load)
{
	static struct row scratch;

	load.size = WARM_UP_SIZE / (uint64_t)load.procs;
	scratch.pages = exit_pages(&load);
	if (!exit_fits(&load, scratch.reason, sizeof(scratch.reason)))
		return 0;
	for (int i = 0; i < WARM_UP_ROUNDS; i++) {
		int err = one_round(&load, &scratch);

		if (err)
			return err < 0 ? -1 : 0;
	}
	return 0;
}

static int alloc_rows(void)
{
	size_t size = MAX_ROWS * sizeof(*rows);

	rows = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rows == MAP_FAILED || madvise(rows, size, MADV_DONTFORK)) {
		perror("exitcost: mmap");
		return -1;
	}
	return 0;
}

/* Measure one size under the policies that the sweep is at. Returns 0, or -1 after a message. */
static int measure(struct row *r, uint64_t size)
{
	struct exit_load load = opt.load;
	int err;

	load.size = size;
	r->size = size;
	r->pages = exit_pages(&load);
	r->back_timeouts = 0;
	reset_samples();
	strcpy(r->status, "skipped");
	err = sweep_apply(&sweep);
	for (int i = 0; i < NR_LISTS; i++) {
		const struct sweep_list *l = &sweep.list[i];

		if (err == 1 && l->nr && !l->missing)
			strcpy(r->policy[i], l->value[l->at]);
		else
			sweep_value(l, r->policy[i], sizeof(r->policy[i]));
	}
	if (err) {
		strcpy(r->status, "not available");
		strcpy(r->reason, sweep.reason);
		return err < 0 ? -1 : 0;
	}
	if (!exit_fits(&load, r->reason, sizeof(r->reason)))
		return 0;
	if (warm_up(load) < 0)
		return -1;
	reset_samples();
	for (int i = 0; i < opt.rounds; i++) {
		err = one_round(&load, r);
		if (err)
			return err < 0 ? -1 : 0;
	}
	finish_samples(r);
	strcpy(r->status, "ok");
	return 0;
}

static void print_header(void)
{
	const struct exit_load *load = &opt.load;
	char details[256];
	size_t len;

	if (opt.json) {
		struct json j;

		json_open(&j);
		banner_json(&sweep, &j);
		json_u64(&j, "rounds", (uint64_t)opt.rounds);
		json_u64(&j, "procs", (uint64_t)load->procs);
		json_u64(&j, "threads", (uint64_t)load->threads);
		json_u64(&j, "join", load->join);
		json_u64(&j, "interleave", load->interleave);
		json_u64(&j, "huge", load->huge);
		json_close(&j);
		return;
	}
	len = (size_t)snprintf(details, sizeof(details), "%ld-byte pages, %d round%s, median (min..max)",
			       sysconf(_SC_PAGESIZE), opt.rounds, opt.rounds == 1 ? "" : "s");
	if (load->procs > 1 || load->threads > 1)
		len += (size_t)snprintf(details + len, sizeof(details) - len, "\n%d process%s of %d thread%s",
					load->procs, load->procs == 1 ? "" : "es at once", load->threads,
					load->threads == 1 ? "" : "s");
	if (load->threads > 1)
		snprintf(details + len, sizeof(details) - len, ", which %s and have touched %s",
			 load->join ? "have ended before the exit" : "sleep until the exit ends them",
			 load->interleave ? "every Nth page" : "a part each");
	banner_print(&sweep, details);
}

static void print_json(const struct row *r)
{
	struct json j;

	json_open(&j);
	sweep_json_row(&sweep, &j);
	json_u64(&j, "size", r->size);
	json_u64(&j, "pages", r->pages);
	json_u64(&j, "procs", (uint64_t)opt.load.procs);
	json_u64(&j, "threads", (uint64_t)opt.load.threads);
	json_string(&j, "status", r->status);
	if (strcmp(r->status, "ok") != 0) {
		json_string(&j, "reason", r->reason);
		json_close(&j);
		return;
	}
	json_stats(&j, "populate_ns_per_page", &now.populate);
	json_stats(&j, "wait_ns", &now.wait);
	json_stats(&j, "exit_ns_per_page", &now.exit_page);
	json_stats(&j, "back_ns", &now.back);
	json_u64(&j, "back_timeouts", (uint64_t)r->back_timeouts);
	json_string(&j, "kernel_unit", account_unit());
	if (account_known()) {
		json_stats(&j, "kernel", &now.kernel);
		json_stats(&j, "kernel_per_page", &now.kernel_page);
	} else {
		json_null(&j, "kernel");
		json_null(&j, "kernel_per_page");
	}
	json_close(&j);
}

/* A column for each knob that is swept, then the size and what was measured. */
static void print_table(void)
{
	static struct table t;
	static const char *const head[] = { "size",	 "pages",	"populate/page", "parent's wait",
					    "exit/page", "memory back", "kernel/page" };
	const char *unit[] = { "", "", "ns", "us", "ns", "us", account_unit() };
	int timeouts = 0, swept = 0;

	for (int i = 0; i < NR_LISTS; i++)
		swept += sweep.list[i].nr != 0;
	t.left = (1u << (swept + 1)) - 1;
	for (int line = 0; line < 2; line++) {
		table_row(&t);
		for (int i = 0; i < NR_LISTS; i++)
			if (sweep.list[i].nr)
				table_cell(&t, "%s", line ? "" : sweep.list[i].knob);
		for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
			table_cell(&t, "%s", line ? unit[i] : head[i]);
	}
	for (const struct row *r = rows; r < rows + nr_rows; r++) {
		char size[32];

		table_row(&t);
		for (int i = 0; i < NR_LISTS; i++)
			if (sweep.list[i].nr)
				table_cell(&t, "%s", r->policy[i]);
		table_cell(&t, "%s", format_size(r->size, size, sizeof(size)));
		table_cell(&t, "%llu", (unsigned long long)r->pages);
		if (strcmp(r->status, "ok") != 0) {
			table_cell(&t, "%s: %s", r->status, r->reason);
			continue;
		}
		table_summary(&t, r->populate, 1, 0);
		table_summary(&t, r->wait, 1000, 0);
		table_summary(&t, r->exit_page, 1, 0);
		table_summary(&t, r->back, 1000, 0);
		if (account_known())
			table_summary(&t, r->kernel_page, 1, 0);
		else
			table_cell(&t, "-");
		timeouts += r->back_timeouts;
	}
	table_print(&t, 2);
	if (timeouts)
		printf("MemFree was not back within %d s in %d rounds\n", EXIT_BACK_TIMEOUT_S, timeouts);
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: exitcost [OPTION]...\n"
		"Measures what the exit of a process costs that has touched some anonymous memory.\n"
		"  --size SIZE[,..]   bytes, or with a suffix K, M or G (default 16M,64M,256M,1G)\n"
		"  --rounds N         rounds of each row, 1 to %d (default 5)\n"
		"  --procs N          N processes of that size exit at the same time (1 to %d)\n"
		"  --threads N        each has N threads, on different CPUs, that touch a part each (1 to %d);\n"
		"                     they sleep until the exit ends them\n"
		"  --join             the threads have ended before the exit\n"
		"  --interleave       the threads touch pages in turn\n"
		"  --huge             let the kernel use huge pages\n"
		"  --json             JSON lines: a header, then one object for each row\n"
		"Policies, one or several values of knobs in /proc/sys/vm, a row for each combination. The old values\n"
		"are put back. Where a kernel has no such knob, the one policy that it has is measured.\n"
		"  --policies LIST    of vm.free_async; all is %s\n"
		"  --runs LIST        of vm.gather_runs; all is %s\n"
		"  --threshold LIST   of vm.free_async_threshold, in pages\n"
		"  --lazy LIST        of vm.lazy_tlb; all is %s\n"
		"Examples:\n"
		"  exitcost --size 64M,1G --policies all\n"
		"  exitcost --size 256M --procs 4 --policies off,zap --runs 0,1\n"
		"  exitcost --size 1G --threads 4 --join --policies off,node --threshold 4096,262144\n"
		"What does not fit in memory is a row 'skipped', a value that the kernel refuses 'not available'.\n"
		"Exit status: 0 measured, skipped or not available, 1 a failure, 2 wrong usage.\n",
		STATS_MAX, EXIT_PROCS_MAX, EXIT_THREADS_MAX, sweep.list[POLICIES].all, sweep.list[RUNS].all,
		sweep.list[LAZY].all);
}

/* Returns false, with a message, for a malformed list. */
static bool add_sizes(const char *list)
{
	for (;;) {
		size_t len = strcspn(list, ",");
		char one[32];

		if (opt.nr_sizes == MAX_SIZES) {
			fprintf(stderr, "exitcost: more than %d sizes\n", MAX_SIZES);
			return false;
		}
		snprintf(one, sizeof(one), "%.*s", (int)len, list);
		if (len >= sizeof(one) || !parse_size(one, &opt.size[opt.nr_sizes])) {
			fprintf(stderr, "exitcost: '%.*s' is not a size; try 64M\n", (int)len, list);
			return false;
		}
		opt.nr_sizes++;
		if (!list[len])
			return true;
		list += len + 1;
	}
}

static bool count(const char *option, int max, int *value)
{
	if (parse_count(optarg, 1, max, value))
		return true;
	fprintf(stderr, "exitcost: %s takes 1 to %d\n", option, max);
	return false;
}

/* Returns false after a message. */
static bool take_option(int c)
{
	switch (c) {
	case 's':
		return add_sizes(optarg);
	case 'r':
		return count("--rounds", STATS_MAX, &opt.rounds);
	case 'n':
		return count("--procs", EXIT_PROCS_MAX, &opt.load.procs);
	case 't':
		return count("--threads", EXIT_THREADS_MAX, &opt.load.threads);
	case 'J':
		opt.load.join = true;
		return true;
	case 'i':
		opt.load.interleave = true;
		return true;
	case 'u':
		opt.load.huge = true;
		return true;
	case 'j':
		opt.json = true;
		return true;
	case 'p':
		return sweep_values(&sweep, &sweep.list[POLICIES], "--policies", optarg);
	case 'R':
		return sweep_values(&sweep, &sweep.list[RUNS], "--runs", optarg);
	case 'T':
		return sweep_values(&sweep, &sweep.list[THRESHOLD], "--threshold", optarg);
	case 'l':
		return sweep_values(&sweep, &sweep.list[LAZY], "--lazy", optarg);
	default:
		usage(stderr);
		return false;
	}
}

/* Returns -1 to go on, or an exit status. */
static int parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "size", required_argument, NULL, 's' },      { "rounds", required_argument, NULL, 'r' },
		{ "procs", required_argument, NULL, 'n' },     { "threads", required_argument, NULL, 't' },
		{ "join", no_argument, NULL, 'J' },	       { "interleave", no_argument, NULL, 'i' },
		{ "huge", no_argument, NULL, 'u' },	       { "json", no_argument, NULL, 'j' },
		{ "policies", required_argument, NULL, 'p' },  { "runs", required_argument, NULL, 'R' },
		{ "threshold", required_argument, NULL, 'T' }, { "lazy", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },	       { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (!take_option(c))
			return 2;
	}
	if (optind < argc) {
		fprintf(stderr, "exitcost: unexpected '%s'\n", argv[optind]);
		usage(stderr);
		return 2;
	}
	if (!opt.nr_sizes)
		add_sizes("16M,64M,256M,1G");
	return -1;
}

int main(int argc, char **argv)
{
	int status = parse_options(argc, argv), wanted;

	if (status >= 0)
		return status;
	wanted = sweep_begin(&sweep) * opt.nr_sizes;
	if (wanted > MAX_ROWS) {
		fprintf(stderr, "exitcost: %d rows; %d are the limit, take fewer sizes or values\n", wanted, MAX_ROWS);
		return 2;
	}
	account_probe();
	if (exit_round_setup("exitcost") || alloc_rows())
		return 1;
	print_header();
	status = 0;
	for (int i = 0; i < opt.nr_sizes && !status; i++) {
		do {
			if (measure(&rows[nr_rows], opt.size[i]) < 0) {
				status = 1;
				break;
			}
			if (opt.json)
				print_json(&rows[nr_rows]);
			nr_rows++;
		} while (sweep_next(&sweep));
	}
	if (knobs_restore())
		status = 1;
	if (!opt.json && nr_rows)
		print_table();
	return status;
}
