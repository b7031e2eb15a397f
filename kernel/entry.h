#pragma once
/*
 * Between the ports' entry code and the kernel: accounting, system calls, return to user mode. Interrupts are off at
 * every call here.
 */
#include "kernel/cpu.h"
#include "kernel/task.h"

struct trapframe;

/* The time since the last change of mode belongs to the mode that is left. */
static inline void account_user_end(void)
{
	struct cpu *c = this_cpu();
	u64 now = cpu_counter(), d = now - c->stamp;

	c->stamp = now;
	c->user_count += d;
	c->curr->user_count += d;
}

static inline void account_kernel_end(void)
{
	struct cpu *c = this_cpu();
	u64 now = cpu_counter(), d = now - c->stamp;

	c->stamp = now;
	c->kernel_count += d;
	c->curr->kernel_count += d;
}

/** A trap or an interrupt came from user mode. */
static inline void enter_from_user(void)
{
	account_user_end();
}

void do_syscall(struct trapframe *tf);
void exit_to_user(struct trapframe *tf);
void do_page_fault(struct trapframe *tf, uintptr_t addr, unsigned access);
void do_user_exception(struct trapframe *tf, int sig, int code, uintptr_t addr);
void do_kernel_exception(struct trapframe *tf, const char *what, uintptr_t addr);
void do_irq(unsigned irq);
/** irq_exit() may switch tasks only through exit_to_user(): the kernel is not preempted. */
void irq_enter(struct trapframe *tf);
void irq_exit(struct trapframe *tf);
/** Is the exception table able to recover from a fault at tf's pc? Then its pc is the fixup. */
bool fixup_exception(struct trapframe *tf);
bool has_fixup(const struct trapframe *tf);

void kernel_main(void) __noreturn;
void secondary_main(void) __noreturn;
