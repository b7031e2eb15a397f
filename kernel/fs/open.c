/*
 * Opening files: open(2) and its kin, close, dup, fcntl, ioctl.
 */
#include "kernel/fs/device.h"
#include "kernel/fs/file.h"
#include "kernel/fs/pipe.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"

#define OPEN_FLAGS                                                                                                   \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_PATH | O_DIRECT | \
	 O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | 020000000 | 010000 | 04000000 | 01000000 | 020000)
#define SETFL_FLAGS	(O_APPEND | O_NONBLOCK | O_DIRECT)

/* ---- from a path to an open file ---- */

static const struct file_ops path_only_ops;

struct file *file_open_path(const struct path *path, int flags)
{
	struct inode *inode = path_inode(path);
	const struct file_ops *ops = inode->fops;
	struct file *f;
	int err;

	if (flags & O_PATH)
		ops = &path_only_ops;
	else if (S_ISCHR(inode->mode))
		ops = chrdev_ops(inode->rdev);
	else if (S_ISFIFO(inode->mode))
		ops = &fifo_ops;
	if (!ops)
		return ERR_PTR(-ENXIO);
	f = file_alloc(path, ops, flags & O_PATH ? (flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW)) | O_ACCMODE : flags,
		       NULL);
	if (IS_ERR(f))
		return f;
	if (flags & O_PATH) {
		f->mode = FMODE_PATH;
		f->flags &= ~(u32)O_ACCMODE;
	}
	if (!ops->open)
		return f;
	err = ops->open(inode, f);
	if (!err)
		return f;
	/* As if it had never been open. */
	f->ops = &path_only_ops;
	fput(f);
	return ERR_PTR(err);
}

/* May an existing object be opened so? */
static int may_open(const struct path *p, int flags)
{
	static const unsigned masks[4] = { R_OK, W_OK, R_OK | W_OK, R_OK | W_OK };
	struct inode *inode = path_inode(p);
	unsigned mask = masks[flags & O_ACCMODE];

	if (flags & O_DIRECTORY && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (flags & O_PATH)
		return 0;
	if (S_ISLNK(inode->mode))
		return -ELOOP;
	if (S_ISDIR(inode->mode) && (mask & W_OK || flags & (O_CREAT | O_TRUNC)))
		return -EISDIR;
	if (S_ISSOCK(inode->mode))
		return -ENXIO;
	if (flags & O_TRUNC)
		mask |= W_OK;
	if (mask & W_OK && S_ISREG(inode->mode) && READ_ONCE(inode->sb->readonly))
		return -EROFS;
	return inode_permission(inode, mask);
}

static int open_create(struct walk *w, int flags, u32 mode)
{
	int err;

	if (w->last_slash || flags & O_DIRECTORY)
		return w->last_slash ? -EISDIR : -EINVAL;
	err = fs_make(w, S_IFREG | (mode & 07777 & ~READ_ONCE(current->fs->umask)), 0, NULL, &w->path);
	if (err != -EEXIST || flags & O_EXCL)
		return err;
	/* Somebody was quicker: what is there now will do, if it is no link. */
	spin_lock(&dcache_lock);
	w->path = (struct path){ w->parent.mnt, dentry_find(w->parent.dentry, w->last, w->last_len) };
	if (w->path.dentry) {
		mount_cross(&w->path);
		path_get(&w->path);
	}
	spin_unlock(&dcache_lock);
	return w->path.dentry ? may_open(&w->path, flags) : -ENOENT;
}

struct file *file_open(int dfd, char *name, int flags, u32 mode)
{
	unsigned walk = 0;
	struct file *f;
	struct walk w;
	int err;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (flags & O_CREAT)
		walk |= WALK_CREATE;
	if (!(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
		walk |= WALK_FOLLOW;
	err = walk_path(dfd, name, walk, &w);
	if (err)
		return ERR_PTR(err);
	if (!w.path.dentry) {
		err = open_create(&w, flags, mode);
	} else if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		err = -EEXIST;
	} else {
		err = may_open(&w.path, flags);
		if (!err && flags & O_TRUNC && S_ISREG(path_inode(&w.path)->mode))
			err = inode_truncate(path_inode(&w.path), 0);
	}
	f = err ? ERR_PTR(err) : file_open_path(&w.path, flags);
	walk_end(&w);
	return f;
}

struct file *file_open_exec_at(int dfd, const char *path, int flags)
{
	unsigned walk = walk_flags(flags);
	char *name = name_dup(path);
	struct file *f;
	struct path p;
	int err;

	if (IS_ERR(name))
		return ERR_CAST(name);
	err = path_lookup(dfd, name, walk, &p);
	name_put(name);
	if (err)
		return ERR_PTR(err);
	if (S_ISLNK(path_inode(&p)->mode))
		err = -ELOOP;
	else if (!S_ISREG(path_inode(&p)->mode))
		err = -EACCES;
	else
		err = inode_permission(path_inode(&p), X_OK);
	f = err ? ERR_PTR(err) : file_open_path(&p, O_RDONLY);
	path_put(&p);
	return f;
}

struct file *file_open_exec(const char *path)
{
	return file_open_exec_at(AT_FDCWD, path, 0);
}

int kernel_open_fd(const char *path, int flags, int mode)
{
	char *name = name_dup(path);
	int fd;

	if (IS_ERR(name))
		return (int)PTR_ERR(name);
	fd = fd_install_or_put(file_open(AT_FDCWD, name, flags, (u32)mode), flags & O_CLOEXEC);
	name_put(name);
	return fd;
}

static long do_open(int dfd, const char *upath, int flags, u32 mode)
{
	char *name;
	long fd;

	fd = fd_room();
	if (fd)
		return fd;
	name = name_get(upath);
	if (IS_ERR(name))
		return PTR_ERR(name);
	fd = fd_install_or_put(file_open(dfd, name, flags & OPEN_FLAGS, mode), flags & O_CLOEXEC);
	name_put(name);
	return fd;
}

SYSCALL4(openat, int, dfd, const char *, path, int, flags, u32, mode)
{
	return do_open(dfd, path, flags, mode);
}

SYSCALL3(open, const char *, path, int, flags, u32, mode)
{
	return do_open(AT_FDCWD, path, flags, mode);
}

SYSCALL2(creat, const char *, path, u32, mode)
{
	return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

SYSCALL1(close, unsigned, fd)
{
	return fd_close(fd);
}

SYSCALL3(close_range, unsigned, first, unsigned, last, unsigned, flags)
{
	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE && atomic_read(&current->files->refs) > 1) {
		struct files *copy = files_dup(current->files), *old = current->files;

		if (IS_ERR(copy))
			return PTR_ERR(copy);
		rcu_assign_pointer(current->files, copy);
		files_put(old);
	}
	if (flags & CLOSE_RANGE_CLOEXEC)
		files_set_cloexec(current->files, first, last, true);
	else
		files_close_range(current->files, first, last, false);
	return 0;
}

/* ---- dup ---- */

SYSCALL1(dup, int, fd)
{
	struct file *f = fget(fd);

	return f ? fd_install_or_put(f, false) : -EBADF;
}

static long do_dup3(int oldfd, int newfd, bool cloexec)
{
	struct file *f = fget(oldfd);
	int fd;

	if (!f)
		return -EBADF;
	fd = newfd < 0 ? -EBADF : fd_replace((unsigned)newfd, f, cloexec);
	if (fd < 0)
		fput(f);
	return fd;
}

SYSCALL3(dup3, int, oldfd, int, newfd, int, flags)
{
	if (flags & ~O_CLOEXEC || oldfd == newfd)
		return -EINVAL;
	return do_dup3(oldfd, newfd, flags & O_CLOEXEC);
}

SYSCALL2(dup2, int, oldfd, int, newfd)
{
	if (oldfd == newfd) {
		struct fd f = fd_get_any(oldfd);
		long ret = f.file ? newfd : -EBADF;

		fd_put(f);
		return ret;
	}
	return do_dup3(oldfd, newfd, false);
}

/* ---- fcntl, flock, ioctl ---- */

static long dup_from(struct file *f, unsigned long from, bool cloexec)
{
	long fd;

	if (from >= rlimit(RLIMIT_NOFILE) || from >= FILES_MAX)
		return -EINVAL;
	get_file(f);
	fd = fd_install_from(f, cloexec, (unsigned)from);
	if (fd < 0)
		fput(f);
	return fd;
}

/* Nobody holds locks against anybody: a lock is always granted. */
static long do_getlk(void __user *arg)
{
	struct uapi_flock lk;

	if (copy_from_user(&lk, arg, sizeof(lk)))
		return -EFAULT;
	lk.type = F_UNLCK;
	return copy_to_user(arg, &lk, sizeof(lk));
}

static void set_flags(struct file *f, u32 mask, u32 bits)
{
	u32 old = READ_ONCE(f->flags);

	while (!try_cmpxchg(&f->flags, &old, (old & ~mask) | (bits & mask)))
		;
}

static long do_fcntl(int fd, struct file *f, unsigned cmd, unsigned long arg)
{
	if (f->mode & FMODE_PATH && cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC && cmd != F_GETFD && cmd != F_SETFD &&
	    cmd != F_GETFL)
		return -EBADF;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return dup_from(f, arg, cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return files_get_cloexec(current->files, (u32)fd);
	case F_SETFD:
		return files_set_cloexec(current->files, (u32)fd, (u32)fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return (long)(READ_ONCE(f->flags) | (f->mode & FMODE_PATH ? 0 : O_LARGEFILE));
	case F_SETFL:
		set_flags(f, SETFL_FLAGS, (u32)arg);
		return 0;
	case F_GETLK:
	case F_OFD_GETLK:
		return do_getlk((void __user *)arg);
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
	case F_SETOWN:
		return 0;
	case F_GETOWN:
		return 0;
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		return pipe_fcntl(f, cmd, arg);
	default:
		return -EINVAL;
	}
}

SYSCALL3(fcntl, int, fd, unsigned, cmd, unsigned long, arg)
{
	struct fd f = fd_get_any(fd);
	long ret;

	if (!f.file)
		return -EBADF;
	ret = do_fcntl(fd, f.file, cmd, arg);
	fd_put(f);
	return ret;
}

SYSCALL2(flock, int, fd, unsigned, op)
{
	struct fd f = fd_get(fd);

	if (!f.file)
		return -EBADF;
	fd_put(f);
	op &= ~4u;	/* LOCK_NB */
	return op == 1 || op == 2 || op == 8 ? 0 : -EINVAL;
}

static long do_ioctl(int fd, struct file *f, unsigned cmd, unsigned long arg)
{
	u32 val;

	switch (cmd) {
	case FIONBIO:
		if (arch_get_user32(&val, (const u32 __user *)arg))
			return -EFAULT;
		set_flags(f, O_NONBLOCK, val ? O_NONBLOCK : 0);
		return 0;
	case FIOCLEX:
	case FIONCLEX:
		return files_set_cloexec(current->files, (u32)fd, (u32)fd, cmd == FIOCLEX);
	case FIONREAD:
		if (!S_ISREG(f->inode->mode))
			break;
		val = (u32)clamp_t(s64, (s64)file_size(f) - (s64)f->pos, 0, INT_MAX);
		return copy_to_user((void __user *)arg, &val, sizeof(val));
	}
	return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
}

SYSCALL3(ioctl, int, fd, unsigned, cmd, unsigned long, arg)
{
	struct fd f = fd_get(fd);
	long ret;

	if (!f.file)
		return -EBADF;
	ret = do_ioctl(fd, f.file, cmd, arg);
	fd_put(f);
	return ret;
}
