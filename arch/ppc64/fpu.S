/*
 * Floating-point and vector registers, all 64 VSX registers with FPSCR and VSCR, to and from struct arch_thread.
 */
#include <asm/layout.h>

	.machine power9

	.macro	fp_on
	mfmsr	%r5
	oris	%r6, %r5, (MSR_VEC | MSR_VSX)@h
	ori	%r6, %r6, MSR_FP
	mtmsrd	%r6
	isync
	.endm

	.macro	fp_off
	mtmsrd	%r5
	isync
	.endm

	.macro	each_vsr insn
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	\insn	%vs\n, TASK_VSR + \n * 16(%r3)
	.endr
	.irp	n, 32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56,57,58,59,60,61,62,63
	\insn	%vs\n, TASK_VSR + \n * 16(%r3)
	.endr
	.endm

	.text
	/* r3: struct task. Changes r5 and r6 only. */
	.globl	ppc_fp_save
	.type	ppc_fp_save, @function
ppc_fp_save:
	fp_on
	each_vsr stxv
	mffs	%f0
	stfd	%f0, TASK_FPSCR(%r3)
	mfvscr	%v0
	stxv	%vs32, TASK_VSCR(%r3)
	lxv	%vs0, TASK_VSR(%r3)
	lxv	%vs32, TASK_VSR + 32 * 16(%r3)
	fp_off
	blr

	/* r3: struct task */
	.globl	ppc_fp_load
	.type	ppc_fp_load, @function
ppc_fp_load:
	fp_on
	lfd	%f0, TASK_FPSCR(%r3)
	mtfsf	0xff, %f0, 1, 0
	lxv	%vs32, TASK_VSCR(%r3)
	mtvscr	%v0
	each_vsr lxv
	fp_off
	blr
