/*
 * The first page tables. a64_early_tables() runs with the MMU off, wherever the image was loaded: everything is reached
 * relative to pc, nothing may hold the address of something else at link time, and no access may be unaligned (memory
 * is all device then), hence the pragma.
 *
 * They map the image at its link address, all of it writable and executable; its first page at its physical address
 * (a64_idmap, kept for CPUs that start later); and in the direct map what a64_early_map() is asked for, to the page:
 * RAM and the console's registers, not the space between, or the CPU might read ahead what is a device's or another
 * owner's. Generic code replaces them all (mm/kmap.c). All of this lies in .early, which head.S clears.
 */
#include <arch/boot.h>
#include <arch/pte.h>
#include <asm/layout.h>

#include "arch/arm64/port.h"

#pragma GCC target("strict-align")

#define ENTRIES	    512
#define NR_TABLES   64 /* for gigabytes and for 2 MiB that are not mapped by one leaf */
#define LIMIT	    (512ull << 30) /* what early_direct reaches */
#define EARLY	    __section(".bss.early")
#define EARLY_TABLE EARLY __aligned(4096)

extern char _text[], _end[];

EARLY_TABLE pte_t a64_idmap[ENTRIES];
extern pte_t a64_early_root[];
EARLY_TABLE pte_t a64_early_root[ENTRIES];
static EARLY_TABLE pte_t idmap_tables[3][ENTRIES];
static EARLY_TABLE pte_t early_direct[ENTRIES]; /* the first 512 GiB of the direct map */
static EARLY_TABLE pte_t early_upper[ENTRIES];	/* the last 512 GiB of the address space */
static EARLY_TABLE pte_t early_image[ENTRIES];	/* 1 GiB from KERNEL_BASE */
static EARLY_TABLE pte_t early_pages[EARLY_IMAGE_TABLES * ENTRIES];
static EARLY_TABLE pte_t early_tables[NR_TABLES][ENTRIES];
static EARLY unsigned nr_tables;
EARLY u64 a64_kernel_phys;

/* Works before and after the MMU is on. */
static inline u64 pfn_of(const void *p)
{
	return ((u64)(uintptr_t)p - (u64)(uintptr_t)_text + a64_kernel_phys) >> PAGE_SHIFT;
}

/* The table that *entry points to; a new one if there is nothing yet. NULL: none is left. */
static pte_t *table_below(pte_t *entry)
{
	pte_t v = pte_load(entry);

	if (pte_table(v))
		return early_tables[pte_pfn(v) - pfn_of(early_tables)];
	if (nr_tables == NR_TABLES)
		return NULL;
	pte_store(entry, pte_make_table(pfn_of(early_tables[nr_tables])));
	return early_tables[nr_tables++];
}

/* Where a leaf for `at` goes: the largest that fits in front of `end`, or one that is there. NULL: no table is left. */
static pte_t *find_leaf(u64 at, u64 end, int *level)
{
	pte_t *entry = &early_direct[pt_index(2, at)], *table;

	for (*level = 2; *level; --*level) {
		pte_t v = pte_load(entry);

		if (pte_leaf(v) || (pte_none(v) && at % pt_size(*level) == 0 && end - at >= pt_size(*level)))
			break;
		table = table_below(entry);
		if (!table)
			return NULL;
		entry = &table[pt_index(*level - 1, at)];
	}
	return entry;
}

u64 a64_early_map(u64 base, u64 end, unsigned prot)
{
	pgprot_t pgprot = pgprot_make(prot | PROT_G);
	u64 at = base;

	while (at < end && at < LIMIT) {
		int level;
		pte_t *entry = find_leaf(at, end, &level);

		if (!entry)
			break;
		if (pte_none(pte_load(entry)))
			pte_store(entry, pte_make_leaf(at >> PAGE_SHIFT, pgprot, level));
		at = align_down(at, pt_size(level)) + pt_size(level);
	}
	pte_publish();
	return min(at, end);
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
	a64_early_map(align_down(fdt, PAGE_SIZE), align_down(fdt, PAGE_SIZE) + PAGE_SIZE, PROT_R | PROT_W);
}
