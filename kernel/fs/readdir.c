/*
 * Reading directories: getdents64, and the way through a directory that is kept in dentries.
 *
 * Positions: 0 is ".", 1 is "..", then the keys of the entries (dcache.c), so an entry that is removed or added
 * meanwhile changes nothing for the others. Names are collected in a kernel buffer, because they are read under
 * dcache_lock.
 */
#include "kernel/fs/readdir.h"

#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/slab.h"

#define BUF_MAX	8192u

struct dents {
	struct dir_context ctx;
	char *buf;
	size_t size, used;
};

static bool emit_dent(struct dir_context *ctx, const char *name, size_t len, u64 ino, u32 mode, u64 next_pos)
{
	struct dents *d = container_of(ctx, struct dents, ctx);
	size_t reclen = align_up(offsetof(struct uapi_dirent64, name) + len + 1, 8);
	struct uapi_dirent64 *e = (struct uapi_dirent64 *)(d->buf + d->used);

	if (d->size - d->used < reclen)
		return false;
	e->ino = ino;
	e->off = (s64)next_pos;
	e->reclen = (u16)reclen;
	e->type = (u8)((mode & S_IFMT) >> 12);
	memcpy(e->name, name, len);
	memset(e->name + len, 0, reclen - offsetof(struct uapi_dirent64, name) - len);
	d->used += reclen;
	ctx->pos = next_pos;
	return true;
}

bool dir_emit_dots(struct file *f, struct dir_context *ctx)
{
	if (ctx->pos == 0 && !ctx->emit(ctx, ".", 1, f->inode->ino, S_IFDIR, 1))
		return false;
	if (ctx->pos == 1) {
		struct dentry *d = f->path.dentry;
		u64 ino;

		spin_lock(&dcache_lock);
		ino = (d->parent ? d->parent : d)->inode->ino;
		spin_unlock(&dcache_lock);
		return ctx->emit(ctx, "..", 2, ino, S_IFDIR, 2);
	}
	return true;
}

static int tree_readdir(struct file *f, struct dir_context *ctx)
{
	if (!dir_emit_dots(f, ctx))
		return 0;
	spin_lock(&dcache_lock);
	for (;;) {
		struct dentry *d = dentry_child_from(f->path.dentry, ctx->pos);

		if (!d || !ctx->emit(ctx, d->name, d->len, d->inode->ino, d->inode->mode, d->key + 1))
			break;
	}
	spin_unlock(&dcache_lock);
	f->inode->atime = fs_time();
	return 0;
}

const struct file_ops tree_dir_ops = { .readdir = tree_readdir };

SYSCALL3(getdents64, int, fd, void __user *, ubuf, unsigned, n)
{
	struct fd f = fd_get(fd);
	struct dents d = { .ctx.emit = emit_dent };
	long ret;

	if (!f.file)
		return -EBADF;
	if (!f.file->ops->readdir) {
		fd_put(f);
		return -ENOTDIR;
	}
	d.size = min(n, BUF_MAX);
	d.buf = kmalloc(max(d.size, (size_t)16), GFP_KERNEL);
	if (!d.buf) {
		fd_put(f);
		return -ENOMEM;
	}
	mutex_lock(&f.file->pos_lock);
	d.ctx.pos = f.file->pos;
	ret = f.file->ops->readdir(f.file, &d.ctx);
	if (!ret && d.used) {
		ret = copy_to_user(ubuf, d.buf, d.used) ? -EFAULT : (long)d.used;
	} else if (!ret) {
		/* Nothing fitted, or nothing was left? An end stays an end when asked with room. */
		char spare[sizeof(struct uapi_dirent64) + NAME_MAX + 8] __aligned(8);
		struct dents probe = { .ctx = { f.file->pos, emit_dent }, .buf = spare, .size = sizeof(spare) };

		if (d.size < sizeof(spare))
			ret = f.file->ops->readdir(f.file, &probe.ctx);
		if (!ret && probe.used)
			ret = -EINVAL;
	}
	if (ret > 0)
		f.file->pos = d.ctx.pos;
	mutex_unlock(&f.file->pos_lock);
	kfree(d.buf);
	fd_put(f);
	return ret;
}
