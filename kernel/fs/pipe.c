/*
 * Pipes and FIFOs.
 *
 * The ring is an array of pages, allocated when they are first written. Positions only grow; whenever the pipe runs
 * empty they go back to zero, so that a pipe that carries little uses one page, which stays in the cache.
 *
 * Locks:  p pipe->lock (RANK_PIPE)   a atomic
 * A writer of up to PIPE_BUF bytes waits until all of them fit. Whoever waits has joined a wait queue before it drops
 * the lock, and who changes the pipe looks at the queues under the lock, so no wake-up is lost; poll joins first and
 * then looks at the pipe under the lock.
 */
#include "kernel/fs/pipe.h"

#include "kernel/fs/file.h"
#include "kernel/fs/poll.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/wait.h"
#include "lib/bits.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

#define PIPE_PAGES	16u		/* 64 KiB */
#define PIPE_MAX_PAGES	256u		/* 1 MiB, as Linux's pipe-max-size */

struct pipe {
	struct mutex lock;
	struct wait_queue rd_wait, wr_wait;
	u64 rpos, wpos;			/* p. bytes ever read and written, since it was last empty */
	u32 nr_pages;			/* p. size of the ring, a power of two */
	u32 readers, writers;		/* p. open files */
	u32 r_opens, w_opens;		/* p. how often opened: who opens a FIFO waits for the other side's */
	void **page;			/* p. inline_page or kmalloc */
	void *inline_page[PIPE_PAGES];
};

static struct kmem_cache *pipe_cache;

void pipe_init_cache(void)
{
	pipe_cache = kmem_cache_create("pipe", sizeof(struct pipe), 0, NULL);
}

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = kmem_cache_alloc(pipe_cache, GFP_KERNEL | GFP_ZERO);

	if (!p)
		return NULL;
	mutex_init(&p->lock, RANK_PIPE);
	wait_queue_init(&p->rd_wait);
	wait_queue_init(&p->wr_wait);
	p->nr_pages = PIPE_PAGES;
	p->page = p->inline_page;
	return p;
}

static void pipe_drop_pages(struct pipe *p)
{
	for (u32 i = 0; i < p->nr_pages; i++) {
		if (p->page[i])
			free_kpages(p->page[i], 0);
		p->page[i] = NULL;
	}
	p->rpos = p->wpos = 0;
}

static void pipe_free(struct pipe *p)
{
	pipe_drop_pages(p);
	if (p->page != p->inline_page)
		kfree(p->page);
	kmem_cache_free(pipe_cache, p);
}

static inline size_t pipe_size(const struct pipe *p)
{
	return (size_t)p->nr_pages << PAGE_SHIFT;
}

/* Sleep until somebody wakes the queue, the lock dropped meanwhile. 0 or -ERESTARTSYS. */
static int pipe_wait(struct pipe *p, struct wait_queue *wq)
{
	struct wait_entry e;
	int err = 0;

	wait_entry_init(&e);
	prepare_to_wait(wq, &e, TASK_INTERRUPTIBLE);
	mutex_unlock(&p->lock);
	if (task_interrupted(current, TASK_INTERRUPTIBLE))
		err = -ERESTARTSYS;
	else
		schedule();
	finish_wait(wq, &e);
	mutex_lock(&p->lock);
	return err;
}

static long pipe_read(struct file *f, struct uio *u, u64 *pos)
{
	struct pipe *p = f->private;
	long done = 0;
	int err = 0;

	if (!u->left)
		return 0;
	mutex_lock(&p->lock);
	while (p->rpos == p->wpos) {
		if (!p->writers)
			goto out;
		err = f->flags & O_NONBLOCK ? -EAGAIN : pipe_wait(p, &p->rd_wait);
		if (err)
			goto out;
	}
	do {
		size_t at = p->rpos & (pipe_size(p) - 1), off = at & ~PAGE_MASK;
		size_t n = min(min(PAGE_SIZE - off, (size_t)(p->wpos - p->rpos)), u->left);
		size_t got = uio_put(u, (char *)p->page[at >> PAGE_SHIFT] + off, n);

		p->rpos += got;
		done += (long)got;
		if (got < n) {
			err = -EFAULT;
			break;
		}
	} while (u->left && p->rpos != p->wpos);
	if (p->rpos == p->wpos)
		p->rpos = p->wpos = 0;
	if (done && !list_empty(&p->wr_wait.waiters))
		wake_up_all(&p->wr_wait);
out:
	mutex_unlock(&p->lock);
	return done ? done : err;
}

/* Copy in what fits. The lock is held. Bytes or -errno. */
static long pipe_fill(struct pipe *p, struct uio *u)
{
	long done = 0;

	while (u->left && p->wpos - p->rpos < pipe_size(p)) {
		size_t at = p->wpos & (pipe_size(p) - 1), off = at & ~PAGE_MASK;
		size_t n = min(min(PAGE_SIZE - off, (size_t)(pipe_size(p) - (p->wpos - p->rpos))), u->left), got;
		void **page = &p->page[at >> PAGE_SHIFT];

		if (!*page) {
			*page = alloc_kpages(0, GFP_KERNEL);
			if (!*page)
				return done ? done : -ENOMEM;
		}
		got = uio_get(u, (char *)*page + off, n);
		p->wpos += got;
		done += (long)got;
		if (got < n)
			return done ? done : -EFAULT;
	}
	return done;
}

static long pipe_write(struct file *f, struct uio *u, u64 *pos)
{
	struct pipe *p = f->private;
	size_t atomic = u->left <= PIPE_BUF ? u->left : 1;
	long done = 0, n;
	int err = 0;

	if (!u->left)
		return 0;
	mutex_lock(&p->lock);
	while (u->left) {
		if (!p->readers) {
			err = -EPIPE;
			break;
		}
		if (pipe_size(p) - (p->wpos - p->rpos) >= atomic) {
			n = pipe_fill(p, u);
			if (n > 0) {
				done += n;
				atomic = 1;
				if (!list_empty(&p->rd_wait.waiters))
					wake_up_all(&p->rd_wait);
				continue;
			}
			err = (int)n;
			break;
		}
		err = f->flags & O_NONBLOCK ? -EAGAIN : pipe_wait(p, &p->wr_wait);
		if (err)
			break;
	}
	mutex_unlock(&p->lock);
	if (err == -EPIPE && !done)
		send_sig(SIGPIPE);
	return done ? done : err;
}

static unsigned pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->private;
	unsigned mask = 0;

	if (f->mode & FMODE_READ)
		poll_wait(f, &p->rd_wait, pt);
	if (f->mode & FMODE_WRITE)
		poll_wait(f, &p->wr_wait, pt);
	mutex_lock(&p->lock);
	if (f->mode & FMODE_READ) {
		if (p->rpos != p->wpos)
			mask |= POLLIN | POLLRDNORM;
		if (!p->writers && p->w_opens)
			mask |= POLLHUP;
	}
	if (f->mode & FMODE_WRITE) {
		if (pipe_size(p) - (p->wpos - p->rpos) >= PIPE_BUF)
			mask |= POLLOUT | POLLWRNORM;
		if (!p->readers)
			mask |= POLLERR;
	}
	mutex_unlock(&p->lock);
	return mask;
}

static long pipe_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct pipe *p = f->private;
	int n;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	n = (int)(p->wpos - p->rpos);
	mutex_unlock(&p->lock);
	return copy_to_user((void __user *)arg, &n, sizeof(n));
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;

	mutex_lock(&p->lock);
	if (f->mode & FMODE_READ && !--p->readers)
		wake_up_all(&p->wr_wait);
	if (f->mode & FMODE_WRITE && !--p->writers)
		wake_up_all(&p->rd_wait);
	if (!p->readers && !p->writers)
		pipe_drop_pages(p);
	mutex_unlock(&p->lock);
}

void fifo_evict(struct inode *inode)
{
	if (inode->private)
		pipe_free(inode->private);
}

static const struct inode_ops pipe_inode_ops = { .evict = fifo_evict };

static const struct file_ops pipe_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.release = pipe_release,
};

/* ---- FIFOs ---- */

/* Wait for the other side. The lock is held. */
static int fifo_wait(struct pipe *p, struct wait_queue *wq, const u32 *opens)
{
	u32 before = *opens;
	int err = 0;

	while (!err && *opens == before)
		err = pipe_wait(p, wq);
	return err;
}

static int fifo_open(struct inode *inode, struct file *f)
{
	struct pipe *p;
	int err = 0;

	f->mode |= FMODE_STREAM;
	mutex_lock(&inode->lock);
	p = inode->private;
	if (!p)
		p = inode->private = pipe_alloc();
	mutex_unlock(&inode->lock);
	if (!p)
		return -ENOMEM;
	f->private = p;
	f->ops = &pipe_ops;
	mutex_lock(&p->lock);
	if (f->mode & FMODE_READ) {
		p->readers++;
		p->r_opens++;
		wake_up_all(&p->wr_wait);
	}
	if (f->mode & FMODE_WRITE) {
		p->writers++;
		p->w_opens++;
		wake_up_all(&p->rd_wait);
	}
	if ((f->flags & O_ACCMODE) == O_RDONLY && !p->writers && !(f->flags & O_NONBLOCK))
		err = fifo_wait(p, &p->rd_wait, &p->w_opens);
	else if ((f->flags & O_ACCMODE) == O_WRONLY && !p->readers)
		err = f->flags & O_NONBLOCK ? -ENXIO : fifo_wait(p, &p->wr_wait, &p->r_opens);
	mutex_unlock(&p->lock);
	if (err)
		pipe_release(f);
	return err;
}

const struct file_ops fifo_ops = { .open = fifo_open };

/* ---- pipe(2) ---- */

static int pipe_create(struct file **files, int flags)
{
	struct inode *inode = anon_inode(S_IFIFO | 0600, &pipe_inode_ops, NULL);
	struct path path;
	struct pipe *p;

	files[0] = files[1] = NULL;
	if (IS_ERR(inode))
		return (int)PTR_ERR(inode);
	p = inode->private = pipe_alloc();
	path = anon_path("", inode);
	if (IS_ERR(path.dentry))
		return -ENOMEM;
	if (p) {
		p->readers = p->writers = p->r_opens = p->w_opens = 1;
		files[0] = file_alloc(&path, &pipe_ops, O_RDONLY | flags, p);
		files[1] = file_alloc(&path, &pipe_ops, O_WRONLY | flags, p);
	}
	path_put(&path);
	if (p && !IS_ERR(files[0]) && !IS_ERR(files[1])) {
		files[0]->mode |= FMODE_STREAM;
		files[1]->mode |= FMODE_STREAM;
		return 0;
	}
	for (int i = 0; i < 2; i++)
		if (!IS_ERR_OR_NULL(files[i]))
			fput(files[i]);
	return -ENOMEM;
}

static long do_pipe(int __user *ufd, int flags)
{
	struct file *files[2];
	int fd[2], err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	err = pipe_create(files, flags & O_NONBLOCK);
	if (err)
		return err;
	fd[0] = fd_install_or_put(files[0], flags & O_CLOEXEC);
	if (fd[0] < 0) {
		fput(files[1]);
		return fd[0];
	}
	fd[1] = fd_install_or_put(files[1], flags & O_CLOEXEC);
	if (fd[1] >= 0 && !copy_to_user(ufd, fd, sizeof(fd)))
		return 0;
	fd_close((unsigned)fd[0]);
	if (fd[1] < 0)
		return fd[1];
	fd_close((unsigned)fd[1]);
	return -EFAULT;
}

SYSCALL2(pipe2, int __user *, fd, int, flags)
{
	return do_pipe(fd, flags);
}

SYSCALL1(pipe, int __user *, fd)
{
	return do_pipe(fd, 0);
}

/* ---- size ---- */

static long pipe_resize(struct pipe *p, unsigned long bytes)
{
	u32 n = (u32)roundup_pow_of_two(div_round_up(max(bytes, 1ul), PAGE_SIZE));
	size_t used = (size_t)(p->wpos - p->rpos);
	void **page;
	u32 i;

	if (bytes > (unsigned long)PIPE_MAX_PAGES << PAGE_SHIFT)
		return -EPERM;
	if (used > (size_t)n << PAGE_SHIFT)
		return -EBUSY;
	page = kcalloc(n, sizeof(*page), GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	/* Pages in use move, in order, to the start; a ring that wraps inside one page would need it twice. */
	if (used && (p->wpos - 1) >> PAGE_SHIFT >= (p->rpos >> PAGE_SHIFT) + min(n, p->nr_pages)) {
		kfree(page);
		return -EBUSY;
	}
	for (i = 0; used && (p->rpos >> PAGE_SHIFT) + i <= (p->wpos - 1) >> PAGE_SHIFT; i++) {
		void **from = &p->page[((p->rpos >> PAGE_SHIFT) + i) & (p->nr_pages - 1)];

		page[i] = *from;
		*from = NULL;
	}
	p->wpos -= p->rpos & PAGE_MASK;
	p->rpos &= ~PAGE_MASK;
	for (i = 0; i < p->nr_pages; i++)
		if (p->page[i])
			free_kpages(p->page[i], 0);
	if (p->page != p->inline_page)
		kfree(p->page);
	p->page = page;
	p->nr_pages = n;
	wake_up_all(&p->wr_wait);
	return (long)pipe_size(p);
}

long pipe_fcntl(struct file *f, unsigned cmd, unsigned long arg)
{
	struct pipe *p = f->private;
	long ret;

	if (f->ops != &pipe_ops)
		return -EBADF;
	mutex_lock(&p->lock);
	ret = cmd == F_GETPIPE_SZ ? (long)pipe_size(p) : pipe_resize(p, arg);
	mutex_unlock(&p->lock);
	return ret;
}
