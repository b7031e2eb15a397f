/*
 * lib/random.h, lib/sort.h, lib/hash.h, lib/calendar.h.
 */
#include <time.h>

#include "lib/calendar.h"
#include "lib/hash.h"
#include "lib/random.h"
#include "lib/sort.h"
#include "tests/host/lib/test.h"

void test_random_vectors(void)
{
	/* The first outputs of the authors' programs. */
	static const u64 xoshiro[] = { 11520, 0, 1509978240, 1215971899390074240 };
	struct prng p = { { 1, 2, 3, 4 } }, q;

	for (size_t i = 0; i < ARRAY_SIZE(xoshiro); i++)
		CHECK(prng_next(&p) == xoshiro[i]);
	prng_seed(&p, 0);
	CHECK(p.s[0] == 0xe220a8397b1dcdaf && p.s[1] == 0x6e789e6aa1b965f4 && p.s[2] == 0x06c45d188009454f);
	prng_seed(&q, 1);
	CHECK(prng_next(&p) != prng_next(&q));
	prng_seed(&p, 1);
	prng_next(&p);
	CHECK(prng_next(&p) == prng_next(&q));
}

void test_random_below(void)
{
	unsigned int counts[6] = { 0 };
	struct prng p;

	prng_seed(&p, rng());
	CHECK(prng_below(&p, 0) == 0 && prng_below(&p, 1) == 0);
	for (int i = 0; i < 60000; i++)
		counts[prng_below(&p, 6)]++;
	/* Ten standard deviations of a fair die, which is never. */
	for (int i = 0; i < 6; i++)
		CHECK(counts[i] > 10000 - 915 && counts[i] < 10000 + 915, "%u", counts[i]);
	for (unsigned int round = 0; round < rounds(10000); round++) {
		u64 bound = max(rng() >> rng_below(64), 1);

		CHECK(prng_below(&p, bound) < bound);
	}
}

static size_t width;

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, min(width, 2));
}

static int compare_all(const void *a, const void *b)
{
	return memcmp(a, b, width);
}

void test_sort_model(void)
{
	for (unsigned int round = 0; round < rounds(2000); round++) {
		size_t n = rng_below(one_in(10) ? 500 : 20), bytes;
		u8 *data, *same;

		width = 1 + rng_below(24);
		bytes = n * width;
		data = malloc(bytes);
		for (size_t i = 0; i < bytes; i++)
			data[i] = (u8)rng_below(4);
		same = exact_copy(data, bytes);

		/* Many are equal by the order. In order, and still the same elements. */
		sort(data, n, width, compare);
		for (size_t i = 1; i < n; i++)
			CHECK(compare(data + (i - 1) * width, data + i * width) <= 0);
		qsort(data, n, width, compare_all);
		qsort(same, n, width, compare_all);
		CHECK(!memcmp(data, same, bytes));
		free(data);
		free(same);
	}
}

void test_hash_spread(void)
{
	unsigned int counts[64] = { 0 };
	char *object = NULL;

	for (u64 i = 0; i < 6400; i++)
		counts[hash_64(i * 4096, 6)]++;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		CHECK(counts[i] > 70 && counts[i] < 130, "%u", counts[i]);
	for (unsigned int bits = 1; bits <= 64; bits++) {
		u64 x = rng();

		CHECK(bits == 64 || hash_64(x, bits) < 1ull << bits);
	}
	CHECK(hash_ptr(object + 64, 8) == hash_64(64, 8));
}

/* Every day of 800 years against the C library's calendar. */
void test_calendar(void)
{
	for (u64 days = 0; days < 800 * 365; days++) {
		time_t t = (time_t)days * 86400;
		struct tm tm;

		gmtime_r(&t, &tm);
		CHECK(calendar_days((u32)tm.tm_year + 1900, (u32)tm.tm_mon + 1, (u32)tm.tm_mday) == days);
	}
}
