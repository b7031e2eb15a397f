#pragma once
/*
 * The naive model of address spaces: for each page of a window its mapping and one word of its contents. No trees, no
 * sharing tricks, no laziness: what an mmap programmer believes.
 */
#include "lib/types.h"
#include "tests/host/mm/test.h"

#define WINDOW_PAGES	1536u
#define WINDOW		(0x80000000ul - WINDOW_PAGES / 2 * PAGE_SIZE)	/* over a boundary of every level */
#define WINDOW_END	(WINDOW + WINDOW_PAGES * PAGE_SIZE)
#define OBJ_PAGES	700u

/* What is mapped shared, or privately from a file. */
struct obj {
	u64 val[OBJ_PAGES];
	u64 pages;		/* size */
	struct file *file;	/* NULL: shared anonymous memory */
};

struct mpage {
	bool mapped, shared, own;	/* own: a private page that has its own contents */
	bool wipe, dontfork;
	u8 prot;
	struct obj *obj;		/* NULL: private anonymous */
	u64 off;			/* in obj */
	u64 val;
};

struct proc {
	struct mm *mm;
	unsigned tasks;
	struct mpage page[WINDOW_PAGES];
};

static inline uintptr_t page_va(unsigned i)
{
	return WINDOW + i * PAGE_SIZE;
}

static inline unsigned page_index(uintptr_t va)
{
	return (unsigned)((va - WINDOW) >> PAGE_SHIFT);
}

/* The page's word is at a place that depends on its address modulo nothing that mremap changes: always the same. */
#define WORD_OFFSET	0x2a8u
#define EMPTY_OFFSET	0xd58u		/* never written: always zero */

/** What a read or write of the page must give: 0 and *val (for reads), or -errno. A write takes effect in the model. */
int model_read(const struct mpage *p, u64 *val);
int model_write(struct mpage *p, u64 val);
