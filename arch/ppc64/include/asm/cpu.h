#pragma once
/*
 * The CPU. In the kernel r13 holds struct cpu (kernel/cpu.h); in user mode it is the program's, and SPRG0 leads to it
 * (entry.S).
 */
#include <asm/layout.h>

#include "lib/types.h"

struct cpu;
struct task;

/* What entry.S uses comes first: see layout.h. */
struct arch_cpu {
	u64 scratch[8]; /* registers during the first instructions of a trap */
	u64 self;	/* struct cpu at its linked address; SPRG0 holds the one that real mode can use */
	u64 frame;	/* trap frame at the top of the current task's kernel stack; arch_switch() keeps it */
	u64 overflow;	/* top of the stack that is used when r1 is bad */
	u64 toc;
	u64 deadline; /* of the timer, in its ticks; ~0: not armed. Interrupts off */
} __aligned(128);

register struct cpu *ppc_this_cpu __asm__("r13");

static inline struct cpu *this_cpu(void)
{
	return ppc_this_cpu;
}

static inline struct task *arch_current(void)
{
	struct task *t;

	__asm__("ld %0, %1(13)" : "=r"(t) : "i"(CPU_CURRENT));
	return t;
}

static inline void arch_set_current(struct task *t)
{
	__asm__ volatile("std %0, %1(13)" : : "r"(t), "i"(CPU_CURRENT) : "memory");
}

#define mfspr(spr)                                                                  \
	({                                                                          \
		u64 __v;                                                            \
		__asm__ volatile("mfspr %0, %1" : "=r"(__v) : "i"(spr) : "memory"); \
		__v;                                                                \
	})
#define mtspr(spr, val) __asm__ volatile("mtspr %0, %1" : : "i"(spr), "r"((u64)(val)) : "memory")

static inline u64 mfmsr(void)
{
	u64 v;

	__asm__ volatile("mfmsr %0" : "=r"(v) : : "memory");
	return v;
}

/* This form of mtmsrd changes EE and RI only, and needs no isync. RI is always set where C code runs. */
static inline void irq_restore(unsigned long msr)
{
	__asm__ volatile("mtmsrd %0, 1" : : "r"(msr) : "memory");
}

static inline void irq_enable(void)
{
	irq_restore(MSR_EE | MSR_RI);
}

static inline void irq_disable(void)
{
	irq_restore(MSR_RI);
}

static inline unsigned long irq_save(void)
{
	unsigned long msr = mfmsr();

	irq_disable();
	return msr;
}

static inline bool irqs_off(void)
{
	return !(mfmsr() & MSR_EE);
}

/*
 * "or 27,27,27" says that the others may have what this thread shares with them; an emulator that runs all CPUs in one
 * thread goes on to the next.
 */
static inline void cpu_relax(void)
{
	__asm__ volatile("or 27, 27, 27" : : : "memory");
}

#define cpu_yield() cpu_relax()

void cpu_idle(void);

static inline void __noreturn cpu_halt(void)
{
	for (;;) {
		irq_disable();
		cpu_relax();
	}
}

static inline void smp_mb(void)
{
	__asm__ volatile("sync" : : : "memory");
}

static inline void smp_wmb(void)
{
	__asm__ volatile("lwsync" : : : "memory");
}

#define smp_rmb() smp_wmb()
#define mb()	  smp_mb()

void clear_page(void *page);
void copy_page(void *dst, const void *src);
void icache_sync(void *kva, size_t len);

/** The time base: the same on all CPUs, about two instructions a tick under icount. */
static inline u64 cpu_counter(void)
{
	u64 v;

	__asm__ volatile("mfspr %0, %1" : "=r"(v) : "i"(SPR_TB));
	return v;
}
