/*
 * Lockstep: QEMU's vCPU threads (thread=multi) as a machine whose CPUs execute an instruction a tick each.
 *
 * Time passes in windows of lockstep_quantum instructions. A vCPU that has executed its share of a window waits until
 * all others that run have executed theirs; one that is idle (QEMU says so) is not waited for. So the time between two
 * instructions, on whatever vCPUs, is what it would be if all ran side by side at the same speed, to the quantum: the
 * critical path, with everything that CPUs wait for. Host cores do not matter, and neither does their load.
 *
 * An interrupt to an idle vCPU takes as long as the host needs to run a thread. In that time its sender would run far
 * ahead: so the sender waits, after it has sent, until some vCPU has woken up or has taken an interrupt; at most
 * IPI_PATIENCE_NS, because the target may have its interrupts off.
 *
 * A vCPU may be asked by QEMU to stop outside of translated code while others wait here (an exclusive section), which
 * would be a deadlock: who has waited PATIENCE_NS without any progress goes on. That is a slip, and is reported.
 *
 * Locks: everything below is under `lock`, except reads of `active`. The idle and resume callbacks come with QEMU's big
 * lock held, so nothing waits in them; a vCPU that waits here does not hold it.
 */
#include <pthread.h>
#include <time.h>

#include "cost.h"

#define PATIENCE_NS	200000000
#define IPI_PATIENCE_NS 5000000

uint64_t lockstep_quantum;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool active;
static uint64_t epoch;		/* counts lockstep_begin */
static uint64_t window;		/* from 1 */
static unsigned running;	/* vCPUs that are not idle */
static unsigned arrived;	/* of these, who wait for the next window */
static uint64_t wakes;		/* vCPUs that woke up or took an interrupt */
static uint64_t sender_used;	/* how far in its window the last sender of an interrupt was */
static struct lockstep_stats stats;

static void set_stop(struct vcpu *v, uint64_t at)
{
	__atomic_store_n(&v->stop, at, __ATOMIC_RELAXED);
}

/* Waits for a change; false: the time was up. */
static bool wait_change(uint64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_timedwait(&changed, &lock, &until) == 0;
}

static void next_window(void)
{
	window++;
	arrived = 0;
	stats.windows++;
	pthread_cond_broadcast(&changed);
}

static uint64_t all_ticks(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < nr_vcpus; i++)
		sum += __atomic_load_n(&vcpus[i].ticks, __ATOMIC_RELAXED);
	return sum;
}

/* v has executed its share of this window. */
static void wait_window(const struct vcpu *v)
{
	uint64_t mine = window, begun = epoch, progress = all_ticks();

	arrived++;
	if (arrived >= running)
		next_window();
	while (active && epoch == begun && window == mine) {
		if (wait_change(PATIENCE_NS) || window != mine)
			continue;
		if (all_ticks() == progress) {
			stats.slips++;
			next_window();
		}
		progress = all_ticks();
	}
}

void lockstep_check(struct vcpu *v)
{
	uint64_t share = lockstep_quantum;

	pthread_mutex_lock(&lock);
	if (active && v->epoch == epoch && v->window == window)
		wait_window(v);
	else if (active && v->epoch != epoch)
		share -= sender_used;	/* it begins, or was woken, in the middle of this window */
	if (active) {
		v->epoch = epoch;
		v->window = window;
		set_stop(v, v->ticks + share);
	} else {
		set_stop(v, UINT64_MAX);
	}
	pthread_mutex_unlock(&lock);
}

void lockstep_begin(struct vcpu *v)
{
	if (!lockstep_quantum)
		return;
	pthread_mutex_lock(&lock);
	active = true;
	epoch++;
	window = 1;
	arrived = 0;
	sender_used = 0;
	stats = (struct lockstep_stats){ 0, 0, 0 };
	for (unsigned i = 0; i < nr_vcpus; i++)
		set_stop(&vcpus[i], 0);
	v->epoch = epoch;
	v->window = window;
	set_stop(v, v->ticks + lockstep_quantum);
	pthread_mutex_unlock(&lock);
}

void lockstep_end(void)
{
	pthread_mutex_lock(&lock);
	active = false;
	for (unsigned i = 0; i < nr_vcpus; i++)
		set_stop(&vcpus[i], UINT64_MAX);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static uint64_t used(const struct vcpu *v)
{
	return v->stop - v->ticks < lockstep_quantum ? lockstep_quantum - (v->stop - v->ticks) : 0;
}

uint64_t lockstep_now(const struct vcpu *v)
{
	uint64_t now = 0;

	pthread_mutex_lock(&lock);
	if (active)
		now = (window - 1) * lockstep_quantum + (v->epoch == epoch && v->window == window ? used(v) : 0);
	pthread_mutex_unlock(&lock);
	return now;
}

void lockstep_idle(struct vcpu *v)
{
	pthread_mutex_lock(&lock);
	if (v->runs) {
		v->runs = false;
		running--;
		if (active && running && arrived >= running)
			next_window();
	}
	pthread_mutex_unlock(&lock);
}

void lockstep_resume(struct vcpu *v)
{
	pthread_mutex_lock(&lock);
	if (!v->runs) {
		v->runs = true;
		running++;
		v->epoch = 0;	/* it joins anew */
		if (active)
			set_stop(v, 0);
		wakes++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- interrupts between vCPUs ---- */

void lockstep_ipi_begin(struct vcpu *v)
{
	if (!active)
		return;
	pthread_mutex_lock(&lock);
	v->wakes_seen = wakes;
	sender_used = used(v);
	pthread_mutex_unlock(&lock);
}

void lockstep_ipi_sent(struct vcpu *v)
{
	if (!active)
		return;
	pthread_mutex_lock(&lock);
	while (active && wakes == v->wakes_seen) {
		if (!wait_change(IPI_PATIENCE_NS)) {
			stats.late++;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

void lockstep_ipi_taken(struct vcpu *v)
{
	if (!active)
		return;
	pthread_mutex_lock(&lock);
	wakes++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

struct lockstep_stats lockstep_stats(void)
{
	struct lockstep_stats s;

	pthread_mutex_lock(&lock);
	s = stats;
	pthread_mutex_unlock(&lock);
	return s;
}
