/*
 * read(2), write(2) and their kin, lseek, sendfile.
 */
#include "kernel/fs/file.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "mm/slab.h"

#define IOV_INLINE	8

enum rw { RW_READ, RW_WRITE };

/* One transfer at *pos. Bytes or -errno. */
static __always_inline long transfer(struct file *f, struct uio *u, enum rw rw, u64 *pos)
{
	if (rw == RW_READ) {
		if (unlikely(!(f->mode & FMODE_READ)))
			return -EBADF;
		if (unlikely(!f->ops->read))
			return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
		return f->ops->read(f, u, pos);
	}
	if (unlikely(!(f->mode & FMODE_WRITE)))
		return -EBADF;
	if (unlikely(!f->ops->write))
		return -EINVAL;
	return f->ops->write(f, u, pos);
}

/* At the file's own position. It is locked only if somebody else may have this open file, too. */
static __always_inline long transfer_at_pos(struct fd fd, struct uio *u, enum rw rw)
{
	struct file *f = fd.file;
	bool shared = fd.counted || atomic_read(&f->refs) > 1;
	long ret;

	if (f->mode & FMODE_STREAM)
		return transfer(f, u, rw, &f->pos);
	if (shared)
		mutex_lock(&f->pos_lock);
	ret = transfer(f, u, rw, &f->pos);
	if (shared)
		mutex_unlock(&f->pos_lock);
	return ret;
}

static __always_inline long do_rw(int n, const void __user *buf, size_t len, enum rw rw)
{
	struct fd fd = fd_get(n);
	struct uio u;
	long ret;

	if (unlikely(!fd.file))
		return -EBADF;
	if (unlikely(!access_ok(buf, len))) {
		ret = -EFAULT;
	} else {
		uio_user(&u, buf, min(len, IO_MAX));
		ret = transfer_at_pos(fd, &u, rw);
	}
	fd_put(fd);
	return ret;
}

SYSCALL3(read, int, fd, void __user *, buf, size_t, n)
{
	return do_rw(fd, buf, n, RW_READ);
}

SYSCALL3(write, int, fd, const void __user *, buf, size_t, n)
{
	return do_rw(fd, buf, n, RW_WRITE);
}

static long do_prw(int n, const void __user *buf, size_t len, s64 off, enum rw rw)
{
	struct fd fd = fd_get(n);
	u64 pos = (u64)off;
	struct uio u;
	long ret;

	if (!fd.file)
		return -EBADF;
	if (off < 0)
		ret = -EINVAL;
	else if (fd.file->mode & FMODE_STREAM)
		ret = -ESPIPE;
	else if (!access_ok(buf, len))
		ret = -EFAULT;
	else {
		uio_user(&u, buf, min(len, IO_MAX));
		ret = transfer(fd.file, &u, rw, &pos);
	}
	fd_put(fd);
	return ret;
}

SYSCALL4(pread64, int, fd, void __user *, buf, size_t, n, s64, off)
{
	return do_prw(fd, buf, n, off, RW_READ);
}

SYSCALL4(pwrite64, int, fd, const void __user *, buf, size_t, n, s64, off)
{
	return do_prw(fd, buf, n, off, RW_WRITE);
}

/* ---- vectors ---- */

/* Fetch and check the segments; local has room for IOV_INLINE, else *iov must be kfree()d. */
static int get_iov(const struct uapi_iovec __user *uvec, unsigned long n, struct uapi_iovec *local,
		   struct uapi_iovec **iov, struct uio *u)
{
	size_t total = 0;

	*iov = local;
	if (n > UIO_MAXIOV)
		return -EINVAL;
	if (n > IOV_INLINE) {
		*iov = kmalloc(n * sizeof(**iov), GFP_KERNEL);
		if (!*iov)
			return -ENOMEM;
	}
	if (copy_from_user(*iov, uvec, n * sizeof(**iov)))
		return -EFAULT;
	for (unsigned long i = 0; i < n; i++) {
		struct uapi_iovec *v = &(*iov)[i];

		if ((s64)v->len < 0)
			return -EINVAL;
		if (!access_ok(v->base, v->len))
			return -EFAULT;
		v->len = min(v->len, IO_MAX - total);
		total += v->len;
	}
	*u = (struct uio){ .iov = *iov, .left = total };
	return 0;
}

/* off: -1 for the file's position. */
static long do_rwv(int n, const struct uapi_iovec __user *uvec, unsigned long nr, s64 off, bool positioned, enum rw rw)
{
	struct uapi_iovec local[IOV_INLINE], *iov;
	struct fd fd = fd_get(n);
	u64 pos = (u64)off;
	struct uio u;
	long ret;

	if (!fd.file)
		return -EBADF;
	ret = get_iov(uvec, nr, local, &iov, &u);
	if (ret)
		;
	else if (!positioned)
		ret = u.left ? transfer_at_pos(fd, &u, rw) : 0;
	else if (off < 0)
		ret = -EINVAL;
	else if (fd.file->mode & FMODE_STREAM)
		ret = -ESPIPE;
	else
		ret = u.left ? transfer(fd.file, &u, rw, &pos) : 0;
	if (iov != local)
		kfree(iov);
	fd_put(fd);
	return ret;
}

SYSCALL3(readv, int, fd, const struct uapi_iovec __user *, vec, unsigned long, n)
{
	return do_rwv(fd, vec, n, 0, false, RW_READ);
}

SYSCALL3(writev, int, fd, const struct uapi_iovec __user *, vec, unsigned long, n)
{
	return do_rwv(fd, vec, n, 0, false, RW_WRITE);
}

/* The offset comes in two halves, of which 64-bit callers put all into the first. */
SYSCALL4(preadv, int, fd, const struct uapi_iovec __user *, vec, unsigned long, n, s64, off)
{
	return do_rwv(fd, vec, n, off, true, RW_READ);
}

SYSCALL4(pwritev, int, fd, const struct uapi_iovec __user *, vec, unsigned long, n, s64, off)
{
	return do_rwv(fd, vec, n, off, true, RW_WRITE);
}

SYSCALL6(preadv2, int, fd, const struct uapi_iovec __user *, vec, unsigned long, n, s64, off, long, high, int, flags)
{
	return flags ? -EOPNOTSUPP : do_rwv(fd, vec, n, off, off != -1, RW_READ);
}

SYSCALL6(pwritev2, int, fd, const struct uapi_iovec __user *, vec, unsigned long, n, s64, off, long, high, int, flags)
{
	return flags ? -EOPNOTSUPP : do_rwv(fd, vec, n, off, off != -1, RW_WRITE);
}

/* ---- lseek ---- */

/* SEEK_DATA and SEEK_HOLE: pages that exist are data. */
static s64 seek_pages(struct inode *inode, u64 off, bool data)
{
	struct mapping *m = &inode->mapping;
	u64 size = READ_ONCE(m->size), index = off >> PAGE_SHIFT, end = div_round_up(size, PAGE_SIZE);

	if (off >= size)
		return -ENXIO;
	if (data) {
		u64 next = mapping_next(m, (u32)index);

		if (next >= end)
			return -ENXIO;
		return (s64)max(off, next << PAGE_SHIFT);
	}
	while (index < end && mapping_next(m, (u32)index) == index)
		index++;
	return (s64)min(max(off, index << PAGE_SHIFT), size);
}

static s64 do_lseek(struct file *f, s64 off, int whence)
{
	s64 pos;

	if (f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (f->ops->lseek)
		return f->ops->lseek(f, off, whence);
	switch (whence) {
	case SEEK_SET:
		pos = off;
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow((s64)f->pos, off, &pos))
			return -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow((s64)file_size(f), off, &pos))
			return -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (!S_ISREG(f->inode->mode))
			return -EINVAL;
		pos = seek_pages(f->inode, (u64)off, whence == SEEK_DATA);
		if (pos < 0)
			return pos;
		break;
	default:
		return -EINVAL;
	}
	if (pos < 0)
		return -EINVAL;
	f->pos = (u64)pos;
	return pos;
}

SYSCALL3(lseek, int, fd, s64, off, int, whence)
{
	struct fd f = fd_get(fd);
	s64 ret;

	if (!f.file)
		return -EBADF;
	mutex_lock(&f.file->pos_lock);
	ret = do_lseek(f.file, off, whence);
	mutex_unlock(&f.file->pos_lock);
	fd_put(f);
	return ret;
}

/* ---- sendfile: through one page ---- */

static long copy_file(struct file *in, u64 *ipos, struct file *out, u64 *opos, size_t n)
{
	void *page = alloc_kpages(0, GFP_KERNEL);
	long done = 0, err = 0;

	if (!page)
		return -ENOMEM;
	while (n) {
		struct uio u;
		u64 pos = *ipos;
		long got, put;

		uio_kernel(&u, page, min(n, PAGE_SIZE));
		got = transfer(in, &u, RW_READ, &pos);
		if (got <= 0) {
			err = got;
			break;
		}
		uio_kernel(&u, page, (size_t)got);
		put = transfer(out, &u, RW_WRITE, opos);
		if (put < 0) {
			err = put;
			break;
		}
		/* What the reader gave and the writer did not take is read again. */
		*ipos += (u64)put;
		done += put;
		n -= (size_t)put;
		if (put < got || task_interrupted(current, TASK_INTERRUPTIBLE))
			break;
	}
	free_kpages(page, 0);
	return done ? done : err;
}

/* Either may be NULL; two are taken in the order of their addresses. */
static void lock_positions(struct file *a, struct file *b)
{
	struct file *first = !a || !b ? NULL : (uintptr_t)a < (uintptr_t)b ? a : b;

	if (first) {
		mutex_lock(&first->pos_lock);
		mutex_lock_nested(&(first == a ? b : a)->pos_lock);
	} else if (a || b) {
		mutex_lock(a ? &a->pos_lock : &b->pos_lock);
	}
}

static void unlock_positions(struct file *a, struct file *b)
{
	if (a)
		mutex_unlock(&a->pos_lock);
	if (b)
		mutex_unlock(&b->pos_lock);
}

SYSCALL4(sendfile, int, out, int, in, s64 __user *, uoff, size_t, n)
{
	struct fd fin = fd_get(in), fout = fd_get(out);
	long ret = -EBADF;
	u64 pos, *ipos;
	s64 off = 0;

	if (!fin.file || !fout.file)
		goto out;
	ret = -EINVAL;
	if (fin.file->mode & FMODE_STREAM || fout.file->flags & O_APPEND || fin.file == fout.file)
		goto out;
	ret = -EFAULT;
	if (uoff && copy_from_user(&off, uoff, sizeof(off)))
		goto out;
	ret = -EINVAL;
	if (off < 0)
		goto out;
	pos = (u64)off;
	ipos = uoff ? &pos : &fin.file->pos;
	lock_positions(uoff ? NULL : fin.file, fout.file->mode & FMODE_STREAM ? NULL : fout.file);
	ret = copy_file(fin.file, ipos, fout.file, &fout.file->pos, min(n, IO_MAX));
	unlock_positions(uoff ? NULL : fin.file, fout.file->mode & FMODE_STREAM ? NULL : fout.file);
	if (uoff && ret >= 0 && copy_to_user(uoff, &pos, sizeof(pos)))
		ret = -EFAULT;
out:
	fd_put(fin);
	fd_put(fout);
	return ret;
}

/* ---- files have no slower place to be written to ---- */

SYSCALL0(sync)
{
	return 0;
}

static long check_fd(int fd)
{
	struct fd f = fd_get(fd);

	if (!f.file)
		return -EBADF;
	fd_put(f);
	return 0;
}

SYSCALL1(fsync, int, fd)
{
	return check_fd(fd);
}

SYSCALL1(fdatasync, int, fd)
{
	return check_fd(fd);
}

SYSCALL1(syncfs, int, fd)
{
	return check_fd(fd);
}

SYSCALL4(sync_file_range, int, fd, s64, off, s64, n, unsigned, flags)
{
	return off < 0 || n < 0 ? -EINVAL : check_fd(fd);
}

SYSCALL4(fadvise64, int, fd, s64, off, s64, n, int, advice)
{
	return n < 0 || advice < 0 || advice > 5 ? -EINVAL : check_fd(fd);
}

SYSCALL3(readahead, int, fd, s64, off, size_t, n)
{
	return check_fd(fd);
}
