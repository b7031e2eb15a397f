/*
 * Interval timers: ITIMER_REAL, by setitimer and alarm. (ITIMER_VIRTUAL and ITIMER_PROF are refused: nothing here
 * counts CPU time in ticks.)
 *
 * The timer's callback runs in interrupt context and may not take the locks that signals need, so it queues a work
 * item that sends SIGALRM and starts the next interval.
 *
 * Locks: t it->lock (RANK_TIMER_USER, interrupts off).
 */
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "kernel/workqueue.h"
#include "lib/err.h"
#include "mm/slab.h"

#define ITIMER_REAL	0

struct itimers {
	spinlock_t lock;
	struct timer timer;
	struct work work;
	struct process *proc;		/* i */
	u64 expires;			/* t. clock_ns; 0: not running */
	u64 interval;			/* t. ns; 0: once */
	bool fired;			/* t. expired, SIGALRM not yet sent */
	bool sending;			/* t. the work is about to send it, whatever becomes of the timer */
};

struct itimerval_k {
	struct timeval_k interval, value;
};

static void itimer_expired(struct timer *timer)
{
	struct itimers *it = container_of(timer, struct itimers, timer);
	bool queue = false;

	spin_lock(&it->lock);
	if (it->expires && it->expires <= clock_ns()) {
		it->fired = true;
		queue = true;
	}
	spin_unlock(&it->lock);
	if (queue)
		queue_work(system_highpri_wq, &it->work);
}

static void itimer_work(struct work *work)
{
	struct itimers *it = container_of(work, struct itimers, work);
	bool fired;

	spin_lock_irq(&it->lock);
	fired = it->sending = it->fired;
	it->fired = false;
	if (fired && it->interval) {
		u64 now = clock_ns();

		it->expires += it->interval;
		if (it->expires <= now)		/* intervals that nobody could have noticed */
			it->expires = now + it->interval - (now - it->expires) % it->interval;
		timer_start(&it->timer, it->expires);
	} else if (fired) {
		it->expires = 0;
	}
	spin_unlock_irq(&it->lock);
	if (!fired)
		return;
	(void)send_signal_process(it->proc, SIGALRM, NULL);
	spin_lock_irq(&it->lock);
	it->sending = false;
	spin_unlock_irq(&it->lock);
}

/* The process's timers, made on first use. ERR_PTR. */
static struct itimers *get_itimers(struct process *p)
{
	struct itimers *it = smp_load_acquire(&p->itimers), *old = NULL;

	if (it)
		return it;
	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&it->lock, RANK_TIMER_USER);
	timer_init(&it->timer, itimer_expired);
	work_init(&it->work, itimer_work);
	it->proc = p;
	if (!try_cmpxchg(&p->itimers, &old, it)) {	/* another thread was quicker */
		kfree(it);
		return old;
	}
	return it;
}

/* Sets a new time (value 0: stops) and returns the old one. */
static int set_real(u64 value, u64 interval, u64 *old_value, u64 *old_interval)
{
	struct itimers *it;
	bool sending;
	u64 now;

	*old_value = *old_interval = 0;
	if (!value && !current->proc->itimers)
		return 0;
	it = get_itimers(current->proc);
	if (IS_ERR(it))
		return PTR_ERR(it);
	spin_lock_irq(&it->lock);
	now = clock_ns();
	if (it->expires) {
		*old_value = it->expires > now ? it->expires - now : 1;
		*old_interval = it->interval;
	}
	it->fired = false;
	it->interval = interval;
	it->expires = value ? deadline_after(now, value) : 0;
	if (value)
		timer_start(&it->timer, it->expires);
	else
		timer_cancel(&it->timer);
	sending = it->sending;
	spin_unlock_irq(&it->lock);
	/* The old timer's signal comes before the call returns, or not at all. */
	if (sending)
		flush_work(&it->work);
	return 0;
}

void itimers_exit(struct process *p)
{
	struct itimers *it = p->itimers;

	spin_lock_irq(&it->lock);
	it->expires = it->interval = 0;
	it->fired = false;
	spin_unlock_irq(&it->lock);
	/* Nothing starts it again: the work does so only if it has fired, the callback not without expires. */
	timer_cancel_sync(&it->timer);
	cancel_work_sync(&it->work);
	timer_cancel_sync(&it->timer);
	p->itimers = NULL;
	kfree(it);
}

static struct itimerval_k itimerval(u64 value, u64 interval)
{
	struct itimerval_k v = { ns_to_timeval(interval), ns_to_timeval(value) };

	if (value && !v.value.sec && !v.value.usec)
		v.value.usec = 1;	/* running, though less than a microsecond is left */
	return v;
}

SYSCALL2(getitimer, int, which, struct itimerval_k *, uval)
{
	struct itimers *it = current->proc->itimers;
	u64 value = 0, interval = 0, now;
	struct itimerval_k v;

	if (which != ITIMER_REAL)
		return -EINVAL;
	if (it) {
		spin_lock_irq(&it->lock);
		now = clock_ns();
		if (it->expires) {
			value = it->expires > now ? it->expires - now : 1;
			interval = it->interval;
		}
		spin_unlock_irq(&it->lock);
	}
	v = itimerval(value, interval);
	return copy_to_user(uval, &v, sizeof(v));
}

SYSCALL3(setitimer, int, which, const struct itimerval_k *, unew, struct itimerval_k *, uold)
{
	u64 value = 0, interval = 0, old_value, old_interval;
	struct itimerval_k v = { 0 };
	int err;

	if (which != ITIMER_REAL)
		return -EINVAL;
	if (unew && copy_from_user(&v, unew, sizeof(v)))
		return -EFAULT;
	err = timeval_to_ns(&value, &v.value);
	if (!err)
		err = timeval_to_ns(&interval, &v.interval);
	if (!err)
		err = set_real(value, interval, &old_value, &old_interval);
	if (err || !uold)
		return err;
	v = itimerval(old_value, old_interval);
	return copy_to_user(uold, &v, sizeof(v));
}

SYSCALL1(alarm, u32, seconds)
{
	u64 old_value, old_interval;
	int err = set_real(seconds * NSEC_PER_SEC, 0, &old_value, &old_interval);

	if (err)
		return err;
	/* Rounded, but never to zero while one was running. */
	return (long)max((old_value + NSEC_PER_SEC / 2) / NSEC_PER_SEC, old_value ? 1ull : 0ull);
}
