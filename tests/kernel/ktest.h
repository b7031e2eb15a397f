#pragma once
/*
 * In-kernel tests (debug builds). A test is a function in a suite; it runs in a kernel thread that may sleep, all CPUs
 * up, before init. The runner counts free pages and slab objects before and after each test: a difference is a failure.
 * Output is KTAP.
 *
 *	KTEST(palloc, split_and_merge)
 *	{
 *		KT_ASSERT(...);		// ends the test
 *		KT_EXPECT(...);		// goes on
 *	}
 *
 * The kernel option test=PATTERN chooses: "suite", "suite.name", a trailing * matches anything, "none" runs nothing.
 */
#include "kernel/timer.h"
#include "lib/types.h"

struct ktest {
	const char *suite, *name;
	void (*fn)(void);
};

#define KTEST(suite_, name_)                                                           \
	static void ktest_##suite_##_##name_(void);                                    \
	static const struct ktest __attribute__((used, section("ktests"), aligned(8))) \
	ktest_desc_##suite_##_##name_ = { #suite_, #name_, ktest_##suite_##_##name_ }; \
	static void ktest_##suite_##_##name_(void)

void kt_fail(const char *file, int line, const char *fmt, ...) __printf(3, 4);
/** The test can not run here; the reason is printed. The test must return at once. */
void kt_skip(const char *fmt, ...) __printf(1, 2);
void kt_diag(const char *fmt, ...) __printf(1, 2);

#define KT_EXPECT(cond)                                                                                                \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			kt_fail(__FILE__, __LINE__, "%s", #cond);                                                      \
	} while (0)
#define KT_ASSERT(cond)                                                                                                \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			kt_fail(__FILE__, __LINE__, "%s", #cond);                                                      \
			return;                                                                                        \
		}                                                                                                      \
	} while (0)
/** Two numbers that must be equal; both are printed if not. */
#define KT_EQ(a, b)                                                                                                    \
	do {                                                                                                           \
		long long __a = (long long)(a), __b = (long long)(b);                                                  \
		if (__a != __b)                                                                                        \
			kt_fail(__FILE__, __LINE__, "%s is %lld, %s is %lld", #a, __a, #b, __b);                       \
	} while (0)

/** By then it has happened or never will: a busy host may keep a CPU from running for seconds. */
#define SOON (clock_ns() + 15 * NSEC_PER_SEC)

/**
 * Run fn(arg) in `n` kernel threads at once, on CPUs 0, 1, ... in turn, and wait for all. Returns how many could not be
 * created.
 */
unsigned kt_threads(unsigned n, int (*fn)(void *), void *arg);
/**
 * Set a knob ("vm.gather_runs", "0") until the case ends; then it gets its old value back. Returns knob_write's error,
 * and fails the case if it is another one than -EOPNOTSUPP. Sleeps.
 */
int kt_set(const char *knob, const char *value);
/** Memory that caches hold back is given up: call before counting. */
void kt_settle(void);
/**
 * Free pages and those in caches and tables that are kept: what must be the same before and after. The free pages alone
 * need not be: an object may come back on another CPU than it was taken on, and its slab with it.
 */
u64 kt_free_pages(void);
/** Seed of this run: test.seed=N on the command line; printed with a failure. */
u64 kt_seed(void);

void ktest_boot(void);
