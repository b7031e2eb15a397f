/*
 * Runs the cases of test.h and reports in KTAP, as one suite.
 *
 *   lib-test [--seed N] [--rounds N] [PATTERN...]
 *
 * PATTERN is a case's name, or the beginning of one. Without --seed, the seed is a new one each time; it is printed,
 * and with a failure the command that replays it.
 */
#include <setjmp.h>
#include <time.h>
#include <unistd.h>

#include "tests/host/lib/test.h"

static const struct test_case {
	const char *name;
	void (*run)(void);
} cases[] = {
#define CASE(name) { #name, test_##name },
	CASES(CASE)
};

#ifdef __SANITIZE_THREAD__
#define SUITE	"lib-threads"
#else
#define SUITE	"lib"
#endif

static jmp_buf failed;
static unsigned int factor = 1;
static u64 state;

void test_fail(const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list args;

	printf("    # %s:%d: CHECK(%s) failed", file, line, cond);
	/* The format begins with a colon and a space; there may be nothing else. */
	if (fmt[2]) {
		va_start(args, fmt);
		vprintf(fmt, args);
		va_end(args);
	}
	printf("\n");
	longjmp(failed, 1);
}

unsigned int rounds(unsigned int n)
{
	return n * factor;
}

/* PCG: a linear congruential generator whose output is permuted (O'Neill, 2014). */
static u32 rng32(void)
{
	u64 old = state;
	u32 mixed = (u32)(((old >> 18) ^ old) >> 27), turn = (u32)(old >> 59);

	state = old * 6364136223846793005ull + 1442695040888963407ull;
	return mixed >> turn | mixed << (-turn & 31);
}

u64 rng(void)
{
	u64 high = rng32();

	return high << 32 | rng32();
}

u64 rng_below(u64 n)
{
	return n ? rng() % n : 0;
}

bool one_in(u64 n)
{
	return rng_below(n) == 0;
}

void *exact_copy(const void *data, size_t n)
{
	void *copy = malloc(n);

	if (n)
		memcpy(copy, data, n);
	return copy;
}

void damage(void *data, size_t n)
{
	static const u8 bytes[] = { 0, 1, 4, 9, 0x7f, 0x80, 0xff, '0', 'f' };
	size_t count = 1 + rng_below(4);

	while (n && count--) {
		u8 *byte = (u8 *)data + rng_below(n);

		*byte = one_in(2) ? (u8)rng() : bytes[rng_below(sizeof(bytes))];
	}
}

static bool chosen(const char *name, char **patterns, int n)
{
	for (int i = 0; i < n; i++) {
		if (!strncmp(name, patterns[i], strlen(patterns[i])))
			return true;
	}
	return n == 0;
}

/* Each case has a stream of its own, so that it does the same alone as among the others. */
static bool run(const struct test_case *test, u64 seed)
{
	state = seed;
	for (const char *c = test->name; *c; c++)
		state = (state ^ (u8)*c) * 1099511628211ull;
	if (setjmp(failed))
		return false;
	test->run();
	return true;
}

int main(int argc, char **argv)
{
	u64 seed = (u64)time(NULL);
	size_t n = 0, number = 0;
	bool good = true;
	int arg = 1;

	for (; arg + 1 < argc && argv[arg][0] == '-'; arg += 2) {
		if (!strcmp(argv[arg], "--seed"))
			seed = strtoull(argv[arg + 1], NULL, 0);
		else if (!strcmp(argv[arg], "--rounds"))
			factor = (unsigned int)strtoul(argv[arg + 1], NULL, 0);
		else
			break;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		n += chosen(cases[i].name, argv + arg, argc - arg);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..1\n    # Subtest: " SUITE "\n    # seed %llu\n    1..%zu\n", seed, n);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool ok;

		if (!chosen(cases[i].name, argv + arg, argc - arg))
			continue;
		ok = run(&cases[i], seed);
		if (!ok)
			printf("    # replay: %s --seed %llu --rounds %u %s\n", argv[0], seed, factor, cases[i].name);
		printf("    %sok %zu %s\n", ok ? "" : "not ", ++number, cases[i].name);
		good &= ok;
	}
	good &= n > 0;
	printf("%sok 1 " SUITE "\n", good ? "" : "not ");
	/* A case that failed left its memory behind, which is no news. */
	if (!good) {
		fflush(stdout);
		_exit(1);
	}
	return 0;
}
