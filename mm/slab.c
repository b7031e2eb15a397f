/*
 * Slab caches: objects of one size, cut from slabs of 1 to 8 pages, with an array of free objects per CPU in front.
 *
 * A slab is a block of the page allocator; everything about it is in the descriptor of its first page: type PAGE_SLAB,
 * owner = the cache, slab_inuse = objects that are not on its free list, slab_free = first free object. The free list
 * is made of 16-bit links (index + 1, 0 ends it) inside the free objects; behind them if a constructor must not lose
 * its work, or in debug builds, where free objects are filled with a pattern. A slab is on one of three lists of its
 * cache: partial, full, empty.
 *
 * A CPU's array is touched by that CPU alone, with interrupts off, so that allocation and free of most objects need no
 * lock and no shared cache line, in any context. It is filled and emptied by half, under the cache's lock. It is
 * allocated when the CPU first misses it; until then (and after slab_drain) the CPU points to no_array, which holds
 * nothing and has no room.
 *
 * "Taken" objects have left their slab: they are in use, or in some CPU's array. So in use = taken - sum of the arrays.
 *
 * Locks:  l cache's lock (RANK_SLAB, interrupts off)   o own CPU, interrupts off   i fixed at creation
 *         m caches_mutex
 * The page allocator is called without the cache's lock.
 */
#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/seq.h"
#include "lib/bits.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define SLAB_MAX_ORDER	3
#define EMPTY_KEPT	2u	/* empty slabs that a cache keeps */
#define ARRAY_BYTES	512u

struct cpu_array {
	u32 nr;			/* o; others read it for statistics */
	u32 limit;		/* i */
	void *objs[];		/* o */
};

#define ARRAY_MAX ((u32)((ARRAY_BYTES - sizeof(struct cpu_array)) / sizeof(void *)))

struct slab_list {
	struct page *first;	/* l */
	u32 nr;			/* l */
};

struct kmem_cache {
	struct cpu_array *array[NR_CPUS];	/* o, never NULL */
	u32 size;		/* i. bytes of an object */
	u32 slot;		/* i. bytes from one object to the next */
	u32 link;		/* i. offset of the free list's link in a slot */
	u32 per_slab;		/* i */
	u32 order;		/* i */
	u32 limit;		/* i. objects in a CPU's array, 0: the cache has no arrays */
	void (*ctor)(void *);	/* i */
	const char *name;	/* i */
	spinlock_t lock;
	struct slab_list partial, full, empty;
	u64 taken;		/* l */
	struct list_head caches;	/* m */
};

#ifdef CONFIG_DEBUG
#define RED_FREE	0xdead4ead0f4ee0b1ull
#define RED_INUSE	0x600db0c15a11ca7eull
#define POISON_FREE	0x6b
#define POISON_NEW	0x5a
#endif

static struct cpu_array no_array;	/* shared by all CPUs and never written */
static struct kmem_cache cache_cache;	/* of struct kmem_cache */
static struct kmem_cache array_cache;	/* of struct cpu_array; has no arrays itself */
static LIST_HEAD(caches);		/* caches_mutex */
static struct mutex caches_mutex = MUTEX_INIT(caches_mutex, RANK_KERNEL_MUTEX);
static atomic64_t slab_pages;

/* ---- slabs and their lists; callers hold the cache's lock */

/* slab_prev holds ~pfn, so that 0 is "none" even if frame 0 is a slab. */
static struct page *slab_prev_page(const struct page *s)
{
	return s->slab_prev ? pfn_to_page((u32)~s->slab_prev) : NULL;
}

static void slab_list_add(struct slab_list *l, struct page *s)
{
	s->private = l->first;
	s->slab_prev = 0;
	if (l->first)
		l->first->slab_prev = ~(u32)page_to_pfn(s);
	l->first = s;
	l->nr++;
}

static void slab_list_del(struct slab_list *l, struct page *s)
{
	struct page *next = s->private, *prev = slab_prev_page(s);

	if (prev)
		prev->private = next;
	else
		l->first = next;
	if (next)
		next->slab_prev = s->slab_prev;
	l->nr--;
}

/* Blocks are aligned to their size, so the cache's order leads from any of its pages to the first one. */
static struct page *slab_of(const struct kmem_cache *c, const void *obj)
{
	return pfn_to_page(virt_to_phys(obj) >> PAGE_SHIFT & ~((1ull << c->order) - 1));
}

static u16 *slab_link(const struct kmem_cache *c, void *obj)
{
	return (u16 *)((char *)obj + c->link);
}

static void *take_object(struct kmem_cache *c)
{
	struct page *s = c->partial.first;
	void *obj;

	if (unlikely(!s)) {
		s = c->empty.first;
		if (!s)
			return NULL;
		slab_list_del(&c->empty, s);
		slab_list_add(&c->partial, s);
	}
	obj = (char *)page_to_virt(s) + (size_t)(s->slab_free - 1u) * c->slot;
	s->slab_free = *slab_link(c, obj);
	s->slab_inuse++;
	c->taken++;
	if (!s->slab_free) {
		slab_list_del(&c->partial, s);
		slab_list_add(&c->full, s);
	}
	return obj;
}

/* Back into its slab. A slab that is empty now and not wanted goes to the surplus chain. */
static void return_object(struct kmem_cache *c, void *obj, struct page **surplus)
{
	struct page *s = slab_of(c, obj);
	u32 index = (u32)((char *)obj - (char *)page_to_virt(s)) / c->slot;
	bool was_full = !s->slab_free;

	*slab_link(c, obj) = s->slab_free;
	s->slab_free = (u16)(index + 1);
	s->slab_inuse--;
	c->taken--;
	if (s->slab_inuse && !was_full)
		return;
	slab_list_del(was_full ? &c->full : &c->partial, s);
	if (s->slab_inuse) {
		slab_list_add(&c->partial, s);
	} else if (c->empty.nr < EMPTY_KEPT) {
		slab_list_add(&c->empty, s);
	} else {
		s->private = *surplus;
		*surplus = s;
	}
}

/* Without the lock: the slabs are on no list any more. */
static void free_slabs(struct kmem_cache *c, struct page *s)
{
	while (s) {
		struct page *next = s->private;

		page_set_owner(s, PAGE_KERNEL, NULL);
		free_pages(s, c->order);
		atomic64_sub(1ll << c->order, &slab_pages);
		s = next;
	}
}

/* ---- debug builds: red zone behind each object, pattern in free ones */

#ifdef CONFIG_DEBUG
static u64 *red_zone(const struct kmem_cache *c, void *obj)
{
	return (u64 *)((char *)obj + align_up(c->size, 8u));
}

static void debug_new_slab(struct kmem_cache *c, void *obj)
{
	*red_zone(c, obj) = RED_FREE;
	if (!c->ctor)
		memset(obj, POISON_FREE, c->size);
}

static void debug_check_free(struct kmem_cache *c, void *obj)
{
	u64 red = *red_zone(c, obj);
	u8 *bad;

	if (red != RED_FREE)
		panic("slab %s: free object %p: red zone 0x%llx (%s)", c->name, obj, red,
		      red == RED_INUSE ? "marked in use" : "overwritten");
	bad = c->ctor ? NULL : memchr_inv(obj, POISON_FREE, c->size);
	if (bad)
		panic("slab %s: object %p (size %u) was written after it was freed: byte %u is 0x%x", c->name, obj,
		      c->size, (u32)(bad - (u8 *)obj), *bad);
}

static void debug_alloc(struct kmem_cache *c, void *obj)
{
	debug_check_free(c, obj);
	*red_zone(c, obj) = RED_INUSE;
	if (!c->ctor)
		memset(obj, POISON_NEW, c->size);
}

static void debug_free(struct kmem_cache *c, void *obj)
{
	struct page *p = virt_to_page(obj), *s = slab_of(c, obj);
	const struct kmem_cache *owner = page_type(s) == PAGE_SLAB ? page_owner(s) : NULL;
	u64 red;

	if (owner != c)
		panic("slab %s: %p is not an object of this cache (page type %u, owner %s)", c->name, obj, page_type(p),
		      owner ? owner->name : "none");
	if (((uintptr_t)obj - (uintptr_t)page_to_virt(s)) % c->slot)
		panic("slab %s: %p is not the start of an object", c->name, obj);
	red = *red_zone(c, obj);
	if (red != RED_INUSE)
		panic("slab %s: %s of %p: red zone 0x%llx", c->name, red == RED_FREE ? "double free" : "overflow", obj,
		      red);
	*red_zone(c, obj) = RED_FREE;
	if (!c->ctor)
		memset(obj, POISON_FREE, c->size);
}
#else
static inline void debug_new_slab(struct kmem_cache *c, void *obj) {}
static inline void debug_alloc(struct kmem_cache *c, void *obj) {}
static inline void debug_free(struct kmem_cache *c, void *obj) {}
#endif

/* ---- growth, allocation and free */

/* A new slab, on the empty list when it returns. No lock held; sleeps if gfp says so. */
static bool grow(struct kmem_cache *c, unsigned gfp)
{
	struct page *s = alloc_pages(c->order, (gfp & ~GFP_ZERO) | GFP_COMPOUND);
	unsigned long flags;
	char *base;

	if (!s)
		return false;
	base = page_to_virt(s);
	for (u32 i = 0; i < c->per_slab; i++) {
		char *obj = base + (size_t)i * c->slot;

		if (c->ctor)
			c->ctor(obj);
		debug_new_slab(c, obj);
		*slab_link(c, obj) = i + 1 < c->per_slab ? (u16)(i + 2) : 0;
	}
	page_set_owner(s, PAGE_SLAB, c);
	s->slab_free = 1;
	s->slab_inuse = 0;
	atomic64_add(1ll << c->order, &slab_pages);
	flags = spin_lock_irqsave(&c->lock);
	slab_list_add(&c->empty, s);
	spin_unlock_irqrestore(&c->lock, flags);
	return true;
}

/* This CPU's array, made if there is none; no_array if that is impossible. Interrupts off. */
static struct cpu_array *cpu_array_get(struct kmem_cache *c)
{
	unsigned cpu = cpu_id();
	struct cpu_array *a = c->array[cpu];

	if (a != &no_array || !c->limit)
		return a;
	a = kmem_cache_alloc(&array_cache, GFP_NOWAIT | GFP_NOWARN);
	if (!a)
		return &no_array;
	a->nr = 0;
	a->limit = c->limit;
	smp_store_release(&c->array[cpu], a);
	return a;
}

/* Interrupts off on entry, as `flags` says on return. */
static noinline void *alloc_slow(struct kmem_cache *c, unsigned gfp, unsigned long flags)
{
	for (;;) {
		struct cpu_array *a = cpu_array_get(c);
		void *obj, *more;

		spin_lock(&c->lock);
		obj = take_object(c);
		if (obj && a->limit) {
			u32 nr = a->nr;

			while (nr < a->limit / 2 && (more = take_object(c)))
				a->objs[nr++] = more;
			WRITE_ONCE(a->nr, nr);
		}
		spin_unlock(&c->lock);
		irq_restore(flags);
		if (obj)
			return obj;
		if (!grow(c, gfp))
			return NULL;
		flags = irq_save();
	}
}

void *kmem_cache_alloc(struct kmem_cache *c, unsigned gfp)
{
	unsigned long flags;
	struct cpu_array *a;
	void *obj;
	u32 nr;

	if (unlikely(alloc_should_fail()))
		return NULL;
	flags = irq_save();
	a = c->array[cpu_id()];
	nr = a->nr;

	if (likely(nr)) {
		obj = a->objs[nr - 1];
		WRITE_ONCE(a->nr, nr - 1);
		irq_restore(flags);
	} else {
		obj = alloc_slow(c, gfp, flags);
		if (unlikely(!obj))
			return NULL;
	}
	debug_alloc(c, obj);
	if (gfp & GFP_ZERO) {
		DEBUG_ASSERT(!c->ctor, "slab %s: GFP_ZERO would destroy what the constructor made", c->name);
		memset(obj, 0, c->size);
	}
	return obj;
}

/* The n oldest objects of an array go back to their slabs. Interrupts off. */
static void array_flush(struct kmem_cache *c, struct cpu_array *a, u32 n)
{
	struct page *surplus = NULL;

	spin_lock(&c->lock);
	for (u32 i = 0; i < n; i++)
		return_object(c, a->objs[i], &surplus);
	spin_unlock(&c->lock);
	memmove(a->objs, a->objs + n, (a->nr - n) * sizeof(a->objs[0]));
	WRITE_ONCE(a->nr, a->nr - n);
	free_slabs(c, surplus);
}

/* Interrupts off on entry, as `flags` says on return. */
static noinline void free_slow(struct kmem_cache *c, void *obj, unsigned long flags)
{
	struct cpu_array *a = cpu_array_get(c);

	if (a->limit) {
		if (a->nr == a->limit)
			array_flush(c, a, a->limit / 2);
		a->objs[a->nr] = obj;
		WRITE_ONCE(a->nr, a->nr + 1);
	} else {
		struct page *surplus = NULL;

		spin_lock(&c->lock);
		return_object(c, obj, &surplus);
		spin_unlock(&c->lock);
		free_slabs(c, surplus);
	}
	irq_restore(flags);
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
	struct cpu_array *a;
	unsigned long flags;
	u32 nr;

	if (unlikely(!obj))
		return;
	debug_free(c, obj);
	flags = irq_save();
	a = c->array[cpu_id()];
	nr = a->nr;
	if (likely(nr < a->limit)) {
		a->objs[nr] = obj;
		WRITE_ONCE(a->nr, nr + 1);
		irq_restore(flags);
		return;
	}
	free_slow(c, obj, flags);
}

/* ---- caches */

static void cache_init(struct kmem_cache *c, const char *name, size_t size, size_t align, void (*ctor)(void *),
		       bool arrays)
{
	size_t slot = size, bytes;

	if (!align)
		align = clamp_t(size_t, align_up(size, 8) & -align_up(size, 8), 8, 64);
	ASSERT(size && is_power_of_2(align) && align <= 2 * PAGE_SIZE, "slab %s: size %zu, alignment %zu", name, size,
	       align);
	memset(c, 0, sizeof(*c));
	c->name = name;
	c->size = (u32)size;
	c->ctor = ctor;
#ifdef CONFIG_DEBUG
	slot = align_up(size, 8) + 8;	/* the red zone */
	c->link = (u32)slot;
	slot += sizeof(u16);
#else
	if (ctor) {
		c->link = (u32)align_up(size, sizeof(u16));
		slot = c->link + sizeof(u16);
	}
#endif
	c->slot = (u32)align_up(max_t(size_t, slot, sizeof(u16)), align);
	for (;; c->order++) {
		bytes = PAGE_SIZE << c->order;
		if (c->slot <= bytes && (c->order == SLAB_MAX_ORDER || bytes % c->slot < bytes / 8))
			break;
		ASSERT(c->order < SLAB_MAX_ORDER, "slab %s: objects of %zu bytes are too large", name, size);
	}
	c->per_slab = (u32)(bytes / c->slot);
	if (arrays)
		c->limit = size <= 256 ? ARRAY_MAX - 1 : size <= 1024 ? 32 : size <= 4096 ? 16 : 8;
	for (unsigned i = 0; i < NR_CPUS; i++)
		c->array[i] = &no_array;
	spin_lock_init(&c->lock, RANK_SLAB);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, void (*ctor)(void *))
{
	struct kmem_cache *c = kmem_cache_alloc(&cache_cache, GFP_KERNEL);

	if (!c)
		panic("slab %s: no memory for the cache", name);
	cache_init(c, name, size, align, ctor, true);
	mutex_lock(&caches_mutex);
	list_add_tail(&c->caches, &caches);
	mutex_unlock(&caches_mutex);
	return c;
}

/*
 * IPI: this CPU's arrays of one cache (or, NULL, of all) are emptied and given back. caches_mutex is held by who asked
 * for it.
 */
static void drain_cpu(void *arg)
{
	unsigned long flags = irq_save();
	struct kmem_cache *c;
	unsigned cpu = cpu_id();

	list_for_each_entry(c, &caches, caches) {
		struct cpu_array *a = c->array[cpu];

		if ((arg && arg != c) || a == &no_array)
			continue;
		array_flush(c, a, a->nr);
		WRITE_ONCE(c->array[cpu], &no_array);
		kmem_cache_free(&array_cache, a);
	}
	irq_restore(flags);
}

static void free_empty_slabs(struct kmem_cache *c)
{
	struct page *chain;
	unsigned long flags;

	flags = spin_lock_irqsave(&c->lock);
	chain = c->empty.first;
	c->empty.first = NULL;
	c->empty.nr = 0;
	spin_unlock_irqrestore(&c->lock, flags);
	free_slabs(c, chain);
}

void slab_drain(void)
{
	struct kmem_cache *c;

	mutex_lock(&caches_mutex);
	call_on_cpus(&cpu_online_mask, drain_cpu, NULL, true);
	list_for_each_entry(c, &caches, caches)
		free_empty_slabs(c);
	free_empty_slabs(&array_cache);
	free_empty_slabs(&cache_cache);
	mutex_unlock(&caches_mutex);
}

void kmem_cache_destroy(struct kmem_cache *c)
{
	if (!c)
		return;
	mutex_lock(&caches_mutex);
	call_on_cpus(&cpu_online_mask, drain_cpu, c, true);
	list_del(&c->caches);
	mutex_unlock(&caches_mutex);
	ASSERT(!c->taken, "slab %s: destroyed with %llu objects in use", c->name, c->taken);
	free_empty_slabs(c);
	kmem_cache_free(&cache_cache, c);
}

/* ---- statistics and checks */

u64 slab_objects(struct kmem_cache *c)
{
	unsigned long flags = spin_lock_irqsave(&c->lock);
	u64 n = c->taken;

	for (unsigned i = 0; i < nr_cpus; i++) {
		struct cpu_array *a = smp_load_acquire(&c->array[i]);

		n -= READ_ONCE(a->nr);
	}
	spin_unlock_irqrestore(&c->lock, flags);
	return n;
}

u64 slab_objects_total(void)
{
	u64 n = kmalloc_large_objects();
	struct kmem_cache *c;

	mutex_lock(&caches_mutex);
	list_for_each_entry(c, &caches, caches)
		n += slab_objects(c);
	mutex_unlock(&caches_mutex);
	return n;
}

u64 slab_pages_total(void)
{
	return (u64)atomic64_read(&slab_pages);
}

void slab_show(struct seq *m)
{
	struct kmem_cache *c;

	seq_puts(m, "slabinfo - version: 2.1\n");
	seq_puts(m, "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>");
	seq_puts(m, " : tunables <limit> <batchcount> <sharedfactor>");
	seq_puts(m, " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	mutex_lock(&caches_mutex);
	list_for_each_entry(c, &caches, caches) {
		u32 active = READ_ONCE(c->partial.nr) + READ_ONCE(c->full.nr), slabs = active + READ_ONCE(c->empty.nr);

		seq_printf(m, "%-17s %6llu %6llu %6u %4u %4u : tunables %4u %4u %4u : slabdata %6u %6u %6u\n", c->name,
			   slab_objects(c), (u64)slabs * c->per_slab, c->slot, c->per_slab, 1u << c->order, c->limit,
			   c->limit / 2, 0u, active, slabs, 0u);
	}
	mutex_unlock(&caches_mutex);
}

/* One list: links, counts, owners, free lists. Returns the objects that are taken from it. */
static u64 check_list(struct kmem_cache *c, const struct slab_list *l, const char *what)
{
	struct page *prev = NULL;
	u64 taken = 0;
	u32 nr = 0;

	for (struct page *s = l->first; s; prev = s, s = s->private, nr++) {
		u32 nr_free = 0;

		ASSERT(page_type(s) == PAGE_SLAB && page_owner(s) == c && page_order(s) == c->order,
		       "slab %s: %s list holds page %llx of type %u", c->name, what, page_to_pfn(s), page_type(s));
		ASSERT(slab_prev_page(s) == prev, "slab %s: %s list, page %llx: wrong back link", c->name, what,
		       page_to_pfn(s));
		for (u32 i = s->slab_free; i; nr_free++) {
			char *obj = (char *)page_to_virt(s) + (size_t)(i - 1) * c->slot;

			ASSERT(i <= c->per_slab && nr_free < c->per_slab,
			       "slab %s: free list of page %llx is broken at index %u", c->name, page_to_pfn(s), i);
#ifdef CONFIG_DEBUG
			debug_check_free(c, obj);
#endif
			i = *slab_link(c, obj);
		}
		ASSERT(nr_free + s->slab_inuse == c->per_slab, "slab %s: page %llx has %u free + %u in use of %u",
		       c->name, page_to_pfn(s), nr_free, s->slab_inuse, c->per_slab);
		taken += s->slab_inuse;
	}
	ASSERT(nr == l->nr, "slab %s: %s list has %u slabs, counted %u", c->name, what, nr, l->nr);
	return taken;
}

void slab_check(void)
{
	struct kmem_cache *c;

	mutex_lock(&caches_mutex);
	list_for_each_entry(c, &caches, caches) {
		unsigned long flags = spin_lock_irqsave(&c->lock);
		u64 full = check_list(c, &c->full, "full"), partial = check_list(c, &c->partial, "partial");
		u64 empty = check_list(c, &c->empty, "empty");

		ASSERT(full == (u64)c->full.nr * c->per_slab && !empty && full + partial == c->taken,
		       "slab %s: taken: %llu in full slabs, %llu in partial, %llu in empty ones, %llu counted", c->name,
		       full, partial, empty, c->taken);
		spin_unlock_irqrestore(&c->lock, flags);
	}
	mutex_unlock(&caches_mutex);
}

void slab_init(void)
{
	cache_init(&array_cache, "cpu_array", ARRAY_BYTES, 0, NULL, false);
	cache_init(&cache_cache, "kmem_cache", sizeof(struct kmem_cache), 0, NULL, false);
	kmalloc_init();
}
