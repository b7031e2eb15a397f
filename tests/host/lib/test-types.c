/*
 * lib/types.h, lib/err.h, lib/atomic.h.
 */
#include <pthread.h>

#include "lib/atomic.h"
#include "lib/err.h"
#include "tests/host/lib/test.h"

static int evaluations;

static int count_and_return(int value)
{
	evaluations++;
	return value;
}

void test_types_min_max(void)
{
	unsigned char small = 200;
	unsigned long large = 1ul << 40;

	CHECK(min(3, 5) == 3 && max(3, 5) == 5 && min(-3, 5) == -3 && max(-3, 5) == 5);
	CHECK(min(large, 5) == 5 && max(5, large) == large);
	CHECK(max(small, 300) == 300 && min(small, 300) == 200);
	CHECK(min(large, 7u) == 7 && min(large, (u64)9) == 9);
	CHECK(clamp(5, 1, 3) == 3 && clamp(-5, 1, 3) == 1 && clamp(2, 1, 3) == 2);
	CHECK(clamp(min(large, 9ul), 1ul, max(3ul, 4ul)) == 4);
	CHECK(min_t(u8, large + 1, 2) == 1 && max_t(int, -1, 0u) == 0 && clamp_t(int, 9u, 1, 5) == 5);

	evaluations = 0;
	CHECK(min(count_and_return(1), count_and_return(2)) == 1 && evaluations == 2);
	CHECK(max_t(long, count_and_return(1), count_and_return(2)) == 2 && evaluations == 4);
}

void test_types_align(void)
{
	static_assert(align_up(4097, 4096) == 8192 && align_down(4097, 4096) == 4096, "constant expressions");

	for (unsigned int i = 0; i < rounds(10000); i++) {
		unsigned long a = 1ul << rng_below(20), x = rng() >> 8;
		unsigned long up = align_up(x, a), down = align_down(x, a);

		CHECK(up % a == 0 && up >= x && up - x < a);
		CHECK(down % a == 0 && down <= x && x - down < a);
		CHECK(is_aligned(x, a) == (x % a == 0));
		CHECK(div_round_up(x, a) == up / a);
	}
	/* The type of the value counts, not that of the alignment. */
	CHECK(align_down(0xffffffff12345678ull, 4096u) == 0xffffffff12345000ull);
	CHECK(align_up(0xffffffff12345678ull, 4096) == 0xffffffff12346000ull);
}

void test_types_misc(void)
{
	struct outer {
		char c;
		struct inner {
			int x;
		} inner;
	} object = { 1, { 2 } };
	int array[7] = { 0 };

	CHECK(container_of(&object.inner, struct outer, inner) == &object);
	CHECK(ARRAY_SIZE(array) == 7);
	CHECK(BIT(0) == 1 && BIT(63) == 1ul << 63);
	WRITE_ONCE(array[2], 5);
	CHECK(READ_ONCE(array[2]) == 5);
}

void test_err_pointers(void)
{
	int object;

	CHECK(!IS_ERR(&object) && !IS_ERR(NULL) && IS_ERR_OR_NULL(NULL) && !IS_ERR_OR_NULL(&object));
	CHECK(PTR_ERR_OR_ZERO(&object) == 0);
	for (int error = 1; error <= MAX_ERRNO; error++) {
		CHECK(IS_ERR(ERR_PTR(-error)) && PTR_ERR(ERR_PTR(-error)) == -error);
		CHECK(PTR_ERR_OR_ZERO(ERR_CAST(ERR_PTR(-error))) == -error);
	}
	CHECK(!IS_ERR(ERR_PTR(-MAX_ERRNO - 1)));
}

void test_atomic_single(void)
{
	atomic_t a = ATOMIC_INIT(5);
	atomic64_t b = ATOMIC64_INIT(1ll << 40);
	int old = 7, x = 1;
	u64 word = 10, expected = 10;
	int *pointer = &x;

	CHECK(atomic_read(&a) == 5 && atomic_add_return(3, &a) == 8 && atomic_sub_return(1, &a) == 7);
	CHECK(atomic_fetch_add(2, &a) == 7 && atomic_fetch_sub(2, &a) == 9 && atomic_read(&a) == 7);
	CHECK(atomic_inc_return(&a) == 8 && atomic_dec_return(&a) == 7);
	CHECK(atomic_fetch_or(8, &a) == 7 && atomic_fetch_and(12, &a) == 15 && atomic_fetch_xor(4, &a) == 12);
	CHECK(atomic_read_acquire(&a) == 8);
	atomic_set(&a, 1);
	atomic_inc(&a);
	atomic_add(5, &a);
	atomic_sub(2, &a);
	atomic_dec(&a);
	CHECK(atomic_read(&a) == 4);
	atomic_or(3, &a);
	atomic_and(5, &a);
	atomic_xor(1, &a);
	CHECK(atomic_read(&a) == 4);

	CHECK(atomic_xchg(&a, 1) == 4 && atomic_cmpxchg(&a, 2, 9) == 1 && atomic_cmpxchg(&a, 1, 9) == 1);
	CHECK(!atomic_try_cmpxchg(&a, &old, 3) && old == 9 && atomic_try_cmpxchg(&a, &old, 3) && old == 9);
	CHECK(atomic_read(&a) == 3);
	CHECK(!atomic_dec_and_test(&a) && !atomic_sub_and_test(1, &a) && atomic_dec_and_test(&a));
	CHECK(!atomic_inc_not_zero(&a) && atomic_read(&a) == 0);
	atomic_set_release(&a, -1);
	CHECK(atomic_inc_not_zero(&a) && atomic_read(&a) == 0 && !atomic_inc_and_test(&a));
	CHECK(!atomic_dec_unless_one(&a) && atomic_add_unless(&a, 4, 2) && atomic_read(&a) == 5);
	CHECK(!atomic_add_unless(&a, 4, 5) && atomic_dec_unless_one(&a) && atomic_read(&a) == 4);

	CHECK(atomic64_add_return(1, &b) == (1ll << 40) + 1 && atomic64_fetch_and_relaxed(1, &b) == (1ll << 40) + 1);
	CHECK(atomic64_read(&b) == 1 && atomic64_dec_and_test(&b));

	CHECK(xchg(&word, 11) == 10 && cmpxchg(&word, 1, 2) == 11 && cmpxchg(&word, 11, 12) == 11 && word == 12);
	CHECK(!try_cmpxchg(&word, &expected, 1) && expected == 12 && try_cmpxchg_acquire(&word, &expected, 13));
	CHECK(smp_load_acquire(&word) == 13);
	smp_store_release(&word, 14);
	CHECK(word == 14 && xchg(&pointer, NULL) == &x && cmpxchg(&pointer, NULL, &x) == NULL && pointer == &x);
}

#define THREADS	4
#define TURNS	20000

static atomic_t shared_count, live, added;
static int limited;

static void *add_many(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++) {
		int seen = READ_ONCE(limited);

		atomic_inc(&shared_count);
		while (seen < THREADS * TURNS / 2 && !try_cmpxchg(&limited, &seen, seen + 1))
			;
		if (atomic_add_unless(&live, 1, TURNS))
			atomic_inc(&added);
	}
	return NULL;
}

void test_atomic_threads(void)
{
	pthread_t threads[THREADS];

	atomic_set(&shared_count, 0);
	atomic_set(&live, 0);
	atomic_set(&added, 0);
	limited = 0;
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, add_many, NULL) == 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(atomic_read(&shared_count) == THREADS * TURNS);
	CHECK(limited == THREADS * TURNS / 2, "%d", limited);
	CHECK(atomic_read(&live) == TURNS && atomic_read(&added) == TURNS, "%d", atomic_read(&added));
}
