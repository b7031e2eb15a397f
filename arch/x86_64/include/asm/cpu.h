#pragma once
/*
 * The CPU: gs points to struct cpu in the kernel; see kernel/cpu.h for its head and struct arch_cpu here for the port's
 * part.
 */
#include <asm/layout.h>

#include "lib/types.h"

struct cpu;
struct task;

#define PCID_SLOTS	6

struct x86_tss {
	u32 reserved0;
	u64 rsp0;		/* stack of traps from user mode: the current task's */
	u64 rsp1, rsp2;
	u64 reserved1;
	u64 ist[7];		/* [0] NMI, [1] double fault and machine check */
	u64 reserved2;
	u16 reserved3;
	u16 io_map;
} __packed;

struct arch_cpu {
	struct cpu *self;	/* CPU_SELF */
	u64 user_rsp;		/* CPU_USER_RSP: scratch of the system-call entry */
	u32 pad;
	struct x86_tss tss;	/* tss.rsp0 is CPU_RSP0 */
	u32 pcid_now;		/* slot + 1 that is loaded, 0: init_mm. This CPU, interrupts off, like the rest */
	u64 gdt[GDT_ENTRIES];
	u64 deadline;		/* of the timer, clock_ns; ~0: none */
	u64 pcid_owner[PCID_SLOTS];
	u32 pcid_next;
} __aligned(128);

extern u8 x86_use_rep; /* string instructions beat plain moves on this CPU */

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	/*
	 * The made-up input keeps the result from living on across anything that clobbers memory, a context switch
	 * above all.
	 */
	__asm__("movq %%gs:%c1, %0" : "=r"(c) : "i"(CPU_SELF), "m"(x86_use_rep));
	return c;
}

static inline struct task *arch_current(void)
{
	struct task *t;

	__asm__("movq %%gs:%c1, %0" : "=r"(t) : "i"(CPU_CURRENT));
	return t;
}

static inline void arch_set_current(struct task *t)
{
	__asm__ volatile("movq %0, %%gs:%c1" : : "r"(t), "i"(CPU_CURRENT) : "memory");
}

static inline unsigned long irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq\n\tpopq %0\n\tcli" : "=rm"(flags) : : "memory");
	return flags;
}

static inline void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline void irq_restore(unsigned long flags)
{
	if (flags & RFLAGS_IF)
		irq_enable();
	else
		__asm__ volatile("" : : : "memory");
}

static inline bool irqs_off(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=rm"(flags) : : "memory");
	return !(flags & RFLAGS_IF);
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void cpu_yield(void)
{
	cpu_relax();
}

/* sti takes effect after the next instruction: nothing can come between it and hlt. */
static inline void cpu_idle(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

static inline void __noreturn cpu_halt(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt" : : : "memory");
}

static inline void smp_mb(void)
{
	__asm__ volatile("lock orl $0, (%%rsp)" : : : "memory", "cc");
}

static inline void smp_rmb(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void smp_wmb(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void mb(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

void clear_page(void *page);
void copy_page(void *dst, const void *src);

/* Instruction fetch is coherent with stores, and the return to user mode serializes. */
static inline void icache_sync(void *kva, size_t len)
{
}

/** Time-stamp counter: under icount it counts instructions. */
static inline u64 cpu_counter(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}
