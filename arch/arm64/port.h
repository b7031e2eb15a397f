#pragma once
/* What the files of the machine half tell each other. The ABI half's is abi.h. */
#include <arch/pte.h>

#include "lib/types.h"

struct cpu;
struct cpumask;

/* head.S */
extern char boot_stack[], a64_cpu_entry[];
void a64_replace_root(u64 root, u64 empty);

/* early.c */
extern u64 a64_kernel_phys; /* where the image was loaded */
extern pte_t a64_idmap[];   /* root: the image's first page at its physical address */
void a64_early_tables(u64 fdt);
/**
 * Add [base, end), whole pages, to the early direct map. Returns the address up to which that worked. Boot CPU, until
 * arch_load_kernel_root().
 */
u64 a64_early_map(u64 base, u64 end, unsigned prot);
/** Physical address of something in the image. */
static inline u64 a64_image_phys(const void *p)
{
	return (u64)(uintptr_t)p - KERNEL_BASE + a64_kernel_phys;
}

/* setup.c */
extern const void *a64_fdt; /* the device tree, in the direct map; checked */
void a64_setup(u64 fdt_phys, u64 current_el) __noreturn;
/** MPIDR_EL1 without what is not affinity. */
#define MPIDR_AFFINITY 0xff00ffffffull

/* mmu.c */
extern u64 a64_kernel_root; /* physical; read with the MMU off by CPUs that start */
void a64_mmu_init(void);
void a64_mmu_cpu_init(void);
/** Memory as an observer without caches sees it gets what was written to [p, p + len). */
void a64_clean_to_memory(const void *p, size_t len);

/* time.c */
extern u32 a64_timer_irq;
extern u64 a64_timer_hz;
void a64_time_init(void);
void a64_time_cpu_init(void);
void a64_timer_silence(void);

/* irq.c */
void a64_irq_init(void);
void a64_irq_cpu_init(void);
void a64_irq_dispatch(void);
void a64_irq_send(const struct cpumask *mask);
/** Number of a device's index-th interrupt by its node's property; 0: none. */
u32 a64_fdt_irq(int node, int index);

/* console.c */
void a64_console_early(void);
void a64_console_map(void);
void a64_console_drain(void);

/* platform.c */
void a64_platform_early(void);
/** A call of PSCI firmware; negative: not an errno. */
long a64_psci(u64 function, u64 arg0, u64 arg1, u64 arg2);
#define PSCI_VERSION	  0x84000000
#define PSCI_SYSTEM_OFF	  0x84000008
#define PSCI_SYSTEM_RESET 0x84000009
#define PSCI_CPU_ON	  0xc4000003
extern const char *a64_psci_conduit; /* "hvc", "smc"; NULL: no PSCI */
