/*
 * The vma tree: a red-black tree by address, in which each vma knows the free space below it (gap) and the largest such
 * gap of its subtree (max_gap), so that a free place is found in logarithmic time.
 *
 * gap ends where the vma's guard begins: a vma that grows down keeps STACK_GUARD free below it. Whoever changes a
 * start, an end or VM_GROWSDOWN repairs the gaps of the vma and of its successor. Invariants are in vma_check_tree().
 *
 * Locks: everything under mmap_lock, exclusively if the tree changes.
 */
#include "kernel/fsapi.h"
#include "kernel/printk.h"
#include "mm/mapping.h"
#include "mm/slab.h"
#include "mm/vma.h"

static struct kmem_cache *vma_cache;

void vma_init(void)
{
	vma_cache = kmem_cache_create("vma", sizeof(struct vma), 0, NULL);
}

static struct vma *vma_of(struct rb_node *node)
{
	return rb_entry_safe(node, struct vma, node);
}

/* ---- gaps */

static uintptr_t compute_max_gap(struct rb_node *node)
{
	uintptr_t max = vma_of(node)->gap;

	if (node->left && vma_of(node->left)->max_gap > max)
		max = vma_of(node->left)->max_gap;
	if (node->right && vma_of(node->right)->max_gap > max)
		max = vma_of(node->right)->max_gap;
	return max;
}

static void update_max_gap(struct rb_node *node)
{
	vma_of(node)->max_gap = compute_max_gap(node);
}

static uintptr_t compute_gap(struct vma *vma, struct vma *prev)
{
	uintptr_t below = prev ? prev->end : 0, floor = vma_floor(vma);

	return floor > below ? floor - below : 0;
}

static void repair_gap(struct vma *vma)
{
	uintptr_t gap;

	if (!vma)
		return;
	gap = compute_gap(vma, vma_prev(vma));
	if (gap == vma->gap)
		return;
	vma->gap = gap;
	rb_propagate(&vma->node, update_max_gap);
}

/* ---- search */

struct vma *find_vma(struct mm *mm, uintptr_t addr)
{
	struct rb_node *n = mm->vmas.node;
	struct vma *found = NULL;

	while (n) {
		struct vma *vma = rb_entry(n, struct vma, node);

		if (vma->end > addr) {
			found = vma;
			if (vma->start <= addr)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return found;
}

struct vma *vma_next(struct vma *vma)
{
	return vma_of(rb_next(&vma->node));
}

struct vma *vma_prev(struct vma *vma)
{
	return vma_of(rb_prev(&vma->node));
}

struct vma *find_vma_intersection(struct mm *mm, uintptr_t start, uintptr_t end)
{
	struct vma *vma = find_vma(mm, start);

	return vma && vma->start < end ? vma : NULL;
}

struct vma *vma_lookup(struct mm *mm, uintptr_t addr)
{
	return find_vma_intersection(mm, addr, addr + 1);
}

bool range_is_free(struct mm *mm, uintptr_t addr, size_t len)
{
	struct vma *next;

	if (addr < USER_MIN || len > USER_TOP || addr > USER_TOP - len)
		return false;
	next = find_vma(mm, addr);
	return !next || addr + len <= vma_floor(next);
}

/*
 * The highest place for len bytes in [low, high) in gaps below vmas of this subtree. The recursion is as deep as the
 * tree.
 */
static uintptr_t highest_gap(struct rb_node *n, uintptr_t low, uintptr_t high, size_t len, size_t align)
{
	struct vma *vma;
	uintptr_t top, bottom, addr;

	for (; n; n = n->left) {
		vma = rb_entry(n, struct vma, node);
		if (vma->max_gap < len)
			return 0;
		if (vma->end < high) {
			addr = highest_gap(n->right, low, high, len, align);
			if (addr)
				return addr;
		}
		if (vma->gap >= len) {
			top = vma_floor(vma);
			bottom = max(top - vma->gap, low);
			top = min(top, high);
			if (top >= len && align_down(top - len, align) >= bottom && top > bottom)
				return align_down(top - len, align);
		}
		if (vma->start <= low)
			return 0;
	}
	return 0;
}

static uintptr_t area_within(struct mm *mm, uintptr_t low, uintptr_t high, size_t len, size_t align)
{
	struct vma *last = vma_of(rb_last(&mm->vmas));
	uintptr_t bottom = last ? max(last->end, low) : low;

	/* The space behind the last vma is nobody's gap. */
	if (high > bottom && high - bottom >= len && align_down(high - len, align) >= bottom)
		return align_down(high - len, align);
	return highest_gap(mm->vmas.node, low, high, len, align);
}

uintptr_t unmapped_area_below(struct mm *mm, size_t len, size_t align, uintptr_t limit)
{
	return area_within(mm, USER_MIN, min(limit, USER_TOP), len, align);
}

uintptr_t unmapped_area(struct mm *mm, size_t len, size_t align)
{
	uintptr_t addr;

	if (!len || len > USER_TOP - USER_MIN)
		return 0;
	addr = area_within(mm, USER_MIN, mm->mmap_base ? mm->mmap_base : USER_TOP, len, align);
	return addr ? addr : area_within(mm, USER_MIN, USER_TOP, len, align);
}

/* ---- life */

struct vma *vma_alloc(struct mm *mm)
{
	struct vma *vma = kmem_cache_alloc(vma_cache, GFP_KERNEL | GFP_ZERO);

	if (vma)
		vma->mm = mm;
	return vma;
}

struct vma *vma_copy(const struct vma *old, struct mm *mm)
{
	struct vma *vma = kmem_cache_alloc(vma_cache, GFP_KERNEL);

	if (!vma)
		return NULL;
	/* Not map_link, which others change, and nothing that insertion makes. */
	vma->mm = mm;
	vma->start = old->start;
	vma->end = old->end;
	vma->flags = old->flags;
	vma->prot = old->prot;
	vma->pgoff = old->pgoff;
	vma->file = old->file ? get_file(old->file) : NULL;
	vma->ops = old->ops;
	vma->anon = old->anon;
	vma->has_anon = old->has_anon;
	return vma;
}

struct vma *vma_dup_for_fork(struct mm *dst, const struct vma *vma)
{
	struct vma *copy = vma_copy(vma, dst);

	if (!copy)
		return NULL;
	copy->flags &= ~VM_LOCKED;
	vma_insert(dst, copy);
	return copy;
}

void vma_free(struct mm *mm, struct vma *vma)
{
	if (vma->file) {
		vma->node.right = mm->dead_vmas ? &mm->dead_vmas->node : NULL;
		mm->dead_vmas = vma;
	} else {
		kmem_cache_free(vma_cache, vma);
	}
}

static void free_dead(struct vma *vma)
{
	while (vma) {
		struct vma *next = vma_of(vma->node.right);

		fput(vma->file);
		kmem_cache_free(vma_cache, vma);
		vma = next;
		cond_resched();
	}
}

void mmap_write_unlock(struct mm *mm)
{
	struct vma *dead = mm->dead_vmas;

	mm->dead_vmas = NULL;
	up_write(&mm->mmap_lock);
	free_dead(dead);
}

void vma_free_all(struct mm *mm)
{
	struct rb_node *n = rb_first_postorder(&mm->vmas);

	while (n) {
		struct vma *vma = vma_of(n);

		n = rb_next_postorder(n);
		if (vma->file) {
			mapping_unlink_vma(vma);
			fput(vma->file);
		}
		kmem_cache_free(vma_cache, vma);
		cond_resched();
	}
	mm->vmas = RB_ROOT;
	mm->nr_vmas = 0;
	mm->total_vm = mm->data_vm = mm->stack_vm = mm->exec_vm = 0;
	free_dead(mm->dead_vmas);
	mm->dead_vmas = NULL;
}

/* ---- statistics; u64 wraps, so that differences may be negative */

static void account(struct mm *mm, u32 flags, u64 pages)
{
	mm->total_vm += pages;
	if (flags & VM_GROWSDOWN)
		mm->stack_vm += pages;
	else if ((flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
		mm->data_vm += pages;
	else if ((flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
		mm->exec_vm += pages;
}

static u64 vma_pages(const struct vma *vma)
{
	return (vma->end - vma->start) >> PAGE_SHIFT;
}

/* ---- change */

void vma_insert(struct mm *mm, struct vma *vma)
{
	struct rb_node **link = &mm->vmas.node, *parent = NULL;
	struct vma *prev = NULL, *next = NULL;

	while (*link) {
		struct vma *at = vma_of(*link);

		parent = *link;
		if (vma->start < at->start) {
			next = at;
			link = &parent->left;
		} else {
			prev = at;
			link = &parent->right;
		}
	}
	DEBUG_ASSERT(vma->start < vma->end && (!prev || prev->end <= vma->start) && (!next || vma->end <= next->start),
		     "vma %lx-%lx does not fit", vma->start, vma->end);
	vma->gap = compute_gap(vma, prev);
	vma->max_gap = vma->gap;
	rb_insert_augmented(&vma->node, parent, link, &mm->vmas, update_max_gap);
	repair_gap(next);
	mm->nr_vmas++;
	account(mm, vma->flags, vma_pages(vma));
	if (vma->file)
		mapping_link_vma(vma);
}

void vma_remove(struct mm *mm, struct vma *vma)
{
	struct vma *next = vma_next(vma);

	if (vma->file)
		mapping_unlink_vma(vma);
	rb_erase_augmented(&vma->node, &mm->vmas, update_max_gap);
	repair_gap(next);
	mm->nr_vmas--;
	account(mm, vma->flags, -vma_pages(vma));
}

void vma_set_start(struct vma *vma, uintptr_t start)
{
	account(vma->mm, vma->flags, (u64)((s64)(vma->start - start) >> PAGE_SHIFT));
	vma->pgoff += (u64)((s64)(start - vma->start) >> PAGE_SHIFT);
	vma->start = start;
	repair_gap(vma);
}

void vma_set_end(struct vma *vma, uintptr_t end)
{
	account(vma->mm, vma->flags, (u64)((s64)(end - vma->end) >> PAGE_SHIFT));
	vma->end = end;
	repair_gap(vma_next(vma));
}

pgprot_t vma_prot(u32 flags)
{
	unsigned prot = 0;

	if (flags & VM_READ)
		prot |= PROT_R | PROT_U;
	if (flags & VM_WRITE)
		prot |= PROT_R | PROT_W | PROT_U;
	if (flags & VM_EXEC)
		prot |= PROT_R | PROT_X | PROT_U;	/* not every MMU can execute what it can not read */
	return pgprot_make(prot);
}

void vma_set_flags(struct vma *vma, u32 flags)
{
	account(vma->mm, vma->flags, -vma_pages(vma));
	vma->flags = flags;
	vma->prot = vma_prot(flags);
	account(vma->mm, flags, vma_pages(vma));
	repair_gap(vma);
}

/* ---- split and merge */

struct vma *vma_cut(struct mm *mm, struct vma *vma, uintptr_t addr)
{
	struct vma *upper;

	DEBUG_ASSERT(addr > vma->start && addr < vma->end && is_aligned(addr, PAGE_SIZE), "split of %lx-%lx at %lx",
		     vma->start, vma->end, addr);
	upper = vma_copy(vma, mm);
	if (!upper)
		return NULL;
	upper->pgoff += (addr - vma->start) >> PAGE_SHIFT;
	upper->start = addr;
	vma_set_end(vma, addr);
	vma_insert(mm, upper);
	return upper;
}

struct vma *vma_split(struct mm *mm, struct vma *vma, uintptr_t addr)
{
	return mm->nr_vmas < MAX_VMAS ? vma_cut(mm, vma, addr) : NULL;
}

struct vma *vma_isolate(struct mm *mm, struct vma *vma, uintptr_t start, uintptr_t end)
{
	bool lower = vma->start < start;

	if (lower) {
		vma = vma_split(mm, vma, start);
		if (!vma)
			return NULL;
	}
	if (end < vma->end && !vma_split(mm, vma, end)) {
		if (lower)
			vma_merge(mm, vma);
		return NULL;
	}
	return vma;
}

/* Does a mapping with these properties continue vma at its end, with pgoff as the first page after it? */
static bool can_follow(const struct vma *vma, u32 flags, const struct file *file, u64 pgoff, const struct vma_ops *ops)
{
	return vma->flags == flags && vma->file == file && vma->ops == ops && vma->pgoff + vma_pages(vma) == pgoff &&
	       !(flags & (VM_PFNMAP | VM_SIGTRAMP));
}

/* upper, which follows lower directly, becomes part of it. */
static void absorb(struct mm *mm, struct vma *lower, struct vma *upper)
{
	uintptr_t end = upper->end;

	lower->has_anon |= upper->has_anon;
	vma_remove(mm, upper);
	vma_free(mm, upper);
	vma_set_end(lower, end);
}

struct vma *vma_merge(struct mm *mm, struct vma *vma)
{
	struct vma *prev = vma_prev(vma), *next = vma_next(vma);

	if (next && next->start == vma->end && can_follow(vma, next->flags, next->file, next->pgoff, next->ops) &&
	    vma->anon == next->anon)
		absorb(mm, vma, next);
	if (prev && prev->end == vma->start && can_follow(prev, vma->flags, vma->file, vma->pgoff, vma->ops) &&
	    prev->anon == vma->anon) {
		absorb(mm, prev, vma);
		return prev;
	}
	return vma;
}

struct vma *vma_extend(struct mm *mm, uintptr_t start, uintptr_t end, u32 flags, struct file *file, u64 pgoff,
		       const struct vma_ops *ops)
{
	struct vma *next = find_vma(mm, start), *prev = next ? vma_prev(next) : vma_of(rb_last(&mm->vmas));

	if (prev && prev->end == start && can_follow(prev, flags, file, pgoff, ops)) {
		vma_set_end(prev, end);
		return vma_merge(mm, prev);
	}
	if (next && next->start == end && next->flags == flags && next->file == file && next->ops == ops &&
	    next->pgoff == pgoff + ((end - start) >> PAGE_SHIFT) && !(flags & (VM_PFNMAP | VM_SIGTRAMP))) {
		vma_set_start(next, start);
		return next;
	}
	return NULL;
}

/* ---- check */

void vma_check_tree(struct mm *mm)
{
	struct vma *vma, *prev = NULL;
	u64 pages = 0;
	unsigned nr = 0;

	rb_for_each_entry(vma, &mm->vmas, node) {
		ASSERT(vma->mm == mm, "vma %lx-%lx belongs to mm %p, is in the tree of %p", vma->start, vma->end,
		       vma->mm, mm);
		ASSERT(is_aligned(vma->start | vma->end, PAGE_SIZE) && vma->start < vma->end && vma->end <= USER_TOP,
		       "vma %lx-%lx is malformed", vma->start, vma->end);
		ASSERT(!prev || prev->end <= vma->start, "vmas %lx-%lx and %lx-%lx overlap or are out of order",
		       prev->start, prev->end, vma->start, vma->end);
		ASSERT(vma->gap == compute_gap(vma, prev), "vma %lx-%lx: gap is %lx, recorded %lx", vma->start,
		       vma->end, compute_gap(vma, prev), vma->gap);
		ASSERT(vma->max_gap == compute_max_gap(&vma->node),
		       "vma %lx-%lx: largest gap of the subtree is %lx, recorded %lx", vma->start, vma->end,
		       compute_max_gap(&vma->node), vma->max_gap);
		pages += vma_pages(vma);
		nr++;
		prev = vma;
	}
	ASSERT(nr == mm->nr_vmas, "%u vmas in the tree, %u counted", nr, mm->nr_vmas);
	ASSERT(pages == mm->total_vm, "%llu pages in vmas, %llu counted", pages, mm->total_vm);
}
