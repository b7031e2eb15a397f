#pragma once
/*
 * Taking mappings out: the walk that unhooks entries and tables into a gather.
 */
#include "mm/gather.h"

/**
 * zap_range() - unhook every entry in [start, end) of the gather's mm; pages whose last reference goes are gathered.
 * Holes and missing tables are skipped. Needs mmap_lock (shared is enough for MADV_DONTNEED, exclusive for unmapping),
 * or a dying mm. Flushes when the gather is full, so it may sleep. RSS counters are updated once per table.
 */
void zap_range(struct mmu_gather *g, uintptr_t start, uintptr_t end);

/**
 * free_tables() - unhook the tables that became empty because [start, end) was unmapped: those that map nothing outside
 * [floor, ceiling), the end of the vma before and the start of the vma after (0 and USER_TOP at the edges). mmap_lock
 * exclusive, or a dying mm.
 */
void free_tables(struct mmu_gather *g, uintptr_t start, uintptr_t end, uintptr_t floor, uintptr_t ceiling);

/**
 * vm.free_async=zap: unhook and free most of a dying mm with the help of other CPUs. False: nothing was done, because
 * that would not pay, or memory is short. Sleeps.
 */
bool zap_parallel(struct mm *mm);
extern unsigned zap_helper_pages;		/* for tests */
/* gather_async.c */
unsigned free_async_policy(void);
struct workqueue *free_workqueue(void);		/* NULL early at boot */
