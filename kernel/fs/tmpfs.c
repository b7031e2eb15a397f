/*
 * tmpfs: files whose only place is the page cache, in a tree of dentries. Also what is built on it: shared anonymous
 * memory, memfd.
 *
 * Locks: writes and size changes of a file under inode->lock; reads take no lock and see pages as they are. Faults,
 * which come with mmap_lock held, rely on mapping_get(), which checks the size under the mapping's own lock.
 */
#include "kernel/fs/file.h"
#include "kernel/fs/pipe.h"
#include "kernel/fs/readdir.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/slab.h"

#define TMPFS_MAGIC	0x01021994u
#define FILE_MAX	(1ull << (32 + PAGE_SHIFT))	/* the page index has 32 bits */

static const struct inode_ops tmpfs_file_iops, tmpfs_dir_iops, tmpfs_other_iops;
static const struct file_ops tmpfs_file_ops;
static struct super *shmem_super;	/* for files without a name; never goes */

/* ---- limits ---- */

static int tmpfs_charge(struct mapping *m)
{
	struct super *sb = container_of(m, struct inode, mapping)->sb;

	if ((u64)atomic64_inc_return_relaxed(&sb->pages) > sb->max_pages && sb->max_pages) {
		atomic64_dec(&sb->pages);
		return -ENOSPC;
	}
	return 0;
}

static void tmpfs_uncharge(struct mapping *m, u64 n)
{
	atomic64_sub((s64)n, &container_of(m, struct inode, mapping)->sb->pages);
}

static const struct mapping_ops tmpfs_mapping_ops = { tmpfs_charge, tmpfs_uncharge };

/* How much of [pos, pos + n) may be written: RLIMIT_FSIZE and the largest file. 0 bytes allowed: -EFBIG. */
static long size_limit(u64 pos, size_t n)
{
	u64 limit = min(rlimit(RLIMIT_FSIZE), FILE_MAX);

	if (pos + n <= limit && pos <= FILE_MAX)
		return (long)n;
	if (pos >= limit) {
		if (limit < FILE_MAX)
			send_sig(SIGXFSZ);
		return -EFBIG;
	}
	return (long)(limit - pos);
}

/* ---- inodes ---- */

struct inode *tmpfs_inode(struct super *sb, u32 mode, u64 rdev, const char *link)
{
	const struct inode_ops *ops = S_ISREG(mode)   ? &tmpfs_file_iops
				      : S_ISDIR(mode) ? &tmpfs_dir_iops
						      : &tmpfs_other_iops;
	const struct file_ops *fops = S_ISREG(mode) ? &tmpfs_file_ops : S_ISDIR(mode) ? &tree_dir_ops : NULL;
	struct inode *inode = inode_alloc(sb, mode, ops, fops);

	if (IS_ERR(inode))
		return inode;
	inode->rdev = rdev;
	inode->mapping.ops = &tmpfs_mapping_ops;
	if (link) {
		inode->link = kstrdup(link, GFP_KERNEL);
		if (!inode->link) {
			iput(inode);
			return ERR_PTR(-ENOMEM);
		}
		inode->mapping.size = strlen(link);
	}
	return inode;
}

static struct inode *tmpfs_create(struct inode *dir, u32 mode, u64 rdev, const char *link)
{
	struct inode *inode = tmpfs_inode(dir->sb, mode, rdev, link);

	/* A set-group-id directory hands its group down. */
	if (!IS_ERR(inode) && dir->mode & S_ISGID) {
		inode->gid = dir->gid;
		if (S_ISDIR(mode))
			inode->mode |= S_ISGID;
	}
	return inode;
}

static void tmpfs_evict(struct inode *inode)
{
	if (S_ISFIFO(inode->mode))
		fifo_evict(inode);
}

static int tmpfs_truncate(struct inode *inode, u64 size)
{
	struct mapping *m = &inode->mapping;

	if (size > m->size) {
		long ok = size_limit(size - 1, 1);

		if (ok < 0)
			return (int)ok;
	}
	mapping_truncate(m, size);
	inode->mtime = inode->ctime = fs_time();
	return 0;
}

static const struct inode_ops tmpfs_file_iops = { .truncate = tmpfs_truncate };
static const struct inode_ops tmpfs_dir_iops = { .create = tmpfs_create };
static const struct inode_ops tmpfs_other_iops = { .evict = tmpfs_evict };

/* ---- read and write ---- */

static long tmpfs_read(struct file *f, struct uio *u, u64 *pos)
{
	struct mapping *m = &f->inode->mapping;
	long done = 0;

	while (u->left) {
		u64 size = READ_ONCE(m->size), at = *pos;
		size_t off = at & ~PAGE_MASK, n, got;
		struct page *p;

		if (at >= size)
			break;
		n = min(min(PAGE_SIZE - off, u->left), (size_t)(size - at));
		p = mapping_find(m, (u32)(at >> PAGE_SHIFT));
		if (p) {
			got = uio_put(u, (char *)page_to_virt(p) + off, n);
			put_page(p);
		} else {
			got = uio_zero(u, n);	/* a hole */
		}
		*pos += got;
		done += (long)got;
		if (got < n)
			return done ? done : -EFAULT;
	}
	if (done)
		f->inode->atime = fs_time();
	return done;
}

/*
 * A whole page that is not there yet: needs no clearing. 0, or -EEXIST: somebody else added it; *got: bytes that came.
 */
static int write_new_page(struct mapping *m, u32 index, struct uio *u, size_t *got)
{
	struct page *p = alloc_page(GFP_KERNEL);
	int err;

	if (!p)
		return -ENOMEM;
	*got = uio_get(u, page_to_virt(p), PAGE_SIZE);
	if (*got < PAGE_SIZE)
		memset((char *)page_to_virt(p) + *got, 0, PAGE_SIZE - *got);
	err = mapping_add(m, index, p);
	if (err)
		put_page(p);
	return err;
}

/* Up to the end of one page. Bytes or -errno. inode->lock is held. */
static long write_page(struct mapping *m, u64 pos, struct uio *u, size_t n)
{
	size_t off = pos & ~PAGE_MASK, got;
	struct uio before = *u;
	struct page *p;
	int err;

	if (n == PAGE_SIZE) {
		p = mapping_find(m, (u32)(pos >> PAGE_SHIFT));
		if (!p) {
			err = write_new_page(m, (u32)(pos >> PAGE_SHIFT), u, &got);
			if (err != -EEXIST)
				return err ? err : got ? (long)got : -EFAULT;
			*u = before;	/* a fault was quicker: once more, into its page */
		} else {
			put_page(p);
		}
	}
	p = mapping_get(m, (u32)(pos >> PAGE_SHIFT), false);
	if (IS_ERR(p))
		return PTR_ERR(p);
	got = uio_get(u, (char *)page_to_virt(p) + off, n);
	if (unlikely(page_flag(p, PG_ICACHE)))
		page_clear_flag(p, PG_ICACHE);	/* program text was written: see sync_instructions in mm/fault.c */
	put_page(p);
	return got ? (long)got : -EFAULT;
}

static long tmpfs_write(struct file *f, struct uio *u, u64 *pos)
{
	struct inode *inode = f->inode;
	struct mapping *m = &inode->mapping;
	long done = 0, n = 0, limit;
	u64 at;

	if (!u->left)
		return 0;
	mutex_lock(&inode->lock);
	at = READ_ONCE(f->flags) & O_APPEND ? m->size : *pos;
	limit = size_limit(at, u->left);
	if (limit < 0)
		n = limit;
	while (n >= 0 && done < limit) {
		size_t want = min(PAGE_SIZE - (at & ~PAGE_MASK), (size_t)(limit - done));

		n = write_page(m, at, u, want);
		if (n < 0)
			break;
		at += (u64)n;
		done += n;
		if (at > m->size)
			mapping_grow(m, at);
		if ((size_t)n < want)
			break;
		cond_resched();
	}
	if (done) {
		*pos = at;
		inode->mtime = inode->ctime = fs_time();
	}
	mutex_unlock(&inode->lock);
	return done ? done : n;
}

int tmpfs_fill(struct inode *inode, const void *data, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE_SIZE) {
		const char *src = (const char *)data + at;
		size_t n = min(size - at, PAGE_SIZE);
		struct page *p = alloc_page(GFP_KERNEL);
		char *dst;
		int err;

		if (!p)
			return -ENOMEM;
		dst = page_to_virt(p);
		if (n == PAGE_SIZE && is_aligned((uintptr_t)src, PAGE_SIZE)) {
			copy_page(dst, src);
		} else {
			memcpy(dst, src, n);
			memset(dst + n, 0, PAGE_SIZE - n);
		}
		err = mapping_add(&inode->mapping, (u32)(at >> PAGE_SHIFT), p);
		if (err) {
			put_page(p);
			return err;
		}
	}
	mapping_grow(&inode->mapping, size);
	return 0;
}

/* ---- mmap ---- */

static int tmpfs_fault(struct vm_fault *vf)
{
	struct page *p = mapping_get(&vf->vma->file->inode->mapping, vf->pgoff, true);

	if (IS_ERR(p))
		return PTR_ERR(p) == -ENOMEM ? -ENOMEM : -EIO;	/* beyond the end, or no space: SIGBUS */
	vf->page = p;
	return 0;
}

static void tmpfs_peek(struct vma *vma, u32 pgoff, unsigned n, struct page **pages)
{
	mapping_find_range(&vma->file->inode->mapping, pgoff, n, pages);
}

static const struct vma_ops tmpfs_vma_ops = { .fault = tmpfs_fault, .peek = tmpfs_peek };

static int tmpfs_mmap(struct file *f, struct vma *vma)
{
	vma->ops = &tmpfs_vma_ops;
	return 0;
}

static const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.mmap = tmpfs_mmap,
};

/* ---- fallocate ---- */

static int allocate_range(struct mapping *m, u64 off, u64 len, bool keep_size)
{
	for (u64 i = off >> PAGE_SHIFT; i <= (off + len - 1) >> PAGE_SHIFT; i++) {
		struct page *p = mapping_get(m, (u32)i, false);

		if (IS_ERR(p))
			return (int)PTR_ERR(p);
		put_page(p);
		if (task_interrupted(current, TASK_INTERRUPTIBLE))
			return -EINTR;
		cond_resched();
	}
	if (!keep_size)
		mapping_grow(m, off + len);
	return 0;
}

static void zero_part(struct mapping *m, u64 from, u64 to)
{
	struct page *p = from < to ? mapping_find(m, (u32)(from >> PAGE_SHIFT)) : NULL;

	if (!p)
		return;
	memset((char *)page_to_virt(p) + (from & ~PAGE_MASK), 0, to - from);
	put_page(p);
}

static void punch_hole(struct mapping *m, u64 off, u64 end)
{
	u64 first = align_up(off, PAGE_SIZE), last = align_down(end, PAGE_SIZE);

	zero_part(m, off, min(first, end));
	if (last >= first)
		zero_part(m, last, end);
	if (last > first)
		mapping_punch(m, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
}

SYSCALL4(fallocate, int, fd, int, mode, s64, off, s64, len)
{
	struct fd f = fd_get(fd);
	struct inode *inode;
	int err = 0;

	if (!f.file)
		return -EBADF;
	inode = f.file->inode;
	if (off < 0 || len <= 0)
		err = -EINVAL;
	else if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		err = -EOPNOTSUPP;
	else if (!(f.file->mode & FMODE_WRITE))
		err = -EBADF;
	else if (f.file->mode & FMODE_STREAM)
		err = -ESPIPE;
	else if (f.file->ops != &tmpfs_file_ops)
		err = -ENODEV;
	else if ((u64)off + (u64)len > FILE_MAX)
		err = -EFBIG;
	if (!err) {
		mutex_lock(&inode->lock);
		if (mode & FALLOC_FL_PUNCH_HOLE)
			punch_hole(&inode->mapping, (u64)off, (u64)off + (u64)len);
		else if (!(mode & FALLOC_FL_KEEP_SIZE) && (u64)off + (u64)len > inode->mapping.size &&
			 size_limit((u64)off + (u64)len - 1, 1) < 0)
			err = -EFBIG;
		else
			err = allocate_range(&inode->mapping, (u64)off, (u64)len, mode & FALLOC_FL_KEEP_SIZE);
		inode->mtime = inode->ctime = fs_time();
		mutex_unlock(&inode->lock);
	}
	fd_put(f);
	return err;
}

/* ---- files without a name ---- */

struct file *shmem_file(const char *name, u64 size)
{
	struct inode *inode;
	struct path p;
	struct file *f;

	if (size > FILE_MAX)
		return ERR_PTR(-ENOMEM);
	inode = tmpfs_inode(shmem_super, S_IFREG | 0777, 0, NULL);
	if (IS_ERR(inode))
		return ERR_CAST(inode);
	inode->nlink = 0;
	inode->mapping.size = size;
	p = anon_path(name, inode);
	if (IS_ERR(p.dentry))
		return ERR_CAST(p.dentry);
	f = file_alloc(&p, &tmpfs_file_ops, O_RDWR, NULL);
	path_put(&p);
	return f;
}

SYSCALL2(memfd_create, const char __user *, uname, unsigned, flags)
{
	static const char prefix[] = "/memfd:";
	char name[sizeof(prefix) + NAME_MAX];
	long len;

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING))
		return -EINVAL;
	memcpy(name, prefix, sizeof(prefix));
	len = strncpy_from_user(name + sizeof(prefix) - 1, uname, 250);
	if (len < 0 || len >= 250)
		return len == -EFAULT ? -EFAULT : -EINVAL;
	return fd_install_or_put(shmem_file(name, 0), flags & MFD_CLOEXEC);
}

/* ---- mounting ---- */

struct super *tmpfs_super(const struct fs_type *type, u32 mode, u64 max_pages)
{
	struct super *sb = super_alloc(type);
	struct inode *inode;
	struct dentry *root;

	if (IS_ERR(sb))
		return sb;
	sb->max_pages = max_pages;
	inode = tmpfs_inode(sb, S_IFDIR | mode, 0, NULL);
	root = IS_ERR(inode) ? ERR_CAST(inode) : dentry_alloc(NULL, "", 0, inode);
	if (IS_ERR(root)) {
		super_put(sb);
		return ERR_CAST(root);
	}
	sb->root = root;
	return sb;
}

struct dentry *tmpfs_add(struct dentry *dir, const char *name, u32 mode, u64 rdev, const char *link)
{
	struct inode *inode = tmpfs_inode(dir->inode->sb, mode, rdev, link);
	struct dentry *d;
	int err;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	d = dentry_alloc(dir, name, strlen(name), inode);
	if (IS_ERR(d))
		return d;
	spin_lock(&dcache_lock);
	err = dentry_hook(d);
	if (!err && S_ISDIR(mode))
		dir->inode->nlink++;
	spin_unlock(&dcache_lock);
	dput(d);
	return err ? ERR_PTR(err) : d;
}

/* size=N[KMG] or N%, mode=OCTAL; some that Linux has are accepted and ignored. */
static int parse_option(char *opt, u32 *mode, u64 *pages)
{
	char *value = strchr(opt, '=');
	unsigned long n;
	u64 bytes;

	if (!*opt || !value)
		return *opt ? -EINVAL : 0;
	*value++ = '\0';
	if (!strcmp(opt, "mode")) {
		if (kstrtoul(value, 8, &n) || n > 07777)
			return -EINVAL;
		*mode = (u32)n;
	} else if (!strcmp(opt, "size") && *value && value[strlen(value) - 1] == '%') {
		value[strlen(value) - 1] = '\0';
		if (kstrtoul(value, 10, &n) || n > 100)
			return -EINVAL;
		*pages = nr_total_pages() * n / 100;
	} else if (!strcmp(opt, "size")) {
		if (memparse(value, &bytes))
			return -EINVAL;
		*pages = bytes / PAGE_SIZE + (bytes % PAGE_SIZE != 0);
	} else if (strcmp(opt, "nr_inodes") && strcmp(opt, "uid") && strcmp(opt, "gid")) {
		return -EINVAL;
	}
	return 0;
}

static struct super *tmpfs_get_super(const struct fs_type *type, const char *options)
{
	u64 pages = nr_total_pages() / 2;
	u32 mode = 01777;
	char buf[256], *rest = buf, *opt;

	if (strscpy(buf, options ? options : "", sizeof(buf)) < 0)
		return ERR_PTR(-EINVAL);
	while ((opt = strsep(&rest, ",")))
		if (parse_option(opt, &mode, &pages))
			return ERR_PTR(-EINVAL);
	return tmpfs_super(type, mode, pages);
}

const struct fs_type tmpfs_type = { .name = "tmpfs", .magic = TMPFS_MAGIC, .get_super = tmpfs_get_super };

void tmpfs_init(void)
{
	static const struct fs_type shmem_type = { .name = "shmem", .magic = TMPFS_MAGIC, .internal = true };

	shmem_super = super_alloc(&shmem_type);
	BUG_ON(IS_ERR(shmem_super));
	fs_register(&tmpfs_type);
}
