#pragma once
/* What the files of this port tell each other. */
#include <arch/pte.h>

#include "kernel/cpumask.h"
#include "lib/types.h"

struct cpu;
struct task;
struct trapframe;

/* ---- machine half ---- */

/* What one kind of machine does in its own way. Called with the MMU on; interrupts may be on unless said otherwise. */
struct platform {
	void (*putc)(char c);		       /* any context; callers keep each other apart */
	int (*getc)(void);		       /* a character or -1 */
	int (*console_irq)(void);	       /* its number for arch_irq_enable(); NULL or -ENODEV: it is polled */
	void (*init)(void);		       /* from arch_init(), or NULL */
	void (*cpu_init)(void);		       /* on each CPU, interrupts off: it gets IPIs afterwards; or NULL */
	int (*cpu_start)(u64 hwid, u64 entry); /* at a physical address; 0 or -EIO */
	void (*send_ipi)(u64 hwid);	       /* after a sync */
	void (*external)(void);		       /* external interrupt: finds out what for. Interrupts off. Or NULL */
	void (*idle)(void);		       /* interrupts off: wait for one and take it; leaves them off */
	int (*irq_enable)(unsigned irq);       /* or NULL, both */
	void (*irq_disable)(unsigned irq);
	void (*leave)(bool reboot); /* or switch off; returns if there is no way */
	u64 (*wall_clock)(void); /* seconds since 1970, or 0 */
};

extern const struct platform pseries_platform, powernv_platform;
extern const struct platform *ppc_platform; /* set by the first C code with the MMU on */

#define PVR_POWER9 0x4e /* upper half of the register; the lowest version with radix trees */

/* early.c: runs before the MMU is on */
extern u64 ppc_kernel_phys; /* where the image was loaded */
extern bool ppc_hv;	    /* we run in hypervisor mode (powernv) */
void ppc_early(u64 text, u64 end, u64 of_entry, u64 opal_base, u64 opal_entry);
/** Say why this machine can not be used, and switch off. MMU off. */
void ppc_refuse(const char *why) __noreturn;
/** Let the early direct map cover the GiB that a physical address lies in. Before kernel_main() only. */
void ppc_early_map(u64 pa);

/** Physical address of something in the image; one that is physical already, before the MMU is on, stays. */
static inline u64 ppc_image_phys(const void *p)
{
	u64 at = (u64)(uintptr_t)p;

	return at >= KERNEL_BASE ? at - KERNEL_BASE + ppc_kernel_phys : at;
}

/* setup.c */
extern const void *ppc_fdt; /* the device tree, in the direct map; checked */
void ppc_setup(u64 fdt) __noreturn;
/** A number that the device tree says about all CPUs; 0 if it does not. */
u64 ppc_cpu_prop(const char *name);

/* of.c: Open Firmware's client interface, usable until of_quiesce(); MMU on or off */
void of_init(u64 entry);
/** The device tree, flattened into memory claimed for it: its physical address. 0: no memory. */
u64 of_flatten(void);
/** Make RTAS usable: its entry and where it lies. Both 0: there is none. */
u64 of_instantiate_rtas(u64 *base, u64 *size);
/** A 32-bit property of the node at a path; 0 if it is not there. */
u32 of_prop_u32(const char *path, const char *name);
void of_quiesce(void);

/* pseries.c */
void pseries_putc(char c);				  /* MMU on or off */
void pseries_early_off(void);				  /* MMU off; returns if it can not */
u64 pseries_register_table(u64 phys, unsigned size_log2); /* process table; 0 or an error */
void pseries_early_init(void);				  /* little-endian interrupts; RTAS from Open Firmware */

/* powernv.c */
void powernv_init(u64 opal_base, u64 opal_entry);
void powernv_early_putc(char c); /* MMU off, both */
void powernv_early_off(void);
/** Little-endian interrupts, radix translation by these physical tables; MMU off. */
void powernv_early_mmu(u64 root, u64 process_table, unsigned size_log2);
void powernv_set_table(u64 root, u64 process_table, unsigned size_log2);
/** This CPU reports an error that firmware may repair (time base, ...). Interrupts are off. */
void powernv_maintenance(void);

/* mmu.c */
void ppc_mmu_init(void);
/** First word of a process-table entry, big-endian: a tree's root. */
static inline u64 ppc_process_entry(u64 root)
{
	/* 52 bits of address (coded 21 in two pieces), 2^13 entries */
	return cpu_to_be64(2ull << 61 | root | 5ull << 5 | 13);
}

/* time.c */
void ppc_time_init(u64 frequency);
void ppc_decrementer(void);

/* smp.c */
void ppc_cpu_setup(void); /* what a CPU needs before it can take a trap */
void ppc_secondary(void) __noreturn;

/* console.c */
void ppc_console_interrupt(void);

/* head.S */
struct fw_call {
	u64 entry;     /* physical */
	u64 msr_clear; /* MSR bits to switch off besides those that firmware never wants */
	u64 r[10];     /* r0, r2, r3-r10 */
};
struct ppc_start {
	u64 hwid;
	struct cpu *cpu; /* written last; NULL: not asked for yet */
};
extern struct ppc_start ppc_starting[];  /* smp.c, as the next two */
extern char boot_stack[], ppc_cpu_entry[];
extern u64 ppc_start_lpcr, ppc_start_ptcr; /* for secondaries in hypervisor mode */
void ppc_flush_all_sets(void);		   /* hypervisor mode: the TLB as firmware left it */
/**
 * Call firmware, in real mode and big-endian, with registers from c; its r3. Interrupts are off, calls do not overlap.
 * MMU on or off.
 */
s64 ppc_firmware(const struct fw_call *c);

/* ---- ABI half ---- */

/* trap.c */
/** The vectors to their place in low memory; boot CPU, as soon as the direct map covers it. */
void ppc_trap_init(void);
/** What this CPU needs before it can take interrupts. */
void ppc_trap_cpu_init(void);
/* called by entry.S */
void ppc_user_trap(struct trapframe *tf);
void ppc_kernel_trap(struct trapframe *tf);

/* entry.S, fpu.S */
extern const char ppc_vectors[], ppc_vectors_end[];
extern char ppc_kernel_thread[], ppc_user_thread[], ppc_kernel_trap_return[];
void ppc_fp_save(struct task *t);
void ppc_fp_load(struct task *t);

/* thread.c */
struct arch_thread;
/** The current task's floating-point and vector registers to struct arch_thread, if they are in the CPU; they stay. */
void ppc_fp_sync(void);
/** Forget those in the CPU: the next use loads them from struct arch_thread. */
void ppc_fp_drop(void);
/** The state that a new program has. */
void ppc_fp_reset(struct arch_thread *th);
