/*
 * Which vCPU wrote a line of the guest's memory last (or used it atomically: that is a write too, even where a
 * compare-and-exchange fails). A line is known by its physical address, so that the direct map, user space and other
 * mappings agree.
 *
 * An entry is vCPU + 1, or 0. It is read and exchanged without a lock; two vCPUs that write a line at the same time
 * come in some order. The table is in parts that are mapped when they are first needed, and costs the host memory only
 * where the guest writes.
 */
#include <sys/mman.h>

#include "lines.h"

#define PART_SHIFT 32
#define PARTS	   4096

static uint16_t *parts[PARTS];
unsigned line_shift = 6;

static uint16_t *make_part(uint16_t **slot)
{
	size_t size = ((size_t)1 << (PART_SHIFT - line_shift)) * sizeof(uint16_t);
	uint16_t *part, *old = NULL;

	part = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (part == MAP_FAILED)
		return NULL;
	madvise(part, size, MADV_NOHUGEPAGE);
	if (__atomic_compare_exchange_n(slot, &old, part, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return part;
	munmap(part, size);
	return old;
}

bool line_write(unsigned vcpu, uint64_t phys)
{
	uint64_t nr = phys >> PART_SHIFT;
	uint16_t me = (uint16_t)(vcpu + 1), *part, *entry, old;

	if (nr >= PARTS)
		return false;
	part = __atomic_load_n(&parts[nr], __ATOMIC_ACQUIRE);
	if (!part)
		part = make_part(&parts[nr]);
	if (!part)
		return false;
	entry = &part[(phys & (((uint64_t)1 << PART_SHIFT) - 1)) >> line_shift];
	old = __atomic_load_n(entry, __ATOMIC_RELAXED);
	if (old == me)
		return false;
	old = __atomic_exchange_n(entry, me, __ATOMIC_RELAXED);
	return old && old != me;
}
