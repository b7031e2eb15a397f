/*
 * crash WAY: die in a given way, which the kernel must survive. Without a way, list them with the signal that each
 * ends in. A program that lives on says so and exits with 3.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Volatile, so that the compiler neither folds nor refuses the nonsense below. */
static volatile uintptr_t zero;
static volatile int int_zero, dividend = 12345;
static volatile int sink;

/* Never run: it is fetched from a page that is not executable. */
static unsigned char data_code[64] __attribute__((aligned(64)));

static void null_read(void)
{
	sink = *(volatile int *)zero;
}

static void null_write(void)
{
	*(volatile int *)zero = 1;
}

static void null_call(void)
{
	((void (*)(void))zero)();
}

static void text_write(void)
{
	*(volatile unsigned char *)(uintptr_t)null_read = 0;
}

static void data_exec(void)
{
	((void (*)(void))(uintptr_t)data_code)();
}

static void stack_exec(void)
{
	volatile unsigned char code[64] = { 0 };

	((void (*)(void))(uintptr_t)code)();
}

/* The upper half of the address space belongs to the kernel on every architecture we know. */
static void kernel_read(void)
{
	sink = *(volatile int *)(zero + (UINTPTR_MAX << 31));
}

static void kernel_write(void)
{
	*(volatile int *)(zero + (UINTPTR_MAX << 31)) = 1;
}

static void kernel_jump(void)
{
	((void (*)(void))(zero + (UINTPTR_MAX << 31)))();
}

/* Neither user nor kernel: beyond the bits that page tables translate. */
static void noncanonical(void)
{
	sink = *(volatile int *)(zero + ((uintptr_t)1 << 62) + 0x1000);
}

static void illegal(void)
{
	__builtin_trap();
}

static void divide(void)
{
	sink = dividend / int_zero;
	puts("this machine divides by zero without a trap");
	exit(0);
}

static int recurse(int n)
{
	volatile char frame[1024];

	frame[n % 1024] = (char)n;
	if (int_zero)
		return 0;
	return recurse(n + 1) + frame[n % 1024];
}

static void stack_overflow(void)
{
	sink = recurse(0);
}

static void *recursing_thread(void *arg)
{
	stack_overflow();
	return arg;
}

static void thread_overflow(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, recursing_thread, NULL))
		pthread_join(thread, NULL);
}

/* A signal frame that does not fit anywhere: the process must die, not loop. */
static void bad_signal_stack(void)
{
	static const struct rlimit small = { .rlim_cur = 65536, .rlim_max = 65536 };
	struct sigaction sa;

	setrlimit(RLIMIT_STACK, &small);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_IGN;
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_handler = (void (*)(int))(uintptr_t)null_read;
	sigaction(SIGSEGV, &sa, NULL);
	stack_overflow();
}

static void unmapped_handler(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = (void (*)(int))(zero + 0x10);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
}

static void abort_self(void)
{
	abort();
}

static void kill_self(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

static const struct {
	const char *name, *how;
	void (*die)(void);
} ways[] = {
	{ "null-read", "SIGSEGV", null_read },
	{ "null-write", "SIGSEGV", null_write },
	{ "null-call", "SIGSEGV", null_call },
	{ "text-write", "SIGSEGV", text_write },
	{ "data-exec", "SIGSEGV", data_exec },
	{ "stack-exec", "SIGSEGV", stack_exec },
	{ "kernel-read", "SIGSEGV", kernel_read },
	{ "kernel-write", "SIGSEGV", kernel_write },
	{ "kernel-jump", "SIGSEGV", kernel_jump },
	{ "noncanonical", "SIGSEGV", noncanonical },
	{ "illegal", "SIGILL or SIGTRAP", illegal },
	{ "divide", "SIGFPE, or exit 0 where division by zero does not trap", divide },
	{ "stack-overflow", "SIGSEGV", stack_overflow },
	{ "thread-overflow", "SIGSEGV", thread_overflow },
	{ "bad-signal-stack", "SIGSEGV", bad_signal_stack },
	{ "unmapped-handler", "SIGSEGV", unmapped_handler },
	{ "abort", "SIGABRT", abort_self },
	{ "kill", "SIGKILL", kill_self },
};
#define NR_WAYS (sizeof(ways) / sizeof(ways[0]))

int main(int argc, char **argv)
{
	if (argc == 1) {
		for (size_t i = 0; i < NR_WAYS; i++)
			printf("%-18s %s\n", ways[i].name, ways[i].how);
		return 0;
	}
	for (size_t i = 0; i < NR_WAYS; i++) {
		if (strcmp(argv[1], ways[i].name) != 0)
			continue;
		ways[i].die();
		printf("crash: %s was survived\n", argv[1]);
		return 3;
	}
	fprintf(stderr, "crash: unknown way '%s'\n", argv[1]);
	return 2;
}
