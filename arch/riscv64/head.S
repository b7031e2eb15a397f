/*
 * First instructions of the boot CPU and of the others.
 *
 * The boot CPU comes from SBI firmware or a boot loader in S-mode with the MMU off, a0 = its hart, a1 = physical
 * address of the device tree, at whatever multiple of 2 MiB the image was loaded. Until the MMU is on, every address is
 * taken relative to pc, so code and data are reached where they were loaded. The others come the same way to
 * rv_cpu_entry.
 *
 * Nothing is mapped at its physical address: the fetch that follows the write of satp faults, and stvec holds the
 * linked address of where to go on. If the machine does not have the mode, the write does nothing, and the next one is
 * tried.
 */
#include <asm/layout.h>

	.section .head.text, "ax"
	.globl _start
_start:
	/* Linux's image header, which loaders know. */
	.option push
	.option norvc
	j	boot_entry
	nop
	.option pop
	.dword	0x200000			/* load it at the start of RAM + this */
	.dword	_end - _text			/* room that it needs */
	.dword	0				/* little-endian */
	.word	2				/* header version 0.2 */
	.word	0
	.dword	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.word	0

	/*
	 * Interrupts off, FPU off, no access to user pages; SPP = 0 and SPIE = 1, as the trap code keeps them
	 * (entry.S).
	 */
	.macro	clean_status
	csrw	sie, zero
	li	t0, SR_FS | SR_SUM | SR_SPP | SR_SIE
	csrc	sstatus, t0
	li	t0, SR_SPIE
	csrs	sstatus, t0
	.endm

boot_entry:
	clean_status
	la	t0, boot_hart_taken
	li	t1, 1
	amoswap.w.aqrl t1, t1, (t0)
	bnez	t1, rv_cpu_entry
	mv	s1, a0
	mv	s2, a1
	la	t0, _bss_start
	la	t1, _end
1:	sd	zero, 0(t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b

	la	sp, boot_stack_top
	mv	a0, s2
	call	rv_early_levels
	mv	s3, a0
2:	mv	a0, s3
	call	rv_early_tables
	la	t0, boot_high_address
	call	try_mmu
	addi	s3, s3, -1
	li	t0, 3
	bgeu	s3, t0, 2b
3:	wfi					/* neither Sv48 nor Sv39 */
	j	3b

	/* a0: satp, t0: where its linked destination stands. Returns if the machine does not have the mode. */
try_mmu:
	ld	t0, 0(t0)
	csrw	stvec, t0
	sfence.vma
	csrw	satp, a0
	ret

	.balign	8
boot_high_address:
	.dword	boot_high
cpu_high_address:
	.dword	cpu_high

	.balign	4				/* stvec */
boot_high:
	la	t0, trap_entry
	csrw	stvec, t0
	csrw	sscratch, zero
	clean_status				/* the fault changed it */
	sfence.vma
	la	sp, boot_stack_top
	la	tp, boot_cpu
	la	t0, init_task
	sd	t0, CPU_CURRENT(tp)
	li	s0, 0
	mv	a0, s1
	mv	a1, s2
	call	rv_setup

	/*
	 * A hart that arch_cpu_start() asked for. OpenSBI up to 1.1 announces the request before it has stored where to
	 * go with what in a1, so a hart that looks at the wrong moment comes here with another a1, or to _start with
	 * the boot hart's arguments. Only a0 is sure: rv_harts says which CPU that is.
	 */
	.globl	rv_cpu_entry
rv_cpu_entry:
	la	t0, rv_harts
	la	t1, rv_harts_end
1:	ld	a1, 8(t0)
	fence	r, r
	ld	t2, 0(t0)
	beqz	a1, 2f
	beq	t2, a0, 3f
2:	addi	t0, t0, 16
	bltu	t0, t1, 1b
	fence
	j	rv_cpu_entry
3:	fence	r, rw
	la	t0, rv_kernel_satp
	ld	a0, 0(t0)
	la	t0, cpu_high_address
	j	try_mmu

	.balign	4
cpu_high:
	la	t0, trap_entry
	csrw	stvec, t0
	csrw	sscratch, zero
	clean_status
	sfence.vma
	mv	tp, a1
	ld	t0, CPU_CURRENT(tp)
	ld	sp, TASK_KSTACK(t0)
	li	t0, (1 << KSTACK_SHIFT) - TF_SIZE
	add	sp, sp, t0
	li	s0, 0
	call	secondary_main

	.bss
	.balign	16
	.globl	boot_stack
boot_stack:
	.skip	1 << KSTACK_SHIFT
boot_stack_top:

	.balign	16
	.globl	rv_harts
rv_harts:
	.skip	MAX_HARTS * 16
rv_harts_end:

	.data
	.balign	8
boot_hart_taken:
	.word	0
	.word	0
	/* Not const here: early.c fills it in. */
	.globl	rv_layout
rv_layout:
	.skip	9 * 8
	.size	rv_layout, . - rv_layout
