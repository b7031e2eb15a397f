/* eventfd(2): a counter that can be waited for. Lock: e->lock (spinlock; tasks only). */
#include "kernel/fs/file.h"
#include "kernel/fs/poll.h"
#include "kernel/syscall.h"
#include "kernel/wait.h"
#include "lib/err.h"
#include "mm/slab.h"

#define EVENTFD_MAX	(~0ull - 1)

struct eventfd {
	spinlock_t lock;
	struct wait_queue wait;
	u64 count;		/* lock */
	bool semaphore;		/* fixed */
};

/* Take the value, if there is one. */
static bool eventfd_take(struct eventfd *e, u64 *value)
{
	spin_lock(&e->lock);
	*value = e->semaphore && e->count ? 1 : e->count;
	e->count -= *value;
	spin_unlock(&e->lock);
	return *value;
}

static bool eventfd_add(struct eventfd *e, u64 value)
{
	bool ok;

	spin_lock(&e->lock);
	ok = value <= EVENTFD_MAX - e->count;
	if (ok)
		e->count += value;
	spin_unlock(&e->lock);
	return ok;
}

static long eventfd_read(struct file *f, struct uio *u, u64 *pos)
{
	struct eventfd *e = f->private;
	u64 value;

	if (u->left < sizeof(value))
		return -EINVAL;
	while (!eventfd_take(e, &value)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(&e->wait, READ_ONCE(e->count)))
			return -ERESTARTSYS;
	}
	wake_up_all(&e->wait);
	return uio_put(u, &value, sizeof(value)) == sizeof(value) ? (long)sizeof(value) : -EFAULT;
}

static long eventfd_write(struct file *f, struct uio *u, u64 *pos)
{
	struct eventfd *e = f->private;
	u64 value;

	if (u->left < sizeof(value))
		return -EINVAL;
	if (uio_get(u, &value, sizeof(value)) != sizeof(value))
		return -EFAULT;
	if (value == ~0ull)
		return -EINVAL;
	while (!eventfd_add(e, value)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(&e->wait, value <= EVENTFD_MAX - READ_ONCE(e->count)))
			return -ERESTARTSYS;
	}
	wake_up_all(&e->wait);
	return sizeof(value);
}

static unsigned eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->private;
	u64 count;

	poll_wait(f, &e->wait, pt);
	spin_lock(&e->lock);
	count = e->count;
	spin_unlock(&e->lock);
	return (count ? POLLIN | POLLRDNORM : 0) | (count < EVENTFD_MAX ? POLLOUT | POLLWRNORM : 0);
}

static void eventfd_release(struct file *f)
{
	kfree(f->private);
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
};

static long do_eventfd(unsigned count, int flags)
{
	struct eventfd *e;
	struct file *f;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	e = kmalloc(sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	spin_lock_init(&e->lock, RANK_SPIN_LEAF);
	wait_queue_init(&e->wait);
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	f = file_create("anon_inode:[eventfd]", &eventfd_ops, O_RDWR | (flags & O_NONBLOCK), e);
	if (IS_ERR(f))
		kfree(e);
	return fd_install_or_put(f, flags & O_CLOEXEC);
}

SYSCALL2(eventfd2, unsigned, count, int, flags)
{
	return do_eventfd(count, flags);
}

SYSCALL1(eventfd, unsigned, count)
{
	return do_eventfd(count, 0);
}
