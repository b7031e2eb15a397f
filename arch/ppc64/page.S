/*
 * Whole pages, and making instructions visible that were written as data.
 */
#include <asm/layout.h>

	.text
/* void clear_page(void *page): eight cache blocks a round; their size comes from the device tree (a power of two). */
	.globl	clear_page
	.balign	32
clear_page:
	addis	4, 2, ppc_dcache_block@toc@ha
	ld	4, ppc_dcache_block@toc@l(4)
	sldi	5, 4, 1
	add	6, 5, 4
	sldi	7, 4, 2
	add	8, 7, 4
	add	9, 7, 5
	add	10, 7, 6
	sldi	11, 4, 3
	addi	12, 3, 4096
1:	dcbz	0, 3
	dcbz	4, 3
	dcbz	5, 3
	dcbz	6, 3
	dcbz	7, 3
	dcbz	8, 3
	dcbz	9, 3
	dcbz	10, 3
	add	3, 3, 11
	cmpld	3, 12
	blt	1b
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
