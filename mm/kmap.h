#pragma once
/*
 * The kernel's own address space: final tables at boot, device mappings, kernel stacks with guard pages.
 */
#include "lib/types.h"

/**
 * Build the final kernel tables from boot_info (direct map, descriptors, image with its protections) and load them.
 * Boot CPU, once.
 */
void kmap_init(void);
/** From now on tables come from the page allocator. */
void kmap_palloc_ready(void);
/** Map device registers; never unmapped. Works at boot as soon as kmap_init has run. Panics without memory at boot. */
void *ioremap(u64 pa, size_t size);
/** A kernel stack of KSTACK_SIZE with an unmapped guard page below; NULL without memory. Sleeps. */
void *kstack_alloc(int node);
/** Any context with interrupts on. */
void kstack_free(void *stack);
/** Unmap stacks that are cached for reuse and give their pages back (tests, memory shortage). Sleeps. */
void kstack_drain(void);
bool kstack_guard_hit(uintptr_t addr);	/* is addr in a guard page? For the panic message */
u64 kstack_count(void);
/** First physical address of the kernel root table. */
u64 kernel_root_phys(void);
