#pragma once
/*
 * Inside the port: instructions that C has no words for, and what its files want of each other.
 */
#include <asm/layout.h>

#include "lib/types.h"

struct cpu;
struct seq;
struct trapframe;

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
	return r;
}

static inline unsigned long read_cr4(void)
{
	unsigned long v;

	__asm__ volatile("movq %%cr4, %0" : "=r"(v) : : "memory");
	return v;
}

static inline void write_cr4(unsigned long v)
{
	__asm__ volatile("movq %0, %%cr4" : : "r"(v) : "memory");
}

static inline unsigned long read_cr2(void)
{
	unsigned long v;

	__asm__ volatile("movq %%cr2, %0" : "=r"(v) : : "memory");
	return v;
}

static inline void write_cr3(unsigned long v)
{
	__asm__ volatile("movq %0, %%cr3" : : "r"(v) : "memory");
}

static inline void fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void fxrstor(const void *area)
{
	__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

/* boot.S, entry.S, uaccess.S */
extern char trampoline[], trampoline_end[], x86_trap_stubs[], x86_syscall_entry[], boot_stack[];
extern u64 ap_mailbox;		/* the struct cpu that the next CPU to come up shall be */
extern u64 ap_root;		/* physical address of the kernel's root table */
void x86_nmi(void);
void x86_double_fault(void);
void x86_machine_check(void);
void x86_thread_start(void);
void x86_user_start(void);
void *x86_switch(u64 *save_sp, u64 sp, void *prev);
void x86_clear_page_rep(void *page);
void x86_clear_page_mov(void *page);

/* Called from assembly. */
void x86_start(u32 magic, u32 info) __noreturn;
void x86_secondary(struct cpu *c) __noreturn;
void x86_trap_user(struct trapframe *tf);
void x86_trap_kernel(struct trapframe *tf);
void x86_trap_paranoid(struct trapframe *tf);

/* cpu.c */
extern bool x86_has_x2apic, x86_has_tsc_deadline;
extern u32 x86_mxcsr_mask;
void x86_detect(void);
void x86_cpu_setup(struct cpu *c, void *stacks);	/* stacks: X86_IST_STACKS bytes */
#define X86_IST_STACKS	16384

/* clock.c */
void clock_early_init(void);
void clock_interrupt(void);
extern u64 x86_tsc_hz;

/* apic.c */
void apic_early_init(u64 base);	/* the boot CPU's, through the early direct map */
void apic_ioremap(void);
void apic_cpu_enable(void);
void apic_eoi(void);
void apic_timer_set(u32 ticks);
u32 apic_timer_read(void);
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u8 page);
u32 apic_id(void);

/* ioapic.c */
void ioapic_add(u64 base, u32 gsi_base);
void ioapic_isa_override(u8 irq, u32 gsi, u16 flags);
void ioapic_init(void);
unsigned ioapic_isa_gsi(u8 irq);

/* acpi.c */
void acpi_early_init(u64 rsdp);

/* console.c */
void console_early_init(void);
void console_drain(void);

/* smp.c */
void smp_reserve_trampoline(void);
void smp_init(void);
