#pragma once
/* What the two halves of the turns test share. */
#include "tests/host/mm/model.h"

#define NR_FILES 3

extern struct run *turns_run;
extern struct obj turn_files[NR_FILES];
extern u64 next_val;		/* every written value is another one */
extern bool failing;		/* allocations may fail in this operation */

/* Of the task that runs on this CPU. */
struct proc *my_proc(void);
/* May the operation fail for want of memory, and did it? */
bool no_memory(long ret);
/* Access a page of the current task and compare with the model. */
void check_page(unsigned i, bool write);
/* A random range of pages in the window, often at the edge of a table. */
void pick_range(unsigned *i, unsigned *n, unsigned max);

void op_mmap(void);
void op_munmap(void);
void op_mprotect(void);
void op_madvise(void);
void op_mremap(void);
