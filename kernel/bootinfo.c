/*
 * What the port found out about memory, and the allocator of the first moments: regions of RAM minus reservations.
 *
 * Boot CPU only, before other CPUs start; no locks. After palloc_init() has taken the rest, early_alloc() panics.
 */
#include <arch/boot.h>
#include <arch/pte.h>

#include "kernel/bootmem.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/palloc.h"

struct boot_info boot_info = { .cpu_node = { [0 ... NR_CPUS - 1] = NODE_UNKNOWN } };
static bool early_closed;

static void region_remove(struct boot_region *r, unsigned *n, unsigned i)
{
	memmove(&r[i], &r[i + 1], (*n - i - 1) * sizeof(*r));
	(*n)--;
}

/* Insert sorted by base; neighbours and overlaps of the same node become one region. */
static void region_add(struct boot_region *r, unsigned *n, u64 base, u64 size, int node)
{
	unsigned i = 0;

	while (i < *n && r[i].base < base)
		i++;
	if (*n == BOOT_REGIONS)
		panic("boot: more than %d memory regions", BOOT_REGIONS);
	memmove(&r[i + 1], &r[i], (*n - i) * sizeof(*r));
	r[i] = (struct boot_region){ base, size, node };
	(*n)++;
	if (i > 0)
		i--;
	while (i + 1 < *n) {
		u64 end = r[i].base + r[i].size;

		if (end < r[i + 1].base || r[i].node != r[i + 1].node) {
			if (r[i + 1].base > base + size)
				break;
			i++;
			continue;
		}
		if (r[i + 1].base + r[i + 1].size > end)
			r[i].size = r[i + 1].base + r[i + 1].size - r[i].base;
		region_remove(r, n, i + 1);
	}
}

void boot_add_ram(u64 base, u64 size, int node)
{
	u64 start = align_up(base, PAGE_SIZE), end = align_down(base + size, PAGE_SIZE);
	u64 limit = (u64)MAX_PFN << PAGE_SHIFT;

	if (start == 0)
		start = PAGE_SIZE;	/* frame 0 means "none" in free lists */
	if (end > limit)
		end = limit;
	if (start < end)
		region_add(boot_info.ram, &boot_info.nr_ram, start, end - start, node);
}

/* A boundary of regions at pa, if it lies inside one. False: there is no room for another region. */
static bool split_ram(u64 pa)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		struct boot_region *r = &boot_info.ram[i];

		if (pa <= r->base || pa >= r->base + r->size)
			continue;
		if (boot_info.nr_ram == BOOT_REGIONS)
			return false;
		memmove(r + 1, r, (boot_info.nr_ram - i) * sizeof(*r));
		boot_info.nr_ram++;
		r[1].base = pa;
		r[1].size = r->base + r->size - pa;
		r->size = pa - r->base;
		break;
	}
	return true;
}

void boot_set_node(u64 base, u64 size, int node)
{
	u64 lo = align_down(base, PAGE_SIZE), hi = align_down(base + size, PAGE_SIZE);

	if (base + size < base)
		hi = align_down(~0ull, PAGE_SIZE);
	if (lo >= hi)
		return;
	if (!split_ram(lo) || !split_ram(hi)) {
		boot_info.nodes_incomplete = true;
		return;
	}
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		if (boot_info.ram[i].base >= lo && boot_info.ram[i].base < hi)
			boot_info.ram[i].node = node;
}

void boot_set_cpu_node(u64 hwid, int node)
{
	for (unsigned i = 0; i < boot_info.nr_cpus; i++)
		if (boot_info.hwid[i] == hwid)
			boot_info.cpu_node[i] = node;
}

void boot_reserve(u64 base, u64 size)
{
	u64 start = align_down(base, PAGE_SIZE), end = align_up(base + size, PAGE_SIZE);

	if (start < end)
		region_add(boot_info.reserved, &boot_info.nr_reserved, start, end - start, 0);
}

bool boot_next_free(u64 *pos, u64 *base, u64 *end, int *node)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		struct boot_region *r = &boot_info.ram[i];
		u64 lo = max(r->base, *pos), hi = r->base + r->size;

		for (unsigned j = 0; j < boot_info.nr_reserved && lo < hi; j++) {
			struct boot_region *v = &boot_info.reserved[j];

			if (v->base + v->size <= lo)
				continue;
			if (v->base > lo) {
				hi = min(hi, v->base);
				break;
			}
			lo = v->base + v->size;
		}
		if (lo < hi) {
			*base = lo;
			*end = hi;
			*node = r->node;
			*pos = hi;
			return true;
		}
	}
	return false;
}

bool boot_is_free(u64 pa)
{
	u64 pos = pa, base, end;
	int node;

	return boot_next_free(&pos, &base, &end, &node) && base == pa;
}

u64 early_alloc_phys(size_t size, size_t align)
{
	u64 pos = 0, base, end;
	int node;

	if (early_closed)
		panic("early_alloc after palloc_init");
	size = align_up(size, PAGE_SIZE);
	align = max(align, PAGE_SIZE);
	while (boot_next_free(&pos, &base, &end, &node)) {
		base = align_up(base, align);
		if (base < end && end - base >= size && base + size <= boot_info.early_limit) {
			boot_reserve(base, size);
			return base;
		}
	}
	panic("boot: no %zu bytes of memory below %#llx", size, (unsigned long long)boot_info.early_limit);
}

void *early_alloc(size_t size, size_t align)
{
	void *p = phys_to_virt(early_alloc_phys(size, align));

	size = align_up(size, PAGE_SIZE);
	memset(p, 0, size);
	return p;
}

u64 boot_alloc_high(u64 size, u64 align, u64 min_align)
{
	for (;; align >>= 1) {
		u64 pos = 0, base, end, best = 0;
		int node;

		while (boot_next_free(&pos, &base, &end, &node)) {
			u64 at = align_down(end - min(size, end), align);

			if (end >= size && at >= base)
				best = at;
		}
		if (best) {
			boot_reserve(best, size);
			return best;
		}
		if (align <= min_align)
			panic("boot: no %llu bytes of memory for page descriptors", (unsigned long long)size);
	}
}

void early_close(void)
{
	early_closed = true;
}
