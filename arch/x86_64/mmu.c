/*
 * Address spaces: loading roots, PCIDs, kernel entries of a new root.
 *
 * PCIDs: each CPU has PCID_SLOTS of them, and remembers by an identity that is never reused which address space used
 * each last. Loading one that still has its slot keeps its translations; otherwise the next slot in turn is taken and
 * flushed. Whoever changes entries of an address space that this CPU has not loaded but still has a slot for (its bit
 * in the mm's cpumask is set, so the request comes here) takes the slot away, which is all the flushing there is to do.
 */
#include <arch/boot.h>
#include <arch/ctx.h>
#include <arch/pte.h>
#include <arch/tlb.h>

#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "lib/string.h"
#include "mm/mm.h"

#define CR3_KEEP	(1ull << 63)	/* do not flush the PCID that is loaded */

static u64 last_id;

void arch_mm_init(struct mm *mm)
{
	mm->arch.id = x86_has_pcid ? __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED) : 0;
}

static void switch_pcid(struct mm *next)
{
	struct arch_cpu *a = &this_cpu()->arch;
	u64 root = virt_to_phys(next->root), id = next->arch.id;
	unsigned slot;

	if (!id) {
		a->pcid_now = 0;
		write_cr3(root | CR3_KEEP);	/* the kernel's own translations are global */
		return;
	}
	for (slot = 0; slot < PCID_SLOTS; slot++) {
		if (a->pcid_owner[slot] == id) {
			a->pcid_now = slot + 1;
			write_cr3(root | (slot + 1) | CR3_KEEP);
			return;
		}
	}
	slot = a->pcid_next;
	a->pcid_next = (slot + 1) % PCID_SLOTS;
	a->pcid_owner[slot] = id;
	a->pcid_now = slot + 1;
	write_cr3(root | (slot + 1));
}

bool pcid_retire(struct mm *mm)
{
	struct arch_cpu *a = &this_cpu()->arch;
	u64 id = mm->arch.id;

	if (!id || (a->pcid_now && a->pcid_owner[a->pcid_now - 1] == id))
		return false;
	for (unsigned slot = 0; slot < PCID_SLOTS; slot++)
		if (a->pcid_owner[slot] == id)
			a->pcid_owner[slot] = 0;
	return true;
}

void arch_mm_switch(struct mm *prev, struct mm *next, unsigned cpu)
{
	if (x86_has_pcid)
		switch_pcid(next);
	else
		write_cr3(virt_to_phys(next->root));
}

/* Changing CR4.PGE drops everything, of every PCID, global or not. */
void tlb_local_all(void)
{
	unsigned long flags = irq_save(), cr4 = read_cr4();

	write_cr4(cr4 & ~(unsigned long)CR4_PGE);
	write_cr4(cr4);
	irq_restore(flags);
}

void arch_load_kernel_root(u64 root)
{
	ap_root = root;
	write_cr3(root);
	tlb_local_all();
}

/* The kernel's half is the same everywhere and for ever; everything below its first entry is the user's. */
void arch_root_init(pte_t *root)
{
	unsigned first = pt_index(PT_LEVELS - 1, DIRECT_MAP_BASE);

	if (init_mm.root && root != init_mm.root)
		memcpy(root + first, init_mm.root + first, (pt_entries(PT_LEVELS - 1) - first) * sizeof(*root));
}
