/*
 * fault.h: touching memory that may not be there. The signal is caught and reported instead of dying.
 *
 * One thread at a time per thread of execution: the jump buffer is thread-local, the handler is process-wide.
 */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <string.h>

static __thread sigjmp_buf fault_jump;
static __thread volatile int fault_armed;
static __thread volatile int fault_signal, fault_code;
static __thread void *volatile fault_address;

static inline void fault_handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!fault_armed) {
		signal(sig, SIG_DFL);
		return;
	}
	fault_signal = sig;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(fault_jump, 1);
}

/* Catch SIGSEGV and SIGBUS from now on; unexpected ones still kill. */
static inline void fault_catch(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = fault_handler;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* Read a byte; returns 0, or the signal that it raised (fault_code and fault_address say more). */
static inline int fault_read(const volatile void *p)
{
	fault_signal = 0;
	if (!sigsetjmp(fault_jump, 0)) {
		fault_armed = 1;
		(void)*(const volatile char *)p;
	}
	fault_armed = 0;
	return fault_signal;
}

/* Write a byte; otherwise as fault_read(). */
static inline int fault_write(volatile void *p, char value)
{
	fault_signal = 0;
	if (!sigsetjmp(fault_jump, 0)) {
		fault_armed = 1;
		*(volatile char *)p = value;
	}
	fault_armed = 0;
	return fault_signal;
}
