/*
 * Life and death of an address space.
 */
#include "mm/mm.h"
#include "mm/palloc.h"

#include "kernel/fsapi.h"
#include "kernel/lazy_tlb.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/fault.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "mm/zap.h"

static struct kmem_cache *mm_cache;

struct mm init_mm = {
	.users = { 1 },
	.count = { 1 },
	.page_table_lock = SPINLOCK_INIT(RANK_PT_UPPER),
};

struct mm *mm_create(void)
{
	struct mm *mm = kmem_cache_alloc(mm_cache, GFP_KERNEL | GFP_ZERO);

	if (!mm)
		return NULL;
	mm->root = pt_alloc_root();
	if (!mm->root) {
		kmem_cache_free(mm_cache, mm);
		return NULL;
	}
	atomic_set(&mm->users, 1);
	atomic_set(&mm->count, 1);
	rwsem_init(&mm->mmap_lock, RANK_MMAP);
	spin_lock_init(&mm->page_table_lock, RANK_PT_UPPER);
	mm->vmas = RB_ROOT;
	mm->dumpable = 1;
	arch_mm_init(mm);
	return mm;
}

bool mmget_not_zero(struct mm *mm)
{
	return atomic_inc_not_zero(&mm->users);
}

void mmdrop(struct mm *mm)
{
	if (!atomic_dec_and_test(&mm->count))
		return;
	ASSERT(mm != &init_mm && !atomic_read(&mm->users), "mm freed with %d users", atomic_read(&mm->users));
	if (lazy_tlb_release(mm))
		mm_free(mm);
}

void mm_free(struct mm *mm)
{
	arch_mm_destroy(mm);
	pt_free_root(mm->root);
	kmem_cache_free(mm_cache, mm);
}

/* Nobody uses the address space any more: unmap everything, vma by vma, in one gather. */
static void exit_mmap(struct mm *mm)
{
	/* What it leaves is a few tables, or all if it could not. */
	bool parallel = free_async_policy() == FREE_ZAP && zap_parallel(mm);
	struct mmu_gather g;

	gather_begin(&g, mm, true);
	g.bulk = parallel;
	for (struct vma *vma = vma_first(mm), *next; vma; vma = next) {
		next = vma_next(vma);
		zap_range(&g, vma->start, vma->end);
		free_tables(&g, vma->start, vma->end, 0, next ? next->start : USER_TOP);
		cond_resched();		/* there may be many that map nothing */
	}
	gather_end(&g);
	vma_free_all(mm);
	DEBUG_ASSERT(!atomic64_read(&mm->rss_anon) && !atomic64_read(&mm->rss_file) && !atomic64_read(&mm->table_bytes),
		     "dead mm: anon %lld file %lld table bytes %lld", (long long)atomic64_read(&mm->rss_anon),
		     (long long)atomic64_read(&mm->rss_file), (long long)atomic64_read(&mm->table_bytes));
}

void mmput(struct mm *mm)
{
	if (!atomic_dec_and_test(&mm->users))
		return;
	exit_mmap(mm);
	if (mm->exe_file)
		fput(mm->exe_file);
	mmdrop(mm);
}

void mm_init(void)
{
	mm_cache = kmem_cache_create("mm", sizeof(struct mm), 0, NULL);
	rwsem_init(&init_mm.mmap_lock, RANK_MMAP);
	init_mm.vmas = RB_ROOT;
	lazy_tlb_init();
	vma_init();
	zero_page_init();
}
