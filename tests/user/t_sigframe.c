/*
 * t_sigframe: what a signal handler runs on and what it leaves. Registers, the mask in the context, alternate stacks.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <sys/time.h>
#include <ucontext.h>

#include "tests/user/ktap.h"
#include "tests/user/sig.h"

/* What a handler does to registers, floating point included, must not be seen. */
static volatile double pollution;

static void pollute(int sig)
{
	volatile double x = sig;

	for (int i = 1; i < 20; i++)
		x = x * 1.5 + (double)i / 3;
	pollution = x;
	count++;
}

/* What the compiler may not know, or it would compute all in advance. */
static volatile uint64_t hash_of_nothing = 1469598103934665603ull;
static volatile double one = 1;

static uint64_t compute(void)
{
	uint64_t hash = hash_of_nothing;
	double sum = 0, x = one;

	for (int i = 1; i < 20000; i++) {
		hash = (hash ^ (uint64_t)i) * 1099511628211ull;
		x = x * 1.0000001 + 1.0 / i;
		sum += x / (i + 0.5);
	}
	return hash ^ (uint64_t)(sum * 1e6);
}

static void registers_survive(void)
{
	struct itimerval it = { .it_value = { .tv_usec = 2000 }, .it_interval = { .tv_usec = 2000 } };
	uint64_t expected = compute();
	int rounds = ktap_scale(100);

	handle(SIGALRM, pollute, SA_RESTART);
	CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
	for (int i = 0; i < rounds || count < 20; i++)
		REQUIRE(compute() == expected);
	memset(&it, 0, sizeof(it));
	CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
	diag("%d signals", (int)count);
}

static void block_usr2(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static void handler_changes_the_mask(void)
{
	struct sigaction sa;
	sigset_t now;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = block_usr2;
	sa.sa_flags = SA_SIGINFO;
	CHECK_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	CHECK(sigismember(&now, SIGUSR2));
	CHECK(!sigismember(&now, SIGUSR1));
}

static sigjmp_buf jump;

static void jump_out(int sig)
{
	siglongjmp(jump, sig);
}

static void longjmp_restores_the_mask(void)
{
	sigset_t now;

	handle(SIGUSR1, jump_out, 0);
	for (volatile int i = 0; i < 5; i++) {
		if (!sigsetjmp(jump, 1)) {
			kill(getpid(), SIGUSR1);
			CHECK(!"the handler returned");
		}
		CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
		CHECK(!sigismember(&now, SIGUSR1));
	}
}

static char alternate[65536] __attribute__((aligned(16)));
static volatile bool on_alternate, flagged;
static volatile int change_errno;

static void look_at_stack(int sig)
{
	volatile char here = 0;
	stack_t now, other = { .ss_sp = alternate, .ss_size = sizeof(alternate) };

	(void)sig;
	on_alternate = (char *)&here >= alternate && (char *)&here < alternate + sizeof(alternate);
	flagged = sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_ONSTACK);
	change_errno = sigaltstack(&other, NULL) ? errno : 0;
	count++;
}

static void alternate_stack(void)
{
	stack_t ss = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, old;

	CHECK_EQ(sigaltstack(NULL, &old), 0);
	CHECK(old.ss_flags & SS_DISABLE);
	CHECK_EQ(sigaltstack(&ss, NULL), 0);
	CHECK_EQ(sigaltstack(NULL, &old), 0);
	CHECK(old.ss_sp == alternate && old.ss_size == sizeof(alternate) && old.ss_flags == 0);
	handle(SIGUSR1, look_at_stack, SA_ONSTACK);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK(count == 1 && on_alternate && flagged);
	CHECK_EQ(change_errno, EPERM);
	handle(SIGUSR1, look_at_stack, 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK(count == 2 && !on_alternate && !flagged);
	ss.ss_flags = SS_DISABLE;
	CHECK_EQ(sigaltstack(&ss, NULL), 0);
	handle(SIGUSR1, look_at_stack, SA_ONSTACK);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK(count == 3 && !on_alternate);
}

static void alternate_stack_errors(void)
{
	stack_t ss = { .ss_sp = alternate, .ss_size = 100 };

	CHECK_ERR(sigaltstack(&ss, NULL), ENOMEM);
	ss.ss_size = sizeof(alternate);
	ss.ss_flags = 0x40;
	CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
}

static const struct ktap_case cases[] = {
	CASE(registers_survive), CASE(handler_changes_the_mask), CASE(longjmp_restores_the_mask),
	CASE(alternate_stack), CASE(alternate_stack_errors),
};

KTAP_MAIN(cases)
