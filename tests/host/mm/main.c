/*
 * Runs the tests, each with several seeds, each run in a child process: a fresh machine every time, and a crash is a
 * result. Prints KTAP lines; a failing run prints the command that replays it.
 *
 *	mm-test [--seed N] [--ops N] [--runs N] [--quick] [palloc|slab|calls|races|turns|threads|borrow]...
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/zap.h"
#include "tests/host/mm/test.h"

#ifdef __SANITIZE_THREAD__
#define SUITE "mm-tsan"
#else
#define SUITE "mm"
#endif

static const struct test {
	const char *name;
	void (*fn)(struct run *);
	unsigned cpus;		/* 0: 1 to 4 by seed */
	unsigned runs, ops;
	unsigned quick_runs, quick_ops;	/* under ThreadSanitizer too */
} tests[] = {
	{ "palloc", test_palloc, 0, 6, 20000, 1, 3000 },
	{ "slab", test_slab, 0, 6, 30000, 1, 3000 },
	{ "calls", test_calls, 2, 2, 0, 1, 0 },
	{ "races", test_races, 3, 16, 0, 1, 0 },
	{ "turns", test_turns, 0, 24, 20000, 2, 4000 },
	{ "threads", test_threads, 4, 6, 4000, 4, 2000 },
	{ "borrow", test_borrow, 2, 2, 0, 3, 0 },
};

/* The machine of a run dies with its process; what the kernel loses is found by balance_check(). */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static const char *program;
static unsigned opt_ops, opt_runs;
static u64 opt_seed = 1;
static bool opt_quick;

void balance_take(struct balance *b)
{
	host_drain();
	b->pages = nr_free_pages();
	b->objects = slab_objects_total();
	b->files = host_files();
}

void balance_check(const struct balance *b)
{
	struct balance now;

	balance_take(&now);
	slab_check();
	palloc_check();
	CHECK(now.files == b->files, "%llu files before, %llu after", b->files, now.files);
	CHECK(now.objects == b->objects, "%llu slab objects before, %llu after", b->objects, now.objects);
	CHECK(now.pages == b->pages, "%llu free pages before, %llu after", b->pages, now.pages);
}

/* What is made once and stays: the signal-return page. */
static void warm_up(void)
{
	struct mm *mm = mm_create();

	CHECK(mm && !map_sigtramp(mm), "no memory");
	mmput(mm);
}

/* The machine that a seed stands for. */
static void boot(const struct test *t, struct run *r, char *text, size_t n)
{
	struct host_config c;

	prng_seed(&r->rng, r->seed);
	c.seed = r->seed;
	c.mmu.levels = 3 + (int)rnd(r, 2);
	c.mmu.hw_ad = rnd(r, 2);
	c.mmu.bbm = rnd(r, 2);
	c.mmu.asid = rnd(r, 2);
	c.mmu.negative = rnd(r, 4) == 0;
	c.zeroed = rnd(r, 2);
	c.cpus = t->cpus ? t->cpus : 1 + (unsigned)rnd(r, 4);
	c.nodes = 1 + (unsigned)rnd(r, 2);
	c.ram = 24ull << 20;
	snprintf(text, n, "%u CPUs, %u nodes, %d levels%s%s%s%s%s", c.cpus, c.nodes, c.mmu.levels,
		 c.mmu.hw_ad ? ", hardware A/D" : "", c.mmu.bbm ? ", break-before-make" : "", c.mmu.asid ? ", ids" : "",
		 c.mmu.negative ? ", caches absence" : "", c.zeroed ? ", zeroed RAM" : "");
	host_boot(&c);
	n -= strlen(text);
	text += strlen(text);
	snprintf(text, n, ", lazy %s, free %s%s", host_set_knob("vm.lazy_tlb", (unsigned)rnd(r, 6)),
		 host_set_knob("vm.free_async", (unsigned)rnd(r, 4)),
		 rnd(r, 2) ? host_set_knob("vm.gather_runs", 0) : ", runs");
	host_set_knob("vm.free_async_threshold", 20);
	zap_helper_pages = 32;
	warm_up();
}

static void run_child(const struct test *t, u64 seed, unsigned ops, int text_fd)
{
	struct run r = { .seed = seed, .ops = ops };
	struct balance b;
	char text[192];

	host_set_replay("%s --seed %llu --runs 1 --ops %u %s", program, seed, ops, t->name);
	alarm(120);
	boot(t, &r, text, sizeof(text));
	if (write(text_fd, text, strlen(text)) < 0)
		exit(2);
	balance_take(&b);
	t->fn(&r);
	balance_check(&b);
	exit(0);
}

static bool run_one(const struct test *t, u64 seed, unsigned ops, unsigned number)
{
	char text[192] = "";
	int fds[2], status;
	pid_t pid;

	fflush(stdout);
	if (pipe(fds))
		return false;
	pid = fork();
	if (!pid)
		run_child(t, seed, ops, fds[1]);
	close(fds[1]);
	waitpid(pid, &status, 0);
	if (read(fds[0], text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fds[0]);
	printf("        %sok %u - seed_%llu # %s\n", status ? "not " : "", number, seed, text);
	if (WIFSIGNALED(status))
		printf("        # %s\n", WTERMSIG(status) == SIGALRM ? "the time was up" : strsignal(WTERMSIG(status)));
	if (status)
		printf("        # replay: %s --seed %llu --runs 1 --ops %u %s\n", program, seed, ops, t->name);
	return !status;
}

/* True if all its runs passed. */
static bool run_test(const struct test *t, unsigned number)
{
	unsigned runs = opt_runs ? opt_runs : opt_quick ? t->quick_runs : t->runs;
	unsigned ops = opt_ops ? opt_ops : opt_quick ? t->quick_ops : t->ops;
	bool good = true;

	printf("    # Subtest: %s\n        1..%u\n", t->name, runs);
	for (unsigned i = 0; i < runs; i++)
		good &= run_one(t, opt_seed + i, ops, i + 1);
	printf("    %sok %u - %s\n", good ? "" : "not ", number, t->name);
	return good;
}

static int usage(void)
{
	fprintf(stderr, "usage: %s [--seed N] [--ops N] [--runs N] [--quick] [", program);
	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
		fprintf(stderr, "%s%s", i ? "|" : "", tests[i].name);
	fprintf(stderr, "]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	unsigned number = 0;
	bool good = true;
	int i;

	program = argv[0];
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--quick"))
			opt_quick = true;
		else if (i + 1 == argc)
			return usage();
		else if (!strcmp(argv[i], "--seed"))
			opt_seed = strtoull(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--ops"))
			opt_ops = (unsigned)strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "--runs"))
			opt_runs = (unsigned)strtoul(argv[++i], NULL, 0);
		else
			return usage();
	}
	printf("KTAP version 1\n1..1\n# Subtest: %s\n", SUITE);
	for (unsigned t = 0; t < ARRAY_SIZE(tests); t++) {
		bool wanted = i == argc;

		for (int j = i; j < argc; j++)
			wanted |= !strcmp(argv[j], tests[t].name);
		if (wanted)
			good &= run_test(&tests[t], ++number);
	}
	if (!number)
		return usage();
	printf("    1..%u\n%sok 1 - %s\n", number, good ? "" : "not ", SUITE);
	return !good;
}
