/*
 * User memory. AMR lets the kernel at user pages only here, between enter_user and leave_user.
 *
 * Copies go by 64 bytes, then 8, then single bytes; the CPU does not mind what is not aligned. A fault in a word sends
 * it to the byte loop, which then finds the exact byte: what is returned is exact.
 */
#include <asm/layout.h>

#include "lib/errno.h"

	.machine power9

	.macro	enter_user
	li	%r0, 0
	mtspr	SPR_AMR, %r0
	isync
	.endm

	/* The accesses before it are done with the old value. */
	.macro	leave_user
	li	%r0, AMR_CLOSED
	isync
	mtspr	SPR_AMR, %r0
	.endm

	/* The next instruction may fault: then go on at \fixup. */
	.macro	guard	fixup
99:
	.pushsection __ex_table, "a"
	.balign	4
	.long	99b - .
	.long	\fixup - .
	.popsection
	.endm

	.macro	access	on, fixup, insn:vararg
	.if	\on
	guard	\fixup
	.endif
	\insn
	.endm

	.macro	function name
	.globl	\name
	.type	\name, @function
	.balign	16
\name:
	.endm

	.text
	/* r3 to, r4 from, r5 bytes; returns what was not copied. \from, \to: which side is the user's. */
	.macro	copy_function name, from, to
	function \name
	enter_user
	srdi.	%r0, %r5, 6
	beq	2f
	mtctr	%r0
1:	.irp	r, 6,7,8,9,10,11,12
	access	\from, 4f, ld %r\r, (\r - 6) * 8(%r4)
	.endr
	access	\from, 4f, ld %r0, 56(%r4)
	.irp	r, 6,7,8,9,10,11,12
	access	\to, 4f, std %r\r, (\r - 6) * 8(%r3)
	.endr
	access	\to, 4f, std %r0, 56(%r3)
	addi	%r5, %r5, -64
	addi	%r4, %r4, 64
	addi	%r3, %r3, 64
	bdnz	1b
2:	srdi.	%r0, %r5, 3
	beq	4f
	mtctr	%r0
3:	access	\from, 4f, ld %r6, 0(%r4)
	access	\to, 4f, std %r6, 0(%r3)
	addi	%r5, %r5, -8
	addi	%r4, %r4, 8
	addi	%r3, %r3, 8
	bdnz	3b
4:	cmpldi	%r5, 0
	beq	9f
	mtctr	%r5
5:	access	\from, 9f, lbz %r6, 0(%r4)
	access	\to, 9f, stb %r6, 0(%r3)
	addi	%r5, %r5, -1
	addi	%r4, %r4, 1
	addi	%r3, %r3, 1
	bdnz	5b
9:	leave_user
	mr	%r3, %r5
	blr
	.endm

	copy_function arch_copy_from_user, 1, 0
	copy_function arch_copy_to_user, 0, 1

	/* r3 to, r4 bytes; returns what was not cleared. */
	function arch_clear_user
	enter_user
	srdi.	%r5, %r4, 6
	beq	2f
	mtctr	%r5
1:
	.irp	n, 0,8,16,24,32,40,48,56
	access	1, 4f, std %r0, \n(%r3)
	.endr
	addi	%r4, %r4, -64
	addi	%r3, %r3, 64
	bdnz	1b
2:	srdi.	%r5, %r4, 3
	beq	4f
	mtctr	%r5
3:	access	1, 4f, std %r0, 0(%r3)
	addi	%r4, %r4, -8
	addi	%r3, %r3, 8
	bdnz	3b
4:	cmpldi	%r4, 0
	beq	9f
	mtctr	%r4
5:	access	1, 9f, stb %r0, 0(%r3)
	addi	%r4, %r4, -1
	addi	%r3, %r3, 1
	bdnz	5b
9:	leave_user
	mr	%r3, %r4
	blr

	/*
	 * r3 to, r4 from, r5 room; returns the length without the NUL, the room if there is no NUL in it, or -EFAULT.
	 */
	function arch_strncpy_from_user
	enter_user
	mr	%r6, %r3
	cmpldi	%r5, 0
	beq	2f
	mtctr	%r5
1:	access	1, 8f, lbz %r7, 0(%r4)
	cmpldi	%r7, 0
	stb	%r7, 0(%r6)
	beq	2f
	addi	%r4, %r4, 1
	addi	%r6, %r6, 1
	bdnz	1b
2:	leave_user
	subf	%r3, %r3, %r6
	blr

	/* r3 user address, r4 old, r5 new, r6 where to say what was there */
	function arch_cmpxchg_user32
	enter_user
	sync
1:	access	1, 8f, lwarx %r7, 0, %r3
	cmpw	%r7, %r4
	bne	2f
	access	1, 8f, stwcx. %r5, 0, %r3
	bne-	1b
2:	sync
	leave_user
	stw	%r7, 0(%r6)
	li	%r3, 0
	blr
8:	leave_user
	li	%r3, -EFAULT
	blr

	/* r3 to, r4 user address; then r3 user address, r4 value */
	.macro	get_put	bits, l, s
	function arch_get_user\bits
	enter_user
	access	1, 8f, \l %r5, 0(%r4)
	leave_user
	\s	%r5, 0(%r3)
	li	%r3, 0
	blr
	function arch_put_user\bits
	enter_user
	access	1, 8f, \s %r4, 0(%r3)
	leave_user
	li	%r3, 0
	blr
8:	leave_user
	li	%r3, -EFAULT
	blr
	.endm

	get_put	32, lwz, stw
	get_put	64, ld, std
