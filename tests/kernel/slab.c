/*
 * Slab caches and kmalloc: shape of objects, constructors, failures, frees from other CPUs, random sequences against
 * what was written.
 */
#include "mm/slab.h"

#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/page.h"
#include "tests/kernel/ktest.h"

static u32 bad;

static void fill(void *obj, size_t size, u64 tag)
{
	for (size_t i = 0; i < size; i++)
		((u8 *)obj)[i] = (u8)(tag + i * 13);
}

static bool filled(const void *obj, size_t size, u64 tag)
{
	for (size_t i = 0; i < size; i++)
		if (((const u8 *)obj)[i] != (u8)(tag + i * 13))
			return false;
	return true;
}

/* ---- caches */

static void one_shape(size_t size, size_t align)
{
	struct kmem_cache *c = kmem_cache_create("kt-shape", size, align, NULL);
	void *obj[200];
	unsigned n = min_t(unsigned, ARRAY_SIZE(obj), (unsigned)(200000 / size + 3));

	for (unsigned i = 0; i < n; i++) {
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
		KT_EXPECT(obj[i]);
		if (align)
			KT_EXPECT(is_aligned((uintptr_t)obj[i], align));
		KT_EXPECT(is_aligned((uintptr_t)obj[i], 8));
		if (obj[i])
			fill(obj[i], size, i);
	}
	KT_EQ(slab_objects(c), n);
	slab_check();
	for (unsigned i = 0; i < n; i++) {
		if (!filled(obj[i], size, i)) {
			kt_fail(__FILE__, __LINE__, "size %zu align %zu: object %u was overwritten", size, align, i);
			break;
		}
	}
	for (unsigned i = 0; i < n; i += 2)
		kmem_cache_free(c, obj[i]);
	slab_check();
	for (unsigned i = 0; i < n; i += 2) {
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL | GFP_ZERO);
		KT_EXPECT(obj[i] && !memchr_inv(obj[i], 0, size));
	}
	for (unsigned i = 1; i < n; i += 2)
		KT_EXPECT(filled(obj[i], size, i));
	while (n)
		kmem_cache_free(c, obj[--n]);
	kmem_cache_free(c, NULL);
	KT_EQ(slab_objects(c), 0);
	kmem_cache_destroy(c);
}

KTEST(slab, sizes_and_alignments)
{
	const size_t sizes[] = { 1, 2, 7, 8, 9, 24, 56, 64, 100, 256, 257, 1000, 2048, 3000, 4096, 7000 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		one_shape(sizes[i], 0);
	one_shape(8, 64);
	one_shape(40, 128);
	one_shape(100, 1024);
	one_shape(64, 4096);
}

struct constructed {
	u64 magic;
	struct constructed *self;
	u64 uses;
};
static u32 constructions;

static void construct(void *p)
{
	struct constructed *c = p;

	c->magic = 0xc0457;
	c->self = c;
	c->uses = 0;
	constructions++;
}

KTEST(slab, constructed_state_is_kept)
{
	struct kmem_cache *c = kmem_cache_create("kt-ctor", sizeof(struct constructed), 0, construct);
	struct constructed *obj[100];
	u64 uses = 0;
	u32 made;

	constructions = 0;
	for (int round = 0; round < 5; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(obj); i++) {
			obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
			KT_ASSERT(obj[i]);
			KT_EXPECT(obj[i]->magic == 0xc0457 && obj[i]->self == obj[i]);
			uses += obj[i]->uses++;
		}
		for (unsigned i = 0; i < ARRAY_SIZE(obj); i++)
			kmem_cache_free(c, obj[(i * 37) % ARRAY_SIZE(obj)]);
	}
	made = constructions;
	KT_EXPECT(made >= ARRAY_SIZE(obj));
	KT_EXPECT(uses > 0);		/* some were used again as they had been left */
	for (int k = 0; k < 1000; k++)
		kmem_cache_free(c, kmem_cache_alloc(c, GFP_KERNEL));
	KT_EQ(constructions, made);
	kmem_cache_destroy(c);
}

KTEST(slab, destroy_gives_everything_back)
{
	u64 pages = slab_pages_total(), objects;
	struct kmem_cache *c;
	void *obj[300];

	slab_drain();
	pages = slab_pages_total();
	objects = slab_objects_total();
	c = kmem_cache_create("kt-destroy", 500, 0, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(obj); i++)
		obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
	KT_EQ(slab_objects_total(), objects + ARRAY_SIZE(obj));
	KT_EXPECT(slab_pages_total() >= pages + ARRAY_SIZE(obj) * 500 / PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(obj); i++)
		kmem_cache_free(c, obj[i]);
	kmem_cache_destroy(c);
	slab_drain();
	KT_EQ(slab_objects_total(), objects);
	KT_EQ(slab_pages_total(), pages);
}

/* ---- failures */

/* No pages: what is in slabs is handed out, then NULL; nothing is lost. */
KTEST(slab, exhaustion)
{
	struct kmem_cache *c = kmem_cache_create("kt-fail", 600, 0, NULL);
	void *obj[400], *held[32];
	unsigned n, in_slabs = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		held[i] = kmem_cache_alloc(c, GFP_KERNEL);
	for (int round = 0; round < 20; round++) {
		n = 0;
		palloc_fail((unsigned)round * 7, ~0u);
		while (n < ARRAY_SIZE(obj) && (obj[n] = kmem_cache_alloc(c, GFP_KERNEL)))
			fill(obj[n++], 600, 1);
		palloc_fail(0, 0);
		KT_EXPECT(n < ARRAY_SIZE(obj));
		KT_EXPECT(n >= in_slabs);
		in_slabs = 0;
		slab_check();
		while (n)
			kmem_cache_free(c, obj[--n]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(held); i++)
		kmem_cache_free(c, held[i]);
	KT_EQ(slab_objects(c), 0);
	kmem_cache_destroy(c);
	palloc_fail(0, ~0u);
	KT_EXPECT(!kmalloc(100, GFP_KERNEL) && !kmalloc(100000, GFP_KERNEL) && !kcalloc(10, 10, GFP_KERNEL) &&
		  !kstrdup("x", GFP_KERNEL));
	palloc_fail(0, 0);
}

/* ---- several CPUs */

#define RING 64

static struct {
	struct kmem_cache *cache;
	void *slot[NR_CPUS][RING];	/* atomic. From CPU i - 1 to CPU i */
	u32 nr;
} ring;

/* Each takes objects and hands them to the next CPU, which looks at them and frees them. */
static int pass_on(void *arg)
{
	u32 me = __atomic_fetch_add(&ring.nr, 1, __ATOMIC_SEQ_CST), next = (me + 1) % nr_cpus;

	for (unsigned k = 0; k < 600; k++) {
		void **out = &ring.slot[next][k % RING], **in = &ring.slot[me][(k * 7) % RING];
		u64 *obj = kmem_cache_alloc(ring.cache, GFP_KERNEL), *got, *none = NULL;

		if (!obj)
			continue;
		fill(obj, 120, (uintptr_t)obj >> 4);
		if (!__atomic_compare_exchange_n(out, (void **)&none, obj, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			kmem_cache_free(ring.cache, obj);
		got = __atomic_exchange_n(in, NULL, __ATOMIC_ACQ_REL);
		if (got) {
			if (!filled(got, 120, (uintptr_t)got >> 4))
				__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
			kmem_cache_free(ring.cache, got);
		}
		if (k % 64 == 0)
			sched_yield();
	}
	return 0;
}

KTEST(slab, frees_on_other_cpus)
{
	memset(&ring, 0, sizeof(ring));
	bad = 0;
	ring.cache = kmem_cache_create("kt-ring", 120, 0, NULL);
	KT_EQ(kt_threads(min(nr_cpus, 64u), pass_on, NULL), 0);
	KT_EQ(bad, 0);
	slab_check();
	for (unsigned i = 0; i < nr_cpus; i++)
		for (unsigned k = 0; k < RING; k++)
			kmem_cache_free(ring.cache, ring.slot[i][k]);
	KT_EQ(slab_objects(ring.cache), 0);
	slab_check();
	kmem_cache_destroy(ring.cache);
}

/* ---- random sequences */

#define HELD 64

static int random_turns(void *arg)
{
	struct {
		u8 *p;
		u32 size;
		u64 tag;
	} held[HELD];
	struct prng rng;

	memset(held, 0, sizeof(held));
	prng_seed(&rng, kt_seed() * 77 + (u64)current->pid);
	for (int k = 0; k < 1200; k++) {
		unsigned i = (unsigned)prng_below(&rng, HELD);

		if (held[i].p) {
			if (!filled(held[i].p, held[i].size, held[i].tag))
				__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
			kfree(held[i].p);
			held[i].p = NULL;
			continue;
		}
		held[i].size = 1 + (u32)prng_below(&rng, prng_below(&rng, 16) ? 500 : 20000);
		held[i].tag = prng_next(&rng);
		held[i].p = kmalloc(held[i].size, GFP_KERNEL);
		if (held[i].p)
			fill(held[i].p, held[i].size, held[i].tag);
		cond_resched();
	}
	for (unsigned i = 0; i < HELD; i++) {
		if (held[i].p && !filled(held[i].p, held[i].size, held[i].tag))
			__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
		kfree(held[i].p);
	}
	return 0;
}

KTEST(slab, random_turns)
{
	bad = 0;
	KT_EQ(kt_threads(2 * nr_cpus, random_turns, NULL), 0);
	KT_EQ(bad, 0);
	slab_check();
}

/* ---- kmalloc */

KTEST(slab, kmalloc_sizes)
{
	const size_t sizes[] = { 0,    1,    15,   16,	 17,   32,    33,    64,     65,       96,	97,   128,
				 129,  192,  193,  255,	 256,  257,   511,   512,    513,      1024,	1025, 2048,
				 2049, 4096, 4097, 8192, 8193, 16384, 65536, 100000, 1u << 20, 4u << 20 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t n = sizes[i];
		u8 *p = kmalloc(n, GFP_KERNEL), *q = kmalloc(n, GFP_KERNEL), *z;

		KT_ASSERT(p && q && p != q);
		KT_EXPECT(is_aligned((uintptr_t)p, 16));
		if (n >= 16 && !(n & (n - 1)))
			KT_EXPECT(is_aligned((uintptr_t)p, n));
		fill(p, n, 1);
		fill(q, n, 2);
		KT_EXPECT(filled(p, n, 1));
		kfree(p);
		KT_EXPECT(filled(q, n, 2));
		kfree(q);
		z = kzalloc(n, GFP_KERNEL);
		KT_EXPECT(z && !memchr_inv(z, 0, n));
		kfree(z);
	}
	KT_EXPECT(!kmalloc((4ul << 20) + 1, GFP_KERNEL) && !kmalloc(~0ul, GFP_KERNEL) &&
		  !kmalloc(1ul << 63, GFP_KERNEL));
	kfree(NULL);
}

KTEST(slab, arrays_and_strings)
{
	u64 *a = kcalloc(100, sizeof(*a), GFP_KERNEL);
	char *s = kstrdup("a string", GFP_KERNEL), *e = kstrdup("", GFP_KERNEL);

	KT_EXPECT(a && !memchr_inv(a, 0, 100 * sizeof(*a)));
	KT_EXPECT(s && !strcmp(s, "a string") && e && !*e);
	KT_EXPECT(!kcalloc(1ul << 33, 1ul << 33, GFP_KERNEL) && !kcalloc(~0ul, 2, GFP_KERNEL) &&
		  !kcalloc(2, ~0ul / 2 + 1, GFP_KERNEL));
	kfree(a);
	kfree(s);
	kfree(e);
}
