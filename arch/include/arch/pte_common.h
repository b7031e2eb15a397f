/*
 * A part of <asm/pte.h>, so with no #pragma once: what only names bits, for ports whose entries are one 64-bit word.
 * The port defines PAGE_SHIFT, _PTE_PFN (the frame's bits in their place) and _PTE_PFN_SHIFT, _PTE_YOUNG, _PTE_SPECIAL,
 * _PTE_SOFT, _PTE_SOFT_SHIFT before it includes this.
 */
#include "lib/types.h"

typedef struct {
	u64 v;
} pte_t;

typedef struct {
	u64 v;
} pgprot_t;

static inline bool pte_present(pte_t p);

static inline unsigned pt_shift(int level)
{
	return PAGE_SHIFT + 9 * (unsigned)level;
}

static inline bool pte_none(pte_t p)
{
	return p.v == 0;
}

static inline pte_t pte_make_soft(u64 payload)
{
	return (pte_t){ payload << _PTE_SOFT_SHIFT | _PTE_SOFT };
}

static inline bool pte_soft(pte_t p)
{
	return !pte_present(p) && p.v != 0;
}

static inline u64 pte_soft_payload(pte_t p)
{
	return p.v >> _PTE_SOFT_SHIFT;
}

static inline u64 pte_pfn(pte_t p)
{
	return (p.v & _PTE_PFN) >> _PTE_PFN_SHIFT;
}

static inline pte_t pte_next(pte_t p)
{
	return (pte_t){ p.v + (1ull << _PTE_PFN_SHIFT) };
}

static inline bool pte_young(pte_t p)
{
	return p.v & _PTE_YOUNG;
}

static inline bool pte_special(pte_t p)
{
	return p.v & _PTE_SPECIAL;
}

static inline pte_t pte_mkold(pte_t p)
{
	return (pte_t){ p.v & ~_PTE_YOUNG };
}

static inline pte_t pte_mkyoung(pte_t p)
{
	return (pte_t){ p.v | _PTE_YOUNG };
}

static inline pte_t pte_mkspecial(pte_t p)
{
	return (pte_t){ p.v | _PTE_SPECIAL };
}

static inline void pte_clear(pte_t *p)
{
	WRITE_ONCE(p->v, 0);
}
