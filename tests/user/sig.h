/*
 * sig.h: helpers of the signal tests. Handlers that note what came, and short forms of sigaction and sigprocmask.
 */
#pragma once

#include "tests/user/ktap.h"

static volatile sig_atomic_t count __attribute__((unused)), last __attribute__((unused));
static volatile siginfo_t last_info __attribute__((unused));

static inline void note(int sig)
{
	count++;
	last = sig;
}

static inline void note_info(int sig, siginfo_t *info, void *context)
{
	(void)context;
	count++;
	last = sig;
	memcpy((void *)&last_info, info, sizeof(*info));
}

static inline void handle(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = fn;
	sa.sa_flags = flags;
	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

static inline void handle_info(int sig)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = note_info;
	sa.sa_flags = SA_SIGINFO;
	CHECK_EQ(sigaction(sig, &sa, NULL), 0);
}

static inline void mask(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	CHECK_EQ(sigprocmask(how, &set, NULL), 0);
}

static inline bool pending(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	CHECK_EQ(sigpending(&set), 0);
	return sigismember(&set, sig) == 1;
}

/*
 * A child sends sig to this process every ms milliseconds, until stop_sending(): once would be too early where this
 * process is slow to get to the call that is to be interrupted.
 */
static inline pid_t send_later(int ms, int sig)
{
	pid_t me = getpid(), pid = must_fork();

	if (pid == 0) {
		do
			msleep(ms);
		while (!kill(me, sig));
		_exit(1);
	}
	return pid;
}

static inline void stop_sending(pid_t pid)
{
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}
