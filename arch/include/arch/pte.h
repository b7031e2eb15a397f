#pragma once
/*
 * THE CONTRACT, part 1: page-table entries and the shape of the kernel's address space.
 *
 * A page table is a tree of tables. Level 0 is the lowest (its entries map 4 KiB pages), level PT_LEVELS - 1 is the
 * root. One opaque type, pte_t, stands for an entry of every level. An entry is one of
 *     none      pte_none(): nothing here; all-zero memory is a table full of none entries on every port
 *     table     present, points to a table of the level below
 *     leaf      present, maps 2^pt_shift(level) bytes
 *     soft      not present and not none: PTE_SOFT_BITS bits that belong to generic code (swap entry, marker)
 * A pte_t held in a variable is always in the form in which pte_*() helpers read it; byte order in memory is hidden by
 * pte_load/store/xchg/cas. A port gives all of this in <asm/pte.h>, inline.
 *
 *   constants (may be run-time expressions unless marked *)
 *     PAGE_SHIFT*            12
 *     PT_MAX_LEVELS*         the largest number of levels that this port ever uses
 *     PT_LEVELS              levels in use on this machine
 *     pt_bits(level)         index bits of a table at this level
 *     pt_shift(level)        log2 of the bytes that one entry at this level maps; pt_shift(0) == PAGE_SHIFT
 *     pt_leaf_ok(level)      may a leaf stand at this level?
 *     USER_TOP               first address that user space can not have (page aligned, leaves a guard page)
 *     DIRECT_MAP_BASE        virtual address of physical address 0 in the direct map, 1 GiB aligned
 *     VMEMMAP_BASE           struct page of frame 0 lives here, 1 GiB aligned; room for 2^32 frames (128 GiB), less
 *     where
 *                            the port's MAX_PFN is lower
 *     MAX_PFN                frames above this one can not be used (limit of the direct map on this port)
 *     VMALLOC_BASE/_END      for kernel stacks and device mappings; at least 1 GiB
 *     KERNEL_BASE            virtual link address of the image's first byte (_text)
 *     PTE_HW_AD              does the MMU set accessed and dirty? If not, an access through an old or clean entry
 *                            faults with FAULT_PRESENT and generic code sets the bit
 *     PTE_BBM                does replacing a live entry by another live one need break-before-make?
 *
 *   protections: pgprot_t is opaque, made once and kept (a vma has one):
 *     pgprot_t pgprot_make(unsigned prot)      prot = PROT_R | PROT_W | PROT_X | PROT_U | PROT_G | PROT_DEV below;
 *                                              PROT_W implies PROT_R
 *   constructors
 *     pte_t pte_make(u64 pfn, pgprot_t)        level-0 leaf, young where the port can say so, clean. A leaf with
 *                                              PROT_W in a *user* mapping of a port with PTE_HW_AD == 0 starts
 *                                              clean-and-not-hardware-writable; pte_mkdirty makes it writable
 *     pte_t pte_make_leaf(u64 pfn, pgprot_t, int level)
 *     pte_t pte_make_table(u64 pfn)
 *     pte_t pte_make_soft(u64 payload)         payload < 2^PTE_SOFT_BITS (at least 50)
 *   tests, on a value
 *     pte_none pte_present pte_leaf (present and leaf, any level > 0; do not ask at level 0) pte_table (level > 0)
 *     pte_soft pte_young pte_dirty pte_write pte_exec pte_user pte_special
 *     u64 pte_pfn(pte_t)                       of a leaf or a table entry
 *     pte_t pte_next(pte_t)                    the same leaf for the next frame
 *     u64 pte_soft_payload(pte_t)
 *   changes, value to value
 *     pte_mkold pte_mkyoung pte_mkclean pte_mkdirty pte_mkwrite pte_wrprotect pte_mkspecial
 *     pte_t pte_modify(pte_t, pgprot_t)        new protection, same frame, young, dirty, special
 *   special: a leaf whose frame is not counted (zero page, device memory)
 *   memory
 *     pte_t pte_load(const pte_t *)            one load, ordered like READ_ONCE
 *     void pte_store(pte_t *, pte_t)           one store. No ordering: see pte_publish
 *     pte_t pte_xchg(pte_t *, pte_t)           atomic against the hardware's accessed/dirty updates; fully ordered
 *     bool pte_cas(pte_t *, pte_t old, pte_t new)  likewise
 *     void pte_clear(pte_t *)                  store of none
 *     void pte_publish(void)                   after stores of entries: this CPU's walker sees them. A port whose MMU
 *     may
 *                                              remember "not present" need not flush here: generic fault code
 *                                              treats a fault that finds a good entry as spurious and flushes that
 *                                              page locally
 */
#include "lib/types.h"

#define PROT_R		0x01u
#define PROT_W		0x02u
#define PROT_X		0x04u
#define PROT_U		0x08u	/* user may access */
#define PROT_G		0x10u	/* same in every address space: kernel */
#define PROT_DEV	0x20u	/* device registers: not cached, not reordered */

#include <asm/pte.h>

#define PAGE_SIZE	(1ul << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))

#define pt_entries(level)	(1u << pt_bits(level))
#define pt_table_bytes(level)	((size_t)sizeof(pte_t) << pt_bits(level))
#define pt_size(level)		(1ul << pt_shift(level))
#define pt_index(level, va)	(((uintptr_t)(va) >> pt_shift(level)) & (pt_entries(level) - 1))

/** Physical to direct-map address and back. Valid for RAM only, once the direct map covers it. */
static inline void *phys_to_virt(u64 pa)
{
	return (void *)(DIRECT_MAP_BASE + (uintptr_t)pa);
}

static inline u64 virt_to_phys(const void *va)
{
	return (u64)((uintptr_t)va - DIRECT_MAP_BASE);
}
