/*
 * Interrupts in C: what came, and who takes care of it. entry.S calls these with interrupts off. Here is also what a
 * CPU needs before it can take any.
 */
#include <arch/pte.h>
#include <arch/trap.h>

#include "arch/ppc64/port.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/signal.h"
#include "lib/string.h"

#define VECTORS_AT 0x100 /* real address */

/* SRR1 of an instruction storage interrupt, and DSISR of a data storage interrupt */
#define SRR1_NOT_FOUND	0x40000000u
#define DSISR_PROTECTED 0x08000000u
#define DSISR_STORE	0x02000000u
/* SRR1 of a program interrupt */
#define SRR1_FP		0x00100000u
#define SRR1_PRIVILEGED 0x00040000u
#define SRR1_TRAP	0x00020000u

void ppc_trap_init(void)
{
	void *to = phys_to_virt(VECTORS_AT);
	size_t n = (size_t)(ppc_vectors_end - ppc_vectors);

	memcpy(to, ppc_vectors, n);
	icache_sync(to, n);
}

void ppc_trap_cpu_init(void)
{
	struct cpu *c = this_cpu();
	u64 toc;

	__asm__("mr %0, 2" : "=r"(toc));
	c->arch.self = (uintptr_t)c;
	c->arch.toc = toc;
	c->arch.frame = (uintptr_t)task_trapframe(current);
	task_trapframe(current)->msr = 0; /* nothing in FP registers */
	/* SPRG0 must be good in real mode too, which cuts off the upper four bits. */
	mtspr(SPR_SPRG0, c == &boot_cpu ? (uintptr_t)phys_to_virt(ppc_image_phys(c)) : (uintptr_t)c);
	mtspr(SPR_SPRG3, 0); /* programs can read it */
	mtspr(SPR_FSCR, 0);  /* no scv, TAR, DSCR, EBB, prefixes for programs */
	if (ppc_hv)
		mtspr(SPR_HFSCR, 3); /* floating point and vectors are not the hypervisor's */
	mtspr(SPR_AMR, AMR_CLOSED);
	mtspr(SPR_UAMOR, 0);	     /* no bit of it is a program's to change */
	mtspr(SPR_IAMR, 1ull << 62); /* the kernel does not execute user pages */
	__asm__ volatile("isync" : : : "memory");
}

static const char *exception_name(u64 vector)
{
	switch (vector) {
	case 0x100:
		return "system reset";
	case 0x200:
		return "machine check";
	case 0x600:
		return "misaligned access";
	case 0x800:
	case 0xf20:
	case 0xf40:
		return "floating point or vectors in the kernel";
	default:
		return "program check";
	}
}

/* False: not a page fault. A segment interrupt is one for an address that no radix tree can have. */
static __always_inline bool page_fault(struct trapframe *tf, unsigned access)
{
	u64 addr;

	switch (tf->trap) {
	case 0x300: {
		u32 why = (u32)mfspr(SPR_DSISR);

		addr = mfspr(SPR_DAR);
		tf->dar = addr;
		tf->dsisr = why;
		if (why & DSISR_STORE)
			access |= FAULT_WRITE;
		if (why & DSISR_PROTECTED)
			access |= FAULT_PRESENT;
		break;
	}
	case 0x400:
		addr = tf->nip;
		access |= FAULT_EXEC;
		if (!(tf->msr & SRR1_NOT_FOUND))
			access |= FAULT_PRESENT;
		break;
	case 0x380:
		addr = mfspr(SPR_DAR);
		break;
	case 0x480:
		addr = tf->nip;
		access |= FAULT_EXEC;
		break;
	default:
		return false;
	}
	do_page_fault(tf, addr, access);
	return true;
}

/* What the sender wrote before msgsnd is seen by the handler. */
static void doorbell(void)
{
	__asm__ volatile("msgsync" : : : "memory");
	mb();
	ipi_handler();
}

/* False: not an interrupt of a device, a timer or another CPU. */
static bool interrupt(struct trapframe *tf)
{
	void (*handler)(void) = NULL;

	switch (tf->trap) {
	case 0x500:
		handler = ppc_platform->external;
		break;
	case 0x900:
		handler = ppc_decrementer;
		break;
	case 0xe60:
		handler = powernv_maintenance;
		break;
	case 0xe80:
		handler = doorbell;
		break;
	case 0x980:
	case 0xa00:
	case 0xea0:
		break;
	default:
		return false;
	}
	if (!handler)
		panic_trap(tf, "interrupt %#llx, which nobody enabled", (unsigned long long)tf->trap);
	irq_enter(tf);
	handler();
	irq_exit(tf);
	return true;
}

/* The first use of a floating-point or vector register since the switch. */
static void fp_enable(struct trapframe *tf)
{
	struct task *t = current;

	if (!t->thread.fp_valid)
		ppc_fp_reset(&t->thread);
	ppc_fp_load(t);
	tf->msr |= MSR_FP_ALL;
}

/* Which of the exceptions that the program enabled in FPSCR has happened? */
static int fp_code(void)
{
	static const u8 codes[] = { FPE_FLTINV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTDIV, FPE_FLTRES };
	u32 fpscr;

	ppc_fp_sync();
	fpscr = (u32)current->thread.fpscr;
	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
		if (fpscr << i & 0x20000000 && fpscr << i & 0x80) /* happened; enabled */
			return codes[i];
	return 0;
}

static void program_check(struct trapframe *tf)
{
	if (tf->msr & SRR1_FP)
		do_user_exception(tf, SIGFPE, fp_code(), tf->nip);
	else if (tf->msr & SRR1_TRAP)
		do_user_exception(tf, SIGTRAP, TRAP_BRKPT, tf->nip);
	else
		do_user_exception(tf, SIGILL, tf->msr & SRR1_PRIVILEGED ? ILL_PRVOPC : ILL_ILLOPC, tf->nip);
}

static void user_exception(struct trapframe *tf)
{
	switch (tf->trap) {
	case 0x700:
		program_check(tf);
		break;
	case 0x800:
	case 0xf20:
	case 0xf40:
		fp_enable(tf);
		break;
	case 0x600:
		do_user_exception(tf, SIGBUS, BUS_ADRALN, mfspr(SPR_DAR));
		break;
	case 0xd00:
		do_user_exception(tf, SIGTRAP, TRAP_TRACE, tf->nip);
		break;
	case 0x100:
	case 0x200:
		panic_trap(tf, "%s", exception_name(tf->trap));
	default:
		/* An instruction that nobody knows (0xe40), or of a facility that is off (0xf60, 0xf80). */
		do_user_exception(tf, SIGILL, ILL_ILLOPC, tf->nip);
	}
}

void ppc_user_trap(struct trapframe *tf)
{
	enter_from_user();
	if (!page_fault(tf, FAULT_USER) && !interrupt(tf))
		user_exception(tf);
	exit_to_user(tf);
}

void ppc_kernel_trap(struct trapframe *tf)
{
	if (tf->trap & TRAP_OVERFLOW)
		panic_trap(tf, "kernel stack overflow: r1 %#llx is outside of %s's stack %#lx",
			   (unsigned long long)tf->gpr[1], current->comm, (uintptr_t)current->kstack);
	if (!interrupt(tf) && !page_fault(tf, 0))
		do_kernel_exception(tf, exception_name(tf->trap), tf->trap == 0x600 ? mfspr(SPR_DAR) : tf->nip);
}

/* AMR: see leave_user in usercopy.S. */
bool arch_user_guard(void)
{
	return true;
}
