/*
 * The way into the kernel: a 32-bit entry for PVH and Multiboot2, and a 16-bit one for the other CPUs. Both load the
 * provisional tables below (identity and direct map of the first 4 GiB, the image at its link address) and go on at
 * high addresses.
 */
#include <asm/layout.h>

#define PHYS(sym)	((sym) - X86_IMAGE)
#define ROOT_SLOT(va)	(((va) >> 39) & 511)
#define MULTIBOOT2	0xe85250d6
#define CR0_ON		(CR0_PG | CR0_WP | CR0_NE | CR0_MP | CR0_PE)

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18				/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long PHYS(_start)

	.section .multiboot2, "a"
	.balign 8
mb2_header:
	.long MULTIBOOT2, 0, mb2_end - mb2_header
	.long -(MULTIBOOT2 + 0 + (mb2_end - mb2_header))
	.balign 8
	.short 3, 0				/* where to enter */
	.long 12, PHYS(_start)
	.balign 8
	.short 6, 0				/* modules begin on pages */
	.long 8
	.balign 8
	.short 0, 0
	.long 8
mb2_end:

	.section .text.boot, "ax"
	.code32
	.globl _start
_start:
	cli
	cld
	movl	%eax, %ebp			/* the loader's words stay in ebp and ebx until C */
	movb	$0xff, %al			/* the old interrupt controllers would use exception vectors */
	outb	%al, $0x21
	outb	%al, $0xa1
	lgdt	PHYS(boot_gdt_ptr)
	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss

	movl	$PHYS(boot_pd), %edi
	movl	$0x83, %eax			/* present, writable, 2 MiB */
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	1b
	movl	$PHYS(boot_pd) + 3, %eax
	movl	%eax, PHYS(boot_pdpt_image) + 8 * 510
	movl	$PHYS(boot_pdpt), %edi
	movl	$4, %ecx
1:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	decl	%ecx
	jnz	1b
	movl	$PHYS(boot_pdpt) + 3, %eax
	movl	%eax, PHYS(boot_root)
	movl	%eax, PHYS(boot_root) + 8 * ROOT_SLOT(X86_DIRECT_MAP)
	movl	$PHYS(boot_pdpt_image) + 3, PHYS(boot_root) + 8 * 511
	movl	$boot_high - X86_IMAGE, %esi

/* Paging on; then on to 64-bit code at esi + X86_IMAGE. */
enter_long_mode:
	movl	$PHYS(boot_root), %eax
	movl	%eax, %cr3
	movl	$(CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$(EFER_LME | EFER_NXE | EFER_SCE), %eax
	wrmsr
	movl	$CR0_ON, %eax
	movl	%eax, %cr0
	ljmpl	$KERNEL_CS, $PHYS(1f)
	.code64
1:	movq	$X86_IMAGE, %rax
	addq	%rax, %rsi
	jmp	*%rsi

/* gs must stay as it is once its base has been set: loading the selector would clear it. */
	.macro	LOAD_SEGMENTS
	lgdt	boot_gdt_ptr_high
	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	.endm

	.macro	LOAD_GS_BASE_FROM_RDI
	movl	$MSR_GS_BASE, %ecx
	movl	%edi, %eax
	movq	%rdi, %rdx
	shrq	$32, %rdx
	wrmsr
	.endm

boot_high:
	LOAD_SEGMENTS
	movq	$boot_stack + KSTACK_SIZE - TF_SIZE, %rsp
	movq	$boot_cpu, %rdi
	movq	%rdi, CPU_SELF(%rdi)
	movq	$init_task, CPU_CURRENT(%rdi)
	LOAD_GS_BASE_FROM_RDI
	movl	%ebp, %edi
	movl	%ebx, %esi
	xorl	%ebp, %ebp
	call	x86_start
	ud2

/*
 * Another CPU, woken by INIT and STARTUP. The two lines of 16-bit code are copied to a page below 1 MiB. The CPU
 * becomes the one that lies in ap_mailbox; if there is none, it came too late and sleeps.
 */
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	(trampoline_gdt_ptr - trampoline)
	movl	$CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$KERNEL_CS32, $PHYS(ap_protected)
	.balign 4
trampoline_gdt_ptr:
	.short	boot_gdt_end - boot_gdt - 1
	.long	PHYS(boot_gdt)
trampoline_end:

	.code32
ap_protected:
	movl	$KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$ap_high - X86_IMAGE, %esi
	jmp	enter_long_mode

	.code64
ap_high:
	LOAD_SEGMENTS
	xorl	%edi, %edi
	xchgq	%rdi, ap_mailbox
	testq	%rdi, %rdi
	jz	ap_unwanted
	movq	ap_root, %rax
	movq	%rax, %cr3
	movq	CPU_RSP0(%rdi), %rsp
	subq	$TF_SIZE, %rsp
	LOAD_GS_BASE_FROM_RDI
	xorl	%ebp, %ebp
	call	x86_secondary
	ud2
ap_unwanted:
	cli
	hlt
	jmp	ap_unwanted

	.section .rodata
	.balign 8
boot_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff		/* KERNEL_CS32 */
	.quad	0x00af9b000000ffff		/* KERNEL_CS */
	.quad	0x00cf93000000ffff		/* KERNEL_DS */
boot_gdt_end:
boot_gdt_ptr:
	.short	boot_gdt_end - boot_gdt - 1
	.long	PHYS(boot_gdt)
	.balign 8
boot_gdt_ptr_high:
	.short	boot_gdt_end - boot_gdt - 1
	.quad	boot_gdt

	.data
	.balign 8
	.globl ap_mailbox, ap_root
ap_mailbox:
	.quad	0
ap_root:
	.quad	0

	.bss
	.balign 4096
	.globl boot_stack
boot_root:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pdpt_image:
	.skip	4096
boot_pd:
	.skip	4 * 4096
boot_stack:
	.skip	KSTACK_SIZE
