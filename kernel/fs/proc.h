#pragma once
/*
 * Pseudo file systems (procfs, sysfs): trees of nodes described by tables. A look-up makes a fresh inode that
 * remembers, in a struct proc_ref, which node it is and of what. Nothing is cached: the objects live only while
 * somebody uses them.
 */
#include "kernel/fs/file.h"
#include "kernel/seq.h"

struct process;
struct proc_node;
struct task;

struct proc_ref {
	const struct proc_node *node;
	struct process *proc;		/* counted; NULL outside /proc/PID */
	struct task *task;		/* counted; below /proc/PID/task/TID */
	const void *arg;		/* as the node says */
	u64 n;
};

struct proc_node {
	const char *name;		/* NULL ends a table */
	u32 mode;			/* type and permissions */
	/* files: one of the first two; a write gets the whole text, terminated, at most 4095 bytes */
	void (*plain)(struct seq *m);
	int (*show)(struct seq *m, const struct proc_ref *ref);
	int (*write)(const struct proc_ref *ref, char *text, size_t n);
	long (*read)(struct file *f, struct uio *u, u64 *pos);	/* not text */
	/* directories: entries of a table, then those of lookup and readdir (both or none) */
	const struct proc_node *children;
	/** Fill *out (zeroed; references for the caller). -ENOENT. */
	int (*lookup)(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out);
	/** Emit entries from ctx->pos - base on. */
	int (*readdir)(const struct proc_ref *dir, struct dir_context *ctx, u64 base);
	/* links: one of these */
	long (*readlink)(const struct proc_ref *ref, char *buf, size_t n);
	int (*follow)(const struct proc_ref *ref, struct path *out);
};

#define PROC_FILE(nm, md, fn)	{ .name = (nm), .mode = S_IFREG | (md), .show = (fn) }
#define PROC_PLAIN(nm, fn)	{ .name = (nm), .mode = S_IFREG | 0444, .plain = (fn) }
#define PROC_DIR(nm, tab)	{ .name = (nm), .mode = S_IFDIR | 0555, .children = (tab) }

/** A file system of nodes; root's name is not used. ERR_PTR. */
struct super *proc_super(const struct fs_type *type, const struct proc_node *root);
/** Decimal number in name[0..len), no leading zeroes: the value, or -1. */
int proc_number(const char *name, size_t len);
/** emit() with the inode number that a look-up gives. */
bool proc_emit(struct dir_context *ctx, const struct proc_ref *ref, const char *name, size_t len, u64 next_pos);

extern const struct proc_node proc_pid_node, proc_task_node;	/* proc_pid.c: /proc/PID and /proc/PID/task/TID */
extern const struct proc_node proc_sys_node;			/* proc_sys.c: /proc/sys */
extern const struct proc_node proc_exeunt_nodes[];		/* proc_account.c: /proc/exeunt */
int proc_maps_show(struct seq *m, const struct proc_ref *ref);

/* proc_account.c */
/** cpu_counter() units to nanoseconds, by the clock since boot. */
u64 counter_to_ns(u64 count);
void proc_stat_show(struct seq *m);
void proc_uptime_show(struct seq *m);
