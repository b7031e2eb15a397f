/*
 * Exceptions, system calls, the context switch, and the first steps of a new thread.
 *
 * TPIDR_EL1 holds struct cpu. In user mode SP_EL1 points behind the current task's frame, which lies at the top of its
 * kernel stack: an entry just pushes, and the way out just pops. The kernel runs at EL1 on SP_EL1; the user's sp is in
 * the frame, what SP_EL0 holds meanwhile does not matter. A trap from the kernel builds its frame below sp.
 *
 * The hardware masks everything at an exception. The kernel lets IRQs through by itself and keeps SError and FIQ
 * masked: an SError shows when user mode is entered, and ends the machine.
 *
 * x29 is not cleared for backtraces: arch_unwind() looks at no address outside of the kernel's.
 */
#include <asm/layout.h>

	/* All registers but sp; x9-x12 are free afterwards. */
	.macro	save_x0_x29
	.irp	pair, "0,1", "2,3", "4,5", "6,7", "8,9", "10,11", "12,13", "14,15"
	save_pair \pair
	.endr
	.irp	pair, "16,17", "18,19", "20,21", "22,23", "24,25", "26,27", "28,29"
	save_pair \pair
	.endr
	.endm
	.macro	save_pair n, m
	stp	x\n, x\m, [sp, #TF_X(\n)]
	.endm

	.macro	load_pair n, m
	ldp	x\n, x\m, [sp, #TF_X(\n)]
	.endm
	.macro	load_x0_x17
	.irp	pair, "0,1", "2,3", "4,5", "6,7", "8,9", "10,11", "12,13", "14,15", "16,17"
	load_pair \pair
	.endr
	.endm

	/* The frame: \sp_now goes to x9, what the exception interrupted to x10 and x11, why to x12. */
	.macro	save_all sp_now:vararg
	save_x0_x29
	\sp_now
	mrs	x10, elr_el1
	mrs	x11, spsr_el1
	stp	x30, x9, [sp, #TF_X(30)]
	stp	x10, x11, [sp, #TF_PC]
	mrs	x12, esr_el1
	.endm

	.macro	vector
	.balign	128
	.endm

	/* From user mode. */
	.macro	from_user to
	vector
	sub	sp, sp, #TF_SIZE
	save_all mrs x9, sp_el0
	b	\to
	.endm

	/*
	 * From the kernel. Stacks have bit KSTACK_SHIFT set in their addresses, what lies below them has not. Without a
	 * free register, sp and x0 change their places to have sp looked at.
	 */
	.macro	from_kernel to
	vector
	sub	sp, sp, #TF_SIZE
	add	sp, sp, x0
	sub	x0, sp, x0
	tbz	x0, #KSTACK_SHIFT, overflow
	sub	x0, sp, x0
	sub	sp, sp, x0
	save_all add x9, sp, #TF_SIZE
	b	\to
	.endm

	.text
	.balign	2048
	.globl	a64_vectors
a64_vectors:
	/* EL1 on SP_EL0: never used. */
	from_kernel unexpected
	from_kernel unexpected
	from_kernel unexpected
	from_kernel unexpected

	from_kernel kernel_sync
	from_kernel kernel_irq
	from_kernel unexpected
	from_kernel unexpected

	vector
	sub	sp, sp, #TF_SIZE
	save_all mrs x9, sp_el0
	ubfx	x13, x12, #ESR_EC_SHIFT, #6
	cmp	x13, #EC_SVC64
	b.ne	user_sync
	stp	x8, x0, [sp, #TF_NR]
	mov	x0, sp
	bl	do_syscall
	b	syscall_return
	from_user user_irq
	from_user unexpected
	from_user unexpected

	/* AArch32: refused by the ELF loader. */
	from_user unexpected
	from_user unexpected
	from_user unexpected
	from_user unexpected

	.balign	128
user_sync:
	mov	x9, #-1
	mov	x0, sp
	mov	x1, x12
	str	x9, [sp, #TF_NR]
	bl	a64_user_sync
	b	user_return

user_irq:
	mov	x9, #-1
	mov	x0, sp
	str	x9, [sp, #TF_NR]
	bl	a64_user_irq
	b	user_return

	/* C code and arch_switch() preserved x19-x29, unless the frame is not what it was. */
syscall_return:
	ldr	x9, [sp, #TF_NR]
	tbz	x9, #63, 1f

	/* To user mode with all that the frame at sp says; interrupts are off, exit_to_user() was there. */
user_return:
	.irp	pair, "20,21", "22,23", "24,25", "26,27", "28,29"
	load_pair \pair
	.endr
1:	ldp	x10, x11, [sp, #TF_PC]
	ldp	x30, x9, [sp, #TF_X(30)]
	msr	elr_el1, x10
	msr	spsr_el1, x11
	msr	sp_el0, x9
	ldp	x18, x19, [sp, #TF_X(18)]
	load_x0_x17
	add	sp, sp, #TF_SIZE
	eret

kernel_sync:
	mov	x0, sp
	mov	x1, x12
	bl	a64_kernel_sync
	b	kernel_return
kernel_irq:
	mov	x0, sp
	bl	a64_kernel_irq
kernel_return:
	ldp	x10, x11, [sp, #TF_PC]
	ldr	x30, [sp, #TF_X(30)]
	msr	elr_el1, x10
	msr	spsr_el1, x11
	ldp	x18, x19, [sp, #TF_X(18)]
	.irp	pair, "20,21", "22,23", "24,25", "26,27", "28,29"
	load_pair \pair
	.endr
	load_x0_x17
	add	sp, sp, #TF_SIZE
	eret

unexpected:
	mov	x0, sp
	mov	x1, x12
	bl	a64_unexpected

	/* x0: the bad sp, less a frame; sp: that and what x0 was. The machine ends here: TPIDRs are free to use. */
overflow:
	msr	tpidr_el0, x0
	sub	x0, sp, x0
	msr	tpidrro_el0, x0
	mrs	x0, tpidr_el1
	ldr	x0, [x0, #CPU_OFFSET]
	mov	sp, x0
	adrp	x0, a64_overflow_stack + OVERFLOW_STACK_SIZE - TF_SIZE
	add	x0, x0, #:lo12:a64_overflow_stack + OVERFLOW_STACK_SIZE - TF_SIZE
	add	sp, sp, x0
	mrs	x0, tpidrro_el0
	save_all mrs x9, tpidr_el0
	add	x9, x9, #TF_SIZE
	str	x9, [sp, #TF_SP]
	mov	x0, sp
	mov	x1, x12
	bl	a64_stack_overflow

/*
 * struct task *arch_switch(struct task *prev, struct task *next). What the user has in FP and SIMD registers and in
 * TPIDR_EL0 moves too, unless the task is a kernel thread, which uses neither. prev may go on on another CPU: cache
 * maintenance that it began here is completed first.
 */
	.globl	arch_switch
arch_switch:
	stp	x29, x30, [sp, #-96]!
	ldr	x9, [x0, #TASK_LIVE]
	stp	x27, x28, [sp, #16]
	stp	x25, x26, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x21, x22, [sp, #64]
	stp	x19, x20, [sp, #80]
	mov	x10, sp
	str	x10, [x0, #TASK_SP]
	cbz	x9, 1f
	mrs	x9, tpidr_el0
	str	x9, [x0, #TASK_TLS]
	bl	a64_fp_save			/* changes only x9, x10 and x30 */
1:	dsb	ish
	ldr	x9, [x1, #TASK_LIVE]
	cbz	x9, 2f
	mov	x11, x0
	mov	x0, x1
	ldr	x9, [x1, #TASK_TLS]
	msr	tpidr_el0, x9
	bl	a64_fp_load			/* changes only x9, x10 and x30 */
	mov	x0, x11
2:	ldr	x10, [x1, #TASK_SP]
	mrs	x9, tpidr_el1
	str	x1, [x9, #CPU_CURRENT]
	mov	sp, x10
	ldp	x19, x20, [sp, #80]
	ldp	x21, x22, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #32]
	ldp	x27, x28, [sp, #16]
	ldp	x29, x30, [sp], #96
	ret

	/*
	 * First return from arch_switch(), sp at the frame: x0 is the previous task; x19 and x20 as
	 * arch_thread_kernel() set them, x29 is 0.
	 */
	.globl	a64_kernel_thread
a64_kernel_thread:
	bl	schedule_tail
	msr	daifclr, #DAIF_I
	mov	x0, x20
	blr	x19
	b	1f
	.globl	a64_user_thread
a64_user_thread:
	bl	schedule_tail
1:	msr	daifset, #DAIF_I
	mov	x0, sp
	bl	exit_to_user
	b	user_return

	/* The page that signal handlers return to. Debuggers know these two instructions. */
	.section .rodata
	.balign	8
	.globl	arch_sigtramp
	.globl	a64_sigtramp_end
arch_sigtramp:
	mov	x8, #139			/* rt_sigreturn */
	svc	#0
a64_sigtramp_end:
