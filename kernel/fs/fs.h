#pragma once
/*
 * Files by name: inodes, directory entries, mounts, path walk. kernel/fs/README.md tells the lives of these and the
 * lock order.
 *
 * A tmpfs keeps its tree in dentries: an entry that is in its directory's tree is "hooked" and has one reference for
 * that. procfs and sysfs have no tree: they make a dentry for every look-up, and it goes with its last reference.
 *
 * Locks:  d dcache_lock   a atomic   i fixed at creation   n inode->lock   m mapping's own locks
 */
#include "kernel/fs/stat.h"
#include "kernel/mutex.h"
#include "kernel/rcu.h"
#include "kernel/spinlock.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"
#include "mm/mapping.h"

struct dentry;
struct dir_context;
struct file;
struct file_ops;
struct fs_type;
struct inode;
struct mount;
struct path;
struct seq;
struct super;

/* A mounted file system. */
struct super {
	const struct fs_type *type;	/* i */
	atomic_t refs;			/* a. one for each mount */
	u32 dev;			/* i. st_dev */
	bool readonly;			/* d */
	struct dentry *root;		/* i. counted */
	atomic64_t next_ino;		/* a */
	atomic64_t pages;		/* a. in use: tmpfs */
	atomic64_t inodes;		/* a. in use */
	u64 max_pages;			/* limit, 0 for none */
	void *private;
};

struct fs_type {
	const char *name;
	u32 magic;			/* statfs f_type */
	bool internal;			/* not for mount(2) */
	/** A super with its root and one reference, or the only one there is with one more. ERR_PTR. Sleeps. */
	struct super *(*get_super)(const struct fs_type *type, const char *options);
	/** The last reference is gone and so is the tree. */
	void (*put_super)(struct super *sb);
};

struct inode_ops {
	/**
	 * Look a name up where there is no tree: a dentry with a reference, ERR_PTR(-ENOENT). Sleeps. NULL: the dentry
	 * tree is all.
	 */
	struct dentry *(*lookup)(struct path *dir, const char *name, size_t len);
	/**
	 * A new inode for this directory (not hooked in yet). ERR_PTR. Sleeps. NULL: nothing can be created here
	 * (-EPERM).
	 */
	struct inode *(*create)(struct inode *dir, u32 mode, u64 rdev, const char *link);
	/**
	 * Text of a symbolic link into buf, at most n bytes, not terminated: length or -errno. NULL: inode->link.
	 * Sleeps.
	 */
	long (*readlink)(struct inode *inode, char *buf, size_t n);
	/** A link that leads to an object rather than to a name (/proc/PID/fd/3): counted path. Sleeps. */
	int (*follow)(struct inode *inode, struct path *out);
	/** Refreshes what stat shows. */
	void (*getattr)(struct inode *inode, struct kstat *st);
	/** inode->lock is held. NULL: -EINVAL. */
	int (*truncate)(struct inode *inode, u64 size);
	/** The last reference is gone: free what hangs on the inode. Sleeps. */
	void (*evict)(struct inode *inode);
};

struct inode {
	atomic_t refs;			/* a */
	u32 mode;			/* n; readers see either value */
	u32 uid, gid;			/* n; likewise */
	u32 nlink;			/* d */
	u64 ino, rdev;			/* i */
	u64 atime, mtime, ctime;	/* no lock: nanoseconds since 1970; the last writer wins */
	struct super *sb;		/* i. kept by the mount through which the inode is reached */
	const struct inode_ops *ops;	/* i. never NULL */
	const struct file_ops *fops;	/* i. for open; NULL: devices (looked up by number) or not to be opened */
	struct mutex lock;		/* size changes, writes, attributes */
	char *link;			/* i. target of a symbolic link */
	void *private;			/* of the file system; a pipe for S_IFIFO (d) */
	struct mapping mapping;		/* m. pages and size */
};

#define DENTRY_INLINE	31

struct dentry {
	atomic_t refs;			/* a */
	u32 len;			/* d. of name */
	u64 key;			/* d. place in the directory: hash and serial; 0: not hooked */
	struct rb_node node;		/* d. in parent->children */
	struct rb_root children;	/* d */
	struct dentry *parent;		/* d. counted; NULL for a root */
	struct inode *inode;		/* i. counted */
	u32 mounts;			/* d. mounts on this entry */
	char *name;			/* d. inline_name or kmalloc */
	char inline_name[DENTRY_INLINE + 1];
};

struct mount {
	atomic_t refs;			/* a. one for being in the tree */
	int id;				/* i */
	struct super *sb;		/* i. counted */
	struct mount *parent;		/* d. counted; NULL for the first and for detached ones */
	struct dentry *at;		/* d. counted */
	struct list_head link;		/* d. in mount_list, in order of mounting */
	char source[64];		/* i */
};

struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

/* Per-task paths: kernel/fsapi.h shares them between threads. */
struct fs_context {
	atomic_t refs;
	u32 umask;		/* a */
	struct path root, cwd;	/* d. counted */
	struct rcu_head rcu;
};

extern spinlock_t dcache_lock;
extern struct list_head mount_list;	/* d */

/* inode.c */
/** A fresh inode with one reference, times set to now, ino numbered. ERR_PTR(-ENOMEM). Sleeps. */
struct inode *inode_alloc(struct super *sb, u32 mode, const struct inode_ops *ops, const struct file_ops *fops);
static inline struct inode *iget(struct inode *inode)
{
	atomic_inc(&inode->refs);
	return inode;
}
void iput(struct inode *inode);			/* NULL is allowed; sleeps */
void inode_stat(struct inode *inode, struct kstat *st);
u64 fs_time(void);				/* nanoseconds since 1970 */
/** May current do X_OK | W_OK | R_OK on it? 0 or -EACCES. */
int inode_permission(const struct inode *inode, unsigned mask);
/** The same for other ids than current's (access(2) asks for the real ones). */
int inode_permission_as(const struct inode *inode, unsigned mask, u32 uid, u32 gid);
/** Is current the owner, or root? */
bool inode_owner(const struct inode *inode);

/* dcache.c */
/** Not hooked; takes over the caller's inode reference (also on failure); takes its own on parent. ERR_PTR(-ENOMEM). */
struct dentry *dentry_alloc(struct dentry *parent, const char *name, size_t len, struct inode *inode);
static inline struct dentry *dget(struct dentry *d)
{
	atomic_inc(&d->refs);
	return d;
}
void dput(struct dentry *d);			/* NULL is allowed; sleeps; dcache_lock not held */
/** The hooked entry of that name or NULL. dcache_lock held. */
struct dentry *dentry_find(struct dentry *dir, const char *name, size_t len);
/**
 * Could the name be hooked in? *key: where. -EEXIST; -ENOENT: the directory is dead; -ENOSPC: 2^16 names of one hash.
 * dcache_lock held.
 */
int dentry_room(struct dentry *dir, const char *name, size_t len, u64 *key);
/**
 * Hook d (with its parent set) into its directory; takes a reference for the tree. Errors of dentry_room. dcache_lock
 * held.
 */
int dentry_hook(struct dentry *d);
/** Unhook; the tree's reference is now the caller's. dcache_lock held. */
void dentry_unhook(struct dentry *d);
/** First hooked child whose key is at least `key`. dcache_lock held. */
struct dentry *dentry_child_from(struct dentry *dir, u64 key);
static inline bool dentry_hooked(const struct dentry *d)
{
	return d->key != 0;
}
/** Empty a tree that nobody can reach any more. Sleeps. */
void dentry_free_tree(struct dentry *root);

/* mount.c */
void path_get(const struct path *p);
void path_put(struct path *p);			/* sleeps */
static inline struct inode *path_inode(const struct path *p)
{
	return p->dentry->inode;
}
void fs_register(const struct fs_type *type);
/** Allocate a super with an anonymous device number and no root yet, one reference. ERR_PTR. */
struct super *super_alloc(const struct fs_type *type);
struct super *super_get(struct super *sb);
void super_put(struct super *sb);
/** Mount on a path (NULL: as the root of everything). 0 or -errno. */
int mount_at(const char *type, const char *source, const char *options, bool readonly, const struct path *at);
/** Follow mounts on p downwards: references are not taken. dcache_lock held. */
void mount_cross(struct path *p);
/** Text of the path from `root`: into the end of buf; start inside buf, or ERR_PTR(-ENAMETOOLONG). */
char *path_text(const struct path *p, const struct path *root, char *buf, size_t n);
/**
 * What mount(2) and umount2(2) do once their arguments are in the kernel; at is counted by the caller. -ESTALE: it was
 * unmounted meanwhile, look it up again.
 */
long do_mount(const char *type, const char *source, const char *options, unsigned long flags, const struct path *at);
long do_umount(struct path *at, int flags);
void mounts_show(struct seq *m);
void filesystems_show(struct seq *m);
extern struct path fs_root;			/* of the first mount */

/* namei.c */
#define WALK_FOLLOW	1u	/* the last component may be a link */
#define WALK_DIRECTORY	2u	/* it must be a directory */
#define WALK_EMPTY	4u	/* "" means dfd itself */
#define WALK_PARENT	8u	/* stop before the last component: result in parent and last */
#define WALK_CREATE	16u	/* likewise if the last component is not there; else resolve it */

/** From AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, for calls that follow links unless told otherwise. */
unsigned walk_flags(int at_flags);

struct walk {
	struct path path;	/* result, counted. dentry NULL: see parent */
	struct path parent;	/* WALK_PARENT, WALK_CREATE with a missing last component: counted */
	const char *last;	/* inside the caller's buffer; not terminated */
	size_t last_len;
	bool last_slash;	/* slashes follow the last component */
	bool last_dots;		/* the last component is ".", ".." or the root: can not be made or removed */
};

/**
 * Copy a path from user space into a buffer of PATH_MAX bytes: name_put() frees it. ERR_PTR(-EFAULT, -ENAMETOOLONG,
 * -ENOMEM).
 */
char *name_get(const char *upath);
char *name_dup(const char *path);		/* from the kernel */
void name_put(char *name);
/**
 * Resolve `name` (a buffer of PATH_MAX bytes, which is overwritten when links are followed). 0 or -errno; walk_end()
 * frees. Sleeps.
 */
int walk_path(int dfd, char *name, unsigned flags, struct walk *w);
void walk_end(struct walk *w);
/** For those who want nothing but the object. */
int path_lookup(int dfd, char *name, unsigned flags, struct path *out);
/** The same from user space. */
int user_path(int dfd, const char *upath, unsigned flags, struct path *out);
/** Create a node (S_IFREG, S_IFDIR, devices, FIFO, link) where w->parent and w->last say. *out counted. */
int fs_make(struct walk *w, u32 mode, u64 rdev, const char *link, struct path *out);
/** In-kernel forms with absolute paths, for the initramfs and devfs. 0 or -errno. Sleep. */
int fs_mknod(const char *path, u32 mode, u64 rdev, const char *link);
int fs_link(const char *from, const char *to);
int fs_remove(const char *path, bool dir);
/** Text of a link, magic or not, into buf: length or -errno. */
long path_readlink(const struct path *p, char *buf, size_t n);
int inode_truncate(struct inode *inode, u64 size);

/* File systems. */
extern const struct fs_type tmpfs_type, devfs_type, proc_type, sysfs_type;
/** A tmpfs inode of any kind with one reference, for whoever keeps a tree in dentries. ERR_PTR. Sleeps. */
struct inode *tmpfs_inode(struct super *sb, u32 mode, u64 rdev, const char *link);
/** A super whose root is a tmpfs directory. ERR_PTR. Sleeps. */
struct super *tmpfs_super(const struct fs_type *type, u32 mode, u64 max_pages);
/**
 * Make an entry below dir, which nobody else changes: for file systems that fill themselves. Its dentry, kept by the
 * tree, or ERR_PTR.
 */
struct dentry *tmpfs_add(struct dentry *dir, const char *name, u32 mode, u64 rdev, const char *link);
/** The contents of an empty file, from kernel memory. 0, -ENOMEM, -ENOSPC. Sleeps. */
int tmpfs_fill(struct inode *inode, const void *data, size_t size);

/**
 * Unpack a cpio archive below current's directory. 0; -EINVAL: malformed, what came before is there; -ENOMEM, -ENOSPC.
 * Says what was wrong.
 */
int initramfs_unpack(const void *image, size_t size);

/* Boot: caches and file-system types; each is called once. */
void inode_init_cache(void);
void dcache_init_cache(void);
void namei_init_cache(void);
void file_init_cache(void);
void pipe_init_cache(void);
void tmpfs_init(void);
