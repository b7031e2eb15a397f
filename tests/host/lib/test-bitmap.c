/*
 * lib/bits.h and lib/bitmap.h against arrays of bool.
 */
#include "lib/bitmap.h"
#include "lib/byteorder.h"
#include "lib/errno.h"
#include "tests/host/lib/test.h"

#define MAX_BITS	300

void test_bits_naive(void)
{
	for (unsigned int round = 0; round < rounds(20000); round++) {
		u64 x = rng() >> rng_below(64), swapped = 0;
		int first = 0, last = 0, weight = 0;

		x &= one_in(3) ? rng() : ~0ull;
		for (int i = 0; i < 64; i++) {
			if (!(x >> i & 1))
				continue;
			first = first ? first : i + 1;
			last = i + 1;
			weight++;
		}
		for (int i = 0; i < 8; i++)
			swapped = swapped << 8 | (x >> 8 * i & 0xff);
		CHECK(fls64(x) == last && hweight64(x) == (unsigned int)weight && bits_popcount64(x) == weight);
		CHECK(swab64(x) == swapped && bits_swab64(x) == swapped && swab32((u32)x) == swapped >> 32);
		CHECK(swab16((u16)x) == swapped >> 48);
		CHECK(get_be64(&x) == be64_to_cpu(x) && get_be32(&x) == get_be64(&x) >> 32);
		CHECK(is_power_of_2(x) == (weight == 1));
		if (x) {
			CHECK(bits_clz64(x) == 64 - last && bits_ctz64(x) == first - 1);
			CHECK(__ffs64(x) == (unsigned int)first - 1 && __fls64(x) == (unsigned int)last - 1);
			CHECK(ilog2(x) == last - 1 && rounddown_pow_of_two(x) == 1ull << (last - 1));
		}
		if (x <= 1ull << 63) {
			u64 up = roundup_pow_of_two(x);

			CHECK(is_power_of_2(up) && up >= x && (up == 1 || up / 2 < x));
		} else {
			CHECK(roundup_pow_of_two(x) == 0);
		}
		CHECK(fls((u32)x) == fls64((u32)x));
		CHECK(ffs((int)x) == ((u32)x ? (int)__ffs64((u32)x) + 1 : 0));
	}
	static_assert(ilog2(4096) == 12 && ilog2(1ull << 40) == 40, "constant expressions");
}

/* A map with room behind it that must not change, and its model. */
struct pair {
	DECLARE_BITMAP(map, MAX_BITS);
	bool model[MAX_BITS];
};

static void randomize(struct pair *p, size_t nbits)
{
	u64 density = 1 + rng_below(20);

	/* What is beyond nbits must not matter. */
	for (size_t i = 0; i < ARRAY_SIZE(p->map); i++)
		p->map[i] = rng();
	for (size_t i = 0; i < nbits; i++) {
		p->model[i] = one_in(density);
		if (p->model[i])
			__set_bit(i, p->map);
		else
			__clear_bit(i, p->map);
	}
}

static size_t model_find(const bool *model, size_t nbits, size_t start, bool what)
{
	while (start < nbits && model[start] != what)
		start++;
	return min(start, nbits);
}

static void check_pair(const struct pair *p, size_t nbits)
{
	size_t weight = 0, i, bit, last = nbits;

	for (i = 0; i < nbits; i++) {
		CHECK(test_bit(i, p->map) == p->model[i]);
		weight += p->model[i];
		last = p->model[i] ? i : last;
	}
	CHECK(bitmap_weight(p->map, nbits) == weight);
	CHECK(bitmap_empty(p->map, nbits) == (weight == 0) && bitmap_full(p->map, nbits) == (weight == nbits));
	CHECK(find_first_bit(p->map, nbits) == model_find(p->model, nbits, 0, true));
	CHECK(find_first_zero_bit(p->map, nbits) == model_find(p->model, nbits, 0, false));
	CHECK(find_last_bit(p->map, nbits) == last);
	for (i = 0; i < nbits + 3; i++) {
		CHECK(find_next_bit(p->map, nbits, i) == model_find(p->model, nbits, i, true));
		CHECK(find_next_zero_bit(p->map, nbits, i) == model_find(p->model, nbits, i, false));
	}
	i = 0;
	for_each_set_bit(bit, p->map, nbits) {
		i = model_find(p->model, nbits, i, true);
		CHECK(bit == i++);
	}
	i = 0;
	for_each_clear_bit(bit, p->map, nbits) {
		i = model_find(p->model, nbits, i, false);
		CHECK(bit == i++);
	}
}

void test_bitmap_model(void)
{
	for (unsigned int round = 0; round < rounds(100); round++) {
		size_t nbits = 1 + rng_below(MAX_BITS);
		struct pair p;

		randomize(&p, nbits);
		for (unsigned int step = 0; step < 50; step++) {
			size_t bit = rng_below(nbits);
			bool old = p.model[bit], set = one_in(2);

			switch (rng_below(4)) {
			case 0:
				if (set)
					set_bit(bit, p.map);
				else
					clear_bit(bit, p.map);
				break;
			case 1:
				CHECK((set ? test_and_set_bit(bit, p.map) : test_and_clear_bit(bit, p.map)) == old);
				break;
			case 2:
				CHECK((set ? __test_and_set_bit(bit, p.map) : __test_and_clear_bit(bit, p.map)) == old);
				break;
			default:
				if (set)
					__set_bit(bit, p.map);
				else
					__clear_bit(bit, p.map);
			}
			p.model[bit] = set;
		}
		check_pair(&p, nbits);
	}
}

void test_bitmap_ranges(void)
{
	for (unsigned int round = 0; round < rounds(1000); round++) {
		size_t start = rng_below(MAX_BITS), n = rng_below(MAX_BITS - start + 1);
		bool set = one_in(2);
		struct pair p;

		randomize(&p, MAX_BITS);
		if (set)
			bitmap_set(p.map, start, n);
		else
			bitmap_clear(p.map, start, n);
		memset(p.model + start, set, n);
		check_pair(&p, MAX_BITS);
	}
}

void test_bitmap_operations(void)
{
	for (unsigned int round = 0; round < rounds(2000); round++) {
		size_t nbits = 1 + rng_below(MAX_BITS);
		struct pair a, b, c;
		bool equal = true, meet = false, inside = true;
		unsigned int op = (unsigned int)rng_below(6);

		randomize(&a, nbits);
		randomize(&b, nbits);
		if (one_in(3))
			memcpy(&b, &a, sizeof(b));
		if (one_in(3)) {
			size_t bit = rng_below(nbits);

			__set_bit(bit, b.map);
			b.model[bit] = true;
		}
		for (size_t i = 0; i < nbits; i++) {
			bool x = a.model[i], y = b.model[i];
			bool results[] = { x && y, x || y, x && !y, x, false, true };

			equal &= x == y;
			meet |= x && y;
			inside &= !x || y;
			c.model[i] = results[op];
		}
		CHECK(bitmap_equal(a.map, b.map, nbits) == equal);
		CHECK(bitmap_intersects(a.map, b.map, nbits) == meet);
		CHECK(bitmap_subset(a.map, b.map, nbits) == inside);
		switch (op) {
		case 0:
			bitmap_and(c.map, a.map, b.map, nbits);
			break;
		case 1:
			bitmap_or(c.map, a.map, b.map, nbits);
			break;
		case 2:
			bitmap_andnot(c.map, a.map, b.map, nbits);
			break;
		case 3:
			bitmap_copy(c.map, a.map, nbits);
			break;
		case 4:
			bitmap_zero(c.map, nbits);
			break;
		default:
			bitmap_fill(c.map, nbits);
		}
		check_pair(&c, nbits);
	}
}

void test_bitmap_list(void)
{
	char text[4 * MAX_BITS];

	for (unsigned int round = 0; round < rounds(1000); round++) {
		size_t nbits = 1 + rng_below(MAX_BITS), cut = rng_below(40);
		char expected[4 * MAX_BITS] = "", *shorter = malloc(cut);
		struct pair p;
		int len, part;

		randomize(&p, nbits);
		for (size_t i = 0; i < nbits; i++) {
			size_t end = model_find(p.model, nbits, i, false);

			if (end == i)
				continue;
			len = (int)strlen(expected);
			sprintf(expected + len, end - i > 1 ? "%s%zu-%zu" : "%s%zu", len ? "," : "", i, end - 1);
			i = end - 1;
		}
		len = bitmap_print_list(text, sizeof(text), p.map, nbits);
		CHECK(!strcmp(text, expected) && len == (int)strlen(expected), "%s instead of %s", text, expected);
		part = bitmap_print_list(shorter, cut, p.map, nbits);
		if (cut)
			CHECK(!strncmp(shorter, expected, cut - 1) && part == (int)strlen(shorter));
		else
			CHECK(part == 0);
		free(shorter);

		if (one_in(2))
			strcat(text, "\n");
		memset(p.map, 0x55, sizeof(p.map));
		CHECK(bitmap_parselist(text, p.map, nbits) == 0);
		check_pair(&p, nbits);
	}
}

void test_bitmap_list_malformed(void)
{
	static const struct {
		const char *text;
		int error;
	} table[] = {
		{ "", 0 }, { "\n", 0 }, { "0", 0 }, { "99", 0 }, { "0-99", 0 }, { "5-5", 0 }, { "007", 0 },
		{ "1,1,0-3,2", 0 },
		{ "100", -ERANGE }, { "0-100", -ERANGE }, { "18446744073709551616", -ERANGE },
		{ "99999999999999999999999999999999999999", -ERANGE },
		{ "a", -EINVAL }, { "-", -EINVAL }, { "-1", -EINVAL }, { "1-", -EINVAL }, { "3-1", -EINVAL },
		{ ",", -EINVAL }, { "1,", -EINVAL }, { ",1", -EINVAL }, { "1,,2", -EINVAL }, { " 1", -EINVAL },
		{ "1 ", -EINVAL }, { "1\n\n", -EINVAL }, { "1\n2", -EINVAL }, { "1-2-3", -EINVAL }, { "0x1", -EINVAL },
		{ "\n1", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		DECLARE_BITMAP(map, 100);
		int error = bitmap_parselist(table[i].text, map, 100);

		CHECK(error == table[i].error, "\"%s\": %d", table[i].text, error);
		CHECK(!error || bitmap_empty(map, 100));
	}
}
