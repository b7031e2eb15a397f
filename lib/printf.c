/*
 * Formatted output: one pass over the format; each conversion is padded and appended to a bounded buffer, and what
 * does not fit is only counted.
 */
#include "lib/printf.h"
#include "lib/atomic.h"
#include "lib/ctype.h"
#include "lib/string.h"

/* What was written so far: characters beyond size are counted, not stored. */
struct out {
	char *buf;
	size_t size;
	size_t len;
};

enum {
	LEFT = 1,	/* - */
	PLUS = 2,	/* + */
	SPACE = 4,	/* a space */
	ALT = 8,	/* # */
	ZERO = 16,	/* 0 */
	UPPER = 32,	/* digits A to F */
	POINTER = 64,	/* 0x in front of a zero too */
};

struct spec {
	unsigned int flags;
	unsigned int width;
	int precision;		/* negative: none */
	int length;		/* bytes of the argument */
};

static int (*symbolizer)(char *buf, size_t size, unsigned long addr);

void printf_set_symbolizer(int (*fn)(char *buf, size_t size, unsigned long addr))
{
	WRITE_ONCE(symbolizer, fn);
}

static void put(struct out *out, const char *s, size_t n)
{
	if (out->len < out->size)
		memcpy(out->buf + out->len, s, min(n, out->size - out->len));
	out->len += n;
}

static void pad(struct out *out, char c, size_t n)
{
	if (out->len < out->size)
		memset(out->buf + out->len, c, min(n, out->size - out->len));
	out->len += n;
}

/* Text, cut to the precision and padded to the width. */
static void put_string(struct out *out, const struct spec *spec, const char *s, size_t n)
{
	size_t fill = spec->width > n ? spec->width - n : 0;

	if (!(spec->flags & LEFT))
		pad(out, ' ', fill);
	put(out, s, n);
	if (spec->flags & LEFT)
		pad(out, ' ', fill);
}

/* The digits of value, the last one before end. Returns the first. */
static char *digits(char *end, u64 value, unsigned int base, bool upper)
{
	const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	/* A constant divisor in each loop, so that there is no division. */
	if (base == 10) {
		for (; value; value /= 10)
			*--end = (char)('0' + value % 10);
	} else {
		unsigned int shift = base == 16 ? 4 : 3;

		for (; value; value >>= shift)
			*--end = set[value & (base - 1)];
	}
	return end;
}

/* A number: fill, sign or prefix, zeros, digits, fill. */
static void put_number(struct out *out, const struct spec *spec, u64 value, unsigned int base, const char *sign)
{
	char buf[24], *end = buf + sizeof(buf);
	char *first = digits(end, value, base, spec->flags & UPPER);
	size_t n = (size_t)(end - first), zeros, fill, prefix;

	/* Zero has one digit, unless a precision of 0 says none. */
	zeros = spec->precision < 0 ? !n : (size_t)spec->precision > n ? (size_t)spec->precision - n : 0;
	if (base == 8 && (spec->flags & ALT) && !zeros)
		zeros = 1;
	if (base == 16 && ((spec->flags & POINTER) || ((spec->flags & ALT) && value)))
		sign = spec->flags & UPPER ? "0X" : "0x";
	prefix = strlen(sign);
	n += prefix + zeros;
	fill = spec->width > n ? spec->width - n : 0;
	if ((spec->flags & (LEFT | ZERO)) == ZERO && spec->precision < 0) {
		zeros += fill;
		fill = 0;
	}

	if (!(spec->flags & LEFT))
		pad(out, ' ', fill);
	put(out, sign, prefix);
	pad(out, '0', zeros);
	put(out, first, (size_t)(end - first));
	if (spec->flags & LEFT)
		pad(out, ' ', fill);
}

static void put_signed(struct out *out, const struct spec *spec, s64 value)
{
	const char *sign = value < 0 ? "-" : spec->flags & PLUS ? "+" : spec->flags & SPACE ? " " : "";

	put_number(out, spec, value < 0 ? -(u64)value : (u64)value, 10, sign);
}

static void put_pointer(struct out *out, struct spec *spec, const void *p, bool symbol)
{
	int (*fn)(char *buf, size_t size, unsigned long addr) = READ_ONCE(symbolizer);
	char text[128];

	if (symbol && fn && fn(text, sizeof(text), (unsigned long)p) >= 0) {
		put_string(out, spec, text, strnlen(text, sizeof(text)));
		return;
	}
	spec->flags |= POINTER;
	put_number(out, spec, (uintptr_t)p, 16, "");
}

/* A decimal number at *fmt, at most INT_MAX; moves *fmt behind it. */
static int parse_int(const char **fmt)
{
	int n = 0;

	for (; isdigit((u8)**fmt); (*fmt)++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, **fmt - '0', &n))
			n = INT_MAX;
	}
	return n;
}

static const char *parse_flags(const char *fmt, struct spec *spec)
{
	static const char chars[] = "-+ #0";
	const char *flag;

	spec->flags = 0;
	for (; *fmt && (flag = strchr(chars, *fmt)); fmt++)
		spec->flags |= BIT(flag - chars);
	return fmt;
}

static const char *parse_length(const char *fmt, struct spec *spec)
{
	spec->length = sizeof(int);
	switch (*fmt) {
	case 'h':
		spec->length = fmt[1] == 'h' ? sizeof(char) : sizeof(short);
		return fmt + (fmt[1] == 'h' ? 2 : 1);
	case 'l':
		spec->length = sizeof(long);
		return fmt + (fmt[1] == 'l' ? 2 : 1);
	case 'z':
	case 'j':
	case 't':
		spec->length = sizeof(long);
		return fmt + 1;
	default:
		return fmt;
	}
}

/* An integer argument arrives as an int or as 8 bytes; the shorter lengths cut it. */
static s64 cut_signed(s64 value, int length)
{
	switch (length) {
	case 1:
		return (s8)value;
	case 2:
		return (s16)value;
	case 4:
		return (s32)value;
	default:
		return value;
	}
}

static u64 cut_unsigned(u64 value, int length)
{
	return length == 8 ? value : value & (BIT(8 * length) - 1);
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	struct out out = { buf, size, 0 };

	for (;;) {
		const char *start = fmt;
		struct spec spec;
		const char *s;
		u64 value;
		char c;

		while (*fmt && *fmt != '%')
			fmt++;
		if (fmt != start)
			put(&out, start, (size_t)(fmt - start));
		if (!*fmt)
			break;

		start = fmt;
		fmt = parse_flags(fmt + 1, &spec);
		if (*fmt == '*') {
			int width = va_arg(args, int);

			fmt++;
			if (width < 0)
				spec.flags |= LEFT;
			spec.width = width < 0 ? -(unsigned int)width : (unsigned int)width;
		} else {
			spec.width = (unsigned int)parse_int(&fmt);
		}
		spec.precision = -1;
		if (*fmt == '.') {
			fmt++;
			if (*fmt == '*') {
				fmt++;
				spec.precision = va_arg(args, int);
			} else {
				spec.precision = parse_int(&fmt);
			}
		}
		fmt = parse_length(fmt, &spec);

		switch (*fmt++) {
		case 'd':
		case 'i':
			value = spec.length == 8 ? va_arg(args, u64) : (u64)va_arg(args, int);
			put_signed(&out, &spec, cut_signed((s64)value, spec.length));
			break;
		case 'u':
			value = spec.length == 8 ? va_arg(args, u64) : va_arg(args, unsigned int);
			put_number(&out, &spec, cut_unsigned(value, spec.length), 10, "");
			break;
		case 'o':
			value = spec.length == 8 ? va_arg(args, u64) : va_arg(args, unsigned int);
			put_number(&out, &spec, cut_unsigned(value, spec.length), 8, "");
			break;
		case 'X':
			spec.flags |= UPPER;
			/* fall through */
		case 'x':
			value = spec.length == 8 ? va_arg(args, u64) : va_arg(args, unsigned int);
			put_number(&out, &spec, cut_unsigned(value, spec.length), 16, "");
			break;
		case 'c':
			c = (char)va_arg(args, int);
			put_string(&out, &spec, &c, 1);
			break;
		case 's':
			s = va_arg(args, const char *);
			if (!s)
				s = "(null)";
			put_string(&out, &spec, s, spec.precision < 0 ? strlen(s) : strnlen(s, (size_t)spec.precision));
			break;
		case 'p':
			put_pointer(&out, &spec, va_arg(args, void *), *fmt == 'S');
			if (*fmt == 'S')
				fmt++;
			break;
		case '%':
			put(&out, "%", 1);
			break;
		case '\0':
			fmt--;
			/* fall through */
		default:
			put(&out, start, (size_t)(fmt - start));
		}
	}
	if (size)
		buf[min(out.len, size - 1)] = '\0';
	return (int)min(out.len, (size_t)INT_MAX);
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = kvsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}

int kvscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	int len = kvsnprintf(buf, size, fmt, args);

	if (!size)
		return 0;
	return (size_t)len < size ? len : (int)(size - 1);
}

int kscnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = kvscnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}
