/*
 * Copies: to and from user memory with recovery from faults, of kernel memory, and of whole pages.
 *
 * Plain 8-byte moves, 64 bytes a turn: an emulator runs string instructions one element at a time. Where they are
 * quicker (measured at boot, x86_use_rep) they do what is longer than 64 bytes.
 */
#include <asm/layout.h>
#include "arch/x86_64/smap.h"

	.text
	.code64

	/* The exception table: a fault at `insn` goes on at `fixup`. */
	.macro	EXTABLE insn, fixup
	.pushsection __ex_table, "a"
	.balign 4
	.long	\insn - .
	.long	\fixup - .
	.popsection
	.endm

	.macro	FUNCTION name
	.balign 16
	.globl	\name
	.type	\name, @function
\name:
	.endm

	.macro	ACCESS user, fixup, insn:vararg
99:	\insn
	.if \user
	EXTABLE	99b, \fixup
	.endif
	.endm

/*
 * Copy rdx bytes from rsi to rdi; rax is the number of bytes not copied. After a fault in the middle of a block the
 * rest is tried byte by byte, so the count is exact. Spoils rcx, rdx, rsi, rdi, r8.
 */
	.macro	COPY user
	movq	%rdx, %rcx
	shrq	$6, %rcx
	jz	2f
	cmpb	$0, x86_use_rep
	jne	6f
1:
	.irp	offset, 0, 8, 16, 24, 32, 40, 48, 56
	ACCESS	\user, 7f, movq \offset(%rsi), %r8
	ACCESS	\user, 7f, movq %r8, \offset(%rdi)
	.endr
	addq	$64, %rsi
	addq	$64, %rdi
	decq	%rcx
	jnz	1b
	andl	$63, %edx
2:	movl	%edx, %ecx
	shrl	$3, %ecx
	jz	4f
3:	ACCESS	\user, 8f, movq (%rsi), %r8
	ACCESS	\user, 8f, movq %r8, (%rdi)
	addq	$8, %rsi
	addq	$8, %rdi
	decl	%ecx
	jnz	3b
	andl	$7, %edx
4:	movq	%rdx, %rcx
	jrcxz	9f
5:	ACCESS	\user, 9f, movb (%rsi), %dl
	ACCESS	\user, 9f, movb %dl, (%rdi)
	incq	%rsi
	incq	%rdi
	decq	%rcx
	jnz	5b
	jmp	9f
6:	movq	%rdx, %rcx
	ACCESS	\user, 9f, rep movsb
9:	movq	%rcx, %rax
	.if \user
	SMAP_OFF
	.endif
	ret
	.if \user
7:	andl	$63, %edx		/* in a block: rcx blocks and the tail are left */
	shlq	$6, %rcx
	addq	%rcx, %rdx
	jmp	4b
8:	andl	$7, %edx		/* in a word: ecx words and the tail */
	leaq	(%rdx, %rcx, 8), %rdx
	jmp	4b
	.endif
	.endm

FUNCTION arch_copy_from_user
	SMAP_ON
	COPY	1

FUNCTION arch_copy_to_user
	SMAP_ON
	COPY	1

/* void *memcpy(void *dst, const void *src, size_t n) */
FUNCTION memcpy
	pushq	%rdi
	call	copy_kernel
	popq	%rax
	ret

copy_kernel:
	COPY	0

/* size_t arch_clear_user(void *udst, size_t n) */
FUNCTION arch_clear_user
	SMAP_ON
	xorl	%eax, %eax
	movq	%rsi, %rcx
	shrq	$3, %rcx
	jz	2f
1:	movq	%rax, (%rdi)
	addq	$8, %rdi
	decq	%rcx
	jnz	1b
	andl	$7, %esi
2:	testq	%rsi, %rsi
	jz	4f
3:	movb	%al, (%rdi)
	incq	%rdi
	decq	%rsi
	jnz	3b
4:	movq	%rsi, %rax
	SMAP_OFF
	ret
5:	andl	$7, %esi
	leaq	(%rsi, %rcx, 8), %rsi
	jmp	2b
	EXTABLE	1b, 5b
	EXTABLE	3b, 4b

/*
 * long arch_strncpy_from_user(char *dst, const char *usrc, size_t n): length without NUL, n if there is none, -EFAULT
 */
FUNCTION arch_strncpy_from_user
	SMAP_ON
	xorl	%eax, %eax
	testq	%rdx, %rdx
	jz	2f
1:	movb	(%rsi, %rax), %cl
	movb	%cl, (%rdi, %rax)
	testb	%cl, %cl
	jz	2f
	incq	%rax
	cmpq	%rdx, %rax
	jne	1b
2:	SMAP_OFF
	ret
3:	movq	$-14, %rax
	jmp	2b
	EXTABLE	1b, 3b

	/* One access at label 1; eax is 0 or -EFAULT. */
	.macro	USER_ACCESS insn:vararg
	SMAP_ON
	xorl	%eax, %eax
1:	\insn
2:	SMAP_OFF
	.pushsection .text.fixup, "ax"
3:	movl	$-14, %eax
	jmp	2b
	.popsection
	EXTABLE	1b, 3b
	.endm

/* int arch_get_user32(u32 *dst, const u32 *usrc) and the like */
FUNCTION arch_get_user32
	xorl	%ecx, %ecx
	USER_ACCESS movl (%rsi), %ecx
	movl	%ecx, (%rdi)
	ret

FUNCTION arch_get_user64
	xorl	%ecx, %ecx
	USER_ACCESS movq (%rsi), %rcx
	movq	%rcx, (%rdi)
	ret

FUNCTION arch_put_user32
	USER_ACCESS movl %esi, (%rdi)
	ret

FUNCTION arch_put_user64
	USER_ACCESS movq %rsi, (%rdi)
	ret

/* int arch_cmpxchg_user32(u32 *uaddr, u32 old, u32 new, u32 *seen) */
FUNCTION arch_cmpxchg_user32
	SMAP_ON
	movl	%esi, %eax
1:	lock cmpxchgl %edx, (%rdi)
	SMAP_OFF
	movl	%eax, (%rcx)
	xorl	%eax, %eax
	ret
3:	SMAP_OFF
	movl	$-14, %eax
	ret
	EXTABLE	1b, 3b

/* void clear_page(void *page) */
FUNCTION clear_page
	cmpb	$0, x86_use_rep
	je	x86_clear_page_mov
FUNCTION x86_clear_page_rep
	movl	$4096, %ecx
	xorl	%eax, %eax
	rep stosb
	ret

FUNCTION x86_clear_page_mov
	movl	$16, %ecx
	xorl	%eax, %eax
1:
	.set	i, 0
	.rept	32
	movq	%rax, i(%rdi)
	.set	i, i + 8
	.endr
	addq	$256, %rdi
	decl	%ecx
	jnz	1b
	ret

/* void copy_page(void *dst, const void *src) */
FUNCTION copy_page
	cmpb	$0, x86_use_rep
	jne	2f
	movl	$32, %ecx
1:
	.set	i, 0
	.rept	16
	movq	i(%rsi), %rax
	movq	%rax, i(%rdi)
	.set	i, i + 8
	.endr
	addq	$128, %rsi
	addq	$128, %rdi
	decl	%ecx
	jnz	1b
	ret
2:	movl	$4096, %ecx
	rep movsb
	ret

	.data
	.globl	x86_use_rep
x86_use_rep:
	.byte	0
