/*
 * Address spaces: loading them, their PIDs, TLB invalidation.
 *
 * The process table says for each PID where its tree is; PIDR says which PID translates user addresses now. PID 0 is
 * the kernel's own tree, PID 1 an empty one: what init_mm has in the user half. An mm gets a PID when it is first
 * loaded and keeps it until it is destroyed, so an entry of the table never changes while a CPU may have read it, and
 * no CPU has stale translations under a PID in use. A PID that was given back is dirty: TLBs may hold translations
 * under it. When there is no clean one left, everything is dropped on all CPUs, and the dirty ones are clean again.
 *
 * There are twice as many PIDs as tasks, so one can always be found.
 *
 * Locks: pid_lock, with interrupts off, for the two bitmaps and for giving an mm its PID.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/ctx.h>
#include <arch/tlb.h>

#include "arch/ppc64/port.h"
#include "mm/palloc.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/mm.h"

#define PID_BITS   16
#define NR_PIDS	   (1u << PID_BITS)
#define PID_KERNEL 0u
#define PID_EMPTY  1u
#define PID_FIRST  2u

/* RIC of tlbie and tlbiel: what goes */
#define RIC_TLB 0
#define RIC_ALL 2 /* translations, walk caches, and process-table entries */

#define IS_PID (1ull << 10) /* all of a PID */
#define IS_ALL (2ull << 10) /* all of the partition */
#define SET    (1ull << 12)
#define POWER9_SETS 128u

/* An address that nothing is mapped at, by pages of 64 KiB. */
#define RB_UNUSED (0xffffffffff000ull | 5ull << 5)

/* Words of the process table: the tree's root, and one that radix trees do not use. */
static u64 *process_table;
static bool power9;

static spinlock_t pid_lock = SPINLOCK_INIT(RANK_IPI);
static unsigned long pid_used[BITS_TO_LONGS(NR_PIDS)];	/* pid_lock. In use or dirty */
static unsigned long pid_dirty[BITS_TO_LONGS(NR_PIDS)]; /* pid_lock */
static unsigned pid_next = PID_FIRST;			/* pid_lock. None below is free */

/* The operands: RB says what, RS whose; RIC; process-scoped; radix. */
#define tlbiel(rb, rs, ric) __asm__ volatile("tlbiel %0, %1, %2, 1, 1" : : "r"(rb), "r"(rs), "i"(ric) : "memory")
#define tlbie(rb, rs, ric)  __asm__ volatile("tlbie %0, %1, %2, 1, 1" : : "r"(rb), "r"(rs), "i"(ric) : "memory")

/* Stores to tables before what follows, and invalidations finished before later accesses. */
static inline void ptesync(void)
{
	__asm__ volatile("ptesync" : : : "memory");
}

static inline u64 rs_of(u64 pid)
{
	return pid << 32;
}

static inline u64 rb_page(uintptr_t va, unsigned shift)
{
	/* "actual page size": 4 KiB, 2 MiB, 1 GiB */
	u64 ap = shift >= pt_shift(2) ? 2 : shift >= pt_shift(1) ? 1 : 0;

	return (va & PAGE_MASK) | ap << 5;
}

/*
 * Newer ones drop all sets of the TLB at once, POWER9 takes a tlbiel for each; walk caches go with the first. None of
 * that reaches the ERAT, the small TLB in front, as a tlbiel of a page does: slbia drops from it what any PID but 0 put
 * there (IH = 3), or everything (7).
 */
static void local_sets(u64 is, u64 pid, bool tables)
{
	u64 rs = rs_of(pid);

	ptesync();
	if (tables)
		tlbiel(is, rs, RIC_ALL);
	else
		tlbiel(is, rs, RIC_TLB);
	if (power9) {
#pragma GCC unroll 8
		for (u64 set = 0; set < POWER9_SETS; set++)
			tlbiel(is + set * SET, rs, RIC_TLB);
	}
	ptesync();
	if (pid)
		__asm__ volatile("slbia 3\n\tisync" : : : "memory");
	else
		__asm__ volatile("slbia 7\n\tisync" : : : "memory");
}

void tlb_local_all(void)
{
	local_sets(IS_ALL, 0, true);
}

/*
 * After one or more tlbie for a PID. POWER9's may pass by ERATs of CPUs that are changing their PID at that moment, and
 * may finish before stores that still use the translation (up to DD2.2): one for PID 0, which no filter holds back, and
 * a second one for the PID itself make up for it. rb: the last page; or, with `many`, any page.
 */
static void tlbie_done(u64 rb, u64 pid, bool many)
{
	if (power9) {
		ptesync();
		tlbie(many ? IS_PID : rb, rs_of(0), RIC_TLB);
		ptesync();
		tlbie(rb, rs_of(pid), RIC_TLB);
	}
	__asm__ volatile("eieio\n\ttlbsync\n\tptesync" : : : "memory");
}

/* Whose translations? False: it has no PID, hence none. */
static inline bool pid_of(const struct mm *mm, u64 *pid)
{
	*pid = !mm || mm == &init_mm ? PID_KERNEL : READ_ONCE(mm->arch.pid);
	return *pid || !mm || mm == &init_mm;
}

void tlb_local_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	u64 pid;

	if (!pid_of(mm, &pid))
		return;
	if (tables || tlb_local_range_is_full((end - start) >> shift)) {
		local_sets(IS_PID, pid, tables);
		return;
	}
	ptesync();
	for (uintptr_t va = start; va < end; va += 1ul << shift)
		tlbiel(rb_page(va, shift), rs_of(pid), RIC_TLB);
	ptesync();
}

void tlb_broadcast_range(struct mm *mm, uintptr_t start, uintptr_t end, unsigned shift, bool tables)
{
	u64 pid, rb = RB_UNUSED, pages = (end - start) >> shift;

	if (!pid_of(mm, &pid))
		return;
	ptesync();
	if (tables)
		tlbie(IS_PID, rs_of(pid), RIC_ALL);
	else if (tlb_local_range_is_full(pages))
		tlbie(IS_PID, rs_of(pid), RIC_TLB);
	else
		for (uintptr_t va = start; va < end; va += 1ul << shift)
			tlbie(rb = rb_page(va, shift), rs_of(pid), RIC_TLB);
	tlbie_done(rb, pid, tables || pages > 1);
}

/* ---- PIDs */

void arch_mm_init(struct mm *mm)
{
	mm->arch.pid = 0;
}

static void recycle_pids(void)
{
	ptesync();
	tlbie(IS_ALL, 0ull, RIC_ALL);
	tlbie_done(RB_UNUSED, PID_KERNEL, true);
	for (unsigned i = 0; i < ARRAY_SIZE(pid_used); i++) {
		pid_used[i] &= ~pid_dirty[i];
		pid_dirty[i] = 0;
	}
	pid_next = PID_FIRST;
}

static noinline u32 give_pid(struct mm *mm)
{
	unsigned long flags = spin_lock_irqsave(&pid_lock);
	u32 pid = mm->arch.pid;

	if (!pid) {
		pid = (u32)find_next_zero_bit(pid_used, NR_PIDS, pid_next);
		if (pid >= NR_PIDS) {
			recycle_pids();
			pid = (u32)find_next_zero_bit(pid_used, NR_PIDS, pid_next);
			if (pid >= NR_PIDS)
				panic("more than %u address spaces", NR_PIDS - PID_FIRST);
		}
		pid_used[pid / 64] |= 1ul << pid % 64;
		pid_next = pid + 1;
		WRITE_ONCE(process_table[2 * pid], ppc_process_entry(virt_to_phys(mm->root)));
		ptesync(); /* before anybody can load the PID */
		WRITE_ONCE(mm->arch.pid, pid);
	}
	spin_unlock_irqrestore(&pid_lock, flags);
	return pid;
}

void arch_mm_destroy(struct mm *mm)
{
	u32 pid = mm->arch.pid;
	unsigned long flags;

	if (!pid)
		return;
	flags = spin_lock_irqsave(&pid_lock);
	WRITE_ONCE(process_table[2 * pid], process_table[2 * PID_EMPTY]);
	pid_dirty[pid / 64] |= 1ul << pid % 64;
	spin_unlock_irqrestore(&pid_lock, flags);
	mm->arch.pid = 0;
}

void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
{
	u32 pid = READ_ONCE(next->arch.pid);

	if (unlikely(!pid))
		pid = give_pid(next);
	/* What came before still belongs to the old one, what follows to the new one. */
	__asm__ volatile("isync\n\tmtspr %0, %1\n\tisync" : : "i"(SPR_PIDR), "r"((u64)pid) : "memory");
}

/* ---- boot */

static void register_table(u64 root)
{
	u64 phys = virt_to_phys(process_table);

	if (ppc_hv)
		powernv_set_table(root, phys, PID_BITS + 4);
	else if (pseries_register_table(phys, PID_BITS + 4))
		panic("the hypervisor does not take a process table of %u entries", NR_PIDS);
}

void arch_load_kernel_root(u64 root)
{
	extern pte_t ppc_early_root[];
	const size_t bytes = 16ul << PID_BITS;

	if (process_table)
		panic("the kernel's tree is loaded once: all CPUs have it");
	process_table = early_alloc(bytes, bytes);
	process_table[2 * PID_KERNEL] = ppc_process_entry(root);
	process_table[2 * PID_EMPTY] = ppc_process_entry(ppc_image_phys(ppc_early_root));
	ptesync();
	register_table(root);
	tlb_local_all();
	/* The early tree is nobody's any more: its root becomes the empty one. */
	memset(ppc_early_root, 0, pt_table_bytes(PT_LEVELS - 1));
	mtspr(SPR_PIDR, PID_EMPTY);
	tlb_local_all();
}

void ppc_mmu_init(void)
{
	power9 = mfspr(SPR_PVR) >> 16 == PVR_POWER9;
	init_mm.arch.pid = PID_EMPTY;
	pid_used[0] = 1ul << PID_KERNEL | 1ul << PID_EMPTY;
}
