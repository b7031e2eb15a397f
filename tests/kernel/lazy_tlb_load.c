/*
 * vm.lazy_tlb under load: lives and deaths of address spaces on all CPUs while policies change, with each policy of the
 * other mechanisms, and CPUs that look at what they borrow while it is taken apart.
 */
#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/lazy_tlb.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lib/err.h"
#include "lib/random.h"
#include "mm/mman.h"
#include "mm/vmstat.h"
#include "mm/zap.h"
#include "tests/kernel/lazy_tlb.h"
#include "tests/kernel/space.h"

static struct {
	struct mm *hat[8];	/* atomic. a user each: mms that end elsewhere */
	unsigned pages;		/* each mm has so many, now and then */
	u64 end;		/* clock_ns */
	u32 rounds;		/* atomic */
	u32 failed;		/* atomic */
} storm;

static void into_the_hat(struct mm *mm, unsigned i)
{
	struct mm *old = __atomic_exchange_n(&storm.hat[i % ARRAY_SIZE(storm.hat)], mm, __ATOMIC_ACQ_REL);

	if (old)
		mmput(old);
}

/* One life after the other: exec, memory, sleep, exit; every few mms end on another CPU. */
static int live_and_die(void *arg)
{
	struct prng rng;

	prng_seed(&rng, kt_seed() + cpu_id());
	do {
		u64 r = prng_next(&rng);
		struct mm *mm = mm_create();
		unsigned pages = r & 1 ? storm.pages : 1;
		uintptr_t va;

		if (!mm) {
			__atomic_fetch_add(&storm.failed, 1, __ATOMIC_RELAXED);
			break;
		}
		exec_mmap(mm);
		if (r & 6) {
			va = kt_map(pages, RW);
			for (unsigned i = 3; va && i < pages; i++)
				kt_touch(va + i * PAGE_SIZE);
			if (!va || kt_fill(va, min(pages, 3u), r) || kt_wrong(va, 1, r))
				__atomic_fetch_add(&storm.failed, 1, __ATOMIC_RELAXED);
		}
		if (r & 8)
			into_the_hat(mmget(mm), (unsigned)(r >> 32));
		if (r & 16)
			exit_mm();
		if (r & 32)
			sleep_ns(20 * NSEC_PER_USEC);
		else
			sched_yield();
		__atomic_fetch_add(&storm.rounds, 1, __ATOMIC_RELAXED);
	} while (clock_ns() < READ_ONCE(storm.end));
	exit_mm();
	return 0;
}

static unsigned storm_start(struct task **t, unsigned most, unsigned pages, u64 ns)
{
	unsigned n = 0;

	storm.pages = pages;
	storm.rounds = storm.failed = 0;
	storm.end = clock_ns() + ns;
	for (; n < most; n++) {
		t[n] = kthread_run_on(n % nr_cpus, live_and_die, NULL, "storm/%u", n);
		if (IS_ERR(t[n]))
			break;
	}
	return n;
}

static void storm_join(struct task **t, unsigned n)
{
	while (n)
		kthread_stop(t[--n]);
	for (unsigned i = 0; i < ARRAY_SIZE(storm.hat); i++)
		into_the_hat(NULL, i);
	KT_EQ(storm.failed, 0);
}

KTEST(lazy_tlb_load, policies_change_under_load)
{
	struct task *t[16];
	unsigned flips = 0, n = storm_start(t, min(2 * nr_cpus, (unsigned)ARRAY_SIZE(t)), 3, 15 * NSEC_PER_SEC);
	u64 enough = clock_ns() + 600 * NSEC_PER_MSEC;

	/*
	 * At least as often as there are policies, and until each thread, on average, has lived some lives meanwhile.
	 */
	while (clock_ns() < storm.end &&
	       (clock_ns() < enough || flips < NR_POLICIES || READ_ONCE(storm.rounds) < 4 * n)) {
		choose(flips / NR_POLICIES % NR_POLICIES);
		sched_yield();
		choose(flips % NR_POLICIES);
		sched_yield();
		flips++;
	}
	WRITE_ONCE(storm.end, 0);
	storm_join(t, n);
	KT_EXPECT(flips >= NR_POLICIES && storm.rounds >= 4 * n);
}

/* ---- in pairs with the other mechanisms */

static const char *const free_async[] = { "off", "batch", "node", "zap" };

struct happened {
	u64 works, zaps, inlined;
};

/* Policies of this mechanism, each for a moment: `first` and then every step-th. */
static void storms(unsigned first, unsigned step, struct happened *h)
{
	u64 works = vm_event_sum(VME_free_async_works), zaps = vm_event_sum(VME_free_async_zaps);
	u64 inlined = vm_event_sum(VME_free_async_inline_fallback);
	struct task *t[4];

	for (unsigned policy = first; policy < NR_POLICIES; policy += step) {
		choose(policy);
		storm_join(t, storm_start(t, min(nr_cpus, (unsigned)ARRAY_SIZE(t)), 700, 8 * NSEC_PER_MSEC));
	}
	h->works = vm_event_sum(VME_free_async_works) - works;
	h->zaps = vm_event_sum(VME_free_async_zaps) - zaps;
	h->inlined = vm_event_sum(VME_free_async_inline_fallback) - inlined;
}

/* What the pair is about has happened, or there was too little time for it. */
static bool enough_happened(unsigned f, const struct happened *h)
{
	if (f == 0)
		return true;
	if (f == 3 && nr_cpus > 1)
		return h->zaps > 0;
	return h->works > 0;
}

static void pair(unsigned shootdown, unsigned f, unsigned runs)
{
	struct happened h;
	u64 end = SOON;

	kt_set("vm.free_async", free_async[f]);
	kt_set("vm.gather_runs", runs ? "1" : "0");
	/*
	 * Runs are few and stay on the stack: then only zap has something to do. Of this mechanism's policies half of
	 * all, or, since firmware's broadcast is slow, two: so that each meets each of any other mechanism.
	 */
	do {
		if (shootdown)
			storms((f + runs) % 3, 3, &h);
		else
			storms((f + runs) % 2, 2, &h);
	} while (!enough_happened(f, &h) && !(runs && f < 3) && clock_ns() < end);
	if (f == 0)
		KT_EXPECT(!h.works && !h.zaps);
	else if (!enough_happened(f, &h) && !(runs && f < 3))
		kt_fail(__FILE__, __LINE__, "%s, runs=%u: %llu works, %llu zaps", free_async[f], runs,
			(unsigned long long)h.works, (unsigned long long)h.zaps);
	KT_EQ(h.inlined, 0);
}

KTEST(lazy_tlb_load, pairs)
{
	static const char *const shootdown[] = { "ipi", "broadcast" };

	kt_set("vm.free_async_threshold", "512");
	zap_helper_pages = 200;		/* three helpers for a large one */
	for (unsigned b = 0; b < ARRAY_SIZE(shootdown); b++) {
		if (kt_set("vm.tlb_shootdown", shootdown[b]))
			continue;
		for (unsigned f = 0; f < ARRAY_SIZE(free_async); f++)
			for (unsigned runs = 0; runs < 2; runs++)
				pair(b, f, runs);
	}
}

/* ---- CPUs that borrow what helpers take apart */

#define LOOK_PAGES	1200u
#define MARK		0x1a2b000000000000ull

static struct {
	struct mm *mm;
	uintptr_t va;
	struct completion ready[7], go[7];
	u32 stop;		/* atomic */
	u32 looks, wrong;	/* atomic */
	u64 example;
	bool idle;		/* they sleep, and their CPUs idle */
} onlookers;

/* What was there, or nothing: never what has been put into a page that was freed, or what it was poisoned with. */
static void look_at(unsigned i)
{
	u64 v = kt_plain_read(onlookers.va + i * PAGE_SIZE);

	__atomic_fetch_add(&onlookers.looks, 1, __ATOMIC_RELAXED);
	if (v != KT_NOTHING && v != (MARK | i)) {
		onlookers.example = v;
		__atomic_fetch_add(&onlookers.wrong, 1, __ATOMIC_RELAXED);
	}
}

/* It has used the address space, goes on without one, and has its tables still loaded. */
static int borrows_and_looks(void *arg)
{
	unsigned nr = (unsigned)(uintptr_t)arg;

	exec_mmap(mmget(onlookers.mm));
	for (unsigned i = 0; i < LOOK_PAGES; i++)
		look_at(i);
	exit_mm();
	complete(&onlookers.ready[nr]);
	if (onlookers.idle) {
		wait_for_completion(&onlookers.go[nr]);
		return 0;
	}
	for (unsigned i = nr; !__atomic_load_n(&onlookers.stop, __ATOMIC_ACQUIRE); i += 7) {
		look_at(i % LOOK_PAGES);
		if (i % 8 == 0)
			cond_resched();
		cpu_relax();
	}
	return 0;
}

static struct mm *plain_space(void)
{
	struct mm *home = mmget(current->mm), *mm = mm_create();

	KT_EXPECT(mm);
	if (!mm) {
		mmput(home);
		return NULL;
	}
	exec_mmap(mmget(mm));
	onlookers.va = kt_map(LOOK_PAGES, RW);
	kt_make_plain(onlookers.va);
	KT_EQ(kt_fill(onlookers.va, LOOK_PAGES, MARK), 0);
	exec_mmap(home);
	return mm;
}

static unsigned onlookers_start(struct task **t, unsigned most)
{
	unsigned n = 0;

	onlookers.stop = onlookers.looks = onlookers.wrong = 0;
	for (; n < most; n++) {
		completion_init(&onlookers.ready[n]);
		completion_init(&onlookers.go[n]);
		t[n] = kthread_run_on(1 + n % (nr_cpus - 1), borrows_and_looks, (void *)(uintptr_t)n, "looks/%u", n);
		if (IS_ERR(t[n]))
			break;
		wait_for_completion(&onlookers.ready[n]);
	}
	return n;
}

static void onlookers_end(struct task **t, unsigned n)
{
	__atomic_store_n(&onlookers.stop, 1, __ATOMIC_RELEASE);
	while (n) {
		complete(&onlookers.go[--n]);
		kthread_stop(t[n]);
	}
}

static unsigned loaded_by(const struct mm *mm)
{
	unsigned n = 0, cpu;

	for_each_online_cpu(cpu)
		n += smp_load_acquire(&cpus[cpu]->active_mm) == mm;
	return n;
}

/*
 * An address space ends by vm.free_async=zap while CPUs have borrowed it, which idle or look at it. Returns how many
 * helpers there were. The memory that is freed is used again at once.
 */
static u64 zap_under_borrowers(unsigned policy, bool idle, bool broadcast)
{
	u64 works = vm_event_sum(VME_free_async_works), zaps = vm_event_sum(VME_free_async_zaps);
	unsigned n, most = min(nr_cpus - 1, 7u);
	uintptr_t again;
	struct task *t[7];
	struct mm *mm;

	choose(policy);
	mm = plain_space();
	if (!mm)
		return 0;
	onlookers.mm = mm;
	onlookers.idle = idle;
	n = onlookers_start(t, most);
	KT_EQ(n, most);
	if (idle)
		KT_EQ(loaded_by(mm), policy == NONE ? 0 : most);
	mmgrab(mm);
	mmput(mm);
	KT_EQ(vm_event_sum(VME_free_async_zaps) - zaps, 1);
	KT_EXPECT(broadcast || !loaded_by(mm));
	again = kt_map(LOOK_PAGES, RW);
	KT_EQ(kt_fill(again, LOOK_PAGES, 77), 0);
	KT_EQ(kt_unmap(again, LOOK_PAGES), 0);
	onlookers_end(t, n);
	mmdrop(mm);
	if (onlookers.wrong)
		kt_fail(__FILE__, __LINE__, "%s: %u of %u looks saw what was freed, for example %llx", policies[policy],
			onlookers.wrong, onlookers.looks, (unsigned long long)onlookers.example);
	return vm_event_sum(VME_free_async_works) - works;
}

static void zap_and_borrowers(bool broadcast)
{
	kt_set("vm.free_async", "zap");
	zap_helper_pages = 100;
	for (unsigned policy = 0; policy < NR_POLICIES; policy++) {
		u64 end = SOON, helpers;

		if (broadcast && (policy == NONE || policy == SHOOTDOWN))
			continue;	/* nobody borrows; filtered is the same but for a bit */
		if (!broadcast || policy == REFCOUNT)
			zap_under_borrowers(policy, false, broadcast);
		do {
			helpers = zap_under_borrowers(policy, true, broadcast);
		} while (!helpers && clock_ns() < end);
		KT_EXPECT(helpers);
	}
}

KTEST_MM(lazy_tlb_load, zap_and_borrowers)
{
	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	kt_set("vm.tlb_shootdown", "ipi");
	zap_and_borrowers(false);
}

/* Nobody makes them leave: each helper's own flush is what keeps them from using what it frees. */
KTEST_MM(lazy_tlb_load, zap_and_borrowers_by_broadcast)
{
	if (nr_cpus < 2 || kt_set("vm.tlb_shootdown", "broadcast")) {
		kt_skip(nr_cpus < 2 ? "one CPU only" : "no broadcast");
		return;
	}
	zap_and_borrowers(true);
}
