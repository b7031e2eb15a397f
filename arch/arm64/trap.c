/*
 * Exceptions in C: what came, and who takes care of it. entry.S calls these with interrupts off.
 */
#include <arch/trap.h>

#include "arch/arm64/abi.h"
#include "arch/arm64/port.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/printk.h"
#include "kernel/signal.h"

/* ESR_EL1: exception class */
#define EC_UNKNOWN    0x00
#define EC_ILLEGAL    0x0e /* PSTATE.IL */
#define EC_INSN_LOWER 0x20 /* instruction abort: from user mode */
#define EC_PC_ALIGN   0x22
#define EC_DATA_LOWER 0x24
#define EC_SP_ALIGN   0x26
#define EC_FP	      0x2c
#define EC_SERROR     0x2f
#define EC_BREAKPOINT 0x30
#define EC_STEP	      0x32
#define EC_WATCHPOINT 0x34
#define EC_BRK	      0x3c

/* ESR_EL1: of aborts */
#define ISS_FSC		0x3f /* fault status; the lowest two bits are the level */
#define ISS_WNR		(1u << 6)
#define ISS_CM		(1u << 8) /* cache maintenance: WNR is set whatever it does */
#define FSC_TRANSLATION 0x04
#define FSC_ACCESS_FLAG 0x08
#define FSC_PERMISSION	0x0c
#define FSC_ALIGNMENT	0x21

#define FPE_FLTUNK 14 /* si_code: few CPUs can trap, fewer say what it was */

u8 a64_overflow_stack[OVERFLOW_STACK_SIZE] __section("percpu") __aligned(16);

static inline u64 read_far(void)
{
	u64 far;

	__asm__ volatile("mrs %0, far_el1" : "=r"(far) : : "memory");
	return far;
}

static inline unsigned exception_class(u64 esr)
{
	return esr >> ESR_EC_SHIFT & 0x3f;
}

/* The same class from user mode and from the kernel are neighbours. */
static inline bool is_data_abort(unsigned ec)
{
	return (ec & ~1u) == EC_DATA_LOWER;
}

static inline bool is_abort(unsigned ec)
{
	return is_data_abort(ec) || (ec & ~1u) == EC_INSN_LOWER;
}

/* An abort that has to do with page tables. False: it is of another kind. */
static inline bool page_fault(struct trapframe *tf, u64 esr, u64 far, unsigned access)
{
	unsigned ec = exception_class(esr);

	if (is_data_abort(ec)) {
		if ((esr & (ISS_WNR | ISS_CM)) == ISS_WNR)
			access |= FAULT_WRITE;
	} else if (is_abort(ec)) {
		access |= FAULT_EXEC;
	} else {
		return false;
	}
	switch (esr & ISS_FSC & ~3u) {
	case FSC_TRANSLATION:
		break;
	case FSC_ACCESS_FLAG:
	case FSC_PERMISSION:
		access |= FAULT_PRESENT;
		break;
	default:
		return false;
	}
	do_page_fault(tf, far, access);
	return true;
}

/* What is neither a system call nor an abort: the signal for user mode, the words for a panic. */
static const struct {
	u8 ec, sig, code;
	const char *what;
} exceptions[] = {
	{ EC_UNKNOWN, SIGILL, ILL_ILLOPC, "undefined instruction" },
	{ EC_ILLEGAL, SIGILL, ILL_ILLOPC, "illegal execution state" },
	{ EC_PC_ALIGN, SIGBUS, BUS_ADRALN, "misaligned pc" },
	{ EC_SP_ALIGN, SIGBUS, BUS_ADRALN, "misaligned sp" },
	{ EC_FP, SIGFPE, FPE_FLTUNK, "floating-point exception" },
	{ EC_SERROR, SIGBUS, BUS_OBJERR, "SError" },
	{ EC_BREAKPOINT, SIGTRAP, TRAP_BRKPT, "breakpoint" },
	{ EC_STEP, SIGTRAP, TRAP_TRACE, "single step" },
	{ EC_WATCHPOINT, SIGTRAP, TRAP_BRKPT, "watchpoint" },
	{ EC_BRK, SIGTRAP, TRAP_BRKPT, "brk instruction" },
};

/* Its index, 0 if there is none: what a program may not do, and features that it was not told of, are illegal to it. */
static unsigned find_exception(unsigned ec)
{
	unsigned i = ARRAY_SIZE(exceptions);

	while (--i && exceptions[i].ec != ec)
		;
	return i;
}

static noinline void user_exception(struct trapframe *tf, u64 esr, u64 far)
{
	unsigned ec = exception_class(esr), i = find_exception(ec);

	if (is_abort(ec))
		do_user_exception(tf, SIGBUS, (esr & ISS_FSC) == FSC_ALIGNMENT ? BUS_ADRALN : BUS_OBJERR, far);
	else
		do_user_exception(tf, exceptions[i].sig, exceptions[i].code, ec == EC_SP_ALIGN ? tf->sp : tf->pc);
}

void a64_user_sync(struct trapframe *tf, u64 esr)
{
	u64 far = read_far();

	enter_from_user();
	current->thread.fault_address = far;
	current->thread.esr = esr;
	if (unlikely(!page_fault(tf, esr, far, FAULT_USER)))
		user_exception(tf, esr, far);
	exit_to_user(tf);
}

void a64_kernel_sync(struct trapframe *tf, u64 esr)
{
	unsigned ec = exception_class(esr);
	u64 far = read_far();

	if (page_fault(tf, esr, far, 0))
		return;
	if (is_abort(ec))
		do_kernel_exception(tf, (esr & ISS_FSC) == FSC_ALIGNMENT ? "misaligned access" : "external abort", far);
	else
		do_kernel_exception(tf, exceptions[find_exception(ec)].what, tf->pc);
}

static inline void interrupt(struct trapframe *tf)
{
	irq_enter(tf);
	a64_irq_dispatch();
	irq_exit(tf);
}

void a64_user_irq(struct trapframe *tf)
{
	enter_from_user();
	interrupt(tf);
	exit_to_user(tf);
}

void a64_kernel_irq(struct trapframe *tf)
{
	interrupt(tf);
}

/* SError: memory or a device reported an error that nobody can be blamed for. FIQ, AArch32: nobody enabled them. */
void a64_unexpected(struct trapframe *tf, u64 esr)
{
	panic_trap(tf, "%s (syndrome %#llx)", exceptions[find_exception(exception_class(esr))].what,
		   (unsigned long long)esr);
}

void a64_stack_overflow(struct trapframe *tf, u64 esr)
{
	panic_trap(tf, "kernel stack overflow: sp %#llx is outside of %s's stack %#lx", (unsigned long long)tf->sp,
		   current->comm, (uintptr_t)current->kstack);
}
