/*
 * Lazy TLB (mechanism 3): what keeps borrowed page tables alive.
 *
 * Going to a task without an address space (idle, a worker, a task that has ended) does not change the root: cpu->
 * active_mm stays loaded. When the last reference to that mm goes, no CPU may have its root loaded any more. Policies:
 *
 *	none		do not borrow: load init_mm at once
 *	refcount	a counted reference for each stretch of borrowing: two atomics on the mm's line
 *	shootdown	no reference; the last drop interrupts every CPU in mm->cpumask, which loads init_mm
 *	filtered	the same, but only CPUs whose published active_mm is this mm
 *	hazard		a slot in a line of the CPU's own says what it borrows. The last drop turns each slot that names
 *			the mm into "mm, owed" and takes a reference for it; the CPU drops that when it leaves
 *	quiesce		dead mms wait, up to BATCH of them or a moment, until CPUs have gone on by themselves; those
 *	that
 *			have not get one interrupt for the whole batch
 *
 * Why a slot or a look is enough. A CPU can begin to borrow mm only from a task that uses it (prev->mm == mm, or
 * exit_mm itself): that task holds a user of mm until it has left this CPU (sched.c: on_cpu, release and acquire), so
 * the last drop comes after, and sees the slot, the mask's bit, active_mm. So no fence is needed when a CPU goes lazy:
 * what hazard pointers usually need one for, taking a pointer that nobody holds, does not happen. (tests/models has the
 * protocol, and finds the failure when a CPU may borrow what nobody uses.)
 * In the other direction active_mm is published after the new root was loaded and the bit cleared, with a release: who
 * reads another mm there, with acquire, knows that the CPU is done with this one.
 *
 * Dying: exit_mmap's first flush makes every other CPU that borrows the mm load init_mm (mm/tlb.c), unless flushes are
 * broadcast; then shootdown finds only itself. That is what "exit's own flush makes shootdown free" means.
 *
 * Switching the policy: the new one is in force beside the old one (the last drop does what both need), every CPU
 * passes an interrupt and leaves what it borrowed under the old one, the old one ends.
 *
 * Nobody waits who must not: a last drop in an interrupt, or with interrupts off, puts the mm on quiesce's list,
 * whatever the policy. The list is bounded by BATCHES_AT_MOST: whoever finds it that long and may wait reaps it
 * himself.
 *
 * Locks: d dead_lock (interrupts off)   c this CPU only, interrupts off   a atomic
 */
#include "kernel/lazy_tlb.h"

#include <arch/ctx.h>

#include "kernel/init.h"
#include "kernel/ipi.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/race.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "kernel/workqueue.h"
#include "mm/mm.h"
#include "mm/vmstat.h"

enum { LAZY_NONE, LAZY_REFCOUNT, LAZY_SHOOTDOWN, LAZY_FILTERED, LAZY_HAZARD, LAZY_QUIESCE };

#define BIT_OF(policy)	(1u << (policy))
#define UNCOUNTED	(BIT_OF(LAZY_SHOOTDOWN) | BIT_OF(LAZY_FILTERED) | BIT_OF(LAZY_QUIESCE))
#define OWED		1ul
#define BATCH		64
#define BATCHES_AT_MOST	4
#define BATCH_NS	(10 * NSEC_PER_MSEC)

struct lazy_cpu {
	uintptr_t slot;		/* a. hazard: the mm that is borrowed, with OWED if its last user has seen that */
	u32 policy;		/* c. by which this CPU borrows now */
} __aligned(128);

static DEFINE_PER_CPU(struct lazy_cpu, lazy_cpus);

static unsigned wanted = LAZY_REFCOUNT;		/* the knob */
static u32 policy = LAZY_REFCOUNT;		/* a. for CPUs that go lazy from now on */
static u32 in_force = BIT_OF(LAZY_REFCOUNT);	/* a. policies by which some CPU may be lazy */
#ifdef CONFIG_DEBUG
static bool opt_check = true;
#else
static bool opt_check;
#endif

static spinlock_t dead_lock = SPINLOCK_INIT(RANK_TIMER_USER);
static struct mm *dead_list;			/* d. linked by mm->dead_next */
static unsigned nr_dead;			/* d */
static struct timer reap_timer;			/* d: its starts */
static struct work reap_work;

/* ---- going lazy, leaving ---- */

void lazy_tlb_enter(struct cpu *c)
{
	struct lazy_cpu *l = this_cpu_ptr(&lazy_cpus);
	struct mm *mm = c->active_mm;

	if (unlikely(mm == &init_mm)) {
		l->policy = LAZY_NONE;
		return;
	}
	vm_event(VME_lazy_tlb_switches);
	/* Acquire: a policy is seen only together with its bit in in_force. */
	l->policy = smp_load_acquire(&policy);
	switch (l->policy) {
	case LAZY_NONE:
		load_mm(c, &init_mm);
		break;
	case LAZY_REFCOUNT:
		vm_event(VME_lazy_tlb_refs);
		mmgrab(mm);
		break;
	case LAZY_HAZARD:
		WRITE_ONCE(l->slot, (uintptr_t)mm);
		break;
	}
}

struct mm *lazy_tlb_leave(struct mm *mm)
{
	struct lazy_cpu *l = this_cpu_ptr(&lazy_cpus);
	u32 was = l->policy;

	l->policy = LAZY_NONE;
	/* On a line of our own. Acquire and release: the last user's look comes before or after all that we did. */
	if (was == LAZY_HAZARD)
		return __atomic_exchange_n(&l->slot, 0, __ATOMIC_ACQ_REL) & OWED ? mm : NULL;
	return was == LAZY_REFCOUNT ? mm : NULL;
}

void lazy_tlb_unlazy(void)
{
	struct cpu *c = this_cpu();
	struct mm *mm = c->active_mm;

	if (current->mm || mm == &init_mm)
		return;
	load_mm(c, &init_mm);
	mm = lazy_tlb_leave(mm);
	if (mm)
		mmdrop(mm);
}

/* ---- the last drop ---- */

static bool may_wait(void)
{
	return !irqs_off() && !in_interrupt();
}

static void unlazy_ipi(void *arg)
{
	struct mm *mm = arg;

	if (this_cpu()->active_mm != mm)
		return;
	ASSERT(!current->mm, "%s uses an mm that has no users", current->comm);
	lazy_tlb_unlazy();
}

/* hazard: every CPU whose slot names mm owes the drop of a reference from now on. Does anybody? */
static bool owe(struct mm *mm)
{
	unsigned cpu;

	atomic_set(&mm->count, 1);	/* ours, while we look */
	for_each_online_cpu(cpu) {
		uintptr_t seen = (uintptr_t)mm, *slot = &per_cpu_ptr(&lazy_cpus, cpu)->slot;

#ifdef BREAK_LAZY_NO_OWED
		continue;
#endif
		if (__atomic_load_n(slot, __ATOMIC_RELAXED) != seen)
			continue;
		mmgrab(mm);
		race_point("lazy:before-owed");
#ifdef BREAK_LAZY_NO_RECHECK
		__atomic_store_n(slot, seen | OWED, __ATOMIC_RELEASE);
		continue;
#endif
		if (!__atomic_compare_exchange_n(slot, &seen, seen | OWED, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			atomic_dec(&mm->count);	/* it left meanwhile */
	}
	race_point("lazy:after-owed");
	return !atomic_dec_and_test(&mm->count);
}

/* Of the CPUs in mm's mask, those that have it loaded; returns how many have not. */
static unsigned find_holders(const struct mm *mm, struct cpumask *holders)
{
	unsigned cpu, gone = 0;

	cpumask_copy(holders, &mm->cpumask);
	for_each_cpu(cpu, holders) {
#ifdef BREAK_LAZY_NO_ACQUIRE
		if (READ_ONCE(cpus[cpu]->active_mm) != mm) {
#else
		if (smp_load_acquire(&cpus[cpu]->active_mm) != mm) {
#endif
			__cpumask_clear(holders, cpu);
			gone++;
		}
	}
#ifndef BREAK_LAZY_NO_ACQUIRE
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* a bit that was clear: pairs with its clearing in load */
#endif
	return gone;
}

/* This CPU is one of them, perhaps; it needs no interrupt. */
static void leave_here(struct cpumask *holders, struct mm *mm)
{
	unsigned self = cpu_id();
	unsigned long flags;

	if (!cpumask_test(holders, self))
		return;
	flags = irq_save();
	unlazy_ipi(mm);
	irq_restore(flags);
	__cpumask_clear(holders, self);
}

static void interrupt_holders(struct cpumask *holders, ipi_fn fn, void *arg)
{
	race_point("lazy:before-ipi");
	vm_event_add(VME_lazy_tlb_ipis, cpumask_weight(holders) - cpumask_test(holders, cpu_id()));
#ifdef BREAK_LAZY_NO_IPI
	return;
#endif
	call_on_cpus(holders, fn, arg, true);
}

static void reap(struct work *unused);

static void defer(struct mm *mm)
{
	unsigned long flags = spin_lock_irqsave(&dead_lock);
	unsigned n;

	mm->dead_next = dead_list;
	dead_list = mm;
	n = ++nr_dead;
	if (n == 1)
		timer_start(&reap_timer, clock_ns() + BATCH_NS);
	spin_unlock_irqrestore(&dead_lock, flags);
	vm_event(VME_lazy_tlb_deferred);
	if (n >= BATCHES_AT_MOST * BATCH && may_wait())
		reap(NULL);
	else if (n >= BATCH)
		queue_work(system_unbound_wq, &reap_work);
}

static void check_cpu(void *arg)
{
	const struct mm *mm = arg;

	ASSERT(this_cpu()->active_mm != mm && current->mm != mm, "an mm is freed that this CPU has loaded (%s)",
	       current->comm);
	ASSERT((this_cpu_ptr(&lazy_cpus)->slot & ~OWED) != (uintptr_t)mm, "an mm is freed that this CPU's slot names");
}

/* Debug: ask every CPU. Where we can not wait, look. */
static void check_nobody(struct mm *mm)
{
	unsigned cpu;

	if (!opt_check)
		return;
	if (may_wait()) {
		call_on_cpus(&cpu_online_mask, check_cpu, mm, true);
		return;
	}
	for_each_online_cpu(cpu)
		/* Its bit may be clear already, and active_mm about to follow. */
		ASSERT(!cpumask_test(&mm->cpumask, cpu) || smp_load_acquire(&cpus[cpu]->active_mm) != mm,
		       "an mm is freed that CPU %u has loaded", cpu);
}

bool lazy_tlb_release(struct mm *mm)
{
	u32 kinds = smp_load_acquire(&in_force);
	struct cpumask holders;
	unsigned gone = 0;

	if (kinds & BIT_OF(LAZY_HAZARD) && owe(mm))
		return false;
	if (kinds & UNCOUNTED) {
		if (kinds & (BIT_OF(LAZY_FILTERED) | BIT_OF(LAZY_QUIESCE)))
			gone = find_holders(mm, &holders);
		else
			cpumask_copy(&holders, &mm->cpumask);
		/* a bit that was clear: pairs with its clearing in load */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		leave_here(&holders, mm);
		if (!cpumask_empty(&holders) && (kinds & BIT_OF(LAZY_QUIESCE) || !may_wait())) {
			defer(mm);
			return false;
		}
		if (kinds & BIT_OF(LAZY_FILTERED))
			vm_event_add(VME_lazy_tlb_ipis_filtered, gone);
		if (!cpumask_empty(&holders))
			interrupt_holders(&holders, unlazy_ipi, mm);
	}
	check_nobody(mm);
	return true;
}

/* ---- quiesce: the batch ---- */

static void unlazy_dead_ipi(void *unused)
{
	struct mm *mm = this_cpu()->active_mm;

	if (mm != &init_mm && !atomic_read(&mm->users))
		lazy_tlb_unlazy();
}

static void reap(struct work *unused)
{
	struct cpumask left = { { 0 } }, holders;
	struct mm *list, *mm;
	unsigned long flags = spin_lock_irqsave(&dead_lock);

	list = dead_list;
	dead_list = NULL;
	nr_dead = 0;
	spin_unlock_irqrestore(&dead_lock, flags);
	race_point("lazy:reaping");
	for (mm = list; mm; mm = mm->dead_next) {
		find_holders(mm, &holders);
		cpumask_or(&left, &left, &holders);
	}
	if (!cpumask_empty(&left))
		interrupt_holders(&left, unlazy_dead_ipi, NULL);
	while ((mm = list)) {
		list = mm->dead_next;
		check_nobody(mm);
		mm_free(mm);
		cond_resched();
	}
}

static void reap_timeout(struct timer *t)
{
	queue_work(system_unbound_wq, &reap_work);
}

void lazy_tlb_drain(void)
{
	timer_cancel_sync(&reap_timer);
	if (READ_ONCE(dead_list))
		queue_work(system_unbound_wq, &reap_work);
	flush_work(&reap_work);
}

/* ---- the knob ---- */

static void leave_old_policy(void *unused)
{
	lazy_tlb_unlazy();
}

static int policy_changed(void)
{
	u32 new = READ_ONCE(wanted);

	if (new == policy)
		return 0;
	xchg(&in_force, in_force | BIT_OF(new));
	smp_store_release(&policy, new);
	call_on_cpus(&cpu_online_mask, leave_old_policy, NULL, true);
	/* What waits on the list is borrowed by nobody any more; it is freed in its time. */
	smp_store_release(&in_force, BIT_OF(new));
	return 0;
}

static const struct cmdline_option option_lazy = {
	.name = "vm.lazy_tlb",
	.type = CMDLINE_CHOICE,
	.choice = &wanted,
	.choices = (const char *const[]){ "none", "refcount", "shootdown", "filtered", "hazard", "quiesce", NULL },
	.help = "what keeps page tables alive that a kernel thread borrows"
};
KNOB(knob_lazy) = { .name = "vm.lazy_tlb", .opt = &option_lazy, .changed = policy_changed };

static const struct cmdline_option option_check = {
	.name = "vm.lazy_tlb_check",
	.type = CMDLINE_FLAG,
	.flag = &opt_check,
	.help = "1: before an mm is freed ask every CPU whether it uses it"
};
KNOB(knob_check) = { .name = "vm.lazy_tlb_check", .opt = &option_check };

/** Before the first address space exists. */
void lazy_tlb_init(void)
{
	work_init(&reap_work, reap);
	timer_init(&reap_timer, reap_timeout);
	policy = wanted;
	in_force = BIT_OF(policy);
}
