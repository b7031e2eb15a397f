/*
 * What happens on each vector, once the entry code has saved the registers.
 */
#include <arch/cpu.h>
#include <arch/trap.h>

#include "arch/x86_64/x86.h"
#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/signal.h"
#include "mm/kmap.h"

#define PF_PRESENT	0x1
#define PF_WRITE	0x2
#define PF_USER		0x4
#define PF_RESERVED	0x8
#define PF_FETCH	0x10

/* Exceptions by number: the signal for user mode, Linux's si_code, the words for a panic. */
static const struct {
	u8 sig, code;
	const char *what;
} exceptions[32] = {
	[0] = { SIGFPE, FPE_INTDIV, "divide error" },
	[1] = { SIGTRAP, TRAP_TRACE, "debug exception" },
	[3] = { SIGTRAP, SI_KERNEL, "breakpoint" },
	[4] = { SIGSEGV, SI_KERNEL, "overflow" },
	[5] = { SIGSEGV, SI_KERNEL, "bound range exceeded" },
	[6] = { SIGILL, ILL_ILLOPN, "invalid opcode" },
	[7] = { SIGSEGV, SI_KERNEL, "device not available" },
	[9] = { SIGFPE, SI_KERNEL, "coprocessor segment overrun" },
	[10] = { SIGSEGV, SI_KERNEL, "invalid TSS" },
	[11] = { SIGBUS, SI_KERNEL, "segment not present" },
	[12] = { SIGBUS, SI_KERNEL, "stack segment fault" },
	[13] = { SIGSEGV, SI_KERNEL, "general protection fault" },
	[16] = { SIGFPE, 0, "floating-point error" },
	[17] = { SIGBUS, BUS_ADRALN, "alignment check" },
	[19] = { SIGFPE, 0, "SIMD floating-point error" },
};

/* The first exception that is raised and not masked. */
static int fpe_code(unsigned raised)
{
	static const u8 codes[] = { FPE_FLTINV, FPE_FLTUND, FPE_FLTDIV, FPE_FLTOVF, FPE_FLTUND, FPE_FLTRES };

	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
		if (raised >> i & 1)
			return codes[i];
	return SI_KERNEL;
}

static int floating_point_code(unsigned vector)
{
	u16 status, control;
	u32 mxcsr;

	if (vector == 19) {
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		return fpe_code(mxcsr & ~(mxcsr >> 7) & 0x3f);
	}
	__asm__ volatile("fnstsw %0\n\tfnstcw %1" : "=m"(status), "=m"(control));
	return fpe_code(status & ~control & 0x3f);
}

static void page_fault(struct trapframe *tf)
{
	uintptr_t addr = read_cr2();
	unsigned access = 0;

	if (unlikely(tf->error & PF_RESERVED))
		panic_trap(tf, "a page-table entry for %#lx has reserved bits set", addr);
	if (tf->error & PF_PRESENT)
		access |= FAULT_PRESENT;
	if (tf->error & PF_WRITE)
		access |= FAULT_WRITE;
	if (tf->error & PF_USER)
		access |= FAULT_USER;
	if (tf->error & PF_FETCH)
		access |= FAULT_EXEC;
	do_page_fault(tf, addr, access);
}

static void exception(struct trapframe *tf)
{
	unsigned v = (unsigned)tf->vector;
	const char *what = exceptions[v].what ? exceptions[v].what : "unknown exception";
	int code = exceptions[v].code;

	if (!tf_user(tf)) {
		do_kernel_exception(tf, what, 0);
		return;
	}
	if (v == 16 || v == 19)
		code = floating_point_code(v);
	if (v == 1)
		tf->rflags &= ~(u64)RFLAGS_TF;
	do_user_exception(tf, exceptions[v].sig ? exceptions[v].sig : SIGSEGV, code,
			  v == 13 || v == 12 || v == 17 ? 0 : tf->rip);
}

static void interrupt(struct trapframe *tf)
{
	unsigned v = (unsigned)tf->vector;

	if (v == VEC_SPURIOUS || v < VEC_GSI)
		return;		/* nothing to acknowledge */
	irq_enter(tf);
	apic_eoi();
	if (v == VEC_IPI)
		ipi_handler();
	else if (v == VEC_TIMER)
		clock_interrupt();
	else if (v <= VEC_GSI_LAST)
		do_irq(v - VEC_GSI);
	irq_exit(tf);
}

static inline void dispatch(struct trapframe *tf)
{
	if (likely(tf->vector == VEC_PAGE_FAULT))
		page_fault(tf);
	else if (tf->vector >= 32)
		interrupt(tf);
	else
		exception(tf);
}

void x86_trap_user(struct trapframe *tf)
{
	enter_from_user();
	dispatch(tf);
	exit_to_user(tf);
}

void x86_trap_kernel(struct trapframe *tf)
{
	dispatch(tf);
}

/* NMI, double fault, machine check: on a stack of their own. */
void x86_trap_paranoid(struct trapframe *tf)
{
	uintptr_t cr2 = read_cr2();

	if (tf->vector == VEC_NMI) {
		if (panicking)
			cpu_halt();
		panic_trap(tf, "NMI");
	}
	if (tf->vector == VEC_DOUBLE_FAULT)
		panic_trap(tf, "double fault%s, last page fault at %#lx",
			   kstack_guard_hit(cr2) ? ": kernel stack overflow" : "", cr2);
	panic_trap(tf, "machine check");
}
