/*
 * poll(2), ppoll, select, pselect6 over wait queues. See poll.h.
 */
#include "kernel/fs/poll.h"

#include "kernel/fs/file.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/timer.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

#define FDS_INLINE	16
#define PAGE_ENTRIES	((PAGE_SIZE - sizeof(struct poll_page *) - sizeof(long)) / sizeof(struct poll_entry))

struct poll_page {
	struct poll_page *next;
	unsigned nr;
	struct poll_entry entry[];
};

static_assert(sizeof(struct poll_page) + PAGE_ENTRIES * sizeof(struct poll_entry) <= PAGE_SIZE,
	      "a poll page fits a page");

static void poll_begin(struct poll_table *pt)
{
	pt->joining = true;
	pt->triggered = 0;
	pt->error = 0;
	pt->nr = 0;
	pt->more = NULL;
}

static void poll_leave(struct poll_entry *e)
{
	remove_wait_queue(e->wq, &e->wait);
	fput(e->file);
}

static void poll_end(struct poll_table *pt)
{
	for (unsigned i = 0; i < pt->nr; i++)
		poll_leave(&pt->entry[i]);
	while (pt->more) {
		struct poll_page *page = pt->more;

		for (unsigned i = 0; i < page->nr; i++)
			poll_leave(&page->entry[i]);
		pt->more = page->next;
		kfree(page);
	}
}

/* A queue was woken: its lock is held, interrupts are off. */
static bool poll_woken(struct wait_entry *w)
{
	struct poll_entry *e = container_of(w, struct poll_entry, wait);

	WRITE_ONCE(e->table->triggered, 1);
	return wake_up_task(w->task);
}

static struct poll_entry *poll_entry_new(struct poll_table *pt)
{
	struct poll_page *page = pt->more;

	if (pt->nr < POLL_INLINE)
		return &pt->entry[pt->nr++];
	if (!page || page->nr == PAGE_ENTRIES) {
		page = kmalloc(PAGE_SIZE, GFP_KERNEL);
		if (!page)
			return NULL;
		page->nr = 0;
		page->next = pt->more;
		pt->more = page;
	}
	return &page->entry[page->nr++];
}

void poll_wait(struct file *f, struct wait_queue *wq, struct poll_table *pt)
{
	struct poll_entry *e;

	if (!pt || !pt->joining)
		return;
	e = poll_entry_new(pt);
	if (!e) {
		pt->error = -ENOMEM;
		return;
	}
	wait_entry_init(&e->wait);
	e->wait.func = poll_woken;
	e->wq = wq;
	e->table = pt;
	e->file = get_file(f);
	add_wait_queue(wq, &e->wait);
}

unsigned file_poll(struct file *f, struct poll_table *pt)
{
	return f->ops->poll ? f->ops->poll(f, pt) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

static unsigned poll_one(const struct uapi_pollfd *p, struct poll_table *pt)
{
	struct fd f = fd_get(p->fd);
	unsigned mask;

	if (!f.file)
		return POLLNVAL;
	mask = file_poll(f.file, pt) & ((u16)p->events | POLLERR | POLLHUP);
	fd_put(f);
	return mask;
}

/* Until something is ready or the deadline (clock_ns; 0: do not wait) has come: how many are ready, or -errno. */
static long do_poll(struct uapi_pollfd *fds, unsigned n, u64 deadline)
{
	struct poll_table pt;
	long ready;

	poll_begin(&pt);
	if (!deadline)
		pt.joining = false;
	for (;;) {
		ready = 0;
		for (unsigned i = 0; i < n; i++) {
			fds[i].revents = fds[i].fd < 0 ? 0 : (s16)poll_one(&fds[i], &pt);
			if (fds[i].revents) {
				ready++;
				pt.joining = false;
			}
		}
		pt.joining = false;
		if (ready || !deadline)
			break;
		if (pt.error || task_interrupted(current, TASK_INTERRUPTIBLE)) {
			ready = pt.error ? pt.error : -EINTR;
			break;
		}
		set_current_state(TASK_INTERRUPTIBLE);
		if (!READ_ONCE(pt.triggered) && !task_interrupted(current, TASK_INTERRUPTIBLE)) {
			if (!schedule_deadline(deadline))
				deadline = 0;
		}
		set_current_state(TASK_RUNNING);
		WRITE_ONCE(pt.triggered, 0);
		smp_mb();	/* a wake-up from now on is seen by the next round, or makes it look once more */
	}
	poll_end(&pt);
	return ready;
}

/* ---- times ---- */

/* A deadline from a length of time; 0 stays 0 ("do not wait"). */
static u64 deadline_after(u64 sec, u64 nsec)
{
	u64 now = clock_ns();

	if (!sec && !nsec)
		return 0;
	if (sec > (WAIT_FOREVER - now - nsec) / NSEC_PER_SEC - 1)
		return WAIT_FOREVER;
	return now + sec * NSEC_PER_SEC + nsec;
}

static int get_timespec(const struct uapi_timespec __user *uts, u64 *deadline)
{
	struct uapi_timespec ts;

	*deadline = WAIT_FOREVER;
	if (!uts)
		return 0;
	if (copy_from_user(&ts, uts, sizeof(ts)))
		return -EFAULT;
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (s64)NSEC_PER_SEC)
		return -EINVAL;
	*deadline = deadline_after((u64)ts.sec, (u64)ts.nsec);
	return 0;
}

/* What is left goes back to the caller; it is no error if it can not. */
static void put_timespec(struct uapi_timespec __user *uts, u64 deadline)
{
	u64 now = clock_ns(), left = deadline > now ? deadline - now : 0;
	struct uapi_timespec ts = { (s64)(left / NSEC_PER_SEC), (s64)(left % NSEC_PER_SEC) };

	if (uts && deadline != WAIT_FOREVER && copy_to_user(uts, &ts, sizeof(ts)))
		return;
}

/* ---- poll ---- */

static long poll_user(struct uapi_pollfd __user *ufds, unsigned n, u64 deadline)
{
	struct uapi_pollfd local[FDS_INLINE], *fds = local;
	long ret;

	if (n > rlimit(RLIMIT_NOFILE) || n > FILES_MAX)
		return -EINVAL;
	if (n > FDS_INLINE) {
		fds = kmalloc(n * sizeof(*fds), GFP_KERNEL);
		if (!fds)
			return -ENOMEM;
	}
	ret = copy_from_user(fds, ufds, n * sizeof(*fds));
	if (!ret) {
		ret = do_poll(fds, n, deadline);
		for (unsigned i = 0; ret >= 0 && i < n; i++)
			if (copy_to_user(&ufds[i].revents, &fds[i].revents, sizeof(fds[i].revents)))
				ret = -EFAULT;
	}
	if (fds != local)
		kfree(fds);
	return ret;
}

SYSCALL3(poll, struct uapi_pollfd __user *, fds, unsigned, n, int, timeout)
{
	u64 deadline = timeout < 0 ? WAIT_FOREVER
				   : deadline_after((u64)timeout / 1000, (u64)timeout % 1000 * NSEC_PER_MSEC);
	long ret = poll_user(fds, n, deadline);

	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

SYSCALL5(ppoll, struct uapi_pollfd __user *, fds, unsigned, n, struct uapi_timespec __user *, uts,
	 const sigset __user *, mask, size_t, masksize)
{
	u64 deadline;
	long ret = get_timespec(uts, &deadline);

	if (!ret)
		ret = set_user_sigmask(mask, masksize);
	if (ret)
		return ret;
	ret = poll_user(fds, n, deadline);
	if (ret != -EINTR && mask)
		restore_sigmask();
	put_timespec(uts, deadline);
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

/* ---- select: the sets become a list for poll ---- */

#define SELECT_IN	(POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define SELECT_OUT	(POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)
#define SELECT_EX	POLLPRI

static const unsigned select_events[3] = { SELECT_IN, SELECT_OUT, SELECT_EX };

/* fds: room for n. Fills it from the sets; how many are in use. */
static unsigned select_collect(unsigned long *const set[3], unsigned n, struct uapi_pollfd *fds)
{
	unsigned used = 0;

	for (unsigned fd = 0; fd < n; fd++) {
		unsigned events = 0;

		for (unsigned k = 0; k < 3; k++)
			if (test_bit(fd, set[k]))
				events |= select_events[k];
		if (events)
			fds[used++] = (struct uapi_pollfd){ (s32)fd, (s16)events, 0 };
	}
	return used;
}

/* The sets become what is ready; bits set altogether, or -EBADF. */
static long select_report(unsigned long *const set[3], const struct uapi_pollfd *fds, unsigned used)
{
	long bits = 0;

	for (unsigned i = 0; i < used; i++) {
		unsigned fd = (unsigned)fds[i].fd;

		if ((u16)fds[i].revents & POLLNVAL)
			return -EBADF;
		for (unsigned k = 0; k < 3; k++) {
			if (!test_bit(fd, set[k]))
				continue;
			if ((u16)fds[i].revents & select_events[k])
				bits++;
			else
				__clear_bit(fd, set[k]);
		}
	}
	return bits;
}

static long do_select(int n, unsigned long __user *const uset[3], u64 deadline)
{
	unsigned long *set[3] = { NULL }, *bits = NULL;
	struct uapi_pollfd *fds = NULL;
	size_t words, bytes;
	unsigned used;
	long ret = 0;

	if (n < 0)
		return -EINVAL;
	n = min(n, (int)FILES_MAX);
	words = BITS_TO_LONGS(n);
	bytes = words * sizeof(long);
	bits = kcalloc(3 * words + 1, sizeof(long), GFP_KERNEL);
	fds = kmalloc((size_t)n * sizeof(*fds) + 1, GFP_KERNEL);
	if (!bits || !fds)
		ret = -ENOMEM;
	for (unsigned k = 0; !ret && k < 3; k++) {
		set[k] = bits + k * words;
		if (uset[k] && copy_from_user(set[k], uset[k], bytes))
			ret = -EFAULT;
	}
	if (!ret) {
		used = select_collect(set, (unsigned)n, fds);
		ret = do_poll(fds, used, deadline);
		if (ret >= 0)
			ret = select_report(set, fds, used);
	}
	for (unsigned k = 0; ret >= 0 && k < 3; k++)
		if (uset[k] && copy_to_user(uset[k], set[k], bytes))
			ret = -EFAULT;
	kfree(bits);
	kfree(fds);
	return ret;
}

SYSCALL6(pselect6, int, n, unsigned long __user *, in, unsigned long __user *, out, unsigned long __user *, ex,
	 struct uapi_timespec __user *, uts, const u64 __user *, usig)
{
	unsigned long __user *const set[3] = { in, out, ex };
	u64 sig[2] = { 0, 0 }, deadline;	/* address and size of the mask */
	long ret = get_timespec(uts, &deadline);

	if (!ret && usig)
		ret = copy_from_user(sig, usig, sizeof(sig));
	if (!ret)
		ret = set_user_sigmask((const sigset __user *)(uintptr_t)sig[0], sig[1]);
	if (ret)
		return ret;
	ret = do_select(n, set, deadline);
	if (ret != -EINTR && sig[0])
		restore_sigmask();
	put_timespec(uts, deadline);
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}

SYSCALL5(select, int, n, unsigned long __user *, in, unsigned long __user *, out, unsigned long __user *, ex,
	 struct uapi_timeval __user *, utv)
{
	unsigned long __user *const set[3] = { in, out, ex };
	u64 deadline = WAIT_FOREVER, now;
	struct uapi_timeval tv;
	long ret;

	if (utv) {
		if (copy_from_user(&tv, utv, sizeof(tv)))
			return -EFAULT;
		if (tv.sec < 0 || tv.usec < 0)
			return -EINVAL;
		deadline = deadline_after((u64)tv.sec + (u64)tv.usec / 1000000, (u64)tv.usec % 1000000 * 1000);
	}
	ret = do_select(n, set, deadline);
	if (utv && deadline != WAIT_FOREVER) {
		now = clock_ns();
		now = deadline > now ? (deadline - now) / 1000 : 0;
		tv = (struct uapi_timeval){ (s64)(now / 1000000), (s64)(now % 1000000) };
		if (copy_to_user(utv, &tv, sizeof(tv)) && ret >= 0)
			ret = -EFAULT;
	}
	return ret == -EINTR ? -ERESTARTNOHAND : ret;
}
