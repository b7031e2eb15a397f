#pragma once
/*
 * Page-table entries of x86_64: four levels of 512 entries, accessed and dirty set by hardware.
 *
 *	present		bit 0 (P)
 *	no access	P clear, bit 10 (PROTNONE) set: a leaf that nobody may use (PROT_NONE). The processor sees "not
 *	present", generic code
 *			sees a present leaf; its other bits mean what they always do
 *	soft		both clear, bit 1 set, payload in bits 11-63
 *	bit 9		special: the frame is not counted
 */
#include <asm/layout.h>

#include "lib/types.h"

#define PAGE_SHIFT	12
#define PT_MAX_LEVELS	4
#define PT_LEVELS	4
#define PTE_SOFT_BITS	53
#define PTE_HW_AD	1
#define PTE_BBM		0

#define USER_TOP	0x00007ffffffff000ul
#define DIRECT_MAP_BASE	((uintptr_t)X86_DIRECT_MAP)
#define VMALLOC_BASE	((uintptr_t)X86_VMALLOC)
#define VMALLOC_END	((uintptr_t)X86_VMALLOC_END)
#define VMEMMAP_BASE	((uintptr_t)X86_VMEMMAP)
#define KERNEL_BASE	((uintptr_t)X86_IMAGE + X86_LOAD_ADDR)
#define MAX_PFN		((1ull << 32) - 1)	/* as many as the descriptors have room for */

#define _PTE_P		(1ull << 0)
#define _PTE_W		(1ull << 1)
#define _PTE_U		(1ull << 2)
#define _PTE_PWT	(1ull << 3)
#define _PTE_PCD	(1ull << 4)
#define _PTE_A		(1ull << 5)
#define _PTE_D		(1ull << 6)
#define _PTE_PS		(1ull << 7)
#define _PTE_G		(1ull << 8)
#define _PTE_SPECIAL	(1ull << 9)
#define _PTE_PROTNONE	(1ull << 10)
#define _PTE_NX		(1ull << 63)
#define _PTE_PFN	0x000ffffffffff000ull
#define _PTE_SOFT	_PTE_W
#define _PTE_SOFT_SHIFT	11

#define _PTE_YOUNG	_PTE_A
#define _PTE_PFN_SHIFT	PAGE_SHIFT
#include <arch/pte_common.h>

extern bool x86_has_gbpages;

static inline unsigned pt_bits(int level)
{
	return 9;
}

static inline bool pt_leaf_ok(int level)
{
	return level <= 1 || (level == 2 && x86_has_gbpages);
}

static inline pgprot_t pgprot_make(unsigned prot)
{
	u64 v = prot & (PROT_R | PROT_W | PROT_X) ? _PTE_P : _PTE_PROTNONE;

	if (prot & PROT_W)
		v |= _PTE_W;
	if (!(prot & PROT_X))
		v |= _PTE_NX;
	if (prot & PROT_U)
		v |= _PTE_U;
	if (prot & PROT_G)
		v |= _PTE_G;
	if (prot & PROT_DEV)
		v |= _PTE_PCD | _PTE_PWT;
	return (pgprot_t){ v };
}

static inline pte_t pte_make(u64 pfn, pgprot_t prot)
{
	return (pte_t){ pfn << PAGE_SHIFT | prot.v | _PTE_A };
}

static inline pte_t pte_make_leaf(u64 pfn, pgprot_t prot, int level)
{
	return (pte_t){ pfn << PAGE_SHIFT | prot.v | _PTE_A | (level ? _PTE_PS : 0) };
}

/* Permissions are the leaf's business alone. */
static inline pte_t pte_make_table(u64 pfn)
{
	return (pte_t){ pfn << PAGE_SHIFT | _PTE_P | _PTE_W | _PTE_U | _PTE_A };
}

static inline bool pte_present(pte_t p)
{
	return (p.v & (_PTE_P | _PTE_PROTNONE)) != 0;
}

static inline bool pte_leaf(pte_t p)
{
	return pte_present(p) && (p.v & _PTE_PS);
}

static inline bool pte_table(pte_t p)
{
	return (p.v & (_PTE_P | _PTE_PS)) == _PTE_P;
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
	return !(p.v & _PTE_NX);
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
	return (pte_t){ p.v | _PTE_W };
}

static inline pte_t pte_wrprotect(pte_t p)
{
	return (pte_t){ p.v & ~_PTE_W };
}

static inline pte_t pte_modify(pte_t p, pgprot_t prot)
{
	return (pte_t){ (p.v & (_PTE_PFN | _PTE_A | _PTE_D | _PTE_PS | _PTE_SPECIAL)) | prot.v };
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
	return (pte_t){ __atomic_exchange_n(&p->v, v.v, __ATOMIC_SEQ_CST) };
}

static inline bool pte_cas(pte_t *p, pte_t old, pte_t new)
{
	return __atomic_compare_exchange_n(&p->v, &old.v, new.v, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* The walker reads memory in program order with our stores and never remembers "not present". */
static inline void pte_publish(void)
{
	barrier();
}
