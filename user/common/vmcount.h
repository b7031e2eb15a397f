/*
 * Counters of /proc/vmstat that the lazy-TLB experiments look at. A kernel may lack any of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum vmcounter {
	VMC_CONTEXT_SWITCHES,
	VMC_LAZY_SWITCHES,	/* from a program to a kernel thread or the idle loop, which keeps its page tables */
	VMC_LAZY_REFS,
	VMC_LAZY_IPIS,
	VMC_LAZY_FILTERED,
	VMC_LAZY_DEFERRED,
	VMC_IPIS,		/* all of them, wake-ups included */
	VMC_SHOOTDOWN_IPIS,
	NR_VMCOUNTERS
};

extern const char *const vmcounter_names[NR_VMCOUNTERS];

struct vmcount {
	uint64_t value[NR_VMCOUNTERS];
	bool there[NR_VMCOUNTERS];
};

/* All counters as they stand. */
void vmcount_read(struct vmcount *c);

/* What was counted since then. */
void vmcount_since(struct vmcount *c, const struct vmcount *then);
