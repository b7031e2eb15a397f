/*
 * Memory devices (null, zero, full, kmsg), devices by number, and devtmpfs, which has them all in /dev. There is one
 * devtmpfs; every mount shows it.
 */
#include "kernel/fs/device.h"
#include "kernel/fs/file.h"
#include "kernel/printk.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/slab.h"

#define MAJOR_MEM	1
#define MAJOR_TTY	5
#define KMSG_LINE	256

static long null_read(struct file *f, struct uio *u, u64 *pos)
{
	return 0;
}

static long null_write(struct file *f, struct uio *u, u64 *pos)
{
	long n = (long)u->left;

	uio_skip(u, u->left);
	return n;
}

static s64 null_lseek(struct file *f, s64 off, int whence)
{
	f->pos = 0;
	return 0;
}

static long zero_read(struct file *f, struct uio *u, u64 *pos)
{
	long done = 0;

	while (u->left) {
		size_t want = min(u->left, PAGE_SIZE), n = uio_zero(u, want);

		done += (long)n;
		if (n < want)
			return done ? done : -EFAULT;
		cond_resched();
	}
	return done;
}

/* Private: anonymous memory. Shared: a file of zeroes of its own. */
static int zero_mmap(struct file *f, struct vma *vma)
{
	struct file *shm;
	int err;

	if (!(vma->flags & VM_SHARED)) {
		vma->ops = NULL;
		return 0;
	}
	shm = shmem_file("/dev/zero", (vma->pgoff << PAGE_SHIFT) + (vma->end - vma->start));
	if (IS_ERR(shm))
		return (int)PTR_ERR(shm);
	err = file_mmap(shm, vma);
	if (err) {
		fput(shm);
		return err;
	}
	fput(vma->file);
	vma->file = shm;
	return 0;
}

static long full_write(struct file *f, struct uio *u, u64 *pos)
{
	return -ENOSPC;
}

/* ---- kernel messages ---- */

long kmsg_read(struct file *f, struct uio *u, u64 *pos)
{
	size_t size = printk_size(), n, done;
	char *buf;

	if (*pos >= size)
		return 0;
	buf = kmalloc(size, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	size = printk_read(buf, size);
	n = *pos < size ? min(u->left, (size_t)(size - *pos)) : 0;
	done = uio_put(u, buf + *pos, n);
	*pos += done;
	kfree(buf);
	return n && !done ? -EFAULT : (long)done;
}

/* A line from a program, with an optional <level> in front. */
static long kmsg_write(struct file *f, struct uio *u, u64 *pos)
{
	char line[KMSG_LINE], *text = line, level = '4';
	size_t len = u->left, n = uio_get(u, line, min(len, sizeof(line) - 1));

	if (!n)
		return -EFAULT;
	line[n] = '\0';
	if (n > 3 && line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
		level = line[1];
		text += 3;
	}
	printk(level, "%s", text);
	return (long)len;
}

#define SYSLOG_READ		2
#define SYSLOG_READ_ALL		3
#define SYSLOG_READ_CLEAR	4
#define SYSLOG_SIZE_UNREAD	9
#define SYSLOG_SIZE_BUFFER	10

SYSCALL3(syslog, int, type, char __user *, ubuf, int, len)
{
	size_t n;
	char *buf;
	long ret;

	switch (type) {
	case SYSLOG_READ:
	case SYSLOG_READ_ALL:
	case SYSLOG_READ_CLEAR:
		if (!ubuf || len < 0)
			return -EINVAL;
		n = min((size_t)len, printk_size());
		if (!n)
			return 0;
		buf = kmalloc(n, GFP_KERNEL);
		if (!buf)
			return -ENOMEM;
		n = printk_read(buf, n);
		ret = copy_to_user(ubuf, buf, n) ? -EFAULT : (long)n;
		kfree(buf);
		return ret;
	case SYSLOG_SIZE_UNREAD:
	case SYSLOG_SIZE_BUFFER:
		return (long)printk_size();
	case 0:
	case 1:
	case 5:
	case 6:
	case 7:
	case 8:
		return 0;	/* open, close, clear, console level: nothing to do */
	default:
		return -EINVAL;
	}
}

/* ---- numbers ---- */

static const struct file_ops null_ops = { .read = null_read, .write = null_write, .lseek = null_lseek };
static const struct file_ops zero_ops = {
	.read = zero_read, .write = null_write, .lseek = null_lseek, .mmap = zero_mmap
};
static const struct file_ops full_ops = { .read = zero_read, .write = full_write, .lseek = null_lseek };
static const struct file_ops kmsg_ops = { .read = kmsg_read, .write = kmsg_write };

static const struct device {
	const char *name;
	u32 major, minor, mode;
	const struct file_ops *ops;
} devices[] = {
	{ "null", MAJOR_MEM, 3, 0666, &null_ops },
	{ "zero", MAJOR_MEM, 5, 0666, &zero_ops },
	{ "full", MAJOR_MEM, 7, 0666, &full_ops },
	{ "random", MAJOR_MEM, 8, 0666, &random_ops },
	{ "urandom", MAJOR_MEM, 9, 0666, &random_ops },
	{ "kmsg", MAJOR_MEM, 11, 0644, &kmsg_ops },
	{ "tty", MAJOR_TTY, 0, 0666, &tty_ops },
	{ "console", MAJOR_TTY, 1, 0600, &tty_ops },
};

const struct file_ops *chrdev_ops(u64 rdev)
{
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
		if (devices[i].major == dev_major(rdev) && devices[i].minor == dev_minor(rdev))
			return devices[i].ops;
	return NULL;
}

/* ---- /dev ---- */

static struct super *dev_super;		/* with a reference of its own once it is complete */

static int dev_populate(struct dentry *root)
{
	static const char *const links[][2] = {
		{ "fd", "/proc/self/fd" },
		{ "stdin", "/proc/self/fd/0" },
		{ "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" },
	};
	struct dentry *d;

	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		const struct device *dev = &devices[i];

		d = tmpfs_add(root, dev->name, S_IFCHR | dev->mode, dev_encode(dev->major, dev->minor), NULL);
		if (IS_ERR(d))
			return (int)PTR_ERR(d);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(links); i++) {
		d = tmpfs_add(root, links[i][0], S_IFLNK | 0777, 0, links[i][1]);
		if (IS_ERR(d))
			return (int)PTR_ERR(d);
	}
	d = tmpfs_add(root, "shm", S_IFDIR | S_ISVTX | 0777, 0, NULL);
	return PTR_ERR_OR_ZERO(d);
}

/* The first mount is the kernel's own, at boot: nobody comes in between. */
static struct super *dev_get_super(const struct fs_type *type, const char *options)
{
	struct super *sb;
	int err;

	if (dev_super)
		return super_get(dev_super);
	sb = tmpfs_super(type, 0755, nr_total_pages() / 2);
	if (IS_ERR(sb))
		return sb;
	err = dev_populate(sb->root);
	if (err) {
		super_put(sb);
		return ERR_PTR(err);
	}
	dev_super = super_get(sb);
	return sb;
}

const struct fs_type devfs_type = { .name = "devtmpfs", .magic = 0x01021994, .get_super = dev_get_super };
