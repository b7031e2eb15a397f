/*
 * Whole pages, and making instructions visible that were written as data.
 */
#include <asm/layout.h>

	.text
/* void clear_page(void *page): eight cache blocks a round */
	.globl	clear_page
	.balign	32
clear_page:
	.irp	n, 4,5,6,7,8,9,10
	li	\n, (\n - 3) * CACHE_BLOCK
	.endr
	li	0, 4096 / CACHE_BLOCK / 8
	mtctr	0
1:	dcbz	0, 3
	.irp	n, 4,5,6,7,8,9,10
	dcbz	\n, 3
	.endr
	addi	3, 3, 8 * CACHE_BLOCK
	bdnz	1b
	blr

/* void copy_page(void *dst, const void *src) */
	.globl	copy_page
	.balign	32
copy_page:
	li	0, 32
	mtctr	0
1:	.irp	at, 0, 64
	.irp	n, 5,6,7,8,9,10,11,12
	ld	\n, \at + (\n - 5) * 8(4)
	.endr
	.irp	n, 5,6,7,8,9,10,11,12
	std	\n, \at + (\n - 5) * 8(3)
	.endr
	.endr
	addi	4, 4, 128
	addi	3, 3, 128
	bdnz	1b
	blr
