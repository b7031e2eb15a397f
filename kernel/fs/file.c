/*
 * Open files, the tables that number them, and the paths of a task. See file.h.
 *
 * A table that one task uses alone needs no lock to be read by it: only the task itself changes it. (procfs, which
 * looks at other tasks' tables, holds a reference and only reads, under the lock.) Changes always take the lock.
 */
#include "kernel/fs/file.h"

#include "kernel/printk.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"

static struct kmem_cache *file_cache, *files_cache, *fs_cache;
static struct super anon_super;
static struct mount anon_mount;		/* where files without a name live; never goes */

/* ---- struct file ---- */

struct file *file_alloc(const struct path *path, const struct file_ops *ops, int flags, void *private)
{
	static const unsigned modes[4] = { FMODE_READ, FMODE_WRITE, FMODE_READ | FMODE_WRITE, 0 };
	struct file *f = kmem_cache_alloc(file_cache, GFP_KERNEL);

	if (!f)
		return ERR_PTR(-ENOMEM);
	atomic_set(&f->refs, 1);
	f->mode = modes[flags & O_ACCMODE];
	f->flags = (u32)flags & ~(u32)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
	f->ops = ops;
	f->inode = path->dentry->inode;
	f->path = *path;
	path_get(path);
	f->private = private;
	f->pos = 0;
	mutex_init(&f->pos_lock, RANK_FILE_POS);
	return f;
}

struct path anon_path(const char *name, struct inode *inode)
{
	struct path p = { &anon_mount, dentry_alloc(NULL, name, strlen(name), inode) };

	if (!IS_ERR(p.dentry))
		atomic_inc(&anon_mount.refs);
	return p;
}

static const struct inode_ops anon_inode_ops;

struct file *file_create(const char *name, const struct file_ops *ops, int flags, void *private)
{
	struct inode *inode = inode_alloc(&anon_super, 0600, &anon_inode_ops, NULL);
	struct path p;
	struct file *f;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	p = anon_path(name, inode);
	if (IS_ERR(p.dentry))
		return ERR_CAST(p.dentry);
	f = file_alloc(&p, ops, flags, private);
	path_put(&p);
	if (!IS_ERR(f))
		f->mode |= FMODE_STREAM;
	return f;
}

struct inode *anon_inode(u32 mode, const struct inode_ops *ops, const struct file_ops *fops)
{
	return inode_alloc(&anon_super, mode, ops, fops);
}

struct file *get_file(struct file *f)
{
	atomic_inc(&f->refs);
	return f;
}

void fput(struct file *f)
{
	if (!atomic_dec_and_test(&f->refs))
		return;
	if (f->ops->release)
		f->ops->release(f);
	path_put(&f->path);
	kmem_cache_free(file_cache, f);
}

bool file_readable(const struct file *f)
{
	return f->mode & FMODE_READ;
}

bool file_writable(const struct file *f)
{
	return f->mode & FMODE_WRITE;
}

u64 file_size(struct file *f)
{
	return READ_ONCE(f->inode->mapping.size);
}

struct mapping *file_mapping(const struct file *f)
{
	return &f->inode->mapping;
}

void file_id(struct file *f, u64 *dev, u64 *ino)
{
	*dev = f->inode->sb->dev;
	*ino = f->inode->ino;
}

char *path_describe(const struct path *p, char *buf, size_t n)
{
	static const char deleted[] = " (deleted)";
	struct dentry *d = p->dentry;
	bool gone = d->inode->nlink == 0 || (d->parent && !dentry_hooked(d) && !d->parent->inode->ops->lookup);
	char *text;

	if (p->mnt == &anon_mount && !d->len) {
		return ksnprintf(buf, n, "pipe:[%llu]", d->inode->ino) < (int)n ? buf : ERR_PTR(-ENAMETOOLONG);
	} else if (p->mnt == &anon_mount) {
		return ksnprintf(buf, n, "%s%s", d->name, gone ? deleted : "") < (int)n ? buf : ERR_PTR(-ENAMETOOLONG);
	}
	if (!gone)
		return path_text(p, &fs_root, buf, n);
	if (n < sizeof(deleted))
		return ERR_PTR(-ENAMETOOLONG);
	text = path_text(p, &fs_root, buf, n - sizeof(deleted) + 1);
	if (!IS_ERR(text))
		memcpy(buf + n - sizeof(deleted), deleted, sizeof(deleted));
	return text;
}

char *file_path(struct file *f, char *buf, size_t n)
{
	return path_describe(&f->path, buf, n);
}

int file_mmap(struct file *f, struct vma *vma)
{
	return f->ops->mmap ? f->ops->mmap(f, vma) : -ENODEV;
}

long kernel_read(struct file *f, void *buf, size_t n, u64 offset)
{
	struct uio u;

	if (!f->ops->read)
		return -EINVAL;
	uio_kernel(&u, buf, n);
	return f->ops->read(f, &u, &offset);
}

/* ---- tables ---- */

struct files *files_create(void)
{
	struct files *t = kmem_cache_alloc(files_cache, GFP_KERNEL);

	if (!t)
		return ERR_PTR(-ENOMEM);
	atomic_set(&t->refs, 1);
	t->max = FILES_INLINE;
	t->top = t->next = 0;
	t->slot = t->inline_slot;
	t->cloexec = t->inline_cloexec;
	t->inline_cloexec[0] = 0;
	spin_lock_init(&t->lock, RANK_FILES);
	return t;
}

/*
 * The table gets room for max descriptors. Slots at and above top are undefined until top passes them. Sleeps; the lock
 * is not held.
 */
static int files_grow(struct files *t, u32 max)
{
	struct file **slot, **old_slot = NULL;
	unsigned long *cloexec, *old_cloexec = NULL;

	max = align_up(max + max / 2, 64u);
	slot = kmalloc(max * sizeof(*slot), GFP_KERNEL);
	cloexec = kcalloc(BITS_TO_LONGS(max), sizeof(long), GFP_KERNEL);
	if (!slot || !cloexec) {
		kfree(slot);
		kfree(cloexec);
		return -ENOMEM;
	}
	spin_lock(&t->lock);
	if (t->max < max) {
		memcpy(slot, t->slot, t->top * sizeof(*slot));
		bitmap_copy(cloexec, t->cloexec, t->top);
		old_slot = t->slot;
		old_cloexec = t->cloexec;
		t->slot = slot;
		t->cloexec = cloexec;
		t->max = max;
		slot = old_slot == t->inline_slot ? NULL : old_slot;
		cloexec = old_cloexec == t->inline_cloexec ? NULL : old_cloexec;
	}
	spin_unlock(&t->lock);
	kfree(slot);
	kfree(cloexec);
	return 0;
}

struct files *files_dup(struct files *old)
{
	struct files *t = files_create();

	if (IS_ERR(t))
		return t;
	spin_lock(&old->lock);
	while (old->top > t->max) {
		u32 top = old->top;
		int err;

		spin_unlock(&old->lock);
		err = files_grow(t, top);
		if (err) {
			files_put(t);
			return ERR_PTR(err);
		}
		spin_lock(&old->lock);
	}
	t->top = old->top;
	t->next = old->next;
	for (u32 i = 0; i < t->top; i++) {
		t->slot[i] = old->slot[i];
		if (t->slot[i])
			get_file(t->slot[i]);
	}
	bitmap_copy(t->cloexec, old->cloexec, t->top);
	spin_unlock(&old->lock);
	return t;
}

struct files *files_get(struct files *t)
{
	atomic_inc(&t->refs);
	return t;
}

static void files_free_rcu(struct rcu_head *head)
{
	kmem_cache_free(files_cache, container_of(head, struct files, rcu));
}

struct files *task_files(struct task *t)
{
	struct files *files;

	rcu_read_lock();
	files = READ_ONCE(t->files);
	if (files && !atomic_inc_not_zero(&files->refs))
		files = NULL;
	rcu_read_unlock();
	return files;
}

void files_put(struct files *t)
{
	if (!t || !atomic_dec_and_test(&t->refs))
		return;
	for (u32 i = 0; i < t->top; i++)
		if (t->slot[i])
			fput(t->slot[i]);
	if (t->slot != t->inline_slot) {
		kfree(t->slot);
		kfree(t->cloexec);
	}
	call_rcu(&t->rcu, files_free_rcu);
}

/* Take the file out of its slot; the table's reference is the caller's. NULL if there is none. The lock is held. */
static struct file *files_take(struct files *t, u32 fd)
{
	struct file *f;

	if (fd >= t->top)
		return NULL;
	f = t->slot[fd];
	if (!f)
		return NULL;
	t->slot[fd] = NULL;
	__clear_bit(fd, t->cloexec);
	if (fd < t->next)
		t->next = fd;
	while (t->top && !t->slot[t->top - 1])
		t->top--;
	return f;
}

/* The lock is held; fd < max. */
static void files_set(struct files *t, u32 fd, struct file *f, bool cloexec)
{
	for (; t->top <= fd; t->top++) {
		t->slot[t->top] = NULL;
		__clear_bit(t->top, t->cloexec);
	}
	t->slot[fd] = f;
	if (cloexec)
		__set_bit(fd, t->cloexec);
	else
		__clear_bit(fd, t->cloexec);
}

void files_close_range(struct files *t, u32 first, u32 last, bool cloexec_only)
{
	for (u32 fd = first;; fd++) {
		struct file *f = NULL;

		spin_lock(&t->lock);
		if (cloexec_only)
			fd = (u32)find_next_bit(t->cloexec, t->top, fd);
		if (fd >= t->top || fd > last) {
			spin_unlock(&t->lock);
			return;
		}
		f = files_take(t, fd);
		spin_unlock(&t->lock);
		if (f)
			fput(f);
	}
}

void files_close_on_exec(struct files *t)
{
	files_close_range(t, 0, UINT32_MAX, true);
}

int files_set_cloexec(struct files *t, u32 first, u32 last, bool on)
{
	int found = -EBADF;

	spin_lock(&t->lock);
	for (u32 fd = first; fd < t->top && fd <= last; fd++) {
		if (!t->slot[fd])
			continue;
		found = 0;
		if (on)
			__set_bit(fd, t->cloexec);
		else
			__clear_bit(fd, t->cloexec);
	}
	spin_unlock(&t->lock);
	return found;
}

int files_get_cloexec(struct files *t, u32 fd)
{
	int ret = -EBADF;

	spin_lock(&t->lock);
	if (fd < t->top && t->slot[fd])
		ret = test_bit(fd, t->cloexec);
	spin_unlock(&t->lock);
	return ret;
}

struct file *files_get_file(struct files *t, unsigned fd)
{
	struct file *f = NULL;

	spin_lock(&t->lock);
	if (fd < t->top && t->slot[fd])
		f = get_file(t->slot[fd]);
	spin_unlock(&t->lock);
	return f;
}

struct file *fget(int fd)
{
	return files_get_file(current->files, (unsigned)fd);
}

/* First free descriptor at or above from, maybe at max. The lock is held. */
static u32 files_free_slot(struct files *t, u32 from)
{
	u32 fd = max(from, t->next);

	while (fd < t->top && t->slot[fd])
		fd++;
	return fd;
}

static u32 fd_limit(void)
{
	return (u32)min(rlimit(RLIMIT_NOFILE), (u64)FILES_MAX);
}

int fd_room(void)
{
	struct files *t = current->files;
	u32 fd;

	spin_lock(&t->lock);
	fd = files_free_slot(t, 0);
	spin_unlock(&t->lock);
	return fd < fd_limit() ? 0 : -EMFILE;
}

int fd_install_from(struct file *f, bool cloexec, unsigned from)
{
	struct files *t = current->files;
	u32 fd;
	int err;

	spin_lock(&t->lock);
	for (;;) {
		fd = files_free_slot(t, from);
		if (fd >= fd_limit()) {
			err = -EMFILE;
			break;
		}
		if (likely(fd < t->max)) {
			files_set(t, fd, f, cloexec);
			if (from <= t->next)
				t->next = fd + 1;
			err = (int)fd;
			break;
		}
		spin_unlock(&t->lock);
		err = files_grow(t, fd + 1);
		if (err)
			return err;
		spin_lock(&t->lock);
	}
	spin_unlock(&t->lock);
	return err;
}

int fd_install_or_put(struct file *f, bool cloexec)
{
	int fd;

	if (IS_ERR(f))
		return (int)PTR_ERR(f);
	fd = fd_install(f, cloexec);
	if (fd < 0)
		fput(f);
	return fd;
}

int fd_replace(unsigned fd, struct file *f, bool cloexec)
{
	struct files *t = current->files;
	struct file *old;

	if (fd >= fd_limit())
		return -EBADF;
	spin_lock(&t->lock);
	while (fd >= t->max) {
		int err;

		spin_unlock(&t->lock);
		err = files_grow(t, fd + 1);
		if (err)
			return err;
		spin_lock(&t->lock);
	}
	old = fd < t->top ? t->slot[fd] : NULL;
	files_set(t, fd, f, cloexec);
	spin_unlock(&t->lock);
	if (old)
		fput(old);
	return (int)fd;
}

int fd_close(unsigned fd)
{
	struct files *t = current->files;
	struct file *f;

	spin_lock(&t->lock);
	f = files_take(t, fd);
	spin_unlock(&t->lock);
	if (!f)
		return -EBADF;
	fput(f);
	return 0;
}

/* ---- root, current directory, umask ---- */

struct fs_context *fs_create(void)
{
	struct fs_context *fs = kmem_cache_alloc(fs_cache, GFP_KERNEL);

	if (!fs)
		return ERR_PTR(-ENOMEM);
	atomic_set(&fs->refs, 1);
	fs->umask = 022;
	fs->root = fs->cwd = fs_root;
	path_get(&fs->root);
	path_get(&fs->cwd);
	return fs;
}

struct fs_context *fs_dup(struct fs_context *old)
{
	struct fs_context *fs = kmem_cache_alloc(fs_cache, GFP_KERNEL);

	if (!fs)
		return ERR_PTR(-ENOMEM);
	atomic_set(&fs->refs, 1);
	spin_lock(&dcache_lock);
	fs->umask = old->umask;
	fs->root = old->root;
	fs->cwd = old->cwd;
	path_get(&fs->root);
	path_get(&fs->cwd);
	spin_unlock(&dcache_lock);
	return fs;
}

struct fs_context *fs_get(struct fs_context *fs)
{
	atomic_inc(&fs->refs);
	return fs;
}

static void fs_free_rcu(struct rcu_head *head)
{
	kmem_cache_free(fs_cache, container_of(head, struct fs_context, rcu));
}

struct fs_context *task_fs(struct task *t)
{
	struct fs_context *fs;

	rcu_read_lock();
	fs = READ_ONCE(t->fs);
	if (fs && !atomic_inc_not_zero(&fs->refs))
		fs = NULL;
	rcu_read_unlock();
	return fs;
}

void fs_put(struct fs_context *fs)
{
	if (!fs || !atomic_dec_and_test(&fs->refs))
		return;
	path_put(&fs->root);
	path_put(&fs->cwd);
	call_rcu(&fs->rcu, fs_free_rcu);
}

void fs_set_path(struct path *where, struct path to)
{
	struct path old;

	spin_lock(&dcache_lock);
	old = *where;
	*where = to;
	spin_unlock(&dcache_lock);
	path_put(&old);
}

void file_init_cache(void)
{
	static const struct fs_type anon_type = { .name = "anon", .internal = true };

	file_cache = kmem_cache_create("file", sizeof(struct file), 0, NULL);
	files_cache = kmem_cache_create("files", sizeof(struct files), 0, NULL);
	fs_cache = kmem_cache_create("fs_context", sizeof(struct fs_context), 0, NULL);
	anon_super.type = &anon_type;
	anon_super.dev = 1;
	atomic_set(&anon_super.refs, 1);
	atomic_set(&anon_mount.refs, 1);
	anon_mount.sb = &anon_super;
}
