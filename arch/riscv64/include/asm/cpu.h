#pragma once
/*
 * The CPU. In the kernel tp holds struct cpu (kernel/cpu.h) and sscratch 0; in user mode sscratch leads to it
 * (entry.S).
 */
#include <asm/layout.h>

#include "lib/types.h"

struct cpu;
struct task;

/* What entry.S uses comes first: see layout.h. */
struct arch_cpu {
	u64 scratch[3];		/* registers during the first instructions of a trap */
	uintptr_t overflow;	/* top of the stack that is used when sp is bad */
	u64 retry[2];		/* kernel fault that was tried again: sepc, stval */
	u32 fence_i;		/* atomic. fence.i before another task runs */
	u32 relax;		/* counts cpu_relax() calls */
	u64 asid_gen;		/* generation of the ASIDs that may have translations here; interrupts off */
	u64 deadline;		/* of the timer, in its ticks; ~0: not armed. Interrupts off */
} __aligned(128);

register struct cpu *rv_this_cpu __asm__("tp");

static inline struct cpu *this_cpu(void)
{
	return rv_this_cpu;
}

static inline struct task *arch_current(void)
{
	struct task *t;

	__asm__("ld %0, %1(tp)" : "=r"(t) : "i"(CPU_CURRENT));
	return t;
}

static inline void arch_set_current(struct task *t)
{
	__asm__ volatile("sd %0, %1(tp)" : : "r"(t), "i"(CPU_CURRENT) : "memory");
}

#define csr_read(csr)								\
	({									\
		u64 __v;							\
		__asm__ volatile("csrr %0, %1" : "=r"(__v) : "i"(csr) : "memory"); \
		__v;								\
	})
#define csr_op(op, csr, val)							\
	({									\
		u64 __v = (u64)(val);						\
		__asm__ volatile(op " %0, %1" : : "i"(csr), "rK"(__v) : "memory"); \
	})
#define csr_write(csr, val)	csr_op("csrw", csr, val)
#define csr_set(csr, val)	csr_op("csrs", csr, val)
#define csr_clear(csr, val)	csr_op("csrc", csr, val)

#define CSR_SSTATUS	0x100
#define CSR_SIE		0x104
#define CSR_STVEC	0x105
#define CSR_SCOUNTEREN	0x106
#define CSR_SSCRATCH	0x140
#define CSR_SEPC	0x141
#define CSR_SCAUSE	0x142
#define CSR_STVAL	0x143
#define CSR_SIP		0x144
#define CSR_SATP	0x180

static inline unsigned long irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("csrrci %0, sstatus, %1" : "=r"(flags) : "i"(SR_SIE) : "memory");
	return flags & SR_SIE;
}

/* Off can only become on here: whoever saved has them off. */
static inline void irq_restore(unsigned long flags)
{
	__asm__ volatile("csrs sstatus, %0" : : "r"(flags) : "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile("csrsi sstatus, %0" : : "i"(SR_SIE) : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("csrci sstatus, %0" : : "i"(SR_SIE) : "memory");
}

static inline bool irqs_off(void)
{
	return !(csr_read(CSR_SSTATUS) & SR_SIE);
}

void cpu_relax(void);
void cpu_yield(void);

/*
 * wfi returns for any interrupt that is pending and enabled in sie, taken or not: so nothing is lost between the check
 * and the wait.
 */
static inline void cpu_idle(void)
{
	__asm__ volatile("wfi\n\tcsrsi sstatus, %0\n\tcsrci sstatus, %0" : : "i"(SR_SIE) : "memory");
}

static inline void __noreturn cpu_halt(void)
{
	for (;;)
		__asm__ volatile("csrci sstatus, %0\n\tcsrw sie, zero\n\twfi" : : "i"(SR_SIE) : "memory");
}

static inline void smp_mb(void)
{
	__asm__ volatile("fence rw, rw" : : : "memory");
}

static inline void smp_rmb(void)
{
	__asm__ volatile("fence r, r" : : : "memory");
}

static inline void smp_wmb(void)
{
	__asm__ volatile("fence w, w" : : : "memory");
}

static inline void mb(void)
{
	__asm__ volatile("fence iorw, iorw" : : : "memory");
}

void clear_page(void *page);
void copy_page(void *dst, const void *src);
void icache_sync(void *kva, size_t len);

/**
 * Retired instructions; where M-mode does not let us read them, the trap handler puts the timer's ticks in (trap.c).
 */
static inline u64 cpu_counter(void)
{
	u64 v;

	__asm__ volatile("rdinstret %0" : "=r"(v));
	return v;
}
