/*
 * lazyswitch: what borrowed address spaces (lazy TLB) cost, in two experiments.
 *
 * pingpong: threads that go user -> idle -> user on all CPUs, as often as possible (common/pingpong.c). Each time the
 * idle loop borrows the threads' page tables and gives them back: switches per second, and what a switch costs.
 * storm: processes that are made and exit, on all CPUs (common/storm.c). The last user of an address space has to find
 * out who still borrows it: exits per second, and the interrupts that an exit sends.
 *
 * A row for each policy of vm.lazy_tlb that is asked for. An ordinary Linux program: the same binary runs on Linux.
 * What a kernel does not count is "-", in JSON null.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "user/common/account.h"
#include "user/common/banner.h"
#include "user/common/cpus.h"
#include "user/common/knobs.h"
#include "user/common/pingpong.h"
#include "user/common/proc.h"
#include "user/common/stats.h"
#include "user/common/storm.h"
#include "user/common/sweep.h"
#include "user/common/table.h"

#define MAX_MS 600000
#define MAX_CHILDREN 10000000
#define WARM_UP_CHILDREN 8	/* for each parent */

enum experiment { PINGPONG, STORM, NR_EXPERIMENTS };

static const char *const experiment_names[NR_EXPERIMENTS] = { "pingpong", "storm" };
static const char *const units[NR_EXPERIMENTS] = { "switch", "exit" };

static struct options {
	bool wanted[NR_EXPERIMENTS];
	int rounds, cpus, ms;
	struct storm_load load;
	bool json;
} opt = { .rounds = 3, .ms = 500, .load = { .children = 1000, .touch = 16 } };

static struct sweep sweep = {
	.program = "lazyswitch",
	.nr = 1,
	.list = { { .knob = "lazy_tlb", .all = "none,refcount,shootdown,filtered,hazard,quiesce" } },
};

/* Samples of the row that is being measured; all but the rate are per switch or exit. */
static struct {
	struct stats rate, slept, kernel, count[NR_VMCOUNTERS];
} now;

struct row {
	char policy[KNOB_VALUE];
	char reason[128];	/* why it is not available, or empty */
	struct summary rate, slept, kernel, count[NR_VMCOUNTERS];
	bool there[NR_VMCOUNTERS];	/* does the kernel count it? */
};

/* What the tables show of the counters; JSON has all. */
static const struct column {
	enum vmcounter counter;
	const char *head[2];
} columns[NR_EXPERIMENTS][6] = {
	[PINGPONG] = {
		{ VMC_CONTEXT_SWITCHES, { "context", "switches" } },
		{ VMC_LAZY_SWITCHES, { "lazy", "switches" } },
		{ VMC_LAZY_REFS, { "lazy", "refs" } },
		{ VMC_LAZY_IPIS, { "lazy", "IPIs" } },
		{ VMC_LAZY_FILTERED, { "IPIs", "filtered" } },
		{ VMC_LAZY_DEFERRED, { "lazy", "deferred" } },
	},
	[STORM] = {
		{ VMC_IPIS, { "all", "IPIs" } },
		{ VMC_SHOOTDOWN_IPIS, { "shootdown", "IPIs" } },
		{ VMC_LAZY_IPIS, { "lazy", "IPIs" } },
		{ VMC_LAZY_FILTERED, { "IPIs", "filtered" } },
		{ VMC_LAZY_DEFERRED, { "lazy", "deferred" } },
		{ VMC_LAZY_REFS, { "lazy", "refs" } },
	},
};
#define NR_COLUMNS (sizeof(columns[0]) / sizeof(columns[0][0]))

static int cpu[CPUS_MAX];

static void reset_samples(void)
{
	stats_reset(&now.rate);
	stats_reset(&now.slept);
	stats_reset(&now.kernel);
	for (int i = 0; i < NR_VMCOUNTERS; i++)
		stats_reset(&now.count[i]);
}

static void finish_samples(struct row *r)
{
	stats_finish(&now.rate);
	stats_finish(&now.slept);
	stats_finish(&now.kernel);
	r->rate = stats_summary(&now.rate);
	r->slept = stats_summary(&now.slept);
	r->kernel = stats_summary(&now.kernel);
	for (int i = 0; i < NR_VMCOUNTERS; i++) {
		stats_finish(&now.count[i]);
		r->count[i] = stats_summary(&now.count[i]);
		r->there[i] = now.count[i].n != 0;
	}
}

/* A round in which so much happened n times. */
static void add_round(uint64_t n, uint64_t ns, double kernel, const struct vmcount *count)
{
	stats_add(&now.rate, (double)n * 1e9 / (double)ns);
	if (account_known())
		stats_add(&now.kernel, kernel / (double)n);
	for (int i = 0; i < NR_VMCOUNTERS; i++)
		if (count->there[i])
			stats_add(&now.count[i], (double)count->value[i] / (double)n);
}

static int pingpong_round(void)
{
	struct pingpong_sample s;

	if (pingpong("lazyswitch", cpu, opt.cpus, opt.ms, &s))
		return -1;
	if (!s.switches || !s.turns) {
		fprintf(stderr, "lazyswitch: no switch within %d ms; try a larger --ms\n", opt.ms);
		return -1;
	}
	add_round(s.switches, s.ns, s.kernel, &s.count);
	stats_add(&now.slept, (double)s.switches / (double)s.turns);
	return 0;
}

static int storm_round(const struct storm_load *load)
{
	struct storm_sample s;

	if (storm(load, &s))
		return -1;
	add_round((uint64_t)load->children, s.ns, s.kernel, &s.count);
	return 0;
}

/* The rounds of a row, under the policy that the sweep is at. Returns 0, or -1 after a message. */
static int measure(enum experiment e, struct row *r)
{
	int err = sweep_apply(&sweep);
	const struct sweep_list *l = &sweep.list[0];

	memset(r, 0, sizeof(*r));
	if (err) {
		strcpy(r->policy, l->value[l->at]);
		strcpy(r->reason, sweep.reason);
		return err < 0 ? -1 : 0;
	}
	sweep_value(l, r->policy, sizeof(r->policy));
	reset_samples();
	if (e == STORM) {
		struct storm_load load = opt.load;

		load.children = load.parents * WARM_UP_CHILDREN;
		if (storm_round(&load))
			return -1;
		reset_samples();
	}
	for (int i = 0; i < opt.rounds; i++)
		if (e == PINGPONG ? pingpong_round() : storm_round(&opt.load))
			return -1;
	finish_samples(r);
	return 0;
}

static void print_header(void)
{
	char details[96];

	if (opt.json) {
		struct json j;

		json_open(&j);
		banner_json(&sweep, &j);
		json_u64(&j, "rounds", (uint64_t)opt.rounds);
		json_close(&j);
		return;
	}
	snprintf(details, sizeof(details), "%d round%s, median (min..max)", opt.rounds, opt.rounds == 1 ? "" : "s");
	banner_print(&sweep, details);
}

static void print_json(enum experiment e, const struct row *r)
{
	char key[32];
	struct json j;

	json_open(&j);
	json_string(&j, "experiment", experiment_names[e]);
	sweep_json_row(&sweep, &j);
	json_string(&j, "status", r->reason[0] ? "not available" : "ok");
	if (r->reason[0]) {
		json_string(&j, "reason", r->reason);
		json_close(&j);
		return;
	}
	if (e == PINGPONG) {
		json_u64(&j, "cpus", (uint64_t)opt.cpus);
		json_u64(&j, "ms", (uint64_t)opt.ms);
		json_stats(&j, "switches_per_s", &now.rate);
		json_stats(&j, "switches_per_turn", &now.slept);
	} else {
		json_u64(&j, "procs", (uint64_t)opt.load.parents);
		json_u64(&j, "children", (uint64_t)opt.load.children);
		json_u64(&j, "touch", (uint64_t)opt.load.touch);
		json_u64(&j, "hop", (uint64_t)opt.load.hop);
		json_stats(&j, "exits_per_s", &now.rate);
	}
	snprintf(key, sizeof(key), "per_%s", units[e]);
	json_object_begin(&j, key);
	for (int i = 0; i < NR_VMCOUNTERS; i++) {
		if (r->there[i])
			json_stats(&j, vmcounter_names[i], &now.count[i]);
		else
			json_null(&j, vmcounter_names[i]);
	}
	json_object_end(&j);
	json_string(&j, "kernel_unit", account_unit());
	snprintf(key, sizeof(key), "kernel_per_%s", units[e]);
	if (account_known())
		json_stats(&j, key, &now.kernel);
	else
		json_null(&j, key);
	json_close(&j);
}

static void print_title(enum experiment e)
{
	if (e == STORM) {
		printf("storm: %d children of %d parent%s, each touches %d pages", opt.load.children, opt.load.parents,
		       opt.load.parents == 1 ? "" : "s", opt.load.touch);
		if (opt.load.hop)
			printf(" and visits %d CPUs", opt.load.hop);
		puts("; figures per exit");
		return;
	}
	if (opt.cpus == 1)
		printf("pingpong: one CPU, which sleeps by the clock");
	else
		printf("pingpong: %d pair%s of CPUs%s", opt.cpus / 2, opt.cpus / 2 == 1 ? "" : "s",
		       opt.cpus % 2 ? " and one that sleeps by the clock" : "");
	printf("; windows of %d ms, figures per switch\n", opt.ms);
}

static void print_table(enum experiment e, const struct row *rows, int nr)
{
	static struct table t;
	const char *head[2][2] = { { e == PINGPONG ? "switches/s" : "exits/s", "" }, { "kernel", account_unit() } };

	t.rows = 0;
	for (int line = 0; line < 2; line++) {
		table_row(&t);
		table_cell(&t, "%s", line ? "" : "lazy_tlb");
		table_cell(&t, "%s", head[0][line]);
		if (e == PINGPONG)
			table_cell(&t, "%s", line ? "/turn" : "switches");
		for (size_t i = 0; i < NR_COLUMNS; i++)
			table_cell(&t, "%s", columns[e][i].head[line]);
		table_cell(&t, "%s", head[1][line]);
	}
	for (const struct row *r = rows; r < rows + nr; r++) {
		table_row(&t);
		table_cell(&t, "%s", r->policy);
		if (r->reason[0]) {
			table_cell(&t, "not available: %s", r->reason);
			continue;
		}
		table_summary(&t, r->rate, 1, 0);
		if (e == PINGPONG)
			table_cell(&t, "%.3f", r->slept.median);
		for (size_t i = 0; i < NR_COLUMNS; i++) {
			enum vmcounter c = columns[e][i].counter;

			if (r->there[c])
				table_cell(&t, "%.3f", r->count[c].median);
			else
				table_cell(&t, "-");
		}
		if (account_known())
			table_cell(&t, "%.0f", r->kernel.median);
		else
			table_cell(&t, "-");
	}
	print_title(e);
	table_print(&t, 2);
	putchar('\n');
	fflush(stdout);
}

/* One experiment with all policies. Returns 0, or -1 after a message. */
static int experiment(enum experiment e)
{
	static struct row rows[SWEEP_VALUES];
	int nr = 0, err = 0;

	do {
		err = measure(e, &rows[nr]);
		if (err)
			break;
		if (opt.json)
			print_json(e, &rows[nr]);
		nr++;
	} while (sweep_next(&sweep));
	if (!opt.json && nr)
		print_table(e, rows, nr);
	return err;
}

static void usage(FILE *f)
{
	fprintf(f,
		"usage: lazyswitch [pingpong] [storm] [OPTION]...\n"
		"Measures what borrowed address spaces cost. Both experiments unless one is named:\n"
		"  pingpong           threads that go user -> idle -> user on all CPUs\n"
		"    --cpus N         only the first N CPUs (default all)\n"
		"    --ms N           milliseconds that a round takes (default 500)\n"
		"  storm              processes that are made and exit on all CPUs\n"
		"    --procs N        parents that do so at the same time (default one for each CPU)\n"
		"    --children N     children of all parents together (default 1000)\n"
		"    --touch PAGES    that each child writes to (default 16)\n"
		"    --hop N          CPUs that each child visits before it exits (default 0)\n"
		"  --rounds N         rounds of each row, 1 to %d (default 3)\n"
		"  --policies LIST    values of vm.lazy_tlb, a row each; the old value is put back. all is\n"
		"                     %s\n"
		"  --json             JSON lines: a header, then one object for each row\n"
		"Examples:\n"
		"  lazyswitch --policies all\n"
		"  lazyswitch pingpong --policies refcount,shootdown --ms 2000 --json\n"
		"  lazyswitch storm --procs 1 --hop 8 --policies shootdown,filtered,hazard\n"
		"A value that the kernel refuses is a row 'not available', what it does not count is '-'.\n"
		"Exit status: 0 measured or not available, 1 a failure, 2 wrong usage.\n",
		STATS_MAX, sweep.list[0].all);
}

static bool count(const char *option, int min, int max, int *value)
{
	if (parse_count(optarg, min, max, value))
		return true;
	fprintf(stderr, "lazyswitch: %s takes %d to %d\n", option, min, max);
	return false;
}

/* Returns false after a message. */
static bool take_option(int c)
{
	switch (c) {
	case 'c':
		return count("--cpus", 1, CPUS_MAX, &opt.cpus);
	case 'm':
		return count("--ms", 1, MAX_MS, &opt.ms);
	case 'n':
		return count("--procs", 1, STORM_PARENTS_MAX, &opt.load.parents);
	case 'k':
		return count("--children", 1, MAX_CHILDREN, &opt.load.children);
	case 't':
		return count("--touch", 0, STORM_TOUCH_MAX, &opt.load.touch);
	case 'o':
		return count("--hop", 0, CPUS_MAX, &opt.load.hop);
	case 'r':
		return count("--rounds", 1, STATS_MAX, &opt.rounds);
	case 'p':
		return sweep_values(&sweep, &sweep.list[0], "--policies", optarg);
	case 'j':
		opt.json = true;
		return true;
	default:
		usage(stderr);
		return false;
	}
}

/* Returns -1 to go on, or an exit status. */
static int parse_options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "cpus", required_argument, NULL, 'c' },     { "ms", required_argument, NULL, 'm' },
		{ "procs", required_argument, NULL, 'n' },    { "children", required_argument, NULL, 'k' },
		{ "touch", required_argument, NULL, 't' },    { "hop", required_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' },   { "json", no_argument, NULL, 'j' },
		{ "policies", required_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
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
	for (; optind < argc; optind++) {
		int e = 0;

		while (e < NR_EXPERIMENTS && strcmp(argv[optind], experiment_names[e]) != 0)
			e++;
		if (e == NR_EXPERIMENTS) {
			fprintf(stderr, "lazyswitch: no experiment '%s'; there are pingpong and storm\n", argv[optind]);
			return 2;
		}
		opt.wanted[e] = true;
	}
	if (!opt.wanted[PINGPONG] && !opt.wanted[STORM])
		opt.wanted[PINGPONG] = opt.wanted[STORM] = true;
	return -1;
}

int main(int argc, char **argv)
{
	int status = parse_options(argc, argv), nr_cpus;

	if (status >= 0)
		return status;
	nr_cpus = cpus_allowed(cpu);
	if (nr_cpus < 0) {
		fprintf(stderr, "lazyswitch: sched_getaffinity: %s\n", strerror(-nr_cpus));
		return 1;
	}
	if (opt.cpus > nr_cpus) {
		fprintf(stderr, "lazyswitch: --cpus %d, but there are %d\n", opt.cpus, nr_cpus);
		return 2;
	}
	if (!opt.cpus)
		opt.cpus = nr_cpus;
	if (!opt.load.parents)
		opt.load.parents = nr_cpus;
	account_probe();
	sweep_begin(&sweep);
	if (opt.wanted[STORM] && storm_setup("lazyswitch", cpu, nr_cpus))
		return 1;
	print_header();
	status = 0;
	for (int e = 0; e < NR_EXPERIMENTS && !status; e++)
		if (opt.wanted[e] && experiment((enum experiment)e))
			status = 1;
	if (knobs_restore())
		status = 1;
	return status;
}
