/*
 * Bitmaps: searching, counting, and the text form "0-3,7". Words are read once each, so a search in a map that others
 * change atomically finds bits that were set at some moment.
 */
#include "lib/bitmap.h"
#include "lib/ctype.h"
#include "lib/errno.h"
#include "lib/printf.h"

/* Searches the map, each word of it inverted by `flip` (0 or all ones). */
static __always_inline size_t find_next(const unsigned long *map, size_t nbits, size_t start, unsigned long flip)
{
	unsigned long word;
	size_t i;

	if (start >= nbits)
		return nbits;
	i = __bit_word(start);
	word = (READ_ONCE(map[i]) ^ flip) & __bits_from(start);
	while (!word) {
		if (++i >= BITS_TO_LONGS(nbits))
			return nbits;
		word = READ_ONCE(map[i]) ^ flip;
	}
	return min(i * BITS_PER_LONG + __ffs64(word), nbits);
}

size_t find_next_bit(const unsigned long *map, size_t nbits, size_t start)
{
	return find_next(map, nbits, start, 0);
}

size_t find_next_zero_bit(const unsigned long *map, size_t nbits, size_t start)
{
	return find_next(map, nbits, start, ~0ul);
}

size_t find_last_bit(const unsigned long *map, size_t nbits)
{
	unsigned long mask = __bits_below(nbits);

	for (size_t i = BITS_TO_LONGS(nbits); i-- > 0; mask = ~0ul) {
		unsigned long word = READ_ONCE(map[i]) & mask;

		if (word)
			return i * BITS_PER_LONG + __fls64(word);
	}
	return nbits;
}

size_t bitmap_weight(const unsigned long *map, size_t nbits)
{
	size_t weight = 0, i;

	for (i = 0; i < nbits / BITS_PER_LONG; i++)
		weight += hweight64(READ_ONCE(map[i]));
	if (nbits % BITS_PER_LONG)
		weight += hweight64(READ_ONCE(map[i]) & __bits_below(nbits));
	return weight;
}

/* Calls for the mask of each word that the range touches. */
static __always_inline void change_range(unsigned long *map, size_t start, size_t n, bool set)
{
	while (n) {
		size_t in_word = min(n, BITS_PER_LONG - start % BITS_PER_LONG);
		unsigned long mask = __bits_from(start) & __bits_below(start + in_word);

		if (set)
			map[__bit_word(start)] |= mask;
		else
			map[__bit_word(start)] &= ~mask;
		start += in_word;
		n -= in_word;
	}
}

void bitmap_set(unsigned long *map, size_t start, size_t n)
{
	change_range(map, start, n, true);
}

void bitmap_clear(unsigned long *map, size_t start, size_t n)
{
	change_range(map, start, n, false);
}

/* A decimal number below nbits; advances *s behind it. */
static int parse_bit(const char **s, size_t nbits, size_t *out)
{
	size_t bit = 0;
	bool too_large = false;

	if (!isdigit((u8)**s))
		return -EINVAL;
	for (; isdigit((u8)**s); (*s)++) {
		bit = bit * 10 + (size_t)(**s - '0');
		/* Stays small from here on, so it cannot wrap. */
		if (bit >= nbits) {
			too_large = true;
			bit = 0;
		}
	}
	*out = bit;
	return too_large ? -ERANGE : 0;
}

/* One element: "7" or "0-3"; advances *s behind it. */
static int parse_range(const char **s, unsigned long *map, size_t nbits)
{
	size_t first, last;
	int error = parse_bit(s, nbits, &first);

	if (error)
		return error;
	last = first;
	if (**s == '-') {
		(*s)++;
		error = parse_bit(s, nbits, &last);
		if (error)
			return error;
	}
	if (last < first)
		return -EINVAL;
	bitmap_set(map, first, last - first + 1);
	return 0;
}

int bitmap_parselist(const char *s, unsigned long *map, size_t nbits)
{
	int error = 0;

	bitmap_zero(map, nbits);
	if (*s && *s != '\n') {
		while (!(error = parse_range(&s, map, nbits)) && *s == ',')
			s++;
	}
	if (*s == '\n')
		s++;
	if (!error && *s)
		error = -EINVAL;
	if (error)
		bitmap_zero(map, nbits);
	return error;
}

int bitmap_print_list(char *buf, size_t size, const unsigned long *map, size_t nbits)
{
	size_t first, end;
	int len = kscnprintf(buf, size, "%s", "");

	for_each_set_bit(first, map, nbits) {
		end = find_next_zero_bit(map, nbits, first);
		len += kscnprintf(buf + len, size - (size_t)len, len ? ",%zu" : "%zu", first);
		if (end - first > 1)
			len += kscnprintf(buf + len, size - (size_t)len, "-%zu", end - 1);
		first = end - 1;
	}
	return len;
}
