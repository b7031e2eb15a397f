/*
 * The contract, parts 1 to 3: page-table entries, TLB, contexts. A port runs the arch_* suites first; they use little
 * of the rest.
 *
 * Faulting accesses to kernel addresses go through the user access functions, which recover through the exception
 * table. A port whose functions use unprivileged accesses cannot look at kernel addresses that way: those tests are
 * skipped there.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/ctx.h>
#include <arch/tlb.h>
#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/mman.h"
#include "mm/palloc.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "tests/kernel/space.h"

extern char _text[], _text_end[], _rodata_start[], _rodata_end[], _data_start[], _end[];

/* ---- the shape of the address space */

KTEST(arch_mmu, geometry)
{
	int top = PT_LEVELS - 1;

	KT_ASSERT(PT_LEVELS >= 2 && PT_LEVELS <= PT_MAX_LEVELS);
	KT_EQ(PAGE_SHIFT, 12);
	KT_EQ(pt_shift(0), PAGE_SHIFT);
	KT_EXPECT(pt_leaf_ok(0));
	for (int l = 0; l < PT_LEVELS; l++) {
		KT_EXPECT(pt_bits(l) >= 4 && pt_bits(l) <= 16);
		KT_EXPECT(pt_table_bytes(l) <= 64 * 1024);
		if (l < top)
			KT_EQ(pt_shift(l + 1), pt_shift(l) + pt_bits(l));
		KT_EXPECT(l == 0 || l == top || pt_table_bytes(l) >= PAGE_SIZE);
		KT_EQ(pt_index(l, pt_size(l)), 1);
		KT_EQ(pt_index(l, pt_size(l) - 1), 0);
	}
	KT_EXPECT(pt_table_bytes(0) <= PAGE_SIZE);	/* its lock is in the descriptor of its page */
	KT_EXPECT(PTE_SOFT_BITS >= 50);
}

KTEST(arch_mmu, layout)
{
	KT_EXPECT(is_aligned(USER_TOP, PAGE_SIZE) && USER_TOP >= 1ul << 36);
	KT_EXPECT(is_aligned(DIRECT_MAP_BASE, 1ul << 30) && is_aligned(VMEMMAP_BASE, 1ul << 30));
	KT_EXPECT(is_aligned(VMALLOC_BASE, PAGE_SIZE) && VMALLOC_END - VMALLOC_BASE >= 1ul << 30);
	KT_EXPECT(DIRECT_MAP_BASE >= USER_TOP && VMEMMAP_BASE >= USER_TOP && VMALLOC_BASE >= USER_TOP &&
		  KERNEL_BASE >= USER_TOP);
	KT_EXPECT((uintptr_t)_text == KERNEL_BASE);
	/* Kernel regions do not overlap. */
	KT_EXPECT(VMALLOC_END <= DIRECT_MAP_BASE ||
		  VMALLOC_BASE >= DIRECT_MAP_BASE + (uintptr_t)(MAX_PFN << PAGE_SHIFT));
	KT_EXPECT(VMALLOC_END <= VMEMMAP_BASE ||
		  VMALLOC_BASE >= VMEMMAP_BASE + (uintptr_t)MAX_PFN * sizeof(struct page));
	KT_EXPECT(VMALLOC_END <= KERNEL_BASE || VMALLOC_BASE >= (uintptr_t)_end);
	KT_EQ(virt_to_phys(phys_to_virt(0x12345678)), 0x12345678);
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		KT_EXPECT((boot_info.ram[i].base + boot_info.ram[i].size - 1) >> PAGE_SHIFT <= MAX_PFN);
}

/* ---- entries as values */

static const unsigned prots[] = {
	PROT_R, PROT_R | PROT_W, PROT_R | PROT_X, PROT_R | PROT_W | PROT_X,
	PROT_R | PROT_U, PROT_R | PROT_W | PROT_U, PROT_R | PROT_X | PROT_U, PROT_R | PROT_W | PROT_X | PROT_U,
	PROT_R | PROT_G, PROT_R | PROT_W | PROT_G, PROT_R | PROT_W | PROT_DEV | PROT_G,
};

static const u64 pfns[] = { 0, 1, 0x200, 0x12345, 0x80000, 0xfffff, 0x1000000 };

/* A port without hardware dirty bits keeps clean user entries unwritable until they are dirty. */
static bool shows_write(unsigned prot)
{
	return PTE_HW_AD || !(prot & PROT_U);
}

KTEST(arch_mmu, zero_is_none)
{
	pte_t e;

	memset(&e, 0, sizeof(e));
	KT_EXPECT(pte_none(e) && !pte_present(e) && !pte_soft(e));
	KT_EXPECT(!pte_leaf(e) && !pte_table(e));
}

KTEST(arch_mmu, make_leaf)
{
	for (unsigned i = 0; i < ARRAY_SIZE(prots); i++) {
		unsigned prot = prots[i];

		for (unsigned k = 0; k < ARRAY_SIZE(pfns); k++) {
			pte_t e = pte_make(pfns[k], pgprot_make(prot));

			KT_ASSERT(pte_present(e) && !pte_none(e) && !pte_soft(e) && !pte_special(e));
			KT_EQ(pte_pfn(e), pfns[k]);
			KT_EQ(pte_exec(e), !!(prot & PROT_X));
			KT_EQ(pte_user(e), !!(prot & PROT_U));
			KT_EXPECT(!(prot & PROT_U) || !pte_dirty(e));
			if (shows_write(prot))
				KT_EQ(pte_write(e), !!(prot & PROT_W));
		}
		for (int l = 1; l < PT_LEVELS; l++) {
			u64 pfn = 3ull << (pt_shift(l) - PAGE_SHIFT);
			pte_t e;

			if (!pt_leaf_ok(l))
				continue;
			e = pte_make_leaf(pfn, pgprot_make(prot), l);
			KT_ASSERT(pte_present(e) && pte_leaf(e) && !pte_table(e) && !pte_none(e) && !pte_soft(e));
			KT_EQ(pte_pfn(e), pfn);
			KT_EQ(pte_exec(e), !!(prot & PROT_X));
			e = pte_mkdirty(pte_mkyoung(e));
			KT_EXPECT(pte_leaf(e) && !pte_table(e) && pte_dirty(e) && pte_pfn(e) == pfn);
		}
	}
	for (unsigned k = 0; k < ARRAY_SIZE(pfns); k++) {
		pte_t e = pte_make_table(pfns[k]);

		KT_EXPECT(pte_present(e) && pte_table(e) && !pte_leaf(e) && !pte_soft(e) && !pte_none(e));
		KT_EQ(pte_pfn(e), pfns[k]);
	}
}

KTEST(arch_mmu, no_access_leaf)
{
	pte_t e = pte_make(0x1234, pgprot_make(0));

	KT_EXPECT(pte_present(e) && !pte_none(e) && !pte_soft(e) && !pte_write(e) && !pte_user(e) && !pte_dirty(e));
	KT_EQ(pte_pfn(e), 0x1234);
}

KTEST(arch_mmu, soft_entries)
{
	const u64 max = (1ull << PTE_SOFT_BITS) - 1,
		  payloads[] = { 0, 1, 2, 0x5555555555555 & max, 0xaaaaaaaaaaaaa & max, max - 1, max };

	for (unsigned i = 0; i < ARRAY_SIZE(payloads); i++) {
		pte_t e = pte_make_soft(payloads[i]);

		KT_EXPECT(pte_soft(e) && !pte_none(e) && !pte_present(e) && !pte_leaf(e) && !pte_table(e));
		KT_EXPECT(pte_soft_payload(e) == payloads[i]);
	}
	for (unsigned bit = 0; bit < PTE_SOFT_BITS; bit++)
		KT_EXPECT(pte_soft_payload(pte_make_soft(1ull << bit)) == 1ull << bit);
}

enum { YOUNG = 1, DIRTY = 2, WRITE = 4, SPECIAL = 8, EXEC = 16, USER = 32 };

static unsigned traits(pte_t e)
{
	return (pte_young(e) ? YOUNG : 0) | (pte_dirty(e) ? DIRTY : 0) | (pte_write(e) ? WRITE : 0) |
	       (pte_special(e) ? SPECIAL : 0) | (pte_exec(e) ? EXEC : 0) | (pte_user(e) ? USER : 0);
}

/* Of a and b, only the traits in `may` differ; those in `set` are there, those in `clear` are not. */
static bool changed_only(pte_t a, pte_t b, unsigned may, unsigned set, unsigned clear)
{
	unsigned ta = traits(a), tb = traits(b);

	return !((ta ^ tb) & ~may) && (tb & set) == set && !(tb & clear) && pte_pfn(a) == pte_pfn(b) && pte_present(b);
}

KTEST(arch_mmu, modifiers_change_one_thing)
{
	const unsigned w = PTE_HW_AD ? 0 : WRITE;	/* in software, dirty and writable are one */

	for (unsigned i = 0; i < ARRAY_SIZE(prots); i++) {
		pte_t e = pte_make(0x12345, pgprot_make(prots[i]));

		for (unsigned k = 0; k < 16; k++) {
			if (k & 1)
				e = pte_mkdirty(e);
			if (k & 2)
				e = pte_mkold(e);
			if (k & 4)
				e = pte_mkspecial(e);
			if (k & 8)
				e = pte_wrprotect(e);
			KT_EXPECT(changed_only(e, pte_mkold(e), YOUNG, 0, YOUNG));
			KT_EXPECT(changed_only(e, pte_mkyoung(e), YOUNG, YOUNG, 0));
			KT_EXPECT(changed_only(e, pte_mkdirty(e), DIRTY | w, DIRTY, 0));
			KT_EXPECT(changed_only(e, pte_mkclean(e), DIRTY | w, 0, DIRTY));
			KT_EXPECT(changed_only(e, pte_wrprotect(e), WRITE, 0, WRITE));
			KT_EXPECT(changed_only(e, pte_mkspecial(e), SPECIAL, SPECIAL, 0));
			KT_EXPECT(changed_only(e, pte_mkwrite(pte_mkdirty(e)), WRITE | DIRTY, WRITE | DIRTY, 0));
			e = pte_make(0x12345, pgprot_make(prots[i]));
		}
	}
}

KTEST(arch_mmu, modify_keeps_the_page)
{
	const unsigned user[] = { 0, PROT_R | PROT_U, PROT_R | PROT_W | PROT_U, PROT_R | PROT_X | PROT_U,
				  PROT_R | PROT_W | PROT_X | PROT_U };

	for (unsigned from = 0; from < ARRAY_SIZE(user); from++) {
		for (unsigned to = 0; to < ARRAY_SIZE(user); to++) {
			for (unsigned k = 0; k < 8; k++) {
				pte_t e = pte_make(0xabcde, pgprot_make(user[from])), m;

				if (k & 1)
					e = pte_mkdirty(e);
				if (k & 2)
					e = pte_mkold(e);
				if (k & 4)
					e = pte_mkspecial(e);
				m = pte_modify(e, pgprot_make(user[to]));
				KT_EXPECT(pte_present(m));
				KT_EXPECT(changed_only(e, m, WRITE | EXEC | USER, 0, 0));
				KT_EQ(pte_user(m), !!(user[to] & PROT_U));
				if (user[to])
					KT_EQ(pte_exec(m), !!(user[to] & PROT_X));
				if (PTE_HW_AD)
					KT_EQ(pte_write(m), !!(user[to] & PROT_W));
			}
		}
	}
}

KTEST(arch_mmu, entries_in_memory)
{
	pte_t a = pte_make(0x111, pgprot_make(PROT_R | PROT_U)),
	      b = pte_make(0x222, pgprot_make(PROT_R | PROT_W | PROT_U));
	pte_t slot[3];

	memset(slot, 0, sizeof(slot));
	pte_store(&slot[1], a);
	KT_EXPECT(pte_load(&slot[1]).v == a.v);
	KT_EXPECT(pte_xchg(&slot[1], b).v == a.v && pte_load(&slot[1]).v == b.v);
	KT_EXPECT(!pte_cas(&slot[1], a, a) && pte_load(&slot[1]).v == b.v);
	KT_EXPECT(pte_cas(&slot[1], b, a) && pte_load(&slot[1]).v == a.v);
	pte_clear(&slot[1]);
	KT_EXPECT(pte_none(pte_load(&slot[1])) && pte_none(pte_load(&slot[0])) && pte_none(pte_load(&slot[2])));
}

/* ---- kernel mappings */

static bool probe_read(const void *kva, u64 *value)
{
	return !arch_copy_from_user(value, kva, sizeof(*value));
}

/* Writes what is there already, so that nothing breaks if it succeeds. */
static bool probe_write(void *kva)
{
	u64 value = *(volatile u64 *)kva;

	return !arch_copy_to_user(kva, &value, sizeof(value));
}

static bool can_probe(void)
{
	static u64 sample = 42;
	u64 seen = 0;

	if (probe_read(&sample, &seen) && seen == 42)
		return true;
	kt_skip("user access functions do not reach kernel addresses on this port");
	return false;
}

/* The guard page of a stack is ours as long as the stack is; its table exists. */
KTEST(arch_mmu, map_and_unmap)
{
	char *stack = kstack_alloc(NODE_ANY);
	uintptr_t va = (uintptr_t)stack - PAGE_SIZE;
	u64 *a = alloc_kpages(0, GFP_KERNEL | GFP_ZERO), *b = alloc_kpages(0, GFP_KERNEL | GFP_ZERO), seen;
	volatile u64 *alias = (volatile u64 *)va;

	KT_ASSERT(stack && a && b);
	if (!can_probe())
		goto out;
	KT_EXPECT(!probe_read((void *)va, &seen));
	for (int round = 0; round < 20; round++) {
		u64 *page = round & 1 ? a : b;

		KT_EXPECT(!kernel_map(va, virt_to_phys(page), PAGE_SIZE, PROT_R | PROT_W, GFP_KERNEL));
		*page = 100 + round;
		KT_EQ(*alias, 100 + round);
		*alias = 200 + round;
		KT_EQ(READ_ONCE(*page), 200 + round);
		kernel_unmap(va, PAGE_SIZE);
		KT_EXPECT(!probe_read((void *)va, &seen));
	}
	KT_EXPECT(!kernel_map(va, virt_to_phys(a), PAGE_SIZE, PROT_R, GFP_KERNEL));
	KT_EXPECT(probe_read((void *)va, &seen) && !probe_write((void *)va));
	kernel_unmap(va, PAGE_SIZE);
out:
	free_kpages(a, 0);
	free_kpages(b, 0);
	kstack_free(stack);
}

KTEST(arch_mmu, image_is_protected)
{
	static u64 writable;
	u64 seen;

	if (!can_probe())
		return;
	KT_EXPECT(probe_write(&writable));
	KT_EXPECT(!probe_write((void *)align_up((uintptr_t)_text, 8)));
	KT_EXPECT(!probe_write((void *)(align_down((uintptr_t)_text_end, 8) - 8)));
	KT_EXPECT(!probe_write((void *)align_up((uintptr_t)_rodata_start, 8)));
	KT_EXPECT(!probe_write((void *)(align_down((uintptr_t)_rodata_end, 8) - 8)));
	/* The same memory through the direct map. */
	KT_EXPECT(!probe_write(phys_to_virt(boot_info.kernel_phys + 0x40)));
	KT_EXPECT(!probe_write(phys_to_virt(boot_info.kernel_phys + (u64)(_rodata_start - _text))));
	KT_EXPECT(probe_write(phys_to_virt(boot_info.kernel_phys + (u64)((char *)&writable - _text))));
	KT_EXPECT(!probe_read((char *)current->kstack - 8, &seen));
}

/*
 * Every kernel leaf: not both writable and executable; nothing but the image's text is executable; none is the user's.
 */
static void audit(pte_t *table, int level, uintptr_t base, unsigned *bad)
{
	for (unsigned i = 0; i < pt_entries(level); i++) {
		pte_t e = pte_load(&table[i]);
		uintptr_t va = base + ((uintptr_t)i << pt_shift(level));

		if (level == PT_LEVELS - 1)	/* the bits above, which no table translates */
			va |= KERNEL_BASE & (~0ul << (pt_shift(level) + pt_bits(level)));
		if (pte_none(e))
			continue;
		if (level && pte_table(e)) {
			audit(phys_to_virt(pte_pfn(e) << PAGE_SHIFT), level - 1, va, bad);
			continue;
		}
		if (pte_user(e) || (pte_exec(e) && pte_write(e)))
			++*bad;
		if (pte_exec(e) && (va < align_down((uintptr_t)_text, PAGE_SIZE) || va >= (uintptr_t)_text_end))
			++*bad;
	}
}

KTEST(arch_mmu, nothing_is_writable_and_executable)
{
	unsigned bad = 0;

	audit(init_mm.root, PT_LEVELS - 1, 0, &bad);
	KT_EQ(bad, 0);
}

/*
 * Calling data: the exception table has an entry for its address, so the fetch that faults goes on in probe_faulted as
 * if that had been called. What would run if nothing faulted is a copy of probe_ran.
 */
u64 arch_mmu_probe_code[8] __aligned(64);
int arch_mmu_probe_faulted(void);
int arch_mmu_probe_ran(void);

noinline int arch_mmu_probe_faulted(void)
{
	return 1;
}

noinline int arch_mmu_probe_ran(void)
{
	return 2;
}

__asm__(".pushsection __ex_table, \"a\"\n\t"
	".balign 4\n\t"
	".4byte arch_mmu_probe_code - .\n\t"
	".4byte arch_mmu_probe_faulted - .\n\t"
	".popsection");

KTEST(arch_mmu, data_does_not_execute)
{
	int (*volatile call)(void) = arch_mmu_probe_ran;

	KT_EQ(call(), 2);
	memcpy(arch_mmu_probe_code, (const void *)arch_mmu_probe_ran, sizeof(arch_mmu_probe_code));
	icache_sync(arch_mmu_probe_code, sizeof(arch_mmu_probe_code));
	call = (int (*)(void))(uintptr_t)arch_mmu_probe_code;
	KT_EQ(call(), 1);
}

KTEST(arch_mmu, direct_map_covers_ram)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		u64 base = boot_info.ram[i].base, end = base + boot_info.ram[i].size,
		    step = max((end - base) / 64, (u64)PAGE_SIZE);

		for (u64 pa = base; pa < end; pa += step) {
			int level;
			pte_t e = pte_load(pt_walk(&init_mm, (uintptr_t)phys_to_virt(pa), &level));

			KT_ASSERT(pte_present(e) && (!level || pte_leaf(e)));
			KT_EQ(pte_pfn(e), pa >> PAGE_SHIFT & ~((1ull << (pt_shift(level) - PAGE_SHIFT)) - 1));
		}
	}
}

KTEST(arch_mmu, fresh_root_has_the_kernel)
{
	pte_t *root = pt_alloc_root();
	int top = PT_LEVELS - 1;
	const uintptr_t kernel[] = { DIRECT_MAP_BASE, VMEMMAP_BASE, VMALLOC_BASE, KERNEL_BASE };

	KT_ASSERT(root);
	for (unsigned i = 0; i <= pt_index(top, USER_TOP - 1); i++)
		KT_EXPECT(pte_none(pte_load(&root[i])));
	/* Ports with a kernel root of its own have nothing of it in a user root. */
	if (!pte_none(pte_load(&root[pt_index(top, KERNEL_BASE)])))
		for (unsigned i = 0; i < ARRAY_SIZE(kernel); i++)
			KT_EXPECT(pte_load(&root[pt_index(top, kernel[i])]).v ==
				  pte_load(&init_mm.root[pt_index(top, kernel[i])]).v);
	pt_free_root(root);
}
