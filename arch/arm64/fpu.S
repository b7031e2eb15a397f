/*
 * FP and SIMD registers to and from struct arch_thread.
 */
#include <asm/layout.h>

	.arch	armv8-a+fp+simd

	.macro	stp_q n, m
	stp	q\n, q\m, [x0, #TASK_V(\n)]
	.endm
	.macro	ldp_q n, m
	ldp	q\n, q\m, [x0, #TASK_V(\n)]
	.endm

	.text
	/* x0: struct task. Changes x9 and x10 only. */
	.globl	a64_fp_save
a64_fp_save:
	mrs	x9, fpsr
	mrs	x10, fpcr
	stp	w9, w10, [x0, #TASK_FPSR]
	.irp	pair, "0,1", "2,3", "4,5", "6,7", "8,9", "10,11", "12,13", "14,15"
	stp_q	\pair
	.endr
	.irp	pair, "16,17", "18,19", "20,21", "22,23", "24,25", "26,27", "28,29", "30,31"
	stp_q	\pair
	.endr
	ret

	/* x0: struct task. Changes x9 and x10 only. A write of FPCR is slow on silicon and seldom needed. */
	.globl	a64_fp_load
a64_fp_load:
	ldp	w9, w10, [x0, #TASK_FPSR]
	msr	fpsr, x9
	mrs	x9, fpcr
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x10
1:
	.irp	pair, "0,1", "2,3", "4,5", "6,7", "8,9", "10,11", "12,13", "14,15"
	ldp_q	\pair
	.endr
	.irp	pair, "16,17", "18,19", "20,21", "22,23", "24,25", "26,27", "28,29", "30,31"
	ldp_q	\pair
	.endr
	ret
