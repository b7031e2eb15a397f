/*
 * The slow path of spinlocks: a bounded spin, then halt until kicked.
 *
 * A waiter that gives up spinning says which lock it waits for (its CPU's `waiting`), then exchanges 2 into the word.
 * If the exchange returns 0 it has the lock (2 is as good as 1). Else it halts with its interrupts enabled until an
 * interrupt comes, and tries again. The holder's exchange of
 * 0 returns 2, so it looks for CPUs that wait for this lock and kicks the first one it finds.
 *
 * No wake-up is lost: waiter: store waiting; exchange 2 (fence). Holder: exchange 0 (fence, sees 2); load waiting. And
 * the kick is an interrupt: between the waiter's exchange and its halt, interrupts are off, so it stays pending and
 * ends the halt.
 *
 * A waiter that had interrupts off spins on, with cpu_relax(): it may not take interrupts, and such locks are held
 * briefly.
 */
#include "kernel/spinlock.h"

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"

#define SPIN_LIMIT 1000

struct lock_wait {
	spinlock_t *lock;	/* atomic. NULL: none */
} __aligned(64);

static DEFINE_PER_CPU(struct lock_wait, lock_wait);
static u32 nr_halted;		/* atomic. Lets unlock skip the scan when nobody halts */

static bool try_take(spinlock_t *l, u32 value)
{
	u32 free = 0;

	return READ_ONCE(l->word) == 0 &&
	       __atomic_compare_exchange_n(&l->word, &free, value, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void wait_halted(spinlock_t *l)
{
	struct lock_wait *w;

	irq_disable();
	w = this_cpu_ptr(&lock_wait);
	__atomic_fetch_add(&nr_halted, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&w->lock, l, __ATOMIC_RELAXED);
	while (__atomic_exchange_n(&l->word, 2, __ATOMIC_SEQ_CST) != 0) {
		cpu_idle();
		/* An interrupt handler may have waited for a lock of its own meanwhile. */
		__atomic_store_n(&w->lock, l, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&w->lock, NULL, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&nr_halted, 1, __ATOMIC_RELAXED);
	irq_enable();
}

void spin_lock_slow(spinlock_t *l)
{
	bool may_halt = !irqs_off() && !panicking;

	for (unsigned i = 0; i < SPIN_LIMIT || !may_halt; i++) {
		if (try_take(l, 1))
			return;
		if (panicking && i > 100000000)
			return;		/* the holder was stopped; the report matters more */
		cpu_relax();
	}
	wait_halted(l);
}

void spin_unlock_slow(spinlock_t *l)
{
	unsigned self = cpu_id(), cpu;

	/* The exchange that brought us here is a release only: order it before the look at the waiters. */
	smp_mb();
	if (!__atomic_load_n(&nr_halted, __ATOMIC_RELAXED))
		return;
	for_each_online_cpu(cpu) {
		if (cpu != self && __atomic_load_n(&per_cpu_ptr(&lock_wait, cpu)->lock, __ATOMIC_RELAXED) == l) {
			ipi_kick(cpu);
			return;
		}
	}
}
