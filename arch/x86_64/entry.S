/*
 * Entry and exit: interrupts and exceptions, system calls, NMI and its like, the first steps of threads, the switch of
 * stacks.
 *
 * gs holds the user's base in user mode and this CPU's struct cpu in the kernel. swapgs belongs to the crossing, so the
 * ordinary entries look at the interrupted code segment. NMI, double fault and machine check can come between a
 * crossing and its swapgs: they have stacks of their own and look at the base itself (kernel addresses are negative,
 * user space can only set positive ones).
 *
 * Every entry builds a full struct trapframe; see <asm/layout.h> for its offsets.
 */
#include <asm/layout.h>
#include "arch/x86_64/smap.h"

	.text
	.code64

	.macro	SAVE_REGS
	.irp	reg, rdi, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
	pushq	%\reg
	.endr
	.endm

	.macro	RESTORE_CALLEE_SAVED
	.irp	reg, r15, r14, r13, r12, rbp, rbx
	popq	%\reg
	.endr
	.endm

	/* And drop vector and error code: rsp points to what iretq takes. */
	.macro	RESTORE_REGS
	RESTORE_CALLEE_SAVED
	.irp	reg, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
	popq	%\reg
	.endr
	addq	$16, %rsp
	.endm

/* One stub of 16 bytes for each vector. Exceptions 8, 10-14, 17, 21, 29 and 30 push an error code themselves. */
#define HAS_ERROR_CODE 0x60227d00
	.balign 16
	.globl x86_trap_stubs
x86_trap_stubs:
	.set	vector, 0
	.rept	256
	.balign 16
	.if (vector < 32) && (HAS_ERROR_CODE >> (vector & 31) & 1)
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

	.balign 16
trap_common:
	testb	$3, 24(%rsp)
	jz	trap_from_kernel
	swapgs
	SAVE_REGS
	cld
	SMAP_OFF
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	call	x86_trap_user
return_to_user:
	RESTORE_REGS
	swapgs
	iretq

trap_from_kernel:
	SAVE_REGS
	cld
	SMAP_OFF
	movq	%rsp, %rdi
	pushq	TF_RIP(%rsp)		/* a frame for backtraces: the interrupted function called us, as it were */
	pushq	%rbp
	movq	%rsp, %rbp
	call	x86_trap_kernel
	addq	$16, %rsp
	RESTORE_REGS
	iretq

/*
 * System call: rcx is the user's rip, r11 its rflags; interrupts are off and the direction flag clear (MSR_FMASK).
 */
	.balign 16
	.globl x86_syscall_entry
x86_syscall_entry:
	swapgs
	movq	%rsp, %gs:CPU_USER_RSP
	movq	%gs:CPU_RSP0, %rsp
	pushq	$USER_DS
	pushq	%gs:CPU_USER_RSP
	pushq	%r11
	pushq	$USER_CS
	pushq	%rcx
	pushq	%rax
	pushq	$VEC_SYSCALL
	SAVE_REGS
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	call	do_syscall
syscall_return:
	/*
	 * SYSRET takes rip from rcx and rflags from r11; with a rip that is not canonical it would fault in the kernel.
	 */
	cmpl	$VEC_SYSCALL, TF_VECTOR(%rsp)
	jne	return_to_user
	movq	TF_RIP(%rsp), %rcx
	movq	%rcx, %rax
	shrq	$47, %rax
	jnz	return_to_user
	RESTORE_CALLEE_SAVED
	movq	TF_RFLAGS - 48(%rsp), %r11
	/* What is popped into rax and rdx first are the places of r11 and rcx. */
	.irp	reg, rax, r10, r9, r8, rax, rdx, rdx, rsi, rdi
	popq	%\reg
	.endr
	movq	TF_RSP - TF_VECTOR(%rsp), %rsp
	swapgs
	sysretq

	.macro	PARANOID_ENTRY name, vector, has_error
	.globl	\name
	.balign 16
\name:
	.if \has_error
	.else
	pushq	$0
	.endif
	pushq	$\vector
	jmp	trap_paranoid
	.endm

	PARANOID_ENTRY x86_nmi, VEC_NMI, 0
	PARANOID_ENTRY x86_double_fault, VEC_DOUBLE_FAULT, 1
	PARANOID_ENTRY x86_machine_check, VEC_MACHINE_CHECK, 0

trap_paranoid:
	SAVE_REGS
	cld
	SMAP_OFF
	xorl	%ebx, %ebx
	movl	$MSR_GS_BASE, %ecx
	rdmsr
	testl	%edx, %edx
	js	1f
	swapgs
	incl	%ebx
1:	movq	%rsp, %rdi
	pushq	TF_RIP(%rsp)
	pushq	%rbp
	movq	%rsp, %rbp
	call	x86_trap_paranoid
	addq	$16, %rsp
	testl	%ebx, %ebx
	jz	2f
	swapgs
2:	RESTORE_REGS
	iretq

/*
 * A new thread comes here from x86_switch, with the previous task in rax and, above its stack, a trapframe. Kernel
 * threads: rbx the function, r12 its argument; if it returns, the thread goes to user mode through the frame.
 */
	.globl	x86_thread_start, x86_user_start
x86_thread_start:
	movq	%rax, %rdi
	call	schedule_tail
	sti
	movq	%r12, %rdi
	call	*%rbx
	jmp	1f
x86_user_start:
	movq	%rax, %rdi
	call	schedule_tail
1:	cli
	movq	%rsp, %rdi
	call	exit_to_user
	jmp	syscall_return

/*
 * void *x86_switch(u64 *save_sp, u64 sp, void *prev): save and load the callee-saved registers on the stacks, return
 * prev.
 */
	.globl	x86_switch
x86_switch:
	.irp	reg, rbp, rbx, r12, r13, r14, r15
	pushq	%\reg
	.endr
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	.irp	reg, r15, r14, r13, r12, rbx, rbp
	popq	%\reg
	.endr
	movq	%rdx, %rax
	ret
