/*
 * Directory entries. A directory keeps its entries in a tree ordered by key: 47 bits of the name's hash and 16 bits
 * that make the key unique. The key is also the position that getdents64 reports, so reading a directory goes on at the
 * right place whatever is made or removed meanwhile. Names of one hash stand side by side and are compared in turn.
 *
 * A dentry holds its parent and its inode; a hooked one is held by its directory. So a dentry is freed when it is
 * unhooked and nobody uses it, and a removed directory lives on, empty, as long as someone stands in it.
 */
#include "kernel/fs/file.h"
#include "kernel/printk.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

#define KEY_SERIAL_BITS	16
#define KEY_FIRST	16	/* smallest serial: positions below it are "." and ".." */

spinlock_t dcache_lock = SPINLOCK_INIT(RANK_DCACHE);
static struct kmem_cache *dentry_cache;

void dcache_init_cache(void)
{
	dentry_cache = kmem_cache_create("dentry", sizeof(struct dentry), 0, NULL);
}

/* FNV-1a, with a last multiplication that brings the good bits down from the top. Never has bit 63. */
static u64 name_key(const char *name, size_t len)
{
	u64 h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (u8)name[i]) * 0x100000001b3ull;
	h *= 0x9e3779b97f4a7c15ull;
	return h >> 17 << KEY_SERIAL_BITS;
}

struct dentry *dentry_alloc(struct dentry *parent, const char *name, size_t len, struct inode *inode)
{
	struct dentry *d = kmem_cache_alloc(dentry_cache, GFP_KERNEL);

	if (!d)
		goto fail;
	d->name = d->inline_name;
	if (len > DENTRY_INLINE) {
		d->name = kmalloc(len + 1, GFP_KERNEL);
		if (!d->name)
			goto fail;
	}
	memcpy(d->name, name, len);
	d->name[len] = '\0';
	d->len = (u32)len;
	atomic_set(&d->refs, 1);
	d->key = 0;
	d->children = RB_ROOT;
	d->parent = parent ? dget(parent) : NULL;
	d->inode = inode;
	d->mounts = 0;
	return d;
fail:
	kmem_cache_free(dentry_cache, d);
	iput(inode);
	return ERR_PTR(-ENOMEM);
}

void dput(struct dentry *d)
{
	while (d && atomic_dec_and_test(&d->refs)) {
		struct dentry *parent = d->parent;

		DEBUG_ASSERT(!d->key && rb_empty_root(&d->children) && !d->mounts, "dentry %s freed while in use",
			     d->name);
		iput(d->inode);
		if (d->name != d->inline_name)
			kfree(d->name);
		kmem_cache_free(dentry_cache, d);
		d = parent;
	}
}

struct dentry *dentry_child_from(struct dentry *dir, u64 key)
{
	struct rb_node *n = dir->children.node;
	struct dentry *best = NULL;

	while (n) {
		struct dentry *d = rb_entry(n, struct dentry, node);

		if (d->key < key) {
			n = n->right;
		} else {
			best = d;
			n = n->left;
		}
	}
	return best;
}

static struct dentry *next_child(struct dentry *d)
{
	return rb_entry_safe(rb_next(&d->node), struct dentry, node);
}

struct dentry *dentry_find(struct dentry *dir, const char *name, size_t len)
{
	u64 key = name_key(name, len), end = key | ((1u << KEY_SERIAL_BITS) - 1);
	struct dentry *d = dentry_child_from(dir, key);

	for (; d && d->key <= end; d = next_child(d))
		if (d->len == len && !memcmp(d->name, name, len))
			return d;
	return NULL;
}

int dentry_room(struct dentry *dir, const char *name, size_t len, u64 *key)
{
	u64 base = name_key(name, len);
	struct dentry *d = dentry_child_from(dir, base);

	assert_spin_locked(&dcache_lock);
	if (dir->parent && !dentry_hooked(dir))
		return -ENOENT;
	/* The first free serial. */
	*key = base + KEY_FIRST;
	for (; d && d->key >> KEY_SERIAL_BITS == base >> KEY_SERIAL_BITS; d = next_child(d)) {
		if (d->len == len && !memcmp(d->name, name, len))
			return -EEXIST;
		if (d->key == *key)
			++*key;
	}
	return *key >> KEY_SERIAL_BITS == base >> KEY_SERIAL_BITS ? 0 : -ENOSPC;
}

int dentry_hook(struct dentry *d)
{
	struct rb_node **link = &d->parent->children.node, *parent = NULL;
	u64 key;
	int err = dentry_room(d->parent, d->name, d->len, &key);

	if (err)
		return err;
	while (*link) {
		parent = *link;
		link = key < rb_entry(parent, struct dentry, node)->key ? &parent->left : &parent->right;
	}
	d->key = key;
	rb_insert(&d->node, parent, link, &d->parent->children);
	dget(d);
	return 0;
}

void dentry_unhook(struct dentry *d)
{
	assert_spin_locked(&dcache_lock);
	rb_erase(&d->node, &d->parent->children);
	d->key = 0;
}

void dentry_free_tree(struct dentry *root)
{
	struct dentry *d = root;

	for (;;) {
		struct dentry *child, *parent;

		spin_lock(&dcache_lock);
		child = dentry_child_from(d, 0);
		parent = d->parent;
		if (!child && d != root)
			dentry_unhook(d);
		spin_unlock(&dcache_lock);
		if (child) {
			d = child;
		} else if (d == root) {
			return;
		} else {
			dput(d);
			d = parent;
		}
	}
}
