#pragma once
/*
 * Event counters: lines of /proc/vmstat, per CPU inside, summed when read. VM_EVENTS names them once.
 */
#include "kernel/cpu.h"

#define VM_EVENTS(X)                                                                                                   \
	X(pgalloc)                                                                                                     \
	X(pgfree) X(pgfault) X(pgmajfault) X(pgcow) X(pgreuse) X(pgzeroed) X(pgzero_skipped) X(pcp_refill)             \
		X(pcp_drain) X(zone_lock_contended) X(numa_hit) X(numa_miss) X(numa_local) X(numa_other)               \
			X(pte_table_alloc) X(pte_table_free) X(gather_batches) X(gather_pages) X(gather_runs)          \
				X(gather_flushes) X(gather_no_batch) X(free_async_works) X(free_async_inline_fallback) \
					X(free_async_zaps) X(tlb_flush_local) X(tlb_flush_local_full)                  \
						X(tlb_shootdowns) X(tlb_shootdown_ipis) X(tlb_shootdown_received)      \
							X(tlb_broadcasts) X(lazy_tlb_switches) X(lazy_tlb_refs)        \
								X(lazy_tlb_ipis) X(lazy_tlb_ipis_filtered)             \
									X(lazy_tlb_deferred) X(ipis) X(fault_spurious) \
										X(fault_around)

enum vm_event {
#define X(name) VME_##name,
	VM_EVENTS(X)
#undef X
		NR_VM_EVENTS
};

struct vm_events {
	u64 count[NR_VM_EVENTS];
};
DECLARE_PER_CPU(struct vm_events, vm_events);

/** Not atomic: an interrupt in between can lose one. Good enough for events, not for balances. */
static inline void vm_event_add(enum vm_event e, u64 n)
{
	struct vm_events *v = this_cpu_ptr(&vm_events);

	v->count[e] += n;
}

static inline void vm_event(enum vm_event e)
{
	vm_event_add(e, 1);
}

u64 vm_event_sum(enum vm_event e);
struct seq;
void vmstat_show(struct seq *m);
void meminfo_show(struct seq *m);
