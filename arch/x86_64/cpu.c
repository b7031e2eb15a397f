/*
 * The CPU: what it can do, descriptor tables, control registers.
 *
 * Every CPU is assumed to be like the boot CPU, where features are found out.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>
#include <arch/smp.h>
#include <arch/tlb.h>
#include <arch/trap.h>

#include "arch/x86_64/smap.h"
#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/string.h"

#define OFFSET_IS(type, member, n) static_assert(offsetof(struct type, member) == (n), "<asm/layout.h>: " #member)
OFFSET_IS(cpu, curr, CPU_CURRENT);
OFFSET_IS(cpu, arch, CPU_ARCH);
OFFSET_IS(cpu, arch.self, CPU_SELF);
OFFSET_IS(cpu, arch.user_rsp, CPU_USER_RSP);
OFFSET_IS(cpu, arch.tss.rsp0, CPU_RSP0);
OFFSET_IS(trapframe, vector, TF_VECTOR);
OFFSET_IS(trapframe, rip, TF_RIP);
OFFSET_IS(trapframe, cs, TF_CS);
OFFSET_IS(trapframe, rflags, TF_RFLAGS);
OFFSET_IS(trapframe, rsp, TF_RSP);
static_assert(sizeof(struct trapframe) == TF_SIZE && TF_SIZE % 16 == 0, "stack alignment");
static_assert(sizeof(struct x86_tss) == 104, "the processor's layout");

bool x86_has_gbpages, x86_has_pcid, x86_has_x2apic, x86_has_tsc_deadline;
u32 x86_hwcap, x86_mxcsr_mask;
static unsigned long cr4_features;
static bool has_smap;

/* Cycles of the time-stamp counter; under QEMU's icount those are instructions. */
const char *cpu_counter_name = "cycles";

struct gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset1;
	u32 offset2, zero;
};
static struct gate idt[256] __aligned(16);

struct table_pointer {
	u16 limit;
	u64 base;
} __packed;

static void set_gate(unsigned vector, const void *handler, unsigned ist, unsigned dpl)
{
	uintptr_t a = (uintptr_t)handler;

	idt[vector] = (struct gate){
		.offset0 = (u16)a, .selector = KERNEL_CS, .ist = (u8)ist, .type = (u8)(0x8e | dpl << 5),
		.offset1 = (u16)(a >> 16), .offset2 = (u32)(a >> 32),
	};
}

static void idt_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		set_gate(v, x86_trap_stubs + 16 * v, 0, v == 3 || v == 4 ? 3 : 0);
	set_gate(VEC_NMI, x86_nmi, 1, 0);
	set_gate(VEC_DOUBLE_FAULT, x86_double_fault, 2, 0);
	set_gate(VEC_MACHINE_CHECK, x86_machine_check, 2, 0);
}

/* The text is still writable: the provisional tables have no protections. */
static void patch_smap(void *const *from, void *const *to, u8 last)
{
	for (; from < to; from++) {
		u8 *site = *from;

		site[0] = 0x0f;
		site[1] = 0x01;
		site[2] = last;
	}
}

/* Do string instructions pay here? An emulator that claims to have them fast still runs them one byte at a time. */
static void measure_rep(void)
{
	static u8 page[PAGE_SIZE] __aligned(PAGE_SIZE);
	u64 best[2] = { ~0ull, ~0ull };

	for (unsigned i = 0; i < 8; i++) {
		u64 start = cpu_counter(), t;

		if (i % 2)
			x86_clear_page_rep(page);
		else
			x86_clear_page_mov(page);
		t = cpu_counter() - start;
		best[i % 2] = min(best[i % 2], t);
	}
	x86_use_rep = best[1] < best[0];
}

/** Boot CPU, first thing: features, and what depends on them once. */
void x86_detect(void)
{
	struct cpuid basic = cpuid(0, 0), f = cpuid(1, 0), f7 = { 0 }, ext = { 0 };
	u8 fx[512] __aligned(16) = { 0 };

	if (basic.eax >= 7)
		f7 = cpuid(7, 0);
	if (cpuid(0x80000000, 0).eax >= 0x80000001)
		ext = cpuid(0x80000001, 0);
	x86_hwcap = f.edx;
	x86_has_gbpages = ext.edx & BIT(26);
	x86_has_pcid = f.ecx & BIT(17);
	x86_has_x2apic = f.ecx & BIT(21);
	x86_has_tsc_deadline = f.ecx & BIT(24);
	has_smap = f7.ebx & BIT(20);
	cr4_features = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (f7.ebx & BIT(7))
		cr4_features |= CR4_SMEP;
	if (f7.ecx & BIT(2))
		cr4_features |= CR4_UMIP;
	if (has_smap) {
		cr4_features |= CR4_SMAP;
		patch_smap(__start_smap_on, __stop_smap_on, 0xcb);
		patch_smap(__start_smap_off, __stop_smap_off, 0xca);
	}
	if (f7.ebx & BIT(9))
		measure_rep();
	fxsave(fx);
	memcpy(&x86_mxcsr_mask, fx + 28, 4);
	if (!x86_mxcsr_mask)
		x86_mxcsr_mask = 0xffbf;
	idt_init();
}

/** This CPU becomes c: descriptor tables, gs, system calls, control registers. */
void x86_cpu_setup(struct cpu *c, void *stacks)
{
	struct arch_cpu *a = &c->arch;
	uintptr_t tss = (uintptr_t)&a->tss;
	struct table_pointer gdtr = { sizeof(a->gdt) - 1, (u64)(uintptr_t)a->gdt };
	struct table_pointer idtr = { sizeof(idt) - 1, (u64)(uintptr_t)idt };

	a->self = c;
	a->deadline = ~0ull;
	a->tss.ist[0] = (uintptr_t)stacks + X86_IST_STACKS / 2;
	a->tss.ist[1] = (uintptr_t)stacks + X86_IST_STACKS;
	a->tss.io_map = sizeof(a->tss);
	a->gdt[1] = 0x00cf9b000000ffff;				/* KERNEL_CS32 */
	a->gdt[2] = 0x00af9b000000ffff;				/* KERNEL_CS */
	a->gdt[3] = 0x00cf93000000ffff;				/* KERNEL_DS */
	a->gdt[5] = 0x00cff3000000ffff;				/* USER_DS */
	a->gdt[6] = 0x00affb000000ffff;				/* USER_CS */
	a->gdt[8] = (sizeof(a->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
	a->gdt[9] = tss >> 32;
	__asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2" : : "m"(gdtr), "m"(idtr), "r"(TSS_SELECTOR) : "memory");
	wrmsr(MSR_GS_BASE, (u64)(uintptr_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_STAR, (u64)KERNEL_CS << 32 | (u64)USER_CS32 << 48);
	wrmsr(MSR_LSTAR, (u64)(uintptr_t)x86_syscall_entry);
	wrmsr(MSR_FMASK, 0x47700);	/* AC NT IOPL DF IF TF */
	write_cr4(cr4_features);
}

void arch_cpu_init(void)
{
	if (x86_has_pcid)
		write_cr4(read_cr4() | CR4_PCIDE);
	if (this_cpu() == &boot_cpu)
		apic_ioremap();
	else
		apic_cpu_enable();
}

void arch_start_user(struct trapframe *tf, uintptr_t pc, uintptr_t sp)
{
	*tf = (struct trapframe){
		.vector = VEC_NONE, .rip = pc, .cs = USER_CS, .rflags = RFLAGS_IF, .rsp = sp, .ss = USER_DS,
	};
}

bool arch_user_guard(void)
{
	return has_smap;
}
