#pragma once
/* What the files of this port tell each other. */
#include "lib/types.h"

struct cpu;
struct task;
struct trapframe;

/* early.c */
extern u64 rv_kernel_phys;		/* where the image was loaded */
extern u64 rv_early_limit;		/* the early direct map ends here */
u64 rv_early_levels(const void *fdt);
u64 rv_early_tables(u64 levels);

/* setup.c */
extern const void *rv_fdt;		/* the device tree, in the direct map; checked */
void rv_setup(u64 hart, u64 fdt_phys) __noreturn;
/** Physical address of something in the image. */
static inline u64 rv_image_phys(const void *p)
{
	return (u64)(uintptr_t)p - 0xffffffff80000000ull + rv_kernel_phys;
}

/* isa.c */
/** Does the boot CPU have an extension, such as "sstc"? A single letter is one of the first group: "d". */
bool rv_isa_has(const char *ext);
void rv_isa_init(const void *fdt, int cpu_node);
void rv_isa_check_counter(void);	/* does rdinstret count instructions here? */
/** The CPU's node and number, for the description. */
void rv_cpu_describe(unsigned cpu, int node);

/* mmu.c */
extern u64 rv_kernel_satp;
void rv_mmu_init(void);			/* finds the number of ASID bits */
void rv_mmu_cpu_init(void);

/* time.c */
void rv_time_init(u64 frequency, bool sstc);

/* irq.c */
void rv_plic_init(void);
void rv_plic_cpu_init(void);		/* on the boot CPU */
void rv_plic_interrupt(void);

/* console.c */
void rv_console_init(void);
void rv_console_drain(void);

/* platform.c */
void rv_platform_init(void);

/* head.S, entry.S, fpu.S */
struct rv_hart {
	u64 hart;
	struct cpu *cpu; /* written last; NULL: not asked for yet */
};
extern struct rv_hart rv_harts[];
extern char boot_stack[], rv_cpu_entry[], trap_entry[], rv_kernel_thread[], rv_user_thread[];
void rv_fp_save(struct task *t);
void rv_fp_load(struct task *t);
void rv_fp_zero(void);

/* thread.c */
/** The current task's floating-point registers to struct arch_thread, if they hold anything that is not there. */
void rv_fp_sync(void);
/** Forget them: the next use loads them from struct arch_thread. */
void rv_fp_drop(void);

/* trap.c: called by entry.S */
void rv_user_trap(struct trapframe *tf, u64 cause);
void rv_kernel_trap(struct trapframe *tf, u64 cause);
void rv_stack_overflow(struct trapframe *tf, u64 cause) __noreturn;
