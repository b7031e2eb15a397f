/*
 * Interrupts, system calls, the context switch, and the first steps of a new thread.
 *
 * An interrupt arrives in real mode at a fixed real address, where ppc_trap_init() has put a copy of ppc_vectors. That
 * code knows its CPU by SPRG0: struct cpu's address in the direct map, which real mode takes as the physical one
 * because it ignores the upper four bits. An rfid goes on at the linked address with translation on.
 *
 * r13 holds struct cpu in the kernel, r2 the kernel's TOC. Between an interrupt and the end of saving, registers lie in
 * struct cpu's scratch words. Nothing that is touched meanwhile can fault: the kernel's stack and struct cpu are
 * mapped, and r1 is checked before it is used. A machine check or a reset in that time overwrites them, but in the
 * kernel both are the end anyway: so MSR.RI needs no care either, it is on from the first rfid to the last.
 *
 * In the kernel AMR forbids access to user pages but in usercopy.S; a trap from the kernel keeps the interrupted value
 * in its frame. FP, VEC and VSX are off in the kernel, whoever owns the registers.
 */
#include <asm/layout.h>

#define SCRATCH(n)	(CPU_SCRATCH + (n) * 8)

	.machine power9

	/*
	 * The block that is copied to real 0x100. It must not refer to anything outside of itself but by the words
	 * behind the first vector.
	 */
	.macro	vector	at, to=save_srr
	.org	ppc_vectors + \at - 0x100
	mtsprg	1, %r13
	mfsprg	%r13, 0
	std	%r12, SCRATCH(3)(%r13)
	li	%r12, \at
	b	\to
	.endm

	.text
	.balign	256
	.globl	ppc_vectors
ppc_vectors:
	vector	0x100
	.balign	8
trap_address:
	.quad	trap_entry
syscall_address:
	.quad	syscall_entry
kernel_msr:
	.quad	MSR_KERNEL
	.irp	at, 0x200,0x300,0x380,0x400,0x480,0x500,0x600,0x700,0x800,0x900
	vector	\at
	.endr
	vector	0x980, save_hsrr
	vector	0xa00
	vector	0xb00

	/* A system call preserves neither r9-r12 nor CTR. */
	.org	ppc_vectors + 0xc00 - 0x100
	mtsprg	1, %r13
	mfsprg	%r13, 0
	mfsrr0	%r11
	mfsrr1	%r12
	ld	%r9, syscall_address - ppc_vectors + 0x100(0)
	ld	%r10, kernel_msr - ppc_vectors + 0x100(0)
	mtsrr0	%r9
	mtsrr1	%r10
	rfid

	vector	0xd00
	.irp	at, 0xe00,0xe20,0xe40,0xe60,0xe80,0xea0
	vector	\at, save_hsrr
	.endr
	.irp	at, 0xf00,0xf20,0xf40,0xf60
	vector	\at
	.endr
	vector	0xf80, save_hsrr

	.org	ppc_vectors + 0x1000 - 0x100
save_hsrr:
	std	%r11, SCRATCH(2)(%r13)
	std	%r10, SCRATCH(1)(%r13)
	mfspr	%r10, SPR_HSRR0
	mfspr	%r11, SPR_HSRR1
	b	1f
save_srr:
	std	%r11, SCRATCH(2)(%r13)
	std	%r10, SCRATCH(1)(%r13)
	mfsrr0	%r10
	mfsrr1	%r11
1:	std	%r9, SCRATCH(0)(%r13)
	ld	%r9, trap_address - ppc_vectors + 0x100(0)
	mtsrr0	%r9
	ld	%r9, kernel_msr - ppc_vectors + 0x100(0)
	mtsrr1	%r9
	rfid
	.globl	ppc_vectors_end
ppc_vectors_end:

	/* A program may have asked for a lower or higher priority of its thread: the kernel runs at the middle one. */
	.macro	medium_priority tmp
	li	\tmp, 1
	sldi	\tmp, \tmp, 52
	mtspr	SPR_PPR, \tmp
	.endm

	/* What C code preserves. */
	.macro	each_saved insn, base, offset
	.irp	n, 14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	\insn	%r\n, \offset + \n * 8(\base)
	.endr
	.endm

	.balign	32
syscall_entry:
	medium_priority %r9
	ld	%r10, CPU_FRAME(%r13)
	std	%r1, TF_R(1)(%r10)
	.irp	n, 0,2,3,4,5,6,7,8
	std	%r\n, TF_R(\n)(%r10)
	.endr
	each_saved std, %r10, 0
	mfsprg	%r9, 1
	mflr	%r0
	std	%r9, TF_R(13)(%r10)
	std	%r11, TF_NIP(%r10)
	mfcr	%r9
	std	%r12, TF_MSR(%r10)
	li	%r11, 0xc00
	std	%r0, TF_LINK(%r10)
	std	%r9, TF_CCR(%r10)
	std	%r11, TF_TRAP(%r10)
	std	%r3, TF_ORIG_R3(%r10)
	ld	%r2, CPU_TOC(%r13)
	ld	%r13, CPU_SELF(%r13)
	addi	%r1, %r10, -STACK_HEADER
	mr	%r3, %r10
	bl	do_syscall
	nop
	ld	%r4, STACK_HEADER + TF_TRAP(%r1)
	ld	%r5, STACK_HEADER + TF_NIP(%r1)
	ld	%r6, STACK_HEADER + TF_MSR(%r1)
	cmpldi	%r4, 0xc00
	bne	user_return			/* the frame is not what it was */
	ld	%r7, STACK_HEADER + TF_LINK(%r1)
	ld	%r8, STACK_HEADER + TF_CCR(%r1)
	mtsrr0	%r5
	mtsrr1	%r6
	mtlr	%r7
	mtcr	%r8
	ld	%r2, STACK_HEADER + TF_R(2)(%r1)
	ld	%r3, STACK_HEADER + TF_R(3)(%r1)
	ld	%r13, STACK_HEADER + TF_R(13)(%r1)
	ld	%r1, STACK_HEADER + TF_R(1)(%r1)
	/* Nothing of the kernel's stays behind. C code and arch_switch() preserved the other registers. */
	li	%r0, 0
	mtctr	%r0
	mtxer	%r0
	.irp	n, 4,5,6,7,8,9,10,11,12
	li	%r\n, 0
	.endr
	rfid

	/*
	 * r9: where the frame is. r10: interrupted address, r11: MSR, r12: vector, the rest as the interrupt left it
	 * but for what is in scratch words.
	 */
	.macro	save_most
	.irp	n, 0,2,3,4,5,6,7,8
	std	%r\n, TF_R(\n)(%r9)
	.endr
	each_saved std, %r9, 0
	ld	%r0, SCRATCH(0)(%r13)
	ld	%r3, SCRATCH(1)(%r13)
	ld	%r4, SCRATCH(2)(%r13)
	ld	%r5, SCRATCH(3)(%r13)
	mfsprg	%r6, 1
	ld	%r7, SCRATCH(4)(%r13)
	std	%r0, TF_R(9)(%r9)
	std	%r3, TF_R(10)(%r9)
	std	%r4, TF_R(11)(%r9)
	std	%r5, TF_R(12)(%r9)
	std	%r6, TF_R(13)(%r9)
	std	%r7, TF_CCR(%r9)
	mflr	%r0
	mfctr	%r3
	mfxer	%r4
	std	%r10, TF_NIP(%r9)
	std	%r11, TF_MSR(%r9)
	std	%r12, TF_TRAP(%r9)
	std	%r0, TF_LINK(%r9)
	std	%r3, TF_CTR(%r9)
	std	%r4, TF_XER(%r9)
	ld	%r2, CPU_TOC(%r13)
	ld	%r13, CPU_SELF(%r13)
	mr	%r3, %r9
	.endm

	/*
	 * Everything but r1 and r13; the frame is at STACK_HEADER(r1). A reservation that the interruption left open
	 * would let the interrupted code's store succeed wrongly.
	 */
	.macro	load_most
	li	%r0, 0
	stdcx.	%r0, 0, %r1
	ld	%r3, STACK_HEADER + TF_NIP(%r1)
	ld	%r4, STACK_HEADER + TF_MSR(%r1)
	ld	%r5, STACK_HEADER + TF_LINK(%r1)
	ld	%r6, STACK_HEADER + TF_CTR(%r1)
	ld	%r7, STACK_HEADER + TF_XER(%r1)
	ld	%r8, STACK_HEADER + TF_CCR(%r1)
	mtsrr0	%r3
	mtsrr1	%r4
	mtlr	%r5
	mtctr	%r6
	mtxer	%r7
	mtcr	%r8
	each_saved ld, %r1, STACK_HEADER
	.irp	n, 0,2,3,4,5,6,7,8,9,10,11,12
	ld	%r\n, STACK_HEADER + TF_R(\n)(%r1)
	.endr
	.endm

	.balign	32
trap_entry:
	mfcr	%r9
	std	%r9, SCRATCH(4)(%r13)
	andi.	%r9, %r11, MSR_PR
	beq	from_kernel
	medium_priority %r9
	ld	%r9, CPU_FRAME(%r13)
	std	%r1, TF_R(1)(%r9)
	addi	%r1, %r9, -STACK_HEADER
	save_most
	bl	ppc_user_trap
	nop

	/* To user mode with all that the frame says; interrupts are off, exit_to_user() was there. */
user_return:
	load_most
	ld	%r13, STACK_HEADER + TF_R(13)(%r1)
	ld	%r1, STACK_HEADER + TF_R(1)(%r1)
	rfid

	/* Is there room for a frame, on the task's stack or on the overflow stack? */
from_kernel:
	ld	%r9, CPU_CURRENT(%r13)
	ld	%r9, TASK_KSTACK(%r9)
	addi	%r9, %r9, TF_SIZE + STACK_HEADER + RED_ZONE
	subf	%r9, %r9, %r1
	cmpldi	%r9, (1 << KSTACK_SHIFT) - TF_SIZE - STACK_HEADER - RED_ZONE
	ble	2f
	ld	%r9, CPU_OVERFLOW(%r13)
	subf	%r9, %r1, %r9
	cmpldi	%r9, OVERFLOW_STACK_SIZE - TF_SIZE - STACK_HEADER - RED_ZONE
	ble	2f
	ld	%r9, CPU_OVERFLOW(%r13)
	ori	%r12, %r12, TRAP_OVERFLOW
	b	3f
2:	mr	%r9, %r1
3:	addi	%r9, %r9, -RED_ZONE - TF_SIZE
	std	%r1, TF_R(1)(%r9)
	std	%r1, -STACK_HEADER(%r9)
	addi	%r1, %r9, -STACK_HEADER
	save_most
	mfspr	%r4, SPR_AMR
	li	%r5, AMR_CLOSED
	std	%r4, TF_AMR(%r9)
	mtspr	SPR_AMR, %r5
	isync
	bl	ppc_kernel_trap
	.globl	ppc_kernel_trap_return
ppc_kernel_trap_return:
	nop

	/* r13 stays: the trap may have slept and woken up on another CPU. rfid synchronises AMR. */
	ld	%r3, STACK_HEADER + TF_AMR(%r1)
	mtspr	SPR_AMR, %r3
	load_most
	ld	%r1, STACK_HEADER + TF_R(1)(%r1)
	rfid

/*
 * struct task *arch_switch(struct task *prev, struct task *next). prev stays in r3.
 */
	.globl	arch_switch
	.type	arch_switch, @function
arch_switch:
	mflr	%r0
	mfcr	%r5
	std	%r0, 16(%r1)
	std	%r5, 8(%r1)
	stdu	%r1, -SWITCH_FRAME(%r1)
	each_saved std, %r1, STACK_HEADER - 14 * 8
	std	%r1, TASK_SP(%r3)
	mfspr	%r6, SPR_VRSAVE			/* no bit of MSR keeps programs from it */
	lwz	%r7, TASK_VRSAVE(%r4)
	ld	%r5, CPU_FRAME(%r13)
	stw	%r6, TASK_VRSAVE(%r3)
	mtspr	SPR_VRSAVE, %r7
	ld	%r6, TF_MSR(%r5)
	andi.	%r7, %r6, MSR_FP
	bne	2f				/* the registers are prev's */
1:	ld	%r6, TASK_KSTACK(%r4)
	ld	%r1, TASK_SP(%r4)
	std	%r4, CPU_CURRENT(%r13)
	addi	%r6, %r6, (1 << KSTACK_SHIFT) - TF_SIZE
	std	%r6, CPU_FRAME(%r13)
	each_saved ld, %r1, STACK_HEADER - 14 * 8
	addi	%r1, %r1, SWITCH_FRAME
	ld	%r0, 16(%r1)
	ld	%r5, 8(%r1)
	mtlr	%r0
	mtcrf	0x38, %r5
	blr
2:	lis	%r7, MSR_FP_ALL@h
	ori	%r7, %r7, MSR_FP_ALL@l
	andc	%r6, %r6, %r7
	std	%r6, TF_MSR(%r5)
	bl	ppc_fp_save			/* changes r5 and r6 only */
	b	1b

	/*
	 * First return from arch_switch(), r1 at the end of the back chain: r3 is the previous task; r14 and r15 as
	 * arch_thread_kernel() set them.
	 */
	.globl	ppc_kernel_thread
ppc_kernel_thread:
	bl	schedule_tail
	nop
	li	%r0, MSR_RI
	ori	%r0, %r0, MSR_EE
	mtmsrd	%r0, 1
	mr	%r3, %r15
	mr	%r12, %r14
	mtctr	%r14
	bctrl
	b	1f
	.globl	ppc_user_thread
ppc_user_thread:
	bl	schedule_tail
	nop
1:	li	%r0, MSR_RI
	mtmsrd	%r0, 1
	addi	%r3, %r1, STACK_HEADER
	bl	exit_to_user
	nop
	b	user_return

	/* The page that signal handlers return to. Unwinders know these instructions. */
	.section .rodata
	.balign	8
	.globl	arch_sigtramp
	.globl	ppc_sigtramp_end
arch_sigtramp:
	addi	%r1, %r1, 128
	li	%r0, 172			/* rt_sigreturn */
	sc
ppc_sigtramp_end:
