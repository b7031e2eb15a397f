#pragma once
/*
 * The scheduler: per-CPU run queues ordered by virtual run time, nice weights, affinity, wake-up placement, idle
 * stealing. See kernel/sched.c for the rules. The kernel itself is not preempted: a task leaves the CPU in schedule(),
 * cond_resched(), or on its way back to user mode.
 */
#include <arch/cpu.h>

#include "kernel/cpumask.h"
#include "lib/types.h"

struct task;

/* task->state */
#define TASK_RUNNING		0u
#define TASK_INTERRUPTIBLE	1u	/* a signal wakes it */
#define TASK_UNINTERRUPTIBLE	2u
#define TASK_KILLABLE		4u	/* a fatal signal wakes it */
#define TASK_STOPPED		8u	/* job control; SIGCONT or a fatal signal wakes it */
#define TASK_DEAD		16u	/* will never run again; its last switch frees it */
#define TASK_NEW		32u	/* not yet woken for the first time */

/* task->work: what must be done before the next return to user mode; set atomically by anyone */
#define WORK_RESCHED		1u
#define WORK_SIGNAL		2u
#define WORK_STOP		4u

/** Give up the CPU if the state is not RUNNING, or to a better task. Interrupts on or off (kept); no spinlock held. */
void schedule(void);
/**
 * Sleep in the current state until woken or until `deadline` (clock_ns; WAIT_FOREVER: none). False if the time ran out.
 */
bool schedule_deadline(u64 deadline);
/**
 * schedule() if somebody should run instead; also tells RCU and the watchdog that we live. Returns whether it switched.
 */
bool cond_resched(void);
void sched_yield(void);
/** Sleep for at least ns, not interruptible. */
void sleep_ns(u64 ns);

/** Make a sleeping task runnable if its state is in `states`. Any context. Full fence before the state is read. */
bool wake_up_state(struct task *t, unsigned states);
bool wake_up_task(struct task *t);		/* any sleeping state but STOPPED, NEW and DEAD */
void wake_up_new_task(struct task *t);
/** Have `t` notice work that was set for it: an IPI if it runs in user mode elsewhere. Any context. */
void kick_task(struct task *t);
/** Does a signal end an interruptible (killable) sleep of t? */
bool task_interrupted(struct task *t, unsigned state);

/** Change the current task's state with a full fence after it. */
void set_current_state(unsigned state);

/** Run-queue fields of a new task, as a copy of the current one's policy. */
void sched_fork(struct task *t);
/** The current task ends: never returns. Its resources other than the stack and struct task are already gone. */
void sched_exit(void) __noreturn;
int sched_set_nice(struct task *t, int nice);
/** Sleeps until t is off forbidden CPUs. -EINVAL if the mask has no online CPU. */
int sched_set_affinity(struct task *t, const struct cpumask *mask);
/** Nanoseconds that t has run (all of user and kernel mode). */
u64 task_runtime_ns(struct task *t);
unsigned sched_nr_running(void);	/* runnable and running tasks, all CPUs; not exact */
u64 sched_nr_switches(void);
u64 sched_loadavg(unsigned i);		/* fixed point, 1 << 11; 1, 5, 15 minutes */

/** Called by arch_switch()'s new threads first. */
void schedule_tail(struct task *prev);
void sched_init(void);
void sched_cpu_online(unsigned cpu);	/* on that CPU */
void cpu_idle_loop(void) __noreturn;

/* Kernel threads. fn's return value is what kthread_stop() returns. */
/* ERR_PTR; not started */
struct task *kthread_create(int (*fn)(void *), void *arg, const char *fmt, ...) __printf(3, 4);
struct task *kthread_run(int (*fn)(void *), void *arg, const char *fmt, ...) __printf(3, 4);
struct task *kthread_run_on(unsigned cpu, int (*fn)(void *), void *arg, const char *fmt, ...) __printf(4, 5);
bool kthread_should_stop(void);
/** Ask it to stop, wake it, wait for its end. Sleeps. */
int kthread_stop(struct task *t);
