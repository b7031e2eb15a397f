/*
 * Before the MMU is on: the first page tables and the layout of the address space. Runs wherever the image was loaded,
 * so everything here is reached relative to pc, and nothing may hold the address of something else at link time (no
 * tables of pointers).
 *
 * The early tables map the image at its link address and the start of physical memory, RAM and devices alike, at
 * DIRECT_MAP_BASE by leaves of 1 GiB. Generic code replaces them (mm/kmap.c).
 *
 *			 Sv48				  Sv39
 *	direct map	 ffff800000000000, 16 TiB	  ffffffc000000000, 128 GiB
 *	descriptors	 ffffd00000000000, 128 GiB	  ffffffe000000000, 1 GiB
 *	vmalloc		 ffffe00000000000, 512 GiB	  ffffffe800000000, 8 GiB
 *	image		 ffffffff80000000		  the same
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/pte.h>

#include "arch/riscv64/port.h"
#include "kernel/param.h"
#include "lib/fdt.h"
#include "lib/string.h"

#define GIB		(1ull << 30)
#define MIB2		(1ull << 21)
#define ENTRIES		512

extern char _text[], _end[];
extern struct rv_layout rv_layout_writable __asm__("rv_layout");

u64 rv_kernel_phys, rv_early_limit;

static pte_t early_root[ENTRIES] __aligned(4096);
static pte_t early_direct[ENTRIES] __aligned(4096);	/* Sv48: 512 GiB */
static pte_t early_upper[ENTRIES] __aligned(4096);	/* Sv48: the last 512 GiB of the address space */
static pte_t early_image[ENTRIES] __aligned(4096);	/* 1 GiB from KERNEL_BASE */

/* Linux's word for the same. Only looked for here; the option exists so that it is known. */
static bool no4lvl;
BOOT_OPTION(no4lvl_option) = {
	.name = "no4lvl",
	.help = "use three levels of page tables (Sv39) even if the machine has four",
	.type = CMDLINE_FLAG,
	.flag = &no4lvl,
};

static bool has_word(const char *line, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += n)
		if ((p == line || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

/** How many levels to try first. fdt: physical address, not checked yet, may be NULL. */
u64 rv_early_levels(const void *fdt)
{
	char word[] = { 'n', 'o', '4', 'l', 'v', 'l', 0 };
	const char *args;

	if (!fdt || fdt_check(fdt, 16 * MIB2) < 0)
		return 4;
	args = fdt_prop_string(fdt, fdt_find_path(fdt, "/chosen"), "bootargs");
	return args && has_word(args, word) ? 3 : 4;
}

/** Build tables of that many levels; what to write to satp. */
u64 rv_early_tables(u64 levels)
{
	struct rv_layout *l = &rv_layout_writable;
	u64 image = (u64)(uintptr_t)_text, end = (u64)(uintptr_t)_end;
	pgprot_t rwx = { _PTE_V | _PTE_R | _PTE_W | _PTE_X | _PTE_G | _PTE_A | _PTE_D };
	pgprot_t rw = { rwx.v & ~_PTE_X };
	pte_t *direct = early_direct, *upper = early_upper;
	unsigned first = 0, count = ENTRIES;

	rv_kernel_phys = image;
	memset(early_root, 0, sizeof(early_root));
	if (levels == 4) {
		*l = (struct rv_layout){
			.direct_map = 0xffff800000000000, .descriptors = 0xffffd00000000000,
			.vmalloc = 0xffffe00000000000, .vmalloc_end = 0xffffe08000000000,
			.user_top = (1ull << 47) - PAGE_SIZE, .max_pfn = (1ull << 32) - 1,
			.levels = levels, .satp = (u64)SATP_MODE_SV48 << SATP_MODE_SHIFT,
		};
		early_root[256] = pte_make_table((u64)(uintptr_t)direct >> PAGE_SHIFT);
		early_root[511] = pte_make_table((u64)(uintptr_t)upper >> PAGE_SHIFT);
	} else {
		*l = (struct rv_layout){
			.direct_map = 0xffffffc000000000, .descriptors = 0xffffffe000000000,
			.vmalloc = 0xffffffe800000000, .vmalloc_end = 0xffffffea00000000,
			.user_top = (1ull << 38) - PAGE_SIZE, .max_pfn = (1ull << 25) - 1,
			.levels = levels, .satp = (u64)SATP_MODE_SV39 << SATP_MODE_SHIFT,
		};
		direct = upper = early_root;
		first = 256;
		count = 128;
	}
	for (unsigned i = 0; i < count; i++)
		direct[first + i] = pte_make_leaf(i * GIB >> PAGE_SHIFT, rw, 2);
	for (unsigned i = 0; i * MIB2 < end - image; i++)
		early_image[i] = pte_make_leaf((image + i * MIB2) >> PAGE_SHIFT, rwx, 1);
	upper[510] = pte_make_table((u64)(uintptr_t)early_image >> PAGE_SHIFT);
	rv_early_limit = count * GIB;
	return l->satp | (u64)(uintptr_t)early_root >> PAGE_SHIFT;
}
