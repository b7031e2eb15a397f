/*
 * Address spaces: loading them, their ids (ASIDs), TLB invalidation; instruction cache.
 *
 * A context is a generation and an ASID. An mm has one context for all CPUs, because invalidation may be broadcast, so
 * ASIDs run out for all together: then the generation is raised, every ASID is free again but for those that are loaded
 * somewhere, and each CPU drops all translations before it loads an address space of the new generation.
 *
 *   asid_active	of a CPU: what it has loaded, taken without the lock if it is of the current generation. A
 *			roll-over exchanges it for 0, which sends the CPU to the slow path next time.
 *   asid_reserved	what it had loaded at the last roll-over: still in use there, and still the mm's, under the new
 *			generation's name.
 *
 * Why a CPU's stale translations do no harm: those of an ASID that changed hands were made before the roll-over, and go
 * before the CPU loads anything else; until then it runs under its reserved ASID, which did not change hands.
 *
 * ASID 0 belongs to an empty table, which is loaded while only the kernel is needed.
 *
 * Locks: asid_lock (interrupts off; taken under a run queue's) protects all but the fast path.
 */
#include <arch/boot.h>
#include <arch/ctx.h>
#include <arch/tlb.h>

#include "arch/arm64/port.h"
#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/atomic.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/mm.h"

#define ASID_MASK  0xffffull
#define GENERATION 0x10000ull
#define MAX_ASIDS  0x10000u

u64 a64_kernel_root;
bool a64_hw_ad;

static pte_t empty_root[512] __aligned(4096);

static spinlock_t asid_lock = SPINLOCK_INIT(RANK_IPI);
static u64 generation = GENERATION; /* atomic; changed under asid_lock */
static unsigned nr_asids;
static unsigned next_asid = 1;			   /* asid_lock: where to look */
static unsigned long used[MAX_ASIDS / 64] = { 1 }; /* asid_lock: in this generation */

static unsigned asids_of_this_cpu(void)
{
	return (sysreg_read(id_aa64mmfr0_el1) >> 4 & 15) == 2 ? 1u << 16 : 1u << 8;
}

/*
 * The first barrier: this CPU's bit in the mask must be visible before a walk from the new root, which `dmb` does not
 * order. The last: a walk of the old tables that the CPU began ahead of the isb, for no instruction of ours, may still
 * read them and set accessed bits; it is over before anybody is told that they may be freed. What it leaves in the TLB
 * has an ASID that is not used again before it is flushed, so nothing has to be invalidated here.
 */
static inline void load_user_root(u64 root, u64 asid)
{
	dsb(ish);
	sysreg_write(ttbr0_el1, root | asid << 48);
	isb();
	dsb(nsh);
}

void a64_mmu_init(void)
{
	nr_asids = asids_of_this_cpu();
	a64_hw_ad = (sysreg_read(id_aa64mmfr1_el1) & 15) >= 2;
}

/* The first page at its physical address is needed no more on this CPU. */
void a64_mmu_cpu_init(void)
{
	if (asids_of_this_cpu() < nr_asids)
		panic("CPU %u has fewer address-space ids than the boot CPU", cpu_id());
	load_user_root(a64_image_phys(empty_root), 0);
	tlb_local_all();
}

void arch_load_kernel_root(u64 root)
{
	void (*replace)(u64, u64) = (void (*)(u64, u64))(uintptr_t)a64_image_phys(a64_replace_root);

	a64_kernel_root = root;
	a64_clean_to_memory(&a64_kernel_root, sizeof(a64_kernel_root));
	dsb(ishst); /* the new tables, for the walker */
	load_user_root(a64_image_phys(a64_idmap), 0);
	replace(root, a64_image_phys(empty_root));
	a64_mmu_cpu_init();
	a64_console_map();
}

void arch_mm_init(struct mm *mm)
{
	mm->arch.ctx = 0;
}

/* All ASIDs are taken: the next generation. asid_lock held. */
static void roll_over(void)
{
	WRITE_ONCE(generation, generation + GENERATION);
	memset(used, 0, sizeof(used));
	used[0] = 1;
	for (unsigned i = 0; i < nr_cpus; i++) {
		struct arch_cpu *c = &cpus[i]->arch;
		u64 ctx = xchg(&c->asid_active, 0);

		if (ctx) /* else there was no switch since the last roll-over */
			c->asid_reserved = ctx;
		__set_bit(c->asid_reserved & ASID_MASK, used);
		c->tlb_flush = 1;
	}
}

/* A context of the current generation: the same ASID again, if that is possible. asid_lock held. */
static u64 new_context(u64 old)
{
	u64 same = generation | (old & ASID_MASK);
	bool reserved = false;
	unsigned asid;

	if (old) {
		for (unsigned i = 0; i < nr_cpus; i++) {
			if (cpus[i]->arch.asid_reserved == old) {
				cpus[i]->arch.asid_reserved = same;
				reserved = true;
			}
		}
		if (reserved || !test_bit(old & ASID_MASK, used)) {
			__set_bit(old & ASID_MASK, used);
			return same;
		}
	}
	asid = find_next_zero_bit(used, nr_asids, next_asid);
	if (asid >= nr_asids) {
		roll_over();
		asid = find_next_zero_bit(used, nr_asids, 1);
	}
	__set_bit(asid, used);
	next_asid = asid + 1;
	return generation | asid;
}

static noinline u64 switch_slow(struct mm *next, struct arch_cpu *c)
{
	u64 ctx;

	spin_lock(&asid_lock);
	ctx = next->arch.ctx;
	if ((ctx ^ generation) & ~ASID_MASK) {
		ctx = new_context(ctx);
		WRITE_ONCE(next->arch.ctx, ctx);
	}
	if (c->tlb_flush) {
		c->tlb_flush = 0;
		tlb_local_all();
	}
	WRITE_ONCE(c->asid_active, ctx);
	spin_unlock(&asid_lock);
	/* The context before the first walk: pairs with the dsb before the context is read, in invalidate(). */
	dsb(ish);
	return ctx;
}

/*
 * The fast path needs no order: either the exchange finds what a roll-over left, 0, and the lock shows the new
 * generation; or the roll-over's exchange finds this context, and reserves it.
 */
void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
{
	struct arch_cpu *c = &this_cpu()->arch;
	u64 ctx = READ_ONCE(next->arch.ctx), active = READ_ONCE(c->asid_active);

	if (next == &init_mm) {
		load_user_root(a64_image_phys(empty_root), 0);
		return;
	}
	if (unlikely(!active || (ctx ^ READ_ONCE(generation)) & ~ASID_MASK ||
		     !try_cmpxchg_relaxed(&c->asid_active, &active, ctx)))
		ctx = switch_slow(next, c);
	load_user_root(virt_to_phys(next->root), ctx & ASID_MASK);
}

#define tlbi(op, everywhere, operand)                                                      \
	do {                                                                               \
		if (everywhere)                                                            \
			__asm__ volatile("tlbi " op "is, %0" : : "r"(operand) : "memory"); \
		else                                                                       \
			__asm__ volatile("tlbi " op ", %0" : : "r"(operand) : "memory");   \
	} while (0)

static __always_inline void tlbi_page(bool kernel, bool tables, bool everywhere, u64 operand)
{
	if (kernel && tables)
		tlbi("vaae1", everywhere, operand);
	else if (kernel)
		tlbi("vaale1", everywhere, operand);
	else if (tables)
		tlbi("vae1", everywhere, operand);
	else
		tlbi("vale1", everywhere, operand);
}

/*
 * mm == NULL: the kernel's. An mm without a context was never loaded. Where it is loaded or was, the context that is
 * read here is the one under which it has translations: if another CPU just gives it a new one, then that CPU will walk
 * entries that were stored before the first dsb (switch_slow), and older translations are never used again.
 */
static __always_inline void invalidate(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables,
				       bool whole, bool everywhere)
{
	u64 asid = 0;

	if (everywhere)
		dsb(ish);
	else
		dsb(nshst);
	if (mm) {
		asid = READ_ONCE(mm->arch.ctx) << 48;
		if (!asid)
			return;
	}
	if (!whole) {
		for (uintptr_t va = start; va < end; va += 1ul << shift)
			tlbi_page(!mm, tables, everywhere, asid | (va >> PAGE_SHIFT & 0xfffffffffff));
	} else if (mm) {
		tlbi("aside1", everywhere, asid);
	} else if (everywhere) {
		__asm__ volatile("tlbi vmalle1is" : : : "memory");
	} else {
		__asm__ volatile("tlbi vmalle1" : : : "memory");
	}
	if (everywhere)
		dsb(ish);
	else
		dsb(nsh);
	isb();
}

void tlb_local_page(struct mm *mm, uintptr_t va)
{
	invalidate(mm, va, va + 1, PAGE_SHIFT, false, false, false);
}

void tlb_local_mm(struct mm *mm)
{
	invalidate(mm, 0, 0, PAGE_SHIFT, true, true, false);
}

void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	invalidate(mm, start, end, shift, tables, tlb_local_range_is_full((end - start) >> shift), false);
}

void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	invalidate(mm, start, end, shift, tables, tlb_local_range_is_full((end - start) >> shift), true);
}

void tlb_broadcast_mm(struct mm *mm)
{
	invalidate(mm, 0, 0, PAGE_SHIFT, true, true, true);
}

static inline u64 line_size(u64 ctr_field)
{
	return 4ull << (ctr_field & 15);
}

void a64_clean_to_memory(const void *p, size_t len)
{
	u64 line = line_size(sysreg_read(ctr_el0) >> 16);

	for (uintptr_t at = align_down((uintptr_t)p, line); at < (uintptr_t)p + len; at += line)
		__asm__ volatile("dc cvac, %0" : : "r"(at) : "memory");
	dsb(sy);
}

/*
 * Data is cleaned to where instruction fetch looks, then old instructions are dropped, on all CPUs (ish); CTR_EL0 says
 * if either is needed. The other CPUs' pipelines are emptied by the exception return to user mode. A cache that
 * is indexed by virtual address cannot be told by ours: all of it goes.
 */
void icache_sync(void *kva, size_t len)
{
	u64 ctr = sysreg_read(ctr_el0), line;
	uintptr_t start = (uintptr_t)kva, end = start + len;

	if (!(ctr >> 28 & 1)) {
		line = line_size(ctr >> 16);
		for (uintptr_t at = align_down(start, line); at < end; at += line)
			__asm__ volatile("dc cvau, %0" : : "r"(at) : "memory");
	}
	dsb(ish);
	if (!(ctr >> 29 & 1)) {
		line = line_size(ctr);
		if ((ctr >> 14 & 3) != 3)
			__asm__ volatile("ic ialluis" : : : "memory");
		else
			for (uintptr_t at = align_down(start, line); at < end; at += line)
				__asm__ volatile("ic ivau, %0" : : "r"(at) : "memory");
		dsb(ish);
	}
	isb();
}
