#pragma once
/*
 * Threads. At the top of each kernel stack lies the frame of the last entry from user mode (task_trapframe), below it
 * the end of the back chain, below that the stack proper. A kernel thread whose function returns goes to user mode
 * through that frame: so init becomes a program.
 *
 * Floating-point and vector registers (all of them are VSX registers): a task's MSR has FP, VEC and VSX off until it
 * uses one of them after each switch. The interrupt that this causes loads the registers and sets all three in the user
 * frame, and that says where the state is: in the CPU if they are set, else here.
 */
#include <asm/layout.h>

#include "lib/types.h"

struct task;

#define KSTACK_SIZE	(1 << KSTACK_SHIFT)

struct arch_thread {
	u64 sp;			/* of a task that does not run; its callee-saved registers lie there */
	u32 fp_valid;		/* 0: never used since exec, what follows vrsave is not initialised */
	u32 vrsave;		/* of a task that does not run, whoever has the vector registers */
	u64 fpscr;
	u64 unused;
	/* As stxv stores them: 0-31 have the floating-point register in [1], 32-63 are Altivec's. */
	u64 vsr[64][2];
	u64 vscr[2];
};
