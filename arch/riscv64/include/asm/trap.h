#pragma once
/*
 * The trap frame and what generic code asks of it; prototypes of the port's user access and program functions
 * (contract, part 7).
 */
#include <asm/layout.h>
#include <asm/thread.h>

#include "lib/types.h"

struct cpu;
struct ksignal;
struct task;

/* As the entry code fills it (entry.S). The first 32 words are Linux's struct user_regs_struct. */
struct trapframe {
	u64 pc;
	u64 ra, sp, gp, tp, t0, t1, t2, s0, s1;
	u64 a[8];
	u64 s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
	u64 t3, t4, t5, t6;
	u64 status;		/* sstatus of a trap from the kernel; 0: from user mode */
	/*
	 * The number of a system call, else negative. The way back from a system call loads no callee-saved register,
	 * because C code preserved them; whoever changes one of them, or must not have the call restarted, sets -1.
	 */
	s64 nr;
	u64 orig_a0;		/* of a system call: first argument */
	struct cpu *cpu;	/* of a user frame: where the task runs */
};

#define ELF_MACHINE		243
#define ELF_HWCAP		((unsigned long)rv_hwcap)
#define ELF_HWCAP2		0ul
#define ELF_PLATFORM		"riscv64"
#define UTS_MACHINE		"riscv64"
#define CLONE_TLS_LAST		0

extern u64 rv_hwcap;			/* bit n: extension 'a' + n */

extern const char arch_sigtramp[];
extern const char rv_sigtramp_end[];
#define ARCH_SIGTRAMP_SIZE	((uintptr_t)(rv_sigtramp_end - arch_sigtramp))

#define task_trapframe(task)	((struct trapframe *)((uintptr_t)(task)->kstack + KSTACK_SIZE) - 1)

static inline bool tf_user(const struct trapframe *tf)
{
	return !(tf->status & SR_SPP);
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
	return tf->s0;
}

static inline void tf_set_pc(struct trapframe *tf, uintptr_t pc)
{
	tf->pc = pc;
}

static inline void tf_set_sp(struct trapframe *tf, uintptr_t sp)
{
	tf->sp = sp;
}

static inline long tf_syscall_nr(const struct trapframe *tf)
{
	return (long)tf->nr;
}

static inline unsigned long tf_arg(const struct trapframe *tf, int i)
{
	return i ? tf->a[i] : tf->orig_a0;
}

static inline void tf_set_return(struct trapframe *tf, long ret)
{
	tf->a[0] = (u64)ret;
}

static inline long tf_return(const struct trapframe *tf)
{
	return (long)tf->a[0];
}

/* ecall is four bytes long. */
static inline void tf_restart_syscall(struct trapframe *tf)
{
	tf->a[0] = tf->orig_a0;
	tf->pc -= 4;
	tf->nr = -1;	/* a0 is no result now, and must not be taken for one */
}

/* sret takes any address: a bad one faults in user mode. */
static inline bool arch_user_pc_ok(uintptr_t pc)
{
	return true;
}
