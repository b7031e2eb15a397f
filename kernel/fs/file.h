#pragma once
/*
 * Open files and tables of them.
 *
 * Locks:  a atomic   i fixed at creation   p pos_lock   f files->lock
 */
#include "kernel/fs/fs.h"
#include "kernel/fs/uapi.h"
#include "kernel/fs/uio.h"
#include "kernel/fsapi.h"
#include "kernel/mutex.h"
#include "kernel/rcu.h"
#include "lib/bitmap.h"

struct poll_table;
struct vma;

/*
 * Where getdents64 and procfs put names. emit returns false when there is no room: stop, and start with this one next
 * time.
 */
struct dir_context {
	u64 pos;		/* of the next entry; the file system's own numbers; 0 at the start */
	bool (*emit)(struct dir_context *ctx, const char *name, size_t len, u64 ino, u32 mode, u64 next_pos);
};

struct file_ops {
	/** Bytes, or -errno. *pos is the file's or the caller's; streams ignore it. Sleep. */
	long (*read)(struct file *f, struct uio *u, u64 *pos);
	long (*write)(struct file *f, struct uio *u, u64 *pos);
	/** POLL* bits; calls poll_wait() for what can change them. NULL: always ready. */
	unsigned (*poll)(struct file *f, struct poll_table *pt);
	long (*ioctl)(struct file *f, unsigned cmd, unsigned long arg);	/* NULL: -ENOTTY */
	int (*mmap)(struct file *f, struct vma *vma);		/* NULL: -ENODEV */
	/** f->inode and f->flags are set; may set f->ops and f->private. */
	int (*open)(struct inode *inode, struct file *f);
	void (*release)(struct file *f);
	int (*readdir)(struct file *f, struct dir_context *ctx);	/* 0 or -errno; advances ctx->pos */
	s64 (*lseek)(struct file *f, s64 off, int whence);	/* NULL: the usual way, up to the inode's size */
};

/* file->mode */
#define FMODE_READ	0x1u
#define FMODE_WRITE	0x2u
#define FMODE_STREAM	0x4u	/* no position: pipes, terminals */
#define FMODE_PATH	0x8u	/* O_PATH: a name only */

struct file {
	atomic_t refs;			/* a */
	u32 mode;			/* i. FMODE_* */
	u32 flags;			/* a. O_*: access mode, and O_APPEND, O_NONBLOCK which fcntl changes */
	const struct file_ops *ops;	/* i. never NULL */
	struct inode *inode;		/* i. the dentry's */
	struct path path;		/* i. counted */
	void *private;
	u64 pos;			/* p */
	struct mutex pos_lock;
};

/**
 * An open file without a place in any directory (eventfd, pidfd...). name is what /proc/PID/fd shows,
 * "anon_inode:[eventfd]". On failure `private` stays the caller's; on success ops->release gets it. ERR_PTR(-ENOMEM).
 */
struct file *file_create(const char *name, const struct file_ops *ops, int flags, void *private);
/**
 * An inode for such files (pipes), ERR_PTR; a path for it, which takes over its reference (also on failure: dentry is
 * then an ERR_PTR).
 */
struct inode *anon_inode(u32 mode, const struct inode_ops *ops, const struct file_ops *fops);
struct path anon_path(const char *name, struct inode *inode);	/* an empty name is shown as pipe:[ino] */
/** The bare struct file over a path; takes its own reference. flags: O_*. ERR_PTR(-ENOMEM). */
struct file *file_alloc(const struct path *path, const struct file_ops *ops, int flags, void *private);
/** An open file for a path: takes its own references. Permission is the caller's business. ERR_PTR. */
struct file *file_open_path(const struct path *path, int flags);
/** For execve and execveat (flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW); path is in the kernel. ERR_PTR. */
struct file *file_open_exec_at(int dfd, const char *path, int flags);
/** open(2) from inside; name is a buffer of PATH_MAX bytes, overwritten. ERR_PTR. */
struct file *file_open(int dfd, char *name, int flags, u32 mode);

#define FILES_INLINE	32
#define FILES_MAX	65536	/* descriptors below it */

/* Freed by RCU, so that procfs can take a reference on another task's (task_files). */
struct files {
	atomic_t refs;			/* a */
	u32 max;			/* f. slots; owner reads it without the lock while refs == 1 */
	u32 top;			/* f. no file at or above */
	u32 next;			/* f. no free slot below */
	struct file **slot;		/* f */
	unsigned long *cloexec;		/* f. bitmap */
	spinlock_t lock;
	struct rcu_head rcu;
	struct file *inline_slot[FILES_INLINE];
	unsigned long inline_cloexec[BITS_TO_LONGS(FILES_INLINE)];
};

/*
 * A file for the length of one system call. If the table is not shared, nobody else can close the descriptor meanwhile,
 * and no reference is taken.
 */
struct fd {
	struct file *file;	/* NULL: no such descriptor */
	bool counted;
};

/**
 * The open file of a table (another task's, for procfs): counted, or NULL; the caller holds a reference on the table.
 */
struct file *files_get_file(struct files *files, unsigned fd);

static inline struct fd fd_get_any(int fd)
{
	struct files *t = current->files;
	unsigned n = (unsigned)fd;
	struct file *f;

	if (likely(atomic_read(&t->refs) == 1))
		return (struct fd){ n < t->top ? t->slot[n] : NULL, false };
	f = files_get_file(t, n);
	return (struct fd){ f, f != NULL };
}

/** O_PATH files are not found. */
static inline struct fd fd_get(int fd)
{
	struct fd f = fd_get_any(fd);

	if (f.file && unlikely(f.file->mode & FMODE_PATH)) {
		if (f.counted)
			fput(f.file);
		f = (struct fd){ NULL, false };
	}
	return f;
}

static inline void fd_put(struct fd f)
{
	if (f.counted)
		fput(f.file);
}

/**
 * Put an open file on current's lowest free descriptor at or above `from`; takes over the reference if it succeeds. fd
 * or -EMFILE, -ENOMEM.
 */
int fd_install_from(struct file *f, bool cloexec, unsigned from);
static inline int fd_install(struct file *f, bool cloexec)
{
	return fd_install_from(f, cloexec, 0);
}
/** fd_install() that drops the reference when it fails; a file that is an ERR_PTR is passed on. */
int fd_install_or_put(struct file *f, bool cloexec);
/** 0 or -EBADF. */
int fd_close(unsigned fd);
/** Put f on fd, closing what is there; takes over the reference if it succeeds. fd, -EBADF, -ENOMEM. */
int fd_replace(unsigned fd, struct file *f, bool cloexec);
/** Close descriptors first..last, all or those marked close-on-exec. */
void files_close_range(struct files *t, u32 first, u32 last, bool cloexec_only);
/** Mark open descriptors first..last. -EBADF: there is none. */
int files_set_cloexec(struct files *t, u32 first, u32 last, bool on);
int files_get_cloexec(struct files *t, u32 fd);		/* 0, 1 or -EBADF */
/** Is a descriptor free (below the limit)? -EMFILE. For calls that would leave something behind when it fails later. */
int fd_room(void);

/**
 * Text of a path for maps and /proc/PID/fd: with " (deleted)", or pipe:[ino]. Start inside buf, ERR_PTR(-ENAMETOOLONG).
 */
char *path_describe(const struct path *p, char *buf, size_t n);
/** Replace a path of a struct fs_context; the reference on `to` is taken over. */
void fs_set_path(struct path *where, struct path to);

/** Another task's table or paths, counted; NULL if it has none any more. */
struct files *task_files(struct task *t);
struct fs_context *task_fs(struct task *t);
