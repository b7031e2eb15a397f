/*
 * General memory: a slab cache per size class, blocks of the page allocator above the largest class. kfree() finds out
 * from the page descriptor: a slab names its cache, a large block its order.
 */
#include "kernel/printk.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

static const u16 class_sizes[] = { 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192 };
#define NR_CLASSES	ARRAY_SIZE(class_sizes)
#define CLASS_256	6
#define CLASS_MAX	8192
#define KMALLOC_MAX	(4ul << 20)

static struct kmem_cache *classes[NR_CLASSES];
static atomic64_t large_objects;
/* Of sizes up to 256, by (size - 1) / 16. */
static const u8 small_class[16] = { 0, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6 };

static struct kmem_cache *kmalloc_cache(size_t size)
{
	if (size <= 256)
		return classes[small_class[(size - (size != 0)) / 16]];
	return classes[CLASS_256 + fls64(size - 1) - 8];
}

static noinline void *kmalloc_large(size_t size, unsigned gfp)
{
	struct page *p;

	if (size > KMALLOC_MAX)
		return NULL;
	p = alloc_pages((unsigned)fls64((size - 1) >> PAGE_SHIFT), gfp | GFP_COMPOUND);
	if (!p)
		return NULL;
	atomic64_inc(&large_objects);
	page_clear_flag(p, PG_ZERO);
	return page_to_virt(p);
}

void *kmalloc(size_t size, unsigned gfp)
{
	if (unlikely(size > CLASS_MAX))
		return kmalloc_large(size, gfp);
	return kmem_cache_alloc(kmalloc_cache(size), gfp);
}

void *kcalloc(size_t n, size_t size, unsigned gfp)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		return NULL;
	return kzalloc(bytes, gfp);
}

void kfree(const void *ptr)
{
	struct page *p;

	if (!ptr)
		return;
	p = virt_to_page(ptr);
	if (page_type(p) == PAGE_TAIL)
		p = pfn_to_page(p->link[0]);
	if (likely(page_type(p) == PAGE_SLAB)) {
		kmem_cache_free(page_owner(p), (void *)(uintptr_t)ptr);
		return;
	}
	ASSERT(page_type(p) == PAGE_KERNEL && page_order(p) > 0 && ptr == page_to_virt(p),
	       "kfree of %p: not from kmalloc, or freed already (page type %u)", ptr, page_type(p));
	atomic64_dec(&large_objects);
	free_pages(p, page_order(p));
}

char *kstrdup(const char *s, unsigned gfp)
{
	size_t n = strlen(s) + 1;
	char *copy = kmalloc(n, gfp);

	if (copy)
		memcpy(copy, s, n);
	return copy;
}

u64 kmalloc_large_objects(void)
{
	return (u64)atomic64_read(&large_objects);
}

void kmalloc_init(void)
{
	static const char *const names[NR_CLASSES] = {
		"kmalloc-16",  "kmalloc-32",  "kmalloc-64", "kmalloc-96", "kmalloc-128", "kmalloc-192",
		"kmalloc-256", "kmalloc-512", "kmalloc-1k", "kmalloc-2k", "kmalloc-4k",	 "kmalloc-8k",
	};

	for (unsigned i = 0; i < NR_CLASSES; i++) {
		size_t size = class_sizes[i];

		classes[i] = kmem_cache_create(names[i], size, is_power_of_2(size) ? size : 32, NULL);
	}
}
