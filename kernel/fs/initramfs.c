/*
 * The root file system at boot: a tmpfs, filled from a cpio archive in memory. Then the file systems every system needs
 * are mounted: devtmpfs on /dev, proc on /proc, sysfs on /sys.
 *
 * A malformed archive: what came before the bad place is there, and the message says where that is. An entry that can
 * not be made is reported and left out. Runs once, in a kernel thread.
 */
#include "kernel/fs/file.h"
#include "kernel/printk.h"
#include "kernel/timer.h"
#include "lib/cpio.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/palloc.h"
#include "mm/slab.h"

/* The first name of a file with several: later ones become links to it. */
struct hard_link {
	struct list_head link;
	u32 ino, dev_major, dev_minor;
	const char *name;	/* in the archive */
};

static struct hard_link *find_hard_link(struct list_head *links, const struct cpio_entry *e)
{
	struct hard_link *h;

	list_for_each_entry(h, links, link)
		if (h->ino == e->ino && h->dev_major == e->dev_major && h->dev_minor == e->dev_minor)
			return h;
	return NULL;
}

static int remember_hard_link(struct list_head *links, const struct cpio_entry *e)
{
	struct hard_link *h = kmalloc(sizeof(*h), GFP_KERNEL);

	if (!h)
		return -ENOMEM;
	*h = (struct hard_link){ .ino = e->ino, .dev_major = e->dev_major, .dev_minor = e->dev_minor, .name = e->name };
	list_add(&h->link, links);
	return 0;
}

/* A symbolic link's text is not terminated in the archive. */
static char *link_text(const struct cpio_entry *e)
{
	char *text;

	if (!e->size || e->size >= PATH_MAX || memchr(e->data, '\0', e->size))
		return ERR_PTR(-EINVAL);
	text = kmalloc(e->size + 1, GFP_KERNEL);
	if (!text)
		return ERR_PTR(-ENOMEM);
	memcpy(text, e->data, e->size);
	text[e->size] = '\0';
	return text;
}

/* Make the node; what is there of that name goes, unless both are directories. */
static int make_node(const struct cpio_entry *e, const char *link, struct path *out)
{
	char *name = name_dup(e->name);
	struct walk w;
	int err;

	if (IS_ERR(name))
		return (int)PTR_ERR(name);
	err = walk_path(AT_FDCWD, name, WALK_PARENT, &w);
	if (!err) {
		err = fs_make(&w, e->mode, dev_encode(e->rdev_major, e->rdev_minor), link, out);
		if (err == -EEXIST && !S_ISDIR(e->mode) && !fs_remove(e->name, false))
			err = fs_make(&w, e->mode, dev_encode(e->rdev_major, e->rdev_minor), link, out);
		walk_end(&w);
	}
	if (err == -EEXIST && S_ISDIR(e->mode)) {
		strlcpy(name, e->name, PATH_MAX);
		err = path_lookup(AT_FDCWD, name, WALK_DIRECTORY, out);
		if (!err)
			path_inode(out)->mode = e->mode;
	}
	name_put(name);
	return err;
}

static int unpack_entry(const struct cpio_entry *e, struct list_head *links)
{
	struct path p = { NULL };
	struct inode *inode;
	char *link = NULL;
	int err = 0;

	if (e->nlink > 1 && !S_ISDIR(e->mode)) {
		struct hard_link *h = find_hard_link(links, e);

		if (h) {
			char *name;

			err = fs_link(h->name, e->name);
			if (err || !S_ISREG(e->mode) || !e->size)
				return err;
			/* The contents may come with any of the names. */
			name = name_dup(e->name);
			if (IS_ERR(name))
				return (int)PTR_ERR(name);
			err = path_lookup(AT_FDCWD, name, 0, &p);
			name_put(name);
			if (!err && !path_inode(&p)->mapping.size)
				err = tmpfs_fill(path_inode(&p), e->data, e->size);
			path_put(&p);
			return err;
		}
		err = remember_hard_link(links, e);
		if (err)
			return err;
	}
	if (S_ISLNK(e->mode)) {
		link = link_text(e);
		if (IS_ERR(link))
			return (int)PTR_ERR(link);
	} else if (!S_ISREG(e->mode) && !S_ISDIR(e->mode) && !S_ISCHR(e->mode) && !S_ISBLK(e->mode) &&
		   !S_ISFIFO(e->mode) && !S_ISSOCK(e->mode)) {
		return -EINVAL;
	}
	err = make_node(e, link, &p);
	kfree(link);
	if (err)
		return err;
	inode = path_inode(&p);
	inode->uid = e->uid;
	inode->gid = e->gid;
	inode->mtime = (u64)e->mtime * NSEC_PER_SEC;
	if (S_ISREG(e->mode))
		err = tmpfs_fill(inode, e->data, e->size);
	path_put(&p);
	return err;
}

int initramfs_unpack(const void *image, size_t size)
{
	LIST_HEAD(links);
	struct hard_link *h, *tmp;
	struct cpio_entry e;
	struct cpio_iter it;
	unsigned entries = 0;
	int ret;

	cpio_init(&it, image, size);
	while ((ret = cpio_next(&it, &e)) > 0) {
		int err = unpack_entry(&e, &links);

		if (err)
			pr_warn("initramfs: %s (mode %#o, %u bytes): error %d, left out", e.name, e.mode, e.size, -err);
		else
			entries++;
		if (err == -ENOMEM || err == -ENOSPC) {
			ret = err;
			break;
		}
	}
	if (ret == -EINVAL)
		pr_err("initramfs: malformed cpio archive at offset %zu of %zu, after %u entries", it.pos, size,
		       entries);
	else if (ret < 0)
		pr_err("initramfs: no room after %u entries, at offset %zu of %zu", entries, it.pos, size);
	list_for_each_entry_safe(h, tmp, &links, link)
		kfree(h);
	return ret;
}

static void mount_default(const char *type, const char *where)
{
	struct path p;
	char *name;
	int err = fs_mknod(where, S_IFDIR | 0755, 0, NULL);

	name = name_dup(where);
	if (IS_ERR(name))
		err = (int)PTR_ERR(name);
	else if (!err || err == -EEXIST)
		err = path_lookup(AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &p);
	if (!err) {
		err = mount_at(type, type, NULL, false, &p);
		path_put(&p);
	}
	if (!IS_ERR(name))
		name_put(name);
	if (err)
		pr_warn("%s: can not mount %s, error %d", where, type, -err);
}

static void fs_init(void)
{
	mapping_init_cache();
	inode_init_cache();
	dcache_init_cache();
	namei_init_cache();
	file_init_cache();
	pipe_init_cache();
	tmpfs_init();
	fs_register(&devfs_type);
	fs_register(&proc_type);
	fs_register(&sysfs_type);
}

int rootfs_init(const void *cpio, size_t size)
{
	struct fs_context *fs, *old = current->fs;
	int err;

	fs_init();
	err = mount_at("tmpfs", "tmpfs", "mode=755", false, NULL);
	if (err)
		return err;
	fs = fs_create();
	if (IS_ERR(fs))
		return (int)PTR_ERR(fs);
	current->fs = fs;
	if (size)
		err = initramfs_unpack(cpio, size);
	else
		pr_warn("initramfs: there is none, the root directory is empty");
	mount_default("devtmpfs", "/dev");
	mount_default("proc", "/proc");
	mount_default("sysfs", "/sys");
	current->fs = old;
	fs_put(fs);
	return err;
}
