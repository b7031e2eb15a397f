#pragma once
/*
 * THE CONTRACT, part 8: threads.
 *
 *   struct arch_thread	in struct task: saved kernel stack pointer, TLS base, FPU state (inline or pointer).
 *   KSTACK_SIZE		bytes of a kernel stack, a power of two of at least 8 KiB; generic code puts a guard
 *   page
 *   below.
 *
 *   struct task *arch_switch(struct task *prev, struct task *next)
 *	Interrupts are off, the run queue's lock is held. Saves callee-saved registers, the TLS base and (if used) the
 *	FPU state of prev, loads next's, sets arch_current() and the kernel stack that traps from user mode will use.
 *	Returns, on next's stack, the task that ran before it. The address space was switched before.
 *   void arch_thread_kernel(struct task *t, void (*fn)(void *), void *arg)
 *	t will start in schedule_tail(prev) (kernel/sched.c), then fn(arg), with interrupts on. If fn returns, the task
 *	goes to user mode through task_trapframe(t), which arch_start_user() filled in meanwhile: so init becomes a
 *	program.
 *   int arch_thread_user(struct task *t, const struct trapframe *parent, uintptr_t sp, uintptr_t tls, bool set_tls)
 *	t will start in schedule_tail(prev), then return to user mode like `parent` with return value 0; sp == 0 keeps
 *	parent's. Copies the current task's FPU and TLS state. 0 or -ENOMEM.
 *   void arch_thread_exec(struct task *t)	current: a new program starts with clean FPU and TLS state
 *   void arch_thread_free(struct task *t)	the task will never run again; idempotent
 *   Neither call sleeps. The kernel itself does not use the FPU.
 *
 *   backtraces: bool arch_unwind(uintptr_t *fp, uintptr_t *pc)	one frame up from frame pointer *fp; false at the end or
 *	if the frame can not be read (the port checks that fp lies in kernel stack space before it dereferences)
 *   uintptr_t arch_saved_fp(struct task *)	of a task that is not running
 */
#include "lib/types.h"

struct task;
struct trapframe;

#include <asm/thread.h>

struct task *arch_switch(struct task *prev, struct task *next);
void arch_thread_kernel(struct task *t, void (*fn)(void *), void *arg);
int arch_thread_user(struct task *t, const struct trapframe *parent, uintptr_t sp, uintptr_t tls, bool set_tls);
void arch_thread_exec(struct task *t);
void arch_thread_free(struct task *t);
bool arch_unwind(uintptr_t *fp, uintptr_t *pc);
uintptr_t arch_saved_fp(struct task *t);
