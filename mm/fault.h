#pragma once
/* What the fault code offers beyond handle_mm_fault (mm/mm.h). */
#include "mm/page.h"

void zero_page_init(void);
/** Drop the mapping and the reference of a page that was prepared for an entry but never entered. Any context. */
void put_page_mapped(struct page *p);
/** The current task can not have the memory it needs: it is killed. */
void out_of_memory(void);
