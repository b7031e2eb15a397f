/*
 * Basic types, attributes and small type-safe macros: the header that everything else includes.
 *
 * u64 is `unsigned long long` on every architecture, so it prints with %llu; unsigned long, size_t and uintptr_t are
 * 64 bits wide too (all ports are LP64) and print with %lu, %zu and %lx.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The compiler's own <limits.h> wants the C library's. */
#if __STDC_HOSTED__
#include <limits.h>
#else
#define CHAR_BIT	8
#define INT_MAX		__INT_MAX__
#define INT_MIN		(-INT_MAX - 1)
#define UINT_MAX	(INT_MAX * 2u + 1u)
#define LONG_MAX	__LONG_MAX__
#define LONG_MIN	(-LONG_MAX - 1l)
#define ULONG_MAX	(LONG_MAX * 2ul + 1ul)
#define LLONG_MAX	__LONG_LONG_MAX__
#define LLONG_MIN	(-LLONG_MAX - 1ll)
#define ULLONG_MAX	(LLONG_MAX * 2ull + 1ull)
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef signed short s16;
typedef signed int s32;
typedef signed long long s64;

#undef static_assert
#define static_assert _Static_assert

static_assert(sizeof(u64) == 8 && sizeof(long) == 8 && sizeof(void *) == 8, "every port is LP64");

/* Attributes. Some libc headers have a few of these names, with the same meaning. */
#undef __always_inline
#undef __noreturn
#undef __packed
#undef __aligned
#undef __section
#undef __printf
#undef __must_check
#undef __cold
#undef __maybe_unused
#undef noinline
#define __always_inline	inline __attribute__((__always_inline__))
#define __noreturn	__attribute__((__noreturn__))
#define __packed	__attribute__((__packed__))
#define __aligned(x)	__attribute__((__aligned__(x)))
#define __section(x)	__attribute__((__section__(x)))
#define __printf(a, b)	__attribute__((__format__(__printf__, a, b)))
#define __must_check	__attribute__((__warn_unused_result__))
#define __cold		__attribute__((__cold__))
#define __maybe_unused	__attribute__((__unused__))
#define noinline	__attribute__((__noinline__))

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

/* Keeps the compiler, not the CPU, from moving memory accesses across it. */
#define barrier()	__asm__ __volatile__("" : : : "memory")

/*
 * One access, neither torn nor repeated nor left out, to a naturally aligned integer or pointer that others change
 * concurrently. No ordering. (ThreadSanitizer takes a volatile access for a race, hence the second form.)
 */
#ifdef __SANITIZE_THREAD__
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, val)	__atomic_store_n(&(x), (val), __ATOMIC_RELAXED)
#else
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val)	((void)(*(volatile __typeof__(x) *)&(x) = (val)))
#endif

#define ARRAY_SIZE(a) \
	(sizeof(a) / sizeof((a)[0]) + \
	 0 * sizeof(struct { static_assert(!__builtin_types_compatible_p(__typeof__(a), __typeof__(&(a)[0])), \
					   "not an array"); int unused; }))

/* The object of the given type whose member is at ptr. */
#define container_of(ptr, type, member) ({ \
	const __typeof__(((type *)0)->member) *__member = (ptr); \
	(type *)((uintptr_t)__member - offsetof(type, member)); })

#define BIT(n)	(1ul << (n))

/* Alignment to a power of two `a`, in the type of x; usable in constant expressions. `a` is evaluated twice. */
#define align_up(x, a)		(((x) + ((__typeof__(x))(a) - 1)) & ~((__typeof__(x))(a) - 1))
#define align_down(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define is_aligned(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)

/* n / d rounded up, for unsigned or non-negative operands; d is evaluated twice. */
#define div_round_up(n, d)	(((n) + (d) - 1) / (d))

/*
 * min(), max(), clamp(): each argument is evaluated once. A comparison of a signed with an unsigned expression does
 * not compile, unless one of them is a constant that is not negative.
 */
#define __is_signed_type(t)	((t)-1 < (t)1)
#define __is_signed(x)		__is_signed_type(__typeof__((x) + 0))
#define __is_positive(x)	__builtin_choose_expr(__builtin_constant_p(x), !((u64)(x) >> 63), 0)
#define __comparable(x, y) \
	(__is_signed(x) == __is_signed(y) || __is_positive(x) || __is_positive(y))

#define __pick(op, x, y) ({ \
	static_assert(__comparable(x, y), "signed compared with unsigned: use min_t or max_t"); \
	__typeof__((x) + (y)) __x = (x), __y = (y); \
	__x op __y ? __x : __y; })

#define min(x, y)		__pick(<, x, y)
#define max(x, y)		__pick(>, x, y)
#define clamp(v, lo, hi)	min(max(v, lo), hi)

/* The same with both arguments converted to a type first. */
#define min_t(t, x, y)		({ t __tx = (x); t __ty = (y); __tx < __ty ? __tx : __ty; })
#define max_t(t, x, y)		({ t __tx = (x); t __ty = (y); __tx > __ty ? __tx : __ty; })
#define clamp_t(t, v, lo, hi)	min_t(t, max_t(t, v, lo), hi)
