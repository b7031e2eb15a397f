/* Processes: the table of numbers, and what execve builds before its point of no return. */
#include <arch/trap.h>

#include "kernel/exec.h"
#include "kernel/fsapi.h"
#include "kernel/process.h"
#include "kernel/rcu.h"
#include "lib/err.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "mm/vma.h"
#include "tests/kernel/ktest.h"

/* ---- numbers ---- */

static int wait_for_stop(void *arg)
{
	while (!kthread_should_stop())
		sleep_ns(NSEC_PER_MSEC);
	return 0;
}

KTEST(proc, numbers)
{
	struct task *t[8], *found;
	int pid[ARRAY_SIZE(t)];

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		t[i] = kthread_run(wait_for_stop, NULL, "kt-%u", i);
		KT_ASSERT(!IS_ERR(t[i]));
		pid[i] = t[i]->pid;
		KT_EXPECT(pid[i] > 1 && pid[i] < PID_MAX);
		for (unsigned j = 0; j < i; j++)
			KT_EXPECT(pid[i] != pid[j]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		found = find_get_task(pid[i]);
		KT_EXPECT(found == t[i]);
		if (found)
			put_task(found);
		KT_EXPECT(!find_get_process(pid[i]));	/* a kernel thread is no process */
	}
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		(void)kthread_stop(t[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		KT_EXPECT(!find_get_task(pid[i]));
	KT_EXPECT(!find_get_task(0));
	KT_EXPECT(!find_get_task(-1));
	KT_EXPECT(!find_get_task(PID_MAX));
	KT_EXPECT(!find_get_task(INT_MAX));
	KT_EXPECT(!pgrp_members(PID_MAX));
}

/* Numbers come in turn, and the pages that hold them go when nobody uses them any more. */
KTEST(proc, number_pages_are_freed)
{
	u64 before = pid_table_pages(), most = before;
	int last = last_pid();

	for (int i = 0; i < 600; i++) {
		struct task *t = kthread_run(wait_for_stop, NULL, "kt-page");

		KT_ASSERT(!IS_ERR(t));
		if (last_pid() > last)
			KT_EQ(last_pid(), last + 1);
		last = last_pid();
		(void)kthread_stop(t);
		most = max(most, pid_table_pages());
		if (i % 64 == 0)
			rcu_barrier();
	}
	rcu_barrier();
	KT_EXPECT(pid_table_pages() <= before + 1);
	KT_EXPECT(most <= before + 6);
}

static u32 lookups_found;

static int look_up(void *arg)
{
	struct prng rnd;

	prng_seed(&rnd, kt_seed() + (u64)(uintptr_t)current);
	for (int i = 0; i < 3000; i++) {
		int pid = last_pid() - (int)prng_below(&rnd, 12) + 2;
		struct task *t = find_get_task(pid);

		if (t) {
			/* The struct is alive: its number cannot have changed, and its process is there. */
			if (t->pid != pid || !t->proc)
				kt_fail(__FILE__, __LINE__, "look-up of %d found %d", pid, t->pid);
			__atomic_fetch_add(&lookups_found, 1, __ATOMIC_RELAXED);
			put_task(t);
		}
		if (i % 16 == 0) {
			t = kthread_run(wait_for_stop, NULL, "kt-churn");
			if (!IS_ERR(t))
				(void)kthread_stop(t);
		}
		if (i % 128 == 0)
			rcu_barrier();	/* or thousands of dead stacks wait for RCU, and kernel tables grow for them */
	}
	return 0;
}

KTEST(proc, lookup_while_tasks_come_and_go)
{
	lookups_found = 0;
	KT_EQ(kt_threads(min(nr_cpus + 1, 8u), look_up, NULL), 0);
	KT_EXPECT(lookups_found > 0);
}

/* ---- argument strings ---- */

static u64 word_at(struct mm *mm, uintptr_t at)
{
	u64 v = ~0ull;

	KT_EXPECT(access_process_vm(mm, at, &v, sizeof(v), false) == sizeof(v));
	return v;
}

static bool string_at(struct mm *mm, uintptr_t at, const char *want)
{
	char got[64] = "";
	size_t n = strlen(want) + 1;

	return access_process_vm(mm, at, got, n, false) == n && !memcmp(got, want, n);
}

static struct mm *mm_with_stack(void)
{
	struct mm *mm = mm_create();
	int err;

	if (!mm)
		return NULL;
	mm->mmap_base = align_down(USER_TOP / 2, PAGE_SIZE);
	down_write(&mm->mmap_lock);
	err = setup_stack(mm, USER_TOP, 8 << 20);
	mmap_write_unlock(mm);
	if (!err)
		return mm;
	mmput(mm);
	return NULL;
}

static const char *const test_argv[] = { "prog", "", "third argument", NULL };
static const char *const test_envp[] = { "A=1", "LONGER=value", NULL };

/* 0 or -errno. The file name is the last string. */
static int fill_args(struct exec_args *a)
{
	int err;

	args_init(a, 8 << 20);
	err = args_add_array(a, test_argv, 0, &a->argc, true);
	a->argv_bytes = a->bytes;
	if (!err)
		err = args_add_array(a, test_envp, 0, &a->envc, true);
	a->envp_bytes = a->bytes - a->argv_bytes;
	return err ? err : args_add_kernel(a, "/the/file");
}

KTEST(exec, stack_layout)
{
	struct exec_image img = { .entry = 0x1234, .start = 0x1234, .phdr = 0x400040, .phnum = 7 };
	struct mm *mm = mm_with_stack();
	bool random = false, name = false, end = false;
	struct exec_args a;
	uintptr_t sp, at;
	long ret;

	KT_ASSERT(mm);
	KT_EQ(fill_args(&a), 0);
	KT_EQ(a.argc, 3);
	KT_EQ(a.envc, 2);
	ret = args_to_stack(&a, mm, USER_TOP, &img);
	KT_EXPECT(ret > 0);
	sp = at = (uintptr_t)ret;
	KT_EQ(sp % 16, 0);
	KT_EQ(word_at(mm, at), 3);
	for (unsigned i = 0; i < 3; i++)
		KT_EXPECT(string_at(mm, word_at(mm, at += 8), test_argv[i]));
	KT_EQ(word_at(mm, at += 8), 0);
	for (unsigned i = 0; i < 2; i++)
		KT_EXPECT(string_at(mm, word_at(mm, at += 8), test_envp[i]));
	KT_EQ(word_at(mm, at += 8), 0);
	for (unsigned i = 0; i < 32 && !end; i++) {
		u64 key = word_at(mm, at += 8), val = word_at(mm, at += 8);

		switch (key) {
		case 0:		/* AT_NULL */
			end = true;
			break;
		case 3:		/* AT_PHDR */
			KT_EQ(val, 0x400040);
			break;
		case 5:		/* AT_PHNUM */
			KT_EQ(val, 7);
			break;
		case 6:		/* AT_PAGESZ */
			KT_EQ(val, PAGE_SIZE);
			break;
		case 9:		/* AT_ENTRY */
			KT_EQ(val, 0x1234);
			break;
		case 25:	/* AT_RANDOM */
			random = val > sp && val + 16 <= USER_TOP;
			break;
		case 31:	/* AT_EXECFN */
			name = string_at(mm, val, "/the/file");
			break;
		}
	}
	KT_EXPECT(end && random && name);
	KT_EQ(mm->arg_end - mm->arg_start, a.argv_bytes);
	KT_EQ(mm->env_end - mm->env_start, a.envp_bytes);
	KT_EXPECT(string_at(mm, mm->env_start, "A=1"));
	args_free(&a);
	mmput(mm);
}

/* Strings across many chunks arrive whole; the limits hold. */
KTEST(exec, long_arguments)
{
	struct exec_image img = { 0 };
	struct mm *mm = mm_with_stack();
	char *big = kmalloc(200000, GFP_KERNEL), *back = kmalloc(100000, GFP_KERNEL);
	struct exec_args a;
	long sp;

	KT_ASSERT(mm && big && back);
	memset(big, 'x', 200000);
	big[99999] = 0;
	args_init(&a, 32 << 20);
	for (int i = 0; i < 20; i++) {
		big[i] = 'y';
		KT_EQ(args_add_kernel(&a, big), 0);
		a.argc++;
		big[i] = 'x';
	}
	a.argv_bytes = a.bytes;
	KT_EQ(args_add_kernel(&a, big), 0);	/* stands for the file name */
	sp = args_to_stack(&a, mm, USER_TOP, &img);
	KT_EXPECT(sp > 0);
	for (int i = 0; i < 20 && sp > 0; i++) {
		uintptr_t s = (uintptr_t)word_at(mm, (uintptr_t)sp + 8 + 8 * (unsigned)i);

		KT_EQ(access_process_vm(mm, s, back, 100000, false), 100000);
		big[i] = 'y';
		KT_EXPECT(!memcmp(big, back, 100000));
		big[i] = 'x';
	}
	args_free(&a);

	args_init(&a, 8 << 20);
	big[99999] = 'x';
	big[32 * PAGE_SIZE - 1] = 0;
	KT_EQ(args_add_kernel(&a, big), 0);	/* 128 KiB with its NUL */
	big[32 * PAGE_SIZE - 1] = 'x';
	big[32 * PAGE_SIZE] = 0;
	KT_EQ(args_add_kernel(&a, big), -E2BIG);
	args_free(&a);

	args_init(&a, 1 << 20);		/* a quarter of that in all */
	big[60000] = 0;
	for (int i = 0; i < 4; i++)
		KT_EQ(args_add_kernel(&a, big), 0);
	KT_EQ(args_add_kernel(&a, big), -E2BIG);
	args_free(&a);
	kfree(big);
	kfree(back);
	mmput(mm);
}

/* ---- every allocation fails once ---- */

static int build_program(void)
{
	struct file *file = file_open_exec("/bin/init");
	struct exec_file *f;
	struct exec_image img;
	struct exec_args a;
	struct mm *mm = NULL;
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	err = fill_args(&a);
	f = err ? NULL : kmalloc(sizeof(*f), GFP_KERNEL);
	if (!err)
		err = f ? exec_file_init(f, file) : -ENOMEM;
	if (!err) {
		mm = mm_with_stack();
		err = mm ? elf_load(f, mm, &img) : -ENOMEM;
	}
	if (!err) {
		long sp = args_to_stack(&a, mm, USER_TOP, &img);

		err = sp < 0 ? (int)sp : 0;
	}
	if (mm)
		mmput(mm);
	args_free(&a);
	kfree(f);
	fput(file);
	return err;
}

KTEST(exec, fails_cleanly_without_memory)
{
	unsigned skip, failed = 0;
	int err;

	current->fs = fs_create();	/* a kernel thread has no root to look paths up from */
	KT_ASSERT(!IS_ERR(current->fs));
	KT_EQ(build_program(), 0);
	for (skip = 0; skip < 300; skip++) {
		palloc_fail(skip, 1);
		err = build_program();
		palloc_fail(0, 0);
		KT_EXPECT(err == 0 || err == -ENOMEM);
		failed += err != 0;
	}
	KT_EXPECT(failed > 5);
	KT_EQ(build_program(), 0);
	fs_put(current->fs);
	current->fs = NULL;
}
