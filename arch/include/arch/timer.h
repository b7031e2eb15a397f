#pragma once
/*
 * THE CONTRACT, part 6: time.
 */
#include "lib/types.h"

/**
 * Monotonic nanoseconds since about boot; never goes back, the same on all CPUs to within an IPI's flight. Any context.
 */
u64 clock_ns(void);

/**
 * timer_arm() - have timer_interrupt() (kernel/timer.c) called on this CPU, interrupts off, at or soon after `deadline`
 * (clock_ns time). One shot; a later call replaces the deadline; a deadline in the past fires at once. Interrupts are
 * off.
 */
void timer_arm(u64 deadline);

/** No timer interrupt is wanted on this CPU. Interrupts are off. A spurious one afterwards is harmless. */
void timer_disarm(void);

/** Calibrate (boot CPU, before anything else of this header but clock_ns; takes a few milliseconds at most). */
void arch_timer_init(void);

/** Seconds since 1970 from the platform's clock chip, 0 if there is none. Called once at boot. */
u64 arch_wall_clock(void);
