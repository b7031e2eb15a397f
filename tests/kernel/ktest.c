/* The runner of in-kernel tests: see ktest.h. */
#include "tests/kernel/ktest.h"

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/lazy_tlb.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/workqueue.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/zap.h"

extern const struct ktest __start_ktests[], __stop_ktests[];

static const char *opt_test = "none";
static unsigned opt_seed = 1;
BOOT_OPTION(option_test) = {
	.name = "test",
	.type = CMDLINE_STRING,
	.string = &opt_test,
	.help = "in-kernel tests to run before init: suite, suite.name, * at the end matches anything"
};
BOOT_OPTION(option_seed) = {
	.name = "test.seed", .type = CMDLINE_UINT, .uint = &opt_seed, .max = 0xffffffff, .help = "seed of random tests"
};

static unsigned failures;	/* atomic. of the test that runs */
static bool skipped;
static char skip_reason[120];

static void out(const char *fmt, ...)
{
	char buf[300];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvscnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	console_write(buf, (size_t)n);
}

#define MAX_FAILURES	20	/* printed, of one test */

void kt_fail(const char *file, int line, const char *fmt, ...)
{
	char msg[200];
	va_list ap;
	unsigned n = __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);

	if (n >= MAX_FAILURES) {
		if (n == MAX_FAILURES)
			out("    # and more\n");
		return;
	}
	va_start(ap, fmt);
	kvscnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	out("    # %s:%d: %s\n", file, line, msg);
}

void kt_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvscnprintf(skip_reason, sizeof(skip_reason), fmt, ap);
	va_end(ap);
	skipped = true;
}

void kt_diag(const char *fmt, ...)
{
	char msg[200];
	va_list ap;

	va_start(ap, fmt);
	kvscnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	out("    # %s\n", msg);
}

u64 kt_seed(void)
{
	return opt_seed;
}

static bool match_one(const char *pattern, size_t len, const char *name)
{
	if (len && pattern[len - 1] == '*')
		return !strncmp(pattern, name, len - 1);
	return strlen(name) == len && !strncmp(pattern, name, len);
}

/* Comma-separated patterns. */
static bool matches(const struct ktest *t)
{
	char full[80];
	const char *p = opt_test;

	kscnprintf(full, sizeof(full), "%s.%s", t->suite, t->name);
	for (;;) {
		const char *end = strchr(p, ',');
		size_t len = end ? (size_t)(end - p) : strlen(p);

		if (match_one(p, len, full) || match_one(p, len, t->suite))
			return true;
		if (!end)
			return false;
		p = end + 1;
	}
}

static void unlazy(void *unused)
{
	lazy_tlb_unlazy();
}

/* ---- knobs that the case has changed ---- */

static struct {
	const struct knob *knob;
	char value[32];
} saved[8];

int kt_set(const char *name, const char *value)
{
	const struct knob *k = knob_find(name);
	unsigned i = 0;
	int err;

	if (!k) {
		kt_fail(name, 0, "no such knob");
		return -ENOENT;
	}
	while (saved[i].knob && saved[i].knob != k)
		i++;
	if (!saved[i].knob) {
		knob_show(k, saved[i].value, sizeof(saved[i].value));
		saved[i].knob = k;
	}
	err = knob_write(k, value);
	if (err && err != -EOPNOTSUPP)
		kt_fail(name, 0, "can not be set to %s: error %d", value, err);
	return err;
}

static void restore_knobs(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(saved) && saved[i].knob; i++) {
		knob_write(saved[i].knob, saved[i].value);
		saved[i].knob = NULL;
	}
}

static void nothing(void *unused)
{
}

void kt_settle(void)
{
	call_on_cpus(&cpu_online_mask, unlazy, NULL, true);
	lazy_tlb_drain();
	flush_workqueue(free_workqueue());	/* a worker that is still busy would not be counted as one too many */
	workqueue_trim();
	rcu_barrier();
	/*
	 * A thread that was stopped may be on its way out yet. For the grace period its CPU has begun to switch, with
	 * interrupts off until the thread has been handed to RCU: so that has happened when the CPU answers.
	 */
	call_on_cpus(&cpu_online_mask, nothing, NULL, true);
	rcu_barrier();	/* callbacks of the first may have queued more, too */
	kstack_drain();
	pt_drain_roots();
	slab_drain();
}

struct group {
	int (*fn)(void *);
	void *arg;
};

unsigned kt_threads(unsigned n, int (*fn)(void *), void *arg)
{
	struct task *t[64];
	unsigned missing = 0;

	n = min(n, 64u);
	for (unsigned i = 0; i < n; i++) {
		t[i] = kthread_run_on(i % nr_cpus, fn, arg, "kt/%u", i);
		missing += IS_ERR(t[i]);
	}
	for (unsigned i = 0; i < n; i++)
		if (!IS_ERR(t[i]))
			kthread_stop(t[i]);
	return missing;
}

u64 kt_free_pages(void)
{
	return nr_free_pages() + slab_pages_total() + pid_table_pages();
}

static void run_test(const struct ktest *t, unsigned nr)
{
	unsigned helper_pages = zap_helper_pages;
	u64 pages, objects, start;

	failures = 0;
	skipped = false;
	kt_settle();
	pages = kt_free_pages();
	objects = slab_objects_total();
	start = clock_ns();
	t->fn();
	restore_knobs();
	zap_helper_pages = helper_pages;
	kt_settle();
	if (kt_free_pages() != pages)
		kt_fail(t->suite, 0, "%lld pages were not given back", (long long)(pages - kt_free_pages()));
	if (slab_objects_total() != objects)
		kt_fail(t->suite, 0, "%lld slab objects were not given back",
			(long long)(slab_objects_total() - objects));
	palloc_check();
	out("    %s %u %s%s%s # %llu ms\n", failures ? "not ok" : "ok", nr, t->name, skipped ? " # SKIP " : "",
	    skipped ? skip_reason : "", (unsigned long long)((clock_ns() - start) / NSEC_PER_MSEC));
	if (failures)
		out("    # replay: make run DEBUG=1 SMP=%u APPEND='test=%s.%s test.seed=%u'\n", nr_cpus, t->suite,
		    t->name, opt_seed);
}

/* Tests of a suite stand in one file, so they are neighbours in the section. */
static const struct ktest *suite_end(const struct ktest *t)
{
	const struct ktest *e = t;

	while (e < __stop_ktests && !strcmp(e->suite, t->suite))
		e++;
	return e;
}

static unsigned count_matching(const struct ktest *t, const struct ktest *end)
{
	unsigned n = 0;

	for (; t < end; t++)
		n += matches(t);
	return n;
}

/*
 * Page tables of the kernel's address space are never given back: those that tests will want for stacks are made before
 * pages are counted.
 */
static void make_stack_tables(void)
{
	static void *stacks[192];
	unsigned n = 0;

	while (n < ARRAY_SIZE(stacks) && (stacks[n] = kstack_alloc(NODE_ANY)))
		n++;
	while (n)
		kstack_free(stacks[--n]);
	kstack_drain();
}

void ktest_boot(void)
{
	unsigned suites = 0, nr = 0;

	for (const struct ktest *t = __start_ktests; t < __stop_ktests; t = suite_end(t))
		suites += count_matching(t, suite_end(t)) != 0;
	if (!suites)
		return;
	make_stack_tables();
	out("KTAP version 1\n1..%u\n", suites);
	for (const struct ktest *t = __start_ktests, *end; t < __stop_ktests; t = end) {
		unsigned n, i = 0;
		bool bad = false;

		end = suite_end(t);
		n = count_matching(t, end);
		if (!n)
			continue;
		out("    KTAP version 1\n    # Subtest: %s\n    1..%u\n", t->suite, n);
		for (const struct ktest *k = t; k < end; k++) {
			if (!matches(k))
				continue;
			run_test(k, ++i);
			bad |= failures != 0;
		}
		out("%s %u %s\n", bad ? "not ok" : "ok", ++nr, t->suite);
	}
}
