#pragma once
/*
 * Numbers that C and assembly share: addresses of the kernel's regions, segment selectors, offsets into struct cpu and
 * struct trapframe. The offsets are checked against the structures in cpu.c.
 */

/*
 * The kernel's half, in whole root entries (512 GiB each):
 *	ffff888000000000   16 TiB used	direct map of physical memory (64 TiB of room)
 *	ffffc90000000000  512 GiB	kernel stacks, device mappings
 *	ffffea0000000000  128 GiB	page descriptors
 *	ffffffff80000000    1 GiB	the image, loaded at 1 MiB
 */
#define X86_DIRECT_MAP		0xffff888000000000
#define X86_VMALLOC		0xffffc90000000000
#define X86_VMALLOC_END		0xffffc98000000000
#define X86_VMEMMAP		0xffffea0000000000
#define X86_IMAGE		0xffffffff80000000	/* virtual minus physical address inside the image */
#define X86_LOAD_ADDR		0x100000
/* USER_TOP: SYSRET to a non-canonical address would fault in the kernel */
#define USER_PC_LIMIT		0x7ffffffff000

/*
 * Selectors; the order of the user ones is what SYSRET wants, and they have Linux's values, which signal frames show.
 */
#define KERNEL_CS32		0x08			/* for the way up only */
#define KERNEL_CS		0x10
#define KERNEL_DS		0x18
#define USER_CS32		0x20			/* SYSRET's base; nothing runs in it */
#define USER_DS			0x2b
#define USER_CS			0x33
#define TSS_SELECTOR		0x40
#define GDT_ENTRIES		10

/* struct cpu: the port's part begins here. Entry code reaches it through gs. */
#define CPU_CURRENT		8
#define CPU_ARCH		128
#define CPU_SELF		(CPU_ARCH + 0)
#define CPU_USER_RSP		(CPU_ARCH + 8)
#define CPU_RSP0		(CPU_ARCH + 24)

#define KSTACK_SIZE		16384

/* struct trapframe */
#define TF_VECTOR		(15 * 8)
#define TF_RIP			(17 * 8)
#define TF_CS			(18 * 8)
#define TF_RFLAGS		(19 * 8)
#define TF_RSP			(20 * 8)
#define TF_SIZE			(22 * 8)

/* Interrupt vectors. */
#define VEC_NMI			2
#define VEC_DOUBLE_FAULT	8
#define VEC_PAGE_FAULT		14
#define VEC_MACHINE_CHECK	18
#define VEC_GSI			0x30			/* + global system interrupt */
#define VEC_GSI_LAST		0xef
#define VEC_IPI			0xf0
#define VEC_TIMER		0xf1
#define VEC_SPURIOUS		0xff
/* In the frame's vector field, not real vectors. */
#define VEC_SYSCALL		0x100			/* a system call: rcx and r11 need not be restored */
#define VEC_NONE		0x101			/* all registers count, and no system call is to be restarted */

#define MSR_APIC_BASE		0x1b
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_FMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC		0x800

#define CR0_PE			0x1
#define CR0_MP			0x2
#define CR0_NE			0x20
#define CR0_WP			0x10000
#define CR0_PG			0x80000000
#define CR4_PAE			0x20
#define CR4_PGE			0x80
#define CR4_OSFXSR		0x200
#define CR4_OSXMMEXCPT		0x400
#define CR4_UMIP		0x800
#define CR4_PCIDE		0x20000
#define CR4_SMEP		0x100000
#define CR4_SMAP		0x200000
#define EFER_SCE		0x1
#define EFER_LME		0x100
#define EFER_NXE		0x800

#define RFLAGS_TF		0x100
#define RFLAGS_IF		0x200
