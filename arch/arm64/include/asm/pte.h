#pragma once
/*
 * Page-table entries of arm64: four levels of 512 entries, 48 bits. User space is in the tables of TTBR0_EL1, the
 * kernel in those of TTBR1_EL1.
 *
 *	valid		bit 0; bit 1 tells a table (or a page, at level 0) from a block
 *	no access	bit 0 clear, bit 2 set: a leaf that nobody may use (PROT_NONE); its other bits mean what they
 *			always do. (Bit 2 of a valid leaf is part of its memory type.)
 *	soft		bits 0 and 2 clear, bit 3 set, payload in bits 4-63
 *	bit 55		dirty, as far as software knows
 *	bit 56		special: the frame is not counted
 *	bit 51		writable (DBM)
 *	bit 7		read-only for now
 *
 * Dirty: a writable leaf that is clean is read-only for now. A CPU with hardware dirty state (FEAT_HAFDBS 2) makes it
 * writable itself at the first store, which is what bit 51 means to it; on another CPU, which ignores bit 51, the store
 * faults, and generic code does the same (pte_mkdirty). So a leaf is dirty if bit 55 is set, or if it is writable and
 * not read-only. Accessed: bit 10, set by CPUs with FEAT_HAFDBS, else by generic code after a fault. CPUs of both kinds
 * may run together; PTE_HW_AD tells what the boot CPU does.
 */
#include "lib/atomic.h"
#include "lib/types.h"

#define PAGE_SHIFT    12
#define PT_MAX_LEVELS 4
#define PT_LEVELS     4
#define PTE_SOFT_BITS 60
#define PTE_HW_AD     a64_hw_ad
#define PTE_BBM	      1

#define USER_TOP	((1ul << 48) - (1ul << PAGE_SHIFT))
#define DIRECT_MAP_BASE 0xffff800000000000ul
#define VMEMMAP_BASE	0xffffd00000000000ul
#define VMALLOC_BASE	0xffffe00000000000ul
#define VMALLOC_END	0xffffe08000000000ul
#define KERNEL_BASE	0xffffffff80000000ul
#define MAX_PFN		((1ull << 32) - 1)

#define _PTE_VALID	(1ull << 0)
#define _PTE_PAGE	(1ull << 1) /* page or table, not block */
#define _PTE_NOACCESS	(1ull << 2) /* with VALID: memory type, device */
#define _PTE_DEVICE	(1ull << 2)
#define _PTE_SOFT	(1ull << 3)
#define _PTE_SOFT_SHIFT 4
#define _PTE_USER	(1ull << 6)
#define _PTE_RDONLY	(1ull << 7)
#define _PTE_SHARED	(3ull << 8) /* inner-shareable */
#define _PTE_AF		(1ull << 10)
#define _PTE_NG		(1ull << 11) /* this ASID only */
#define _PTE_WRITE	(1ull << 51)
#define _PTE_PXN	(1ull << 53)
#define _PTE_UXN	(1ull << 54)
#define _PTE_DIRTY	(1ull << 55)
#define _PTE_SPECIAL	(1ull << 56)
#define _PTE_PFN	0x0000fffffffff000ull

extern bool a64_hw_ad; /* constant from before the first user address space on */

#define _PTE_YOUNG	_PTE_AF
#define _PTE_PFN_SHIFT	PAGE_SHIFT
#include <arch/pte_common.h>

static inline unsigned pt_bits(int level)
{
	return 9;
}

static inline bool pt_leaf_ok(int level)
{
	return level <= 2;
}

/*
 * No leaf is executable for the kernel and accessible to user space. Kernel mappings are young and dirty from the
 * start: nobody could handle a fault for it there.
 */
static inline pgprot_t pgprot_make(unsigned prot)
{
	u64 v = _PTE_SHARED | _PTE_PXN | _PTE_UXN;

	if (!(prot & (PROT_R | PROT_W | PROT_X)))
		return (pgprot_t){ v | _PTE_NOACCESS | _PTE_RDONLY | _PTE_NG };
	v |= _PTE_VALID;
	if (prot & PROT_U)
		v |= _PTE_USER;
	if (prot & PROT_X)
		v &= ~(prot & PROT_U ? _PTE_UXN : _PTE_PXN);
	if (!(prot & PROT_W))
		v |= _PTE_RDONLY;
	else if (prot & PROT_U)
		v |= _PTE_WRITE | _PTE_RDONLY;
	else
		v |= _PTE_WRITE | _PTE_DIRTY;
	if (!(prot & PROT_G))
		v |= _PTE_NG;
	if (prot & PROT_DEV)
		v |= _PTE_DEVICE;
	return (pgprot_t){ v };
}

static inline pte_t pte_make(u64 pfn, pgprot_t prot)
{
	return (pte_t){ pfn << PAGE_SHIFT | prot.v | _PTE_AF | _PTE_PAGE };
}

static inline pte_t pte_make_leaf(u64 pfn, pgprot_t prot, int level)
{
	return (pte_t){ pfn << PAGE_SHIFT | prot.v | _PTE_AF | (level ? 0 : _PTE_PAGE) };
}

static inline pte_t pte_make_table(u64 pfn)
{
	return (pte_t){ pfn << PAGE_SHIFT | _PTE_VALID | _PTE_PAGE };
}

static inline bool pte_present(pte_t p)
{
	return (p.v & (_PTE_VALID | _PTE_NOACCESS)) != 0;
}

static inline bool pte_table(pte_t p)
{
	return (p.v & (_PTE_VALID | _PTE_PAGE)) == (_PTE_VALID | _PTE_PAGE);
}

static inline bool pte_leaf(pte_t p)
{
	return pte_present(p) && !pte_table(p);
}

static inline bool pte_dirty(pte_t p)
{
	return p.v & _PTE_DIRTY || (p.v & (_PTE_WRITE | _PTE_RDONLY)) == _PTE_WRITE;
}

static inline bool pte_write(pte_t p)
{
	return p.v & _PTE_WRITE;
}

static inline bool pte_user(pte_t p)
{
	return p.v & _PTE_USER;
}

static inline bool pte_exec(pte_t p)
{
	return !(p.v & (pte_user(p) ? _PTE_UXN : _PTE_PXN));
}

static inline pte_t pte_mkclean(pte_t p)
{
	return (pte_t){ (p.v & ~_PTE_DIRTY) | _PTE_RDONLY };
}

/* Dirty and writable: the hardware need not ask any more. */
static inline pte_t pte_mkdirty(pte_t p)
{
	return (pte_t){ (p.v & _PTE_WRITE ? p.v & ~_PTE_RDONLY : p.v) | _PTE_DIRTY };
}

static inline pte_t pte_mkwrite(pte_t p)
{
	return (pte_t){ (p.v & _PTE_DIRTY ? p.v & ~_PTE_RDONLY : p.v) | _PTE_WRITE };
}

/* What the hardware has noted as dirty becomes so in software. */
static inline pte_t pte_wrprotect(pte_t p)
{
	return (pte_t){ (p.v & ~_PTE_WRITE) | _PTE_RDONLY | (pte_dirty(p) ? _PTE_DIRTY : 0) };
}

static inline pte_t pte_modify(pte_t p, pgprot_t prot)
{
	pte_t new = { (p.v & (_PTE_PFN | _PTE_PAGE | _PTE_AF | _PTE_SPECIAL)) | prot.v };

	return pte_dirty(p) ? pte_mkdirty(new) : new;
}

static inline pte_t pte_load(const pte_t *p)
{
	return (pte_t){ READ_ONCE(p->v) };
}

static inline void pte_store(pte_t *p, pte_t v)
{
	WRITE_ONCE(p->v, v.v);
}

/* Walkers set bits 7 and 10 by atomic updates that take part in the exclusive monitors. */
static inline pte_t pte_xchg(pte_t *p, pte_t v)
{
	return (pte_t){ xchg(&p->v, v.v) };
}

static inline bool pte_cas(pte_t *p, pte_t old, pte_t new)
{
	return try_cmpxchg(&p->v, &old.v, new.v);
}

/*
 * The walker is an observer of its own: only dsb makes stores seen by its later reads, and the isb drops translations
 * that were tried ahead. Invalid entries are not remembered, so nothing has to be invalidated.
 */
static inline void pte_publish(void)
{
	__asm__ volatile("dsb ishst\n\tisb" : : : "memory");
}
