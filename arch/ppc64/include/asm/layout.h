#pragma once
/*
 * Numbers that assembly and C share: machine state bits, special registers, and offsets into structures. C checks every
 * offset with a static_assert (thread.c), so they cannot drift apart.
 */

/* MSR */
#define MSR_LE	   0x1
#define MSR_RI	   0x2
#define MSR_DR	   0x10
#define MSR_IR	   0x20
#define MSR_FE1	   0x100
#define MSR_FE0	   0x800
#define MSR_ME	   0x1000
#define MSR_FP	   0x2000
#define MSR_PR	   0x4000
#define MSR_EE	   0x8000
#define MSR_VSX	   0x800000
#define MSR_VEC	   0x2000000
#define MSR_HV	   0x1000000000000000
#define MSR_SF	   0x8000000000000000
/* A user program that has the floating-point and vector registers; FE0 and FE1: precise exceptions. */
#define MSR_FP_ALL (MSR_FP | MSR_VEC | MSR_VSX | MSR_FE0 | MSR_FE1)
/* HV can not be gained by an rfid: on a guest it has no effect. */
#define MSR_KERNEL (MSR_SF | MSR_HV | MSR_ME | MSR_IR | MSR_DR | MSR_RI | MSR_LE)
#define MSR_USER   (MSR_KERNEL | MSR_PR | MSR_EE)

/* Special registers that the assembler may not know by name */
#define SPR_DSISR  18
#define SPR_DAR	   19
#define SPR_AMR	   29
#define SPR_IAMR   61
#define SPR_FSCR   153
#define SPR_UAMOR  157
#define SPR_HFSCR  190
#define SPR_VRSAVE 256
#define SPR_SPRG0  272
#define SPR_SPRG3  275
#define SPR_HSRR0  314
#define SPR_HSRR1  315
#define SPR_PPR	   896

#define AMR_CLOSED (-1) /* the kernel can not touch user pages */

#define CACHE_BLOCK	    128	       /* bytes; on all CPUs with radix translation */
#define KERNEL_BASE_HIGH    0xc0006000 /* upper half of KERNEL_BASE */
#define KSTACK_SHIFT	    14
#define OVERFLOW_STACK_SIZE 8192
#define STACK_HEADER	    32	/* ELFv2: back chain, CR, LR, TOC at the end of each frame */
#define RED_ZONE	    288 /* below r1 belongs to the running function */

/* struct trapframe */
#define TF_R(n)	      ((n)*8)
#define TF_NIP	      256
#define TF_MSR	      264
#define TF_ORIG_R3    272
#define TF_CTR	      280
#define TF_LINK	      288
#define TF_XER	      296
#define TF_CCR	      304
#define TF_TRAP	      320
#define TRAP_OVERFLOW 1 /* in TF_TRAP: r1 was bad, the frame is on the overflow stack */
#define TF_AMR	      344
#define TF_SIZE	      352

/* struct cpu and its struct arch_cpu */
#define CPU_CURRENT  8
#define CPU_SCRATCH  128 /* eight words of the trap entry */
#define CPU_SELF     192
#define CPU_FRAME    200
#define CPU_OVERFLOW 208
#define CPU_TOC	     216

/* struct task and its struct arch_thread */
#define TASK_SP	    0
#define TASK_VRSAVE 12
#define TASK_FPSCR  16
#define TASK_VSR    32
#define TASK_VSCR   1056
#define TASK_KSTACK 1072

#define SWITCH_FRAME (STACK_HEADER + 18 * 8)

/* ---- machine half */

#define SPR_DEC	  22
#define SPR_PIDR  48
#define SPR_TB	  268
#define SPR_PVR	  287
#define SPR_LPCR  318
#define SPR_LPID  319
#define SPR_PTCR  464
#define SPR_PSSCR 855
#define SPR_PIR	  1023

/* struct fw_call (port.h): what ppc_firmware() loads and stores */
#define FW_ENTRY     0
#define FW_MSR_CLEAR 8
#define FW_R(n)	     (16 + (n)*8) /* r0, r2 as 1, r3-r10 as 2-9 */

/* What it keeps in memory meanwhile */
#define FW_SAVE_R1   0
#define FW_SAVE_MSR  8
#define FW_SAVE_NIP  16
#define FW_SAVE_PHYS 24 /* where the image was loaded */
#define FW_SAVE_SIZE 32

#define MAX_CPUS 128 /* NR_CPUS */
