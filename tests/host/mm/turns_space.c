/*
 * Random operations that change the shape of an address space, with what the model says about them: mmap, munmap,
 * mprotect, madvise, mremap.
 */
#include <stdlib.h>

#include "kernel/fsapi.h"
#include "lib/string.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/vma.h"
#include "tests/host/mm/turns.h"

/* ---- the model */

int model_read(const struct mpage *p, u64 *val)
{
	if (!p->mapped)
		return -EFAULT;
	if (!p->prot)
		return -EACCES;
	if (!p->obj || p->own) {
		*val = p->val;
		return 0;
	}
	if (p->off >= p->obj->pages)
		return -EIO;
	*val = p->obj->val[p->off];
	return 0;
}

int model_write(struct mpage *p, u64 val)
{
	if (!p->mapped)
		return -EFAULT;
	if (!(p->prot & PROT_WRITE))
		return -EACCES;
	if (p->obj && !p->own && p->off >= p->obj->pages)
		return -EIO;
	if (p->shared) {
		p->obj->val[p->off] = val;
	} else {
		p->val = val;
		p->own = true;
	}
	return 0;
}

static unsigned random_prot(void)
{
	static const u8 prots[] = { PROT_READ,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE,
				    0,
				    PROT_READ | PROT_EXEC,
				    PROT_WRITE,
				    PROT_READ | PROT_WRITE | PROT_EXEC };

	return prots[rnd(turns_run, ARRAY_SIZE(prots))];
}

static void fault_in(struct mpage *p, bool write)
{
	if (write && p->obj && !p->shared && !p->own && p->off < p->obj->pages) {
		p->val = p->obj->val[p->off];
		p->own = true;
	}
}

void op_mmap(void)
{
	struct proc *p = my_proc();
	unsigned i, n, flags = 0, prot = random_prot(), kind = (unsigned)rnd(turns_run, 100);
	struct obj *obj = NULL;
	bool shared = false, overlap = false, own_obj = false;
	u64 off = 0;
	uintptr_t va;
	long ret;

	pick_range(&i, &n, 500);
	if (kind < 50) {
		flags = MAP_PRIVATE | MAP_ANONYMOUS;
	} else if (kind < 62) {
		flags = MAP_SHARED | MAP_ANONYMOUS;
		shared = own_obj = true;
		obj = calloc(1, sizeof(*obj));	/* small, and few: they live until the run ends */
		obj->pages = n;
	} else {
		obj = &turn_files[rnd(turns_run, NR_FILES)];
		off = rnd(turns_run, 120);
		shared = kind < 80;
		flags = shared ? MAP_SHARED : MAP_PRIVATE;
	}
	if (off + n > OBJ_PAGES)
		n = (unsigned)(OBJ_PAGES - off);
	va = page_va(i);
	for (unsigned k = 0; k < n; k++)
		overlap |= p->page[i + k].mapped;
	if (chance(turns_run, 60))
		flags |= MAP_FIXED;
	else if (chance(turns_run, 30))
		flags |= MAP_FIXED_NOREPLACE;
	else if (chance(turns_run, 50))
		va = 0;
	if (chance(turns_run, 10))
		flags |= MAP_POPULATE;
	if (chance(turns_run, 10))
		flags |= MAP_NORESERVE;
	ret = do_mmap(obj ? obj->file : NULL, va, n * PAGE_SIZE - rnd(turns_run, PAGE_SIZE), prot, flags, off);
	if (ret < 0 && own_obj)
		free(obj);
	if (no_memory(ret))
		return;
	if (flags & MAP_FIXED_NOREPLACE && overlap) {
		CHECK(ret == -EEXIST, "MAP_FIXED_NOREPLACE over a mapping: %ld", ret);
		return;
	}
	CHECK(ret > 0 && is_aligned((uintptr_t)ret, PAGE_SIZE), "mmap: %ld", ret);
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		CHECK((uintptr_t)ret == va, "mmap at %#lx gave %#lx", va, ret);
	else if (va && !overlap)
		CHECK((uintptr_t)ret == va, "the free hint %#lx gave %#lx", va, ret);
	va = (uintptr_t)ret;
	if (va < WINDOW || va + n * PAGE_SIZE > WINDOW_END) {
		palloc_fail(0, 0);
		down_write(&p->mm->mmap_lock);
		ret = do_munmap(p->mm, va, n * PAGE_SIZE);
		mmap_write_unlock(p->mm);
		CHECK(!ret, "munmap outside of the window: %ld", ret);
		return;
	}
	i = page_index(va);
	for (unsigned k = 0; k < n; k++) {
		struct mpage *m = &p->page[i + k];

		CHECK(flags & MAP_FIXED || !m->mapped, "mmap gave page %u, which is in use", i + k);
		*m = (struct mpage){ .mapped = true, .shared = shared, .prot = (u8)prot, .obj = obj, .off = off + k };
		if (flags & MAP_POPULATE && !failing)
			fault_in(m, prot & PROT_WRITE && !shared);
		else if (flags & MAP_POPULATE && obj && !shared && prot & PROT_WRITE && m->off < obj->pages)
			m->prot |= 0x80;	/* unknown whether it was copied: settled below */
	}
	for (unsigned k = 0; k < n; k++) {
		struct mpage *m = &p->page[i + k];

		if (m->prot & 0x80) {
			m->prot &= 0x7f;
			palloc_fail(0, 0);
			failing = false;
			m->own = true;
			m->val = next_val++;
			CHECK(!host_access(page_va(i + k) + WORD_OFFSET, true, &m->val), "write of a populated page");
		}
	}
}

void op_munmap(void)
{
	struct proc *p = my_proc();
	unsigned i, n;
	int ret;

	pick_range(&i, &n, 700);
	down_write(&p->mm->mmap_lock);
	ret = do_munmap(p->mm, page_va(i), n * PAGE_SIZE);
	mmap_write_unlock(p->mm);
	if (no_memory(ret))
		return;
	CHECK(!ret, "munmap: %d", ret);
	memset(&p->page[i], 0, n * sizeof(struct mpage));
}

/* After a failure in the middle of several vmas: what the kernel says now must be the old or the new protection. */
static void settle_prot(struct proc *p, unsigned i, unsigned n, u8 prot)
{
	for (; n--; i++) {
		struct vma *vma = vma_lookup(p->mm, page_va(i));
		struct mpage *m = &p->page[i];

		if (!m->mapped)
			continue;
		CHECK(vma, "page %u is no longer mapped", i);
		CHECK((vma->flags & VM_ACCESS) == m->prot || (vma->flags & VM_ACCESS) == prot,
		      "page %u has protection %x", i, vma->flags);
		m->prot = vma->flags & VM_ACCESS;
	}
}

void op_mprotect(void)
{
	struct proc *p = my_proc();
	unsigned i, n, prot = random_prot(), k;
	int ret;

	pick_range(&i, &n, 700);
	ret = do_mprotect(page_va(i), n * PAGE_SIZE, prot);
	if (no_memory(ret)) {
		settle_prot(p, i, n, (u8)prot);
		return;
	}
	for (k = 0; k < n && p->page[i + k].mapped; k++)
		p->page[i + k].prot = (u8)prot;
	CHECK(ret == (k < n ? -ENOMEM : 0), "mprotect of pages %u+%u: %d, mapped are %u", i, n, ret, k);
}

void op_madvise(void)
{
	static const int advices[] = { MADV_DONTNEED,	    MADV_DONTNEED,   MADV_DONTNEED,   MADV_POPULATE_READ,
				       MADV_POPULATE_WRITE, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_DONTFORK,
				       MADV_DOFORK,	    MADV_WILLNEED };
	struct proc *p = my_proc();
	int advice = advices[rnd(turns_run, ARRAY_SIZE(advices))], expect = 0, ret;
	unsigned i, n;

	pick_range(&i, &n, 700);
	ret = do_madvise(p->mm, page_va(i), n * PAGE_SIZE, advice);
	if (no_memory(ret) && advice != MADV_DONTNEED && advice != MADV_WILLNEED) {
		/* How far it came is not told: undo, and settle what was copied. */
		palloc_fail(0, 0);
		failing = false;
		for (unsigned k = 0; k < n; k++) {
			struct mpage *m = &p->page[i + k];

			if (!m->mapped)
				continue;
			if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK || advice == MADV_DONTFORK ||
			    advice == MADV_DOFORK) {
				m->wipe = vma_lookup(p->mm, page_va(i + k))->flags & VM_WIPEONFORK;
				m->dontfork = vma_lookup(p->mm, page_va(i + k))->flags & VM_DONTFORK;
			} else if (m->obj && !m->shared && !m->own && m->prot & PROT_WRITE && m->off < m->obj->pages) {
				check_page(i + k, true);
			}
		}
		return;
	}
	for (unsigned k = 0; k < n; k++) {
		struct mpage *m = &p->page[i + k];

		if (!m->mapped) {
			expect = -ENOMEM;
			if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
				break;
			continue;
		}
		if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
			bool write = advice == MADV_POPULATE_WRITE;

			if (!(m->prot & (write ? PROT_WRITE : 7))) {
				expect = -EINVAL;
				break;
			}
			if (m->obj && !m->own && m->off >= m->obj->pages) {
				expect = -EFAULT;
				break;
			}
			fault_in(m, write);
		} else if (advice == MADV_DONTNEED) {
			if (!m->shared) {
				m->own = false;
				m->val = 0;
			}
		} else if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK) {
			if (m->obj) {
				expect = -EINVAL;
				break;
			}
			m->wipe = advice == MADV_WIPEONFORK;
		} else if (advice == MADV_DONTFORK || advice == MADV_DOFORK) {
			m->dontfork = advice == MADV_DONTFORK;
		}
	}
	CHECK(ret == expect, "madvise(%d) of pages %u+%u: %d, should be %d", advice, i, n, ret, expect);
}

/* Pages [from, from + n) of p now stand at `to`; what is beyond old_n continues the mapping. */
static void model_move(struct proc *p, unsigned from, unsigned to, unsigned old_n, unsigned n, bool keep)
{
	struct mpage *moved = calloc(n, sizeof(*moved)), first = p->page[from];

	for (unsigned k = 0; k < n; k++) {
		if (k < old_n) {
			moved[k] = p->page[from + k];
		} else {
			moved[k] = first;
			moved[k].own = false;
			moved[k].val = 0;
			moved[k].off = first.off + k;
		}
	}
	for (unsigned k = 0; k < old_n; k++) {
		struct mpage *m = &p->page[from + k];

		if (!keep)
			memset(m, 0, sizeof(*m));
		else if (!m->shared)
			m->own = false, m->val = 0;
	}
	memcpy(&p->page[to], moved, n * sizeof(*moved));
	free(moved);
}

void op_mremap(void)
{
	struct proc *p = my_proc();
	unsigned i, n, new_n, to = 0, flags = 0, at;
	struct vma *vma;
	bool overlap;
	long ret;

	pick_range(&i, &n, 300);
	vma = vma_lookup(p->mm, page_va(i));
	if (!vma) {
		CHECK(do_mremap(page_va(i), n * PAGE_SIZE, PAGE_SIZE, 0, 0) == -EFAULT, "mremap of a hole");
		return;
	}
	if (chance(turns_run, 90))
		n = min_t(unsigned, n, (unsigned)((vma->end - page_va(i)) >> PAGE_SHIFT));
	new_n = chance(turns_run, 40) ? n : 1 + (unsigned)rnd(turns_run, 2 * n + 4);
	if (new_n > 400 || (p->page[i].obj && p->page[i].off + new_n > OBJ_PAGES))
		new_n = n;
	if (chance(turns_run, 70))
		flags |= MREMAP_MAYMOVE;
	if (flags && chance(turns_run, 50)) {
		flags |= MREMAP_FIXED;
		to = (unsigned)rnd(turns_run, WINDOW_PAGES - new_n);
	}
	if (flags && new_n == n && chance(turns_run, 30))
		flags |= MREMAP_DONTUNMAP;
	overlap = flags & MREMAP_FIXED && i + n > to && to + new_n > i;
	at = page_index(vma->end);
	ret = do_mremap(page_va(i), n * PAGE_SIZE, new_n * PAGE_SIZE, flags, page_va(to));
	if (overlap) {
		CHECK(ret == -EINVAL, "mremap onto itself: %ld", ret);
		return;
	}
	if (ret < 0 && flags & MREMAP_FIXED) {
		/* The place may have been made free, and the end cut off. */
		CHECK(no_memory(ret) || (i + n > at && ret == -EFAULT), "mremap: %ld", ret);
		for (unsigned k = 0; k < WINDOW_PAGES; k++) {
			bool there = vma_lookup(p->mm, page_va(k));
			bool may_go = (k >= to && k < to + new_n) || (k >= i + new_n && k < i + n);

			CHECK(there == p->page[k].mapped || (may_go && !there), "page %u after a failed mremap", k);
			if (!there)
				memset(&p->page[k], 0, sizeof(struct mpage));
		}
		return;
	}
	if (no_memory(ret))
		return;
	if (i + n > at && (new_n > n || flags & MREMAP_DONTUNMAP || flags & MREMAP_FIXED)) {
		CHECK(ret == -EFAULT, "mremap beyond its vma: %ld", ret);
		return;
	}
	if (ret == -ENOMEM) {
		CHECK(!(flags & MREMAP_MAYMOVE) && new_n > n, "mremap: no memory");
		return;
	}
	CHECK(ret > 0, "mremap: %ld", ret);
	if (new_n <= n && !(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		CHECK((uintptr_t)ret == page_va(i), "shrinking moved to %#lx", ret);
		memset(&p->page[i + new_n], 0, (n - new_n) * sizeof(struct mpage));
		return;
	}
	if (flags & MREMAP_FIXED)
		CHECK((uintptr_t)ret == page_va(to), "mremap to %#lx gave %#lx", page_va(to), ret);
	if ((uintptr_t)ret < WINDOW || (uintptr_t)ret + new_n * PAGE_SIZE > WINDOW_END) {
		palloc_fail(0, 0);
		down_write(&p->mm->mmap_lock);
		CHECK(!do_munmap(p->mm, (uintptr_t)ret, new_n * PAGE_SIZE), "munmap outside of the window");
		mmap_write_unlock(p->mm);
		for (unsigned k = 0; k < n; k++) {
			struct mpage *m = &p->page[i + k];

			if (!(flags & MREMAP_DONTUNMAP))
				memset(m, 0, sizeof(*m));
			else if (!m->shared)
				m->own = false, m->val = 0;
		}
		return;
	}
	to = page_index((uintptr_t)ret);
	if (new_n < n) {
		memset(&p->page[i + new_n], 0, (n - new_n) * sizeof(struct mpage));
		n = new_n;
	}
	for (unsigned k = 0; k < new_n && !(flags & MREMAP_FIXED); k++)
		CHECK(!p->page[to + k].mapped || (to == i && k < n), "mremap gave page %u, which is in use", to + k);
	model_move(p, i, to, n, new_n, flags & MREMAP_DONTUNMAP);
}
