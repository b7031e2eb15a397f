/*
 * The host's CPUs: who this thread is, interrupts, IPIs, waiting. See host.h.
 *
 * A CPU without a thread of its own (CPUs in turn, or before and after host_threads) has its interrupts handled by
 * whoever waits in cpu_relax(). Its interrupt flag is always "on", because it stands between two operations.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void os_yield(void)
{
	sched_yield();
}

#define sched_yield kernel_sched_yield	/* the kernel has a function of that name */

#include <arch/boot.h>
#include <arch/smp.h>
#include <arch/timer.h>

#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/race.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "tests/host/arch/host.h"

struct cpu boot_cpu;
struct cpu *cpus[NR_CPUS] = { &boot_cpu };
const char *cpu_counter_name = "ns";

static __thread struct cpu *me = &boot_cpu;
static bool attached[NR_CPUS];		/* atomic. has a thread of its own */
static pthread_mutex_t parked_lock = PTHREAD_MUTEX_INITIALIZER;	/* who acts for CPUs without a thread */
static __thread bool acting;

#ifdef __SANITIZE_THREAD__
u32 host_fence_word;
#endif

bool host_attached(unsigned cpu)
{
	return __atomic_load_n(&attached[cpu], __ATOMIC_ACQUIRE);
}

struct cpu *this_cpu(void)
{
	return me;
}

struct task *arch_current(void)
{
	return me->curr;
}

void arch_set_current(struct task *t)
{
	me->curr = t;
}

/* ---- interrupts */

static void take_interrupts(struct cpu *c)
{
	if (c->arch.in_poll)
		return;
	c->arch.in_poll = true;
	while (__atomic_load_n(&c->arch.ipi_pending, __ATOMIC_RELAXED)) {
		__atomic_exchange_n(&c->arch.ipi_pending, 0, __ATOMIC_SEQ_CST);
		c->arch.irqs_off = true;
		c->irq_depth++;
		ipi_handler();
		c->irq_depth--;
		c->arch.irqs_off = false;
	}
	c->arch.in_poll = false;
}

void host_poll(void)
{
	if (!me->arch.irqs_off)
		take_interrupts(me);
}

unsigned long irq_save(void)
{
	unsigned long off = me->arch.irqs_off;

	me->arch.irqs_off = true;
	barrier();
	return off;
}

void irq_restore(unsigned long off)
{
	barrier();
	if (off)
		return;
	me->arch.irqs_off = false;
	host_poll();
}

void irq_enable(void)
{
	irq_restore(0);
}

void irq_disable(void)
{
	irq_save();
}

bool irqs_off(void)
{
	return me->arch.irqs_off;
}

/* Handle, in their name, the interrupts of CPUs that have no thread. */
static void act_for_parked(void)
{
	struct cpu *self = me;

	if (acting || pthread_mutex_trylock(&parked_lock))
		return;
	acting = true;
	for (unsigned i = 0; i < nr_cpus; i++) {
		struct cpu *c = cpus[i];

		if (c == self || host_attached(i) || !__atomic_load_n(&c->arch.ipi_pending, __ATOMIC_RELAXED))
			continue;
		me = c;
		take_interrupts(c);
		me = self;
	}
	acting = false;
	pthread_mutex_unlock(&parked_lock);
}

void cpu_relax(void)
{
	host_poll();
	act_for_parked();
	os_yield();
}

/* Interrupts are off and stay so for the caller; an interrupt that is pending is taken. May return without any. */
void cpu_idle(void)
{
	me->arch.irqs_off = false;
	cpu_relax();
	me->arch.irqs_off = true;
}

void cpu_halt(void)
{
	for (;;)
		os_yield();
}

void arch_send_ipi_one(unsigned cpu)
{
	__atomic_exchange_n(&cpus[cpu]->arch.ipi_pending, 1, __ATOMIC_SEQ_CST);
	if (cpus[cpu] == me)
		host_poll();
}

void arch_send_ipi(const struct cpumask *mask)
{
	unsigned cpu;

	for_each_cpu(cpu, mask)
		arch_send_ipi_one(cpu);
}

void host_yield(void)
{
	os_yield();
}

/* ---- time */

u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

u64 cpu_counter(void)
{
	return clock_ns();
}

/* ---- threads */

void host_cpus_init(unsigned n)
{
	size_t section = (size_t)(__stop_percpu - __start_percpu);

	for (unsigned i = 0; i < n; i++) {
		struct cpu *c = i ? aligned_alloc(128, align_up(sizeof(*c), 128ul)) : &boot_cpu;

		memset(c, 0, sizeof(*c));
		c->id = i;
		c->active_mm = &init_mm;
		if (i) {
			char *copy = aligned_alloc(128, align_up(section, 128ul));

			memcpy(copy, __start_percpu, section);
			c->offset = (uintptr_t)copy - (uintptr_t)__start_percpu;
		}
		cpus[i] = c;
	}
}

void host_run_on(unsigned cpu)
{
	me = cpus[cpu];
	host_poll();
}

struct start {
	void (*fn)(unsigned);
	unsigned cpu;
};

static u32 running;	/* atomic */

/* A CPU that is done goes on taking interrupts until all are. */
static void run(void (*fn)(unsigned), unsigned cpu)
{
	me = cpus[cpu];
	fn(cpu);
	__atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&running, __ATOMIC_SEQ_CST)) {
		host_quiescent();
		cpu_relax();
	}
}

static void *thread_main(void *arg)
{
	struct start *s = arg;

	run(s->fn, s->cpu);
	return NULL;
}

void host_threads(void (*fn)(unsigned cpu))
{
	struct start start[NR_CPUS];
	pthread_t thread[NR_CPUS];

	race_armed = 1;
	__atomic_store_n(&running, nr_cpus, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < nr_cpus; i++)
		__atomic_store_n(&attached[i], true, __ATOMIC_SEQ_CST);
	for (unsigned i = 1; i < nr_cpus; i++) {
		start[i] = (struct start){ fn, i };
		if (pthread_create(&thread[i], NULL, thread_main, &start[i]))
			host_fail("pthread_create");
	}
	run(fn, 0);
	for (unsigned i = 1; i < nr_cpus; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < nr_cpus; i++)
		__atomic_store_n(&attached[i], false, __ATOMIC_SEQ_CST);
	race_armed = 0;
	me = &boot_cpu;
}
