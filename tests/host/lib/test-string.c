/*
 * lib/string.[ch] and lib/ctype.h. The kernel's own memcpy() and so on are tested here too: rules.mk compiles
 * lib/string.c a second time as for the kernel and puts own_ in front of its names; they are compared with the C
 * library's.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "lib/ctype.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/host/lib/own-ctype.h"
#include "tests/host/lib/test.h"

void *own_memcpy(void *dst, const void *src, size_t n);
void *own_memmove(void *dst, const void *src, size_t n);
void *own_memset(void *dst, int c, size_t n);
int own_memcmp(const void *a, const void *b, size_t n);
void *own_memchr(const void *s, int c, size_t n);
size_t own_strlen(const char *s);
size_t own_strnlen(const char *s, size_t max);
int own_strcmp(const char *a, const char *b);
int own_strncmp(const char *a, const char *b, size_t n);
char *own_strchr(const char *s, int c);
char *own_strrchr(const char *s, int c);
char *own_strstr(const char *s, const char *needle);
char *own_strsep(char **s, const char *delimiters);
long own_strscpy(char *dst, const char *src, size_t size);
int own_kstrtoul(const char *s, int base, unsigned long *out);

#define ROOM	600

static void randomize(u8 *buf, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (u8)rng();
}

static size_t some_length(void)
{
	return one_in(2) ? rng_below(40) : rng_below(ROOM / 2);
}

void test_string_copies(void)
{
	for (unsigned int round = 0; round < rounds(30000); round++) {
		u8 ours[ROOM], theirs[ROOM], source[ROOM];
		size_t n = some_length(), to = rng_below(ROOM - n + 1), from = rng_below(ROOM - n + 1);
		int c = (int)rng_below(512) - 128;

		randomize(ours, ROOM);
		randomize(source, ROOM);
		memcpy(theirs, ours, ROOM);
		switch (rng_below(3)) {
		case 0:
			CHECK(own_memcpy(ours + to, source + from, n) == ours + to);
			memcpy(theirs + to, source + from, n);
			break;
		case 1:
			if (one_in(2))
				from = clamp((long)to + (long)rng_below(40) - 20, 0l, (long)(ROOM - n));
			CHECK(own_memmove(ours + to, ours + from, n) == ours + to);
			memmove(theirs + to, theirs + from, n);
			break;
		default:
			CHECK(own_memset(ours + to, c, n) == ours + to);
			memset(theirs + to, c, n);
		}
		CHECK(!memcmp(ours, theirs, ROOM), "to %zu from %zu n %zu", to, from, n);
	}
}

/* A page between two that fault: copying its last bytes, at any alignment, must not look beyond. */
void test_string_edges(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	u8 *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *edge, dst[128];

	CHECK(map != MAP_FAILED && !mprotect(map + page, page, PROT_READ | PROT_WRITE));
	edge = map + page;
	randomize(edge, page);
	for (size_t n = 0; n < 100; n++) {
		for (size_t skew = 0; skew < 8; skew++) {
			u8 *end = edge + page - n;

			own_memcpy(dst + skew, edge, n);
			CHECK(!memcmp(dst + skew, edge, n) && !own_memcmp(dst + skew, edge, n));
			own_memcpy(dst + skew, end, n);
			CHECK(!memcmp(dst + skew, end, n) && !own_memcmp(dst + skew, end, n));
			own_memmove(end, dst + skew, n);
			own_memmove(edge, dst + skew, n);
			CHECK(!memcmp(dst + skew, end, n) && !memcmp(dst + skew, edge, n));
		}
		own_memset(edge, 7, n);
		own_memset(edge + page - n, 9, n);
		CHECK(!memchr_inv(edge, 7, n) && !memchr_inv(edge + page - n, 9, n));
		if (n) {
			edge[page - 1] = 0;
			memset(edge + page - n, 'x', n - 1);
			CHECK(own_strlen((char *)edge + page - n) == n - 1);
		}
		memset(edge, 'x', page);
		CHECK(own_strnlen((char *)edge + page - n, n) == n && !own_memchr(edge + page - n, 'y', n));
	}
	munmap(map, 3 * page);
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

void test_string_compare(void)
{
	for (unsigned int round = 0; round < rounds(30000); round++) {
		u8 a[ROOM], b[ROOM];
		size_t n = some_length(), x = rng_below(16), y = rng_below(16), max = some_length();

		memset(a, 'a' + (int)rng_below(3), sizeof(a));
		memcpy(b, a, sizeof(b));
		if (n && one_in(2))
			b[y + rng_below(n)] = (u8)rng();
		CHECK(sign(own_memcmp(a + x, b + y, n)) == sign(memcmp(a + x, b + y, n)));
		a[x + n] = 0;
		b[y + (one_in(3) ? rng_below(n + 1) : n)] = 0;
		CHECK(sign(own_strcmp((char *)a + x, (char *)b + y)) == sign(strcmp((char *)a + x, (char *)b + y)));
		CHECK(sign(own_strncmp((char *)a + x, (char *)b + y, max)) ==
		      sign(strncmp((char *)a + x, (char *)b + y, max)));
		CHECK(strstarts((char *)a + x, (char *)b + y) ==
		      !strncmp((char *)a + x, (char *)b + y, strlen((char *)b + y)));
	}
}

void test_string_search(void)
{
	for (unsigned int round = 0; round < rounds(20000); round++) {
		char s[64], needle[5], one[64], two[64], *p = one, *q = two;
		size_t n = rng_below(sizeof(s) - 1), max = rng_below(80);
		int c = one_in(10) ? 0 : 'a' + (int)rng_below(4);

		for (size_t i = 0; i < n; i++)
			s[i] = (char)('a' + rng_below(4));
		s[n] = 0;
		for (size_t i = 0; i < sizeof(needle); i++)
			needle[i] = (char)('a' + rng_below(3));
		needle[rng_below(sizeof(needle))] = 0;

		CHECK(own_strlen(s) == n && own_strnlen(s, max) == strnlen(s, max));
		CHECK(own_strchr(s, c) == strchr(s, c) && own_strrchr(s, c) == strrchr(s, c));
		CHECK(own_strstr(s, needle) == strstr(s, needle));
		CHECK(own_memchr(s, c, n) == memchr(s, c, n));
		CHECK(memchr_inv(s, 'a', n) == (strspn(s, "a") < n ? s + strspn(s, "a") : NULL));

		memcpy(one, s, sizeof(s));
		memcpy(two, s, sizeof(s));
		while (p || q) {
			char *piece = own_strsep(&p, needle), *expected = strsep(&q, needle);

			CHECK(piece && expected && piece - one == expected - two && !strcmp(piece, expected));
			CHECK(!p == !q);
		}
		CHECK(!own_strsep(&p, needle));
	}
	CHECK(!strcmp(skip_spaces(" \t\n x "), "x ") && !*skip_spaces("  "));
}

void test_string_bounded(void)
{
	for (unsigned int round = 0; round < rounds(10000); round++) {
		size_t n = rng_below(20), size = rng_below(20), have = rng_below(max(size, 1));
		char src[20], *dst = malloc(size), expected[64];
		long len;

		memset(src, 'x', n);
		src[n] = 0;
		len = one_in(2) ? strscpy(dst, src, size) : own_strscpy(dst, src, size);
		CHECK(len == (n < size ? (long)n : -E2BIG));
		CHECK(!size || (strlen(dst) == min(n, size - 1) && !strncmp(dst, src, size - 1)));

		memset(dst, 0x55, size);
		CHECK(strlcpy(dst, src, size) == n);
		CHECK(!size || (strlen(dst) == min(n, size - 1) && !strncmp(dst, src, size - 1)));

		if (size) {
			memset(dst, 'a', have);
			dst[have] = 0;
			snprintf(expected, size, "%s%s", dst, src);
			len = strscat(dst, src, size);
			CHECK(!strcmp(dst, expected) && len == (have + n < size ? (long)(have + n) : -E2BIG));
		}
		free(dst);
	}
}

void test_string_numbers(void)
{
	static const struct {
		const char *text;
		int base, error;
		long value;
	} table[] = {
		{ "0", 0, 0, 0 }, { "12", 0, 0, 12 }, { "12\n", 10, 0, 12 }, { "0x1F", 0, 0, 31 },
		{ "0X1f", 16, 0, 31 },
		{ "1f", 16, 0, 31 }, { "017", 0, 0, 15 }, { "017", 10, 0, 17 }, { "z", 36, 0, 35 },
		{ "9223372036854775807", 10, 0, LONG_MAX },
		{ "", 10, -EINVAL, 0 }, { "\n", 10, -EINVAL, 0 }, { "-", 10, -EINVAL, 0 }, { "+1", 10, -EINVAL, 0 },
		{ " 1", 10, -EINVAL, 0 }, { "1 ", 10, -EINVAL, 0 }, { "1\n\n", 10, -EINVAL, 0 },
		{ "12x", 10, -EINVAL, 0 }, { "0x", 0, -EINVAL, 0 }, { "0xg", 16, -EINVAL, 0 }, { "08", 0, -EINVAL, 0 },
		{ "x", 10, -EINVAL, 0 }, { "2", 2, -EINVAL, 0 }, { "--1", 10, -EINVAL, 0 },
		{ "18446744073709551616", 10, -ERANGE, 0 }, { "0x10000000000000000", 0, -ERANGE, 0 },
		{ "99999999999999999999999", 10, -ERANGE, 0 }, { "99999999999999999999999x", 10, -EINVAL, 0 },
	};
	unsigned long u;
	long l;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		unsigned long unchanged = 77;
		int error = kstrtoul(table[i].text, table[i].base, &unchanged);

		CHECK(error == table[i].error, "\"%s\": %d", table[i].text, error);
		CHECK(unchanged == (error ? 77 : (unsigned long)table[i].value), "\"%s\"", table[i].text);
		l = 77;
		CHECK(kstrtol(table[i].text, table[i].base, &l) == error && l == (error ? 77 : table[i].value));
	}
	CHECK(kstrtoul("18446744073709551615", 10, &u) == 0 && u == ULONG_MAX);
	CHECK(kstrtoul("-1", 10, &u) == -EINVAL);
	CHECK(kstrtol("-9223372036854775808", 10, &l) == 0 && l == LONG_MIN);
	CHECK(kstrtol("9223372036854775808", 10, &l) == -ERANGE && kstrtol("-9223372036854775809", 10, &l) == -ERANGE);

	for (unsigned int round = 0; round < rounds(5000); round++) {
		u64 value = rng() >> rng_below(64);
		char text[32];

		snprintf(text, sizeof(text), one_in(3) ? "%llu" : one_in(2) ? "0x%llx" : "%#llo", value);
		CHECK(own_kstrtoul(text, 0, &u) == 0 && u == value && kstrtoul(text, 0, &u) == 0 && u == value);
		snprintf(text, sizeof(text), "%lld", value);
		CHECK(kstrtol(text, 10, &l) == 0 && l == (s64)value);
	}
}

void test_string_memparse(void)
{
	static const struct {
		const char *text;
		int error;
		u64 value;
	} table[] = {
		{ "0", 0, 0 }, { "123", 0, 123 }, { "64M", 0, 64ull << 20 }, { "1g\n", 0, 1ull << 30 },
		{ "0x10k", 0, 16 << 10 }, { "2T", 0, 2ull << 40 }, { "3P", 0, 3ull << 50 }, { "15E", 0, 15ull << 60 },
		{ "18446744073709551615", 0, ~0ull }, { "17179869183G", 0, 17179869183ull << 30 },
		{ "16E", -ERANGE, 0 }, { "17179869184G", -ERANGE, 0 }, { "18446744073709551616", -ERANGE, 0 },
		{ "", -EINVAL, 0 }, { "M", -EINVAL, 0 }, { "64MB", -EINVAL, 0 }, { "64 M", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 }, { "64x", -EINVAL, 0 }, { "1.5G", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		u64 value = 77;
		int error = memparse(table[i].text, &value);

		CHECK(error == table[i].error, "\"%s\": %d", table[i].text, error);
		CHECK(value == (error ? 77 : table[i].value), "\"%s\": %llu", table[i].text, value);
	}
}

void test_ctype_ascii(void)
{
	for (int c = -1; c < 256; c++) {
		CHECK(!own_isdigit(c) == !isdigit(c) && !own_isalpha(c) == !isalpha(c));
		CHECK(!own_isalnum(c) == !isalnum(c) && !own_isspace(c) == !isspace(c));
		CHECK(!own_isupper(c) == !isupper(c) && !own_islower(c) == !islower(c));
		CHECK(!own_isxdigit(c) == !isxdigit(c) && !own_isprint(c) == !isprint(c));
		CHECK(own_toupper(c) == toupper(c) && own_tolower(c) == tolower(c));
	}
}
