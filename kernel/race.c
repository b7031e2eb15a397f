/*
 * Pause points (debug builds): see race.h. One point is armed at a time. The thread that is held spins with
 * cpu_relax(), since it may hold spinlocks; the deadline of whoever armed the point bounds that.
 */
#ifdef CONFIG_DEBUG
#include "kernel/race.h"

#include "kernel/cpu.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/errno.h"
#include "lib/string.h"

enum { FREE, ARMED, HELD, RELEASED, NR_STATES };

u32 race_armed;				/* not FREE; read by every point */
static u32 race_state;			/* atomic. one of those, plus NR_STATES for each time that a point was armed */
static const char *race_name;		/* written before race_armed */
static struct task *race_owner;
static struct task *race_victim;	/* who alone may be held; NULL: anybody else than the owner */

static void set_state(u32 base, u32 state)
{
	__atomic_store_n(&race_state, base - base % NR_STATES + state, __ATOMIC_SEQ_CST);
}

void race_point_hit(const char *name)
{
	/* Whoever is slow may not be held at a point that is armed after this one: its number is part of the state. */
	u32 armed = __atomic_load_n(&race_state, __ATOMIC_ACQUIRE), held = armed - ARMED + HELD;
	u64 end = clock_ns() + 10 * NSEC_PER_SEC;

	if (armed % NR_STATES != ARMED || strcmp(name, race_name) || current == race_owner)
		return;
	if (race_victim && (current != race_victim || in_interrupt()))
		return;
	if (!__atomic_compare_exchange_n(&race_state, &armed, held, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	while (__atomic_load_n(&race_state, __ATOMIC_ACQUIRE) == held && clock_ns() < end)
		cpu_relax();
}

void race_arm_for(const char *name, struct task *t)
{
	ASSERT(!race_armed, "pause point %s armed while %s is", name, race_name);
	race_name = name;
	race_owner = current;
	race_victim = t;
	set_state(race_state + NR_STATES, ARMED);
	__atomic_store_n(&race_armed, 1, __ATOMIC_SEQ_CST);
}

void race_arm(const char *name)
{
	race_arm_for(name, NULL);
}

int race_wait(u64 deadline)
{
	while (__atomic_load_n(&race_state, __ATOMIC_ACQUIRE) % NR_STATES != HELD) {
		if (clock_ns() > deadline)
			return -ETIMEDOUT;
		cpu_relax();
	}
	return 0;
}

void race_release_to(const char *name)
{
	race_name = name;
	set_state(race_state + NR_STATES, ARMED);
}

void race_release(void)
{
	__atomic_store_n(&race_armed, 0, __ATOMIC_SEQ_CST);
	set_state(race_state, RELEASED);
}
#endif
