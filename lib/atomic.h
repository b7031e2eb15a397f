/*
 * Atomic integers, bits of ordering, and xchg/cmpxchg on plain 4- and 8-byte objects, over the compiler's builtins.
 *
 * Ordering:
 *   - A read-modify-write operation that returns a value is fully ordered: everything before it in program order is
 *     seen by everybody before everything after it. With _relaxed, _acquire or _release in its name it is only that.
 *   - A read-modify-write operation that returns nothing is relaxed, as are read and set.
 *   - A cmpxchg that fails and an inc_not_zero or add_unless that does not add promise no ordering.
 *
 * C11's seq_cst read-modify-write is weaker than "fully ordered": it orders nothing but seq_cst accesses with each
 * other, and where it is built from load-linked and store-conditional a later load can overtake the store. So a fence
 * follows it, unless the build says that the machine needs none: ATOMIC_AMO_IS_FENCE (fetch-and-op and xchg) and
 * ATOMIC_CMPXCHG_IS_FENCE (compare-and-exchange) are set by a port's compiler flags (x86_64 sets both: a locked
 * instruction is a fence; riscv64 the first: an AMO is).
 */
#pragma once

#include "lib/types.h"

/* ThreadSanitizer knows no fences, and orders seq_cst operations itself. */
#ifdef __SANITIZE_THREAD__
#undef ATOMIC_AMO_IS_FENCE
#undef ATOMIC_CMPXCHG_IS_FENCE
#define ATOMIC_AMO_IS_FENCE 1
#define ATOMIC_CMPXCHG_IS_FENCE 1
#endif

static __always_inline void __after_amo(void)
{
#ifndef ATOMIC_AMO_IS_FENCE
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static __always_inline void __after_cmpxchg(void)
{
#ifndef ATOMIC_CMPXCHG_IS_FENCE
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#define __check_atomic(p) \
	static_assert(sizeof(*(p)) == 4 || sizeof(*(p)) == 8, "not an object of 4 or 8 bytes")

#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* xchg(p, v): stores v, returns the old value. */
#define xchg(p, v) ({ \
	__check_atomic(p); \
	__auto_type __old = __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST); \
	__after_amo(); \
	__old; })
#define xchg_relaxed(p, v)	({ __check_atomic(p); __atomic_exchange_n((p), (v), __ATOMIC_RELAXED); })
#define xchg_acquire(p, v)	({ __check_atomic(p); __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE); })
#define xchg_release(p, v)	({ __check_atomic(p); __atomic_exchange_n((p), (v), __ATOMIC_RELEASE); })

/* try_cmpxchg(p, &old, new): true if *p was old and is new now; otherwise false, and old is what *p was. */
#define try_cmpxchg(p, oldp, new) ({ \
	__check_atomic(p); \
	bool __done = __atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); \
	__after_cmpxchg(); \
	__done; })
#define try_cmpxchg_relaxed(p, oldp, new) ({ \
	__check_atomic(p); \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED); })
#define try_cmpxchg_acquire(p, oldp, new) ({ \
	__check_atomic(p); \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED); })
#define try_cmpxchg_release(p, oldp, new) ({ \
	__check_atomic(p); \
	__atomic_compare_exchange_n((p), (oldp), (new), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED); })

/* cmpxchg(p, old, new): stores new if *p is old; returns what *p was, so old means that it did. */
#define __cmpxchg(op, p, old, new) ({ __typeof__(*(p)) __seen = (old); op((p), &__seen, (new)); __seen; })
#define cmpxchg(p, old, new)		__cmpxchg(try_cmpxchg, p, old, new)
#define cmpxchg_relaxed(p, old, new)	__cmpxchg(try_cmpxchg_relaxed, p, old, new)
#define cmpxchg_acquire(p, old, new)	__cmpxchg(try_cmpxchg_acquire, p, old, new)
#define cmpxchg_release(p, old, new)	__cmpxchg(try_cmpxchg_release, p, old, new)

typedef struct {
	int v;
} atomic_t;

typedef struct {
	s64 v;
} atomic64_t;

#define ATOMIC_INIT(i)		{ (i) }
#define ATOMIC64_INIT(i)	{ (i) }

/*
 * The families. For N in atomic, atomic64 and T their integer:
 *   T    N_read(a), N_read_acquire(a)			void N_set(a, i), N_set_release(a, i)
 *   void N_add(i, a), sub, and, or, xor		void N_inc(a), N_dec(a)
 *   T    N_fetch_{add,sub,and,or,xor}(i, a)		the old value
 *   T    N_{add,sub}_return(i, a), N_{inc,dec}_return(a)	the new value
 *   bool N_sub_and_test(i, a), N_dec_and_test(a), N_inc_and_test(a)	did it become zero?
 *   T    N_xchg(a, i), N_cmpxchg(a, old, new)		the old value
 *   bool N_try_cmpxchg(a, &old, new)
 *   bool N_add_unless(a, i, u), N_inc_not_zero(a), N_dec_unless_one(a)	did it add?
 * and _relaxed, _acquire, _release forms of fetch_*, *_return, xchg, cmpxchg and try_cmpxchg.
 */
#define __ATOMIC_OP(N, T, op, builtin) \
static __always_inline void N##_##op(T i, N##_t *a) \
{ \
	(void)builtin(&a->v, i, __ATOMIC_RELAXED); \
}

#define __ATOMIC_FETCH(N, T, op, suffix, builtin, order, after) \
static __always_inline T N##_fetch_##op##suffix(T i, N##_t *a) \
{ \
	T old = builtin(&a->v, i, order); \
	after; \
	return old; \
}

#define __ATOMIC_RETURN(N, T, op, suffix, builtin, order, after) \
static __always_inline T N##_##op##_return##suffix(T i, N##_t *a) \
{ \
	T new = builtin(&a->v, i, order); \
	after; \
	return new; \
}

#define __ATOMIC_BY_ONE(N, T, suffix) \
static __always_inline T N##_inc_return##suffix(N##_t *a) \
{ \
	return N##_add_return##suffix(1, a); \
} \
static __always_inline T N##_dec_return##suffix(N##_t *a) \
{ \
	return N##_sub_return##suffix(1, a); \
}

#define __ATOMIC_XCHG(N, T, suffix) \
static __always_inline T N##_xchg##suffix(N##_t *a, T i) \
{ \
	return xchg##suffix(&a->v, i); \
} \
static __always_inline bool N##_try_cmpxchg##suffix(N##_t *a, T *old, T new) \
{ \
	return try_cmpxchg##suffix(&a->v, old, new); \
} \
static __always_inline T N##_cmpxchg##suffix(N##_t *a, T old, T new) \
{ \
	(void)try_cmpxchg##suffix(&a->v, &old, new); \
	return old; \
}

#define __ATOMIC_ORDERS(gen, N, T, op, builtin) \
	gen(N, T, op, , builtin, __ATOMIC_SEQ_CST, __after_amo()) \
	gen(N, T, op, _relaxed, builtin, __ATOMIC_RELAXED, (void)0) \
	gen(N, T, op, _acquire, builtin, __ATOMIC_ACQUIRE, (void)0) \
	gen(N, T, op, _release, builtin, __ATOMIC_RELEASE, (void)0)

#define __ATOMIC_FAMILY(N, T) \
static __always_inline T N##_read(const N##_t *a) \
{ \
	return __atomic_load_n(&a->v, __ATOMIC_RELAXED); \
} \
static __always_inline T N##_read_acquire(const N##_t *a) \
{ \
	return __atomic_load_n(&a->v, __ATOMIC_ACQUIRE); \
} \
static __always_inline void N##_set(N##_t *a, T i) \
{ \
	__atomic_store_n(&a->v, i, __ATOMIC_RELAXED); \
} \
static __always_inline void N##_set_release(N##_t *a, T i) \
{ \
	__atomic_store_n(&a->v, i, __ATOMIC_RELEASE); \
} \
__ATOMIC_OP(N, T, add, __atomic_fetch_add) \
__ATOMIC_OP(N, T, sub, __atomic_fetch_sub) \
__ATOMIC_OP(N, T, and, __atomic_fetch_and) \
__ATOMIC_OP(N, T, or, __atomic_fetch_or) \
__ATOMIC_OP(N, T, xor, __atomic_fetch_xor) \
__ATOMIC_ORDERS(__ATOMIC_FETCH, N, T, add, __atomic_fetch_add) \
__ATOMIC_ORDERS(__ATOMIC_FETCH, N, T, sub, __atomic_fetch_sub) \
__ATOMIC_ORDERS(__ATOMIC_FETCH, N, T, and, __atomic_fetch_and) \
__ATOMIC_ORDERS(__ATOMIC_FETCH, N, T, or, __atomic_fetch_or) \
__ATOMIC_ORDERS(__ATOMIC_FETCH, N, T, xor, __atomic_fetch_xor) \
__ATOMIC_ORDERS(__ATOMIC_RETURN, N, T, add, __atomic_add_fetch) \
__ATOMIC_ORDERS(__ATOMIC_RETURN, N, T, sub, __atomic_sub_fetch) \
__ATOMIC_BY_ONE(N, T, ) \
__ATOMIC_BY_ONE(N, T, _relaxed) \
__ATOMIC_BY_ONE(N, T, _acquire) \
__ATOMIC_BY_ONE(N, T, _release) \
__ATOMIC_XCHG(N, T, ) \
__ATOMIC_XCHG(N, T, _relaxed) \
__ATOMIC_XCHG(N, T, _acquire) \
__ATOMIC_XCHG(N, T, _release) \
static __always_inline void N##_inc(N##_t *a) \
{ \
	N##_add(1, a); \
} \
static __always_inline void N##_dec(N##_t *a) \
{ \
	N##_sub(1, a); \
} \
static __always_inline bool N##_sub_and_test(T i, N##_t *a) \
{ \
	return N##_sub_return(i, a) == 0; \
} \
static __always_inline bool N##_dec_and_test(N##_t *a) \
{ \
	return N##_sub_return(1, a) == 0; \
} \
static __always_inline bool N##_inc_and_test(N##_t *a) \
{ \
	return N##_add_return(1, a) == 0; \
} \
static __always_inline bool N##_add_unless(N##_t *a, T i, T unless) \
{ \
	T old = N##_read(a); \
\
	do { \
		if (old == unless) \
			return false; \
	} while (!N##_try_cmpxchg(a, &old, (T)(old + i))); \
	return true; \
} \
static __always_inline bool N##_inc_not_zero(N##_t *a) \
{ \
	return N##_add_unless(a, 1, 0); \
} \
static __always_inline bool N##_dec_unless_one(N##_t *a) \
{ \
	return N##_add_unless(a, -1, 1); \
}

__ATOMIC_FAMILY(atomic, int)
__ATOMIC_FAMILY(atomic64, s64)
