#pragma once
/*
 * The host port's page-table entries: one 64-bit word, kept simple to read in a dump.
 *
 *     63                12 11   10    9   8       7 6 5 4 3 2 1 0
 *     +-------------------+----+----+---+-------+-+-+-+-+-+-+-+-+
 *     | frame or payload  |soft|leaf|dev|special|D|A|G|U|X|W|R|P|
 *     +-------------------+----+----+---+-------+-+-+-+-+-+-+-+-+
 *
 * What kind of MMU it is, is chosen when the test starts: host_mmu. W is what generic code asked for; if the MMU does
 * not set accessed and dirty itself, a store is let through only if D is set too, and any access only if A is.
 *
 * Entries are read with acquire and written with release: ThreadSanitizer does not know the address dependency that
 * orders the MMU's (and every lockless walker's) read of a table after the read of the entry that points to it.
 */
#include "lib/types.h"

#define PAGE_SHIFT	12
#define PT_MAX_LEVELS	4
#define PTE_SOFT_BITS	52

struct host_mmu {
	int levels;		/* 3 or 4 */
	bool hw_ad;		/* sets accessed and dirty by itself */
	bool bbm;		/* break-before-make is needed */
	bool asid;		/* translations outlive a switch */
	bool negative;		/* may remember "not present" until a local flush */
};

extern struct host_mmu host_mmu;
extern uintptr_t host_direct_map, host_vmemmap;

typedef struct {
	u64 v;
} pte_t;
typedef struct {
	u64 v;
} pgprot_t;

#define PT_LEVELS		(host_mmu.levels)
#define pt_bits(level)		9u
#define pt_shift(level)		(PAGE_SHIFT + 9 * (level))
#define pt_leaf_ok(level)	((level) <= 1)
#define USER_TOP		((1ul << (pt_shift(PT_LEVELS) - 1)) - 4096)
#define DIRECT_MAP_BASE		host_direct_map
#define VMEMMAP_BASE		host_vmemmap
#define MAX_PFN			0xffffful	/* 4 GiB */
#define VMALLOC_BASE		0x600000000000ul	/* never used: the host has no kernel mappings */
#define VMALLOC_END		0x600040000000ul
#define KERNEL_BASE		0x600040000000ul
#define PTE_HW_AD		(host_mmu.hw_ad)
#define PTE_BBM			(host_mmu.bbm)

#define HPTE_P		0x001ull
#define HPTE_R		0x002ull
#define HPTE_W		0x004ull
#define HPTE_X		0x008ull
#define HPTE_U		0x010ull
#define HPTE_G		0x020ull
#define HPTE_A		0x040ull
#define HPTE_D		0x080ull
#define HPTE_SPECIAL	0x100ull
#define HPTE_DEV	0x200ull
#define HPTE_LEAF	0x400ull
#define HPTE_SOFT	0x800ull
#define HPTE_PROT	(HPTE_R | HPTE_W | HPTE_X | HPTE_U | HPTE_G | HPTE_DEV)

static inline pgprot_t pgprot_make(unsigned prot)
{
	u64 v = 0;

	v |= prot & 0x3 ? HPTE_R : 0;
	v |= prot & 0x2 ? HPTE_W : 0;
	v |= prot & 0x4 ? HPTE_X : 0;
	v |= prot & 0x8 ? HPTE_U : 0;
	v |= prot & 0x10 ? HPTE_G : 0;
	v |= prot & 0x20 ? HPTE_DEV : 0;
	return (pgprot_t){ v };
}

static inline pte_t pte_make_leaf(u64 pfn, pgprot_t prot, int level)
{
	return (pte_t){ pfn << 12 | HPTE_P | HPTE_LEAF | HPTE_A | prot.v };
}

static inline pte_t pte_make(u64 pfn, pgprot_t prot)
{
	return pte_make_leaf(pfn, prot, 0);
}

static inline pte_t pte_make_table(u64 pfn)
{
	return (pte_t){ pfn << 12 | HPTE_P };
}

static inline pte_t pte_make_soft(u64 payload)
{
	return (pte_t){ payload << 12 | HPTE_SOFT };
}

static inline bool pte_none(pte_t p)
{
	return !p.v;
}

static inline bool pte_present(pte_t p)
{
	return p.v & HPTE_P;
}

static inline bool pte_leaf(pte_t p)
{
	return (p.v & (HPTE_P | HPTE_LEAF)) == (HPTE_P | HPTE_LEAF);
}

static inline bool pte_table(pte_t p)
{
	return (p.v & (HPTE_P | HPTE_LEAF)) == HPTE_P;
}

static inline bool pte_soft(pte_t p)
{
	return p.v & HPTE_SOFT;
}

static inline bool pte_young(pte_t p)
{
	return p.v & HPTE_A;
}

static inline bool pte_dirty(pte_t p)
{
	return p.v & HPTE_D;
}

static inline bool pte_write(pte_t p)
{
	return p.v & HPTE_W;
}

static inline bool pte_exec(pte_t p)
{
	return p.v & HPTE_X;
}

static inline bool pte_user(pte_t p)
{
	return p.v & HPTE_U;
}

static inline bool pte_special(pte_t p)
{
	return p.v & HPTE_SPECIAL;
}

static inline u64 pte_pfn(pte_t p)
{
	return p.v >> 12;
}

static inline u64 pte_soft_payload(pte_t p)
{
	return p.v >> 12;
}

static inline pte_t pte_mkold(pte_t p)
{
	return (pte_t){ p.v & ~HPTE_A };
}

static inline pte_t pte_mkyoung(pte_t p)
{
	return (pte_t){ p.v | HPTE_A };
}

static inline pte_t pte_mkclean(pte_t p)
{
	return (pte_t){ p.v & ~HPTE_D };
}

static inline pte_t pte_mkdirty(pte_t p)
{
	return (pte_t){ p.v | HPTE_D };
}

static inline pte_t pte_mkwrite(pte_t p)
{
	return (pte_t){ p.v | HPTE_W | HPTE_R };
}

static inline pte_t pte_wrprotect(pte_t p)
{
	return (pte_t){ p.v & ~HPTE_W };
}

static inline pte_t pte_next(pte_t p)
{
	return (pte_t){ p.v + 0x1000 };
}

static inline pte_t pte_mkspecial(pte_t p)
{
	return (pte_t){ p.v | HPTE_SPECIAL };
}

static inline pte_t pte_modify(pte_t p, pgprot_t prot)
{
	return (pte_t){ (p.v & ~HPTE_PROT) | prot.v };
}

static inline pte_t pte_load(const pte_t *p)
{
	return (pte_t){ __atomic_load_n(&p->v, __ATOMIC_ACQUIRE) };
}

/* tests/host/arch/pte.c: each change of an entry is looked at. */
void pte_store(pte_t *p, pte_t new);
pte_t pte_xchg(pte_t *p, pte_t new);
bool pte_cas(pte_t *p, pte_t old, pte_t new);

static inline void pte_clear(pte_t *p)
{
	pte_store(p, (pte_t){ 0 });
}

static inline void pte_publish(void)
{
}
