/*
 * First instructions of the boot CPU and of the others, and calls of firmware: all code that may run in real mode or in
 * the other byte order. Addresses come from the TOC, which is found by where the code runs: physical ones while the MMU
 * is off, afterwards the linked ones.
 *
 * The boot CPU comes with the MMU off, at whatever address (a multiple of 4 KiB) the image was loaded:
 *   pseries	from Open Firmware, 32-bit big-endian, r5 = its client interface
 *   powernv	from skiboot, 64-bit big-endian in hypervisor mode, r3 = device tree, r8 and r9 = OPAL's base and entry
 * The others come the same way to ppc_cpu_entry, with their hardware id in r3 (pseries) or PIR (powernv).
 */
#include <asm/layout.h>

	/* An instruction as a big-endian CPU fetches it */
	.macro	be insn
	.byte	\insn >> 24 & 255, \insn >> 16 & 255, \insn >> 8 & 255, \insn & 255
	.endm

	/*
	 * From here on the CPU is little-endian and in 64-bit mode, whatever it was. The first instruction is a trap
	 * that is never taken, or, read in the other order, a jump over the second. Changes r10-r12 and LR; RI is off.
	 */
	.macro	set_endian
	tdi	0, 0, 0x48
	b	191f
	be	0x429f0005			/* bcl	20,31,.+4 */
	be	0x7d4802a6			/* mflr	r10 */
	be	0x394a0030			/* addi	r10,r10,191f-. */
	be	0x7d6000a6			/* mfmsr r11 */
	be	0x39800001			/* li	r12,1 */
	be	0x798cf806			/* sldi	r12,r12,63 */
	be	0x7d6b6378			/* or	r11,r11,r12 */
	be	0x696b0001			/* xori	r11,r11,1 */
	be	0x39800000			/* li	r12,0 */
	be	0x7d810164			/* mtmsrd r12,1 */
	be	0x7d5a03a6			/* mtsrr0 r10 */
	be	0x7d7b03a6			/* mtsrr1 r11 */
	be	0x4c000024			/* rfid */
191:
	.endm

	/* r2 = the TOC as this code is addressed; changes LR */
	.macro	find_toc
	bcl	20, 31, 192f
192:	mflr	2
	addis	2, 2, (.TOC. - 192b)@ha
	addi	2, 2, (.TOC. - 192b)@l
	.endm

	/* \reg = where something of the image is, likewise */
	.macro	at reg, what
	addis	\reg, 2, \what@toc@ha
	addi	\reg, \reg, \what@toc@l
	.endm

	/* The start of the back chain */
	.macro	end_of_chain
	li	0, 0
	std	0, 0(1)
	.endm

	.section .head.text, "ax"
	.globl	_start
_start:
	set_endian
	mr	31, 3
	mr	30, 5
	mr	6, 8
	mr	7, 9
	find_toc
	at	4, _bss_start
	at	5, _end
	li	0, 0
1:	std	0, 0(4)
	addi	4, 4, 8
	cmpld	4, 5
	blt	1b

	at	3, _start
	at	8, fw_save
	std	3, FW_SAVE_PHYS(8)
	at	1, boot_stack_top
	end_of_chain
	mr	4, 5
	mr	5, 30
	bl	ppc_early
	nop
	bl	go_virtual
	find_toc
	at	1, boot_stack_top
	at	13, boot_cpu
	at	4, init_task
	end_of_chain
	std	4, CPU_CURRENT(13)
	mr	3, 31
	bl	ppc_setup
	nop

	/* Return to where the caller is linked, with the MMU on. Changes r5-r7. */
go_virtual:
	mflr	7
	at	5, _start
	subf	7, 5, 7
	lis	5, KERNEL_BASE_HIGH@h
	ori	5, 5, KERNEL_BASE_HIGH@l
	sldi	5, 5, 32
	add	7, 7, 5
	mfmsr	5
	li	6, 0
	mtmsrd	6, 1
	lis	6, (MSR_VEC | MSR_VSX)@h
	ori	6, 6, MSR_EE | MSR_FP | MSR_PR
	andc	5, 5, 6
	ori	5, 5, MSR_ME | MSR_IR | MSR_DR | MSR_RI
	mtsrr0	7
	mtsrr1	5
	rfid

	/* A CPU that arch_cpu_start() asked for. */
	.balign	8
	.globl	ppc_cpu_entry
ppc_cpu_entry:
	set_endian
	find_toc
	mfmsr	5
	rldicl.	5, 5, 4, 63			/* HV */
	beq	1f
	mfspr	3, SPR_PIR
	at	7, ppc_start_lpcr
	ld	8, 0(7)
	at	7, ppc_start_ptcr
	ld	9, 0(7)
	li	10, 0
	mtspr	SPR_LPCR, 8
	mtspr	SPR_LPID, 10
	mtspr	SPR_PTCR, 9
	isync
	bl	ppc_flush_all_sets
1:	at	7, ppc_starting
	at	8, ppc_starting + 16 * MAX_CPUS
2:	ld	13, 8(7)
	lwsync
	ld	9, 0(7)
	cmpdi	13, 0
	beq	3f
	cmpld	9, 3
	beq	4f
3:	addi	7, 7, 16
	cmpld	7, 8
	blt	2b
	b	1b
4:	li	5, 1				/* user addresses: the empty tree (mmu.c) */
	mtspr	SPR_PIDR, 5
	isync
	bl	go_virtual
	find_toc
	ld	3, CPU_CURRENT(13)
	ld	1, TASK_KSTACK(3)
	addi	1, 1, (1 << KSTACK_SHIFT) - TF_SIZE - STACK_HEADER
	end_of_chain
	bl	ppc_secondary
	nop

	/*
	 * Hypervisor mode, MMU off: firmware may have left translations in the TLB. Every set, partition-scoped and
	 * process-scoped, by tlbiel with IS = 3; walk caches and table entries go with the first set (RIC = 2), the
	 * ERAT with slbia. Changes r5-r7, CTR.
	 */
	.globl	ppc_flush_all_sets
ppc_flush_all_sets:
	li	5, 127
	mtctr	5
	li	6, 3 << 10
	li	7, 0
	ptesync
	tlbiel	6, 7, 2, 0, 1
	tlbiel	6, 7, 2, 1, 1
1:	addi	6, 6, 1 << 12
	tlbiel	6, 7, 0, 0, 1
	tlbiel	6, 7, 0, 1, 1
	bdnz	1b
	ptesync
	slbia	7
	isync
	blr

#define FW_FRAME	(STACK_HEADER + 20 * 8)

	/*
	 * s64 ppc_firmware(const struct fw_call *c): see port.h. Firmware may be 32-bit, so nothing of the caller's is
	 * left in registers: the stack pointer, MSR and the way back stand in fw_save.
	 */
	.globl	ppc_firmware
ppc_firmware:
	mflr	0
	std	0, 16(1)
	mfcr	0
	stw	0, 8(1)
	stdu	1, -FW_FRAME(1)
	std	2, STACK_HEADER(1)
	.set	at, STACK_HEADER + 8
	.irp	n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	std	\n, at(1)
	.set	at, at + 8
	.endr
	bl	1f
	ld	2, STACK_HEADER(1)
	.set	at, STACK_HEADER + 8
	.irp	n, 13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	ld	\n, at(1)
	.set	at, at + 8
	.endr
	addi	1, 1, FW_FRAME
	lwz	0, 8(1)
	mtcr	0
	ld	0, 16(1)
	mtlr	0
	blr
1:	at	26, fw_save
	mfmsr	25
	mflr	4
	std	1, FW_SAVE_R1(26)
	std	25, FW_SAVE_MSR(26)
	std	4, FW_SAVE_NIP(26)
	ld	4, FW_SAVE_PHYS(26)
	addi	4, 4, firmware_back - _start
	mtlr	4
	ld	4, FW_ENTRY(3)
	ld	5, FW_MSR_CLEAR(3)
	andc	25, 25, 5
	li	6, 0
	ori	6, 6, MSR_EE | MSR_IR | MSR_DR | MSR_RI | MSR_LE
	andc	25, 25, 6
	li	6, 0
	mtmsrd	6, 1
	mtsrr0	4
	mtsrr1	25
	ld	0, FW_R(0)(3)
	ld	2, FW_R(1)(3)
	ld	4, FW_R(3)(3)
	ld	5, FW_R(4)(3)
	ld	6, FW_R(5)(3)
	ld	7, FW_R(6)(3)
	ld	8, FW_R(7)(3)
	ld	9, FW_R(8)(3)
	ld	10, FW_R(9)(3)
	ld	3, FW_R(2)(3)
	rfid
firmware_back:
	set_endian
	find_toc
	at	26, fw_save
	ld	1, FW_SAVE_R1(26)
	ld	25, FW_SAVE_MSR(26)
	ld	4, FW_SAVE_NIP(26)
	mtsrr0	4
	mtsrr1	25
	rfid

	.bss
	.balign	16
	.globl	boot_stack
boot_stack:
	.skip	(1 << KSTACK_SHIFT) - TF_SIZE - STACK_HEADER
boot_stack_top:
	.skip	TF_SIZE + STACK_HEADER
fw_save:
	.skip	FW_SAVE_SIZE
