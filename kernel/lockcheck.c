/*
 * Debug builds: lock ranks. Each CPU keeps the spinlocks it holds, each task the sleeping locks. Acquiring a lock whose
 * rank is not higher than every rank held is a bug, reported with both locks. See lockrank.h.
 */
#ifdef CONFIG_DEBUG
#include "kernel/lockcheck.h"

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "kernel/task.h"

#define MAX_HELD 16

struct held_spinlocks {
	struct {
		const void *lock;
		u32 rank;
		uintptr_t where;
	} held[MAX_HELD];
	unsigned n;
};
static DEFINE_PER_CPU(struct held_spinlocks, held_spinlocks);

void lock_check_acquire(const void *lock, u32 rank, bool nested)
{
	unsigned long flags = irq_save();
	struct held_spinlocks *h = this_cpu_ptr(&held_spinlocks);

	if (!panicking) {
		for (unsigned i = 0; i < h->n; i++) {
			if (h->held[i].lock == lock && rank)
				panic("lock %pS taken twice by this CPU; first at %pS", lock, (void *)h->held[i].where);
			if (rank && !nested && h->held[i].rank >= rank)
				panic("lock order: rank %u (%pS) wanted while rank %u (%pS, taken at %pS) is held",
				      rank, lock, h->held[i].rank, h->held[i].lock, (void *)h->held[i].where);
		}
		if (h->n == MAX_HELD)
			panic("more than %d spinlocks held", MAX_HELD);
		h->held[h->n].lock = lock;
		h->held[h->n].rank = rank;
		h->held[h->n].where = (uintptr_t)__builtin_return_address(0);
		h->n++;
	}
	irq_restore(flags);
}

void lock_check_release(const void *lock)
{
	unsigned long flags = irq_save();
	struct held_spinlocks *h = this_cpu_ptr(&held_spinlocks);
	unsigned i = h->n;

	while (i > 0 && h->held[i - 1].lock != lock)
		i--;
	if (i > 0) {
		for (; i < h->n; i++)
			h->held[i - 1] = h->held[i];
		h->n--;
	} else if (!panicking) {
		panic("lock %pS released by a CPU that does not hold it", lock);
	}
	irq_restore(flags);
}

void lock_assert_held(const void *lock)
{
	struct held_spinlocks *h = this_cpu_ptr(&held_spinlocks);

	for (unsigned i = 0; i < h->n; i++)
		if (h->held[i].lock == lock)
			return;
	panic("lock %pS should be held here", lock);
}

void lock_check_sleep(void)
{
	struct held_spinlocks *h = this_cpu_ptr(&held_spinlocks);

	if (h->n && !panicking)
		panic("going to sleep with spinlock %pS held, taken at %pS", h->held[0].lock, (void *)h->held[0].where);
}

unsigned lock_check_held(void)
{
	return this_cpu_ptr(&held_spinlocks)->n;
}

void sleep_lock_acquire(const void *lock, u32 rank, bool nested)
{
	struct task *t = current;

	if (panicking)
		return;
	lock_check_sleep();
	for (unsigned i = 0; i < t->nr_held; i++)
		if (!nested && t->held[i].rank >= rank)
			panic("lock order: sleeping lock of rank %u (%pS) wanted while rank %u (%pS) is held by %s",
			      rank, lock, t->held[i].rank, t->held[i].lock, t->comm);
	if (t->nr_held == ARRAY_SIZE(t->held))
		panic("too many sleeping locks held by %s", t->comm);
	t->held[t->nr_held].lock = lock;
	t->held[t->nr_held].rank = rank;
	t->nr_held++;
}

void sleep_lock_release(const void *lock)
{
	struct task *t = current;
	unsigned i = t->nr_held;

	while (i > 0 && t->held[i - 1].lock != lock)
		i--;
	if (!i) {
		if (!panicking)
			panic("sleeping lock %pS released by %s, which does not hold it", lock, t->comm);
		return;
	}
	for (; i < t->nr_held; i++)
		t->held[i - 1] = t->held[i];
	t->nr_held--;
}
#endif
