#pragma once
/*
 * The trap frame and what generic code asks of it; prototypes of the port's user access and program functions
 * (contract, part 7).
 */
#include <asm/layout.h>
#include <asm/thread.h>

#include "lib/types.h"

struct ksignal;
struct task;

/* As the entry code fills it (entry.S). The first 34 words are Linux's struct user_pt_regs. */
struct trapframe {
	u64 x[31];
	u64 sp;
	u64 pc;
	u64 pstate; /* SPSR_EL1 */
	/*
	 * The number of a system call, else negative. The way back from a system call loads no callee-saved register,
	 * because C code preserved them; whoever changes one of them, or must not have the call restarted, sets -1.
	 */
	s64 nr;
	u64 orig_x0; /* of a system call: first argument */
};

#define ELF_MACHINE    183
#define ELF_HWCAP      a64_hwcap
#define ELF_HWCAP2     0ul
#define ELF_PLATFORM   "aarch64"
#define UTS_MACHINE    "aarch64"
#define CLONE_TLS_LAST 0

extern unsigned long a64_hwcap; /* Linux's HWCAP_*, constant after boot */

extern const char arch_sigtramp[];
extern const char a64_sigtramp_end[];
#define ARCH_SIGTRAMP_SIZE ((uintptr_t)(a64_sigtramp_end - arch_sigtramp))

#define task_trapframe(task) ((struct trapframe *)((uintptr_t)(task)->kstack + KSTACK_SIZE) - 1)

static inline bool tf_user(const struct trapframe *tf)
{
	return !(tf->pstate & PSR_MODE);
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
	return tf->x[29];
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
	return i ? tf->x[i] : tf->orig_x0;
}

static inline void tf_set_return(struct trapframe *tf, long ret)
{
	tf->x[0] = (u64)ret;
}

static inline long tf_return(const struct trapframe *tf)
{
	return (long)tf->x[0];
}

static inline void tf_restart_syscall(struct trapframe *tf)
{
	tf->x[0] = tf->orig_x0;
	tf->pc -= 4;
	tf->nr = -1; /* x0 is no result now, and must not be taken for one */
}

/* eret takes any address: a bad one faults in user mode. */
static inline bool arch_user_pc_ok(uintptr_t pc)
{
	return true;
}
