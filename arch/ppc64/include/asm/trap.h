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

/* As the entry code fills it (entry.S). The layout is Linux's struct pt_regs, so that a signal frame takes it whole. */
struct trapframe {
	u64 gpr[32];
	u64 nip;
	u64 msr;
	u64 orig_r3;		/* of a system call: first argument */
	u64 ctr, link, xer, ccr;
	u64 softe;		/* of a user frame: 1, as programs see it in signal frames */
	/*
	 * Vector of the interrupt. TRAP_SYSCALL: the way back loads nothing but r1-r3, r13, LR and CR, because C code
	 * preserved the other registers that a system call preserves; whoever changes one of them, or must not have the
	 * call restarted, sets 0. TRAP_FINAL: all registers are as the program wants them, there is nothing to return.
	 */
	u64 trap;
	u64 dar, dsisr;		/* of the last page fault */
	u64 amr;		/* of a trap from the kernel; 0 in a user frame */
};

#define TRAP_SYSCALL		0xc00
#define TRAP_FINAL		2
#define CCR_SO			0x10000000ul	/* a system call failed */

#define ELF_MACHINE		21
/* 64 ALTIVEC FPU MMU ICACHE_SNOOP ARCH_2_05 DFP ARCH_2_06 VSX TRUE_LE */
#define ELF_HWCAP		0x5c003582ul
/*
 * ARCH_2_07 ISEL VEC_CRYPTO ARCH_3_00 IEEE128 DARN. Not there: what a switch would have to save and does not (TAR,
 * DSCR, EBB, HTM, MMA), scv, and prefixed instructions (ARCH_3_1).
 */
#define ELF_HWCAP2		0x8ae00000ul
#define ELF_PLATFORM		"power9"
#define UTS_MACHINE		"ppc64le"
#define CLONE_TLS_LAST		0

extern const char arch_sigtramp[];
extern const char ppc_sigtramp_end[];
#define ARCH_SIGTRAMP_SIZE	((uintptr_t)(ppc_sigtramp_end - arch_sigtramp))

#define task_trapframe(task)	((struct trapframe *)((uintptr_t)(task)->kstack + KSTACK_SIZE) - 1)

static inline bool tf_user(const struct trapframe *tf)
{
	return tf->msr & MSR_PR;
}

static inline uintptr_t tf_pc(const struct trapframe *tf)
{
	return tf->nip;
}

static inline uintptr_t tf_sp(const struct trapframe *tf)
{
	return tf->gpr[1];
}

static inline uintptr_t tf_fp(const struct trapframe *tf)
{
	return tf->gpr[1];
}

/* r12 leads a function to its TOC (ELFv2). */
static inline void tf_set_pc(struct trapframe *tf, uintptr_t pc)
{
	tf->nip = pc;
	tf->gpr[12] = pc;
}

static inline void tf_set_sp(struct trapframe *tf, uintptr_t sp)
{
	tf->gpr[1] = sp;
}

static inline long tf_syscall_nr(const struct trapframe *tf)
{
	return tf->trap == TRAP_SYSCALL ? (long)tf->gpr[0] : -1;
}

static inline unsigned long tf_arg(const struct trapframe *tf, int i)
{
	return i ? tf->gpr[3 + i] : tf->orig_r3;
}

/* An error is positive in r3, with the summary overflow bit set in CR0. */
static inline void tf_set_return(struct trapframe *tf, long ret)
{
	if (tf->trap == TRAP_FINAL)
		return;
	if (ret < 0 && ret >= -4095) {
		tf->gpr[3] = (u64)-ret;
		tf->ccr |= CCR_SO;
	} else {
		tf->gpr[3] = (u64)ret;
		tf->ccr &= ~CCR_SO;
	}
}

static inline long tf_return(const struct trapframe *tf)
{
	return tf->ccr & CCR_SO ? -(long)tf->gpr[3] : (long)tf->gpr[3];
}

/* sc is four bytes long. Its other arguments must be loaded again. */
static inline void tf_restart_syscall(struct trapframe *tf)
{
	tf->gpr[3] = tf->orig_r3;
	tf->nip -= 4;
	tf->trap = 0;
}

/* rfid takes any address: a bad one faults in user mode. */
static inline bool arch_user_pc_ok(uintptr_t pc)
{
	return true;
}
