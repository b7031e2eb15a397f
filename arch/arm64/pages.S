/*
 * Whole pages: void clear_page(void *), void copy_page(void *dst, const void *src).
 */
	.text
	/* dc zva clears a block without reading it. DCZID_EL0: bit 4 forbids it, bits 0-3 are its size in words. */
	.globl	clear_page
clear_page:
	mrs	x1, dczid_el0
	tbnz	x1, #4, 2f
	and	x1, x1, #15
	mov	x2, #4
	lsl	x2, x2, x1
1:	dc	zva, x0
	add	x0, x0, x2
	dc	zva, x0
	add	x0, x0, x2
	tst	x0, #4095
	b.ne	1b
	ret
2:	stp	xzr, xzr, [x0]
	stp	xzr, xzr, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	add	x0, x0, #64
	tst	x0, #4095
	b.ne	2b
	ret

	.globl	copy_page
copy_page:
	ldp	x2, x3, [x1]
	ldp	x4, x5, [x1, #16]
	ldp	x6, x7, [x1, #32]
	ldp	x8, x9, [x1, #48]
	add	x1, x1, #64
	stp	x2, x3, [x0]
	stp	x4, x5, [x0, #16]
	stp	x6, x7, [x0, #32]
	stp	x8, x9, [x0, #48]
	add	x0, x0, #64
	tst	x0, #4095
	b.ne	copy_page
	ret
