/*
 * The console as a terminal: input by interrupt or by polling, read, write, poll, ioctl. Editing is in tty_ldisc.c, job
 * control in tty_job.c.
 *
 * Received characters go into a small ring in interrupt context; a work item takes them from there through the line
 * discipline, since signals are sent in task context. Output goes straight to the console, which adds carriage returns
 * itself: OPOST and ONLCR are kept for programs to read, and have no effect.
 */
#include "kernel/dev/tty.h"

#include <arch/boot.h>

#include "kernel/fs/device.h"
#include "kernel/fs/file.h"
#include "kernel/fs/poll.h"
#include "kernel/init.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/timer.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

#define POLL_INTERVAL	(20 * NSEC_PER_MSEC)
#define CHUNK		256u

struct tty console_tty = {
	.lock = MUTEX_INIT(console_tty.lock, RANK_TTY),
	.termios = {
		.iflag = ICRNL | IXON,
		.oflag = OPOST | ONLCR,
		.cflag = B38400 | CS8 | CREAD | HUPCL,
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1,
			[VSTART] = 17, [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15,
			[VWERASE] = 23, [VLNEXT] = 22 },
	},
	.winsize = { .row = 24, .col = 80 },
	.read_wait = WAIT_QUEUE_INIT(console_tty.read_wait),
	.raw_lock = SPINLOCK_INIT(RANK_IRQ_DEV),
};

static struct timer poll_timer;
static bool ready;	/* the work item exists */

/* ---- input ---- */

void tty_input_ready(void)
{
	struct tty *tty = &console_tty;
	unsigned long flags;
	bool any = false;
	int c;

	flags = spin_lock_irqsave(&tty->raw_lock);
	/*
	 * When the ring is full, characters are taken from the device all the same, and lost, or its interrupt would
	 * never end.
	 */
	while ((c = console_getc()) >= 0) {
		any = true;
		if (tty->raw_head - tty->raw_tail < TTY_RAW)
			tty->raw[tty->raw_head++ % TTY_RAW] = (char)c;
	}
	spin_unlock_irqrestore(&tty->raw_lock, flags);
	if (any && READ_ONCE(ready))
		queue_work(system_highpri_wq, &tty->input_work);
}

static int raw_get(struct tty *tty)
{
	unsigned long flags = spin_lock_irqsave(&tty->raw_lock);
	int c = tty->raw_head == tty->raw_tail ? -1 : (u8)tty->raw[tty->raw_tail++ % TTY_RAW];

	spin_unlock_irqrestore(&tty->raw_lock, flags);
	return c;
}

static void tty_input(struct work *w)
{
	struct tty *tty = container_of(w, struct tty, input_work);
	int c, sig, pgrp;

	while ((c = raw_get(tty)) >= 0) {
		mutex_lock(&tty->lock);
		sig = ldisc_receive(tty, (char)c);
		pgrp = tty->pgrp;
		mutex_unlock(&tty->lock);
		if (sig && pgrp)
			kill_pgrp(pgrp, sig);
	}
}

static void tty_poll_device(struct timer *t)
{
	tty_input_ready();
	timer_start(t, clock_ns() + POLL_INTERVAL);
}

static int tty_init(void)
{
	work_init(&console_tty.input_work, tty_input);
	WRITE_ONCE(ready, true);
	if (console_irq_init()) {
		timer_init(&poll_timer, tty_poll_device);
		timer_start(&poll_timer, clock_ns() + POLL_INTERVAL);
	}
	return 0;
}
dev_initcall(tty_init);

/* ---- read ---- */

/*
 * How long may a read wait now that it has `done` characters? 0: not at all, it returns what it has. VTIME counts
 * tenths of a second: with VMIN between characters, without from the start of the read.
 */
static u64 read_deadline(const struct tty *tty, size_t done, size_t want, u64 start)
{
	u8 vmin = tty->termios.cc[VMIN], time = tty->termios.cc[VTIME];

	if (tty->termios.lflag & ICANON)
		return done ? 0 : WAIT_FOREVER;
	if (done >= min_t(size_t, max(vmin, (u8)1), want))
		return 0;
	if (!vmin)
		return time ? start + time * (NSEC_PER_SEC / 10) : 0;
	return done && time ? clock_ns() + time * (NSEC_PER_SEC / 10) : WAIT_FOREVER;
}

static long tty_read(struct file *f, struct uio *u, u64 *pos)
{
	struct tty *tty = &console_tty;
	size_t done = 0, want = u->left;
	u64 start = clock_ns(), deadline;
	char chunk[CHUNK];
	bool end;
	int err;

	while (u->left) {
		size_t n;

		err = tty_check_background(tty, SIGTTIN);
		if (err)
			return done ? (long)done : err;
		mutex_lock(&tty->lock);
		n = ldisc_take(tty, chunk, min(u->left, (size_t)CHUNK), &end);
		deadline = end ? 0 : read_deadline(tty, done + n, want, start);
		mutex_unlock(&tty->lock);
		if (uio_put(u, chunk, n) != n)
			return done ? (long)done : -EFAULT;
		done += n;
		if (end || (n == 0 && !deadline))
			break;
		if (n)
			continue;
		if (f->flags & O_NONBLOCK)
			return done ? (long)done : -EAGAIN;
		err = wait_event_interruptible_timeout(&tty->read_wait, ldisc_readable(tty), deadline);
		if (err == -EINTR)
			return done ? (long)done : -ERESTARTSYS;
		if (err == -ETIMEDOUT)
			break;
	}
	return (long)done;
}

/* ---- write ---- */

static long tty_write(struct file *f, struct uio *u, u64 *pos)
{
	char chunk[CHUNK];
	long done = 0;

	if (READ_ONCE(console_tty.termios.lflag) & TOSTOP) {
		int err = tty_check_background(&console_tty, SIGTTOU);

		if (err)
			return err;
	}
	while (u->left) {
		size_t want = min(u->left, (size_t)CHUNK), n = uio_get(u, chunk, want);

		console_write(chunk, n);
		done += (long)n;
		if (n < want)
			return done ? done : -EFAULT;
		cond_resched();
	}
	return done;
}

static unsigned tty_poll(struct file *f, struct poll_table *pt)
{
	struct tty *tty = &console_tty;
	unsigned mask = POLLOUT | POLLWRNORM;
	size_t want;

	poll_wait(f, &tty->read_wait, pt);
	mutex_lock(&tty->lock);
	want = tty->termios.lflag & ICANON || tty->termios.cc[VTIME] ? 1 : max(tty->termios.cc[VMIN], (u8)1);
	if (ldisc_readable(tty) >= want)
		mask |= POLLIN | POLLRDNORM;
	mutex_unlock(&tty->lock);
	return mask;
}

/* ---- ioctl ---- */

static long set_termios(struct tty *tty, const void __user *arg, bool flush)
{
	struct termios_k t;
	long err = tty_check_background(tty, SIGTTOU);

	if (err)
		return err;
	if (copy_from_user(&t, arg, sizeof(t)))
		return -EFAULT;
	mutex_lock(&tty->lock);
	if (flush)
		ldisc_flush(tty);
	ldisc_set_termios(tty, &t);
	mutex_unlock(&tty->lock);
	return 0;
}

static long set_winsize(struct tty *tty, const void __user *arg)
{
	struct winsize_k ws;
	bool changed;
	int pgrp;

	if (copy_from_user(&ws, arg, sizeof(ws)))
		return -EFAULT;
	mutex_lock(&tty->lock);
	changed = memcmp(&ws, &tty->winsize, sizeof(ws)) != 0;
	tty->winsize = ws;
	pgrp = tty->pgrp;
	mutex_unlock(&tty->lock);
	if (changed && pgrp)
		kill_pgrp(pgrp, SIGWINCH);
	return 0;
}

static long tty_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct tty *tty = &console_tty;
	void __user *p = (void __user *)arg;
	struct termios_k t;
	struct winsize_k ws;
	int n;

	switch (cmd) {
	case TCGETS:
		mutex_lock(&tty->lock);
		t = tty->termios;
		mutex_unlock(&tty->lock);
		return copy_to_user(p, &t, sizeof(t));
	case TCSETS:
	case TCSETSW:
		return set_termios(tty, p, false);
	case TCSETSF:
		return set_termios(tty, p, true);
	case TIOCGWINSZ:
		mutex_lock(&tty->lock);
		ws = tty->winsize;
		mutex_unlock(&tty->lock);
		return copy_to_user(p, &ws, sizeof(ws));
	case TIOCSWINSZ:
		return set_winsize(tty, p);
	case FIONREAD:
		mutex_lock(&tty->lock);
		n = (int)ldisc_readable(tty);
		mutex_unlock(&tty->lock);
		return copy_to_user(p, &n, sizeof(n));
	case TCSBRK:
	case TCXONC:
		return 0;	/* output is never held back */
	case TCFLSH:
		if (arg > 2)
			return -EINVAL;
		if (arg != 1) {
			mutex_lock(&tty->lock);
			ldisc_flush(tty);
			mutex_unlock(&tty->lock);
		}
		return 0;
	default:
		n = (int)tty_job_ioctl(tty, cmd, arg);
		return n == -ENOIOCTL ? -ENOTTY : n;
	}
}

static int tty_open(struct inode *inode, struct file *f)
{
	/* 5:0 is "my controlling terminal". */
	if (dev_minor(inode->rdev) == 0 && READ_ONCE(current->proc->tty) != &console_tty)
		return -ENXIO;
	f->mode |= FMODE_STREAM;
	return 0;
}

const struct file_ops tty_ops = {
	.open = tty_open,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};
