/*
 * The root of /proc: files about the whole system, one directory for each process, and the file-system type. Formats
 * are Linux's, since programs parse them.
 */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "kernel/cpu.h"
#include "kernel/fs/device.h"
#include "kernel/fs/proc.h"
#include "kernel/irq.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/vmstat.h"

#define PROC_MAGIC	0x9fa0u

/* ---- texts ---- */

static void cpuinfo_show(struct seq *m)
{
	unsigned cpu;

	for_each_online_cpu(cpu)
		arch_cpuinfo(m, cpu);
}

static void loadavg_show(struct seq *m)
{
	for (unsigned i = 0; i < 3; i++) {
		u64 load = sched_loadavg(i) + (1 << 11) / 200;	/* rounded to hundredths */

		seq_printf(m, "%llu.%02llu ", load >> 11, ((load & ((1 << 11) - 1)) * 100) >> 11);
	}
	seq_printf(m, "%u/%u %d\n", sched_nr_running(), nr_threads(), last_pid());
}

static void cmdline_show(struct seq *m)
{
	seq_printf(m, "%s\n", boot_info.cmdline);
}

static void version_show(struct seq *m)
{
	char name[3][UTS_FIELD];

	uts_field(0, name[0]);
	uts_field(2, name[1]);
	uts_field(3, name[2]);
	seq_printf(m, "%s version %s (gcc %s) %s\n", name[0], name[1], __VERSION__, name[2]);
}

static void swaps_show(struct seq *m)
{
	seq_puts(m, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

/* ---- /proc/self, /proc/PID ---- */

static long self_readlink(const struct proc_ref *ref, char *buf, size_t n)
{
	return kscnprintf(buf, n, "%d", current->proc->pid);
}

static long thread_self_readlink(const struct proc_ref *ref, char *buf, size_t n)
{
	return kscnprintf(buf, n, "%d/task/%d", current->proc->pid, current->pid);
}

static long mounts_readlink(const struct proc_ref *ref, char *buf, size_t n)
{
	return kscnprintf(buf, n, "self/mounts");
}

/* A thread's number leads to its process too, though it is not listed. */
static int root_lookup(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out)
{
	int pid = proc_number(name, len);
	struct task *t = pid > 0 ? find_get_task(pid) : NULL;

	if (!t)
		return -ENOENT;
	if (t->flags & TF_KTHREAD && t->proc == &kernel_process) {
		put_task(t);
		return -ENOENT;
	}
	out->node = &proc_pid_node;
	out->proc = get_process(t->proc);
	put_task(t);
	return 0;
}

static int root_readdir(const struct proc_ref *dir, struct dir_context *ctx, u64 base)
{
	struct process *p;

	while ((p = next_process((int)max(ctx->pos - base, 1ull)))) {
		struct proc_ref ref = { .node = &proc_pid_node, .proc = p };
		char name[12];
		int len = kscnprintf(name, sizeof(name), "%d", p->pid);
		bool more = proc_emit(ctx, &ref, name, (size_t)len, base + (u64)p->pid + 1);

		put_process(p);
		if (!more)
			break;
	}
	return 0;
}

static const struct proc_node root_nodes[] = {
	PROC_PLAIN("cmdline", cmdline_show),
	PROC_PLAIN("cpuinfo", cpuinfo_show),
	PROC_DIR("exeunt", proc_exeunt_nodes),
	PROC_PLAIN("filesystems", filesystems_show),
	PROC_PLAIN("interrupts", irq_show),
	{ .name = "kmsg", .mode = S_IFREG | 0400, .read = kmsg_read },
	PROC_PLAIN("loadavg", loadavg_show),
	PROC_PLAIN("meminfo", meminfo_show),
	{ .name = "mounts", .mode = S_IFLNK | 0777, .readlink = mounts_readlink },
	{ .name = "self", .mode = S_IFLNK | 0777, .readlink = self_readlink },
	PROC_PLAIN("slabinfo", slab_show),
	PROC_PLAIN("stat", proc_stat_show),
	PROC_PLAIN("swaps", swaps_show),
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = thread_self_readlink },
	PROC_PLAIN("uptime", proc_uptime_show),
	PROC_PLAIN("version", version_show),
	PROC_PLAIN("vmstat", vmstat_show),
	{ .name = NULL },
};

/* /proc/sys is a generated directory, so it stands beside the table. */
static int root_or_sys_lookup(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out)
{
	if (len == 3 && !memcmp(name, "sys", 3)) {
		out->node = &proc_sys_node;
		out->arg = "";
		return 0;
	}
	return root_lookup(dir, name, len, out);
}

static int root_and_sys_readdir(const struct proc_ref *dir, struct dir_context *ctx, u64 base)
{
	struct proc_ref sys = { .node = &proc_sys_node, .arg = "" };

	if (ctx->pos == base && !proc_emit(ctx, &sys, "sys", 3, base + 1))
		return 0;
	return root_readdir(dir, ctx, base);
}

static const struct proc_node proc_root = {
	.mode = S_IFDIR | 0555,
	.children = root_nodes,
	.lookup = root_or_sys_lookup,
	.readdir = root_and_sys_readdir,
};

/* ---- type ---- */

static struct super *proc_get_super(const struct fs_type *type, const char *options)
{
	return proc_super(type, &proc_root);
}

const struct fs_type proc_type = { .name = "proc", .magic = PROC_MAGIC, .get_super = proc_get_super };
