/*
 * Address spaces: loading them, their ids, TLB invalidation.
 *
 * A context is the next value of one counter that only grows: low bits the ASID (0 is left out, it belongs to the
 * kernel's own tables), the rest a generation. An mm gets a context when it is first loaded, and another when it is
 * loaded on a CPU that has gone on to a later generation. What a CPU may have in its TLB is of one generation,
 * cpu->arch.asid_gen; to go on to a later one it loads the new root, then drops everything. So on each CPU, by itself:
 *
 *   - within its generation an ASID belongs to one mm for ever: nothing to flush when an mm dies, or at a switch;
 *   - an mm whose context is of the CPU's generation has translations under that ASID only;
 *   - an mm with an older context has none: they went when the CPU went on;
 *   - an mm with a newer context (it was loaded elsewhere meanwhile) may have some under an ASID that nobody knows any
 *   more: flush all.
 *
 * ASIDs are the hart's own, so other CPUs' generations do not matter. No locks: the counter and mm->arch.ctx are
 * atomic, the rest is the CPU's own with interrupts off.
 */
#include <arch/boot.h>
#include <arch/ctx.h>
#include <arch/tlb.h>

#include "arch/riscv64/port.h"
#include "arch/riscv64/sbi.h"
#include "kernel/cpu.h"
#include "lib/atomic.h"
#include "mm/kmap.h"
#include "mm/mm.h"

unsigned rv_asid_bits;
bool sbi_has_rfence;
u64 rv_kernel_satp;
static u64 last_context;	/* atomic */

void rv_mmu_init(void)
{
	u64 satp = csr_read(CSR_SATP), seen;

	csr_write(CSR_SATP, satp | (u64)SATP_ASID_MASK << SATP_ASID_SHIFT);
	seen = csr_read(CSR_SATP) >> SATP_ASID_SHIFT & SATP_ASID_MASK;
	csr_write(CSR_SATP, satp);
	tlb_local_all();
	rv_asid_bits = seen ? 64 - (unsigned)__builtin_clzll(seen) : 0;
	last_context = 1ull << rv_asid_bits;	/* generation 1, ASID 0 */
	rv_kernel_satp = satp;
	sbi_has_rfence = sbi_probe(SBI_RFENCE);
}

void rv_mmu_cpu_init(void)
{
	this_cpu()->arch.asid_gen = 1;
}

void arch_load_kernel_root(u64 root)
{
	rv_kernel_satp = rv_layout.satp | root >> PAGE_SHIFT;
	csr_write(CSR_SATP, rv_kernel_satp);
	tlb_local_all();
}

/*
 * The kernel's entries: few, and the same for ever once mm/kmap.c is done. Callers may come together; they all find the
 * same.
 */
void arch_root_init(pte_t *root)
{
	static u16 slots[256];
	static unsigned nr_slots;	/* written last */
	unsigned n = smp_load_acquire(&nr_slots);
	const pte_t *kernel = init_mm.root;

	if (!n) {
		for (unsigned i = 256; i < 512; i++)
			if (!pte_none(pte_load(&kernel[i])))
				slots[n++] = (u16)i;
		smp_store_release(&nr_slots, n);
	}
	for (unsigned i = 0; i < n; i++)
		pte_store(&root[slots[i]], pte_load(&kernel[slots[i]]));
}

void arch_mm_init(struct mm *mm)
{
	mm->arch.ctx = 0;
}

static inline u64 asid_of(u64 ctx)
{
	return ctx & ((1ull << rv_asid_bits) - 1);
}

static inline void load_root(const struct mm *mm, u64 asid)
{
	csr_write(CSR_SATP, rv_layout.satp | asid << SATP_ASID_SHIFT | virt_to_phys(mm->root) >> PAGE_SHIFT);
}

/* The context under which this CPU may load mm: of its own generation or a later one. */
static u64 new_context(struct mm *mm, u64 gen)
{
	u64 ctx = READ_ONCE(mm->arch.ctx), new;

	while (ctx >> rv_asid_bits < gen) {
		do
			new = __atomic_add_fetch(&last_context, 1, __ATOMIC_RELAXED);
		while (!asid_of(new));
		if (try_cmpxchg(&mm->arch.ctx, &ctx, new))
			return new;
	}
	return ctx;
}

static noinline void switch_slow(struct mm *next, struct arch_cpu *c)
{
	u64 ctx;

	if (!rv_asid_bits || next == &init_mm) {
		load_root(next, 0);
		if (!rv_asid_bits)
			__asm__ volatile("sfence.vma zero, %0" : : "r"(0ul) : "memory");
		return;
	}
	ctx = new_context(next, c->asid_gen);
	load_root(next, asid_of(ctx));
	if (ctx >> rv_asid_bits != c->asid_gen) {
		c->asid_gen = ctx >> rv_asid_bits;
		tlb_local_all();
	}
}

void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
{
	struct arch_cpu *c = &this_cpu()->arch;
	u64 ctx = READ_ONCE(next->arch.ctx);

	if (likely(ctx >> rv_asid_bits == c->asid_gen && rv_asid_bits))
		load_root(next, asid_of(ctx));
	else
		switch_slow(next, c);
}

/* Does this CPU have translations of mm under a known ASID? If not, and if there may be any, everything goes. */
static bool known_asid(struct mm *mm, u64 *asid)
{
	u64 ctx = READ_ONCE(mm->arch.ctx), gen = this_cpu()->arch.asid_gen;

	*asid = asid_of(ctx);
	if (!rv_asid_bits || likely(ctx >> rv_asid_bits == gen))
		return true;
	if (ctx >> rv_asid_bits > gen)
		tlb_local_all();
	return false;
}

static inline void fence_page(uintptr_t va, u64 asid)
{
	__asm__ volatile("sfence.vma %0, %1" : : "r"(va), "r"(asid) : "memory");
}

static inline void fence_asid(u64 asid)
{
	__asm__ volatile("sfence.vma zero, %0" : : "r"(asid) : "memory");
}

void tlb_local_page(struct mm *mm, uintptr_t va)
{
	u64 asid;

	if (!mm)
		__asm__ volatile("sfence.vma %0" : : "r"(va) : "memory");
	else if (known_asid(mm, &asid))
		fence_page(va, asid);
}

void tlb_local_mm(struct mm *mm)
{
	u64 asid;

	if (known_asid(mm, &asid))
		fence_asid(asid);
}

void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	bool full = tables || tlb_local_range_is_full((end - start) >> shift);
	u64 asid;

	if (!mm) {
		if (full)
			tlb_local_all();
		else
			for (uintptr_t va = start; va < end; va += 1ul << shift)
				tlb_local_page(NULL, va);
		return;
	}
	if (!known_asid(mm, &asid))
		return;
	if (full)
		fence_asid(asid);
	else
		for (uintptr_t va = start; va < end; va += 1ul << shift)
			fence_page(va, asid);
}

/*
 * Whatever the ASIDs are on the CPUs: all of them. The fence reaches the caller as well. Harts come in masks of 64 from
 * a base that we choose.
 */
static void remote_fence(struct mm *mm, uintptr_t start, u64 size)
{
	struct cpumask left;
	unsigned cpu;

	smp_mb();
	cpumask_copy(&left, mm ? &mm->cpumask : &cpu_online_mask);
	while (!cpumask_empty(&left)) {
		u64 base = ~0ull, mask = 0;

		for_each_cpu(cpu, &left) {
			u64 hart = boot_info.hwid[cpu];

			if (base == ~0ull)
				base = align_down(hart, 64);
			if (hart - base < 64) {
				mask |= 1ull << (hart - base);
				__cpumask_clear(&left, cpu);
			}
		}
		sbi_call(SBI_RFENCE, SBI_RFENCE_VMA, mask, base, start, size);
	}
}

void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	if (tables || tlb_local_range_is_full((end - start) >> shift))
		remote_fence(mm, 0, ~0ull);
	else
		remote_fence(mm, start, end - start);
}

void tlb_broadcast_mm(struct mm *mm)
{
	remote_fence(mm, 0, ~0ull);
}
