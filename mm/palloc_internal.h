#pragma once
/* What the page allocator, mm/kmap.c and boot share. */
#include "mm/page.h"

#define DESC_GRANULE_ORDER 16	/* frames whose descriptors fill 2 MiB */

/** Descriptors of these 2^16 frames are backed by memory (kmap_init). */
void desc_granule_set_present(u64 granule);
/** Has this frame a descriptor that may be read? Its contents may still be uninitialised. */
bool pfn_valid(u64 pfn);
/** Reserved memory that is no longer needed (the initramfs) becomes ordinary memory of its nodes. */
void free_boot_range(u64 base, u64 size);
/** A page of a special type lost its last reference through put_page: its owner is told before it is freed. */
static inline void page_free_hook(struct page *p) {}
