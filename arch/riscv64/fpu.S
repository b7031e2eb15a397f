/*
 * Floating-point registers to and from struct arch_thread. sstatus.FS must not be off.
 */
#include <asm/layout.h>

	.option	arch, +d

	.text
	/* a0: struct task. Changes t0 only. */
	.globl	rv_fp_save
rv_fp_save:
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd	f\n, TASK_FP + \n * 8(a0)
	.endr
	frcsr	t0
	sw	t0, TASK_FCSR(a0)
	li	t0, 1
	sw	t0, TASK_FP_VALID(a0)
	ret

	/* a0: struct task */
	.globl	rv_fp_load
rv_fp_load:
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld	f\n, TASK_FP + \n * 8(a0)
	.endr
	lw	t0, TASK_FCSR(a0)
	fscsr	t0
	ret

	.globl	rv_fp_zero
rv_fp_zero:
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fmv.d.x	f\n, zero
	.endr
	fscsr	zero
	ret
