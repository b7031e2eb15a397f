/*
 * t_registers: a register that compilers leave alone, so that only a kernel that saves it keeps it: each thread has its
 * own, a handler's changes end with the handler, and a new program starts with the ABI's value.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <sched.h>

#include "tests/user/ktap.h"
#include "tests/user/sig.h"
#include "tests/user/threads.h"

/* INITIAL: in a new program. value(i): another one for each i, which changes nothing that C code here would notice. */
#if defined(__powerpc64__)
#define INITIAL	 0u
#define value(i) (0x01020304u * (unsigned)(i))
#define SET(v)	 __asm__ volatile("mtspr 256, %0" : : "r"(v))	/* VRSAVE */
#define GET(v)	 __asm__ volatile("mfspr %0, 256" : "=r"(v))
#elif defined(__x86_64__)
#define INITIAL	 0x1f80u
#define value(i) (INITIAL | ((unsigned)(i) & 3) << 13)		/* how MXCSR rounds */
#define SET(v)	 __asm__ volatile("ldmxcsr %0" : : "m"(v))
#define GET(v)	 __asm__ volatile("stmxcsr %0" : "=m"(v))
#elif defined(__aarch64__)
#define INITIAL	 0u
#define value(i) (((unsigned)(i) & 3) << 22)
#define SET(v)	 __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)(v)))
#define GET(v)	 do { uint64_t w; __asm__ volatile("mrs %0, fpcr" : "=r"(w)); (v) = (unsigned)w; } while (0)
#elif defined(__riscv)
#define INITIAL	 0u
#define value(i) (((unsigned)(i) & 3) << 5)
#define SET(v)	 __asm__ volatile("fscsr %0" : : "r"(v))
#define GET(v)	 __asm__ volatile("frcsr %0" : "=r"(v))
#endif

static void set(unsigned v)
{
	SET(v);
}

static unsigned get(void)
{
	unsigned v;

	GET(v);
	return v;
}

static void *keeps_its_own(void *arg)
{
	unsigned mine = value((long)arg);

	set(mine);
	for (int i = 0; i < ktap_scale(200); i++) {
		sched_yield();
		if (get() != mine)
			return arg;
	}
	return NULL;
}

/* All on one CPU, so that they take turns. */
static void each_thread_has_its_own(void)
{
	enum { N = 4 };
	pthread_t t[N];
	cpu_set_t one;
	int cpu = sched_getcpu();

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
	for (long i = 0; i < N; i++)
		t[i] = start(keeps_its_own, (void *)(i + 1));
	for (int i = 0; i < N; i++)
		CHECK(!join(t[i]));
}

static void *what_it_is(void *arg)
{
	*(unsigned *)arg = get();
	return NULL;
}

static void new_threads_and_children_inherit(void)
{
	unsigned seen = 0;
	int status;
	pid_t pid;

	set(value(2));
	join(start(what_it_is, &seen));
	CHECK_EQ(seen, value(2));
	pid = fork();
	if (!pid)
		_exit(get() != value(2));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void change(int sig)
{
	set(value(3));
	count++;
}

static void handlers_do_not_change_it(void)
{
	handle(SIGUSR1, change, 0);
	set(value(1));
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(get(), value(1));
	set(value(2));
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(get(), value(2));
	CHECK_EQ(count, 2);
}

static void a_program_starts_with_the_initial_value(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		set(value(1));
		execl("/proc/self/exe", "t_registers", "--check-initial", (char *)NULL);
		_exit(99);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static const struct ktap_case cases[] = {
	CASE(each_thread_has_its_own), CASE(new_threads_and_children_inherit), CASE(handlers_do_not_change_it),
	CASE(a_program_starts_with_the_initial_value),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--check-initial"))
		return get() != INITIAL;
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
