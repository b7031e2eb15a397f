#pragma once
/* Memory before the page allocator: what mm/kmap.c and mm/palloc.c ask of kernel/bootinfo.c. Boot CPU only. */
#include "lib/types.h"

/** Next range of RAM at or after *pos that is not reserved; advances *pos. False at the end. */
bool boot_next_free(u64 *pos, u64 *base, u64 *end, int *node);
/** Is this physical address RAM and not reserved? */
bool boot_is_free(u64 pa);
/** Not zeroed, from the top of RAM, aligned to `align` if possible, to min_align at least. Panics if there is none. */
u64 boot_alloc_high(u64 size, u64 align, u64 min_align);
/** No early_alloc any more. */
void early_close(void);
