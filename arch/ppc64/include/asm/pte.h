#pragma once
/*
 * Page-table entries of ppc64: POWER9's radix trees of 52-bit addresses, 4 KiB pages. The root has 8,192 entries (64
 * KiB), tables below it 512. Entries are big-endian in memory, whatever the kernel is; a pte_t in a variable is in the
 * machine's own order.
 *
 *	leaf		bit 62. Bit 63 (valid): young. A leaf with no permission at all is nobody's (PROT_NONE)
 *	table		bit 63 without bit 62
 *	rights		one field: 8 privileged, 4 read, 2 read and write, 1 execute
 *	0x100, 0x80	referenced, always set; changed: dirty
 *	0x400, 0x200	software: writable; special, the frame is not counted
 *	soft		neither bit 63 nor 62, bit 0 set, payload in bits 1-61
 *
 * Accessed and dirty: POWER9 does not set "referenced" and "changed" but takes an interrupt where they are missing.
 * QEMU before 8.2 sets them, by a load and a store that other CPUs' changes can come between. So the hardware is never
 * shown an entry where one is missing: an old leaf is not valid, a clean one has no right to write, and generic code
 * answers the fault.
 *
 * The kernel lives in quadrant 3 (0xc00...), which is always translated by the tree of PID 0; user addresses, in
 * quadrant 0, by that of the PID in PIDR. So a user root has nothing of the kernel.
 */
#include "lib/atomic.h"
#include "lib/byteorder.h"
#include "lib/types.h"

#define PAGE_SHIFT    12
#define PT_MAX_LEVELS 4
#define PT_LEVELS     4
#define PTE_SOFT_BITS 61
#define PTE_HW_AD     0
#define PTE_BBM	      0

#define USER_TOP	((1ul << 47) - 4096)
#define DIRECT_MAP_BASE 0xc000000000000000ul /* real mode ignores the top four bits */
#define VMEMMAP_BASE	0xc001000000000000ul /* 16 bits and zeros: made by two instructions, not three */
#define VMALLOC_BASE	0xc000500000000000ul
#define VMALLOC_END	0xc000508000000000ul
#define KERNEL_BASE	0xc000600000000000ul /* the upper 16 bits are the direct map's: mm/page.h relies on it */
#define MAX_PFN		((1ull << 32) - 1)

#define _PTE_VALID	(1ull << 63)
#define _PTE_LEAF	(1ull << 62)
#define _PTE_PFN	0x01fffffffffff000ull
#define _PTE_WRITE	0x400ull /* the hardware may not know yet: _PTE_RW */
#define _PTE_SPECIAL	0x200ull
#define _PTE_R		0x100ull
#define _PTE_C		0x80ull
#define _PTE_IO		0x20ull /* not cached, guarded: registers */
#define _PTE_PRIV	0x8ull
#define _PTE_READ	0x4ull
#define _PTE_RW		0x2ull
#define _PTE_EXEC	0x1ull
#define _PTE_PROT	(_PTE_WRITE | _PTE_IO | _PTE_PRIV | _PTE_READ | _PTE_RW | _PTE_EXEC)
#define _PTE_TABLE_BITS 9ull /* of the table that the entry points to */
#define _PTE_SOFT	1ull
#define _PTE_SOFT_SHIFT 1

#define _PTE_YOUNG     _PTE_VALID
#define _PTE_PFN_SHIFT PAGE_SHIFT
#include <arch/pte_common.h>

static inline unsigned pt_bits(int level)
{
	return level == 3 ? 13 : 9;
}

static inline bool pt_leaf_ok(int level)
{
	return level <= 2;
}

/* Writable for the hardware as well, if it is dirty: RW is WRITE and C, by where the bits are, without a branch. */
static inline u64 _pte_rw(u64 v)
{
	static_assert(_PTE_WRITE >> 3 == _PTE_C && _PTE_C >> 6 == _PTE_RW, "_pte_rw");
	return (v & ~_PTE_RW) | ((v & v >> 3) >> 6 & _PTE_RW);
}

/* Kernel mappings are young and dirty from the start: nobody could handle a fault for it there. */
static inline pgprot_t pgprot_make(unsigned prot)
{
	u64 v = _PTE_VALID | _PTE_LEAF | _PTE_R;

	if (prot & (PROT_R | PROT_W))
		v |= _PTE_READ;
	if (prot & PROT_W)
		v |= _PTE_WRITE;
	if (prot & PROT_X)
		v |= _PTE_EXEC;
	if (!(prot & PROT_U))
		v |= _PTE_PRIV | (prot & (PROT_R | PROT_W | PROT_X) ? _PTE_C : 0);
	if (prot & PROT_DEV)
		v |= _PTE_IO;
	return (pgprot_t){ _pte_rw(v) };
}

static inline pte_t pte_make(u64 pfn, pgprot_t prot)
{
	return (pte_t){ pfn << PAGE_SHIFT | prot.v };
}

static inline pte_t pte_make_leaf(u64 pfn, pgprot_t prot, int level)
{
	return pte_make(pfn, prot);
}

static inline pte_t pte_make_table(u64 pfn)
{
	return (pte_t){ _PTE_VALID | pfn << PAGE_SHIFT | _PTE_TABLE_BITS };
}

/* Bit by bit: the compiler would make a constant of both, in two instructions at each place, to compare with. */
static inline bool pte_present(pte_t p)
{
	return likely(p.v & _PTE_LEAF) || (s64)p.v < 0;
}

static inline bool pte_leaf(pte_t p)
{
	return (p.v & _PTE_LEAF) != 0;
}

static inline bool pte_table(pte_t p)
{
	return (p.v & (_PTE_VALID | _PTE_LEAF)) == _PTE_VALID;
}

static inline bool pte_dirty(pte_t p)
{
	return p.v & _PTE_C;
}

static inline bool pte_write(pte_t p)
{
	return p.v & _PTE_WRITE;
}

static inline bool pte_exec(pte_t p)
{
	return p.v & _PTE_EXEC;
}

static inline bool pte_user(pte_t p)
{
	return !(p.v & _PTE_PRIV);
}

static inline pte_t pte_mkclean(pte_t p)
{
	return (pte_t){ p.v & ~(_PTE_C | _PTE_RW) };
}

static inline pte_t pte_mkdirty(pte_t p)
{
	return (pte_t){ _pte_rw(p.v | _PTE_C) };
}

static inline pte_t pte_mkwrite(pte_t p)
{
	return (pte_t){ _pte_rw(p.v | _PTE_READ | _PTE_WRITE) };
}

static inline pte_t pte_wrprotect(pte_t p)
{
	return (pte_t){ p.v & ~(_PTE_WRITE | _PTE_RW) };
}

static inline pte_t pte_modify(pte_t p, pgprot_t prot)
{
	return (pte_t){ _pte_rw((p.v & ~_PTE_PROT) | (prot.v & ~_PTE_VALID)) };
}

static inline pte_t pte_load(const pte_t *p)
{
	u64 v;

	__asm__ volatile("ldbrx %0, %y1" : "=r"(v) : "Z"(p->v));
	return (pte_t){ v };
}

static inline void pte_store(pte_t *p, pte_t v)
{
	__asm__ volatile("stdbrx %1, %y0" : "=Z"(p->v) : "r"(v.v));
}

/*
 * Between memory's order and ours, where the instruction that accesses the entry can not do it: a store and a load are
 * a third of the instructions that POWER9 takes in registers.
 */
static inline u64 _pte_swap(u64 v)
{
	u64 swapped;

	__asm__("stdbrx %1, %y0" : "=Z"(swapped) : "r"(v));
	return swapped;
}

static inline pte_t pte_xchg(pte_t *p, pte_t v)
{
	return (pte_t){ be64_to_cpu(xchg(&p->v, cpu_to_be64(v.v))) };
}

static inline bool pte_cas(pte_t *p, pte_t old, pte_t new)
{
	u64 seen = _pte_swap(old.v);

	return try_cmpxchg(&p->v, &seen, _pte_swap(new.v));
}

/* Orders the stores before what the walker reads for later accesses; "not there" is never remembered. */
static inline void pte_publish(void)
{
	__asm__ volatile("ptesync" : : : "memory");
}
