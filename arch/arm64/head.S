/*
 * First instructions of the boot CPU and of the others.
 *
 * They come with the MMU off, at EL1 or EL2, from wherever the image was loaded: the boot CPU at _start with the device
 * tree's physical address in x0, the others at a64_cpu_entry with their struct cpu (its kernel address) in x0. Both go
 * down to EL1, switch the MMU on, and go on at linked addresses. The first page of the image, where all of this is, is
 * mapped at its physical address for that (TTBR0_EL1).
 *
 * Caches: with the MMU off every access goes to memory, past caches in which stale lines may lie. The loader has
 * cleaned the image; what we write here, the first tables and a stack, is invalidated before (a dirty line would be
 * written over it) and after (a line fetched ahead would hide it). What others have to read before their MMU is on is
 * cleaned by whoever writes it (mmu.c).
 */
#include <asm/layout.h>

	.section .head.text, "ax"
	.globl	_start
_start:
	/* Linux's image header, which loaders know. */
	b	boot_entry
	.long	0
	.quad	0				/* load it at a multiple of 2 MiB + this */
	.quad	_image_size
	.quad	0xa				/* little-endian, 4 KiB pages, anywhere in memory */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

boot_entry:
	mov	x21, x0
	mrs	x22, CurrentEL
	bl	enter_el1
	adrp	x0, _early_start
	adrp	x1, _early_end
	bl	invalidate
	adrp	x0, _early_start
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	adrp	x0, early_stack_top
	mov	sp, x0
	mov	x0, x21
	bl	a64_early_tables
	adrp	x0, _early_start
	adrp	x1, _early_end
	bl	invalidate
	adrp	x0, a64_idmap
	adrp	x1, a64_early_root
	ldr	x30, =boot_high
	b	mmu_on

	.globl	a64_cpu_entry
a64_cpu_entry:
	mov	x21, x0
	bl	enter_el1
	adrp	x0, a64_idmap
	adrp	x1, a64_kernel_root
	ldr	x1, [x1, :lo12:a64_kernel_root]
	ldr	x30, =cpu_high
	b	mmu_on

	/* Invalidate the data caches from x0 to x1, which are aligned to a page. Changes x0, x2, x3. */
invalidate:
	dmb	sy
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4
	mov	x3, #4
	lsl	x2, x3, x2
1:	dc	ivac, x0
	add	x0, x0, x2
	cmp	x0, x1
	b.lo	1b
	dsb	sy
	ret

	/*
	 * To EL1, MMU and caches off, interrupts masked. Registers of EL2 are undefined after reset: what lets EL1 work
	 * by itself is written, whatever the firmware left. Changes x9-x11.
	 */
enter_el1:
	ldr	x9, =SCTLR_OFF
	mrs	x10, CurrentEL
	cmp	x10, #8
	b.eq	1f
	msr	sctlr_el1, x9
	isb
	ret
1:	ldr	x10, =0x30000000000		/* API, APK: pointer authentication is not trapped */
	orr	x10, x10, #0x80000000		/* RW: EL1 is 64-bit */
	msr	hcr_el2, x10
	isb
	msr	sctlr_el1, x9
	mrs	x9, midr_el1
	msr	vpidr_el2, x9
	mrs	x9, mpidr_el1
	msr	vmpidr_el2, x9
	msr	vttbr_el2, xzr
	msr	hstr_el2, xzr
	mov	x9, #0x33ff			/* bits that are one; no trap of FP */
	msr	cptr_el2, x9
	mov	x9, #3				/* EL1 reads the counters and sets the physical timer */
	msr	cnthctl_el2, x9
	msr	cntvoff_el2, xzr
	mrs	x9, id_aa64dfr0_el1
	mov	x11, xzr
	ubfx	x10, x9, #8, #4			/* PMUVer: 0 and 15 are none */
	cbz	x10, 2f
	cmp	x10, #15
	b.eq	2f
	mrs	x11, pmcr_el0
	ubfx	x11, x11, #11, #5		/* all counters are EL1's */
2:	msr	mdcr_el2, x11
	mrs	x9, id_aa64mmfr1_el1
	ubfx	x9, x9, #40, #4			/* FEAT_HCX: nothing of the newest extensions */
	cbz	x9, 3f
	msr	S3_4_C1_C2_2, xzr		/* HCRX */
3:	mrs	x9, id_aa64mmfr0_el1
	mrs	x11, id_aa64pfr0_el1
	ubfx	x9, x9, #56, #4			/* FEAT_FGT: no fine-grained traps */
	cbz	x9, 3f
	msr	S3_4_C1_C1_4, xzr		/* HFGRTR, HFGWTR, HFGITR, HDFGRTR, HDFGWTR */
	msr	S3_4_C1_C1_5, xzr
	msr	S3_4_C1_C1_6, xzr
	msr	S3_4_C3_C1_4, xzr
	msr	S3_4_C3_C1_5, xzr
	ubfx	x10, x11, #44, #4		/* activity monitors */
	cbz	x10, 5f
	msr	S3_4_C3_C1_6, xzr		/* HAFGRTR */
5:	cmp	x9, #2				/* FEAT_FGT2 */
	b.lo	3f
	msr	S3_4_C3_C1_2, xzr		/* HFGRTR2, HFGWTR2, HFGITR2, HDFGRTR2, HDFGWTR2 */
	msr	S3_4_C3_C1_3, xzr
	msr	S3_4_C3_C1_7, xzr
	msr	S3_4_C3_C1_0, xzr
	msr	S3_4_C3_C1_1, xzr
3:	ubfx	x9, x11, #24, #4		/* the GIC has system registers: let EL1 use them */
	cbz	x9, 4f
	mrs	x9, S3_4_C12_C9_5		/* ICC_SRE_EL2 */
	mov	x10, #9				/* Enable, SRE */
	orr	x9, x9, x10
	msr	S3_4_C12_C9_5, x9
	isb
	mrs	x9, S3_4_C12_C9_5
	tbz	x9, #0, 4f
	msr	S3_4_C12_C11_0, xzr		/* ICH_HCR_EL2: no virtual interrupts */
4:	mov	x9, #0x3c5			/* EL1 with its own stack pointer, all masked */
	msr	spsr_el2, x9
	msr	elr_el2, x30
	eret

	/* x0: TTBR0_EL1, x1: TTBR1_EL1. Goes on at x30, whatever that is in the new translation. Changes x2-x4. */
mmu_on:
	dsb	sy
	tlbi	vmalle1
	dsb	nsh
	ldr	x2, =MAIR_VALUE
	msr	mair_el1, x2
	ldr	x2, =TCR_VALUE
	mrs	x3, id_aa64mmfr0_el1
	and	x4, x3, #15			/* physical addresses: at most 48 bits with 4 KiB pages */
	cmp	x4, #5
	mov	x5, #5
	csel	x4, x4, x5, lo
	orr	x2, x2, x4, lsl #TCR_IPS_SHIFT
	ubfx	x4, x3, #4, #4
	cmp	x4, #2
	b.ne	1f
	orr	x2, x2, #TCR_AS
1:	mrs	x3, id_aa64mmfr1_el1
	ands	x4, x3, #15			/* HAFDBS: 1 accessed, 2 dirty too */
	b.eq	2f
	orr	x2, x2, #TCR_HA
	cmp	x4, #2
	b.lo	2f
	orr	x2, x2, #TCR_HD
2:	msr	tcr_el1, x2
	msr	ttbr0_el1, x0
	msr	ttbr1_el1, x1
	isb
	ldr	x2, =SCTLR_ON
	ubfx	x4, x3, #20, #4			/* PAN, if there is one, is set at each exception */
	cbnz	x4, 3f
	orr	x2, x2, #SCTLR_SPAN
3:	msr	sctlr_el1, x2
	isb
	ic	iallu				/* fetched past the cache, or ahead of the tables */
	dsb	nsh
	isb
	ret

	/*
	 * void a64_replace_root(u64 root, u64 empty): another tree for the kernel's half, at physical address `root`.
	 * One live tree must not become another one that maps the same addresses by leaves of other sizes, so an empty
	 * one, at `empty`, stands in between. Called at its physical address, interrupts off, with a64_idmap in
	 * TTBR0_EL1.
	 */
	.globl	a64_replace_root
a64_replace_root:
	msr	ttbr1_el1, x1
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	msr	ttbr1_el1, x0
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	ret

	.ltorg

	.text
boot_high:
	adrp	x0, _bss_start
	adrp	x1, _end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	adrp	x0, boot_stack_top
	mov	sp, x0
	adrp	x0, a64_vectors
	add	x0, x0, :lo12:a64_vectors
	msr	vbar_el1, x0
	adrp	x9, boot_cpu
	add	x9, x9, :lo12:boot_cpu
	msr	tpidr_el1, x9
	isb
	adrp	x0, init_task
	add	x0, x0, :lo12:init_task
	str	x0, [x9, #CPU_CURRENT]
	mov	x29, xzr
	mov	x0, x21
	lsr	x1, x22, #2
	bl	a64_setup

cpu_high:
	adrp	x0, a64_vectors
	add	x0, x0, :lo12:a64_vectors
	msr	vbar_el1, x0
	msr	tpidr_el1, x21
	isb
	ldr	x0, [x21, #CPU_START_SP]
	mov	sp, x0
	mov	x29, xzr
	bl	secondary_main

	/* For a64_early_tables(), with the MMU off. */
	.section .bss.early, "aw", %nobits
	.balign	4096
	.skip	4096
early_stack_top:

	/* The upper half of an aligned block of two stacks: entry.S tells an overflow by a bit of sp. */
	.bss
	.balign	1 << (KSTACK_SHIFT + 1)
	.skip	1 << KSTACK_SHIFT
	.globl	boot_stack
boot_stack:
	.skip	1 << KSTACK_SHIFT
boot_stack_top:
