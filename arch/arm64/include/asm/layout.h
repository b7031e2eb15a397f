#pragma once
/*
 * Numbers that assembly and C share: bits of system registers, and offsets into structures. C checks every offset with
 * a static_assert, so they cannot drift apart.
 */

/* ---- boot and memory (head.S, kernel.ld.S; checked in smp.c) ---- */

/* MAIR_EL1: memory types by index. 0: normal, write-back; 1: device, early acknowledgement (nGnRE) */
#define MAIR_VALUE 0x04ff
#define MT_NORMAL  0
#define MT_DEVICE  1

/*
 * SCTLR_EL1. Off: what must be one, little-endian, caches and MMU off. On: MMU, caches, stack alignment checks; user
 * space may use CTR_EL0, dc zva, cache maintenance, wfi and wfe. SPAN stays clear where there is PAN, so that each
 * exception sets it; elsewhere that bit must be one (head.S).
 */
#define SCTLR_OFF  0x30d00800
#define SCTLR_ON   0x3455d81d
#define SCTLR_SPAN 0x00800000

/* TCR_EL1 but for IPS, AS, HA, HD: 48 bits for both halves, 4 KiB pages, walks inner-shareable and write-back */
#define TCR_VALUE     0x00000000b5103510
#define TCR_IPS_SHIFT 32
#define TCR_AS	      0x1000000000
#define TCR_HA	      0x8000000000
#define TCR_HD	      0x10000000000

/* The early map of the image: so many tables of 512 pages */
#define EARLY_IMAGE_TABLES 16

/* struct cpu's struct arch_cpu */
#define CPU_START_SP 128 /* where a CPU that starts finds its stack */

/* ---- traps and threads (entry.S, fpu.S; checked in thread.c) ---- */

/* SPSR_EL1: 0 is user mode with nothing masked */
#define PSR_MODE 0x1f /* with nRW: AArch32 */
#define PSR_DAIF 0x3c0
#define PSR_I	 0x80
#define PSR_NZCV 0xf0000000
#define DAIF_I	 2 /* operand of daifset, daifclr */

/* ESR_EL1 */
#define ESR_EC_SHIFT 26
#define EC_SVC64     0x15

#define KSTACK_SHIFT	    14
#define OVERFLOW_STACK_SIZE 4096

/* struct trapframe */
#define TF_X(n)	   ((n)*8) /* x0..x30 */
#define TF_SP	   248
#define TF_PC	   256
#define TF_PSTATE  264
#define TF_NR	   272
#define TF_ORIG_X0 280
#define TF_SIZE	   288

/* struct cpu */
#define CPU_OFFSET  0
#define CPU_CURRENT 8

/* struct task and its struct arch_thread */
#define TASK_SP	  0
#define TASK_TLS  8
#define TASK_LIVE 32
#define TASK_FPSR 56 /* and FPCR */
#define TASK_V(n) (64 + (n)*16)
