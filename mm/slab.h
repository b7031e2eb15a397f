#pragma once
/*
 * Slab caches: objects of one size, per-CPU magazines in front of slabs of one or more pages. Objects are freed to any
 * CPU's magazine. A constructed object keeps its constructed state while free.
 */
#include "lib/types.h"
#include "mm/palloc.h"

struct kmem_cache;

/**
 * align 0: natural (power of two up to 64). ctor may be NULL; with a ctor, GFP_ZERO is refused. Panics at boot if there
 * is no memory.
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, void (*ctor)(void *));
/** All objects must be free. */
void kmem_cache_destroy(struct kmem_cache *c);
void *kmem_cache_alloc(struct kmem_cache *c, unsigned gfp);	/* NULL if there is no memory */
void kmem_cache_free(struct kmem_cache *c, void *obj);		/* NULL is allowed */

/** General memory; natural alignment for powers of two, at least 16. Up to 4 MiB. */
void *kmalloc(size_t size, unsigned gfp);
static inline void *kzalloc(size_t size, unsigned gfp)
{
	return kmalloc(size, gfp | GFP_ZERO);
}
/** Overflow-checked array, zeroed. */
void *kcalloc(size_t n, size_t size, unsigned gfp);
void kfree(const void *p);	/* NULL is allowed; any context */
char *kstrdup(const char *s, unsigned gfp);

/** Objects in use, over all caches or of one: what tests balance. Exact when nobody allocates. */
u64 slab_objects_total(void);
u64 slab_objects(struct kmem_cache *c);
u64 slab_pages_total(void);
/** Empty magazines and give empty slabs back. Sleeps. */
void slab_drain(void);
struct seq;
void slab_show(struct seq *m);		/* /proc/slabinfo */
void slab_check(void);
/* Boot. */
void slab_init(void);		/* after palloc_init() */
void kmalloc_init(void);	/* by slab_init() */
u64 kmalloc_large_objects(void);
