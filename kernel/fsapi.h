#pragma once
/*
 * What memory management and processes need from files: the seam between mm/, kernel/ and kernel/fs/. All sleep unless
 * said otherwise.
 */
#include "lib/types.h"

struct file;
struct files;
struct fs_context;
struct mapping;
struct mm;
struct seq;
struct task;
struct vma;

/* Files. */
struct file *get_file(struct file *f);			/* any context */
void fput(struct file *f);				/* last reference closes; may sleep */
struct file *fget(int fd);				/* current's; counted reference or NULL */
/** Open for exec: must be a regular file with an x bit. ERR_PTR. */
struct file *file_open_exec(const char *path);
/** Read at an offset into kernel memory; bytes or -errno. */
long kernel_read(struct file *f, void *buf, size_t n, u64 offset);
u64 file_size(struct file *f);
/** mmap of a file: sets vma->ops (and may set VM_PFNMAP); -ENODEV, -EACCES. vma->file is already set and counted. */
int file_mmap(struct file *f, struct vma *vma);
bool file_readable(const struct file *f);
bool file_writable(const struct file *f);
/** Path of an open file from the root, for maps and exe: into buf, returns its start inside buf or ERR_PTR. */
char *file_path(struct file *f, char *buf, size_t n);
/** dev and inode number, for maps. */
void file_id(struct file *f, u64 *dev, u64 *ino);
/** The page cache of its inode (mm/mapping.h). Any context. */
struct mapping *file_mapping(const struct file *f);
/** Shared anonymous memory: an unlinked tmpfs file of that size. ERR_PTR. */
struct file *shmem_file(const char *name, u64 size);

/* Tables of open files and of paths (root, cwd, umask): one per task unless CLONE_FILES, CLONE_FS. */
struct files *files_dup(struct files *old);		/* ERR_PTR */
struct files *files_get(struct files *f);
void files_put(struct files *f);
void files_close_on_exec(struct files *f);
struct files *files_create(void);			/* empty, ERR_PTR */
struct fs_context *fs_dup(struct fs_context *old);
struct fs_context *fs_get(struct fs_context *fs);
void fs_put(struct fs_context *fs);
struct fs_context *fs_create(void);			/* at the root */
/** Open path on current's lowest free descriptor (init's console); fd or -errno. */
int kernel_open_fd(const char *path, int flags, int mode);

/**
 * Boot: mount the tmpfs root and unpack the initramfs from memory into it. 0 or -errno, with a message that says what
 * was wrong.
 */
int rootfs_init(const void *cpio, size_t size);
