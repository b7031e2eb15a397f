/*
 * The contract, parts 4, 5 and 8: identity, interrupts, waiting, ordering, whole pages, IPIs, context switches,
 * backtraces.
 */
#include <arch/cpu.h>
#include <arch/smp.h>
#include <arch/thread.h>

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "tests/kernel/ktest.h"

static u32 bad;

static void wrong(void)
{
	__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
}

/* ---- identity */

static u32 seen_cpus;

static int who_am_i(void *arg)
{
	unsigned cpu = (unsigned)__builtin_ctzl(current->affinity.bits[0] ? current->affinity.bits[0] : 1);
	struct task *me = current;

	for (int i = 0; i < 20; i++) {
		if (this_cpu() != cpus[cpu] || cpu_id() != cpu || this_cpu()->id != cpu || this_cpu()->curr != me ||
		    current != me)
			wrong();
		if ((uintptr_t)&i < (uintptr_t)me->kstack || (uintptr_t)&i >= (uintptr_t)me->kstack + KSTACK_SIZE)
			wrong();
		sched_yield();
	}
	__atomic_fetch_or(&seen_cpus, 1u << cpu, __ATOMIC_RELAXED);
	return 0;
}

KTEST(arch_cpu, each_cpu_knows_itself)
{
	unsigned n = min(nr_cpus, 32u);

	bad = seen_cpus = 0;
	KT_EQ(kt_threads(n, who_am_i, NULL), 0);
	KT_EQ(bad, 0);
	KT_EQ(seen_cpus, n == 32 ? 0xffffffffu : (1u << n) - 1);
}

static DEFINE_PER_CPU(u64, percpu_word);

static int count_here(void *arg)
{
	for (int i = 0; i < 1000; i++)
		++*this_cpu_ptr(&percpu_word);
	return 0;
}

KTEST(arch_cpu, per_cpu_data)
{
	for (unsigned i = 0; i < nr_cpus; i++)
		*per_cpu_ptr(&percpu_word, i) = 0;
	KT_EQ(kt_threads(min(nr_cpus, 64u), count_here, NULL), 0);
	for (unsigned i = 0; i < min(nr_cpus, 64u); i++)
		KT_EQ(*per_cpu_ptr(&percpu_word, i), 1000);
}

/* ---- interrupts */

KTEST(arch_cpu, interrupt_state_nests)
{
	unsigned long a, b;

	KT_EXPECT(!irqs_off());
	a = irq_save();
	KT_EXPECT(irqs_off());
	b = irq_save();
	KT_EXPECT(irqs_off());
	irq_restore(b);
	KT_EXPECT(irqs_off());
	irq_restore(a);
	KT_EXPECT(!irqs_off());
	irq_disable();
	KT_EXPECT(irqs_off());
	a = irq_save();
	irq_restore(a);
	KT_EXPECT(irqs_off());
	irq_enable();
	KT_EXPECT(!irqs_off());
}

static void note_interrupt(void *arg)
{
	if (!irqs_off() || !in_interrupt())
		wrong();
	WRITE_ONCE(*(u32 *)arg, 1);
}

/* An interrupt that comes while they are off is taken when they are on again, and not before. */
KTEST(arch_cpu, interrupts_wait_while_off)
{
	u32 came = 0;
	struct ipi_call call = { .fn = note_interrupt, .arg = &came };
	unsigned long flags = irq_save();
	u64 end;

	bad = 0;
	call_on_cpu_async(cpu_id(), &call);
	end = clock_ns() + 2 * NSEC_PER_MSEC;
	while (clock_ns() < end)
		cpu_relax();
	KT_EQ(READ_ONCE(came), 0);
	irq_restore(flags);
	end = SOON;
	while (!READ_ONCE(came) && clock_ns() < end)
		cpu_relax();
	KT_EQ(came, 1);
	KT_EQ(bad, 0);
}

/* ---- IPIs */

static u64 hit_mask[CPUMASK_WORDS];

static void hit(void *arg)
{
	if (__atomic_fetch_or(&hit_mask[cpu_id() / 64], 1ull << (cpu_id() % 64), __ATOMIC_RELAXED) >> (cpu_id() % 64) &
	    1)
		wrong();
}

static void check_mask(const struct cpumask *m)
{
	memset(hit_mask, 0, sizeof(hit_mask));
	call_on_cpus(m, hit, NULL, true);
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		KT_EXPECT(hit_mask[i] == m->bits[i]);
}

KTEST(arch_cpu, ipi_to_every_mask)
{
	struct cpumask m = { { 0 } };
	struct prng rng;

	bad = 0;
	prng_seed(&rng, kt_seed());
	check_mask(&m);
	check_mask(&cpu_online_mask);
	for (unsigned i = 0; i < nr_cpus; i++) {
		cpumask_zero(&m);
		cpumask_set(&m, i);
		check_mask(&m);
		cpumask_copy(&m, &cpu_online_mask);
		cpumask_clear(&m, i);
		check_mask(&m);
	}
	for (int k = 0; k < 30; k++) {
		for (unsigned i = 0; i < CPUMASK_WORDS; i++)
			m.bits[i] = prng_next(&rng) & cpu_online_mask.bits[i];
		check_mask(&m);
	}
	KT_EQ(bad, 0);
}

/* What was written before the IPI is seen by its handler. */
static u64 payload[16];

static void look_at_payload(void *arg)
{
	for (unsigned i = 0; i < ARRAY_SIZE(payload); i++)
		if (READ_ONCE(payload[i]) != (uintptr_t)arg)
			wrong();
}

KTEST(arch_cpu, ipi_shows_earlier_stores)
{
	bad = 0;
	for (uintptr_t k = 1; k <= 100; k++) {
		for (unsigned i = 0; i < ARRAY_SIZE(payload); i++)
			WRITE_ONCE(payload[i], k);
		call_on_cpus(&cpu_online_mask, look_at_payload, (void *)k, true);
	}
	KT_EQ(bad, 0);
}

/* A CPU that is going idle is not lost to an IPI: each call is answered at once, whatever it is doing. */
KTEST(arch_cpu, idle_cpus_wake)
{
	struct prng rng;
	u64 worst = 0;

	prng_seed(&rng, kt_seed());
	memset(hit_mask, 0, sizeof(hit_mask));
	for (int k = 0; k < 200; k++) {
		unsigned cpu = (unsigned)prng_below(&rng, nr_cpus);
		u64 start = clock_ns();

		hit_mask[cpu / 64] = 0;
		call_on_cpu(cpu, hit, NULL, true);
		worst = max(worst, clock_ns() - start);
		for (u64 wait = prng_below(&rng, 2000); wait; wait--)
			barrier();
	}
	KT_EXPECT(worst < 10 * NSEC_PER_SEC);
}

/* ---- waiting and ordering */

#define RELAY_TURNS 100u

struct relay {
	u32 turn, n;
	u64 last;		/* clock_ns of the last turn */
	u32 quick;		/* turns that were taken soon after the one before */
};

static int relay_runner(void *arg)
{
	struct relay *r = arg;
	u32 me = __atomic_fetch_add(&r->n, 1, __ATOMIC_SEQ_CST);
	unsigned long flags;

	while (__atomic_load_n(&r->n, __ATOMIC_ACQUIRE) < 2)
		cpu_relax();
	/* A timer's interrupt would yield, too. */
	flags = irq_save();
	for (u32 i = me; i < RELAY_TURNS; i += 2) {
		u64 now;

		while (__atomic_load_n(&r->turn, __ATOMIC_ACQUIRE) != i)
			cpu_relax();
		now = clock_ns();
		r->quick += now - r->last < 50 * NSEC_PER_MSEC;
		r->last = now;
		__atomic_store_n(&r->turn, i + 1, __ATOMIC_RELEASE);
	}
	irq_restore(flags);
	return 0;
}

/*
 * Two CPUs spin for each other: cpu_relax() lets the other one run even if there is one host core for both. An emulator
 * with one thread gives each of them 100 ms otherwise. A busy host may make some turns as slow, but not most.
 */
KTEST(arch_cpu, relax_lets_others_run)
{
	struct relay r = { .turn = 0 };

	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	KT_EQ(kt_threads(2, relay_runner, &r), 0);
	KT_EQ(r.turn, RELAY_TURNS);
	KT_EXPECT(r.quick >= RELAY_TURNS / 4);
}

static struct {
	u32 x __aligned(128), y __aligned(128), rx __aligned(128), ry __aligned(128), round[2] __aligned(128),
		go __aligned(128);
	u32 nr;
} litmus;
#define LITMUS_ROUNDS 3000u

/*
 * Store buffering: with a full fence between its store and its load, at least one of two CPUs sees the other's store.
 */
static int litmus_side(void *arg)
{
	u32 me = __atomic_fetch_add(&litmus.nr, 1, __ATOMIC_SEQ_CST);

	for (u32 i = 1; i <= LITMUS_ROUNDS; i++) {
		if (me == 0) {
			while (__atomic_load_n(&litmus.round[1], __ATOMIC_ACQUIRE) != i - 1)
				cpu_relax();
			if (i > 1 && !litmus.rx && !litmus.ry)
				wrong();
			WRITE_ONCE(litmus.x, 0);
			WRITE_ONCE(litmus.y, 0);
			__atomic_store_n(&litmus.go, i, __ATOMIC_RELEASE);
			WRITE_ONCE(litmus.x, 1);
			smp_mb();
			litmus.ry = READ_ONCE(litmus.y);
			__atomic_store_n(&litmus.round[0], i, __ATOMIC_RELEASE);
		} else {
			while (__atomic_load_n(&litmus.go, __ATOMIC_ACQUIRE) != i)
				cpu_relax();
			WRITE_ONCE(litmus.y, 1);
			smp_mb();
			litmus.rx = READ_ONCE(litmus.x);
			while (__atomic_load_n(&litmus.round[0], __ATOMIC_ACQUIRE) != i)
				cpu_relax();
			__atomic_store_n(&litmus.round[1], i, __ATOMIC_RELEASE);
		}
	}
	return 0;
}

KTEST(arch_cpu, full_fence)
{
	if (nr_cpus < 2) {
		kt_skip("one CPU only");
		return;
	}
	bad = 0;
	memset(&litmus, 0, sizeof(litmus));
	KT_EQ(kt_threads(2, litmus_side, NULL), 0);
	KT_EQ(bad, 0);
	smp_rmb();
	smp_wmb();
	mb();
}

/* ---- whole pages */

KTEST(arch_cpu, clear_and_copy_page)
{
	u8 *p = alloc_kpages(3, GFP_KERNEL);

	KT_ASSERT(p);
	for (int k = 0; k < 4; k++) {
		u8 *src = p + PAGE_SIZE, *dst = p + 5 * PAGE_SIZE;

		memset(p, 0xa5 + k, 8 * PAGE_SIZE);
		clear_page(src);
		KT_EXPECT(!memchr_inv(src, 0, PAGE_SIZE));
		KT_EXPECT(!memchr_inv(p, 0xa5 + k, PAGE_SIZE) && !memchr_inv(src + PAGE_SIZE, 0xa5 + k, 6 * PAGE_SIZE));
		for (unsigned i = 0; i < PAGE_SIZE; i++)
			src[i] = (u8)(i * 31 + (i >> 8) + (unsigned)k);
		copy_page(dst, src);
		KT_EXPECT(!memcmp(dst, src, PAGE_SIZE));
		KT_EXPECT(!memchr_inv(dst - PAGE_SIZE, 0xa5 + k, PAGE_SIZE) &&
			  !memchr_inv(dst + PAGE_SIZE, 0xa5 + k, 2 * PAGE_SIZE));
	}
	icache_sync(p, 64);
	icache_sync(p + 5, 8 * PAGE_SIZE - 5);
	free_kpages(p, 3);
}

/* ---- switching */

/* So many values that live across each switch that callee-saved registers and stack hold them. */
static noinline u64 switch_with_values(u64 seed)
{
	u64 a = seed, b = seed * 3 + 1, c = seed ^ 0x1111, d = seed + 0x2222, e = ~seed, f = seed << 7, g = seed >> 3,
	    h = seed * seed;
	u64 i = seed ^ 0x77777777, j = seed - 12345, k = seed * 77, l = seed | 1;

	for (int n = 0; n < 40; n++) {
		sched_yield();
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
		a += b ^ (u64)n;
		b = (b << 5 | b >> 59) + c;
		c ^= d + a;
		d += e * 3;
		e = (e >> 9 | e << 55) ^ f;
		f += g;
		g ^= h + i;
		h = h * 5 + j;
		i += k ^ l;
		j ^= a;
		k += b;
		l = (l << 1 | l >> 63) + d;
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l;
}

/* The same without anybody to switch to: what the value should be. */
static u64 expected[4];

static int switcher(void *arg)
{
	u32 *nr = arg, me = __atomic_fetch_add(nr, 1, __ATOMIC_SEQ_CST) % 4;

	if (switch_with_values(0x1234567 * (me + 1)) != expected[me])
		wrong();
	return 0;
}

KTEST(arch_cpu, registers_survive_switches)
{
	u32 nr = 0;

	bad = 0;
	for (u32 i = 0; i < 4; i++)
		expected[i] = switch_with_values(0x1234567 * (i + 1));
	KT_EQ(kt_threads(min(4 * nr_cpus, 64u), switcher, &nr), 0);
	KT_EQ(bad, 0);
}

static noinline u32 deep(u32 depth, u32 seed)
{
	volatile u32 frame[16];
	u32 sum = 0;

	for (u32 i = 0; i < 16; i++)
		frame[i] = seed + depth * 16 + i;
	if (depth)
		sum = deep(depth - 1, seed);
	else
		sched_yield();
	for (u32 i = 0; i < 16; i++)
		if (frame[i] != seed + depth * 16 + i)
			wrong();
	return sum + frame[depth % 16];
}

static int diver(void *arg)
{
	for (u32 i = 0; i < 20; i++)
		deep(60, (u32)current->pid * 1000 + i);
	return 0;
}

KTEST(arch_cpu, stacks_are_private)
{
	bad = 0;
	KT_EQ(kt_threads(min(3 * nr_cpus, 64u), diver, NULL), 0);
	KT_EQ(bad, 0);
}

/* ---- the rest */

extern char _text_start[], _text_end[];

static noinline unsigned frames_above(void)
{
	uintptr_t fp = (uintptr_t)__builtin_frame_address(0), pc = 0;
	unsigned n = 0;
	char name[80];

	while (n < 64 && arch_unwind(&fp, &pc)) {
		if (pc && (pc < (uintptr_t)_text_start || pc > (uintptr_t)_text_end))
			wrong();
		if (pc && symbolize(name, sizeof(name), pc) <= 0)
			wrong();
		n++;
	}
	return n;
}

KTEST(arch_cpu, backtrace_ends)
{
	unsigned n;

	bad = 0;
	n = frames_above();
	KT_EXPECT(n >= 3 && n < 64);
	KT_EQ(bad, 0);
}

/* In panic() a frame pointer may be anything: such ones end the backtrace, and nothing else happens. */
KTEST(arch_cpu, backtrace_from_nowhere)
{
	const uintptr_t bad[] = { 0, 16, 1, 1ul << 20, USER_TOP + PAGE_SIZE, (uintptr_t)current->kstack - 64,
				  (uintptr_t)current->kstack + 1, VMALLOC_END, ~0ul, ~0ul - 15, ~0ul - 31 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		uintptr_t fp = bad[i], pc;

		if (arch_unwind(&fp, &pc))
			kt_fail(__FILE__, __LINE__, "a frame at %#lx", bad[i]);
	}
}

static int counter_runs(void *arg)
{
	u64 last = cpu_counter(), first = last;

	for (int i = 0; i < 2000; i++) {
		u64 now = cpu_counter();

		if (now < last)
			wrong();
		last = now;
	}
	if (last == first)
		wrong();
	return 0;
}

KTEST(arch_cpu, counter_increases)
{
	bad = 0;
	KT_EXPECT(cpu_counter_name && cpu_counter_name[0]);
	KT_EQ(kt_threads(min(nr_cpus, 64u), counter_runs, NULL), 0);
	KT_EQ(bad, 0);
}
