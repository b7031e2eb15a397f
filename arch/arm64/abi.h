#pragma once
/* The ABI half of the port: what entry.S, trap.c, thread.c, fpu.S and features.c offer to the other files. */
#include "lib/types.h"

struct seq;
struct task;
struct trapframe;

/* entry.S */
extern char a64_vectors[]; /* for VBAR_EL1 */
extern char a64_kernel_thread[], a64_user_thread[];

/* fpu.S: between the registers and task->thread.fp */
void a64_fp_save(struct task *t);
void a64_fp_load(const struct task *t);

/* features.c */
/**
 * Finds out what programs may use (ELF_HWCAP), and puts PAN into usercopy.S where the CPU has it. Once, on the boot
 * CPU, while the kernel's text can be written and before the first user access.
 */
void a64_user_init(void);
/** What user mode and user memory need on each CPU. Interrupts off. */
void a64_user_cpu_init(void);
/** The line "Features" of /proc/cpuinfo. */
void a64_cpuinfo_features(struct seq *m);
extern u64 a64_user_pstate; /* bits of PSTATE that sigreturn may set */

/* trap.c: called by entry.S with interrupts off */
void a64_user_sync(struct trapframe *tf, u64 esr);
void a64_user_irq(struct trapframe *tf);
void a64_kernel_sync(struct trapframe *tf, u64 esr);
void a64_kernel_irq(struct trapframe *tf);
void a64_unexpected(struct trapframe *tf, u64 esr) __noreturn;
void a64_stack_overflow(struct trapframe *tf, u64 esr) __noreturn;
