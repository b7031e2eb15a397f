/*
 * lib/cmdline.h.
 */
#include "lib/cmdline.h"
#include "lib/errno.h"
#include "tests/host/lib/test.h"

static bool flag;
static unsigned int cpus, shootdown;
static u64 size;
static const char *console;
static char callback_value[64];

static int callback(const char *value)
{
	if (value && !strcmp(value, "bad"))
		return -EINVAL;
	snprintf(callback_value, sizeof(callback_value), "%s", value ? value : "(none)");
	return 0;
}

static const char *const shootdowns[] = { "ipi", "broadcast", NULL };

static const struct cmdline_option options[] = {
	{ .name = "quiet", .type = CMDLINE_FLAG, .flag = &flag, .help = "few messages" },
	{ .name = "smp", .type = CMDLINE_UINT, .uint = &cpus, .min = 1, .max = 128, .help = "CPUs" },
	{ .name = "smp.any", .type = CMDLINE_UINT, .uint = &cpus, .help = "CPUs" },
	{ .name = "mem", .type = CMDLINE_SIZE, .size = &size, .min = 1 << 20, .max = 1ull << 40, .help = "memory" },
	{ .name = "console", .type = CMDLINE_STRING, .string = &console, .help = "where messages go" },
	{ .name = "vm.tlb", .type = CMDLINE_CHOICE, .choice = &shootdown, .choices = shootdowns, .help = "how" },
	{ .name = "call", .type = CMDLINE_CALLBACK, .callback = callback, .help = "anything but bad" },
};

static char messages[2000];
static char taken[200];

static void report(void *ctx, const char *message)
{
	CHECK(ctx == messages);
	strcat(strcat(messages, message), "\n");
}

static bool unknown(void *ctx, const char *word)
{
	CHECK(ctx == messages);
	if (strncmp(word, "ENV", 3))
		return false;
	strcat(strcat(taken, word), ";");
	return true;
}

/* Parses a copy of the text in a buffer of exactly its size, which the caller frees (c->ctx is not used for it). */
static char *parse(struct cmdline *c, const char *text)
{
	char *line = exact_copy(text, strlen(text) + 1);

	flag = false;
	cpus = 4;
	shootdown = 0;
	size = 77;
	console = "none";
	strcpy(callback_value, "-");
	messages[0] = 0;
	taken[0] = 0;
	c->options = options;
	c->count = ARRAY_SIZE(options);
	c->report = report;
	c->unknown = unknown;
	c->ctx = messages;
	cmdline_parse(c, line);
	return line;
}

/* The words after --, each in brackets. */
static void expect_words(const char *text, const char *expected)
{
	const char *argv[8];
	struct cmdline c = { .argv = argv, .argv_room = ARRAY_SIZE(argv) };
	char got[200] = "", *line = parse(&c, text);

	for (size_t i = 0; i < c.argc; i++)
		strcat(strcat(strcat(got, "["), argv[i]), "]");
	CHECK(c.errors == 0 && !argv[c.argc] && !strcmp(got, expected), "%s: %s", text, got);
	free(line);
}

void test_cmdline_words(void)
{
	struct cmdline c = { 0 };
	const char *argv[3];
	char *line;

	expect_words("", "");
	expect_words("  \t\n ", "");
	expect_words("--", "");
	expect_words("-- a bc  d ", "[a][bc][d]");
	expect_words("quiet -- exitcost --size 1G -- x", "[exitcost][--size][1G][--][x]");
	expect_words("-- \"a b\" c\"d e\"f \"\"", "[a b][cd ef][]");
	expect_words("-- \"a\\\"b\\\\c\\d\" e\\f", "[a\"b\\cd][e\\f]");
	expect_words("-- sh -c \"echo \\\"x y\\\"; exit 3\"", "[sh][-c][echo \"x y\"; exit 3]");

	/* A -- in quotes is no separator, and no option either. */
	line = parse(&c, "\"--\" x");
	CHECK(c.errors == 2 && c.argc == 0);
	free(line);

	/* Too many words, or nowhere to put them. */
	c.argv = argv;
	c.argv_room = 3;
	line = parse(&c, "-- a b c d");
	CHECK(c.errors == 2 && c.argc == 2 && !strcmp(argv[1], "b") && !argv[2] && strstr(messages, "\"c\""));
	free(line);
	c.argv = NULL;
	line = parse(&c, "-- a");
	CHECK(c.errors == 1 && c.argc == 0);
	free(line);
}

void test_cmdline_options(void)
{
	struct cmdline c = { 0 };
	char *line;

	line = parse(&c, "quiet smp=8 mem=64M console=ttyS0 vm.tlb=broadcast call=x ENV=1 ENV2=a=b");
	CHECK(c.errors == 0 && !*messages, "%s", messages);
	CHECK(flag && cpus == 8 && size == 64 << 20 && !strcmp(console, "ttyS0") && shootdown == 1);
	CHECK(!strcmp(callback_value, "x") && !strcmp(taken, "ENV=1;ENV2=a=b;"));
	free(line);

	line = parse(&c, "smp=0x10 smp.any=4294967295 console=\"a=b c\" \"call=y z\" console=");
	CHECK(c.errors == 0 && cpus == UINT_MAX && !*console && !strcmp(callback_value, "y z"));
	free(line);
	line = parse(&c, "call smp=2 smp=3");
	CHECK(c.errors == 0 && !strcmp(callback_value, "(none)") && cpus == 3);
	free(line);

	for (int i = 0; i < 6; i++) {
		static const char *const words[] = { "1", "0", "on", "off", "yes", "no" };
		char text[16];

		snprintf(text, sizeof(text), "quiet=%s", words[i]);
		line = parse(&c, text);
		CHECK(c.errors == 0 && flag == (i % 2 == 0), "%s", text);
		free(line);
	}
	CHECK(cmdline_set(&options[1], "129") == -ERANGE && cmdline_set(&options[1], "x") == -EINVAL);
	CHECK(cmdline_set(&options[1], NULL) == -EINVAL && cmdline_set(&options[1], "128\n") == 0 && cpus == 128);
}

void test_cmdline_malformed(void)
{
	/* The message: about which word, and what would have been right; a null word is about another fault. */
	static const struct {
		const char *text, *word, *right;
	} table[] = {
		{ "quiet=maybe", "quiet=maybe", "1, 0, on, off, yes or no" },
		{ "smp=", "smp=", "a number from 1 to 128" },
		{ "smp=0", "smp=0", "a number from 1 to 128" },
		{ "smp=129", "smp=129", "a number from 1 to 128" },
		{ "smp=2x", "smp=2x", "a number from 1 to 128" },
		{ "smp=-1", "smp=-1", "a number from 1 to 128" },
		{ "smp.any=4294967296", "smp.any=4294967296", "a number from 0 to 4294967295" },
		{ "mem=64Q", "mem=64Q", "a size such as 64M, at least 1048576 bytes, at most 1099511627776 bytes" },
		{ "mem=1", "mem=1", "a size such as 64M, at least 1048576 bytes, at most 1099511627776 bytes" },
		{ "mem=2T", "mem=2T", "a size such as 64M, at least 1048576 bytes, at most 1099511627776 bytes" },
		{ "vm.tlb=ip", "vm.tlb=ip", "one of ipi broadcast" },
		{ "vm.tlb=ipix", "vm.tlb=ipix", "one of ipi broadcast" },
		{ "call=\"bad\"", "call=bad", "anything but bad" },
		{ "loud", NULL, "unknown option \"loud\"" },
		{ "smpx=3", NULL, "unknown option \"smpx=3\"" },
		{ "sm=3", NULL, "unknown option \"sm=3\"" },
		{ "=3", NULL, "unknown option \"=3\"" },
		{ "smp", NULL, "option \"smp\" needs a value: should be a number from 1 to 128" },
		{ "console", NULL, "option \"console\" needs a value: should be where messages go" },
		{ "console=\"a b", NULL, "missing quote at the end of \"console=a b\"" },
		{ "\"", NULL, "missing quote at the end of \"\"" },
		{ "\"\\", NULL, "missing quote at the end of \"\\\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct cmdline c = { 0 };
		char *line = parse(&c, table[i].text), expected[300];

		if (table[i].word)
			snprintf(expected, sizeof(expected),
				 "option \"%s\" is malformed or out of range: should be %s\n", table[i].word,
				 table[i].right);
		else
			snprintf(expected, sizeof(expected), "%s\n", table[i].right);
		CHECK(c.errors == 1 && !strcmp(messages, expected), "%s: %u, %s", table[i].text, c.errors, messages);
		CHECK(!flag && cpus == 4 && size == 77 && !strcmp(console, "none") && shootdown == 0);
		CHECK(!strcmp(callback_value, "-"));
		free(line);
	}
}

/* Any text at all: nothing is read or written outside of the line, and what is good among it is still found. */
void test_cmdline_random(void)
{
	static const char pieces[][12] = { " ", "\"", "\\", "=", "smp", "quiet", "mem=", "7", "--", "x", "\t", "\xff" };

	for (unsigned int round = 0; round < rounds(20000); round++) {
		char text[200] = "";
		const char *argv[4];
		struct cmdline c = { .argv = argv, .argv_room = ARRAY_SIZE(argv) };
		char *line;

		for (size_t n = rng_below(12); n; n--)
			strcat(text, pieces[rng_below(ARRAY_SIZE(pieces))]);
		line = parse(&c, text);
		CHECK(c.argc < 4 && !argv[c.argc]);
		for (size_t i = 0; i < c.argc; i++)
			CHECK(argv[i] >= line && argv[i] + strlen(argv[i]) <= line + strlen(text));
		CHECK(c.errors <= strlen(text) && cpus >= 1);
		free(line);
	}
}
