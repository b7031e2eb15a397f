/*
 * lib/printf.h against the C library's printf, conversion by conversion and several in a row. Formats are put together
 * at random, so the compiler cannot check them.
 */
#include "lib/errno.h"
#include "lib/printf.h"
#include "tests/host/lib/test.h"

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-overflow"

#define ROOM	512

/* Both print the same arguments into a buffer of the same size, which may be too small. Evaluates them twice. */
#define COMPARE(size, ...) \
	do { \
		size_t __size = (size); \
		char *__ours = malloc(__size), *__theirs = malloc(__size); \
		int __n = ksnprintf(__ours, __size, __VA_ARGS__), __m = snprintf(__theirs, __size, __VA_ARGS__); \
		CHECK(__n == __m && (!__size || !strcmp(__ours, __theirs)), \
		      "format \"%s\": %d \"%s\" instead of %d \"%s\"", fmt, __n, __size ? __ours : "", __m, \
		      __size ? __theirs : ""); \
		free(__ours); \
		free(__theirs); \
	} while (0)

static size_t some_size(void)
{
	return one_in(3) ? rng_below(20) : ROOM;
}

/* Appends flags (those of the set), width and precision. */
static void put_spec(char *fmt, const char *flags, bool precision)
{
	size_t n = strlen(fmt);

	fmt[n++] = '%';
	while (one_in(2))
		fmt[n++] = flags[rng_below(strlen(flags))];
	if (one_in(2))
		n += (size_t)sprintf(fmt + n, "%u", 1 + (unsigned int)rng_below(30));
	if (precision && one_in(2)) {
		fmt[n++] = '.';
		if (!one_in(5))
			n += (size_t)sprintf(fmt + n, "%u", (unsigned int)rng_below(30));
	}
	fmt[n] = 0;
}

static u64 some_value(void)
{
	static const u64 special[] = {
		0, 1, 7, 8, 9, 10, 15, 16, 99, 100, 127, 128, 255, 256, 32767, 32768, 65535, 65536, INT_MAX, 1ull << 31,
		UINT_MAX, 1ull << 32, LLONG_MAX, 1ull << 63, ULLONG_MAX, -7ull, -10ull, 9999999999999999999ull,
	};

	return one_in(2) ? special[rng_below(ARRAY_SIZE(special))] : rng() >> rng_below(64);
}

void test_printf_integers(void)
{
	static const char *const lengths[] = { "hh", "h", "", "l", "ll", "z", "j", "t" };

	for (unsigned int round = 0; round < rounds(100000); round++) {
		char fmt[64] = "";
		size_t length = rng_below(ARRAY_SIZE(lengths)), size = some_size();
		u64 value = some_value();

		/* '#' means nothing to d, i and u, and so is undefined there. */
		if (one_in(2)) {
			put_spec(fmt, "-+ 0", true);
			strcat(fmt, lengths[length]);
			strcat(fmt, one_in(2) ? "d" : "i");
		} else if (one_in(4)) {
			put_spec(fmt, "-0", true);
			strcat(fmt, lengths[length]);
			strcat(fmt, "u");
		} else {
			put_spec(fmt, "-#0", true);
			strcat(fmt, lengths[length]);
			strcat(fmt, one_in(3) ? "x" : one_in(2) ? "X" : "o");
		}
		if (length < 3)
			COMPARE(size, fmt, (int)value);
		else
			COMPARE(size, fmt, (long)value);
	}
}

void test_printf_strings(void)
{
	for (unsigned int round = 0; round < rounds(30000); round++) {
		char fmt[64] = "", text[64];
		size_t n = rng_below(40), size = some_size();

		for (size_t i = 0; i < n; i++)
			text[i] = (char)(' ' + rng_below(95));
		text[n] = 0;
		if (one_in(2)) {
			put_spec(fmt, "-", true);
			strcat(fmt, "s");
			COMPARE(size, fmt, text);
		} else {
			put_spec(fmt, "-", false);
			strcat(fmt, "c");
			COMPARE(size, fmt, *text);
		}
	}
	/* A precision is a promise that there need be no NUL. */
	for (size_t n = 0; n < 20; n++) {
		char *text = exact_copy("0123456789012345678901234567890", n), out[40];

		CHECK(ksnprintf(out, sizeof(out), "<%.*s>", (int)n, text) == (int)n + 2);
		CHECK(out[n + 1] == '>' && !strncmp(out + 1, text, n));
		free(text);
	}
}

/* Arguments of every class one after the other: the list of arguments must be walked right. */
void test_printf_sequences(void)
{
	static const char *const texts[] = { "", "a", "some words", "\xc3\xa9" };

	for (unsigned int round = 0; round < rounds(20000); round++) {
		const char *fmt = "%*d|%-*.*llx|%s%%%c|%hhu|%.*s|%zu %5s %lld|%#o|%ld %ti%jx tail";
		const char *s = texts[rng_below(ARRAY_SIZE(texts))], *t = texts[rng_below(ARRAY_SIZE(texts))];
		int wide[4];
		u64 v[8];

		for (size_t i = 0; i < ARRAY_SIZE(v); i++)
			v[i] = some_value();
		for (size_t i = 0; i < ARRAY_SIZE(wide); i++)
			wide[i] = (int)rng_below(40) - 15;
		COMPARE(some_size(), fmt, wide[0], (int)v[0], wide[1], wide[2], v[1], s, 'x', (int)v[2], wide[3] / 4, t,
			(size_t)v[3], s, (s64)v[4], (unsigned int)v[5], (long)v[6], (ptrdiff_t)v[7], (uintmax_t)v[1]);
	}
}

static int symbolize(char *buf, size_t size, unsigned long addr)
{
	if (addr != 0x1234)
		return -ENOENT;
	return ksnprintf(buf, size, "page_alloc+0x%x/0x%x", 0x1c, 0x80);
}

void test_printf_pointers(void)
{
	char out[64];
	int object;

	for (unsigned int round = 0; round < rounds(2000); round++) {
		char fmt[64] = "";
		void *p = (void *)(uintptr_t)(some_value() | 1);

		put_spec(fmt, "-", false);
		strcat(fmt, "p");
		COMPARE(some_size(), fmt, p);
	}
	ksnprintf(out, sizeof(out), "%p", NULL);
	CHECK(!strcmp(out, "0x0"), "%s", out);
	ksnprintf(out, sizeof(out), "%s", (char *)NULL);
	CHECK(!strcmp(out, "(null)"), "%s", out);

	ksnprintf(out, sizeof(out), "at %pS.", (void *)0x1234);
	CHECK(!strcmp(out, "at 0x1234."), "%s", out);
	printf_set_symbolizer(symbolize);
	CHECK(ksnprintf(out, sizeof(out), "at %pS.", (void *)0x1234) == 24);
	CHECK(!strcmp(out, "at page_alloc+0x1c/0x80."), "%s", out);
	ksnprintf(out, sizeof(out), "%pS %22pS|%d", (void *)0x1235, (void *)0x1234, 5);
	CHECK(!strcmp(out, "0x1235   page_alloc+0x1c/0x80|5"), "%s", out);
	printf_set_symbolizer(NULL);
	CHECK(ksnprintf(out, sizeof(out), "%p", (void *)&object) > 2);
}

void test_printf_odd(void)
{
	char out[32];
	const char *fmt;

	/* What we do not know is copied. */
	fmt = "%y %k5 %";
	CHECK(ksnprintf(out, sizeof(out), fmt) == 8 && !strcmp(out, "%y %k5 %"), "%s", out);
	fmt = "100%5";
	CHECK(ksnprintf(out, sizeof(out), fmt) == 5 && !strcmp(out, "100%5"), "%s", out);
	fmt = "%ll";
	CHECK(ksnprintf(out, sizeof(out), fmt) == 3 && !strcmp(out, "%ll"), "%s", out);
	fmt = "";
	COMPARE((size_t)0, fmt, 0);
	COMPARE((size_t)1, fmt, 0);

	/* No buffer at all; huge widths are only counted. */
	CHECK(ksnprintf(NULL, 0, "%d", 12345) == 5);
	CHECK(ksnprintf(out, sizeof(out), "%100000d", 1) == 100000 && strlen(out) == sizeof(out) - 1);
	fmt = "%2147483647d%2147483647d";
	CHECK(ksnprintf(out, sizeof(out), fmt, 1, 2) == INT_MAX);
	fmt = "%99999999999999999999d";
	CHECK(ksnprintf(out, sizeof(out), fmt, 1) == INT_MAX);
	CHECK(ksnprintf(out, sizeof(out), "%*d", INT_MIN, 1) == INT_MAX);

	CHECK(kscnprintf(out, sizeof(out), "%40s", "x") == sizeof(out) - 1);
	CHECK(kscnprintf(out, 0, "%40s", "x") == 0 && kscnprintf(out, 1, "x") == 0 && !*out);
	CHECK(kscnprintf(out, sizeof(out), "%s", "abc") == 3);
}
