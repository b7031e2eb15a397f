/*
 * Slab caches and kmalloc against a list: random sizes, with and without constructor, from CPUs in turn. Objects do not
 * overlap, are aligned, keep what was written; constructed state survives a free; counts are exact.
 */
#include <stdlib.h>

#include "lib/bits.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tests/host/mm/test.h"

#define MAX_LIVE	2500
#define NR_CACHES	6

struct live {
	u8 *obj;
	size_t size;
	int cache;	/* -1: kmalloc */
	u8 fill;
};

static struct live live[MAX_LIVE];
static unsigned nr_live;
static struct {
	struct kmem_cache *c;
	size_t size, align;
	bool ctor;
	u64 objects;
} caches[NR_CACHES];

static void construct(void *obj)
{
	memset(obj, 0xc7, 24);
}

static void make_caches(struct run *r)
{
	static const char *const names[NR_CACHES] = { "t0", "t1", "t2", "t3", "t4", "t5" };

	for (unsigned i = 0; i < NR_CACHES; i++) {
		caches[i].size = 24 + rnd(r, chance(r, 30) ? 6000 : 300);
		caches[i].align = chance(r, 50) ? 0 : 1ul << (3 + rnd(r, 5));
		caches[i].ctor = i < 2;
		caches[i].objects = 0;
		caches[i].c = kmem_cache_create(names[i], caches[i].size, caches[i].align, i < 2 ? construct : NULL);
	}
}

static void alloc_one(struct run *r)
{
	struct live *l = &live[nr_live];
	unsigned gfp = chance(r, 20) ? GFP_ATOMIC : GFP_KERNEL;
	bool zero = chance(r, 30);
	size_t from = 0;

	if (nr_live == MAX_LIVE)
		return;
	l->fill = (u8)prng_next(&r->rng);
	l->cache = chance(r, 50) ? -1 : (int)rnd(r, NR_CACHES);
	if (l->cache < 0) {
		l->size = chance(r, 90) ? 1 + rnd(r, 600) : chance(r, 80) ? rnd(r, 9000) : rnd(r, 100000);
		l->obj = kmalloc(l->size, gfp | (zero ? GFP_ZERO : 0));
		if (!l->obj)
			return;
		CHECK(is_aligned((uintptr_t)l->obj,
				 is_power_of_2(l->size) && l->size >= 16 ? min(l->size, 8192ul) : 16),
		      "kmalloc(%zu) = %p", l->size, l->obj);
	} else {
		typeof(&caches[0]) c = &caches[l->cache];

		zero &= !c->ctor;
		l->size = c->size;
		l->obj = kmem_cache_alloc(c->c, gfp | (zero ? GFP_ZERO : 0));
		if (!l->obj)
			return;
		c->objects++;
		CHECK(!c->align || is_aligned((uintptr_t)l->obj, c->align), "%p is not aligned to %zu", l->obj,
		      c->align);
		if (c->ctor) {
			CHECK(!memchr_inv(l->obj, 0xc7, 24), "constructed state was lost");
			from = 24;
		}
	}
	if (zero)
		CHECK(!memchr_inv(l->obj, 0, l->size), "object of %zu bytes is not zero", l->size);
	memset(l->obj + from, l->fill, l->size - from);
	nr_live++;
}

static void free_one(struct run *r)
{
	unsigned i = (unsigned)rnd(r, nr_live);
	struct live l = live[i];
	size_t from = l.cache >= 0 && caches[l.cache].ctor ? 24 : 0;

	CHECK(!memchr_inv(l.obj + from, l.fill, l.size - from), "object %p of %zu bytes was written by somebody", l.obj,
	      l.size);
	if (l.cache < 0 || chance(r, 20)) {
		kfree(l.obj);
	} else {
		kmem_cache_free(caches[l.cache].c, l.obj);
	}
	if (l.cache >= 0)
		caches[l.cache].objects--;
	live[i] = live[--nr_live];
}

void test_slab(struct run *r)
{
	u64 before = slab_objects_total();
	bool filling = true;

	make_caches(r);
	for (unsigned op = 0; op < r->ops; op++) {
		bool fail = chance(r, 5);

		if (chance(r, 5))
			host_run_on((unsigned)rnd(r, nr_cpus));
		if (chance(r, 1))
			filling = !filling;
		if (fail)
			palloc_fail((unsigned)rnd(r, 3), 2);
		if (!nr_live || chance(r, filling ? 65 : 35))
			alloc_one(r);
		else
			free_one(r);
		if (fail)
			palloc_fail(0, 0);
		if (op % 1000 == 0) {
			slab_check();
			CHECK(slab_objects_total() == before + nr_live, "%llu objects, should be %llu",
			      slab_objects_total(), before + nr_live);
			for (unsigned i = 0; i < NR_CACHES; i++)
				CHECK(slab_objects(caches[i].c) == caches[i].objects,
				      "cache %u: %llu objects, should be %llu", i, slab_objects(caches[i].c),
				      caches[i].objects);
		}
		if (op % 5000 == 0)
			slab_drain();
	}
	while (nr_live)
		free_one(r);
	for (unsigned i = 0; i < NR_CACHES; i++)
		kmem_cache_destroy(caches[i].c);
	host_run_on(0);
}
