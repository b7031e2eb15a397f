/*
 * The page cache of a file. See mapping.h for locks and for the agreement with the fault path.
 *
 * The tree: nodes of 64 slots; a node's shift says how many low bits of the index are below it. A file whose only page
 * has index 0 has no node at all. Nodes are freed by RCU, so look-ups walk without a lock. An insertion that ran out of
 * memory may leave empty nodes; they go with the next removal around them, at the latest with the mapping.
 */
#include "mm/mapping.h"

#include "kernel/fsapi.h"
#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "kernel/rcu.h"
#include "lib/bits.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/zap.h"

#define NODE_BITS	6
#define NODE_SLOTS	(1u << NODE_BITS)
#define NODE_TAG	1ul
#define BATCH		32

struct map_node {
	struct rcu_head rcu;
	u32 shift;			/* i */
	u32 count;			/* l. slots in use */
	void *slot[NODE_SLOTS];		/* l; read under RCU */
};

static struct kmem_cache *node_cache;
static atomic64_t total_pages;

static inline bool is_node(const void *e)
{
	return (uintptr_t)e & NODE_TAG;
}

static inline struct map_node *to_node(const void *e)
{
	return (struct map_node *)((uintptr_t)e & ~NODE_TAG);
}

static inline void *from_node(const struct map_node *n)
{
	return (void *)((uintptr_t)n | NODE_TAG);
}

static void node_free_rcu(struct rcu_head *head)
{
	kmem_cache_free(node_cache, container_of(head, struct map_node, rcu));
}

static struct map_node *node_alloc(unsigned shift)
{
	struct map_node *n = kmem_cache_alloc(node_cache, GFP_ATOMIC | GFP_ZERO);

	if (n)
		n->shift = shift;
	return n;
}

void mapping_init_cache(void)
{
	node_cache = kmem_cache_create("map_node", sizeof(struct map_node), 0, NULL);
}

void mapping_init(struct mapping *m, const struct mapping_ops *ops)
{
	m->root = NULL;
	m->size = 0;
	m->nr_pages = 0;
	list_init(&m->vmas);
	m->gen = 0;
	spin_lock_init(&m->lock, RANK_MAPPING);
	spin_lock_init(&m->vma_lock, RANK_RMAP);
	m->ops = ops;
}

u64 mapping_pages_total(void)
{
	return (u64)atomic64_read(&total_pages);
}

/* ---- look-up ---- */

/* RCU or the lock. */
static struct page *tree_find(struct mapping *m, u64 index)
{
	void *e = rcu_dereference(m->root);

	while (is_node(e)) {
		struct map_node *n = to_node(e);
		u64 i = index >> n->shift;

		if (i >= NODE_SLOTS)
			return NULL;
		index &= (1ull << n->shift) - 1;
		e = rcu_dereference(n->slot[i]);
	}
	return index ? NULL : e;
}

struct page *mapping_find(struct mapping *m, u32 index)
{
	struct page *p;

	rcu_read_lock();
	for (;;) {
		p = tree_find(m, index);
		if (!p)
			break;
		/*
		 * Between the look and the reference the page may have been taken out, and even become something else.
		 */
		if (try_get_page(p)) {
			if (page_owner(p) == m && READ_ONCE(p->index) == index)
				break;
			put_page(p);
		}
	}
	rcu_read_unlock();
	return p;
}

/* The lowest node on the way to index, if its slots are pages; NULL if there is none. RCU. */
static struct map_node *tree_leaf(struct mapping *m, u64 index)
{
	void *e = rcu_dereference(m->root);

	while (is_node(e)) {
		struct map_node *n = to_node(e);
		u64 i = index >> n->shift;

		if (i >= NODE_SLOTS)
			return NULL;
		if (!n->shift)
			return n;
		index &= (1ull << n->shift) - 1;
		e = rcu_dereference(n->slot[i]);
	}
	return NULL;
}

void mapping_find_range(struct mapping *m, u32 index, unsigned n, struct page **pages)
{
	u64 end = div_round_up(READ_ONCE(m->size), PAGE_SIZE);
	unsigned i = 0;

	rcu_read_lock();
	while (i < n) {
		u64 at = (u64)index + i;
		unsigned run = min(n - i, (unsigned)(NODE_SLOTS - at % NODE_SLOTS));
		struct map_node *leaf = at < end ? tree_leaf(m, at) : NULL;

		for (; run; run--, i++, at++) {
			struct page *p = leaf && at < end ? rcu_dereference(leaf->slot[at % NODE_SLOTS]) : NULL;

			if (p && !try_get_page(p))
				p = NULL;
			if (p && (page_owner(p) != m || READ_ONCE(p->index) != (u32)at)) {
				put_page(p);
				p = NULL;
			}
			pages[i] = p;
		}
	}
	rcu_read_unlock();
}

/* Smallest index >= from in the subtree e, which begins at index base. */
static u64 tree_next(void *e, u64 base, u64 from)
{
	struct map_node *n;

	if (!e)
		return ~0ull;
	if (!is_node(e))
		return base >= from ? base : ~0ull;
	n = to_node(e);
	for (u64 i = from > base ? (from - base) >> n->shift : 0; i < NODE_SLOTS; i++) {
		u64 found = tree_next(rcu_dereference(n->slot[i]), base + (i << n->shift), from);

		if (found != ~0ull)
			return found;
	}
	return ~0ull;
}

u64 mapping_next(struct mapping *m, u32 from)
{
	u64 found;

	rcu_read_lock();
	found = tree_next(rcu_dereference(m->root), 0, from);
	rcu_read_unlock();
	return found;
}

/* ---- insertion ---- */

static int tree_insert(struct mapping *m, u64 index, struct page *p)
{
	unsigned want = index ? (unsigned)(fls64(index) - 1) / NODE_BITS * NODE_BITS : 0;
	struct map_node *n;
	void **slot;

	if (!m->root && !index) {
		rcu_assign_pointer(m->root, p);
		return 0;
	}
	if (!m->root) {
		n = node_alloc(want);
		if (!n)
			return -ENOMEM;
		rcu_assign_pointer(m->root, from_node(n));
	}
	/* Higher, until the index fits below the root. */
	while (!is_node(m->root) || index >> to_node(m->root)->shift >= NODE_SLOTS) {
		n = node_alloc(is_node(m->root) ? to_node(m->root)->shift + NODE_BITS : 0);
		if (!n)
			return -ENOMEM;
		n->slot[0] = m->root;
		n->count = 1;
		rcu_assign_pointer(m->root, from_node(n));
	}
	for (n = to_node(m->root);; n = to_node(*slot)) {
		slot = &n->slot[index >> n->shift & (NODE_SLOTS - 1)];
		if (!n->shift)
			break;
		if (!*slot) {
			struct map_node *child = node_alloc(n->shift - NODE_BITS);

			if (!child)
				return -ENOMEM;
			n->count++;
			rcu_assign_pointer(*slot, from_node(child));
		}
	}
	if (*slot)
		return -EEXIST;
	n->count++;
	rcu_assign_pointer(*slot, p);
	return 0;
}

/* The lock is held. The page gets its identity before it can be found. */
static int insert_locked(struct mapping *m, u32 index, struct page *p)
{
	int err;

	if (tree_find(m, index))
		return -EEXIST;
	err = m->ops ? m->ops->charge(m) : 0;
	if (err)
		return err;
	p->index = index;
	page_set_owner(p, PAGE_FILE, m);
	err = tree_insert(m, index, p);
	if (err) {
		page_set_owner(p, PAGE_KERNEL, NULL);
		if (m->ops)
			m->ops->uncharge(m, 1);
		return err;
	}
	m->nr_pages++;
	atomic64_inc(&total_pages);
	return 0;
}

int mapping_add(struct mapping *m, u32 index, struct page *page)
{
	int err;

	page_clear_flag(page, PG_ZERO);
	page_set_flag(page, PG_UPTODATE);
	spin_lock(&m->lock);
	err = insert_locked(m, index, page);
	spin_unlock(&m->lock);
	return err;
}

struct page *mapping_get(struct mapping *m, u32 index, bool inside)
{
	struct page *p, *found;
	int err;

	if (inside && (u64)index << PAGE_SHIFT >= READ_ONCE(m->size))
		return ERR_PTR(-EFAULT);
	p = mapping_find(m, index);
	if (likely(p))
		return p;
	p = alloc_page(GFP_KERNEL | GFP_ZERO);
	if (!p)
		return ERR_PTR(-ENOMEM);
	/* It will be written through the direct map and through mappings: nobody keeps book of whether it was. */
	page_clear_flag(p, PG_ZERO);
	page_set_flag(p, PG_UPTODATE);
	spin_lock(&m->lock);
	if (inside && (u64)index << PAGE_SHIFT >= m->size) {
		err = -EFAULT;
	} else {
		err = insert_locked(m, index, p);
		if (!err)
			get_page(p);
	}
	found = err == -EEXIST ? tree_find(m, index) : NULL;
	if (found)
		get_page(found);
	spin_unlock(&m->lock);
	if (!err)
		return p;
	put_page(p);
	return found ? found : ERR_PTR(err);
}

/* ---- removal ---- */

struct batch {
	unsigned nr;
	struct page *page[BATCH];
};

/*
 * Take pages [first, last] out of the subtree at *slot, which begins at index base. False: the batch is full. The lock
 * is held.
 */
static bool collect(struct mapping *m, void **slot, u64 base, u64 first, u64 last, struct batch *b)
{
	void *e = *slot;
	struct map_node *n;
	u64 i, end;

	if (!e)
		return true;
	if (!is_node(e)) {
		if (base < first || base > last)
			return true;
		if (b->nr == BATCH)
			return false;
		WRITE_ONCE(*slot, NULL);
		page_set_owner(e, PAGE_FILE, NULL);
		b->page[b->nr++] = e;
		return true;
	}
	n = to_node(e);
	i = first > base ? (first - base) >> n->shift : 0;
	end = min((last - base) >> n->shift, NODE_SLOTS - 1ull);
	for (; i <= end; i++) {
		bool done;

		if (!n->slot[i])
			continue;
		done = collect(m, &n->slot[i], base + (i << n->shift), first, last, b);
		if (!n->slot[i])
			n->count--;
		if (!done)
			return false;
	}
	if (!n->count) {
		WRITE_ONCE(*slot, NULL);
		call_rcu(&n->rcu, node_free_rcu);
	}
	return true;
}

/* Take out and give back pages [first, last]. May sleep. */
static void remove_range(struct mapping *m, u64 first, u64 last)
{
	struct batch b;
	bool done;

	do {
		b.nr = 0;
		spin_lock(&m->lock);
		done = collect(m, &m->root, 0, first, last, &b);
		m->nr_pages -= b.nr;
		spin_unlock(&m->lock);
		if (b.nr) {
			atomic64_sub((s64)b.nr, &total_pages);
			if (m->ops)
				m->ops->uncharge(m, b.nr);
		}
		for (unsigned i = 0; i < b.nr; i++)
			put_page(b.page[i]);
		cond_resched();
	} while (!done);
}

void mapping_destroy(struct mapping *m)
{
	DEBUG_ASSERT(list_empty(&m->vmas), "mapping %p dies while it is mapped", m);
	if (m->root)
		remove_range(m, 0, ~0ull);
	DEBUG_ASSERT(!m->root && !m->nr_pages, "mapping %p: %llu pages left", m, m->nr_pages);
}

/* ---- mappings of the file ---- */

bool mapping_mapped(struct mapping *m)
{
	return !list_empty(&m->vmas);
}

/*
 * Zap what each vma of this mm that maps the file shows of pages [first, last]; the private ones' own copies too, if
 * `private`.
 */
static void unmap_in_mm(struct mapping *m, struct mm *mm, u64 first, u64 last, bool private)
{
	struct mmu_gather g;

	down_read(&mm->mmap_lock);
	gather_begin(&g, mm, false);
	for (struct vma *v = vma_first(mm); v; v = vma_next(v)) {
		u64 from, to, end = v->pgoff + ((v->end - v->start) >> PAGE_SHIFT);

		if (!v->file || file_mapping(v->file) != m || v->pgoff > last || end <= first)
			continue;
		if (!private && !(v->flags & VM_SHARED))
			continue;
		from = max(v->pgoff, first);
		to = last + 1 < end && last != ~0ull ? last + 1 : end;
		zap_range(&g, v->start + ((from - v->pgoff) << PAGE_SHIFT), v->start + ((to - v->pgoff) << PAGE_SHIFT));
	}
	gather_end(&g);
	up_read(&mm->mmap_lock);
}

/*
 * Pages [first, last] were taken out: unmap them everywhere. Goes from address space to address space, since each one's
 * mmap_lock is needed: the first vma on the list that is not of this round names the next. Vmas of this round go to the
 * list's end; new ones (a fork meanwhile) come in front, with round 0. An address space whose last user is gone is
 * tearing itself down and is left alone.
 */
static void unmap_everywhere(struct mapping *m, u64 first, u64 last, bool private)
{
	struct vma *v;
	struct mm *mm;
	u32 gen;

	spin_lock(&m->vma_lock);
	gen = m->gen = m->gen == UINT32_MAX ? 1 : m->gen + 1;
	for (;;) {
		v = list_first_entry_or_null(&m->vmas, struct vma, map_link);
		if (!v || v->map_gen == gen)
			break;
		v->map_gen = gen;
		list_move_tail(&v->map_link, &m->vmas);
		mm = v->mm;
		if (!mmget_not_zero(mm))
			continue;
		spin_unlock(&m->vma_lock);
		unmap_in_mm(m, mm, first, last, private);
		mmput(mm);
		spin_lock(&m->vma_lock);
	}
	spin_unlock(&m->vma_lock);
}

void mapping_link_vma(struct vma *vma)
{
	struct mapping *m;

	if (!vma->file)
		return;
	m = file_mapping(vma->file);
	spin_lock(&m->vma_lock);
	vma->map_gen = 0;
	list_add(&vma->map_link, &m->vmas);
	spin_unlock(&m->vma_lock);
}

void mapping_unlink_vma(struct vma *vma)
{
	struct mapping *m;

	if (!vma->file)
		return;
	m = file_mapping(vma->file);
	spin_lock(&m->vma_lock);
	list_del(&vma->map_link);
	spin_unlock(&m->vma_lock);
}

/* ---- size ---- */

void mapping_grow(struct mapping *m, u64 size)
{
	spin_lock(&m->lock);
	if (size > m->size)
		WRITE_ONCE(m->size, size);
	spin_unlock(&m->lock);
}

void mapping_punch(struct mapping *m, u64 first, u64 last)
{
	remove_range(m, first, last);
	if (mapping_mapped(m))
		unmap_everywhere(m, first, last, false);
}

void mapping_truncate(struct mapping *m, u64 size)
{
	u64 old;

	spin_lock(&m->lock);
	old = m->size;
	WRITE_ONCE(m->size, size);
	spin_unlock(&m->lock);
	if (size >= old)
		return;
	if (size & ~PAGE_MASK) {
		struct page *p = mapping_find(m, (u32)(size >> PAGE_SHIFT));

		if (p) {
			memset((char *)page_to_virt(p) + (size & ~PAGE_MASK), 0, PAGE_SIZE - (size & ~PAGE_MASK));
			put_page(p);
		}
	}
	/* Pages may lie beyond the old size (fallocate that keeps the size): they go as well. */
	remove_range(m, div_round_up(size, PAGE_SIZE), ~0ull);
	if (mapping_mapped(m))
		unmap_everywhere(m, div_round_up(size, PAGE_SIZE), ~0ull, true);
}
