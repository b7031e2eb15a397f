#pragma once
/*
 * Numbers that assembly and C share: control and status registers, and offsets into structures. C checks every offset
 * with a static_assert (thread.c), so they cannot drift apart.
 */

/* sstatus */
#define SR_SIE		0x2
#define SR_SPIE		0x20
#define SR_SPP		0x100
#define SR_FS		0x6000		/* off, initial, clean, dirty */
#define SR_FS_INITIAL	0x2000
#define SR_FS_CLEAN	0x4000
#define SR_FS_DIRTY	0x6000
#define SR_SUM		0x40000

/* sie, sip: bit n is interrupt n of scause */
#define IRQ_SOFT	1
#define IRQ_TIMER	5
#define IRQ_EXT		9

/* scause of exceptions */
#define EXC_INSN_MISALIGNED	0
#define EXC_INSN_ACCESS		1
#define EXC_ILLEGAL		2
#define EXC_BREAKPOINT		3
#define EXC_LOAD_MISALIGNED	4
#define EXC_LOAD_ACCESS		5
#define EXC_STORE_MISALIGNED	6
#define EXC_STORE_ACCESS	7
#define EXC_SYSCALL		8
#define EXC_INSN_PAGE		12
#define EXC_LOAD_PAGE		13
#define EXC_STORE_PAGE		15

#define CSR_STIMECMP		0x14d		/* Sstc; the assembler may not know the name */
#define SATP_MODE_SHIFT		60
#define SATP_MODE_SV39		8
#define SATP_MODE_SV48		9
#define SATP_ASID_SHIFT		44
#define SATP_ASID_MASK		0xffff

#define KSTACK_SHIFT		14
#define MAX_HARTS		128		/* NR_CPUS */
#define OVERFLOW_STACK_SIZE	8192

/* struct trapframe */
#define TF_PC		0
#define TF_X(n)		((n) * 8)		/* x1..x31 */
#define TF_STATUS	256
#define TF_NR		264
#define TF_ORIG_A0	272
#define TF_CPU		280
#define TF_SIZE		288

/* struct cpu and its struct arch_cpu */
#define CPU_CURRENT	8
#define CPU_SCRATCH	128			/* three words of the trap entry */
#define CPU_OVERFLOW	152			/* top of the overflow stack */
#define CPU_RETRY	160			/* pc and address of the last retried fault */
#define CPU_FENCE_I	176

/* struct task and its struct arch_thread */
#define TASK_SP		0
#define TASK_FP		8
#define TASK_FCSR	264
#define TASK_FP_VALID	268
#define TASK_KSTACK	272
