#pragma once
/*
 * The CPU. In the kernel TPIDR_EL1 holds struct cpu (kernel/cpu.h), always.
 */
#include <asm/layout.h>

#include "lib/types.h"

struct cpu;
struct task;

struct arch_cpu {
	u64 start_sp;	   /* head.S; written before the CPU starts */
	u64 midr;	   /* written when the CPU comes up */
	u64 gicr;	   /* GICv3: its redistributor, mapped; 0: not there yet */
	u32 gic_mask;	   /* GICv2: its bit among the CPU interfaces */
	u32 tlb_flush;	   /* asid_lock (mmu.c): everything must go before another address space is loaded */
	u64 asid_active;   /* atomic: context that is loaded; 0: a new generation came since */
	u64 asid_reserved; /* asid_lock: the one that was, then */
} __aligned(128);

#define sysreg_read(name)                                                    \
	({                                                                   \
		u64 __v;                                                     \
		__asm__ volatile("mrs %0, " #name : "=r"(__v) : : "memory"); \
		__v;                                                         \
	})
#define sysreg_write(name, val)                                                  \
	({                                                                       \
		u64 __v = (u64)(val);                                            \
		__asm__ volatile("msr " #name ", %x0" : : "rZ"(__v) : "memory"); \
	})
#define isb()	    __asm__ volatile("isb" : : : "memory")
#define dsb(domain) __asm__ volatile("dsb " #domain : : : "memory")

/* The stack counts as an input, so that a value is not kept over a call, which may have gone on on another CPU. */
register unsigned long a64_stack_pointer __asm__("sp");

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	__asm__("mrs %0, tpidr_el1" : "=r"(c) : "Q"(*(const u64 *)a64_stack_pointer));
	return c;
}

static inline struct task *arch_current(void)
{
	struct task *t;

	__asm__("mrs %0, tpidr_el1\n\tldr %0, [%0, %1]" : "=r"(t) : "i"(CPU_CURRENT));
	return t;
}

static inline void arch_set_current(struct task *t)
{
	__asm__ volatile("str %0, [%1, %2]" : : "r"(t), "r"(this_cpu()), "i"(CPU_CURRENT) : "memory");
}

/* DAIF writes need no isb: they act on the next instruction. */
static inline unsigned long irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags) : : "memory");
	return flags;
}

static inline void irq_restore(unsigned long flags)
{
	__asm__ volatile("msr daif, %0" : : "r"(flags) : "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile("msr daifclr, #2" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("msr daifset, #2" : : : "memory");
}

static inline bool irqs_off(void)
{
	return sysreg_read(daif) & PSR_I;
}

/* An emulator that runs all CPUs in one thread goes on to the next one at `yield`. */
static inline void cpu_relax(void)
{
	__asm__ volatile("yield" : : : "memory");
}

static inline void cpu_yield(void)
{
	cpu_relax();
}

/*
 * wfi returns for any pending interrupt, masked or not: so nothing is lost between the check and the wait. The isb is
 * where it is taken. Outstanding stores are completed first: the CPU may lose its clock.
 */
static inline void cpu_idle(void)
{
	__asm__ volatile("dsb sy\n\twfi\n\tmsr daifclr, #2\n\tisb\n\tmsr daifset, #2" : : : "memory");
}

static inline void __noreturn cpu_halt(void)
{
	for (;;)
		__asm__ volatile("msr daifset, #15\n\twfi" : : : "memory");
}

static inline void smp_mb(void)
{
	__asm__ volatile("dmb ish" : : : "memory");
}

static inline void smp_rmb(void)
{
	__asm__ volatile("dmb ishld" : : : "memory");
}

static inline void smp_wmb(void)
{
	__asm__ volatile("dmb ishst" : : : "memory");
}

static inline void mb(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}

void clear_page(void *page);
void copy_page(void *dst, const void *src);
void icache_sync(void *kva, size_t len);

extern bool a64_pmu; /* the cycle counter counts instructions; settled by arch_timer_init() */

/** Instructions under icount (where to read it should cost least), else ticks of the system counter. */
static inline u64 cpu_counter(void)
{
	return likely(a64_pmu) ? sysreg_read(pmccntr_el0) : sysreg_read(cntvct_el0);
}
