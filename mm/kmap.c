/*
 * The kernel's address space: final tables at boot, device mappings.
 *
 *   direct map	 all RAM by the largest leaves, writable, not executable; the kernel image's text and rodata are
 *   read-only there too
 *   descriptors VMEMMAP_BASE: 2 MiB granules, backed only where there is RAM
 *   image	 at KERNEL_BASE: text read-only and executable, rodata read-only, the rest writable
 *   vmalloc	 kernel stacks (mm/kstack.c) from the bottom, device registers from the top
 *
 * All tables that hang on the root are made here, once: a root copied later (arch_root_init) stays complete for ever.
 * Locks: kmap_lock protects the device area's cursor and kernel_map after boot.
 */
#include "mm/kmap.h"

#include <arch/boot.h>
#include <arch/pte.h>
#include <arch/tlb.h>

#include "kernel/bootmem.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/bits.h"
#include "mm/palloc_internal.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"

extern char _text[], _text_end[], _rodata_start[], _rodata_end[], _data_start[], _end[];

static bool palloc_ready;
static uintptr_t io_cursor;	/* kmap_lock */
static spinlock_t kmap_lock = SPINLOCK_INIT(RANK_SPIN_LEAF);

static pte_t *new_table(int level, unsigned gfp)
{
	size_t bytes = pt_table_bytes(level);

	if (!palloc_ready)
		return early_alloc(bytes, bytes);
	return alloc_kpages(ilog2(bytes) - PAGE_SHIFT, gfp | GFP_ZERO);
}

/* The entry for va at `level`, tables above made on the way. NULL: no memory. */
static pte_t *kernel_entry(uintptr_t va, int level, unsigned gfp)
{
	pte_t *table = init_mm.root;

	for (int l = PT_LEVELS - 1; l > level; l--) {
		pte_t *e = &table[pt_index(l, va)];
		pte_t v = pte_load(e);

		if (pte_none(v)) {
			pte_t *t = new_table(l - 1, gfp);

			if (!t)
				return NULL;
			v = pte_make_table(virt_to_phys(t) >> PAGE_SHIFT);
			smp_wmb();	/* the table's zeros before the entry that shows them */
			pte_store(e, v);
		}
		ASSERT(pte_table(v), "kernel address %#lx lies in a leaf of level %d", va, l);
		table = phys_to_virt(pte_pfn(v) << PAGE_SHIFT);
	}
	return &table[pt_index(level, va)];
}

int kernel_map(uintptr_t va, u64 pa, size_t size, unsigned prot, unsigned gfp)
{
	pgprot_t pgprot = pgprot_make(prot | PROT_G);

	while (size) {
		int level = PT_LEVELS - 1;
		pte_t *e;

		while (level && (!pt_leaf_ok(level) || pt_size(level) > size || ((va | pa) & (pt_size(level) - 1))))
			level--;
		e = kernel_entry(va, level, gfp);
		if (!e)
			return -ENOMEM;
		/* Kernel memory is not aged or swapped: young and dirty from the start. */
		pte_store(e, pte_mkdirty(pte_mkyoung(pte_make_leaf(pa >> PAGE_SHIFT, pgprot, level))));
		va += pt_size(level);
		pa += pt_size(level);
		size -= pt_size(level);
	}
	pte_publish();
	return 0;
}

void kernel_unmap(uintptr_t va, size_t size)
{
	for (uintptr_t at = va; at < va + size; at += PAGE_SIZE)
		pte_clear(kernel_entry(at, 0, GFP_NOWAIT));
	flush_tlb_kernel_range(va, va + size);
}

static void map_or_die(uintptr_t va, u64 pa, u64 size, unsigned prot)
{
	if (size && kernel_map(va, pa, size, prot, 0))
		panic("boot: no memory for kernel page tables");
}

/* RAM, with the image's read-only part read-only in the direct map too. */
static void map_ram(u64 base, u64 end)
{
	u64 ro = boot_info.kernel_phys, ro_end = ro + (u64)(_rodata_end - _text);
	u64 cut1 = clamp(ro, base, end), cut2 = clamp(ro_end, base, end);

	map_or_die(DIRECT_MAP_BASE + base, base, cut1 - base, PROT_R | PROT_W);
	map_or_die(DIRECT_MAP_BASE + cut1, cut1, cut2 - cut1, PROT_R);
	map_or_die(DIRECT_MAP_BASE + cut2, cut2, end - cut2, PROT_R | PROT_W);
}

/* Memory for the descriptors of all RAM, by granules; long stretches get backing that large leaves can map. */
static void map_descriptors(void)
{
	const u64 granule = 1ull << (DESC_GRANULE_ORDER + PAGE_SHIFT);	/* bytes of RAM per granule */
	const u64 backing = sizeof(struct page) << DESC_GRANULE_ORDER;
	u64 done = 0;							/* granules below are mapped */

	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		u64 g = max(boot_info.ram[i].base / granule, done);
		u64 last = div_round_up(boot_info.ram[i].base + boot_info.ram[i].size, granule);

		while (g < last) {
			u64 n = last - g, big = (1ull << 30) / backing, pa;

			if (g % big == 0 && n >= big)
				n = align_down(n, big);
			else
				n = min(n, big - g % big);
			pa = boot_alloc_high(n * backing, n * backing >= 1ull << 30 ? 1ull << 30 : backing, PAGE_SIZE);
			map_or_die(VMEMMAP_BASE + g * backing, pa, n * backing, PROT_R | PROT_W);
			for (u64 k = g; k < g + n; k++)
				desc_granule_set_present(k);
			g += n;
		}
		done = max(done, last);
	}
}

void kmap_init(void)
{
	init_mm.root = new_table(PT_LEVELS - 1, 0);
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		map_ram(boot_info.ram[i].base, boot_info.ram[i].base + boot_info.ram[i].size);
	map_or_die((uintptr_t)_text, boot_info.kernel_phys, (size_t)(_text_end - _text), PROT_R | PROT_X);
	map_or_die((uintptr_t)_rodata_start, boot_info.kernel_phys + (u64)(_rodata_start - _text),
		   (size_t)(_rodata_end - _rodata_start), PROT_R);
	map_or_die((uintptr_t)_data_start, boot_info.kernel_phys + (u64)(_data_start - _text),
		   (size_t)(_end - _data_start), PROT_R | PROT_W);
	map_descriptors();
	for (uintptr_t va = VMALLOC_BASE; va < VMALLOC_END;
	     va = align_down(va, pt_size(PT_LEVELS - 1)) + pt_size(PT_LEVELS - 1))
		kernel_entry(va, PT_LEVELS - 2, 0);
	io_cursor = VMALLOC_END;
	arch_load_kernel_root(kernel_root_phys());
}

void kmap_palloc_ready(void)
{
	palloc_ready = true;
}

u64 kernel_root_phys(void)
{
	return virt_to_phys(init_mm.root);
}

void *ioremap(u64 pa, size_t size)
{
	u64 base = align_down(pa, PAGE_SIZE);
	unsigned long flags;
	uintptr_t va;

	size = align_up(pa + size, PAGE_SIZE) - base;
	flags = spin_lock_irqsave(&kmap_lock);
	io_cursor -= size;
	va = io_cursor;
	if (va < VMALLOC_BASE + (VMALLOC_END - VMALLOC_BASE) / 2 ||
	    kernel_map(va, base, size, PROT_R | PROT_W | PROT_DEV, GFP_NOWAIT))
		panic("ioremap of %#llx, %zu bytes: no room", (unsigned long long)pa, size);
	spin_unlock_irqrestore(&kmap_lock, flags);
	return (void *)(va + (pa - base));
}
