/*
 * Timers: per CPU a tree by expiry time; the hardware's one-shot timer is armed for the first.
 *
 * Locks: b base->lock (interrupts off). A timer is on at most one base; timer->cpu says which, and is changed under
 * that base's lock.
 */
#include "kernel/timer.h"

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/atomic.h"

struct timer_base {
	spinlock_t lock;
	struct rb_root_cached tree;	/* b */
	u64 armed;			/* b. what the hardware was told; ~0: nothing */
} __aligned(128);

static DEFINE_PER_CPU(struct timer_base, timer_bases);
static s64 wall_offset;			/* atomic. wall clock minus clock_ns */

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
	t->fn = fn;
	t->cpu = -1;
	t->running = 0;
	t->expires = 0;
}

/* The base the timer is queued on, locked; or this CPU's if it is not queued. Interrupts off. */
static struct timer_base *lock_base(struct timer *t)
{
	for (;;) {
		int cpu = READ_ONCE(t->cpu);
		struct timer_base *b = cpu < 0 ? this_cpu_ptr(&timer_bases) : per_cpu_ptr(&timer_bases, (unsigned)cpu);

		spin_lock(&b->lock);
		/* Acquire: who finds it off the queue also finds that its callback runs (timer_interrupt). */
		if (smp_load_acquire(&t->cpu) == cpu)
			return b;
		spin_unlock(&b->lock);
	}
}

static void insert(struct timer_base *b, struct timer *t)
{
	struct rb_node **link = &b->tree.root.node, *parent = NULL;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (t->expires < rb_entry(parent, struct timer, node)->expires) {
			link = &parent->left;
		} else {
			link = &parent->right;
			leftmost = false;
		}
	}
	rb_insert_cached(&t->node, parent, link, &b->tree, leftmost);
	t->cpu = (int)cpu_id();
	if (leftmost && t->expires < b->armed) {
		b->armed = t->expires;
		timer_arm(t->expires);
	}
}

void timer_start(struct timer *t, u64 expires)
{
	unsigned long flags = irq_save();
	struct timer_base *b = lock_base(t), *mine = this_cpu_ptr(&timer_bases);

	if (t->cpu >= 0)
		rb_erase_cached(&t->node, &b->tree);
	if (b != mine) {
		t->cpu = -1;
		spin_unlock(&b->lock);
		spin_lock(&mine->lock);
		if (t->cpu >= 0) {	/* somebody else started it in between: theirs stands */
			spin_unlock_irqrestore(&mine->lock, flags);
			return;
		}
	}
	t->expires = expires;
	insert(mine, t);
	spin_unlock_irqrestore(&mine->lock, flags);
}

bool timer_cancel(struct timer *t)
{
	unsigned long flags = irq_save();
	struct timer_base *b = lock_base(t);
	bool queued = t->cpu >= 0;

	if (queued) {
		rb_erase_cached(&t->node, &b->tree);
		t->cpu = -1;
		/* The hardware may stay armed for it: a spurious interrupt costs less than arming it twice. */
	}
	spin_unlock_irqrestore(&b->lock, flags);
	return queued;
}

bool timer_cancel_sync(struct timer *t)
{
	bool queued = timer_cancel(t);

	/* A callback that was taken off the queue before runs with t->running set until it is over. */
	while (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE))
		cpu_relax();
	return queued;
}

bool timer_pending(const struct timer *t)
{
	return READ_ONCE(t->cpu) >= 0;
}

void timer_interrupt(void)
{
	struct timer_base *b = this_cpu_ptr(&timer_bases);

	spin_lock(&b->lock);
	for (;;) {
		struct rb_node *n = rb_first_cached(&b->tree);
		struct timer *t = n ? rb_entry(n, struct timer, node) : NULL;
		void (*fn)(struct timer *);

		if (!t) {
			b->armed = ~0ull;
			timer_disarm();
			break;
		}
		if (t->expires > clock_ns()) {
			b->armed = t->expires;
			timer_arm(t->expires);
			break;
		}
		rb_erase_cached(&t->node, &b->tree);
		__atomic_fetch_add(&t->running, 1, __ATOMIC_RELAXED);
		smp_store_release(&t->cpu, -1);	/* pairs with lock_base: off the queue means running, or over */
		fn = t->fn;
		spin_unlock(&b->lock);
		fn(t);
		/* From here on the owner of a cancelled timer may free it. */
		__atomic_fetch_sub(&t->running, 1, __ATOMIC_RELEASE);
		spin_lock(&b->lock);
	}
	spin_unlock(&b->lock);
}

void timers_init_cpu(unsigned cpu)
{
	struct timer_base *b = per_cpu_ptr(&timer_bases, cpu);

	spin_lock_init(&b->lock, RANK_TIMER);
	b->tree = RB_ROOT_CACHED;
	b->armed = ~0ull;
}

void timers_init(void)
{
	timers_init_cpu(0);
	set_wall_clock_ns(arch_wall_clock() * NSEC_PER_SEC);
}

u64 wall_clock_ns(void)
{
	return clock_ns() + (u64)__atomic_load_n(&wall_offset, __ATOMIC_RELAXED);
}

void set_wall_clock_ns(u64 ns)
{
	__atomic_store_n(&wall_offset, (s64)(ns - clock_ns()), __ATOMIC_RELAXED);
}
