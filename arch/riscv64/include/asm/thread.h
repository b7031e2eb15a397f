#pragma once
/*
 * Threads. At the top of each kernel stack lies the frame of the last entry from user mode (task_trapframe), below it
 * the stack proper. A kernel thread whose function returns goes to user mode through that frame: so init becomes a
 * program.
 *
 * Floating point: sstatus.FS is off until a task uses it after each switch, and off for the next task again. The trap
 * that this causes loads the registers (zeros, if the task never changed them). They are saved at a switch, a fork or a
 * signal only if they are dirty.
 */
#include <asm/cpu.h>

#include "lib/types.h"

struct task;

#define KSTACK_SIZE	(1 << KSTACK_SHIFT)

struct arch_thread {
	u64 sp;			/* of a task that does not run; ra and s0-s11 lie there */
	u64 fp[32];
	u32 fcsr;
	u32 fp_valid;		/* 0: fp and fcsr are not used, the state is all zeros */
};
