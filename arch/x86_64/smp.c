/*
 * Other CPUs: INIT and STARTUP to a page of real-mode code, then through ap_mailbox (boot.S) one at a time.
 */
#include <arch/boot.h>
#include <arch/smp.h>
#include <arch/timer.h>

#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/printk.h"
#include "kernel/timer.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/palloc.h"

#define LOW_END		0x9f000		/* the last page below this is the first that is tried */

static u64 trampoline_page;	/* physical, 0: there is no room below 1 MiB */

static bool overlaps(u64 page, u64 base, u64 size)
{
	return page < base + size && base < page + PAGE_SIZE;
}

/** With the memory map and the initrd known, and before anybody allocates. */
void smp_reserve_trampoline(void)
{
	for (u64 page = LOW_END; !trampoline_page && page >= 2 * PAGE_SIZE; page -= PAGE_SIZE)
		for (unsigned i = 0; i < boot_info.nr_ram; i++)
			if (page >= boot_info.ram[i].base &&
			    page + PAGE_SIZE <= boot_info.ram[i].base + boot_info.ram[i].size &&
			    !overlaps(page, boot_info.initrd, boot_info.initrd_size))
				trampoline_page = page;
	if (trampoline_page)
		boot_reserve(trampoline_page, PAGE_SIZE);
	else
		boot_info.nr_cpus = 1;
}

void smp_init(void)
{
	if (trampoline_page)
		memcpy(phys_to_virt(trampoline_page), trampoline, (size_t)(trampoline_end - trampoline));
}

/*
 * Has somebody become the CPU in the mailbox? Under icount QEMU's clock jumps when a CPU is reset, so we look `times`
 * times at least.
 */
static bool wait_for_taker(u64 ns, unsigned times)
{
	u64 end = clock_ns() + ns;

	for (unsigned i = 0; __atomic_load_n(&ap_mailbox, __ATOMIC_ACQUIRE); i++) {
		if (clock_ns() > end && i >= times)
			return false;
		cpu_relax();
	}
	return true;
}

int arch_cpu_start(struct cpu *c)
{
	u8 *stacks = alloc_kpages(ilog2(X86_IST_STACKS) - PAGE_SHIFT, GFP_KERNEL);
	bool up = false;

	if (!stacks)
		return -EIO;
	c->arch.self = c;
	c->arch.tss.rsp0 = (uintptr_t)c->idle->kstack + KSTACK_SIZE;
	c->arch.tss.ist[0] = (uintptr_t)stacks;
	c->curr = c->idle;
	__atomic_store_n(&ap_mailbox, (u64)(uintptr_t)c, __ATOMIC_SEQ_CST);
	apic_send_init((u32)c->hwid);
	(void)wait_for_taker(10 * NSEC_PER_USEC, 0);	/* the CPU resets */
	for (unsigned i = 0; i < 2 && !up; i++) {
		apic_send_startup((u32)c->hwid, (u8)(trampoline_page >> PAGE_SHIFT));
		up = wait_for_taker(i ? NSEC_PER_SEC : 10 * NSEC_PER_MSEC, 100);
	}
	if (up || !xchg(&ap_mailbox, 0))
		return 0;
	free_kpages(stacks, ilog2(X86_IST_STACKS) - PAGE_SHIFT);
	return -EIO;
}

void x86_secondary(struct cpu *c)
{
	x86_cpu_setup(c, (void *)(uintptr_t)c->arch.tss.ist[0]);
	secondary_main();
}
