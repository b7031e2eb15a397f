/*
 * TLB shootdown: while threads on other CPUs read (or write) user memory, this one takes it away. When the call has
 * returned, nobody may see what was there before. Values carry a generation; `floor` says which ones may still be seen,
 * and is raised only after the call returned.
 */
#include "mm/tlb.h"

#include "kernel/cpu.h"
#include "kernel/param.h"
#include "kernel/race.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "mm/mman.h"
#include "mm/vma.h"
#include "mm/vmstat.h"
#include "tests/kernel/space.h"

#define RW    (PROT_READ | PROT_WRITE)
#define MAGIC (0x5d00ull << 48)
#define ROUNDS 40u

static u32 flip_stop; /* atomic */
static u64 enough;    /* clock_ns() after which no further round begins */

struct place {
	uintptr_t va;
	u64 floor; /* atomic. Generations below it are gone */
};

static struct {
	struct place place[2];
	u32 stop;  /* atomic */
	u32 stale; /* atomic. reads that saw what was gone */
	u32 reads; /* atomic. that did not fault */
	u32 tries; /* atomic. all */
	u64 example;
} shared;

/*
 * Half of the readers load plainly, which sees what is in the TLB and never faults pages in; the others as a system
 * call would.
 */
static void reader(void *unused, unsigned nr)
{
	bool plain = nr % 2 == 0;

	for (u32 k = nr; !__atomic_load_n(&shared.stop, __ATOMIC_RELAXED); k++) {
		struct place *p = &shared.place[k / 2 & 1];
		u64 floor = __atomic_load_n(&p->floor, __ATOMIC_ACQUIRE),
		    v = plain ? kt_plain_read(p->va) : kt_peek(p->va);

		__atomic_fetch_add(&shared.tries, 1, __ATOMIC_RELAXED);
		if (v != KT_NOTHING) {
			__atomic_fetch_add(&shared.reads, 1, __ATOMIC_RELAXED);
			/*
			 * Zero is a page that nobody has written yet. Anything else without the mark is a frame that
			 * was used again.
			 */
			if (v && ((v & MAGIC) != MAGIC || (v & ~MAGIC) < floor)) {
				shared.example = v;
				__atomic_fetch_add(&shared.stale, 1, __ATOMIC_RELAXED);
			}
		}
		if (k % 8 == 0)
			cond_resched();
		cpu_relax();
	}
}

static unsigned nr_readers(void)
{
	return min(nr_cpus > 1 ? nr_cpus - 1 : 1, 7u);
}

static void readers_start(struct kt_crowd *crowd, uintptr_t a, uintptr_t b)
{
	shared.place[0] = (struct place){ a, 0 };
	shared.place[1] = (struct place){ b, 0 };
	shared.stop = shared.stale = shared.reads = shared.tries = 0;
	kt_make_plain(a);
	kt_make_plain(b);
	kt_crowd_start(crowd, nr_readers(), reader, NULL);
}

static void readers_stop(struct kt_crowd *crowd)
{
	__atomic_store_n(&shared.stop, 1, __ATOMIC_RELAXED);
	kt_crowd_join(crowd);
	if (shared.stale)
		kt_fail(__FILE__, __LINE__, "%u of %u reads saw what was gone, for example %llx", shared.stale,
			shared.reads, shared.example);
	KT_EXPECT(shared.reads > 0);
}

/* Give the others the time to cache a translation, or to use a stale one. */
static void let_them_read(void)
{
	u32 before = READ_ONCE(shared.tries);
	u64 end = SOON;

	while (READ_ONCE(shared.tries) - before < 4 * nr_readers() && clock_ns() < end) {
		sched_yield();
		cpu_relax();
	}
}

static void gone(unsigned place, u64 floor)
{
	__atomic_store_n(&shared.place[place].floor, floor, __ATOMIC_RELEASE);
}

/* Firmware's broadcast can take a tenth of a second when the other CPUs are vCPUs of one thread. */
static bool more(u64 round, unsigned most)
{
	if (round == 1)
		enough = clock_ns() + 300 * NSEC_PER_MSEC;
	return round <= most && (round <= 2 || clock_ns() < enough);
}

static void taken_by_munmap(void)
{
	uintptr_t va = 0x20000000;
	struct kt_crowd crowd;

	readers_start(&crowd, va, va);
	for (u64 g = 1; more(g, ROUNDS); g++) {
		KT_EQ(kt_map_at(va, 1, RW), va);
		kt_make_plain(va);
		KT_EXPECT(kt_put(va, MAGIC | g));
		let_them_read();
		KT_EQ(kt_unmap(va, 1), 0);
		gone(0, g + 1);
		gone(1, g + 1);
		let_them_read();
	}
	readers_stop(&crowd);
}

/* Replaced by MAP_FIXED: at no time may the old page be seen after the call. */
static void taken_by_replaced(void)
{
	uintptr_t va = 0x20000000;
	struct kt_crowd crowd;

	KT_EQ(kt_map_at(va, 1, RW), va);
	readers_start(&crowd, va, va);
	for (u64 g = 1; more(g, ROUNDS); g++) {
		KT_EXPECT(kt_put(va, MAGIC | g));
		let_them_read();
		KT_EQ(kt_map_at(va, 1, RW), va);
		gone(0, g + 1);
		gone(1, g + 1);
		kt_make_plain(va);
		let_them_read();
	}
	readers_stop(&crowd);
}

static void taken_by_dontneed(void)
{
	uintptr_t va = kt_map(60, RW);
	struct kt_crowd crowd;

	KT_ASSERT(va);
	/* One place alone, one in the middle of a range that is too long for single invalidations. */
	readers_start(&crowd, va, va + 40 * PAGE_SIZE);
	for (u64 g = 1; more(g, ROUNDS); g++) {
		KT_EXPECT(kt_put(va, MAGIC | g) && !kt_fill(va + PAGE_SIZE, 59, MAGIC | g));
		KT_EXPECT(kt_put(va + 40 * PAGE_SIZE, MAGIC | g));
		let_them_read();
		KT_EQ(do_madvise(current->mm, va, PAGE_SIZE, MADV_DONTNEED), 0);
		gone(0, g + 1);
		KT_EQ(do_madvise(current->mm, va + PAGE_SIZE, 59 * PAGE_SIZE, MADV_DONTNEED), 0);
		gone(1, g + 1);
		let_them_read();
	}
	readers_stop(&crowd);
}

static void taken_by_mremap(void)
{
	const uintptr_t at[2] = { 0x20000000, 0x30000000 };
	struct kt_crowd crowd;
	unsigned now = 0;

	KT_EQ(kt_map_at(at[0], 1, RW), at[0]);
	readers_start(&crowd, at[0], at[1]);
	for (u64 g = 1; more(g, 2 * ROUNDS); g++) {
		KT_EXPECT(kt_put(at[now], MAGIC | g));
		let_them_read();
		/* Every other time the old place stays mapped, empty. */
		KT_EQ(do_mremap(at[now], PAGE_SIZE, PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED | (g & 1 ? MREMAP_DONTUNMAP : 0), at[!now]),
		      at[!now]);
		gone(now, g + 1);
		let_them_read();
		KT_EQ(kt_peek(at[!now]), MAGIC | g);
		now = !now;
	}
	readers_stop(&crowd);
}

/* A write that copies moves the page to another frame: all others must see the new one. */
static void taken_by_copy_on_write(void)
{
	uintptr_t va = kt_map(1, RW);
	struct kt_crowd crowd;

	KT_ASSERT(va && kt_put(va, MAGIC));
	readers_start(&crowd, va, va);
	for (u64 g = 1; more(g, ROUNDS); g++) {
		struct mm *child = mm_dup(current->mm);

		if (IS_ERR(child)) {
			kt_fail(__FILE__, __LINE__, "fork: error %ld", PTR_ERR(child));
			break;
		}
		let_them_read();
		KT_EXPECT(kt_put(va, MAGIC | g));
		gone(0, g);
		gone(1, g);
		let_them_read();
		mmput(child);
	}
	readers_stop(&crowd);
}

/* ---- writers */

static struct {
	uintptr_t va;
	u32 stop;
	u32 refused;
} writers;

static void writer(void *unused, unsigned nr)
{
	uintptr_t va = writers.va + nr * PAGE_SIZE;

	for (u64 n = 1; !__atomic_load_n(&writers.stop, __ATOMIC_RELAXED); n++) {
		if (!kt_plain_write(va, n))
			__atomic_fetch_add(&writers.refused, 1, __ATOMIC_RELAXED);
		if (n % 8 == 0)
			cond_resched();
		cpu_relax();
	}
}

/* After mprotect has taken the permission away, memory stands still. */
static void stopped_by_mprotect(void)
{
	unsigned n = nr_readers(), round;
	struct kt_crowd crowd;

	writers.va = kt_map(n, RW);
	KT_ASSERT(writers.va);
	writers.stop = writers.refused = 0;
	kt_crowd_start(&crowd, n, writer, NULL);
	for (round = 1; more(round, ROUNDS); round++) {
		u64 value[8], end;
		u32 refused;

		/* New pages, since mprotect makes those that are there the user's. */
		kt_make_plain(writers.va);
		KT_EQ(do_madvise(current->mm, writers.va, n * PAGE_SIZE, MADV_DONTNEED), 0);
		KT_EXPECT(!kt_fill(writers.va, n, 0));
		end = SOON;
		while (kt_peek(writers.va) == 0 && clock_ns() < end) {
			sched_yield();
			cpu_relax();
		}
		KT_EXPECT(kt_peek(writers.va) != 0);
		KT_EQ(do_mprotect(writers.va, n * PAGE_SIZE, PROT_READ), 0);
		for (unsigned i = 0; i < n; i++)
			value[i] = kt_peek(writers.va + i * PAGE_SIZE);
		refused = READ_ONCE(writers.refused);
		end = SOON;
		while (READ_ONCE(writers.refused) - refused < 4 * n && clock_ns() < end) {
			sched_yield();
			cpu_relax();
		}
		KT_EXPECT(READ_ONCE(writers.refused) != refused);
		for (unsigned i = 0; i < n; i++)
			KT_EXPECT(kt_peek(writers.va + i * PAGE_SIZE) == value[i]);
		KT_EQ(do_mprotect(writers.va, n * PAGE_SIZE, RW), 0);
	}
	__atomic_store_n(&writers.stop, 1, __ATOMIC_RELAXED);
	kt_crowd_join(&crowd);
}

/* ---- all of these by each way of telling the others */

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{ "munmap", taken_by_munmap }, { "replaced", taken_by_replaced },	    { "dontneed", taken_by_dontneed },
	{ "mremap", taken_by_mremap }, { "copy_on_write", taken_by_copy_on_write }, { "mprotect", stopped_by_mprotect },
};

KTEST_MM(shootdown, ipi)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		ways[i].run();
}

KTEST_MM(shootdown, broadcast)
{
	const struct knob *knob = knob_find("vm.tlb_shootdown");
	u64 ipis, broadcasts;

	KT_ASSERT(knob);
	if (!TLB_HAS_BROADCAST) {
		KT_EQ(knob_write(knob, "broadcast\n"), -EOPNOTSUPP);
		kt_skip("this machine has no broadcast");
		return;
	}
	KT_ASSERT(!knob_write(knob, "broadcast\n"));
	ipis = vm_event_sum(VME_tlb_shootdown_ipis);
	broadcasts = vm_event_sum(VME_tlb_broadcasts);
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++)
		ways[i].run();
	KT_EQ(vm_event_sum(VME_tlb_shootdown_ipis), ipis);
	KT_EXPECT(nr_cpus == 1 || vm_event_sum(VME_tlb_broadcasts) > broadcasts);
	KT_EQ(knob_write(knob, "ipi\n"), 0);
}

/* The knob goes back and forth while flushes are under way: each is complete by the way it began with. */
static void flip(void *arg, unsigned nr)
{
	const struct knob *knob = arg;

	for (unsigned i = 0; !__atomic_load_n(&flip_stop, __ATOMIC_RELAXED); i++) {
		if (knob_write(knob, i & 1 ? "ipi" : "broadcast"))
			__atomic_fetch_add(&shared.stale, 1, __ATOMIC_RELAXED);
		sched_yield();
		cpu_relax();
	}
}

KTEST_MM(shootdown, flipped_under_load)
{
	const struct knob *knob = knob_find("vm.tlb_shootdown");
	struct kt_crowd crowd;

	KT_ASSERT(knob);
	if (!TLB_HAS_BROADCAST) {
		kt_skip("this machine has no broadcast");
		return;
	}
	flip_stop = 0;
	kt_crowd_start(&crowd, 1, flip, (void *)knob);
	taken_by_munmap();
	taken_by_dontneed();
	taken_by_copy_on_write();
	__atomic_store_n(&flip_stop, 1, __ATOMIC_RELAXED);
	kt_crowd_join(&crowd);
	KT_EQ(knob_write(knob, "ipi"), 0);
}

/* As often as possible what this machine can not do. */
static void ask_in_vain(void *arg, unsigned nr)
{
	while (!__atomic_load_n(&flip_stop, __ATOMIC_RELAXED)) {
		if (knob_write(arg, "broadcast") != -EOPNOTSUPP)
			__atomic_fetch_add(&shared.stale, 1, __ATOMIC_RELAXED);
		cond_resched();
	}
}

/* A value that is refused has been in the knob for a moment: no flush may go by it. */
KTEST_MM(shootdown, refused_under_load)
{
	const struct knob *knob = knob_find("vm.tlb_shootdown");
	struct kt_crowd crowd;
	u64 broadcasts = vm_event_sum(VME_tlb_broadcasts);

	KT_ASSERT(knob);
	if (TLB_HAS_BROADCAST) {
		kt_skip("nothing is refused on this machine");
		return;
	}
	flip_stop = 0;
	/* On the CPU with the fewest readers. */
	kt_crowd_start_on(&crowd, nr_cpus - 1, 1, ask_in_vain, (void *)knob);
	taken_by_munmap();
	taken_by_dontneed();
	__atomic_store_n(&flip_stop, 1, __ATOMIC_RELAXED);
	kt_crowd_join(&crowd);
	KT_EQ(vm_event_sum(VME_tlb_broadcasts), broadcasts);
}

static void ask_once(void *arg, unsigned nr)
{
	KT_EQ(kt_peek(shared.place[0].va), 1);
	KT_EQ(knob_write(arg, "broadcast"), -EOPNOTSUPP);
}

/* The same, held at that moment: CPU 1, where the writer has used the page, is interrupted as always. */
KTEST_MM(shootdown, refused_value_is_not_believed)
{
	const struct knob *knob = knob_find("vm.tlb_shootdown");
	uintptr_t va = kt_map(1, RW);
	struct kt_crowd crowd;
	u64 broadcasts, ipis;

	KT_ASSERT(knob && va && kt_put(va, 1));
	if (TLB_HAS_BROADCAST || nr_cpus < 2) {
		kt_skip(nr_cpus < 2 ? "one CPU only" : "nothing is refused on this machine");
		return;
	}
	shared.place[0].va = va;
	broadcasts = vm_event_sum(VME_tlb_broadcasts);
	ipis = vm_event_sum(VME_tlb_shootdown_ipis);
	race_arm("tlb:knob-written");
	kt_crowd_start(&crowd, 1, ask_once, (void *)knob);
	KT_EQ(race_wait(SOON), 0);
	KT_EQ(kt_unmap(va, 1), 0);
	KT_EQ(vm_event_sum(VME_tlb_broadcasts), broadcasts);
	KT_EQ(vm_event_sum(VME_tlb_shootdown_ipis), ipis + 1);
	race_release();
	kt_crowd_join(&crowd);
}

/* ---- who is interrupted */

static void some_flushes(void)
{
	uintptr_t va = kt_map(50, RW);

	for (int i = 0; i < 20; i++) {
		kt_fill(va, 50, 1);
		KT_EQ(do_mprotect(va, 4 * PAGE_SIZE, PROT_READ), 0);
		KT_EQ(do_mprotect(va, 4 * PAGE_SIZE, RW), 0);
		KT_EQ(do_madvise(current->mm, va, 50 * PAGE_SIZE, MADV_DONTNEED), 0);
		kt_fill(va, 50, 1);
		KT_EQ(kt_unmap(va + 20 * PAGE_SIZE, 1), 0);
		KT_EQ(kt_map_at(va + 20 * PAGE_SIZE, 1, RW), va + 20 * PAGE_SIZE);
	}
	KT_EQ(kt_unmap(va, 50), 0);
}

KTEST_MM(shootdown, nobody_else_is_interrupted)
{
	u64 before = vm_event_sum(VME_tlb_shootdown_ipis), received = vm_event_sum(VME_tlb_shootdown_received);

	some_flushes();
	flush_tlb_mm(current->mm, true);
	KT_EQ(vm_event_sum(VME_tlb_shootdown_ipis) - before, 0);
	KT_EQ(vm_event_sum(VME_tlb_shootdown_received) - received, 0);
	KT_EQ(cpumask_weight(&current->mm->cpumask), 1);
	KT_EXPECT(cpumask_test(&current->mm->cpumask, cpu_id()));
}

static u32 stay;

static void stay_inside(void *unused, unsigned nr)
{
	while (READ_ONCE(stay)) {
		cond_resched();
		cpu_relax();
	}
}

static int load_kernel_mm(void *unused)
{
	exec_mmap(mmget(&init_mm));
	exit_mm();
	return 0;
}

/* One other CPU is inside: it alone is interrupted. When it has left and loaded something else, no longer. */
KTEST_MM(shootdown, only_those_who_were_inside)
{
	struct kt_crowd crowd;
	u64 ipis, flushes;

	if (nr_cpus < 3) {
		kt_skip("fewer than three CPUs");
		return;
	}
	kt_set("vm.tlb_shootdown", "ipi");
	stay = 1;
	kt_crowd_start(&crowd, 1, stay_inside, NULL);
	ipis = vm_event_sum(VME_tlb_shootdown_ipis);
	flushes = vm_event_sum(VME_tlb_shootdowns);
	some_flushes();
	ipis = vm_event_sum(VME_tlb_shootdown_ipis) - ipis;
	KT_EXPECT(ipis > 0);
	KT_EQ(ipis, vm_event_sum(VME_tlb_shootdowns) - flushes);
	KT_EQ(cpumask_weight(&current->mm->cpumask), 2);
	WRITE_ONCE(stay, 0);
	kt_crowd_join(&crowd);
	KT_EQ(kt_threads(nr_cpus, load_kernel_mm, NULL), 0);
	flush_tlb_mm(current->mm, false); /* where ids outlive a switch, this is what finds out that it left */
	ipis = vm_event_sum(VME_tlb_shootdown_ipis);
	some_flushes();
	KT_EQ(vm_event_sum(VME_tlb_shootdown_ipis) - ipis, 0);
}

/* CPUs that only borrow the address space are told too, and it may go away under them. */
static void visit(void *arg, unsigned nr)
{
	KT_EQ(kt_peek((uintptr_t)arg), 1);
}

KTEST_MM(shootdown, lazy_cpus)
{
	uintptr_t va = kt_map(1, RW);
	struct kt_crowd crowd;

	KT_ASSERT(va);
	for (int i = 0; i < 20; i++) {
		KT_EXPECT(kt_put(va, 1));
		kt_crowd_start(&crowd, nr_readers(), visit, (void *)va);
		kt_crowd_join(&crowd);
		KT_EQ(do_madvise(current->mm, va, PAGE_SIZE, MADV_DONTNEED), 0);
		KT_EQ(kt_peek(va), 0);
	}
}
