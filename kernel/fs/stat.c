/*
 * stat(2) and its kin, access, readlink, statfs.
 */
#include "kernel/fs/stat.h"

#include "kernel/fs/file.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/slab.h"

/* With AT_EMPTY_PATH an empty path, or none, means the descriptor itself. */
static int empty_path(const char __user *path)
{
	char c;

	if (!path)
		return 1;
	if (copy_from_user(&c, path, 1))
		return -EFAULT;
	return !c;
}

static int stat_fd(int fd, struct kstat *st)
{
	struct fd f = fd_get_any(fd);

	if (!f.file)
		return -EBADF;
	inode_stat(f.file->inode, st);
	fd_put(f);
	return 0;
}

static int stat_at(int dfd, const char __user *upath, int flags, struct kstat *st)
{
	unsigned walk = walk_flags(flags);
	struct path p;
	int err;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH && dfd != AT_FDCWD) {
		err = empty_path(upath);
		if (err)
			return err < 0 ? err : stat_fd(dfd, st);
	}
	err = user_path(dfd, upath, walk, &p);
	if (err)
		return err;
	inode_stat(path_inode(&p), st);
	path_put(&p);
	return 0;
}

/* The widths of the fields are the port's. */
static long put_stat(struct stat __user *ust, const struct kstat *k)
{
	struct stat st = {
		.st_dev = k->dev,
		.st_ino = k->ino,
		.st_mode = k->mode,
		.st_nlink = k->nlink,
		.st_uid = k->uid,
		.st_gid = k->gid,
		.st_rdev = k->rdev,
		.st_size = (s64)k->size,
		.st_blksize = (s32)k->blksize,
		.st_blocks = (s64)k->blocks,
		.st_atime = (s64)(k->atime / NSEC_PER_SEC),
		.st_atime_nsec = k->atime % NSEC_PER_SEC,
		.st_mtime = (s64)(k->mtime / NSEC_PER_SEC),
		.st_mtime_nsec = k->mtime % NSEC_PER_SEC,
		.st_ctime = (s64)(k->ctime / NSEC_PER_SEC),
		.st_ctime_nsec = k->ctime % NSEC_PER_SEC,
	};

	return copy_to_user(ust, &st, sizeof(st));
}

SYSCALL4(newfstatat, int, dfd, const char __user *, path, struct stat __user *, ust, int, flags)
{
	struct kstat st;
	long err = stat_at(dfd, path, flags, &st);

	return err ? err : put_stat(ust, &st);
}

SYSCALL2(stat, const char __user *, path, struct stat __user *, ust)
{
	struct kstat st;
	long err = stat_at(AT_FDCWD, path, 0, &st);

	return err ? err : put_stat(ust, &st);
}

SYSCALL2(lstat, const char __user *, path, struct stat __user *, ust)
{
	struct kstat st;
	long err = stat_at(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &st);

	return err ? err : put_stat(ust, &st);
}

SYSCALL2(fstat, int, fd, struct stat __user *, ust)
{
	struct kstat st;
	long err = stat_fd(fd, &st);

	return err ? err : put_stat(ust, &st);
}

static struct uapi_statx_time statx_time(u64 ns)
{
	return (struct uapi_statx_time){ (s64)(ns / NSEC_PER_SEC), (u32)(ns % NSEC_PER_SEC), 0 };
}

SYSCALL5(statx, int, dfd, const char __user *, path, int, flags, unsigned, mask, struct uapi_statx __user *, ustx)
{
	struct uapi_statx stx;
	struct kstat st;
	int err;

	if (mask & STATX__RESERVED || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	err = stat_at(dfd, path, flags, &st);
	if (err)
		return err;
	memset(&stx, 0, sizeof(stx));
	stx.mask = STATX_BASIC_STATS;
	stx.blksize = st.blksize;
	stx.nlink = st.nlink;
	stx.uid = st.uid;
	stx.gid = st.gid;
	stx.mode = (u16)st.mode;
	stx.ino = st.ino;
	stx.size = st.size;
	stx.blocks = st.blocks;
	stx.atime = statx_time(st.atime);
	stx.mtime = statx_time(st.mtime);
	stx.ctime = statx_time(st.ctime);
	stx.rdev_major = dev_major(st.rdev);
	stx.rdev_minor = dev_minor(st.rdev);
	stx.dev_major = dev_major(st.dev);
	stx.dev_minor = dev_minor(st.dev);
	return copy_to_user(ustx, &stx, sizeof(stx));
}

/* ---- access ---- */

static long do_access(int dfd, const char __user *upath, unsigned mode, int flags)
{
	unsigned walk = walk_flags(flags);
	const struct cred *cred = current_cred();
	struct inode *inode;
	struct path p;
	int err;

	if (mode & ~7u || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = user_path(dfd, upath, walk, &p);
	if (err)
		return err;
	inode = path_inode(&p);
	if (flags & AT_EACCESS)
		err = inode_permission(inode, mode);
	else
		err = inode_permission_as(inode, mode, cred->uid, cred->gid);
	if (!err && mode & W_OK && READ_ONCE(inode->sb->readonly) && !S_ISCHR(inode->mode) && !S_ISFIFO(inode->mode))
		err = -EROFS;
	path_put(&p);
	return err;
}

SYSCALL3(faccessat, int, dfd, const char __user *, path, unsigned, mode)
{
	return do_access(dfd, path, mode, 0);
}

SYSCALL4(faccessat2, int, dfd, const char __user *, path, unsigned, mode, int, flags)
{
	return do_access(dfd, path, mode, flags);
}

SYSCALL2(access, const char __user *, path, unsigned, mode)
{
	return do_access(AT_FDCWD, path, mode, 0);
}

/* ---- readlink ---- */

long path_readlink(const struct path *p, char *buf, size_t n)
{
	struct inode *inode = path_inode(p);
	struct path to;
	char *text;
	size_t len;
	int err;

	if (!S_ISLNK(inode->mode))
		return -EINVAL;
	if (inode->link) {
		len = min(strlen(inode->link), n);
		memcpy(buf, inode->link, len);
		return (long)len;
	}
	if (inode->ops->readlink)
		return inode->ops->readlink(inode, buf, n);
	err = inode->ops->follow(inode, &to);
	if (err)
		return err;
	text = path_describe(&to, buf, n);
	path_put(&to);
	if (IS_ERR(text))
		return PTR_ERR(text);
	len = strlen(text);
	memmove(buf, text, len);
	return (long)len;
}

static long do_readlink(int dfd, const char __user *upath, char __user *ubuf, int n)
{
	struct path p;
	char *buf;
	long len;

	if (n <= 0)
		return -EINVAL;
	len = user_path(dfd, upath, WALK_EMPTY, &p);
	if (len)
		return len;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	len = buf ? path_readlink(&p, buf, PATH_MAX) : -ENOMEM;
	len = min(len, (long)n);
	if (len > 0 && copy_to_user(ubuf, buf, (size_t)len))
		len = -EFAULT;
	kfree(buf);
	path_put(&p);
	return len;
}

SYSCALL4(readlinkat, int, dfd, const char __user *, path, char __user *, buf, int, n)
{
	return do_readlink(dfd, path, buf, n);
}

SYSCALL3(readlink, const char __user *, path, char __user *, buf, int, n)
{
	return do_readlink(AT_FDCWD, path, buf, n);
}

/* ---- statfs ---- */

static long put_statfs(struct uapi_statfs __user *ust, struct super *sb)
{
	u64 used = (u64)atomic64_read(&sb->pages);
	struct uapi_statfs st = {
		.type = sb->type->magic,
		.bsize = PAGE_SIZE,
		.frsize = PAGE_SIZE,
		.blocks = sb->max_pages,
		.namelen = NAME_MAX,
		.fsid = { (s32)sb->dev, 0 },
		.flags = 0x1020 | (READ_ONCE(sb->readonly) ? 1 : 0),	/* ST_VALID, ST_RELATIME */
	};

	if (sb->max_pages) {
		st.bfree = st.bavail = sb->max_pages > used ? sb->max_pages - used : 0;
		st.files = nr_total_pages() / 2;
		st.ffree = st.files - min(st.files, (u64)atomic64_read(&sb->inodes));
	}
	return copy_to_user(ust, &st, sizeof(st));
}

SYSCALL2(statfs, const char __user *, path, struct uapi_statfs __user *, ust)
{
	struct path p;
	long err = user_path(AT_FDCWD, path, WALK_FOLLOW, &p);

	if (err)
		return err;
	err = put_statfs(ust, path_inode(&p)->sb);
	path_put(&p);
	return err;
}

SYSCALL2(fstatfs, int, fd, struct uapi_statfs __user *, ust)
{
	struct fd f = fd_get_any(fd);
	long err;

	if (!f.file)
		return -EBADF;
	err = put_statfs(ust, f.file->inode->sb);
	fd_put(f);
	return err;
}
