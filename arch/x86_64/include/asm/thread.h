#pragma once
/*
 * Threads. At the top of each kernel stack lies the frame of the last entry from user mode (task_trapframe), below it
 * the stack proper. A kernel thread whose function returns goes to user mode through that frame: so init becomes a
 * program.
 */
#include <asm/cpu.h>

#include "lib/types.h"

struct task;

struct arch_thread {
	u64 sp;				/* of a task that does not run; callee-saved registers lie there */
	u64 fs_base, gs_base;		/* as arch_prctl set them */
	u8 fpu[512] __aligned(16);	/* FXSAVE image of a user task that does not run */
};
