/*
 * execve: another program in the same process.
 *
 * First everything that can fail: the file is opened, the strings are copied, a whole new address space is built
 * beside the old one, memory for new signal actions is taken. Then the other threads end. Only that can still fail
 * (because the process itself is being killed). From the point of no return on, the task is the new program.
 */
#include <arch/trap.h>

#include "kernel/exec.h"
#include "kernel/fs/file.h"
#include "kernel/fsapi.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "mm/vma.h"

#define FD_NAME		32	/* "/dev/fd/N/" */
#define SCRIPT_HEAD	256	/* bytes of a script that may hold its first line */
#define SCRIPT_DEPTH	4	/* scripts whose interpreter is a script */
#define STACK_GAP_MIN	(128ul << 20)	/* address space kept for the stack */

struct exec {
	const char *path;			/* as the caller gave it */
	struct exec_file file;			/* what is loaded in the end */
	char *prefix[2 * SCRIPT_DEPTH + 3];	/* words that scripts put before argv[1], last first */
	unsigned nr_prefix;
	struct exec_args args;
	struct exec_image image;
	struct mm *mm;
	uintptr_t sp;
	struct signal_exec signals;
};

/* ---- scripts ---- */

static int push_prefix(struct exec *x, const char *s, size_t n)
{
	char *copy = kmalloc(n + 1, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, s, n);
	copy[n] = 0;
	x->prefix[x->nr_prefix++] = copy;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* If x->file is a script, put its interpreter in its place. 1: it was one; 0: it was not; -errno. */
static int follow_script(struct exec *x)
{
	char *head = x->file.head, *line, *end, *interp, *arg;
	size_t n = min_t(size_t, x->file.head_len, SCRIPT_HEAD);
	struct file *file;
	int err;

	if (n < 3 || head[0] != '#' || head[1] != '!')
		return 0;
	line = head + 2;
	end = memchr(line, '\n', n - 2);
	if (!end) {
		if (n == SCRIPT_HEAD)
			return -ENOEXEC;	/* the line may be longer than that: do not run something else */
		end = head + n;
	}
	*end = 0;
	end = line + strlen(line);
	while (end > line && is_blank(end[-1]))
		*--end = 0;
	while (is_blank(*line))
		line++;
	interp = line;
	while (*line && !is_blank(*line))
		line++;
	if (line == interp)
		return -ENOEXEC;
	arg = line;
	while (is_blank(*arg))
		arg++;
	*line = 0;

	if (!x->nr_prefix) {
		err = push_prefix(x, x->path, strlen(x->path));
		if (err)
			return err;
	}
	if (*arg) {
		err = push_prefix(x, arg, strlen(arg));
		if (err)
			return err;
	}
	err = push_prefix(x, interp, strlen(interp));
	if (err)
		return err;
	file = file_open_exec(interp);
	if (IS_ERR(file))
		return PTR_ERR(file);
	fput(x->file.file);
	err = exec_file_init(&x->file, file);
	return err ? err : 1;
}

static int open_program(struct exec *x, int dfd, const char *name, int flags)
{
	struct file *file = file_open_exec_at(dfd, name, flags);
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	err = exec_file_init(&x->file, file);
	if (err)
		return err;
	for (int depth = 0;; depth++) {
		int ret = follow_script(x);

		if (ret <= 0)
			return ret;
		if (depth == SCRIPT_DEPTH)
			return -ELOOP;
	}
}

/* ---- before the point of no return ---- */

static int copy_strings(struct exec *x, const char *const *argv, const char *const *envp, bool kernel)
{
	struct exec_args *a = &x->args;
	unsigned skip = 0;
	int err;

	for (unsigned i = x->nr_prefix; i-- > 0;) {
		err = args_add_kernel(a, x->prefix[i]);
		if (err)
			return err;
		a->argc++;
		skip = 1;
	}
	if (skip && argv) {	/* argv[0] gives way to the script's words; an empty argv has none */
		u64 first = 0;

		if (kernel)
			first = (uintptr_t)argv[0];
		else if (!access_ok(argv, sizeof(first)) || arch_get_user64(&first, (const u64 *)argv))
			return -EFAULT;
		skip = first != 0;
		if (!first)
			argv = NULL;
	}
	err = args_add_array(a, argv, skip, &a->argc, kernel);
	if (err)
		return err;
	if (!a->argc) {
		err = args_add_kernel(a, "");	/* programs rely on argv[0] */
		if (err)
			return err;
		a->argc = 1;
	}
	a->argv_bytes = a->bytes;
	err = args_add_array(a, envp, 0, &a->envc, kernel);
	if (err)
		return err;
	a->envp_bytes = a->bytes - a->argv_bytes;
	return args_add_kernel(a, x->path);
}

static int build_mm(struct exec *x)
{
	u64 stack = min(rlimit(RLIMIT_STACK), (u64)USER_TOP / 6);
	struct mm *mm = mm_create();
	long sp;
	int err;

	if (!mm)
		return -ENOMEM;
	x->mm = mm;
	mm->mmap_base = align_down(USER_TOP - max(stack, STACK_GAP_MIN) - (1ul << 20), PAGE_SIZE);
	down_write(&mm->mmap_lock);
	err = setup_stack(mm, USER_TOP, max(stack, PAGE_SIZE * 32));
	mmap_write_unlock(mm);
	if (err)
		return err;
	err = elf_load(&x->file, mm, &x->image);
	if (err)
		return err;
	down_write(&mm->mmap_lock);
	err = map_sigtramp(mm);
	mmap_write_unlock(mm);
	if (err)
		return err;
	sp = args_to_stack(&x->args, mm, USER_TOP, &x->image);
	if (sp < 0)
		return (int)sp;
	x->sp = (uintptr_t)sp;
	mm->exe_file = get_file(x->file.file);
	return 0;
}

/* A table of files that others use too: the new program gets its own, since it closes some. 0 or -ENOMEM. */
static int unshare_files(void)
{
	struct files *old = current->files, *copy;

	if (atomic_read(&old->refs) == 1)
		return 0;
	copy = files_dup(old);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	WRITE_ONCE(current->files, copy);
	files_put(old);
	return 0;
}

/* Ends the other threads and makes the caller the leader. 0, or -EAGAIN, -EINTR: the process is ending anyway. */
static int become_only_thread(void)
{
	struct task *t = current, *old = NULL;
	struct process *p = t->proc;
	int err = 0;

	if (p->nr_threads == 1 && p->leader == t)
		return 0;
	spin_lock(&p->siglock);
	if (p->flags & PROC_GROUP_EXIT || p->exec_task) {
		spin_unlock(&p->siglock);
		return -EAGAIN;
	}
	p->exec_task = t;
	zap_other_threads(p, t);
	for (;;) {
		set_current_state(TASK_KILLABLE);
		if (t == p->leader ? p->nr_threads == 1 : p->nr_threads == 2 && p->leader_dead)
			break;
		if (fatal_signal_pending(t)) {
			err = -EINTR;
			break;
		}
		spin_unlock(&p->siglock);
		schedule();
		spin_lock(&p->siglock);
	}
	set_current_state(TASK_RUNNING);
	if (err)
		p->exec_task = NULL;
	spin_unlock(&p->siglock);
	if (err)
		return err;
	spin_lock(&proc_lock);
	spin_lock(&p->siglock);
	if (t != p->leader)
		old = process_take_over(t);
	p->exec_task = NULL;
	recalc_sigpending_locked();
	spin_unlock(&p->siglock);
	spin_unlock(&proc_lock);
	if (old)
		put_task(old);
	return 0;
}

/* ---- the point of no return ---- */

static void commit(struct exec *x)
{
	struct task *t = current;
	struct process *p = t->proc;
	struct mm *old = t->mm;
	const char *name = strrchr(x->path, '/');

	release_user_memory();
	t->robust_list = 0;
	if (old)
		mmget(old);
	exec_mmap(x->mm);
	x->mm = NULL;
	task_mm_lock(t);	/* whoever read the old mm there has counted itself by now */
	task_mm_unlock(t);
	if (old)
		mmput(old);
	vfork_release(p);

	files_close_on_exec(t->files);
	signal_exec_commit(&x->signals);
	spin_lock(&p->siglock);
	p->flags |= PROC_EXECED;
	p->exit_signal = SIGCHLD;
	spin_unlock(&p->siglock);
	t->flags &= ~TF_FORKNOEXEC;
	strscpy(t->comm, name ? name + 1 : x->path, TASK_COMM_LEN);
	arch_thread_exec(t);
	arch_start_user(task_trapframe(t), x->image.start, x->sp);
}

/* name: what is opened, relative to dfd; path: what the program is told. */
static int exec_at(int dfd, const char *name, int flags, const char *path, const char *const *argv,
		   const char *const *envp, bool kernel_strings)
{
	struct exec x;
	int err;

	x.path = path;
	x.file.file = NULL;
	x.nr_prefix = 0;
	x.mm = NULL;
	args_init(&x.args, rlimit(RLIMIT_STACK));
	err = open_program(&x, dfd, name, flags);
	if (!err)
		err = copy_strings(&x, argv, envp, kernel_strings);
	if (!err)
		err = build_mm(&x);
	if (!err)
		err = signal_exec_prepare(&x.signals);
	if (!err) {
		err = unshare_files();
		if (!err)
			err = become_only_thread();
		if (err)
			signal_exec_abort(&x.signals);
	}
	if (!err)
		commit(&x);

	if (x.mm)
		mmput(x.mm);
	args_free(&x.args);
	for (unsigned i = 0; i < x.nr_prefix; i++)
		kfree(x.prefix[i]);
	if (x.file.file)
		fput(x.file.file);
	return err;
}

int do_execve(const char *path, const char *const *argv, const char *const *envp, bool kernel_strings)
{
	return exec_at(AT_FDCWD, path, 0, path, argv, envp, kernel_strings);
}

static long exec_user(int dfd, const char *upath, int flags, const char *const *argv, const char *const *envp)
{
	char *name, *path;
	long ret;

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	/* Room for the name, and for another before it. */
	path = kmalloc(FD_NAME + PATH_MAX, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	name = path + FD_NAME;
	ret = strncpy_from_user(name, upath, PATH_MAX);
	if (!ret && !(flags & AT_EMPTY_PATH))
		ret = -ENOENT;
	if (ret >= 0 && (dfd == AT_FDCWD || *name == '/')) {
		ret = exec_at(dfd, name, flags, name, argv, envp, false);
	} else if (ret >= 0) {
		char prefix[FD_NAME];
		int n = kscnprintf(prefix, sizeof(prefix), *name ? "/dev/fd/%d/" : "/dev/fd/%d", dfd);

		memcpy(name - n, prefix, (size_t)n);
		ret = exec_at(dfd, name, flags, name - n, argv, envp, false);
	}
	kfree(path);
	return ret;
}

SYSCALL3(execve, const char *, path, const char *const *, argv, const char *const *, envp)
{
	return exec_user(AT_FDCWD, path, 0, argv, envp);
}

SYSCALL5(execveat, int, dfd, const char *, path, const char *const *, argv, const char *const *, envp, int, flags)
{
	return exec_user(dfd, path, flags, argv, envp);
}

/* ---- pid 1 ---- */

static const char *init_path = "/bin/init";
BOOT_OPTION(option_init) = { .name = "init", .type = CMDLINE_STRING, .string = &init_path,
	.help = "the first program, /bin/init" };

int kernel_exec_init(void)
{
	const char *argv[ARRAY_SIZE(init_argv) + 1];
	unsigned n = 0;
	int err;

	for (int fd = 0; fd < 3; fd++) {
		err = kernel_open_fd("/dev/console", O_RDWR, 0);
		if (err < 0)
			pr_warn("init: /dev/console can not be opened: error %d", -err);
	}
	argv[n++] = init_path;
	for (unsigned i = 0; i < init_argc && n < ARRAY_SIZE(argv) - 1; i++)
		argv[n++] = init_argv[i];
	argv[n] = NULL;
	pr_info("init: %s starts", init_path);	/* tools/boot_time.py waits for this line */
	err = do_execve(init_path, argv, init_envp, true);
	if (err)
		pr_err("init: %s can not be executed: error %d", init_path, -err);
	return err;
}
