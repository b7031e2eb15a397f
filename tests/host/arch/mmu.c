/*
 * The MMU model: a TLB and a cache of table pointers for each CPU, walks, accessed and dirty bits, address-space ids,
 * and the checks of entry changes. See host.h for what it reports.
 *
 * A frame has a generation that counts its allocations. A cached translation or table pointer remembers the generation
 * it was made from; using it when the frame is free or has another generation is an error.
 *
 * The caches are written by their CPU only; the allocator's check reads those of all CPUs, entry by entry, under a
 * sequence count. All of it is relaxed atomics, so that the model does not order what the kernel forgot to order
 * (ThreadSanitizer would believe it).
 */
#include <stdio.h>
#include <stdlib.h>

#include <arch/ctx.h>
#include <arch/tlb.h>
#include <arch/trap.h>

#include "kernel/ipi.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/pgtable.h"
#include "tests/host/arch/host.h"

#define TLB_ENTRIES	64
#define WALK_ENTRIES	32
#define MAX_FRAMES	(MAX_PFN + 1)

struct cached {
	u32 seq;	/* odd while it changes */
	/* of the entry it was made from: 0 a translation, above that a pointer to a table of level - 1 */
	int level;
	u64 id;		/* address space, 0: unused */
	uintptr_t tag;	/* va >> pt_shift(level) */
	u64 pte;
	u32 gen;	/* of the frame it leads to */
};

struct host_tlb {
	u64 loaded;			/* atomic. id whose root is loaded */
	struct mm *mm;			/* atomic. the same; NULL while it changes */
	struct cached tlb[TLB_ENTRIES];
	struct cached walk[WALK_ENTRIES];
	struct prng rng;
};

struct host_mmu host_mmu = { .levels = 3 };
uintptr_t host_direct_map, host_vmemmap;

static struct host_tlb *tlbs;		/* by CPU */
static u32 *generation;			/* by frame; atomic */
static u64 next_id = 1;			/* atomic */

#define get(field)	__atomic_load_n(&(field), __ATOMIC_RELAXED)
#define set(field, v)	__atomic_store_n(&(field), (v), __ATOMIC_RELAXED)

void host_mmu_init(unsigned n, u64 seed)
{
	tlbs = calloc(n, sizeof(*tlbs));
	generation = calloc(MAX_FRAMES, sizeof(*generation));
	for (unsigned i = 0; i < n; i++)
		prng_seed(&tlbs[i].rng, seed + i);
}

static struct host_tlb *my_tlb(void)
{
	return &tlbs[cpu_id()];
}

/* ---- the caches */

static void cached_write(struct cached *c, int level, u64 id, uintptr_t tag, u64 pte, u32 gen)
{
	set(c->seq, get(c->seq) + 1);
	barrier();
	set(c->level, level);
	set(c->id, id);
	set(c->tag, tag);
	set(c->pte, pte);
	set(c->gen, gen);
	barrier();
	set(c->seq, get(c->seq) + 1);
}

static void cached_drop(struct cached *c)
{
	if (get(c->id))
		cached_write(c, 0, 0, 0, 0, 0);
}

static struct cached *cached_find(struct cached *array, unsigned n, int level, u64 id, uintptr_t va)
{
	for (unsigned i = 0; i < n; i++)
		if (get(array[i].id) == id && array[i].level == level && array[i].tag == va >> pt_shift(level))
			return &array[i];
	return NULL;
}

static void cached_add(struct host_tlb *t, struct cached *array, unsigned n, int level, u64 id, uintptr_t va, u64 pte)
{
	struct cached *c = cached_find(array, n, level, id, va);

	for (unsigned i = 0; !c && i < n; i++)
		if (!array[i].id)
			c = &array[i];
	if (!c)
		c = &array[prng_below(&t->rng, n)];
	cached_write(c, level, id, va >> pt_shift(level), pte, get(generation[pte >> 12]));
}

/* What leads to a frame that is free, or that has become something else, must not be used. */
static void check_alive(const struct cached *c, uintptr_t va, const char *what)
{
	u64 pfn = c->pte >> 12;
	struct page *p = pfn_to_page(pfn);
	enum page_type type = page_type(p);

	if (c->pte & HPTE_SPECIAL)
		return;
	if (type == PAGE_BUDDY || type == PAGE_PCP)
		host_fail("CPU %u uses a stale %s for %#lx: frame %#llx is free", cpu_id(), what, va, pfn);
	if (c->gen != get(generation[pfn]))
		host_fail("CPU %u uses a stale %s for %#lx: frame %#llx was freed and allocated again", cpu_id(), what,
			  va, pfn);
	if (c->level && type != PAGE_TABLE)
		host_fail("CPU %u uses a stale %s for %#lx: frame %#llx is no table, its type is %d", cpu_id(), what,
			  va, pfn, type);
}

static bool cached_leads_to(const struct cached *c, u64 id, u64 pfn, u64 n)
{
	bool hit;
	u32 seq;

	do {
		seq = get(c->seq);
		barrier();
		hit = get(c->id) == id && get(c->pte) >> 12 >= pfn && get(c->pte) >> 12 < pfn + n;
		barrier();
	} while (seq & 1 || seq != get(c->seq));
	return hit;
}

/*
 * The mm may be freed meanwhile, once its CPU has switched away: then the answer does not matter, and the read is no
 * race.
 */
static noinline __attribute__((no_sanitize("thread"))) bool has_users(const struct mm *mm)
{
	return *(const volatile int *)&mm->users.v != 0;
}

/* Of the address space that the CPU has loaded; 0 if nobody can use it any more: it is being torn down. */
static u64 usable_id(struct host_tlb *t)
{
	struct mm *mm = get(t->mm);

	return mm && has_users(mm) ? get(t->loaded) : 0;
}

/*
 * Frames are handed out: a CPU that has an address space loaded must hold nothing of it that leads there. (What it
 * holds of others must be gone before they are loaded again; check_alive finds that.)
 */
void host_frames_allocated(u64 pfn, u64 n)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		struct host_tlb *t = &tlbs[cpu];
		u64 id = usable_id(t);

		for (unsigned i = 0; id && i < TLB_ENTRIES; i++)
			if (cached_leads_to(&t->tlb[i], id, pfn, n) && usable_id(t) == id)
				host_fail("frame %#llx is allocated while CPU %u has it in its TLB at %#lx", pfn, cpu,
					  get(t->tlb[i].tag) << PAGE_SHIFT);
		for (unsigned i = 0; id && i < WALK_ENTRIES; i++)
			if (cached_leads_to(&t->walk[i], id, pfn, n) && usable_id(t) == id)
				host_fail("frame %#llx is allocated while CPU %u has it as a table in its walk cache",
					  pfn, cpu);
	}
	for (u64 i = 0; i < n; i++)
		set(generation[pfn + i], get(generation[pfn + i]) + 1);
}

/* ---- the contract: flushing */

void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	struct host_tlb *t = my_tlb();

	if (!mm)
		return;		/* there are no kernel translations */
	for (unsigned i = 0; i < TLB_ENTRIES; i++) {
		struct cached *c = &t->tlb[i];

		if (c->id == mm->arch.id && c->tag << PAGE_SHIFT >= (start & PAGE_MASK) && c->tag << PAGE_SHIFT < end)
			cached_drop(c);
	}
	for (unsigned i = 0; tables && i < WALK_ENTRIES; i++) {
		struct cached *c = &t->walk[i];
		uintptr_t base = c->tag << pt_shift(c->level);

		if (c->id == mm->arch.id && base < end && base + pt_size(c->level) > start)
			cached_drop(c);
	}
}

void tlb_local_page(struct mm *mm, uintptr_t va)
{
	tlb_local_range(mm, va & PAGE_MASK, (va & PAGE_MASK) + PAGE_SIZE, PAGE_SHIFT, false);
}

static void drop_all(u64 id)
{
	struct host_tlb *t = my_tlb();

	for (unsigned i = 0; i < TLB_ENTRIES; i++)
		if (!id || t->tlb[i].id == id)
			cached_drop(&t->tlb[i]);
	for (unsigned i = 0; i < WALK_ENTRIES; i++)
		if (!id || t->walk[i].id == id)
			cached_drop(&t->walk[i]);
}

void tlb_local_mm(struct mm *mm)
{
	if (mm->arch.id)
		drop_all(mm->arch.id);
}

void tlb_local_all(void)
{
	drop_all(0);
}

/* ---- the contract: address spaces */

void arch_mm_init(struct mm *mm)
{
	mm->arch.id = __atomic_fetch_add(&next_id, 1, __ATOMIC_RELAXED);
}

void arch_mm_destroy(struct mm *mm)
{
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (get(tlbs[cpu].loaded) == mm->arch.id)
			host_fail("an mm is destroyed while its root is loaded on CPU %u", cpu);
}

void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
{
	/* The walker may use the old root until now. Plain, so that ThreadSanitizer sees who frees it too early. */
	(void)*(pte_t *const volatile *)&prev->root;
	set(my_tlb()->mm, NULL);
	set(my_tlb()->loaded, next->arch.id);
	set(my_tlb()->mm, next);
	if (!host_mmu.asid)
		drop_all(0);
}

void arch_root_init(pte_t *root)
{
}

/* ---- changes of entries */

/* Can the hardware be changing this entry right now? Not in tables of an address space that nobody uses. */
static bool hardware_writes(const pte_t *p, pte_t old)
{
	const struct page *table = virt_to_page(p);
	const struct mm *mm = page_type(table) == PAGE_TABLE ? table->private : NULL;

	if (!host_mmu.hw_ad || (old.v & (HPTE_P | HPTE_LEAF)) != (HPTE_P | HPTE_LEAF) || !(old.v & HPTE_U) || !mm)
		return false;
	if (!atomic_read(&mm->users))
		return false;
	/* Alone: the only user is the task that stores. */
	if (current->mm == mm && atomic_read(&mm->users) == 1)
		return false;
	return !(old.v & HPTE_A) || ((old.v & HPTE_W) && !(old.v & HPTE_D));
}

static void check_change(const pte_t *p, pte_t old, pte_t new)
{
	if (host_mmu.bbm && old.v & HPTE_P && new.v & HPTE_P && (old.v & HPTE_LEAF) == (new.v & HPTE_LEAF) &&
	    old.v >> 12 != new.v >> 12)
		host_fail("entry %p changes from frame %#llx to %#llx without break-before-make", p, old.v >> 12,
			  new.v >> 12);
}

void pte_store(pte_t *p, pte_t new)
{
	pte_t old = pte_load(p);

	check_change(p, old, new);
	if (hardware_writes(p, old))
		host_fail("plain store over entry %p (%#llx), which the hardware may be changing", p, old.v);
	__atomic_store_n(&p->v, new.v, __ATOMIC_RELEASE);
}

pte_t pte_xchg(pte_t *p, pte_t new)
{
	pte_t old = { __atomic_exchange_n(&p->v, new.v, __ATOMIC_SEQ_CST) };

	check_change(p, old, new);
	return old;
}

bool pte_cas(pte_t *p, pte_t old, pte_t new)
{
	check_change(p, old, new);
	return __atomic_compare_exchange_n(&p->v, &old.v, new.v, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* ---- access */

static bool permits(u64 pte, unsigned access)
{
	u64 need = HPTE_U | (access & FAULT_WRITE ? HPTE_W : access & FAULT_EXEC ? HPTE_X : HPTE_R);

	if ((pte & need) != need || !(pte & HPTE_A))
		return false;
	return !(access & FAULT_WRITE) || pte & HPTE_D;
}

/* Walk and fill. 0 and *pte, or the FAULT_* bits beyond `access`. */
static bool walk(struct host_tlb *t, struct mm *mm, uintptr_t va, unsigned access, u64 *pte, unsigned *fault)
{
	int level = PT_LEVELS - 1;
	pte_t *table = mm->root, *e;
	struct cached *c;

	for (int l = 1; l < PT_LEVELS; l++) {
		c = cached_find(t->walk, WALK_ENTRIES, l, mm->arch.id, va);
		if (c) {
			check_alive(c, va, "walk-cache entry");
			table = phys_to_virt(c->pte >> 12 << PAGE_SHIFT);
			level = l - 1;
			break;
		}
	}
	for (;;) {
		pte_t v, new;

		e = &table[pt_index(level, va)];
again:
		v = pte_load(e);
		if (!(v.v & HPTE_P)) {
			if (host_mmu.negative)
				cached_add(t, t->tlb, TLB_ENTRIES, 0, mm->arch.id, va, 0);
			*fault = access;
			return false;
		}
		if (!(v.v & HPTE_LEAF)) {
			if (!level)
				host_fail("entry %#llx at %#lx: a table pointer at level 0", v.v, va);
			cached_add(t, t->walk, WALK_ENTRIES, level, mm->arch.id, va, v.v);
			table = phys_to_virt(v.v >> 12 << PAGE_SHIFT);
			level--;
			continue;
		}
		if (level)
			host_fail("entry %#llx at %#lx: a leaf at level %d", v.v, va, level);
		new = v;
		if (host_mmu.hw_ad && (v.v & HPTE_U)) {
			new.v |= HPTE_A;
			if (access & FAULT_WRITE && v.v & HPTE_W)
				new.v |= HPTE_D;
		}
		if (!permits(new.v, access)) {
			*fault = access | FAULT_PRESENT;
			return false;
		}
		if (new.v != v.v &&
		    !__atomic_compare_exchange_n(&e->v, &v.v, new.v, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			goto again;
		cached_add(t, t->tlb, TLB_ENTRIES, 0, mm->arch.id, va, new.v);
		*pte = new.v;
		return true;
	}
}

/* One attempt. 0, or the bits of the fault. No interrupt is taken between the look into the TLB and the access. */
static unsigned try_access(struct mm *mm, uintptr_t va, unsigned access, u64 *value)
{
	struct host_tlb *t = my_tlb();
	struct cached *c;
	unsigned fault;
	u64 pte, *at;

	if (get(t->loaded) != mm->arch.id)
		host_fail("CPU %u runs a task whose address space is not loaded", cpu_id());
	c = cached_find(t->tlb, TLB_ENTRIES, 0, mm->arch.id, va);
	if (c && permits(c->pte, access)) {
		check_alive(c, va, "translation");
		pte = c->pte;
	} else if (c && !(c->pte & HPTE_P)) {
		return access;
	} else if (c && !(host_mmu.hw_ad && access & FAULT_WRITE &&
			  (c->pte & (HPTE_U | HPTE_W | HPTE_D)) == (HPTE_U | HPTE_W))) {
		/* The TLB says no: the page tables are not asked again, unless it is only to set the dirty bit. */
		return access | FAULT_PRESENT;
	} else if (!walk(t, mm, va, access, &pte, &fault)) {
		return fault;
	}
	at = (u64 *)((char *)phys_to_virt(pte >> 12 << PAGE_SHIFT) + (va & ~PAGE_MASK));
	if (access & FAULT_WRITE)
		__atomic_store_n(at, *value, __ATOMIC_RELAXED);
	else
		*value = __atomic_load_n(at, __ATOMIC_RELAXED);
	return 0;
}

int host_access(uintptr_t va, bool write, u64 *value)
{
	struct mm *mm = current->mm;
	unsigned access = FAULT_USER | (write ? FAULT_WRITE : 0);

	va &= ~7ul;
	for (unsigned tries = 0; tries < 100000; tries++) {
		unsigned fault;
		int err;

		host_poll();
		if (va >= USER_TOP)
			return -EFAULT;
		fault = try_access(mm, va, access, value);
		if (!fault)
			return 0;
		err = handle_mm_fault(mm, va, fault);
		if (err)
			return err;
	}
	host_fail("CPU %u: a %s of %#lx faults for ever", cpu_id(), write ? "write" : "read", va);
}

/* ---- the contract: the kernel's access to user memory, byte by byte through the MMU */

static size_t user_bytes(uintptr_t va, char *k, size_t n, bool write)
{
	size_t done;

	for (done = 0; done < n; done++) {
		uintptr_t at = va + done;
		u64 word;

		if (host_access(at, false, &word))
			break;
		if (write) {
			((char *)&word)[at & 7] = k ? k[done] : 0;
			if (host_access(at, true, &word))
				break;
		} else {
			k[done] = ((char *)&word)[at & 7];
		}
	}
	return n - done;
}

size_t arch_copy_from_user(void *dst, const void *usrc, size_t n)
{
	return user_bytes((uintptr_t)usrc, dst, n, false);
}

size_t arch_copy_to_user(void *udst, const void *src, size_t n)
{
	return user_bytes((uintptr_t)udst, (char *)(uintptr_t)src, n, true);
}

size_t arch_clear_user(void *udst, size_t n)
{
	return user_bytes((uintptr_t)udst, NULL, n, true);
}
