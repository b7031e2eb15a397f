#pragma once
/*
 * The trap frame and what generic code asks of it; prototypes of the port's user access and signal functions (contract,
 * part 7).
 */
#include <asm/layout.h>
#include <asm/thread.h>

#include "lib/types.h"

struct ksignal;
struct task;

/* As the entry code pushes it (entry.S), lowest address first. */
struct trapframe {
	u64 r15, r14, r13, r12, rbp, rbx;
	u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	u64 vector;		/* of an exception or interrupt, or VEC_SYSCALL, VEC_NONE */
	u64 error;		/* its error code; of a system call its number */
	u64 rip, cs, rflags, rsp, ss;
};

#define ELF_MACHINE		62
#define ELF_HWCAP		((unsigned long)x86_hwcap)
#define ELF_HWCAP2		0ul
#define ELF_PLATFORM		"x86_64"
#define UTS_MACHINE		"x86_64"
#define CLONE_TLS_LAST		1

extern u32 x86_hwcap;		/* CPUID 1, EDX */

/* Programs bring SA_RESTORER: no page of ours is needed. */
#define ARCH_SIGTRAMP_SIZE	((uintptr_t)0)
extern const char arch_sigtramp[];

#define task_trapframe(task)	((struct trapframe *)((uintptr_t)(task)->kstack + KSTACK_SIZE) - 1)

static inline bool tf_user(const struct trapframe *tf)
{
	return tf->cs & 3;
}

static inline uintptr_t tf_pc(const struct trapframe *tf)
{
	return tf->rip;
}

static inline uintptr_t tf_sp(const struct trapframe *tf)
{
	return tf->rsp;
}

static inline uintptr_t tf_fp(const struct trapframe *tf)
{
	return tf->rbp;
}

static inline void tf_set_pc(struct trapframe *tf, uintptr_t pc)
{
	tf->rip = pc;
}

static inline void tf_set_sp(struct trapframe *tf, uintptr_t sp)
{
	tf->rsp = sp;
}

static inline long tf_syscall_nr(const struct trapframe *tf)
{
	return tf->vector == VEC_SYSCALL ? (long)tf->error : -1;
}

static inline unsigned long tf_arg(const struct trapframe *tf, int i)
{
	switch (i) {
	case 0:
		return tf->rdi;
	case 1:
		return tf->rsi;
	case 2:
		return tf->rdx;
	case 3:
		return tf->r10;
	case 4:
		return tf->r8;
	default:
		return tf->r9;
	}
}

static inline void tf_set_return(struct trapframe *tf, long ret)
{
	tf->rax = (u64)ret;
}

static inline long tf_return(const struct trapframe *tf)
{
	return (long)tf->rax;
}

/* `syscall` is two bytes long; the arguments are still in their registers. */
static inline void tf_restart_syscall(struct trapframe *tf)
{
	tf->rax = tf->error;
	tf->rip -= 2;
}

static inline bool arch_user_pc_ok(uintptr_t pc)
{
	return pc < USER_PC_LIMIT;
}
