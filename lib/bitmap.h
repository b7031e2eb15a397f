/*
 * Bitmaps: arrays of unsigned long, bit n in word n / 64. Bits beyond nbits in the last word may have any value; no
 * function looks at them, and those that write a map's words may change them.
 *
 * The functions on single bits come in atomic forms (set_bit: relaxed; test_and_set_bit: fully ordered) and plain ones
 * (__set_bit), which need the caller's lock.
 */
#pragma once

#include "lib/atomic.h"
#include "lib/bits.h"
#include "lib/types.h"

#define BITS_PER_LONG		64u
#define BITS_TO_LONGS(nbits)	div_round_up((size_t)(nbits), BITS_PER_LONG)
#define DECLARE_BITMAP(name, nbits)	unsigned long name[BITS_TO_LONGS(nbits)]

#define __bit_word(nr)		((nr) / BITS_PER_LONG)
#define __bit_mask(nr)		(1ul << ((nr) % BITS_PER_LONG))
/* The bits from start on in the word of start; the bits below nbits in the last word of a map. */
#define __bits_from(start)	(~0ul << ((start) % BITS_PER_LONG))
#define __bits_below(nbits)	(~0ul >> (-(size_t)(nbits) % BITS_PER_LONG))

static __always_inline bool test_bit(size_t nr, const unsigned long *map)
{
	return READ_ONCE(map[__bit_word(nr)]) & __bit_mask(nr);
}

static __always_inline void set_bit(size_t nr, unsigned long *map)
{
	(void)__atomic_fetch_or(&map[__bit_word(nr)], __bit_mask(nr), __ATOMIC_RELAXED);
}

static __always_inline void clear_bit(size_t nr, unsigned long *map)
{
	(void)__atomic_fetch_and(&map[__bit_word(nr)], ~__bit_mask(nr), __ATOMIC_RELAXED);
}

/* The old value of the bit. */
static __always_inline bool test_and_set_bit(size_t nr, unsigned long *map)
{
	unsigned long old = __atomic_fetch_or(&map[__bit_word(nr)], __bit_mask(nr), __ATOMIC_SEQ_CST);

	__after_amo();
	return old & __bit_mask(nr);
}

static __always_inline bool test_and_clear_bit(size_t nr, unsigned long *map)
{
	unsigned long old = __atomic_fetch_and(&map[__bit_word(nr)], ~__bit_mask(nr), __ATOMIC_SEQ_CST);

	__after_amo();
	return old & __bit_mask(nr);
}

static __always_inline void __set_bit(size_t nr, unsigned long *map)
{
	map[__bit_word(nr)] |= __bit_mask(nr);
}

static __always_inline void __clear_bit(size_t nr, unsigned long *map)
{
	map[__bit_word(nr)] &= ~__bit_mask(nr);
}

static __always_inline bool __test_and_set_bit(size_t nr, unsigned long *map)
{
	bool old = map[__bit_word(nr)] & __bit_mask(nr);

	__set_bit(nr, map);
	return old;
}

static __always_inline bool __test_and_clear_bit(size_t nr, unsigned long *map)
{
	bool old = map[__bit_word(nr)] & __bit_mask(nr);

	__clear_bit(nr, map);
	return old;
}

/* The first bit at or after start that is set (or zero) and below nbits; nbits if there is none. */
size_t find_next_bit(const unsigned long *map, size_t nbits, size_t start);
size_t find_next_zero_bit(const unsigned long *map, size_t nbits, size_t start);
/* The last set bit below nbits; nbits if there is none. */
size_t find_last_bit(const unsigned long *map, size_t nbits);

static inline size_t find_first_bit(const unsigned long *map, size_t nbits)
{
	return find_next_bit(map, nbits, 0);
}

static inline size_t find_first_zero_bit(const unsigned long *map, size_t nbits)
{
	return find_next_zero_bit(map, nbits, 0);
}

#define for_each_set_bit(bit, map, nbits) \
	for ((bit) = find_first_bit(map, nbits); (bit) < (nbits); (bit) = find_next_bit(map, nbits, (bit) + 1))

#define for_each_clear_bit(bit, map, nbits) \
	for ((bit) = find_first_zero_bit(map, nbits); (bit) < (nbits); \
	     (bit) = find_next_zero_bit(map, nbits, (bit) + 1))

/* Sets or clears n bits from start on. Not atomic. */
void bitmap_set(unsigned long *map, size_t start, size_t n);
void bitmap_clear(unsigned long *map, size_t start, size_t n);

/* The number of set bits. */
size_t bitmap_weight(const unsigned long *map, size_t nbits);

static inline void bitmap_zero(unsigned long *map, size_t nbits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++)
		map[i] = 0;
}

static inline void bitmap_fill(unsigned long *map, size_t nbits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++)
		map[i] = ~0ul;
}

static inline void bitmap_copy(unsigned long *dst, const unsigned long *src, size_t nbits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++)
		dst[i] = src[i];
}

static inline void bitmap_and(unsigned long *dst, const unsigned long *a, const unsigned long *b, size_t nbits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++)
		dst[i] = a[i] & b[i];
}

static inline void bitmap_or(unsigned long *dst, const unsigned long *a, const unsigned long *b, size_t nbits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++)
		dst[i] = a[i] | b[i];
}

static inline void bitmap_andnot(unsigned long *dst, const unsigned long *a, const unsigned long *b, size_t nbits)
{
	for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++)
		dst[i] = a[i] & ~b[i];
}

/*
 * Is `odd` zero in every bit below nbits? It is an expression of the word number i. For a constant nbits the loop
 * unrolls. Maps may change meanwhile (READ_ONCE), and then the answer is as good as any.
 */
#define __bitmap_none(nbits, odd) ({ \
	size_t i = 0; \
	while (i < (nbits) / BITS_PER_LONG && !(odd)) \
		i++; \
	i >= (nbits) / BITS_PER_LONG && (!((nbits) % BITS_PER_LONG) || !((odd) & __bits_below(nbits))); })

static inline bool bitmap_empty(const unsigned long *map, size_t nbits)
{
	return __bitmap_none(nbits, READ_ONCE(map[i]));
}

static inline bool bitmap_full(const unsigned long *map, size_t nbits)
{
	return __bitmap_none(nbits, ~READ_ONCE(map[i]));
}

static inline bool bitmap_equal(const unsigned long *a, const unsigned long *b, size_t nbits)
{
	return __bitmap_none(nbits, READ_ONCE(a[i]) ^ READ_ONCE(b[i]));
}

/* Do a and b share a bit? */
static inline bool bitmap_intersects(const unsigned long *a, const unsigned long *b, size_t nbits)
{
	return !__bitmap_none(nbits, READ_ONCE(a[i]) & READ_ONCE(b[i]));
}

/* Is every bit of a in b? */
static inline bool bitmap_subset(const unsigned long *a, const unsigned long *b, size_t nbits)
{
	return __bitmap_none(nbits, READ_ONCE(a[i]) & ~READ_ONCE(b[i]));
}

/*
 * Reads a list such as "0-3,7" (decimal, ranges ascending, a newline may follow, the empty string is the empty map).
 * Returns 0, -EINVAL for bad syntax, -ERANGE for a bit that is not below nbits; the map is zero after an error.
 */
int bitmap_parselist(const char *s, unsigned long *map, size_t nbits);

/* Writes such a list, cut to size and terminated. Returns the number of characters written, without the NUL. */
int bitmap_print_list(char *buf, size_t size, const unsigned long *map, size_t nbits);
