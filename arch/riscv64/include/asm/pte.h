#pragma once
/*
 * Page-table entries of riscv64: Sv48 where the machine has it, else Sv39; the number of levels and the shape of the
 * address space are found at boot (rv_layout).
 *
 *	present		bit 0 (V)
 *	no access	V clear, bit 5 (G) set: a leaf that nobody may use (PROT_NONE). The hardware sees an invalid
 *			entry, generic code a present leaf; its other bits mean what they always do. (A valid entry
 *			without R, W, X would be a table.)
 *	soft		V and G clear, bit 1 set, payload in bits 6-63
 *	bit 8		special: the frame is not counted
 *
 * Accessed and dirty: most machines set the bits themselves. Others (Svade) fault on a leaf with A clear, or on a store
 * through one with D clear, with nothing to tell that from a missing entry; FAULT_PRESENT is never set here, generic
 * code looks at the entry, finds that it permits the access, sets A (and D) and flushes. So PTE_HW_AD holds for both
 * kinds, and nobody needs to know which one this is.
 */
#include "lib/types.h"

/* Filled in by the first code that runs (early.c), before the MMU is on; constant ever after. */
struct rv_layout {
	u64 direct_map;
	u64 descriptors;
	u64 vmalloc, vmalloc_end;
	u64 user_top;
	u64 max_pfn;
	u64 levels;
	u64 satp;		/* mode field */
	u64 pte_dev;		/* memory type of device mappings (Svpbmt) */
};

extern const struct rv_layout rv_layout;

#define PAGE_SHIFT	12
#define PT_MAX_LEVELS	4
#define PT_LEVELS	((int)rv_layout.levels)
#define PTE_SOFT_BITS	58
#define PTE_HW_AD	1
#define PTE_BBM		0

#define USER_TOP	((uintptr_t)rv_layout.user_top)
#define DIRECT_MAP_BASE	((uintptr_t)rv_layout.direct_map)
#define VMALLOC_BASE	((uintptr_t)rv_layout.vmalloc)
#define VMALLOC_END	((uintptr_t)rv_layout.vmalloc_end)
#define VMEMMAP_BASE	((uintptr_t)rv_layout.descriptors)
#define KERNEL_BASE	0xffffffff80000000ul
#define MAX_PFN		((u64)rv_layout.max_pfn)

#define _PTE_V		(1ull << 0)
#define _PTE_R		(1ull << 1)
#define _PTE_W		(1ull << 2)
#define _PTE_X		(1ull << 3)
#define _PTE_U		(1ull << 4)
#define _PTE_G		(1ull << 5)
#define _PTE_A		(1ull << 6)
#define _PTE_D		(1ull << 7)
#define _PTE_SPECIAL	(1ull << 8)
#define _PTE_PFN_SHIFT	10
#define _PTE_PFN	(((1ull << 44) - 1) << _PTE_PFN_SHIFT)
#define _PTE_RWX	(_PTE_R | _PTE_W | _PTE_X)
#define _PTE_NOACCESS	_PTE_G
#define _PTE_SOFT	_PTE_R
#define _PTE_SOFT_SHIFT	6

#define _PTE_YOUNG	_PTE_A
#include <arch/pte_common.h>

static inline unsigned pt_bits(int level)
{
	return 9;
}

static inline bool pt_leaf_ok(int level)
{
	return level <= 2;
}

/* Kernel mappings are young and dirty from the start: nobody could handle a fault for it there. */
static inline pgprot_t pgprot_make(unsigned prot)
{
	u64 v = prot & (PROT_R | PROT_W | PROT_X) ? _PTE_V : _PTE_NOACCESS;

	if (prot & (PROT_R | PROT_W))
		v |= _PTE_R;
	if (prot & PROT_W)
		v |= _PTE_W;
	if (prot & PROT_X)
		v |= _PTE_X;
	if (prot & PROT_U)
		v |= _PTE_U;
	else if (v & _PTE_V)
		v |= _PTE_A | _PTE_D;
	if (prot & PROT_G)
		v |= _PTE_G;
	if (prot & PROT_DEV)
		v |= rv_layout.pte_dev;
	return (pgprot_t){ v };
}

static inline pte_t pte_make(u64 pfn, pgprot_t prot)
{
	return (pte_t){ pfn << _PTE_PFN_SHIFT | prot.v | _PTE_A };
}

static inline pte_t pte_make_leaf(u64 pfn, pgprot_t prot, int level)
{
	return pte_make(pfn, prot);
}

static inline pte_t pte_make_table(u64 pfn)
{
	return (pte_t){ pfn << _PTE_PFN_SHIFT | _PTE_V };
}

static inline bool pte_present(pte_t p)
{
	return (p.v & (_PTE_V | _PTE_NOACCESS)) != 0;
}

static inline bool pte_table(pte_t p)
{
	return (p.v & (_PTE_V | _PTE_RWX)) == _PTE_V;
}

static inline bool pte_leaf(pte_t p)
{
	return pte_present(p) && !pte_table(p);
}

static inline bool pte_dirty(pte_t p)
{
	return p.v & _PTE_D;
}

static inline bool pte_write(pte_t p)
{
	return p.v & _PTE_W;
}

static inline bool pte_exec(pte_t p)
{
	return p.v & _PTE_X;
}

static inline bool pte_user(pte_t p)
{
	return p.v & _PTE_U;
}

static inline pte_t pte_mkclean(pte_t p)
{
	return (pte_t){ p.v & ~_PTE_D };
}

static inline pte_t pte_mkdirty(pte_t p)
{
	return (pte_t){ p.v | _PTE_D };
}

static inline pte_t pte_mkwrite(pte_t p)
{
	return (pte_t){ p.v | _PTE_W | _PTE_R };
}

static inline pte_t pte_wrprotect(pte_t p)
{
	return (pte_t){ p.v & ~_PTE_W };
}

static inline pte_t pte_modify(pte_t p, pgprot_t prot)
{
	return (pte_t){ (p.v & (_PTE_PFN | _PTE_A | _PTE_D | _PTE_SPECIAL)) | prot.v };
}

static inline pte_t pte_load(const pte_t *p)
{
	return (pte_t){ READ_ONCE(p->v) };
}

static inline void pte_store(pte_t *p, pte_t v)
{
	WRITE_ONCE(p->v, v.v);
}

static inline pte_t pte_xchg(pte_t *p, pte_t v)
{
	pte_t old;

	__asm__ volatile("amoswap.d.aqrl %0, %2, %1" : "=r"(old.v), "+A"(p->v) : "r"(v.v) : "memory");
	return old;
}

static inline bool pte_cas(pte_t *p, pte_t old, pte_t new)
{
	u64 seen, failed;

	__asm__ volatile("1:	lr.d	%0, %2\n"
			 "	bne	%0, %3, 2f\n"
			 "	sc.d.rl	%1, %4, %2\n"
			 "	bnez	%1, 1b\n"
			 "	fence	rw, rw\n"
			 "2:"
			 : "=&r"(seen), "=&r"(failed), "+A"(p->v)
			 : "r"(old.v), "r"(new.v)
			 : "memory");
	return seen == old.v;
}

/*
 * A walker may have remembered "invalid", and only sfence.vma orders our stores before its reads. But an unneeded fault
 * now and then is far cheaper than a fence each time: the fault does the fence, generic code for user addresses, the
 * trap entry for the kernel's (entry.S).
 */
static inline void pte_publish(void)
{
	barrier();
}
