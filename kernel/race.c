/*
 * Pause points (debug builds): see race.h. One point is armed at a time. The thread that is held spins with
 * cpu_relax(), since it may hold spinlocks; the deadline of whoever armed the point bounds that.
 */
#ifdef CONFIG_DEBUG
#include "kernel/race.h"

#include "kernel/printk.h"
#include "kernel/task.h"
#include "kernel/timer.h"
#include "lib/errno.h"
#include "lib/string.h"

enum { FREE, ARMED, HELD, RELEASED };

u32 race_armed;				/* not FREE; read by every point */
static u32 race_state;			/* atomic */
static const char *race_name;		/* written before race_armed */
static struct task *race_owner;

void race_point_hit(const char *name)
{
	u32 armed = ARMED;
	u64 end = clock_ns() + 10 * NSEC_PER_SEC;

	if (strcmp(name, race_name) || current == race_owner)
		return;
	if (!__atomic_compare_exchange_n(&race_state, &armed, HELD, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	while (__atomic_load_n(&race_state, __ATOMIC_ACQUIRE) == HELD && clock_ns() < end)
		cpu_relax();
}

void race_arm(const char *name)
{
	ASSERT(!race_armed, "pause point %s armed while %s is", name, race_name);
	race_name = name;
	race_owner = current;
	__atomic_store_n(&race_state, ARMED, __ATOMIC_SEQ_CST);
	__atomic_store_n(&race_armed, 1, __ATOMIC_SEQ_CST);
}

int race_wait(u64 deadline)
{
	while (__atomic_load_n(&race_state, __ATOMIC_ACQUIRE) != HELD) {
		if (clock_ns() > deadline)
			return -ETIMEDOUT;
		cpu_relax();
	}
	return 0;
}

void race_release_to(const char *name)
{
	race_name = name;
	__atomic_store_n(&race_state, ARMED, __ATOMIC_SEQ_CST);
}

void race_release(void)
{
	__atomic_store_n(&race_armed, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&race_state, RELEASED, __ATOMIC_SEQ_CST);
}
#endif
