/*
 * /proc/PID and /proc/PID/task/TID. Formats are Linux's (proc(5)); numbers that this kernel has not are zero.
 */
#include "kernel/fs/proc.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "lib/ctype.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"

#define KIB(pages)	((u64)(pages) << (PAGE_SHIFT - 10))
#define TICK_NS		(NSEC_PER_SEC / 100)
#define CONSOLE_DEV	(5u << 8 | 1)
#define STAT_FLAGS	0x00400000u	/* PF_RANDOMIZE: what Linux's user programs usually have */

/* The thread that stands for the reference: the one it names, or the leader. Counted, NULL. */
static struct task *ref_task(const struct proc_ref *ref)
{
	return ref->task ? get_task(ref->task) : find_get_task(ref->proc->pid);
}

/* A page count that CPUs keep roughly may be below zero for a moment. */
static u64 count(const atomic64_t *a)
{
	return (u64)max(atomic64_read(a), 0ll);
}

/* ---- stat, statm, status ---- */

static int stat_show(struct seq *m, const struct proc_ref *ref)
{
	struct mm *mm = get_process_mm(ref->proc);
	struct process_stat st;

	process_stat(ref->proc, ref->task, &st);
	seq_printf(m, "%d (%s) %c %d %d %d %u %d %u ", st.pid, st.comm, st.state, st.ppid, st.pgrp, st.session,
		   st.tty ? CONSOLE_DEV : 0, -1, STAT_FLAGS);
	seq_printf(m, "%llu %llu %llu %llu ", st.min_flt, st.cmin_flt, st.maj_flt, st.cmaj_flt);
	seq_printf(m, "%llu %llu %llu %llu ", st.utime / TICK_NS, st.stime / TICK_NS, st.cutime / TICK_NS,
		   st.cstime / TICK_NS);
	seq_printf(m, "%d %d %u 0 %llu ", 20 + st.nice, st.nice, st.threads, st.start_time / TICK_NS);
	seq_printf(m, "%llu %llu %llu ", st.vsize, st.rss, ref->proc->rlim[RLIMIT_RSS].cur);
	if (mm)
		seq_printf(m, "%lu %lu %lu 0 0 ", mm->start_code, mm->end_code, mm->start_stack);
	else
		seq_puts(m, "0 0 0 0 0 ");
	seq_printf(m, "%llu %llu %llu %llu ", (st.pending | st.shared_pending) & INT_MAX, st.blocked & INT_MAX,
		   st.ignored & INT_MAX, st.caught & INT_MAX);
	seq_printf(m, "0 0 0 %d %u 0 0 0 0 0 ", st.exit_signal, st.cpu);
	if (mm)
		seq_printf(m, "%lu %lu %lu %lu %lu %lu %lu ", mm->start_data, mm->end_data, mm->start_brk,
			   mm->arg_start, mm->arg_end, mm->env_start, mm->env_end);
	else
		seq_puts(m, "0 0 0 0 0 0 0 ");
	seq_printf(m, "%d\n", st.exit_code);
	if (mm)
		mmput(mm);
	return 0;
}

static int statm_show(struct seq *m, const struct proc_ref *ref)
{
	struct mm *mm = get_process_mm(ref->proc);

	if (!mm) {
		seq_puts(m, "0 0 0 0 0 0 0\n");
		return 0;
	}
	seq_printf(m, "%llu %llu %llu %lu 0 %llu 0\n", mm->total_vm, mm_rss(mm),
		   count(&mm->rss_file) + count(&mm->rss_shmem),
		   (align_up(mm->end_code, PAGE_SIZE) - align_down(mm->start_code, PAGE_SIZE)) >> PAGE_SHIFT,
		   mm->data_vm + mm->stack_vm);
	mmput(mm);
	return 0;
}

static const char *state_name(char c)
{
	switch (c) {
	case 'R':
		return "R (running)";
	case 'S':
		return "S (sleeping)";
	case 'D':
		return "D (disk sleep)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	case 'X':
		return "X (dead)";
	default:
		return "I (idle)";
	}
}

static u64 locked_pages(struct mm *mm)
{
	u64 pages = 0;

	if (down_read_killable(&mm->mmap_lock))
		return 0;
	for (struct vma *v = vma_first(mm); v; v = vma_next(v))
		if (v->flags & VM_LOCKED)
			pages += (v->end - v->start) >> PAGE_SHIFT;
	up_read(&mm->mmap_lock);
	return pages;
}

static void status_memory(struct seq *m, struct mm *mm)
{
	u64 rss = mm_rss(mm),
	    text = (align_up(mm->end_code, PAGE_SIZE) - align_down(mm->start_code, PAGE_SIZE)) >> PAGE_SHIFT;

	seq_printf(m, "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\n", KIB(mm->total_vm), KIB(mm->total_vm));
	seq_printf(m, "VmLck:\t%8llu kB\nVmPin:\t%8llu kB\n", KIB(locked_pages(mm)), 0ull);
	seq_printf(m, "VmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\n", KIB(max(mm->hiwater_rss, rss)), KIB(rss));
	seq_printf(m, "RssAnon:\t%8llu kB\nRssFile:\t%8llu kB\nRssShmem:\t%8llu kB\n", KIB(count(&mm->rss_anon)),
		   KIB(count(&mm->rss_file)), KIB(count(&mm->rss_shmem)));
	seq_printf(m, "VmData:\t%8llu kB\nVmStk:\t%8llu kB\n", KIB(mm->data_vm), KIB(mm->stack_vm));
	seq_printf(m, "VmExe:\t%8llu kB\nVmLib:\t%8llu kB\n", KIB(text),
		   KIB(mm->exec_vm > text ? mm->exec_vm - text : 0));
	seq_printf(m, "VmPTE:\t%8llu kB\nVmSwap:\t%8llu kB\nHugetlbPages:\t%8llu kB\n", count(&mm->table_bytes) >> 10,
		   KIB(count(&mm->nr_swap)), 0ull);
	seq_puts(m, "CoreDumping:\t0\nTHP_enabled:\t0\n");
}

static void status_cpus(struct seq *m, const struct task *t)
{
	char list[512];

	seq_puts(m, "Cpus_allowed:\t");
	for (unsigned i = CPUMASK_WORDS; i-- > 0;)
		seq_printf(m, "%08x,%08x%s", (u32)(t->affinity.bits[i] >> 32), (u32)t->affinity.bits[i],
			   i ? "," : "\n");
	bitmap_print_list(list, sizeof(list), t->affinity.bits, NR_CPUS);
	seq_printf(m, "Cpus_allowed_list:\t%s\n", list);
	seq_printf(m, "Mems_allowed:\t%x\nMems_allowed_list:\t", (1u << nr_nodes) - 1);
	seq_printf(m, nr_nodes > 1 ? "0-%u\n" : "%u\n", nr_nodes - 1);
}

static int status_show(struct seq *m, const struct proc_ref *ref)
{
	struct mm *mm = get_process_mm(ref->proc);
	struct task *t = ref_task(ref);
	const struct cred *cred = &ref->proc->cred;
	struct fs_context *fs = t ? task_fs(t) : NULL;
	struct files *files = t ? task_files(t) : NULL;
	struct process_stat st;

	process_stat(ref->proc, ref->task, &st);
	seq_printf(m, "Name:\t%s\n", st.comm);
	if (fs)
		seq_printf(m, "Umask:\t%04o\n", READ_ONCE(fs->umask));
	seq_printf(m, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", state_name(st.state),
		   ref->proc->pid, st.pid, st.ppid);
	seq_printf(m, "Uid:\t%u\t%u\t%u\t%u\n", st.uid, st.euid, st.suid, st.fsuid);
	seq_printf(m, "Gid:\t%u\t%u\t%u\t%u\n", st.gid, st.egid, st.sgid, st.fsgid);
	seq_printf(m, "FDSize:\t%u\nGroups:\t\n", files ? READ_ONCE(files->max) : 0);
	seq_printf(m, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", ref->proc->pid, st.pid, st.pgrp,
		   st.session);
	if (mm)
		status_memory(m, mm);
	seq_printf(m, "Threads:\t%u\nSigQ:\t%u/%llu\n", st.threads, st.nr_queued,
		   ref->proc->rlim[RLIMIT_SIGPENDING].cur);
	seq_printf(m, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		   st.pending, st.shared_pending, st.blocked, st.ignored, st.caught);
	seq_printf(m, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		   cred->cap_inheritable, cred->cap_permitted, cred->cap_effective, 0x1ffffffffffull, 0ull);
	seq_printf(m, "NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", ref->proc->no_new_privs);
	if (t)
		status_cpus(m, t);
	seq_printf(m, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n", st.nvcsw, st.nivcsw);
	files_put(files);
	fs_put(fs);
	if (t)
		put_task(t);
	if (mm)
		mmput(mm);
	return 0;
}

/* ---- strings of the program ---- */

static int memory_text(struct seq *m, const struct proc_ref *ref, bool env)
{
	struct mm *mm = get_process_mm(ref->proc);
	uintptr_t at, end;
	char *buf;

	if (!mm)
		return 0;
	buf = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!buf) {
		mmput(mm);
		return -ENOMEM;
	}
	at = env ? mm->env_start : mm->arg_start;
	end = env ? mm->env_end : mm->arg_end;
	while (at < end && !m->full) {
		size_t n = access_process_vm(mm, at, buf, min(end - at, PAGE_SIZE), false);

		if (!n)
			break;
		seq_write(m, buf, n);
		at += n;
	}
	kfree(buf);
	mmput(mm);
	return 0;
}

static int cmdline_show(struct seq *m, const struct proc_ref *ref)
{
	return memory_text(m, ref, false);
}

static int environ_show(struct seq *m, const struct proc_ref *ref)
{
	return memory_text(m, ref, true);
}

static int auxv_show(struct seq *m, const struct proc_ref *ref)
{
	struct mm *mm = get_process_mm(ref->proc);
	unsigned n = 0;

	if (!mm)
		return 0;
	while (n + 2 < ARRAY_SIZE(mm->saved_auxv) && mm->saved_auxv[n])
		n += 2;
	seq_write(m, mm->saved_auxv, (n + 2) * sizeof(mm->saved_auxv[0]));
	mmput(mm);
	return 0;
}

static int comm_show(struct seq *m, const struct proc_ref *ref)
{
	struct process_stat st;

	process_stat(ref->proc, ref->task, &st);
	seq_printf(m, "%s\n", st.comm);
	return 0;
}

static int comm_write(const struct proc_ref *ref, char *text, size_t n)
{
	struct task *t = ref_task(ref);

	if (!t)
		return -ESRCH;
	if (t->proc != current->proc) {
		put_task(t);
		return -EINVAL;
	}
	if (n && text[n - 1] == '\n')
		text[n - 1] = '\0';
	strlcpy(t->comm, text, sizeof(t->comm));
	put_task(t);
	return 0;
}

/* ---- small ones ---- */

static int oom_score_adj_show(struct seq *m, const struct proc_ref *ref)
{
	seq_printf(m, "%d\n", READ_ONCE(ref->proc->oom_score_adj));
	return 0;
}

static int oom_score_adj_write(const struct proc_ref *ref, char *text, size_t n)
{
	long value;

	if (kstrtol(text, 10, &value) || value < -1000 || value > 1000)
		return -EINVAL;
	if (value < ref->proc->oom_score_adj && !is_root())
		return -EACCES;
	WRITE_ONCE(ref->proc->oom_score_adj, (int)value);
	return 0;
}

static int zero_show(struct seq *m, const struct proc_ref *ref)
{
	seq_puts(m, "0\n");
	return 0;
}

static int pid_mounts_show(struct seq *m, const struct proc_ref *ref)
{
	mounts_show(m);
	return 0;
}

static void limit_value(struct seq *m, u64 value)
{
	if (value == RLIM_INFINITY)
		seq_printf(m, "%-20s ", "unlimited");
	else
		seq_printf(m, "%-20llu ", value);
}

static int limits_show(struct seq *m, const struct proc_ref *ref)
{
	static const struct {
		const char *name, *unit;
	} limits[NR_RLIMITS] = {
		{ "Max cpu time", "seconds" },	   { "Max file size", "bytes" },
		{ "Max data size", "bytes" },	   { "Max stack size", "bytes" },
		{ "Max core file size", "bytes" }, { "Max resident set", "bytes" },
		{ "Max processes", "processes" },  { "Max open files", "files" },
		{ "Max locked memory", "bytes" },  { "Max address space", "bytes" },
		{ "Max file locks", "locks" },	   { "Max pending signals", "signals" },
		{ "Max msgqueue size", "bytes" },  { "Max nice priority", NULL },
		{ "Max realtime priority", NULL }, { "Max realtime timeout", "us" },
	};

	seq_printf(m, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < NR_RLIMITS; i++) {
		seq_printf(m, "%-25s ", limits[i].name);
		limit_value(m, ref->proc->rlim[i].cur);
		limit_value(m, ref->proc->rlim[i].max);
		seq_printf(m, "%-10s\n", limits[i].unit ? limits[i].unit : "");
	}
	return 0;
}

/* ---- links ---- */

static int exe_follow(const struct proc_ref *ref, struct path *out)
{
	struct mm *mm = get_process_mm(ref->proc);
	struct file *f = NULL;

	if (!mm)
		return -ENOENT;
	down_read(&mm->mmap_lock);
	if (mm->exe_file)
		f = get_file(mm->exe_file);
	up_read(&mm->mmap_lock);
	mmput(mm);
	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	fput(f);
	return 0;
}

static int fs_follow(const struct proc_ref *ref, struct path *out, bool root)
{
	struct task *t = ref_task(ref);
	struct fs_context *fs = t ? task_fs(t) : NULL;

	if (t)
		put_task(t);
	if (!fs)
		return -ENOENT;
	spin_lock(&dcache_lock);
	*out = root ? fs->root : fs->cwd;
	path_get(out);
	spin_unlock(&dcache_lock);
	fs_put(fs);
	return 0;
}

static int cwd_follow(const struct proc_ref *ref, struct path *out)
{
	return fs_follow(ref, out, false);
}

static int root_follow(const struct proc_ref *ref, struct path *out)
{
	return fs_follow(ref, out, true);
}

/* ---- fd: ref->n is the descriptor ---- */

static struct file *ref_file(const struct proc_ref *ref, unsigned fd)
{
	struct task *t = ref_task(ref);
	struct files *files = t ? task_files(t) : NULL;
	struct file *f = files ? files_get_file(files, fd) : NULL;

	files_put(files);
	if (t)
		put_task(t);
	return f;
}

static int fd_follow(const struct proc_ref *ref, struct path *out)
{
	struct file *f = ref_file(ref, (unsigned)ref->n);

	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	fput(f);
	return 0;
}

static const struct proc_node fd_link_node = { .mode = S_IFLNK | 0700, .follow = fd_follow };

static void inherit(const struct proc_ref *dir, const struct proc_node *node, u64 n, struct proc_ref *out)
{
	*out = (struct proc_ref){ .node = node, .proc = get_process(dir->proc), .n = n };
	if (dir->task)
		out->task = get_task(dir->task);
}

static int fd_lookup(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out)
{
	int fd = proc_number(name, len);
	struct file *f = fd >= 0 ? ref_file(dir, (unsigned)fd) : NULL;

	if (!f)
		return -ENOENT;
	fput(f);
	inherit(dir, &fd_link_node, (u64)fd, out);
	return 0;
}

static int fd_readdir(const struct proc_ref *dir, struct dir_context *ctx, u64 base)
{
	struct task *t = ref_task(dir);
	struct files *files = t ? task_files(t) : NULL;
	unsigned top = files ? READ_ONCE(files->top) : 0;

	for (unsigned fd = (unsigned)(ctx->pos - base); fd < top; fd++) {
		struct proc_ref ref = { .node = &fd_link_node, .proc = dir->proc, .task = dir->task, .n = fd };
		struct file *f = files_get_file(files, fd);
		char name[12];
		int len;

		if (!f)
			continue;
		fput(f);
		len = kscnprintf(name, sizeof(name), "%u", fd);
		if (!proc_emit(ctx, &ref, name, (size_t)len, base + fd + 1))
			break;
	}
	files_put(files);
	if (t)
		put_task(t);
	return 0;
}

/* ---- task ---- */

static int task_lookup(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out)
{
	int tid = proc_number(name, len);
	struct task *t = tid > 0 ? find_get_task(tid) : NULL;

	if (!t)
		return -ENOENT;
	if (t->proc != dir->proc) {
		put_task(t);
		return -ENOENT;
	}
	*out = (struct proc_ref){ .node = &proc_task_node, .proc = get_process(dir->proc), .task = t };
	return 0;
}

static int task_readdir(const struct proc_ref *dir, struct dir_context *ctx, u64 base)
{
	struct task *t;

	while ((t = next_thread(dir->proc, (int)(ctx->pos - base)))) {
		struct proc_ref ref = { .node = &proc_task_node, .proc = dir->proc, .task = t };
		char name[12];
		int len = kscnprintf(name, sizeof(name), "%d", t->pid);
		bool more = proc_emit(ctx, &ref, name, (size_t)len, base + (u64)t->pid + 1);

		put_task(t);
		if (!more)
			break;
	}
	return 0;
}

/* ---- tables ---- */

#define COMMON_NODES												\
	PROC_FILE("auxv", 0400, auxv_show),									\
	PROC_FILE("cmdline", 0444, cmdline_show),								\
	{ .name = "comm", .mode = S_IFREG | 0644, .show = comm_show, .write = comm_write },			\
	{ .name = "cwd", .mode = S_IFLNK | 0777, .follow = cwd_follow },					\
	PROC_FILE("environ", 0400, environ_show),								\
	{ .name = "exe", .mode = S_IFLNK | 0777, .follow = exe_follow },					\
	{ .name = "fd", .mode = S_IFDIR | 0500, .lookup = fd_lookup, .readdir = fd_readdir },			\
	PROC_FILE("limits", 0444, limits_show),									\
	PROC_FILE("maps", 0444, proc_maps_show),								\
	PROC_FILE("mounts", 0444, pid_mounts_show),								\
	PROC_FILE("oom_score", 0444, zero_show),								\
	{ .name = "oom_score_adj", .mode = S_IFREG | 0644, .show = oom_score_adj_show, .write = oom_score_adj_write }, \
	{ .name = "root", .mode = S_IFLNK | 0777, .follow = root_follow },					\
	PROC_FILE("stat", 0444, stat_show),									\
	PROC_FILE("statm", 0444, statm_show),									\
	PROC_FILE("status", 0444, status_show)

static const struct proc_node task_nodes[] = { COMMON_NODES, { .name = NULL } };
static const struct proc_node pid_nodes[] = {
	COMMON_NODES,
	{ .name = "task", .mode = S_IFDIR | 0555, .lookup = task_lookup, .readdir = task_readdir },
	{ .name = NULL },
};

const struct proc_node proc_pid_node = { .mode = S_IFDIR | 0555, .children = pid_nodes };
const struct proc_node proc_task_node = { .mode = S_IFDIR | 0555, .children = task_nodes };
