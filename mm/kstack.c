/*
 * Kernel stacks: a slot is 2 * KSTACK_SIZE of vmalloc space, the lower half never mapped (guard), the upper half the
 * stack. Stacks that are given back stay mapped in a cache, since fork and exit come often; kstack_drain() empties it.
 *
 * Locks: k kstack_lock (interrupts off)
 */
#include <arch/thread.h>

#include "kernel/mutex.h"
#include "kernel/spinlock.h"
#include "lib/bitmap.h"
#include "mm/kmap.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/tlb.h"

#define SLOT_SIZE	(2ul * KSTACK_SIZE)
#define MAX_SLOTS	65536u
#define CACHE_MAX	256u

static spinlock_t kstack_lock = SPINLOCK_INIT(RANK_KSTACK);
static struct mutex map_mutex = MUTEX_INIT(map_mutex, RANK_KERNEL_MUTEX);	/* kernel_map of new slots */
static unsigned long used_slots[MAX_SLOTS / 64];	/* k */
/* k. no slot below is free: the lowest is taken, so that few tables are needed */
static unsigned next_slot;
static u64 mapped;					/* k. slots with memory */
static void *cache[CACHE_MAX];				/* k */
static unsigned nr_cached;				/* k */

static inline uintptr_t slot_stack(unsigned slot)
{
	return VMALLOC_BASE + slot * SLOT_SIZE + KSTACK_SIZE;
}

static void unmap_stack(void *stack)
{
	u64 pa[KSTACK_SIZE / PAGE_SIZE];
	uintptr_t va = (uintptr_t)stack;
	unsigned long flags;
	unsigned slot;

	for (unsigned i = 0; i < KSTACK_SIZE / PAGE_SIZE; i++) {
		pte_t *e = pt_lookup(&init_mm, va + i * PAGE_SIZE);

		pa[i] = e ? pte_pfn(pte_load(e)) : 0;
	}
	kernel_unmap(va, KSTACK_SIZE);
	for (unsigned i = 0; i < KSTACK_SIZE / PAGE_SIZE; i++)
		free_page(pfn_to_page(pa[i]));
	flags = spin_lock_irqsave(&kstack_lock);
	slot = (unsigned)((va - VMALLOC_BASE) / SLOT_SIZE);
	__clear_bit(slot, used_slots);
	next_slot = min(next_slot, slot);
	mapped--;
	spin_unlock_irqrestore(&kstack_lock, flags);
}

static bool map_stack(uintptr_t va, int node)
{
	for (unsigned i = 0; i < KSTACK_SIZE / PAGE_SIZE; i++) {
		struct page *p = alloc_pages_node(node, 0, GFP_KERNEL);

		if (p && !kernel_map(va + i * PAGE_SIZE, page_to_pfn(p) << PAGE_SHIFT, PAGE_SIZE, PROT_R | PROT_W,
				     GFP_KERNEL))
			continue;
		if (p)
			free_page(p);
		while (i-- > 0) {
			struct page *q = pfn_to_page(pte_pfn(pte_load(pt_lookup(&init_mm, va + i * PAGE_SIZE))));

			kernel_unmap(va + i * PAGE_SIZE, PAGE_SIZE);
			free_page(q);
		}
		return false;
	}
	return true;
}

void *kstack_alloc(int node)
{
	unsigned long flags = spin_lock_irqsave(&kstack_lock);
	unsigned slot;
	bool ok;

	if (nr_cached) {
		void *stack = cache[--nr_cached];

		spin_unlock_irqrestore(&kstack_lock, flags);
		return stack;
	}
	slot = (unsigned)find_next_zero_bit(used_slots, MAX_SLOTS, next_slot);
	if (slot >= MAX_SLOTS || slot_stack(slot) + KSTACK_SIZE > VMALLOC_BASE + (VMALLOC_END - VMALLOC_BASE) / 2) {
		spin_unlock_irqrestore(&kstack_lock, flags);
		return NULL;
	}
	__set_bit(slot, used_slots);
	next_slot = slot + 1;
	mapped++;
	spin_unlock_irqrestore(&kstack_lock, flags);

	mutex_lock(&map_mutex);
	ok = map_stack(slot_stack(slot), node);
	mutex_unlock(&map_mutex);
	if (ok)
		return (void *)slot_stack(slot);
	flags = spin_lock_irqsave(&kstack_lock);
	__clear_bit(slot, used_slots);
	next_slot = min(next_slot, slot);
	mapped--;
	spin_unlock_irqrestore(&kstack_lock, flags);
	return NULL;
}

void kstack_free(void *stack)
{
	unsigned long flags = spin_lock_irqsave(&kstack_lock);

	if (nr_cached < CACHE_MAX) {
		cache[nr_cached++] = stack;
		stack = NULL;
	}
	spin_unlock_irqrestore(&kstack_lock, flags);
	if (stack)
		unmap_stack(stack);
}

void kstack_drain(void)
{
	for (;;) {
		unsigned long flags = spin_lock_irqsave(&kstack_lock);
		void *stack = nr_cached ? cache[--nr_cached] : NULL;

		spin_unlock_irqrestore(&kstack_lock, flags);
		if (!stack)
			return;
		unmap_stack(stack);
	}
}

bool kstack_guard_hit(uintptr_t addr)
{
	return addr >= VMALLOC_BASE && addr < VMALLOC_BASE + MAX_SLOTS * SLOT_SIZE &&
	       (addr - VMALLOC_BASE) % SLOT_SIZE < KSTACK_SIZE;
}

u64 kstack_count(void)
{
	return mapped - nr_cached;
}
