/*
 * Attributes: mode, owner, times, size; and the task's own: umask, current directory, root. mount(2) and umount2(2) as
 * system calls.
 */
#include "kernel/fs/file.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

/* A path from user space, then what fn does with its inode. */
struct change {
	int (*fn)(struct inode *inode, const struct change *c);
	u32 mode, uid, gid;
	u64 atime, mtime;	/* OMIT: leave */
	bool touch;		/* both times are now: a writer may do that */
};

#define OMIT (~0ull)

static int change_path(int dfd, const char __user *path, unsigned walk, const struct change *c)
{
	struct path p;
	int err = user_path(dfd, path, walk, &p);

	if (err)
		return err;
	err = READ_ONCE(path_inode(&p)->sb->readonly) ? -EROFS : c->fn(path_inode(&p), c);
	path_put(&p);
	return err;
}

static int change_fd(int fd, bool any, const struct change *c)
{
	struct fd f = any ? fd_get_any(fd) : fd_get(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = c->fn(f.file->inode, c);
	fd_put(f);
	return err;
}

/* ---- chmod, chown ---- */

static int change_mode(struct inode *inode, const struct change *c)
{
	if (!inode_owner(inode))
		return -EPERM;
	if (S_ISLNK(inode->mode))
		return -EOPNOTSUPP;
	mutex_lock(&inode->lock);
	inode->mode = (inode->mode & S_IFMT) | (c->mode & 07777);
	inode->ctime = fs_time();
	mutex_unlock(&inode->lock);
	return 0;
}

SYSCALL3(fchmodat, int, dfd, const char __user *, path, u32, mode)
{
	struct change c = { .fn = change_mode, .mode = mode };

	return change_path(dfd, path, WALK_FOLLOW, &c);
}

SYSCALL2(chmod, const char __user *, path, u32, mode)
{
	struct change c = { .fn = change_mode, .mode = mode };

	return change_path(AT_FDCWD, path, WALK_FOLLOW, &c);
}

SYSCALL2(fchmod, int, fd, u32, mode)
{
	struct change c = { .fn = change_mode, .mode = mode };

	return change_fd(fd, false, &c);
}

static int change_owner(struct inode *inode, const struct change *c)
{
	u32 uid = current_cred()->fsuid;
	bool own_gid = uid == inode->uid && (c->uid == ~0u || c->uid == inode->uid) &&
		       (c->gid == ~0u || in_group(c->gid));

	if (uid != 0 && !own_gid)
		return -EPERM;
	mutex_lock(&inode->lock);
	if (c->uid != ~0u)
		inode->uid = c->uid;
	if (c->gid != ~0u)
		inode->gid = c->gid;
	if (S_ISREG(inode->mode) && uid != 0)
		inode->mode &= ~(S_ISUID | S_ISGID);
	inode->ctime = fs_time();
	mutex_unlock(&inode->lock);
	return 0;
}

SYSCALL5(fchownat, int, dfd, const char __user *, path, u32, uid, u32, gid, int, flags)
{
	struct change c = { .fn = change_owner, .uid = uid, .gid = gid };

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return change_path(dfd, path, walk_flags(flags), &c);
}

SYSCALL3(chown, const char __user *, path, u32, uid, u32, gid)
{
	struct change c = { .fn = change_owner, .uid = uid, .gid = gid };

	return change_path(AT_FDCWD, path, WALK_FOLLOW, &c);
}

SYSCALL3(lchown, const char __user *, path, u32, uid, u32, gid)
{
	struct change c = { .fn = change_owner, .uid = uid, .gid = gid };

	return change_path(AT_FDCWD, path, 0, &c);
}

SYSCALL3(fchown, int, fd, u32, uid, u32, gid)
{
	struct change c = { .fn = change_owner, .uid = uid, .gid = gid };

	return change_fd(fd, false, &c);
}

/* ---- times ---- */

static int change_times(struct inode *inode, const struct change *c)
{
	if (!inode_owner(inode) && (!c->touch || inode_permission(inode, W_OK)))
		return c->touch ? -EACCES : -EPERM;
	mutex_lock(&inode->lock);
	if (c->atime != OMIT)
		inode->atime = c->atime;
	if (c->mtime != OMIT)
		inode->mtime = c->mtime;
	inode->ctime = fs_time();
	mutex_unlock(&inode->lock);
	return 0;
}

static int time_value(const struct uapi_timespec *ts, u64 now, u64 *out)
{
	if (ts->nsec == UTIME_NOW)
		*out = now;
	else if (ts->nsec == UTIME_OMIT)
		*out = OMIT;
	else if (ts->nsec < 0 || ts->nsec >= (s64)NSEC_PER_SEC)
		return -EINVAL;
	else if (ts->sec < 0)
		*out = 0;
	else	/* beyond the year 2554 it stays there */
		*out = (u64)min(ts->sec, (s64)(~0ull / NSEC_PER_SEC - 1)) * NSEC_PER_SEC + (u64)ts->nsec;
	return 0;
}

static long do_utimes(int dfd, const char __user *path, const struct uapi_timespec *ts, int flags)
{
	u64 now = fs_time();
	struct change c = { .fn = change_times, .atime = now, .mtime = now, .touch = true };

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (ts) {
		if (time_value(&ts[0], now, &c.atime) || time_value(&ts[1], now, &c.mtime))
			return -EINVAL;
		c.touch = c.atime == now && c.mtime == now;
		if (c.atime == OMIT && c.mtime == OMIT)
			return 0;
	}
	if (!path)
		return change_fd(dfd, flags & AT_EMPTY_PATH, &c);
	return change_path(dfd, path, walk_flags(flags), &c);
}

SYSCALL4(utimensat, int, dfd, const char __user *, path, const struct uapi_timespec __user *, uts, int, flags)
{
	struct uapi_timespec ts[2];

	if (uts && copy_from_user(ts, uts, sizeof(ts)))
		return -EFAULT;
	return do_utimes(dfd, path, uts ? ts : NULL, flags);
}

SYSCALL2(utimes, const char __user *, path, const struct uapi_timeval __user *, utv)
{
	struct uapi_timespec ts[2];
	struct uapi_timeval tv[2];

	if (!path)
		return -EFAULT;
	if (utv && copy_from_user(tv, utv, sizeof(tv)))
		return -EFAULT;
	for (int i = 0; utv && i < 2; i++) {
		if (tv[i].usec < 0 || tv[i].usec >= 1000000)
			return -EINVAL;
		ts[i] = (struct uapi_timespec){ tv[i].sec, tv[i].usec * 1000 };
	}
	return do_utimes(AT_FDCWD, path, utv ? ts : NULL, 0);
}

/* ---- size ---- */

SYSCALL2(truncate, const char __user *, path, s64, size)
{
	struct inode *inode;
	struct path p;
	int err;

	if (size < 0)
		return -EINVAL;
	err = user_path(AT_FDCWD, path, WALK_FOLLOW, &p);
	if (err)
		return err;
	inode = path_inode(&p);
	if (S_ISDIR(inode->mode))
		err = -EISDIR;
	else if (READ_ONCE(inode->sb->readonly))
		err = -EROFS;
	else
		err = inode_permission(inode, W_OK);
	if (!err)
		err = inode_truncate(inode, (u64)size);
	path_put(&p);
	return err;
}

SYSCALL2(ftruncate, int, fd, s64, size)
{
	struct fd f = fd_get(fd);
	int err;

	if (!f.file)
		return -EBADF;
	err = size < 0 || !(f.file->mode & FMODE_WRITE) ? -EINVAL : inode_truncate(f.file->inode, (u64)size);
	fd_put(f);
	return err;
}

/* ---- the task's paths ---- */

SYSCALL1(umask, u32, mask)
{
	return __atomic_exchange_n(&current->fs->umask, mask & 0777, __ATOMIC_RELAXED);
}

/* p: counted, taken over. */
static int set_dir(struct path *where, struct path *p)
{
	int err = S_ISDIR(path_inode(p)->mode) ? inode_permission(path_inode(p), X_OK) : -ENOTDIR;

	if (err)
		path_put(p);
	else
		fs_set_path(where, *p);
	return err;
}

SYSCALL1(chdir, const char __user *, path)
{
	struct path p;
	int err = user_path(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &p);

	return err ? err : set_dir(&current->fs->cwd, &p);
}

SYSCALL1(fchdir, int, fd)
{
	struct fd f = fd_get_any(fd);
	struct path p;

	if (!f.file)
		return -EBADF;
	p = f.file->path;
	path_get(&p);
	fd_put(f);
	return set_dir(&current->fs->cwd, &p);
}

SYSCALL1(chroot, const char __user *, path)
{
	struct path p;
	int err = user_path(AT_FDCWD, path, WALK_FOLLOW | WALK_DIRECTORY, &p);

	if (err)
		return err;
	if (!is_root()) {
		path_put(&p);
		return -EPERM;
	}
	return set_dir(&current->fs->root, &p);
}

SYSCALL2(getcwd, char __user *, ubuf, size_t, n)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL), *text;
	struct path cwd, root;
	long ret;

	if (!buf)
		return -ENOMEM;
	spin_lock(&dcache_lock);
	cwd = current->fs->cwd;
	root = current->fs->root;
	path_get(&cwd);
	path_get(&root);
	spin_unlock(&dcache_lock);
	text = path_text(&cwd, &root, buf, PATH_MAX);
	if (path_inode(&cwd)->nlink == 0)
		ret = -ENOENT;
	else if (IS_ERR(text))
		ret = PTR_ERR(text);
	else if ((ret = (long)strlen(text) + 1) > (long)min(n, (size_t)PATH_MAX))
		ret = -ERANGE;
	else if (copy_to_user(ubuf, text, (size_t)ret))
		ret = -EFAULT;
	path_put(&cwd);
	path_put(&root);
	kfree(buf);
	return ret;
}

/* ---- mount ---- */

static int get_string(const char __user *u, char *buf, size_t n)
{
	long len;

	buf[0] = '\0';
	if (!u)
		return 0;
	len = strncpy_from_user(buf, u, n);
	return len < 0 ? (int)len : len >= (long)n ? -EINVAL : 0;
}

SYSCALL5(mount, const char __user *, usource, const char __user *, upath, const char __user *, utype, unsigned long,
	 flags, const char __user *, udata)
{
	char source[64], type[32], data[256];
	struct path at;
	long err;

	err = get_string(usource, source, sizeof(source));
	if (!err)
		err = get_string(utype, type, sizeof(type));
	if (!err)
		err = get_string(udata, data, sizeof(data));
	if (err)
		return err;
	do {
		err = user_path(AT_FDCWD, upath, WALK_FOLLOW, &at);
		if (err)
			return err;
		err = do_mount(type, source, data, flags, &at);
		path_put(&at);
	} while (err == -ESTALE);
	return err;
}

SYSCALL2(umount2, const char __user *, upath, int, flags)
{
	struct path at;
	long err = user_path(AT_FDCWD, upath, flags & UMOUNT_NOFOLLOW ? 0 : WALK_FOLLOW, &at);

	if (err)
		return err;
	err = do_umount(&at, flags);
	path_put(&at);
	return err;
}
