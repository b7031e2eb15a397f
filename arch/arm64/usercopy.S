/*
 * User memory. Where the CPU has PAN, user memory may be touched only here, between enter_user and leave_user; their
 * places are filled in by a64_user_init() (features.c).
 *
 * Copies go by 64 bytes a turn, then by ever smaller pieces; normal memory need not be aligned for that. A fault in a
 * piece sends it to the byte loop, which then finds the exact byte: what is returned is exact.
 */
#include <asm/layout.h>

#include "lib/errno.h"

	/* Nothing, or "msr pan, #\imm". */
	.macro	pan_site imm
98:	nop
	.pushsection pan_sites, "a"
	.balign	4
	.word	98b - .
	.word	0xd500409f | \imm << 8
	.popsection
	.endm

	.macro	enter_user
	pan_site 0
	.endm

	.macro	leave_user
	pan_site 1
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

	.macro	access	on, fixup, insn:vararg
	.if	\on
	guard	\fixup
	.endif
	\insn
	.endm

	.text
	/* \bytes if bit \bit of the rest says so: one \load and one \store. */
	.macro	piece bit, bytes, from, to, load, store, regs:vararg
	tbz	x2, #\bit, 5f
	access	\from, 6f, \load \regs, [x1]
	access	\to, 6f, \store \regs, [x0]
	add	x1, x1, #\bytes
	add	x0, x0, #\bytes
	sub	x2, x2, #\bytes
5:
	.endm

	/* x0 to, x1 from, x2 bytes; returns what was not copied. \from, \to: which side is the user's. */
	.macro	copy_function name, from, to
	.globl	\name
	.balign	16
\name:
	cmp	x2, #64
	enter_user
	b.lo	2f
1:	access	\from, 6f, ldp x3, x4, [x1]
	access	\from, 6f, ldp x5, x6, [x1, #16]
	access	\from, 6f, ldp x7, x8, [x1, #32]
	access	\from, 6f, ldp x9, x10, [x1, #48]
	access	\to, 6f, stp x3, x4, [x0]
	access	\to, 6f, stp x5, x6, [x0, #16]
	access	\to, 6f, stp x7, x8, [x0, #32]
	access	\to, 6f, stp x9, x10, [x0, #48]
	sub	x2, x2, #64
	add	x1, x1, #64
	add	x0, x0, #64
	cmp	x2, #64
	b.hs	1b
2:	tbz	x2, #5, 3f
	access	\from, 6f, ldp x3, x4, [x1]
	access	\from, 6f, ldp x5, x6, [x1, #16]
	access	\to, 6f, stp x3, x4, [x0]
	access	\to, 6f, stp x5, x6, [x0, #16]
	add	x1, x1, #32
	add	x0, x0, #32
	sub	x2, x2, #32
3:	piece	4, 16, \from, \to, ldp, stp, x3, x4
	piece	3, 8, \from, \to, ldr, str, x3
	cbz	x2, 9f
	piece	2, 4, \from, \to, ldr, str, w3
	piece	1, 2, \from, \to, ldrh, strh, w3
6:	cbz	x2, 9f
	access	\from, 9f, ldrb w3, [x1]
	access	\to, 9f, strb w3, [x0]
	add	x1, x1, #1
	add	x0, x0, #1
	sub	x2, x2, #1
	b	6b
9:	leave_user
	mov	x0, x2
	ret
	.endm

	copy_function arch_copy_from_user, 1, 0
	copy_function arch_copy_to_user, 0, 1

	/* x0 to, x1 bytes; returns what was not cleared. */
	.globl	arch_clear_user
arch_clear_user:
	enter_user
	cmp	x1, #64
	b.lo	2f
1:	access	1, 6f, stp xzr, xzr, [x0]
	access	1, 6f, stp xzr, xzr, [x0, #16]
	access	1, 6f, stp xzr, xzr, [x0, #32]
	access	1, 6f, stp xzr, xzr, [x0, #48]
	sub	x1, x1, #64
	add	x0, x0, #64
	cmp	x1, #64
	b.hs	1b
2:	cmp	x1, #8
	b.lo	6f
3:	access	1, 6f, str xzr, [x0]
	sub	x1, x1, #8
	add	x0, x0, #8
	cmp	x1, #8
	b.hs	3b
6:	cbz	x1, 9f
	access	1, 9f, strb wzr, [x0]
	add	x0, x0, #1
	sub	x1, x1, #1
	b	6b
9:	leave_user
	mov	x0, x1
	ret

	/*
	 * x0 to, x1 from, x2 room; returns the length without the NUL, the room if there is no NUL in it, or -EFAULT.
	 */
	.globl	arch_strncpy_from_user
arch_strncpy_from_user:
	enter_user
	mov	x3, #0
	cbz	x2, 2f
1:	access	1, 8f, ldrb w4, [x1, x3]
	strb	w4, [x0, x3]
	cbz	w4, 2f
	add	x3, x3, #1
	cmp	x3, x2
	b.ne	1b
2:	leave_user
	mov	x0, x3
	ret

	/*
	 * x0 user address, w1 old, w2 new, x3 where to say what was there. What came before is ordered by the release,
	 * what comes after by the barrier.
	 */
	.globl	arch_cmpxchg_user32
arch_cmpxchg_user32:
	enter_user
1:	access	1, 8f, ldxr w4, [x0]
	cmp	w4, w1
	b.ne	2f
	access	1, 8f, stlxr w5, w2, [x0]
	cbnz	w5, 1b
2:	dmb	ish
	leave_user
	str	w4, [x3]
	mov	w0, #0
	ret

8:	leave_user
	mov	x0, #-EFAULT
	ret

	/* x0 to, x1 user address; then x0 user address, x1 value */
	.macro	get_put	bits, r
	.globl	arch_get_user\bits
arch_get_user\bits:
	enter_user
	access	1, 8b, ldr \r\()2, [x1]
	leave_user
	str	\r\()2, [x0]
	mov	w0, #0
	ret
	.globl	arch_put_user\bits
arch_put_user\bits:
	enter_user
	access	1, 8b, str \r\()1, [x0]
	leave_user
	mov	w0, #0
	ret
	.endm

	get_put	32, w
	get_put	64, x
