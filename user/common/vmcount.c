/*
 * Reading the counters of /proc/vmstat, all at one time.
 */
#include "user/common/vmcount.h"

#include <string.h>

#include "user/common/proc.h"

const char *const vmcounter_names[NR_VMCOUNTERS] = {
	[VMC_CONTEXT_SWITCHES] = "context_switches",
	[VMC_LAZY_SWITCHES] = "lazy_tlb_switches",
	[VMC_LAZY_REFS] = "lazy_tlb_refs",
	[VMC_LAZY_IPIS] = "lazy_tlb_ipis",
	[VMC_LAZY_FILTERED] = "lazy_tlb_ipis_filtered",
	[VMC_LAZY_DEFERRED] = "lazy_tlb_deferred",
	[VMC_IPIS] = "ipis",
	[VMC_SHOOTDOWN_IPIS] = "tlb_shootdown_ipis",
};

void vmcount_read(struct vmcount *c)
{
	static char text[16384];

	memset(c, 0, sizeof(*c));
	if (proc_read("/proc/vmstat", text, sizeof(text)) < 0)
		return;
	for (int i = 0; i < NR_VMCOUNTERS; i++)
		c->there[i] = proc_value(text, vmcounter_names[i], &c->value[i]);
}

void vmcount_since(struct vmcount *c, const struct vmcount *then)
{
	vmcount_read(c);
	for (int i = 0; i < NR_VMCOUNTERS; i++) {
		c->there[i] = c->there[i] && then->there[i];
		c->value[i] -= then->value[i];
	}
}
