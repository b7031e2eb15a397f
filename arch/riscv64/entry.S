/*
 * Traps, system calls, the context switch, and the first steps of a new thread.
 *
 * tp holds struct cpu in the kernel and belongs to the program in user mode. In user mode sscratch holds the place of
 * the current task's frame, at the top of its kernel stack, which in turn knows the CPU (TF_CPU, from arch_switch); in
 * the kernel it holds 0, which also tells where a trap came from. A trap from the kernel builds its frame below sp.
 *
 * In the kernel, outside the last instructions before an sret, sstatus has SPP = 0, SPIE = 1, and SUM = 0 but in
 * usercopy.S: a trap from the kernel keeps the interrupted values in its frame. So the way back to user mode need not
 * touch sstatus, whichever task runs there; FS, which belongs to the current task, just stays. TF_STATUS of a user
 * frame is 0 from the beginning and never written.
 *
 * s0 is not cleared for backtraces: arch_unwind() looks at no address outside of kernel stacks.
 */
#include <asm/layout.h>

	/* All but sp, x5 and x6; sp points to the frame. */
	.macro	save_most
	.irp	n, 1,3,4,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	sd	x\n, TF_X(\n)(sp)
	.endr
	.endm

	.macro	load_callee_saved
	.irp	n, 3,8,9,18,19,20,21,22,23,24,25,26,27
	ld	x\n, TF_X(\n)(sp)
	.endr
	.endm

	/*
	 * Everything else but tp: a trap from the kernel may have slept and woken up on another CPU. The frame is gone
	 * afterwards.
	 */
	.macro	load_rest
	.irp	n, 1,5,6,7,10,11,12,13,14,15,16,17,28,29,30,31
	ld	x\n, TF_X(\n)(sp)
	.endr
	ld	sp, TF_X(2)(sp)
	.endm

	.text
	.balign	4
	.globl	trap_entry
trap_entry:
	csrrw	sp, sscratch, sp
	beqz	sp, from_kernel
	save_most
	sd	t0, TF_X(5)(sp)
	sd	t1, TF_X(6)(sp)
	csrrw	t0, sscratch, zero
	csrr	a1, scause
	csrr	t1, sepc
	li	t2, EXC_SYSCALL
	ld	tp, TF_CPU(sp)
	sd	t0, TF_X(2)(sp)
	bne	a1, t2, user_trap

	addi	t1, t1, 4
	sd	a0, TF_ORIG_A0(sp)
	sd	a7, TF_NR(sp)
	sd	t1, TF_PC(sp)
	mv	a0, sp
	call	do_syscall
	ld	t0, TF_NR(sp)
	ld	t1, TF_PC(sp)
	bltz	t0, user_return			/* the frame is not what it was */
	csrw	sscratch, sp
	csrw	sepc, t1
	ld	tp, TF_X(4)(sp)
	load_rest				/* C code and arch_switch() preserved the others */
	sret

user_trap:
	li	t0, -1
	sd	t1, TF_PC(sp)
	sd	t0, TF_NR(sp)
	mv	a0, sp
	call	rv_user_trap

	/* To user mode with all that the frame at sp says; interrupts are off, exit_to_user() was there. */
user_return:
	ld	t0, TF_PC(sp)
	csrw	sscratch, sp
	csrw	sepc, t0
	ld	tp, TF_X(4)(sp)
	load_callee_saved
	load_rest
	sret

from_kernel:
	csrrw	sp, sscratch, zero
	sd	sp, CPU_SCRATCH(tp)
	sd	t0, CPU_SCRATCH+8(tp)
	sd	t1, CPU_SCRATCH+16(tp)
	csrr	t0, scause
	bltz	t0, 2f
	/*
	 * An exception about a kernel address: this CPU may remember that nothing was mapped there, from before a stack
	 * or a device was (pte_publish). Look again, without using the stack, which may be what was not there; twice
	 * the same is a real fault.
	 */
	csrr	t0, stval
	bgez	t0, 2f
	csrr	t1, sepc
	ld	sp, CPU_RETRY(tp)
	bne	sp, t1, 1f
	ld	sp, CPU_RETRY+8(tp)
	beq	sp, t0, 2f
1:	sd	t1, CPU_RETRY(tp)
	sd	t0, CPU_RETRY+8(tp)
	sfence.vma
	ld	sp, CPU_SCRATCH(tp)
	ld	t0, CPU_SCRATCH+8(tp)
	ld	t1, CPU_SCRATCH+16(tp)
	sret

	/* Is there room for a frame, on the task's stack or on the overflow stack? */
2:	ld	sp, CPU_SCRATCH(tp)
	ld	t0, CPU_CURRENT(tp)
	ld	t0, TASK_KSTACK(t0)
	addi	t0, t0, TF_SIZE
	sub	t0, sp, t0
	li	t1, (1 << KSTACK_SHIFT) - TF_SIZE
	bleu	t0, t1, 3f
	ld	t0, CPU_OVERFLOW(tp)
	sub	t0, t0, sp
	li	t1, OVERFLOW_STACK_SIZE - TF_SIZE
	bleu	t0, t1, 3f
	ld	sp, CPU_OVERFLOW(tp)
	la	t1, rv_stack_overflow
	j	4f
3:	la	t1, rv_kernel_trap
4:	addi	sp, sp, -TF_SIZE
	save_most
	ld	a0, CPU_SCRATCH(tp)
	ld	a1, CPU_SCRATCH+8(tp)
	ld	a2, CPU_SCRATCH+16(tp)
	csrr	a3, sstatus
	csrr	a4, sepc
	csrr	a5, scause
	sd	a0, TF_X(2)(sp)
	sd	a1, TF_X(5)(sp)
	sd	a2, TF_X(6)(sp)
	sd	a3, TF_STATUS(sp)
	sd	a4, TF_PC(sp)
	li	a0, SR_SPP | SR_SUM
	csrc	sstatus, a0
	li	a0, SR_SPIE
	csrs	sstatus, a0
	mv	a0, sp
	mv	a1, a5
	jalr	t1

	ld	t0, TF_STATUS(sp)
	li	t1, SR_SPP | SR_SUM
	and	t1, t1, t0
	csrs	sstatus, t1
	andi	t0, t0, SR_SPIE
	bnez	t0, 5f
	li	t1, SR_SPIE
	csrc	sstatus, t1
5:	ld	t0, TF_PC(sp)
	csrw	sepc, t0
	load_callee_saved
	load_rest
	sret

/*
 * struct task *arch_switch(struct task *prev, struct task *next). gp is the program's: a system call brings it along.
 */
	.globl	arch_switch
arch_switch:
	addi	sp, sp, -112
	sd	ra, 0(sp)
	.set	at, 8
	.irp	n, 3,8,9,18,19,20,21,22,23,24,25,26,27
	sd	x\n, at(sp)
	.set	at, at + 8
	.endr
	sd	sp, TASK_SP(a0)
	li	t1, SR_FS
	csrrc	t0, sstatus, t1			/* off until the next task uses it */
	and	t0, t0, t1
	beq	t0, t1, 2f			/* dirty */
1:	ld	sp, TASK_SP(a1)
	ld	t0, TASK_KSTACK(a1)
	li	t1, (1 << KSTACK_SHIFT) - TF_SIZE
	sd	a1, CPU_CURRENT(tp)
	add	t0, t0, t1
	/* pairs with icache_sync(): who runs here, before the mark is looked at */
	fence	w, r
	sd	tp, TF_CPU(t0)
	lw	t2, CPU_FENCE_I(tp)
	bnez	t2, 3f
4:	ld	ra, 0(sp)
	.set	at, 8
	.irp	n, 3,8,9,18,19,20,21,22,23,24,25,26,27
	ld	x\n, at(sp)
	.set	at, at + 8
	.endr
	addi	sp, sp, 112
	ret
2:	csrs	sstatus, t1
	call	rv_fp_save			/* changes only ra and t0 */
	csrc	sstatus, t1
	j	1b
3:	addi	t0, tp, CPU_FENCE_I
	amoswap.w.aqrl zero, zero, (t0)
	fence.i
	j	4b

	/*
	 * First return from arch_switch(), sp at the frame: a0 is the previous task; s1 and s2 as arch_thread_kernel()
	 * set them.
	 */
	.globl	rv_kernel_thread
rv_kernel_thread:
	li	s0, 0
	call	schedule_tail
	csrsi	sstatus, SR_SIE
	mv	a0, s2
	jalr	s1
	j	1f
	.globl	rv_user_thread
rv_user_thread:
	li	s0, 0
	call	schedule_tail
1:	csrci	sstatus, SR_SIE
	mv	a0, sp
	call	exit_to_user
	j	user_return

	/* The page that signal handlers return to. */
	.section .rodata
	.balign	8
	.globl	arch_sigtramp
	.globl	rv_sigtramp_end
arch_sigtramp:
	li	a7, 139				/* rt_sigreturn */
	ecall
rv_sigtramp_end:
