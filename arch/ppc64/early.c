/*
 * Before the MMU is on: is the CPU good enough, the first page tables, and who translates by them. Runs wherever the
 * image was loaded; data is reached relative to the TOC, and nothing may hold the address of something else at link
 * time (no tables of pointers).
 *
 * The early tree maps the image at its link address by 4 KiB pages, since it lies at any multiple of that, and the
 * first GiB of memory at DIRECT_MAP_BASE. Generic code replaces it (mm/kmap.c).
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>

#include "arch/ppc64/port.h"
#include "kernel/printk.h"

#define ROOT_ENTRIES 8192
#define ENTRIES	     512
#define IMAGE_TABLES 8 /* 16 MiB */

u64 ppc_kernel_phys;
bool ppc_hv;

pte_t ppc_early_root[ROOT_ENTRIES] __aligned(65536);
static pte_t early_direct[ENTRIES] __aligned(4096); /* 512 GiB */
static pte_t early_image_gib[ENTRIES] __aligned(4096);
static pte_t early_image_mib[ENTRIES] __aligned(4096);
static pte_t early_image[IMAGE_TABLES][ENTRIES] __aligned(4096);
static u64 early_process_table[ENTRIES] __aligned(4096);

static pte_t table_at(const void *table)
{
	return pte_make_table(ppc_image_phys(table) >> PAGE_SHIFT);
}

void ppc_early_map(u64 pa)
{
	u64 gib = pa >> pt_shift(2);

	if (gib >= ENTRIES)
		panic("boot: %#llx is too high for the early direct map", (unsigned long long)pa);
	pte_store(&early_direct[gib],
		  pte_make_leaf(gib << (pt_shift(2) - PAGE_SHIFT), pgprot_make(PROT_R | PROT_W), 2));
	pte_publish();
}

static void early_tables(u64 size)
{
	pgprot_t rwx = pgprot_make(PROT_R | PROT_W | PROT_X);

	pte_store(&ppc_early_root[pt_index(3, DIRECT_MAP_BASE)], table_at(early_direct));
	pte_store(&ppc_early_root[pt_index(3, KERNEL_BASE)], table_at(early_image_gib));
	pte_store(&early_image_gib[pt_index(2, KERNEL_BASE)], table_at(early_image_mib));
	for (unsigned i = 0; i < IMAGE_TABLES; i++)
		pte_store(&early_image_mib[i], table_at(early_image[i]));
	for (u64 at = 0; at < size; at += PAGE_SIZE)
		pte_store(&early_image[0][at >> PAGE_SHIFT], pte_make((ppc_kernel_phys + at) >> PAGE_SHIFT, rwx));
	pte_store(&early_direct[0], pte_make_leaf(0, pgprot_make(PROT_R | PROT_W), 2));
	/* PID 0 is the kernel; its user half is the same tree for now. */
	early_process_table[0] = ppc_process_entry(ppc_image_phys(ppc_early_root));
	mtspr(SPR_PIDR, 0);
	__asm__ volatile("ptesync\n\tisync" : : : "memory");
}

static void say(const char *s)
{
	for (; *s; s++) {
		if (ppc_hv)
			powernv_early_putc(*s);
		else
			pseries_putc(*s);
	}
}

void ppc_refuse(const char *why)
{
	say("Exeunt: ");
	say(why);
	say("; switching off\r\nexeunt: exit status 1\r\n");
	if (ppc_hv)
		powernv_early_off();
	else
		pseries_early_off();
	cpu_halt();
}

/** text, end: where the image lies; of_entry: Open Firmware's client interface. */
void ppc_early(u64 text, u64 end, u64 of_entry, u64 opal_base, u64 opal_entry)
{
	u64 version = mfspr(SPR_PVR) >> 16;

	ppc_kernel_phys = text;
	ppc_hv = (mfmsr() & MSR_HV) != 0;
	if (ppc_hv)
		powernv_init(opal_base, opal_entry);
	else
		of_init(of_entry);
	if (version < PVR_POWER9)
		ppc_refuse("this CPU is older than POWER9 and has no radix translation");
	if (end - text > sizeof(early_image) / sizeof(pte_t) * PAGE_SIZE)
		ppc_refuse("the image is too large for the early tables");
	early_tables(end - text);
	if (ppc_hv)
		powernv_early_mmu(ppc_image_phys(ppc_early_root), ppc_image_phys(early_process_table), 12);
	else if (pseries_register_table(ppc_image_phys(early_process_table), 12))
		ppc_refuse("the hypervisor does not offer radix translation");
}
