/*
 * Clocks and sleeping: clock_*, nanosleep, gettimeofday, time, times.
 *
 * CLOCK_MONOTONIC, its raw and coarse forms and CLOCK_BOOTTIME are clock_ns(): the kernel does not slew it and is
 * never suspended.
 */
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "lib/err.h"

#define CLOCK_REALTIME			0
#define CLOCK_MONOTONIC			1
#define CLOCK_PROCESS_CPUTIME_ID	2
#define CLOCK_THREAD_CPUTIME_ID		3
#define CLOCK_MONOTONIC_RAW		4
#define CLOCK_REALTIME_COARSE		5
#define CLOCK_MONOTONIC_COARSE		6
#define CLOCK_BOOTTIME			7
#define CLOCK_REALTIME_ALARM		8
#define CLOCK_BOOTTIME_ALARM		9
#define CLOCK_TAI			11
#define TIMER_ABSTIME			1

#define TICK_NS		(NSEC_PER_SEC / 100)	/* what times(2) counts */

/* A negative clock names the CPU time of a process or thread: ~number << 3 | kind, bit 2 for a thread. 0 or -EINVAL. */
static int cpu_clock(int clock, u64 *ns)
{
	int pid = (int)(~(u32)clock >> 3);
	u64 utime, stime;

	if ((clock & 3) == 3)
		return -EINVAL;
	if (clock & 4) {
		struct task *t = pid ? find_get_task(pid) : get_task(current);
		bool mine = t && t->proc == current->proc;

		if (mine)
			*ns = task_runtime_ns(t) + READ_ONCE(t->lent_ns);
		if (t)
			put_task(t);
		return mine ? 0 : -EINVAL;
	} else {
		struct process *p = pid ? find_get_process(pid) : get_process(current->proc);

		if (!p)
			return -EINVAL;
		process_times(p, &utime, &stime);
		put_process(p);
		*ns = utime + stime;
		return 0;
	}
}

static int read_clock(int clock, u64 *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = wall_clock_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		return cpu_clock(-8, ns);	/* number 0 */
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = task_runtime_ns(current) + current->lent_ns;
		return 0;
	default:
		return clock < 0 ? cpu_clock(clock, ns) : -EINVAL;
	}
}

SYSCALL2(clock_gettime, int, clock, struct timespec_k *, uts)
{
	u64 ns = 0;
	int err = read_clock(clock, &ns);

	return err ? err : timespec_to_user(uts, ns);
}

SYSCALL2(clock_getres, int, clock, struct timespec_k *, uts)
{
	u64 ns = 0;
	int err = read_clock(clock, &ns);

	if (err || !uts)
		return err;
	return timespec_to_user(uts, 1);
}

static int set_wall_clock(u64 ns)
{
	if (!is_root())
		return -EPERM;
	set_wall_clock_ns(ns);
	return 0;
}

SYSCALL2(clock_settime, int, clock, const struct timespec_k *, uts)
{
	u64 ns;
	int err = timespec_from_user(&ns, uts);

	if (err)
		return err;
	return clock == CLOCK_REALTIME ? set_wall_clock(ns) : -EINVAL;
}

SYSCALL2(gettimeofday, struct timeval_k *, utv, void *, utz)
{
	struct timeval_k tv = ns_to_timeval(wall_clock_ns());
	u64 utc = 0;

	if (utv && copy_to_user(utv, &tv, sizeof(tv)))
		return -EFAULT;
	return utz ? copy_to_user(utz, &utc, sizeof(utc)) : 0;
}

SYSCALL2(settimeofday, const struct timeval_k *, utv, const void *, utz)
{
	struct timeval_k tv;
	u64 ns;
	int err;

	if (!utv)
		return 0;
	if (copy_from_user(&tv, utv, sizeof(tv)))
		return -EFAULT;
	err = timeval_to_ns(&ns, &tv);
	return err ? err : set_wall_clock(ns);
}

SYSCALL1(time, s64 *, ut)
{
	s64 now = (s64)(wall_clock_ns() / NSEC_PER_SEC);

	if (ut && copy_to_user(ut, &now, sizeof(now)))
		return -EFAULT;
	return now;
}

struct tms_k {
	s64 utime, stime, cutime, cstime;
};

SYSCALL1(times, struct tms_k *, utms)
{
	struct process *p = current->proc;
	struct tms_k tms;
	u64 utime, stime;

	if (utms) {
		process_times(p, &utime, &stime);
		tms.utime = (s64)(utime / TICK_NS);
		tms.stime = (s64)(stime / TICK_NS);
		spin_lock(&proc_lock);
		tms.cutime = (s64)(p->reaped.utime / TICK_NS);
		tms.cstime = (s64)(p->reaped.stime / TICK_NS);
		spin_unlock(&proc_lock);
		if (copy_to_user(utms, &tms, sizeof(tms)))
			return -EFAULT;
	}
	return (long)(clock_ns() / TICK_NS);
}

/* ---- sleeping ---- */

/* 0, or -EINTR. */
static int sleep_until(u64 deadline)
{
	int err = 0;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (clock_ns() >= deadline)
			break;
		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}
		(void)schedule_deadline(deadline);
	}
	set_current_state(TASK_RUNNING);
	return err;
}

static long sleep_relative(u64 ns, struct timespec_k *urem)
{
	struct signal_task *sg = current->sig;
	u64 deadline = sg->restarting ? sg->restart_deadline : deadline_after(clock_ns(), ns), now;

	sg->restarting = false;
	if (!sleep_until(deadline))
		return 0;
	now = clock_ns();
	if (urem && timespec_to_user(urem, deadline > now ? deadline - now : 0))
		return -EFAULT;
	sg->restart_deadline = deadline;
	return -ERESTART_RESTARTBLOCK;
}

SYSCALL2(nanosleep, const struct timespec_k *, uts, struct timespec_k *, urem)
{
	u64 ns;
	int err = timespec_from_user(&ns, uts);

	return err ? err : sleep_relative(ns, urem);
}

SYSCALL4(clock_nanosleep, int, clock, int, flags, const struct timespec_k *, uts, struct timespec_k *, urem)
{
	u64 ns, now;
	int err;

	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return -EINVAL;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_REALTIME_COARSE)
		return -EOPNOTSUPP;
	err = read_clock(clock, &now);
	if (err)
		return err;
	err = timespec_from_user(&ns, uts);
	if (err)
		return err;
	if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0)
		return -EOPNOTSUPP;	/* nothing here watches CPU time */
	if (!(flags & TIMER_ABSTIME))
		return sleep_relative(ns, urem);
	if (ns <= now)
		return 0;
	return sleep_until(deadline_after(clock_ns(), ns - now)) ? -ERESTARTNOHAND : 0;
}

/* A sleep that was interrupted goes on by itself: its call is repeated and remembers its deadline. */
SYSCALL0(restart_syscall)
{
	return -EINTR;
}
