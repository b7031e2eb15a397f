/*
 * The host's memory and boot: an arena as physical memory, its descriptors, and the calls that kernel_main() would
 * make. Also the wrappers (linker option --wrap) that tell the MMU model when frames are handed out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#undef PROT_NONE
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC

#include <arch/boot.h>
#include <arch/trap.h>

#include "kernel/ipi.h"
#include "kernel/numa.h"
#include "mm/mapping.h"
#include "mm/palloc.h"
#include "mm/palloc_internal.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "tests/host/arch/host.h"

#define GIB		(1ull << 30)
#define RAM_BASE	GIB			/* physical: frame numbers that are not small indices */
#define HOLE		(1ull << 20)		/* between the two pieces of RAM */
#define HOST_RW		3

const char arch_sigtramp[ARCH_SIGTRAMP_SIZE] = "sigtramp";

static uintptr_t reserve(size_t size)
{
	char *p = mmap(NULL, size + GIB, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		host_fail("no address space for the arena");
	return align_up((uintptr_t)p, GIB);
}

static void back(uintptr_t at, size_t size)
{
	if (mprotect((void *)at, size, HOST_RW))
		host_fail("no memory for the arena");
}

static void make_memory(const struct host_config *config)
{
	u64 half = align_down(config->ram / 2, PAGE_SIZE), second = RAM_BASE + half + HOLE;

	host_direct_map = reserve(4 * GIB);
	host_vmemmap = reserve(GIB);
	back(host_vmemmap, (MAX_PFN + 1) * sizeof(struct page));
	back(host_direct_map + RAM_BASE, half);
	back(host_direct_map + second, half);
	for (u64 g = RAM_BASE >> PAGE_SHIFT >> DESC_GRANULE_ORDER;
	     g <= (second + half) >> PAGE_SHIFT >> DESC_GRANULE_ORDER; g++)
		desc_granule_set_present(g);
	boot_info.ram_zeroed = config->zeroed;
	boot_info.early_limit = ~0ull;
	boot_add_ram(RAM_BASE, half, 0);
	boot_add_ram(second, half, (int)config->nodes - 1);
	boot_info.nr_cpus = config->cpus;
	for (unsigned i = 0; i < config->cpus; i++)
		boot_info.cpu_node[i] = (int)(i % config->nodes);
}

void host_boot(const struct host_config *config)
{
	host_mmu = config->mmu;
	make_memory(config);
	host_mmu_init(config->cpus, config->seed);
	host_cpus_init(config->cpus);
	boot_cpu.curr = &init_task;
	numa_init();
	for (unsigned i = 0; i < config->cpus; i++)
		cpus[i]->node = boot_info.cpu_node[i];
	palloc_init();
	for (unsigned i = 1; i < config->cpus; i++)
		palloc_init_cpu(i);
	slab_init();
	nr_cpus = config->cpus;
	for (unsigned i = 0; i < config->cpus; i++)
		cpumask_set(&cpu_online_mask, i);
	init_mm.root = pt_alloc_root();
	arch_mm_init(&init_mm);
	mm_init();
	mapping_init_cache();
	for (unsigned i = 0; i < config->cpus; i++) {
		struct task *idle = i ? host_task(NULL) : &init_task;

		cpus[i]->curr = idle;
		cpus[i]->idle = idle;
	}
	host_initcalls();
}

struct page *__real_alloc_pages(unsigned order, unsigned gfp);
struct page *__wrap_alloc_pages(unsigned order, unsigned gfp);
struct page *__real_alloc_pages_node(int node, unsigned order, unsigned gfp);
struct page *__wrap_alloc_pages_node(int node, unsigned order, unsigned gfp);
void *__real_alloc_kpages(unsigned order, unsigned gfp);
void *__wrap_alloc_kpages(unsigned order, unsigned gfp);

struct page *__wrap_alloc_pages(unsigned order, unsigned gfp)
{
	struct page *p = __real_alloc_pages(order, gfp);

	if (p)
		host_frames_allocated(page_to_pfn(p), 1ull << order);
	return p;
}

struct page *__wrap_alloc_pages_node(int node, unsigned order, unsigned gfp)
{
	struct page *p = __real_alloc_pages_node(node, order, gfp);

	if (p)
		host_frames_allocated(page_to_pfn(p), 1ull << order);
	return p;
}

void *__wrap_alloc_kpages(unsigned order, unsigned gfp)
{
	void *va = __real_alloc_kpages(order, gfp);

	if (va)
		host_frames_allocated(page_to_pfn(virt_to_page(va)), 1ull << order);
	return va;
}
