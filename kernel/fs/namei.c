/*
 * From a path to what it names.
 *
 * A walk runs under dcache_lock from end to end and takes a reference only on its result, as long as it stays in
 * directory trees and ordinary links, which is nearly always. When it meets procfs, whose look-ups sleep, it becomes
 * counted: it holds references on where it stands and drops the lock for what sleeps.
 *
 * The name lies in a buffer of PATH_MAX bytes. A link's text is put in front of the rest of the name, in that buffer.
 */
#include "kernel/fs/file.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

#define MAX_LINKS	40

struct walker {
	struct path cur;	/* counted, or protected by the lock */
	bool counted;
	unsigned links;
	unsigned flags;
	char *buf;		/* the name's buffer */
	char *s;		/* what is left of it */
};

static struct kmem_cache *name_cache;

void namei_init_cache(void)
{
	name_cache = kmem_cache_create("names", PATH_MAX, 8, NULL);
}

char *name_get(const char *upath)
{
	char *name = kmem_cache_alloc(name_cache, GFP_KERNEL);
	long n;

	if (!name)
		return ERR_PTR(-ENOMEM);
	n = strncpy_from_user(name, upath, PATH_MAX);
	if (n < 0 || n >= PATH_MAX) {
		name_put(name);
		return ERR_PTR(n < 0 ? n : -ENAMETOOLONG);
	}
	return name;
}

char *name_dup(const char *path)
{
	char *name;

	if (strlen(path) >= PATH_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	name = kmem_cache_alloc(name_cache, GFP_KERNEL);
	if (!name)
		return ERR_PTR(-ENOMEM);
	strlcpy(name, path, PATH_MAX);
	return name;
}

void name_put(char *name)
{
	kmem_cache_free(name_cache, name);
}

/* ---- steps: the lock is held, and again when they return ---- */

/* From now on the walk holds references. */
static void walk_count(struct walker *k)
{
	if (!k->counted)
		path_get(&k->cur);
	k->counted = true;
}

/* Stand on `to`, whose reference (if the walk is counted) is the walk's now. */
static void walk_to(struct walker *k, struct path to)
{
	struct path old = k->cur;

	k->cur = to;
	if (k->counted) {
		spin_unlock(&dcache_lock);
		path_put(&old);
		spin_lock(&dcache_lock);
	}
}

/* Likewise, for a path that the lock protects. */
static void walk_to_locked(struct walker *k, struct path to)
{
	if (k->counted)
		path_get(&to);
	walk_to(k, to);
}

static void walk_up(struct walker *k)
{
	const struct path *root = &current->fs->root;
	struct path p = k->cur;

	for (;;) {
		if (p.dentry == root->dentry && p.mnt == root->mnt)
			break;
		if (p.dentry->parent) {
			p.dentry = p.dentry->parent;
			break;
		}
		if (!p.mnt->parent)
			break;
		p = (struct path){ p.mnt->parent, p.mnt->at };
	}
	mount_cross(&p);
	walk_to_locked(k, p);
}

/* Look `name` up in the current directory: a path, counted if the walk is (then). -ENOENT. */
static int walk_child(struct walker *k, const char *name, size_t len, struct path *child)
{
	struct inode *dir = path_inode(&k->cur);
	struct dentry *d;

	if (!dir->ops->lookup) {
		d = dentry_find(k->cur.dentry, name, len);
		if (!d)
			return -ENOENT;
		*child = (struct path){ k->cur.mnt, d };
		mount_cross(child);
		if (k->counted)
			path_get(child);
		return 0;
	}
	walk_count(k);
	spin_unlock(&dcache_lock);
	d = dir->ops->lookup(&k->cur, name, len);
	spin_lock(&dcache_lock);
	if (IS_ERR(d))
		return (int)PTR_ERR(d);
	*child = (struct path){ k->cur.mnt, d };
	atomic_inc(&child->mnt->refs);
	return 0;
}

/* Put a link's text in front of what is left of the name. */
static int walk_splice(struct walker *k, const char *text, size_t len)
{
	size_t rest = strlen(k->s) + 1;

	if (!len)
		return -ENOENT;
	if (len + rest > PATH_MAX)
		return -ENAMETOOLONG;
	memmove(k->buf + len, k->s, rest);
	memcpy(k->buf, text, len);
	k->s = k->buf;
	if (k->buf[0] == '/')
		walk_to_locked(k, current->fs->root);
	return 0;
}

/* Go where the link leads. Takes over the reference on it. */
static int walk_link(struct walker *k, struct path *link)
{
	struct inode *inode = path_inode(link);
	struct path to;
	char *text;
	long len;
	int err;

	if (++k->links > MAX_LINKS) {
		err = -ELOOP;
	} else if (inode->link) {
		err = walk_splice(k, inode->link, strlen(inode->link));
	} else {
		/* Only counted walks get to links of procfs. */
		spin_unlock(&dcache_lock);
		if (inode->ops->follow) {
			err = inode->ops->follow(inode, &to);
			spin_lock(&dcache_lock);
			if (!err)
				walk_to(k, to);
		} else {
			text = kmem_cache_alloc(name_cache, GFP_KERNEL);
			len = text ? inode->ops->readlink(inode, text, PATH_MAX) : -ENOMEM;
			spin_lock(&dcache_lock);
			err = len < 0 ? (int)len : walk_splice(k, text, (size_t)len);
			kmem_cache_free(name_cache, text);
		}
	}
	if (k->counted) {
		spin_unlock(&dcache_lock);
		path_put(link);
		spin_lock(&dcache_lock);
	}
	return err;
}

static char *skip_slashes(char *s)
{
	while (*s == '/')
		s++;
	return s;
}

/* The lock is held. 0: k->cur is the result; 1: it is the parent of w->last. */
static int walk_components(struct walker *k, struct walk *w)
{
	for (;;) {
		struct path child;
		char *name, *end;
		size_t len;
		bool last;
		int err;

		k->s = skip_slashes(k->s);
		if (!*k->s) {
			w->last = k->s;
			w->last_dots = true;
			return k->flags & WALK_PARENT ? 1 : 0;
		}
		if (!S_ISDIR(path_inode(&k->cur)->mode))
			return -ENOTDIR;
		err = inode_permission(path_inode(&k->cur), X_OK);
		if (err)
			return err;
		name = k->s;
		for (end = name; *end && *end != '/'; end++)
			;
		len = (size_t)(end - name);
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		last = !*skip_slashes(end);
		w->last = name;
		w->last_len = len;
		w->last_slash = *end == '/';
		w->last_dots = name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
		if (last && k->flags & WALK_PARENT)
			return 1;
		k->s = end;
		if (w->last_dots) {
			if (len == 2)
				walk_up(k);
			continue;
		}
		err = walk_child(k, name, len, &child);
		if (err == -ENOENT && last && k->flags & WALK_CREATE)
			return 1;
		if (err)
			return err;
		if (S_ISLNK(path_inode(&child)->mode) && (!last || k->flags & WALK_FOLLOW || w->last_slash))
			err = walk_link(k, &child);
		else
			walk_to(k, child);
		if (err)
			return err;
		/* A trailing slash asks for a directory. */
		if (last && w->last_slash && !*skip_slashes(k->s) && !S_ISDIR(path_inode(&k->cur)->mode))
			return -ENOTDIR;
	}
}

/* Where a walk starts. The lock is held on return, also after an error. *base keeps a descriptor's file meanwhile. */
static int walk_start(struct walker *k, int dfd, struct fd *base)
{
	base->file = NULL;
	base->counted = false;
	if (*k->buf != '/' && dfd != AT_FDCWD)
		*base = fd_get_any(dfd);
	spin_lock(&dcache_lock);
	if (*k->buf == '/')
		k->cur = current->fs->root;
	else if (dfd == AT_FDCWD)
		k->cur = current->fs->cwd;
	else if (!base->file)
		return -EBADF;
	else
		k->cur = base->file->path;
	if (!*k->buf)
		return k->flags & WALK_EMPTY ? 0 : -ENOENT;
	if (base->file && !S_ISDIR(path_inode(&k->cur)->mode))
		return -ENOTDIR;
	return 0;
}

int walk_path(int dfd, char *name, unsigned flags, struct walk *w)
{
	struct walker k = { .flags = flags, .buf = name, .s = name };
	struct fd base;
	int err;

	*w = (struct walk){ .last = name };
	err = walk_start(&k, dfd, &base);
	if (!err && *name)
		err = walk_components(&k, w);
	else if (!err && flags & WALK_PARENT)
		err = -ENOENT;
	if (!err && flags & WALK_DIRECTORY && !S_ISDIR(path_inode(&k.cur)->mode))
		err = -ENOTDIR;
	if (err >= 0 && !k.counted)
		path_get(&k.cur);
	spin_unlock(&dcache_lock);
	if (err < 0 && k.counted)
		path_put(&k.cur);
	else if (err == 1)
		w->parent = k.cur;
	else if (!err)
		w->path = k.cur;
	fd_put(base);
	return err < 0 ? err : 0;
}

unsigned walk_flags(int at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

void walk_end(struct walk *w)
{
	path_put(&w->path);
	path_put(&w->parent);
}

int path_lookup(int dfd, char *name, unsigned flags, struct path *out)
{
	struct walk w;
	int err = walk_path(dfd, name, flags, &w);

	*out = w.path;
	return err;
}

int user_path(int dfd, const char *upath, unsigned flags, struct path *out)
{
	char *name = name_get(upath);
	int err;

	if (IS_ERR(name))
		return (int)PTR_ERR(name);
	err = path_lookup(dfd, name, flags, out);
	name_put(name);
	return err;
}
