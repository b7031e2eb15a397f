/*
 * User memory, and whole pages. sstatus.SUM is set only here, between enter_user and leave_user.
 *
 * Copies go by words of 8 bytes, 64 bytes a turn, if both sides can be aligned together, else by bytes (silicon may
 * trap on misaligned words). A fault in a word sends it to the byte loop, which then finds the exact byte: what is
 * returned is exact.
 */
#include <asm/layout.h>

#include "lib/errno.h"

	.macro	enter_user
	li	t6, SR_SUM
	csrs	sstatus, t6
	.endm

	.macro	leave_user
	csrc	sstatus, t6
	.endm

	/* The next instruction may fault: then go on at \fixup. */
	.macro	guard	fixup
99:
	.pushsection __ex_table, "a"
	.balign	4
	.word	99b - .
	.word	\fixup - .
	.popsection
	.endm

	.macro	load	on, fixup, insn:vararg
	.if	\on
	guard	\fixup
	.endif
	\insn
	.endm

	.text
	/* a0 to, a1 from, a2 bytes; returns what was not copied. \from, \to: which side is the user's. */
	.macro	copy_function name, from, to
	.globl	\name
\name:
	enter_user
	xor	t0, a0, a1
	andi	t0, t0, 7
	li	t1, 16
	bnez	t0, 6f
	bltu	a2, t1, 6f
1:	andi	t0, a0, 7
	beqz	t0, 2f
	load	\from, 9f, lb t1, 0(a1)
	load	\to, 9f, sb t1, 0(a0)
	addi	a1, a1, 1
	addi	a0, a0, 1
	addi	a2, a2, -1
	j	1b
2:	li	a3, 64
	bltu	a2, a3, 4f
3:	load	\from, 6f, ld t0, 0(a1)
	load	\from, 6f, ld t1, 8(a1)
	load	\from, 6f, ld t2, 16(a1)
	load	\from, 6f, ld t3, 24(a1)
	load	\from, 6f, ld t4, 32(a1)
	load	\from, 6f, ld t5, 40(a1)
	load	\from, 6f, ld a4, 48(a1)
	load	\from, 6f, ld a5, 56(a1)
	load	\to, 6f, sd t0, 0(a0)
	load	\to, 6f, sd t1, 8(a0)
	load	\to, 6f, sd t2, 16(a0)
	load	\to, 6f, sd t3, 24(a0)
	load	\to, 6f, sd t4, 32(a0)
	load	\to, 6f, sd t5, 40(a0)
	load	\to, 6f, sd a4, 48(a0)
	load	\to, 6f, sd a5, 56(a0)
	addi	a1, a1, 64
	addi	a0, a0, 64
	addi	a2, a2, -64
	bgeu	a2, a3, 3b
4:	li	a3, 8
	bltu	a2, a3, 6f
5:	load	\from, 6f, ld t0, 0(a1)
	load	\to, 6f, sd t0, 0(a0)
	addi	a1, a1, 8
	addi	a0, a0, 8
	addi	a2, a2, -8
	bgeu	a2, a3, 5b
6:	li	a3, 4
	bltu	a2, a3, 8f
7:	load	\from, 8f, lb t0, 0(a1)
	load	\from, 8f, lb t1, 1(a1)
	load	\from, 8f, lb t2, 2(a1)
	load	\from, 8f, lb t3, 3(a1)
	load	\to, 8f, sb t0, 0(a0)
	load	\to, 8f, sb t1, 1(a0)
	load	\to, 8f, sb t2, 2(a0)
	load	\to, 8f, sb t3, 3(a0)
	addi	a1, a1, 4
	addi	a0, a0, 4
	addi	a2, a2, -4
	bgeu	a2, a3, 7b
8:	beqz	a2, 9f
	load	\from, 9f, lb t0, 0(a1)
	load	\to, 9f, sb t0, 0(a0)
	addi	a1, a1, 1
	addi	a0, a0, 1
	addi	a2, a2, -1
	j	8b
9:	leave_user
	mv	a0, a2
	ret
	.endm

	copy_function arch_copy_from_user, 1, 0
	copy_function arch_copy_to_user, 0, 1

	/* a0 to, a1 bytes; returns what was not cleared. */
	.globl	arch_clear_user
arch_clear_user:
	enter_user
1:	andi	t0, a0, 7
	beqz	t0, 2f
	beqz	a1, 9f
	load	1, 9f, sb zero, 0(a0)
	addi	a0, a0, 1
	addi	a1, a1, -1
	j	1b
2:	li	t1, 64
	bltu	a1, t1, 4f
3:
	.irp	n, 0,8,16,24,32,40,48,56
	load	1, 6f, sd zero, \n(a0)
	.endr
	addi	a0, a0, 64
	addi	a1, a1, -64
	bgeu	a1, t1, 3b
4:	li	t1, 8
	bltu	a1, t1, 6f
5:	load	1, 6f, sd zero, 0(a0)
	addi	a0, a0, 8
	addi	a1, a1, -8
	bgeu	a1, t1, 5b
6:	beqz	a1, 9f
	load	1, 9f, sb zero, 0(a0)
	addi	a0, a0, 1
	addi	a1, a1, -1
	j	6b
9:	leave_user
	mv	a0, a1
	ret

	/*
	 * a0 to, a1 from, a2 room; returns the length without the NUL, the room if there is no NUL in it, or -EFAULT.
	 */
	.globl	arch_strncpy_from_user
arch_strncpy_from_user:
	enter_user
	mv	t1, a0
	add	t2, a0, a2
	beqz	a2, 2f
1:	load	1, 8f, lb t0, 0(a1)
	sb	t0, 0(t1)
	beqz	t0, 2f
	addi	t1, t1, 1
	addi	a1, a1, 1
	bne	t1, t2, 1b
2:	leave_user
	sub	a0, t1, a0
	ret
8:	leave_user
	li	a0, -EFAULT
	ret

	/* a0 user address, a1 old, a2 new, a3 where to say what was there */
	.globl	arch_cmpxchg_user32
arch_cmpxchg_user32:
	enter_user
	sext.w	a1, a1
1:	load	1, 8f, lr.w t0, (a0)
	bne	t0, a1, 2f
	load	1, 8f, sc.w.rl t1, a2, (a0)
	bnez	t1, 1b
2:	fence	rw, rw
	leave_user
	sw	t0, 0(a3)
	li	a0, 0
	ret
8:	leave_user
	li	a0, -EFAULT
	ret

	/* a0 to, a1 user address; then a0 user address, a1 value */
	.macro	get_put	bits, l, s
	.globl	arch_get_user\bits
arch_get_user\bits:
	enter_user
	load	1, 8f, \l t0, 0(a1)
	leave_user
	\s	t0, 0(a0)
	li	a0, 0
	ret
	.globl	arch_put_user\bits
arch_put_user\bits:
	enter_user
	load	1, 8f, \s a1, 0(a0)
	leave_user
	li	a0, 0
	ret
8:	leave_user
	li	a0, -EFAULT
	ret
	.endm

	get_put	32, lw, sw
	get_put	64, ld, sd

	/* a0: page */
	.globl	clear_page
clear_page:
	li	t0, 4096
	add	t0, a0, t0
1:
	.irp	n, 0,8,16,24,32,40,48,56,64,72,80,88,96,104,112,120
	sd	zero, \n(a0)
	.endr
	addi	a0, a0, 128
	bne	a0, t0, 1b
	ret

	/* a0: to, a1: from */
	.globl	copy_page
copy_page:
	li	t0, 4096
	add	t0, a0, t0
1:	ld	t1, 0(a1)
	ld	t2, 8(a1)
	ld	t3, 16(a1)
	ld	t4, 24(a1)
	ld	t5, 32(a1)
	ld	t6, 40(a1)
	ld	a2, 48(a1)
	ld	a3, 56(a1)
	sd	t1, 0(a0)
	sd	t2, 8(a0)
	sd	t3, 16(a0)
	sd	t4, 24(a0)
	sd	t5, 32(a0)
	sd	t6, 40(a0)
	sd	a2, 48(a0)
	sd	a3, 56(a0)
	addi	a0, a0, 64
	addi	a1, a1, 64
	bne	a0, t0, 1b
	ret
