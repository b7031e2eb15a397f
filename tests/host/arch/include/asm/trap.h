#pragma once
/*
 * The host port's traps: there are none but page faults, which tests/host/arch/mmu.c hands to handle_mm_fault() itself.
 */
#include "lib/types.h"

struct task;

struct trapframe {
	uintptr_t pc, sp;
	unsigned long args[6];
	long ret;
	bool user;
};

static inline bool tf_user(const struct trapframe *tf)
{
	return tf->user;
}

static inline uintptr_t tf_pc(const struct trapframe *tf)
{
	return tf->pc;
}

static inline uintptr_t tf_sp(const struct trapframe *tf)
{
	return tf->sp;
}

static inline uintptr_t tf_fp(const struct trapframe *tf)
{
	return 0;
}

static inline void tf_set_pc(struct trapframe *tf, uintptr_t pc)
{
	tf->pc = pc;
}

#define ARCH_SIGTRAMP_SIZE	16
extern const char arch_sigtramp[];

/* Through current's tables, as an access by the CPU. Bytes not copied. */
size_t arch_copy_from_user(void *dst, const void *usrc, size_t n);
size_t arch_copy_to_user(void *udst, const void *src, size_t n);
size_t arch_clear_user(void *udst, size_t n);
