/*
 * The machinery of procfs and sysfs, see proc.h. A file's text is made when it is read from the start, and kept in the
 * open file, so that a reader with a small buffer sees one state.
 *
 * Lock: text->lock (RANK_FILE_TEXT): the text of an open file.
 */
#include "kernel/fs/proc.h"

#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/uaccess.h"
#include "lib/ctype.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "lib/string.h"
#include "mm/slab.h"

#define TEXT_MAX	(4ul << 20)
#define WRITE_MAX	4096u

struct text {
	struct mutex lock;
	struct seq m;		/* lock. buf NULL: nothing made yet */
};

static const struct inode_ops proc_dir_iops, proc_file_iops, proc_link_iops, proc_magic_iops;
static const struct file_ops proc_dir_ops, proc_file_ops, proc_raw_ops;

static inline struct proc_ref *ref_of(const struct inode *inode)
{
	return inode->private;
}

/* ---- inodes ---- */

static void ref_put(struct proc_ref *ref)
{
	if (ref->task)
		put_task(ref->task);
	if (ref->proc)
		put_process(ref->proc);
}

/* The same object has the same number at each look-up. */
static u64 ref_ino(const struct proc_ref *ref)
{
	u64 x = (uintptr_t)ref->node;

	x = hash_64(x ^ (u64)(ref->proc ? ref->proc->pid : 0) << 32, 64) + (u64)(ref->task ? ref->task->pid : 0);
	return hash_64(x ^ (uintptr_t)ref->arg ^ ref->n << 48, 48) + 2;
}

/* Takes over the references in *ref, also on failure. */
static struct inode *proc_inode(struct super *sb, const struct proc_ref *ref)
{
	const struct proc_node *node = ref->node;
	const struct inode_ops *iops = S_ISDIR(node->mode) ? &proc_dir_iops
				       : node->follow	   ? &proc_magic_iops
				       : node->readlink	   ? &proc_link_iops
							   : &proc_file_iops;
	const struct file_ops *fops = S_ISDIR(node->mode) ? &proc_dir_ops : node->read ? &proc_raw_ops : &proc_file_ops;
	struct proc_ref *copy = kmalloc(sizeof(*copy), GFP_KERNEL);
	struct inode *inode = copy ? inode_alloc(sb, node->mode, iops, fops) : ERR_PTR(-ENOMEM);

	if (IS_ERR(inode)) {
		struct proc_ref drop = *ref;

		kfree(copy);
		ref_put(&drop);
		return inode;
	}
	*copy = *ref;
	inode->private = copy;
	inode->ino = ref_ino(ref);
	inode->uid = ref->proc ? ref->proc->cred.euid : 0;
	inode->gid = ref->proc ? ref->proc->cred.egid : 0;
	return inode;
}

static void proc_evict(struct inode *inode)
{
	ref_put(ref_of(inode));
	kfree(ref_of(inode));
}

struct super *proc_super(const struct fs_type *type, const struct proc_node *root)
{
	struct super *sb = super_alloc(type);
	struct proc_ref ref = { .node = root };
	struct dentry *d;
	struct inode *inode;

	if (IS_ERR(sb))
		return sb;
	inode = proc_inode(sb, &ref);
	d = IS_ERR(inode) ? ERR_CAST(inode) : dentry_alloc(NULL, "", 0, inode);
	if (IS_ERR(d)) {
		super_put(sb);
		return ERR_CAST(d);
	}
	inode->ino = 1;
	sb->root = d;
	return sb;
}

/* ---- directories ---- */

int proc_number(const char *name, size_t len)
{
	int n = 0;

	if (!len || len > 9 || (name[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit(name[i]))
			return -1;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

/* A child of a table belongs to what its directory belongs to. */
static void child_ref(const struct proc_ref *dir, const struct proc_node *node, struct proc_ref *out)
{
	*out = *dir;
	out->node = node;
}

static struct dentry *proc_lookup(struct path *at, const char *name, size_t len)
{
	const struct proc_ref *dir = ref_of(path_inode(at));
	struct proc_ref ref = { NULL };
	struct inode *inode;

	for (const struct proc_node *c = dir->node->children; c && c->name; c++) {
		if (strlen(c->name) == len && !memcmp(c->name, name, len)) {
			child_ref(dir, c, &ref);
			if (ref.proc)
				get_process(ref.proc);
			if (ref.task)
				get_task(ref.task);
			break;
		}
	}
	if (!ref.node) {
		int err = dir->node->lookup ? dir->node->lookup(dir, name, len, &ref) : -ENOENT;

		if (err)
			return ERR_PTR(err);
	}
	inode = proc_inode(path_inode(at)->sb, &ref);
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	return dentry_alloc(at->dentry, name, len, inode);
}

bool proc_emit(struct dir_context *ctx, const struct proc_ref *ref, const char *name, size_t len, u64 next_pos)
{
	return ctx->emit(ctx, name, len, ref_ino(ref), ref->node->mode, next_pos);
}

static int proc_readdir(struct file *f, struct dir_context *ctx)
{
	const struct proc_ref *dir = ref_of(f->inode);
	const struct proc_node *c = dir->node->children;
	struct proc_ref ref;
	u64 pos = 2;

	if (ctx->pos == 0 && !ctx->emit(ctx, ".", 1, f->inode->ino, S_IFDIR, 1))
		return 0;
	if (ctx->pos == 1 && !ctx->emit(ctx, "..", 2, f->inode->ino, S_IFDIR, 2))
		return 0;
	for (; c && c->name; c++, pos++) {
		child_ref(dir, c, &ref);
		if (ctx->pos == pos && !proc_emit(ctx, &ref, c->name, strlen(c->name), pos + 1))
			return 0;
	}
	return dir->node->readdir ? dir->node->readdir(dir, ctx, pos) : 0;
}

/* ---- files ---- */

static int make_text(struct seq *m, const struct proc_ref *ref)
{
	size_t size = m->size ? m->size : PAGE_SIZE;

	if (ref->proc && READ_ONCE(ref->proc->state) == PROC_REAPED)
		return -ESRCH;
	for (; size <= TEXT_MAX; size *= 2) {
		int err = 0;

		if (size != m->size) {
			kfree(m->buf);
			m->size = 0;
			m->buf = kmalloc(size, GFP_KERNEL);
			if (!m->buf)
				return -ENOMEM;
			m->size = size;
		}
		m->len = 0;
		m->full = false;
		if (ref->node->plain)
			ref->node->plain(m);
		else if (ref->node->show)
			err = ref->node->show(m, ref);
		if (err)
			return err;
		if (!m->full)
			return 0;
	}
	return -EFBIG;
}

static long proc_read(struct file *f, struct uio *u, u64 *pos)
{
	struct text *t = f->private;
	size_t n, done = 0;
	long err = 0;

	mutex_lock(&t->lock);
	if (*pos == 0 || !t->m.buf)
		err = make_text(&t->m, ref_of(f->inode));
	if (!err && *pos < t->m.len) {
		n = min(u->left, (size_t)(t->m.len - *pos));
		done = uio_put(u, t->m.buf + *pos, n);
		*pos += done;
		if (n && !done)
			err = -EFAULT;
	}
	if (err) {
		kfree(t->m.buf);
		t->m = (struct seq){ NULL };
	}
	mutex_unlock(&t->lock);
	return err ? err : (long)done;
}

static long proc_write(struct file *f, struct uio *u, u64 *pos)
{
	const struct proc_ref *ref = ref_of(f->inode);
	size_t len = u->left;
	char *text;
	long err;

	if (!ref->node->write)
		return -EINVAL;
	if (len >= WRITE_MAX)
		return -EINVAL;
	text = kmalloc(WRITE_MAX, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	if (uio_get(u, text, len) != len) {
		err = -EFAULT;
	} else {
		text[len] = '\0';
		err = ref->node->write(ref, text, len);
	}
	kfree(text);
	return err ? err : (long)len;
}

static int proc_open(struct inode *inode, struct file *f)
{
	struct text *t;

	if (f->mode & FMODE_WRITE && !ref_of(inode)->node->write)
		return -EACCES;
	t = kmalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock, RANK_FILE_TEXT);
	t->m = (struct seq){ NULL };
	f->private = t;
	return 0;
}

static void proc_release(struct file *f)
{
	struct text *t = f->private;

	kfree(t->m.buf);
	kfree(t);
}

static long proc_raw_read(struct file *f, struct uio *u, u64 *pos)
{
	return ref_of(f->inode)->node->read(f, u, pos);
}

/* ---- links ---- */

static long proc_readlink(struct inode *inode, char *buf, size_t n)
{
	return ref_of(inode)->node->readlink(ref_of(inode), buf, n);
}

static int proc_follow(struct inode *inode, struct path *out)
{
	return ref_of(inode)->node->follow(ref_of(inode), out);
}

static int proc_no_truncate(struct inode *inode, u64 size)
{
	return 0;	/* echo x >knob truncates first */
}

static const struct inode_ops proc_dir_iops = { .lookup = proc_lookup, .evict = proc_evict };
static const struct inode_ops proc_file_iops = { .truncate = proc_no_truncate, .evict = proc_evict };
static const struct inode_ops proc_link_iops = { .readlink = proc_readlink, .evict = proc_evict };
static const struct inode_ops proc_magic_iops = { .follow = proc_follow, .evict = proc_evict };

static const struct file_ops proc_dir_ops = { .readdir = proc_readdir };
static const struct file_ops proc_file_ops = {
	.open = proc_open,
	.read = proc_read,
	.write = proc_write,
	.release = proc_release,
};
static const struct file_ops proc_raw_ops = { .read = proc_raw_read };
