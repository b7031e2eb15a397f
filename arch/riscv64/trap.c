/*
 * Traps in C: what came, and who takes care of it. entry.S calls these with interrupts off.
 */
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/signal.h"
#include "kernel/timer.h"

#define INTERRUPT	(1ull << 63)

static const char *exception_name(u64 cause)
{
	switch (cause) {
	case EXC_INSN_MISALIGNED:
		return "misaligned jump";
	case EXC_INSN_ACCESS:
		return "access fault on execute";
	case EXC_ILLEGAL:
		return "illegal instruction";
	case EXC_BREAKPOINT:
		return "breakpoint";
	case EXC_LOAD_MISALIGNED:
		return "misaligned load";
	case EXC_LOAD_ACCESS:
		return "access fault on read";
	case EXC_STORE_MISALIGNED:
		return "misaligned store";
	case EXC_STORE_ACCESS:
		return "access fault on write";
	default:
		return "unknown exception";
	}
}

static void interrupt(struct trapframe *tf, u64 number)
{
	this_cpu()->arch.retry[0] = 0;
	irq_enter(tf);
	switch (number) {
	case IRQ_SOFT:
		csr_clear(CSR_SIP, 1ull << IRQ_SOFT);
		ipi_handler();
		break;
	case IRQ_TIMER:
		csr_clear(CSR_SIE, 1ull << IRQ_TIMER);	/* pending until it is armed again */
		timer_interrupt();
		break;
	case IRQ_EXT:
		rv_plic_interrupt();
		break;
	default:
		panic_trap(tf, "interrupt %llu, which nobody enabled", (unsigned long long)number);
	}
	irq_exit(tf);
}

static bool page_fault(struct trapframe *tf, u64 cause, u64 addr, unsigned access)
{
	switch (cause) {
	case EXC_LOAD_PAGE:
		break;
	case EXC_STORE_PAGE:
		access |= FAULT_WRITE;
		break;
	case EXC_INSN_PAGE:
		access |= FAULT_EXEC;
		break;
	default:
		return false;
	}
	do_page_fault(tf, addr, access);
	return true;
}

/* The first use of floating point since the switch. False: it is on, so the instruction really is illegal. */
static bool fp_enable(void)
{
	struct task *t = current;

	if (csr_read(CSR_SSTATUS) & SR_FS || !(rv_hwcap & 1ull << ('d' - 'a')))
		return false;
	csr_set(CSR_SSTATUS, SR_FS);
	if (t->thread.fp_valid)
		rv_fp_load(t);
	else
		rv_fp_zero();
	csr_clear(CSR_SSTATUS, SR_FS);
	csr_set(CSR_SSTATUS, SR_FS_CLEAN);
	return true;
}

static void user_exception(struct trapframe *tf, u64 cause, u64 addr)
{
	switch (cause) {
	case EXC_ILLEGAL:
		if (!fp_enable())
			do_user_exception(tf, SIGILL, ILL_ILLOPC, tf->pc);
		break;
	case EXC_BREAKPOINT:
		do_user_exception(tf, SIGTRAP, TRAP_BRKPT, tf->pc);
		break;
	case EXC_INSN_MISALIGNED:
	case EXC_LOAD_MISALIGNED:
	case EXC_STORE_MISALIGNED:
		do_user_exception(tf, SIGBUS, BUS_ADRALN, addr);
		break;
	case EXC_INSN_ACCESS:
	case EXC_LOAD_ACCESS:
	case EXC_STORE_ACCESS:
		do_user_exception(tf, SIGSEGV, SEGV_ACCERR, addr);
		break;
	default:
		do_user_exception(tf, SIGILL, ILL_ILLTRP, tf->pc);
	}
}

void rv_user_trap(struct trapframe *tf, u64 cause)
{
	u64 addr = csr_read(CSR_STVAL);

	enter_from_user();
	if (cause & INTERRUPT)
		interrupt(tf, cause & ~INTERRUPT);
	else if (!page_fault(tf, cause, addr, FAULT_USER))
		user_exception(tf, cause, addr);
	exit_to_user(tf);
}

/* Machine mode does not let us count instructions (rdinstret, csrrs rd, 0xc02, x0): the time has to do. */
static bool emulate_counter(struct trapframe *tf, u64 cause)
{
	u32 insn;
	u64 now;

	if (cause != EXC_ILLEGAL)
		return false;
	insn = *(const u16 *)tf->pc | (u32) * (const u16 *)(tf->pc + 2) << 16;
	if ((insn & ~0xf80u) != 0xc0202073)
		return false;
	__asm__ volatile("rdtime %0" : "=r"(now));
	((u64 *)tf)[insn >> 7 & 31] = now;
	tf->pc += 4;
	return true;
}

void rv_kernel_trap(struct trapframe *tf, u64 cause)
{
	u64 addr = csr_read(CSR_STVAL);

	if (cause & INTERRUPT)
		interrupt(tf, cause & ~INTERRUPT);
	else if (!page_fault(tf, cause, addr, 0) && !emulate_counter(tf, cause))
		do_kernel_exception(tf, exception_name(cause), addr);
}

void rv_stack_overflow(struct trapframe *tf, u64 cause)
{
	panic_trap(tf, "kernel stack overflow: sp %#llx is outside of %s's stack %#lx", (unsigned long long)tf->sp,
		   current->comm, (uintptr_t)current->kstack);
}

/* SUM is clear but in usercopy.S. */
bool arch_user_guard(void)
{
	return true;
}
