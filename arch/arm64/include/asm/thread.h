#pragma once
/*
 * Threads. At the top of each kernel stack lies the frame of the last entry from user mode (task_trapframe), below it
 * the stack proper; in user mode SP_EL1 points behind that frame. A kernel thread whose function returns goes to user
 * mode through it: so init becomes a program.
 *
 * FP and SIMD registers belong to user space; the kernel does not use them. A user task's are in the registers while it
 * is on a CPU, in thread.fp otherwise: arch_switch() moves them, for kernel threads it leaves them alone.
 */
#include <asm/cpu.h>
#include <asm/layout.h>

#include "lib/types.h"

struct task;

#define KSTACK_SIZE (1 << KSTACK_SHIFT)

/* As the record in Linux's signal frame has it, header included. */
struct fpsimd_record {
	u32 magic, size;
	u32 fpsr, fpcr;
	u64 v[64];
};

struct arch_thread {
	u64 sp;		   /* of a task that does not run: x19-x30 lie there */
	u64 tls;	   /* TPIDR_EL0 of a task that does not run */
	u64 fault_address; /* FAR_EL1 and ESR_EL1 of the last exception in user mode, for signal frames */
	u64 esr;
	u64 live; /* 0: a kernel thread, or fp is being replaced: nothing to save, nothing to load */
	struct fpsimd_record fp __aligned(16);
};
