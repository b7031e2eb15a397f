/*
 * Memory and strings in plain C. Copies and fills go by words of 8 bytes, 64 bytes a turn: under QEMU's TCG that
 * beats the string instructions that some CPUs have. Word accesses are aligned, so this works with caches and MMU off.
 *
 * The compiler must not see a memset() in the loop that is memset(), hence the pragma.
 */
#ifndef __clang__
#pragma GCC optimize ("no-tree-loop-distribute-patterns")
#endif

#include "lib/string.h"
#include "lib/ctype.h"
#include "lib/errno.h"

#if !__STDC_HOSTED__

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen

#define __weak			__attribute__((__weak__))
#define __no_sanitize_address	__attribute__((__no_sanitize_address__))

typedef u64 __attribute__((__may_alias__)) word_t;

#define WORD	sizeof(word_t)

/* Below this, finding the alignment costs more than it saves. */
#define SMALL	(2 * WORD)

/*
 * Copies words to an aligned place from one that is not, by shifting two aligned words together. Each word that it
 * reads has at least one byte of the source in it, so it touches no page that the source does not. Returns the number
 * of bytes copied, all but the last few. The sanitizer would object to the edges.
 */
static __no_sanitize_address size_t copy_shifted(u8 *dst, const u8 *src, size_t n)
{
	unsigned int skew = (uintptr_t)src % WORD * 8;
	const word_t *from = (const word_t *)(src - (uintptr_t)src % WORD);
	word_t *to = (word_t *)dst;
	word_t low = *from++;

	for (size_t left = n; left >= WORD; left -= WORD) {
		word_t high = *from++;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		*to++ = low << skew | high >> (64 - skew);
#else
		*to++ = low >> skew | high << (64 - skew);
#endif
		low = high;
	}
	return n - n % WORD;
}

/* Copies from the lowest address on: right if dst is below src, or they do not overlap. */
static __always_inline void copy_up(u8 *dst, const u8 *src, size_t n)
{
	if (n >= SMALL) {
		for (; (uintptr_t)dst % WORD; n--)
			*dst++ = *src++;
		if ((uintptr_t)src % WORD) {
			size_t done = copy_shifted(dst, src, n);

			dst += done;
			src += done;
			n -= done;
		} else {
			word_t *to = (word_t *)dst;
			const word_t *from = (const word_t *)src;

			for (; n >= 8 * WORD; n -= 8 * WORD) {
				to[0] = from[0];
				to[1] = from[1];
				to[2] = from[2];
				to[3] = from[3];
				to[4] = from[4];
				to[5] = from[5];
				to[6] = from[6];
				to[7] = from[7];
				to += 8;
				from += 8;
			}
			for (; n >= WORD; n -= WORD)
				*to++ = *from++;
			dst = (u8 *)to;
			src = (const u8 *)from;
		}
	}
	while (n--)
		*dst++ = *src++;
}

/* Copies from the highest address down: right if dst is above src. */
static void copy_down(u8 *dst, const u8 *src, size_t n)
{
	dst += n;
	src += n;
	if (n >= SMALL && ((uintptr_t)dst - (uintptr_t)src) % WORD == 0) {
		for (; (uintptr_t)dst % WORD; n--)
			*--dst = *--src;
		for (; n >= WORD; n -= WORD) {
			dst -= WORD;
			src -= WORD;
			*(word_t *)dst = *(const word_t *)src;
		}
	}
	while (n--)
		*--dst = *--src;
}

__weak void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	copy_up(dst, src, n);
	return dst;
}

__weak void *memmove(void *dst, const void *src, size_t n)
{
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

__weak void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;

	if (n >= SMALL) {
		word_t pattern = (u8)c * 0x0101010101010101ull, *to;

		for (; (uintptr_t)d % WORD; n--)
			*d++ = (u8)c;
		to = (word_t *)d;
		for (; n >= 8 * WORD; n -= 8 * WORD) {
			to[0] = pattern;
			to[1] = pattern;
			to[2] = pattern;
			to[3] = pattern;
			to[4] = pattern;
			to[5] = pattern;
			to[6] = pattern;
			to[7] = pattern;
			to += 8;
		}
		for (; n >= WORD; n -= WORD)
			*to++ = pattern;
		d = (u8 *)to;
	}
	while (n--)
		*d++ = (u8)c;
	return dst;
}

__weak int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	if (n >= SMALL && ((uintptr_t)x - (uintptr_t)y) % WORD == 0) {
		for (; (uintptr_t)x % WORD; n--, x++, y++) {
			if (*x != *y)
				return *x - *y;
		}
		/* The word that differs is left to the loop over bytes. */
		for (; n >= WORD && *(const word_t *)x == *(const word_t *)y; n -= WORD) {
			x += WORD;
			y += WORD;
		}
	}
	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

__weak void *memchr(const void *s, int c, size_t n)
{
	for (const u8 *p = s; n; n--, p++) {
		if (*p == (u8)c)
			return (void *)p;
	}
	return NULL;
}

__weak size_t strlen(const char *s)
{
	const char *end = s;

	while (*end)
		end++;
	return (size_t)(end - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

__weak int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (!*s)
			return NULL;
	}
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do {
		if (*s == (char)c)
			last = s;
	} while (*s++);
	return (char *)last;
}

char *strstr(const char *s, const char *needle)
{
	size_t n = strlen(needle);

	for (;; s++) {
		if (!strncmp(s, needle, n))
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strsep(char **s, const char *delimiters)
{
	char *piece = *s, *end = piece;

	if (!piece)
		return NULL;
	while (*end && !strchr(delimiters, *end))
		end++;
	*s = *end ? end + 1 : NULL;
	*end = '\0';
	return piece;
}

#endif /* !__STDC_HOSTED__ */

void *memchr_inv(const void *s, int c, size_t n)
{
	for (const u8 *p = s; n; n--, p++) {
		if (*p != (u8)c)
			return (void *)p;
	}
	return NULL;
}

size_t strlcpy(char *restrict dst, const char *restrict src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = min(len, size - 1);

		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}

long strscpy(char *dst, const char *src, size_t size)
{
	size_t n = strnlen(src, size);

	if (!size)
		return -E2BIG;
	if (n == size) {
		memcpy(dst, src, n - 1);
		dst[n - 1] = '\0';
		return -E2BIG;
	}
	memcpy(dst, src, n + 1);
	return (long)n;
}

long strscat(char *dst, const char *src, size_t size)
{
	size_t len = strnlen(dst, size);
	long added = strscpy(dst + len, src, size - len);

	return added < 0 ? added : (long)len + added;
}

bool strstarts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

char *skip_spaces(const char *s)
{
	while (isspace((u8)*s))
		s++;
	return (char *)s;
}

static unsigned int digit_value(char c)
{
	if (isdigit((u8)c))
		return (unsigned int)(c - '0');
	return isalpha((u8)c) ? (unsigned int)(tolower((u8)c) - 'a') + 10 : UINT_MAX;
}

/* The digits at *s, at least one, with a prefix if base is 0 (or 0x if it is 16); moves *s behind them. */
static int parse_number(const char **s, unsigned int base, u64 *out)
{
	const char *p = *s;
	bool overflow = false;
	u64 value = 0;

	if ((base == 0 || base == 16) && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && digit_value(p[2]) < 16) {
		base = 16;
		p += 2;
	} else if (base == 0) {
		base = p[0] == '0' ? 8 : 10;
	}
	if (digit_value(*p) >= base)
		return -EINVAL;
	for (; digit_value(*p) < base; p++) {
		overflow |= __builtin_mul_overflow(value, base, &value);
		overflow |= __builtin_add_overflow(value, digit_value(*p), &value);
	}
	*s = p;
	*out = value;
	return overflow ? -ERANGE : 0;
}

/* The same for a whole string: bad syntax behind the number matters more than its range. */
static int parse_all(const char *s, int base, u64 *out)
{
	int error = parse_number(&s, (unsigned int)base, out);

	if (error == -EINVAL)
		return error;
	if (*s == '\n')
		s++;
	return *s ? -EINVAL : error;
}

int kstrtoul(const char *s, int base, unsigned long *out)
{
	u64 value;
	int error = parse_all(s, base, &value);

	if (!error)
		*out = value;
	return error;
}

int kstrtol(const char *s, int base, long *out)
{
	bool negative = *s == '-';
	u64 value;
	int error = parse_all(negative ? s + 1 : s, base, &value);

	if (error)
		return error;
	if (value > (u64)LONG_MAX + negative)
		return -ERANGE;
	*out = (long)(negative ? -value : value);
	return 0;
}

int memparse(const char *s, u64 *out)
{
	static const char suffixes[] = "kmgtpe";
	const char *suffix;
	u64 value;
	int error = parse_number(&s, 0, &value);

	if (error == -EINVAL)
		return error;
	suffix = *s ? strchr(suffixes, tolower((u8)*s)) : NULL;
	if (suffix) {
		unsigned int shift = 10 * (unsigned int)(suffix - suffixes + 1);

		s++;
		if (value > ~0ull >> shift)
			error = -ERANGE;
		value <<= shift;
	}
	if (*s == '\n')
		s++;
	if (*s)
		return -EINVAL;
	if (!error)
		*out = value;
	return error;
}
