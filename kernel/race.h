#pragma once
/*
 * Pause points: places between two steps of a protocol where a test can hold one thread while another runs. They
 * compile to nothing outside debug builds. A test arms a point with race_arm(); the next thread that comes by (other
 * than the one that armed it) stops there until race_release(). mm/RACES.md lists the points and what is replayed at
 * each.
 */
#include "lib/types.h"

struct task;

#ifdef CONFIG_DEBUG
void race_point_hit(const char *name);
extern u32 race_armed;
#define race_point(name)                                                                                               \
	do {                                                                                                           \
		if (unlikely(READ_ONCE(race_armed)))                                                                   \
			race_point_hit(name);                                                                          \
	} while (0)
/**
 * One point at a time. race_wait() spins until somebody is held there, which must be on another CPU; deadline in
 * clock_ns; 0 or -ETIMEDOUT.
 */
void race_arm(const char *name);
/** The same, for a point that anybody may come by, interrupts too: only t is held. */
void race_arm_for(const char *name, struct task *t);
int race_wait(u64 deadline);
void race_release(void);
/** Whoever is held goes on, and the next point is armed before: so it can hold the same thread there. */
void race_release_to(const char *name);
#else
#define race_point(name) ((void)0)
#endif
