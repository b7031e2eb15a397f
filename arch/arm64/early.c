/*
 * The first page tables. a64_early_tables() runs with the MMU off, wherever the image was loaded: everything is reached
 * relative to pc, nothing may hold the address of something else at link time, and no access may be unaligned (memory
 * is all device then), hence the pragma.
 *
 * They map the image at its link address, all of it writable and executable; its first page at its physical address
 * (a64_idmap, kept for CPUs that start later); and in the direct map what a64_early_map() is asked for: RAM and the
 * console's registers, not the space between, or the CPU might read devices ahead. Generic code replaces them all
 * (mm/kmap.c). All of this lies in .early, which head.S clears.
 */
#include <arch/boot.h>
#include <arch/pte.h>
#include <asm/layout.h>

#include "arch/arm64/port.h"

#pragma GCC target("strict-align")

#define ENTRIES	     512
#define BLOCK_TABLES 24 /* for gigabytes that are not mapped by one leaf */
#define BLOCK	     (1ull << 21)
#define GIB	     (1ull << 30)
#define EARLY	     __section(".bss.early")
#define EARLY_TABLE  EARLY __aligned(4096)

extern char _text[], _end[];

EARLY_TABLE pte_t a64_idmap[ENTRIES];
extern pte_t a64_early_root[];
EARLY_TABLE pte_t a64_early_root[ENTRIES];
static EARLY_TABLE pte_t idmap_tables[3][ENTRIES];
static EARLY_TABLE pte_t early_direct[ENTRIES]; /* the first 512 GiB of the direct map */
static EARLY_TABLE pte_t early_upper[ENTRIES];	/* the last 512 GiB of the address space */
static EARLY_TABLE pte_t early_image[ENTRIES];	/* 1 GiB from KERNEL_BASE */
static EARLY_TABLE pte_t early_pages[EARLY_IMAGE_TABLES * ENTRIES];
static EARLY_TABLE pte_t early_blocks[BLOCK_TABLES][ENTRIES];
static EARLY unsigned nr_block_tables;
EARLY u64 a64_kernel_phys;

/* Works before and after the MMU is on. */
static inline u64 pfn_of(const void *p)
{
	return ((u64)(uintptr_t)p - (u64)(uintptr_t)_text + a64_kernel_phys) >> PAGE_SHIFT;
}

static pte_t *block_table(u64 gib)
{
	pte_t v = pte_load(&early_direct[gib]);

	if (pte_table(v))
		return &early_blocks[0][0] + ((pte_pfn(v) - pfn_of(early_blocks)) << PAGE_SHIFT) / sizeof(pte_t);
	if (!pte_none(v) || nr_block_tables == BLOCK_TABLES)
		return NULL;
	pte_store(&early_direct[gib], pte_make_table(pfn_of(early_blocks[nr_block_tables])));
	return early_blocks[nr_block_tables++];
}

u64 a64_early_map(u64 base, u64 end, unsigned prot)
{
	pgprot_t pgprot = pgprot_make(prot | PROT_G);
	u64 at = align_down(base, BLOCK);

	while (at < end && at < ENTRIES * GIB) {
		pte_t *direct = &early_direct[at / GIB];

		if (at % GIB == 0 && end - at >= GIB && pte_none(pte_load(direct))) {
			pte_store(direct, pte_make_leaf(at >> PAGE_SHIFT, pgprot, 2));
			at += GIB;
		} else if (!pte_none(pte_load(direct)) && !pte_table(pte_load(direct))) {
			at = align_down(at, GIB) + GIB; /* all of it is mapped */
		} else {
			pte_t *table = block_table(at / GIB);

			if (!table)
				break;
			if (pte_none(pte_load(&table[at / BLOCK % ENTRIES])))
				pte_store(&table[at / BLOCK % ENTRIES], pte_make_leaf(at >> PAGE_SHIFT, pgprot, 1));
			at += BLOCK;
		}
	}
	pte_publish();
	return at < end ? at : end;
}

/** fdt: physical address of the device tree, not looked at yet. */
void a64_early_tables(u64 fdt)
{
	pgprot_t rwx = pgprot_make(PROT_R | PROT_W | PROT_X | PROT_G);
	u64 image = (u64)(uintptr_t)_text, pages = (u64)(_end - _text) >> PAGE_SHIFT;
	pte_t *table = a64_idmap;

	a64_kernel_phys = image;
	for (int level = 3; level > 0; level--) {
		pte_store(&table[pt_index(level, image)], pte_make_table(pfn_of(idmap_tables[level - 1])));
		table = idmap_tables[level - 1];
	}
	pte_store(&table[pt_index(0, image)], pte_make(image >> PAGE_SHIFT, rwx));

	for (u64 i = 0; i < pages; i++)
		pte_store(&early_pages[i], pte_make((image >> PAGE_SHIFT) + i, rwx));
	for (u64 i = 0; i < EARLY_IMAGE_TABLES; i++)
		pte_store(&early_image[i], pte_make_table(pfn_of(&early_pages[i * ENTRIES])));
	pte_store(&early_upper[pt_index(2, KERNEL_BASE)], pte_make_table(pfn_of(early_image)));
	pte_store(&a64_early_root[pt_index(3, KERNEL_BASE)], pte_make_table(pfn_of(early_upper)));
	pte_store(&a64_early_root[pt_index(3, DIRECT_MAP_BASE)], pte_make_table(pfn_of(early_direct)));
	a64_early_map(fdt, fdt + 1, PROT_R | PROT_W);
}
