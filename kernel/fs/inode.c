/*
 * Inodes: life, permissions, what stat shows. See fs.h for fields and locks.
 */
#include "kernel/fs/file.h"
#include "kernel/process.h"
#include "lib/err.h"
#include "mm/slab.h"

static struct kmem_cache *inode_cache;

void inode_init_cache(void)
{
	inode_cache = kmem_cache_create("inode", sizeof(struct inode), 0, NULL);
}

u64 fs_time(void)
{
	return wall_clock_ns();
}

struct inode *inode_alloc(struct super *sb, u32 mode, const struct inode_ops *ops, const struct file_ops *fops)
{
	struct inode *inode = kmem_cache_alloc(inode_cache, GFP_KERNEL);
	const struct cred *cred = current_cred();

	if (!inode)
		return ERR_PTR(-ENOMEM);
	atomic_set(&inode->refs, 1);
	inode->mode = mode;
	inode->uid = cred->fsuid;
	inode->gid = cred->fsgid;
	inode->nlink = S_ISDIR(mode) ? 2 : 1;
	inode->ino = (u64)atomic64_inc_return_relaxed(&sb->next_ino);
	inode->rdev = 0;
	inode->atime = inode->mtime = inode->ctime = fs_time();
	inode->sb = sb;
	inode->ops = ops;
	inode->fops = fops;
	mutex_init(&inode->lock, RANK_INODE);
	inode->link = NULL;
	inode->private = NULL;
	mapping_init(&inode->mapping, NULL);
	atomic64_inc(&sb->inodes);
	return inode;
}

void iput(struct inode *inode)
{
	if (!inode || !atomic_dec_and_test(&inode->refs))
		return;
	if (inode->ops->evict)
		inode->ops->evict(inode);
	mapping_destroy(&inode->mapping);
	kfree(inode->link);
	atomic64_dec(&inode->sb->inodes);
	kmem_cache_free(inode_cache, inode);
}

void inode_stat(struct inode *inode, struct kstat *st)
{
	*st = (struct kstat){
		.dev = inode->sb->dev,
		.rdev = inode->rdev,
		.ino = inode->ino,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.size = inode->mapping.size,
		.blocks = inode->mapping.nr_pages << (PAGE_SHIFT - 9),
		.blksize = PAGE_SIZE,
		.atime = inode->atime,
		.mtime = inode->mtime,
		.ctime = inode->ctime,
		.btime = inode->ctime,
	};
	if (inode->ops->getattr)
		inode->ops->getattr(inode, st);
}

bool inode_owner(const struct inode *inode)
{
	u32 uid = current_cred()->fsuid;

	return uid == 0 || uid == inode->uid;
}

int inode_permission_as(const struct inode *inode, unsigned mask, u32 uid, u32 gid)
{
	u32 mode = inode->mode, bits = mode;

	if (uid == 0)
		return (mask & X_OK) && !S_ISDIR(mode) && !(mode & 0111) ? -EACCES : 0;
	if (uid == inode->uid)
		bits >>= 6;
	else if (gid == inode->gid || in_group(inode->gid))
		bits >>= 3;
	return (bits & mask & 7) == (mask & 7) ? 0 : -EACCES;
}

int inode_permission(const struct inode *inode, unsigned mask)
{
	const struct cred *cred = current_cred();

	if (likely(cred->fsuid == 0 && !(mask & X_OK && !S_ISDIR(inode->mode))))
		return 0;
	return inode_permission_as(inode, mask, cred->fsuid, cred->fsgid);
}

int inode_truncate(struct inode *inode, u64 size)
{
	int err;

	if (!inode->ops->truncate)
		return -EINVAL;
	mutex_lock(&inode->lock);
	err = inode->ops->truncate(inode, size);
	mutex_unlock(&inode->lock);
	return err;
}
