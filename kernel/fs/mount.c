/*
 * File systems and where they are mounted. Mounts are few: they stand in one list, and a dentry that is mounted on says
 * so in a count, so that the path walk looks at the list only there. The last mount on a dentry hides the ones before.
 *
 * A mount is held by the tree of mounts while it is in it, by each path that goes through it, and by mounts inside it.
 * Its file system is held by its mounts; with the last of them the dentries go, and the file system.
 */
#include "kernel/fs/file.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/seq.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

#define FIRST_ANON_DEV	1u
#define MAX_FS_TYPES	16

LIST_HEAD(mount_list);
struct path fs_root;
static atomic_t next_mount_id, next_dev = ATOMIC_INIT(FIRST_ANON_DEV);
static const struct fs_type *fs_types[MAX_FS_TYPES];	/* filled at boot */

void fs_register(const struct fs_type *type)
{
	for (unsigned i = 0; i < MAX_FS_TYPES; i++) {
		if (!fs_types[i]) {
			fs_types[i] = type;
			return;
		}
	}
	panic("no room to register file system %s", type->name);
}

static const struct fs_type *fs_find(const char *name)
{
	if (!strcmp(name, "devfs"))
		name = "devtmpfs";
	for (unsigned i = 0; i < MAX_FS_TYPES && fs_types[i]; i++)
		if (!fs_types[i]->internal && !strcmp(fs_types[i]->name, name))
			return fs_types[i];
	return NULL;
}

void filesystems_show(struct seq *m)
{
	for (unsigned i = 0; i < MAX_FS_TYPES && fs_types[i]; i++)
		if (!fs_types[i]->internal)
			seq_printf(m, "nodev\t%s\n", fs_types[i]->name);
}

/* ---- supers ---- */

struct super *super_alloc(const struct fs_type *type)
{
	struct super *sb = kzalloc(sizeof(*sb), GFP_KERNEL);

	if (!sb)
		return ERR_PTR(-ENOMEM);
	sb->type = type;
	sb->dev = (u32)atomic_inc_return(&next_dev);
	atomic_set(&sb->refs, 1);
	return sb;
}

struct super *super_get(struct super *sb)
{
	atomic_inc(&sb->refs);
	return sb;
}

void super_put(struct super *sb)
{
	if (!atomic_dec_and_test(&sb->refs))
		return;
	if (sb->root) {
		dentry_free_tree(sb->root);
		dput(sb->root);
	}
	DEBUG_ASSERT(!atomic64_read(&sb->inodes), "%s ends with %lld inodes in use", sb->type->name,
		     atomic64_read(&sb->inodes));
	if (sb->type->put_super)
		sb->type->put_super(sb);
	kfree(sb);
}

/* ---- paths ---- */

static void mount_put(struct mount *m)
{
	if (!atomic_dec_and_test(&m->refs))
		return;
	super_put(m->sb);
	kfree(m);
}

void path_get(const struct path *p)
{
	atomic_inc(&p->mnt->refs);
	dget(p->dentry);
}

void path_put(struct path *p)
{
	struct path old = *p;

	p->mnt = NULL;
	p->dentry = NULL;
	if (!old.dentry)
		return;
	dput(old.dentry);
	mount_put(old.mnt);
}

static struct mount *mounted_on(const struct path *p)
{
	struct mount *m;

	assert_spin_locked(&dcache_lock);
	list_for_each_entry_reverse(m, &mount_list, link)
		if (m->parent == p->mnt && m->at == p->dentry)
			return m;
	return NULL;
}

void mount_cross(struct path *p)
{
	while (unlikely(p->dentry->mounts)) {
		struct mount *m = mounted_on(p);

		if (!m)
			break;
		p->mnt = m;
		p->dentry = m->sb->root;
	}
}

char *path_text(const struct path *p, const struct path *root, char *buf, size_t n)
{
	struct path at = *p;
	size_t pos = n;

	if (!n)
		return ERR_PTR(-ENAMETOOLONG);
	buf[--pos] = '\0';
	spin_lock(&dcache_lock);
	for (;;) {
		struct dentry *d = at.dentry;

		if (d == root->dentry && at.mnt == root->mnt)
			break;
		if (!d->parent) {
			if (!at.mnt->parent)
				break;
			at = (struct path){ at.mnt->parent, at.mnt->at };
			continue;
		}
		if (pos < d->len + 1)
			goto too_long;
		pos -= d->len;
		memcpy(buf + pos, d->name, d->len);
		buf[--pos] = '/';
		at.dentry = d->parent;
	}
	if (!buf[pos]) {
		if (!pos)
			goto too_long;
		buf[--pos] = '/';
	}
	spin_unlock(&dcache_lock);
	return buf + pos;
too_long:
	spin_unlock(&dcache_lock);
	return ERR_PTR(-ENAMETOOLONG);
}

/* ---- mounting ---- */

int mount_at(const char *type_name, const char *source, const char *options, bool readonly, const struct path *at)
{
	const struct fs_type *type = fs_find(type_name);
	struct mount *m;
	struct super *sb;
	int err = 0;

	if (!type)
		return -ENODEV;
	if (at && !S_ISDIR(path_inode(at)->mode))
		return -ENOTDIR;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	sb = type->get_super(type, options);
	if (IS_ERR(sb)) {
		kfree(m);
		return (int)PTR_ERR(sb);
	}
	atomic_set(&m->refs, 1);
	m->id = atomic_inc_return(&next_mount_id);
	m->sb = sb;
	strlcpy(m->source, source && *source ? source : "none", sizeof(m->source));
	spin_lock(&dcache_lock);
	if (!at) {
		fs_root = (struct path){ m, sb->root };
		path_get(&fs_root);
	} else if (at->mnt->sb == sb && at->dentry == sb->root) {
		err = -EBUSY;	/* the same thing is there already */
	} else if (at->mnt != fs_root.mnt && !at->mnt->parent) {
		err = -ESTALE;	/* unmounted since it was looked up: nobody would find the new mount */
	} else if (at->dentry->parent && !dentry_hooked(at->dentry) && !at->dentry->inode->ops->lookup) {
		err = -ENOENT;
	} else {
		m->parent = at->mnt;
		m->at = at->dentry;
		path_get(at);
		at->dentry->mounts++;
	}
	if (!err) {
		if (readonly)
			sb->readonly = true;
		list_add_tail(&m->link, &mount_list);
	}
	spin_unlock(&dcache_lock);
	if (err)
		mount_put(m);
	return err;
}

/* p: counted, the root of a mount. */
static int mount_detach(struct path *p, bool lazy)
{
	struct mount *m = p->mnt, *other;
	struct path at;
	int err = 0;

	spin_lock(&dcache_lock);
	if (p->dentry != m->sb->root || !m->parent)
		err = -EINVAL;
	list_for_each_entry(other, &mount_list, link)
		if (other->parent == m)
			err = -EBUSY;
	/* The tree's and the caller's references. */
	if (!err && !lazy && atomic_read(&m->refs) > 2)
		err = -EBUSY;
	if (err) {
		spin_unlock(&dcache_lock);
		return err;
	}
	at = (struct path){ m->parent, m->at };
	m->at->mounts--;
	m->parent = NULL;
	m->at = NULL;
	list_del(&m->link);
	spin_unlock(&dcache_lock);
	path_put(&at);
	mount_put(m);
	return 0;
}

long do_mount(const char *type, const char *source, const char *options, unsigned long flags, const struct path *at)
{
	int err = 0;

	if (!is_root())
		return -EPERM;
	if (flags & (MS_BIND | MS_MOVE))
		return -EINVAL;
	if (flags & MS_PROPAGATION)
		return 0;
	if (flags & MS_REMOUNT) {
		spin_lock(&dcache_lock);
		if (at->dentry != at->mnt->sb->root)
			err = -EINVAL;
		else
			at->mnt->sb->readonly = flags & MS_RDONLY;
		spin_unlock(&dcache_lock);
		return err;
	}
	return mount_at(type, source, options, flags & MS_RDONLY, at);
}

long do_umount(struct path *at, int flags)
{
	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if (!is_root())
		return -EPERM;
	return mount_detach(at, flags & MNT_DETACH);
}

void mounts_show(struct seq *m)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL), *text;
	struct mount *mnt;
	struct path at;
	unsigned n = 0;

	/* path_text() takes the lock, so one mount at a time is looked at, by its place in the list. */
	for (; buf; n++) {
		unsigned i = 0;
		bool found = false;

		spin_lock(&dcache_lock);
		list_for_each_entry(mnt, &mount_list, link) {
			if (i++ == n) {
				found = true;
				at = (struct path){ mnt, mnt->sb->root };
				path_get(&at);
				break;
			}
		}
		spin_unlock(&dcache_lock);
		if (!found)
			break;
		mnt = at.mnt;
		text = path_text(&at, &fs_root, buf, PATH_MAX);
		seq_printf(m, "%s %s %s %s,relatime 0 0\n", mnt->source, IS_ERR(text) ? "?" : text, mnt->sb->type->name,
			   READ_ONCE(mnt->sb->readonly) ? "ro" : "rw");
		path_put(&at);
	}
	kfree(buf);
}
