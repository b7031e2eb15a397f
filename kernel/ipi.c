/*
 * Calls on other CPUs.
 *
 * A CPU has one slot for the call it makes: function, argument, and the set of CPUs that still have to run it. It sets
 * its bit in each target's `senders` mask and sends the IPI. A target takes its senders mask by exchange, runs each
 * sender's function, and takes itself out of the sender's `pending` set. The sender reuses the slot when that set is
 * empty. So a call needs no memory, whatever the number of CPUs.
 *
 * Order: slot contents, then (release) the bit in senders; the target's exchange (acquire) sees both. The target's
 * removal from pending is a release; the sender's last look is an acquire: what fn did is visible when call_on_cpus
 * returns.
 *
 * A sender waits with interrupts on, so it runs the calls of others meanwhile: no deadlock. Interrupt handlers may not
 * use the slot (their task may be in the middle of a call): they have call_on_cpu_async.
 */
#include "kernel/ipi.h"

#include <arch/smp.h>

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/sched_internal.h"
#include "mm/vmstat.h"

struct cpumask cpu_online_mask;
unsigned nr_cpus = 1;

struct ipi_state {
	/* as sender; this CPU but for pending */
	ipi_fn fn;
	void *arg;
	struct cpumask pending;		/* atomic. targets that have not run it yet */
	/* as target */
	struct cpumask senders;		/* atomic */
	struct llist_head calls;	/* atomic. struct ipi_call */
} __aligned(128);

static DEFINE_PER_CPU(struct ipi_state, ipi_states);
static bool stop;			/* panic */

static void wait_slot(struct ipi_state *s)
{
	for (unsigned i = 0; i < CPUMASK_WORDS; i++)
		while (__atomic_load_n(&s->pending.bits[i], __ATOMIC_ACQUIRE))
			cpu_relax();
}

void call_on_cpus(const struct cpumask *mask, ipi_fn fn, void *arg, bool wait)
{
	struct cpumask targets;
	struct ipi_state *s;
	bool here;
	unsigned self, cpu;

	if (nr_cpus == 1) {
		if (cpumask_test(mask, 0)) {
			unsigned long flags = irq_save();

			fn(arg);
			irq_restore(flags);
		}
		return;
	}
	DEBUG_ASSERT(!irqs_off() || panicking, "call_on_cpus with interrupts off");
	DEBUG_ASSERT(!in_interrupt(), "call_on_cpus in interrupt context");
	self = cpu_id();
	s = this_cpu_ptr(&ipi_states);
	cpumask_and(&targets, mask, &cpu_online_mask);
	here = cpumask_test(&targets, self);
	__cpumask_clear(&targets, self);
	if (!cpumask_empty(&targets)) {
		wait_slot(s);	/* an earlier call that nobody waited for */
		s->fn = fn;
		s->arg = arg;
		cpumask_copy(&s->pending, &targets);
		for_each_cpu(cpu, &targets)
			cpumask_set(&per_cpu_ptr(&ipi_states, cpu)->senders, self);
		vm_event_add(VME_ipis, cpumask_weight(&targets));
		arch_send_ipi(&targets);
	}
	if (here) {
		irq_disable();
		fn(arg);
		irq_enable();
	}
	if (wait)
		wait_slot(s);
}

void call_on_cpu(unsigned cpu, ipi_fn fn, void *arg, bool wait)
{
	struct cpumask mask = { { 0 } };

	__cpumask_set(&mask, cpu);
	call_on_cpus(&mask, fn, arg, wait);
}

bool call_on_cpu_async(unsigned cpu, struct ipi_call *call)
{
	if (xchg(&call->busy, 1))	/* a fence: pairs with the one in ipi_handler */
		return false;
	llist_add(&call->node, &per_cpu_ptr(&ipi_states, cpu)->calls);
	vm_event(VME_ipis);
	arch_send_ipi_one(cpu);
	return true;
}

void ipi_kick(unsigned cpu)
{
	vm_event(VME_ipis);
	arch_send_ipi_one(cpu);
}

void ipi_stop_others(void)
{
	struct cpumask others;

	cpumask_copy(&others, &cpu_online_mask);
	__cpumask_clear(&others, cpu_id());
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	if (!cpumask_empty(&others))
		arch_send_ipi(&others);
}

/* Was there any? */
static bool run_senders(struct ipi_state *me, unsigned self)
{
	bool any = false;

	for (unsigned i = 0; i < CPUMASK_WORDS; i++) {
		unsigned long word;

		if (!__atomic_load_n(&me->senders.bits[i], __ATOMIC_RELAXED))
			continue;
		word = __atomic_exchange_n(&me->senders.bits[i], 0, __ATOMIC_SEQ_CST);
		while (word) {
			struct ipi_state *s = per_cpu_ptr(&ipi_states, i * 64 + (unsigned)__builtin_ctzl(word));

			word &= word - 1;
			s->fn(s->arg);
			cpumask_clear(&s->pending, self);
			any = true;
		}
	}
	return any;
}

void ipi_handler(void)
{
	struct ipi_state *me = this_cpu_ptr(&ipi_states);

	if (unlikely(__atomic_load_n(&stop, __ATOMIC_RELAXED))) {
		cpumask_clear(&cpu_online_mask, cpu_id());
		cpu_halt();
	}
	/* In an emulator with one thread the sender goes on now, not after a program here has spun for 100 ms. */
	if (run_senders(me, cpu_id()))
		cpu_yield();
	if (!llist_empty(&me->calls)) {
		struct llist_node *list = llist_del_all(&me->calls), *next;

		for (list = llist_reverse_order(list); list; list = next) {
			struct ipi_call *call = llist_entry(list, struct ipi_call, node);
			ipi_fn fn = call->fn;
			void *arg = call->arg;

			next = list->next;
			/* A fence: fn sees what was written before a call that found it still queued. */
			xchg(&call->busy, 0);
			fn(arg);
		}
	}
	sched_ipi();
}
