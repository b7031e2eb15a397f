/*
 * Making, removing and renaming names: mkdir, mknod, symlink, link, unlink, rmdir, rename.
 *
 * A change of a tree is one critical section under dcache_lock; what it needs is allocated before, what it drops is put
 * after.
 */
#include "kernel/fs/file.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

/* May names in this directory be changed? */
static int dir_writable(struct inode *dir)
{
	if (READ_ONCE(dir->sb->readonly))
		return -EROFS;
	if (!dir->ops->create)
		return -EPERM;
	return inode_permission(dir, W_OK | X_OK);
}

/* Sticky directories: only owners remove. */
static int may_remove(struct inode *dir, struct inode *victim)
{
	return !(dir->mode & S_ISVTX) || inode_owner(victim) || inode_owner(dir) ? 0 : -EPERM;
}

static void dir_changed(struct inode *dir)
{
	dir->mtime = dir->ctime = fs_time();
}

int fs_make(struct walk *w, u32 mode, u64 rdev, const char *link, struct path *out)
{
	struct inode *dir = path_inode(&w->parent), *inode;
	struct dentry *d;
	int err;

	if (w->last_dots)
		return -EEXIST;
	err = dir_writable(dir);
	if (err) {
		bool there;

		spin_lock(&dcache_lock);
		there = dentry_find(w->parent.dentry, w->last, w->last_len);
		spin_unlock(&dcache_lock);
		return there ? -EEXIST : err;
	}
	inode = dir->ops->create(dir, mode, rdev, link);
	if (IS_ERR(inode))
		return (int)PTR_ERR(inode);
	d = dentry_alloc(w->parent.dentry, w->last, w->last_len, inode);
	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	spin_lock(&dcache_lock);
	err = dentry_hook(d);
	if (!err) {
		if (S_ISDIR(mode))
			dir->nlink++;
		dir_changed(dir);
		if (out) {
			*out = (struct path){ w->parent.mnt, d };
			path_get(out);
		}
	}
	spin_unlock(&dcache_lock);
	dput(d);
	return err;
}

/* Create a node at a path from user space, or (dfd AT_FDCWD) from the kernel. */
static int create_at(int dfd, char *name, u32 mode, u64 rdev, const char *link)
{
	struct walk w;
	int err = walk_path(dfd, name, WALK_PARENT, &w);

	if (err)
		return err;
	if (w.last_slash && !S_ISDIR(mode) && !w.last_dots)
		err = -ENOENT;
	else
		err = fs_make(&w, mode, rdev, link, NULL);
	walk_end(&w);
	return err;
}

int fs_mknod(const char *path, u32 mode, u64 rdev, const char *link)
{
	char *name = name_dup(path);
	int err;

	if (IS_ERR(name))
		return (int)PTR_ERR(name);
	err = create_at(AT_FDCWD, name, mode, rdev, link);
	name_put(name);
	return err;
}

static long user_create(int dfd, const char __user *path, u32 mode, u64 rdev, const char *link)
{
	char *name = name_get(path);
	long err;

	if (IS_ERR(name))
		return PTR_ERR(name);
	err = create_at(dfd, name, mode, rdev, link);
	name_put(name);
	return err;
}

static u32 umasked(u32 mode)
{
	return mode & ~READ_ONCE(current->fs->umask);
}

static long do_mknod(int dfd, const char __user *path, u32 mode, u32 dev)
{
	u32 type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;

	if (type == S_IFDIR)
		return -EPERM;
	if (type != S_IFREG && type != S_IFCHR && type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK)
		return -EINVAL;
	if ((type == S_IFCHR || type == S_IFBLK) && !is_root())
		return -EPERM;
	return user_create(dfd, path, type | umasked(mode & 07777), dev, NULL);
}

SYSCALL4(mknodat, int, dfd, const char __user *, path, u32, mode, u32, dev)
{
	return do_mknod(dfd, path, mode, dev);
}

SYSCALL3(mknod, const char __user *, path, u32, mode, u32, dev)
{
	return do_mknod(AT_FDCWD, path, mode, dev);
}

SYSCALL3(mkdirat, int, dfd, const char __user *, path, u32, mode)
{
	return user_create(dfd, path, S_IFDIR | umasked(mode & 01777), 0, NULL);
}

SYSCALL2(mkdir, const char __user *, path, u32, mode)
{
	return user_create(AT_FDCWD, path, S_IFDIR | umasked(mode & 01777), 0, NULL);
}

static long do_symlink(const char __user *utarget, int dfd, const char __user *path)
{
	char *target = name_get(utarget);
	long err;

	if (IS_ERR(target))
		return PTR_ERR(target);
	err = *target ? user_create(dfd, path, S_IFLNK | 0777, 0, target) : -ENOENT;
	name_put(target);
	return err;
}

SYSCALL3(symlinkat, const char __user *, target, int, dfd, const char __user *, path)
{
	return do_symlink(target, dfd, path);
}

SYSCALL2(symlink, const char __user *, target, const char __user *, path)
{
	return do_symlink(target, AT_FDCWD, path);
}

/* ---- link ---- */

static int link_to(const struct path *old, struct walk *w)
{
	struct inode *inode = path_inode(old), *dir = path_inode(&w->parent);
	struct dentry *d;
	int err;

	if (w->last_dots)
		return -EEXIST;
	if (w->last_slash)
		return -ENOENT;
	if (inode->sb != dir->sb)
		return -EXDEV;
	err = S_ISDIR(inode->mode) ? -EPERM : dir_writable(dir);
	if (err)
		return err;
	d = dentry_alloc(w->parent.dentry, w->last, w->last_len, iget(inode));
	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	spin_lock(&dcache_lock);
	err = inode->nlink ? dentry_hook(d) : -ENOENT;
	if (!err) {
		inode->nlink++;
		inode->ctime = fs_time();
		dir_changed(dir);
	}
	spin_unlock(&dcache_lock);
	dput(d);
	return err;
}

int fs_link(const char *from, const char *to)
{
	char *old = name_dup(from), *new = name_dup(to);
	struct path p = { NULL };
	struct walk w = { .last = NULL };
	int err = IS_ERR(old) ? (int)PTR_ERR(old) : IS_ERR(new) ? (int)PTR_ERR(new) : 0;

	if (!err)
		err = path_lookup(AT_FDCWD, old, 0, &p);
	if (!err)
		err = walk_path(AT_FDCWD, new, WALK_PARENT, &w);
	if (!err)
		err = link_to(&p, &w);
	walk_end(&w);
	path_put(&p);
	if (!IS_ERR(old))
		name_put(old);
	if (!IS_ERR(new))
		name_put(new);
	return err;
}

static long do_link(int olddfd, const char __user *oldpath, int newdfd, const char __user *newpath, int flags)
{
	unsigned walk = (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
	struct path old;
	struct walk w;
	char *name;
	long err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = user_path(olddfd, oldpath, walk, &old);
	if (err)
		return err;
	name = name_get(newpath);
	if (IS_ERR(name)) {
		err = PTR_ERR(name);
	} else {
		err = walk_path(newdfd, name, WALK_PARENT, &w);
		if (!err) {
			err = link_to(&old, &w);
			walk_end(&w);
		}
		name_put(name);
	}
	path_put(&old);
	return err;
}

SYSCALL5(linkat, int, olddfd, const char __user *, old, int, newdfd, const char __user *, new, int, flags)
{
	return do_link(olddfd, old, newdfd, new, flags);
}

SYSCALL2(link, const char __user *, old, const char __user *, new)
{
	return do_link(AT_FDCWD, old, AT_FDCWD, new, 0);
}

/* ---- unlink, rmdir ---- */

/* The entry leaves its directory; the tree's reference is the caller's. dcache_lock held. */
static void remove_name(struct dentry *d)
{
	struct inode *dir = d->parent->inode, *inode = d->inode;

	dentry_unhook(d);
	if (S_ISDIR(inode->mode)) {
		inode->nlink = 0;
		dir->nlink--;
	} else {
		inode->nlink--;
	}
	inode->ctime = fs_time();
	dir_changed(dir);
}

/* Can the name go? want_dir: rmdir. dcache_lock held. */
static int removable(struct dentry *d, bool want_dir)
{
	struct inode *inode = d->inode;

	if (want_dir && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (!want_dir && S_ISDIR(inode->mode))
		return -EISDIR;
	if (d->mounts)
		return -EBUSY;
	if (!rb_empty_root(&d->children))
		return -ENOTEMPTY;
	return may_remove(d->parent->inode, inode);
}

static long remove_at(struct walk *w, bool dir)
{
	struct dentry *d;
	int err;

	if (w->last_dots) {
		if (!dir)
			return -EISDIR;
		return !w->last_len ? -EBUSY : w->last_len == 1 ? -EINVAL : -ENOTEMPTY;
	}
	err = dir_writable(path_inode(&w->parent));
	if (err)
		return err;
	spin_lock(&dcache_lock);
	d = dentry_find(w->parent.dentry, w->last, w->last_len);
	if (!d)
		err = -ENOENT;
	else if (w->last_slash && !S_ISDIR(d->inode->mode))
		err = -ENOTDIR;
	else
		err = removable(d, dir);
	if (!err)
		remove_name(d);
	spin_unlock(&dcache_lock);
	if (!err)
		dput(d);
	return err;
}

int fs_remove(const char *path, bool dir)
{
	char *name = name_dup(path);
	struct walk w;
	int err;

	if (IS_ERR(name))
		return (int)PTR_ERR(name);
	err = walk_path(AT_FDCWD, name, WALK_PARENT, &w);
	if (!err) {
		err = (int)remove_at(&w, dir);
		walk_end(&w);
	}
	name_put(name);
	return err;
}

static long do_unlink(int dfd, const char __user *path, bool dir)
{
	char *name = name_get(path);
	struct walk w;
	long err;

	if (IS_ERR(name))
		return PTR_ERR(name);
	err = walk_path(dfd, name, WALK_PARENT, &w);
	if (!err) {
		err = remove_at(&w, dir);
		walk_end(&w);
	}
	name_put(name);
	return err;
}

SYSCALL3(unlinkat, int, dfd, const char __user *, path, int, flags)
{
	return flags & ~AT_REMOVEDIR ? -EINVAL : do_unlink(dfd, path, flags & AT_REMOVEDIR);
}

SYSCALL1(unlink, const char __user *, path)
{
	return do_unlink(AT_FDCWD, path, false);
}

SYSCALL1(rmdir, const char __user *, path)
{
	return do_unlink(AT_FDCWD, path, true);
}

/* ---- rename ---- */

static bool is_ancestor(const struct dentry *a, const struct dentry *d)
{
	for (; d; d = d->parent)
		if (d == a)
			return true;
	return false;
}

/* What two names need to change places, allocated before. */
struct name_buf {
	char *name;		/* NULL: it fits the inline buffer */
	const char *text;
	size_t len;
};

static int name_buf_init(struct name_buf *b, const char *text, size_t len)
{
	*b = (struct name_buf){ NULL, text, len };
	if (len > DENTRY_INLINE) {
		b->name = kmalloc(len + 1, GFP_KERNEL);
		if (!b->name)
			return -ENOMEM;
	}
	return 0;
}

/*
 * d, unhooked, gets a new place and name; b then has the old name's buffer to free. *parent: a counted reference that
 * comes back as the old one.
 */
static void place(struct dentry *d, struct dentry **parent, struct name_buf *b)
{
	struct dentry *old = d->parent;
	char *old_name = d->name == d->inline_name ? NULL : d->name;

	d->name = b->name ? b->name : d->inline_name;
	memcpy(d->name, b->text, b->len);
	d->name[b->len] = '\0';
	d->len = (u32)b->len;
	b->name = old_name;
	d->parent = *parent;
	*parent = old;
}

/* Directories' link counts when d moves. */
static void moved(struct dentry *d, struct inode *from, struct inode *to)
{
	if (S_ISDIR(d->inode->mode) && from != to) {
		from->nlink--;
		to->nlink++;
	}
	d->inode->ctime = fs_time();
}

/* dcache_lock held. What is wrong with moving `old` onto `target` (NULL: nothing there)? */
static int rename_check(struct dentry *old, struct dentry *target, struct walk *from, struct walk *to, unsigned flags)
{
	struct inode *inode = old->inode;
	int err;

	if (flags & RENAME_NOREPLACE && target)
		return -EEXIST;
	if (flags & RENAME_EXCHANGE && !target)
		return -ENOENT;
	if ((from->last_slash || (to->last_slash && !(flags & RENAME_EXCHANGE))) && !S_ISDIR(inode->mode))
		return -ENOTDIR;
	if (old->mounts || (target && target->mounts))
		return -EBUSY;
	if (is_ancestor(old, to->parent.dentry))
		return -EINVAL;
	if (target && is_ancestor(target, from->parent.dentry))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	err = may_remove(path_inode(&from->parent), inode);
	if (err || !target)
		return err;
	if (flags & RENAME_EXCHANGE)
		return may_remove(path_inode(&to->parent), target->inode);
	if (S_ISDIR(target->inode->mode) && !S_ISDIR(inode->mode))
		return -EISDIR;
	return removable(target, S_ISDIR(inode->mode));
}

/*
 * dcache_lock held. put[]: references to drop after unlocking. parent[], name[]: for the entry that comes to [0] the
 * old and [1] the new place.
 */
static int rename_locked(struct walk *from, struct walk *to, unsigned flags, struct dentry **parent,
			 struct name_buf *name, struct dentry **put)
{
	struct dentry *old = dentry_find(from->parent.dentry, from->last, from->last_len);
	struct dentry *target = dentry_find(to->parent.dentry, to->last, to->last_len);
	struct inode *fdir = path_inode(&from->parent), *tdir = path_inode(&to->parent);
	u64 key;
	int err;

	if (!old)
		return -ENOENT;
	if (target && target->inode == old->inode && !(flags & RENAME_EXCHANGE && target != old))
		return flags & RENAME_NOREPLACE ? -EEXIST : 0;
	err = rename_check(old, target, from, to, flags);
	if (!err && !target)
		err = dentry_room(to->parent.dentry, to->last, to->last_len, &key);
	if (err)
		return err;
	/* From here on nothing fails. What is unhooked leaves its tree reference to us. */
	dentry_unhook(old);
	put[0] = old;
	put[1] = target;
	if (target && flags & RENAME_EXCHANGE) {
		dentry_unhook(target);
		place(target, &parent[0], &name[0]);
		moved(target, tdir, fdir);
	} else if (target) {
		remove_name(target);
		target = NULL;
	}
	place(old, &parent[1], &name[1]);
	moved(old, fdir, tdir);
	err = dentry_hook(old);
	if (!err && target)
		err = dentry_hook(target);
	ASSERT(!err, "error %d for a name that was free", err);
	dir_changed(fdir);
	dir_changed(tdir);
	return 0;
}

static int rename_walked(struct walk *from, struct walk *to, unsigned flags)
{
	struct dentry *parent[2], *put[2] = { NULL };
	struct name_buf name[2];
	int err;

	if (from->last_dots || to->last_dots)
		return flags & RENAME_NOREPLACE && !from->last_dots ? -EEXIST : -EBUSY;
	if (from->parent.mnt != to->parent.mnt)
		return -EXDEV;
	err = dir_writable(path_inode(&from->parent));
	if (!err)
		err = dir_writable(path_inode(&to->parent));
	if (err)
		return err;
	err = name_buf_init(&name[0], from->last, from->last_len);
	if (err)
		return err;
	err = name_buf_init(&name[1], to->last, to->last_len);
	if (err) {
		kfree(name[0].name);
		return err;
	}
	parent[0] = dget(from->parent.dentry);
	parent[1] = dget(to->parent.dentry);
	spin_lock(&dcache_lock);
	err = rename_locked(from, to, flags, parent, name, put);
	spin_unlock(&dcache_lock);
	for (unsigned i = 0; i < 2; i++) {
		dput(put[i]);
		dput(parent[i]);
		kfree(name[i].name);
	}
	return err;
}

static long do_rename(int olddfd, const char __user *oldpath, int newdfd, const char __user *newpath, unsigned flags)
{
	struct walk from, to;
	char *old, *new;
	long err;

	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	old = name_get(oldpath);
	if (IS_ERR(old))
		return PTR_ERR(old);
	new = name_get(newpath);
	if (IS_ERR(new)) {
		name_put(old);
		return PTR_ERR(new);
	}
	err = walk_path(olddfd, old, WALK_PARENT, &from);
	if (!err) {
		err = walk_path(newdfd, new, WALK_PARENT, &to);
		if (!err) {
			err = rename_walked(&from, &to, flags);
			walk_end(&to);
		}
		walk_end(&from);
	}
	name_put(new);
	name_put(old);
	return err;
}

SYSCALL5(renameat2, int, olddfd, const char __user *, old, int, newdfd, const char __user *, new, unsigned, flags)
{
	return do_rename(olddfd, old, newdfd, new, flags);
}

SYSCALL4(renameat, int, olddfd, const char __user *, old, int, newdfd, const char __user *, new)
{
	return do_rename(olddfd, old, newdfd, new, 0);
}

SYSCALL2(rename, const char __user *, old, const char __user *, new)
{
	return do_rename(AT_FDCWD, old, AT_FDCWD, new, 0);
}
