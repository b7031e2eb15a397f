/*
 * t_proc: processes. fork, exit, wait, stop and continue, orphans, zombies, groups.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "tests/user/ktap.h"

#define SELF "/proc/self/exe"

static void exit_status(void)
{
	static const int codes[] = { 0, 1, 2, 7, 127, 128, 254, 255 };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		pid_t pid = must_fork();

		if (pid == 0)
			_exit(codes[i]);
		CHECK_EXIT(pid, codes[i]);
	}
}

static void exit_status_is_a_byte(void)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(0x7f05);
	CHECK_EXIT(pid, 5);
	pid = must_fork();
	if (pid == 0)
		_exit(-1);
	CHECK_EXIT(pid, 255);
}

static void killed_status(void)
{
	static const int sigs[] = { SIGKILL, SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGALRM };

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		pid_t pid = must_fork();

		if (pid == 0)
			for (;;)
				pause();
		CHECK_EQ(kill(pid, sigs[i]), 0);
		CHECK_KILLED(pid, sigs[i]);
	}
}

static void killed_while_running(void)
{
	volatile unsigned long *turns = shared_memory(4096);
	pid_t pid = must_fork();

	if (pid == 0)
		for (;;)
			++*turns;
	CHECK(eventually(*turns));
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

static void abort_status(void)
{
	pid_t pid = must_fork();

	if (pid == 0)
		abort();
	CHECK_KILLED(pid, SIGABRT);
}

static void wait_without_children(void)
{
	int status;

	CHECK_ERR(wait(&status), ECHILD);
	CHECK_ERR(waitpid(-1, &status, WNOHANG), ECHILD);
	CHECK_ERR(waitpid(getpid(), &status, 0), ECHILD);
	CHECK_ERR(waitpid(1, &status, 0), ECHILD);
}

static void wait_bad_options(void)
{
	CHECK_ERR(waitpid(-1, NULL, 0x40), EINVAL);
}

static void wait_nohang(void)
{
	int fds[2], status = -1;
	char c;
	pid_t pid;

	REQUIRE(pipe(fds) == 0);
	pid = must_fork();
	if (pid == 0) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) == 0 ? 9 : 1);
	}
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	CHECK_EQ(waitpid(-1, &status, WNOHANG), 0);
	close(fds[1]);
	CHECK_EXIT(pid, 9);
	CHECK_ERR(waitpid(pid, &status, WNOHANG), ECHILD);
}

static void wait_specific(void)
{
	pid_t pid[8];

	for (int i = 0; i < 8; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0)
			_exit(10 + i);
	}
	for (int i = 7; i >= 0; i--)
		CHECK_EXIT(pid[i], 10 + i);
	CHECK_ERR(wait(NULL), ECHILD);
}

static void wait_any(void)
{
	bool seen[8] = { false };
	pid_t pid[8], dead;
	int status;

	for (int i = 0; i < 8; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0)
			_exit(i);
	}
	for (int n = 0; n < 8; n++) {
		dead = wait(&status);
		REQUIRE(dead > 0);
		REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) < 8);
		CHECK_EQ(pid[WEXITSTATUS(status)], dead);
		CHECK(!seen[WEXITSTATUS(status)]);
		seen[WEXITSTATUS(status)] = true;
	}
}

static void wait_group(void)
{
	pid_t pid = must_fork(), other;

	if (pid == 0) {
		setpgid(0, 0);
		_exit(3);
	}
	if (setpgid(pid, pid) && errno == ENOSYS)
		SKIP("no setpgid");
	other = must_fork();
	if (other == 0)
		_exit(4);
	CHECK_EQ(waitpid(-pid, NULL, 0), pid);
	CHECK_ERR(waitpid(-pid, NULL, 0), ECHILD);
	CHECK_EQ(waitpid(0, NULL, 0), other);
}

static void wait_rusage(void)
{
	struct rusage ru;
	pid_t pid = must_fork();
	int status;

	if (pid == 0) {
		for (volatile int i = 0; i < 1000000; i++)
			;
		_exit(0);
	}
	memset(&ru, 0xff, sizeof(ru));
	CHECK_EQ(wait4(pid, &status, 0, &ru), pid);
	CHECK(ru.ru_utime.tv_sec >= 0 && ru.ru_utime.tv_sec < 100);
	CHECK(ru.ru_utime.tv_usec >= 0 && ru.ru_utime.tv_usec < 1000000);
	CHECK(ru.ru_stime.tv_usec >= 0 && ru.ru_stime.tv_usec < 1000000);
}

static void wait_blocks_until_exit(void)
{
	uint64_t start = now_ns();
	pid_t pid = must_fork();

	if (pid == 0) {
		msleep(30);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK(now_ns() - start >= 30000000u);
}

static void wait_stopped_continued(void)
{
	pid_t pid = must_fork();
	int status;

	if (pid == 0)
		for (;;)
			pause();
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

static void waitid_nowait(void)
{
	siginfo_t info;
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(21);
	memset(&info, 0, sizeof(info));
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) && errno == ENOSYS) {
		wait_for(pid);
		SKIP("no waitid");
	}
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_signo, SIGCHLD);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_status, 21);
	CHECK_EXIT(pid, 21);
}

static void zombie(void)
{
	pid_t pid = must_fork();

	if (pid == 0)
		_exit(6);
	CHECK(eventually(ktap_state_of(pid, 0) == 'Z'));
	CHECK_EQ(kill(pid, 0), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EXIT(pid, 6);
	CHECK_ERR(kill(pid, 0), ESRCH);
	CHECK_EQ(ktap_state_of(pid, 0), 0);
}

static void ignored_sigchld_reaps(void)
{
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	pid = must_fork();
	if (pid == 0)
		_exit(6);
	CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
	/* On Linux it goes a moment after its parent was told. */
	CHECK(eventually(kill(pid, 0) < 0 && errno == ESRCH));
}

static void orphan(void)
{
	volatile pid_t *seen = shared_memory(4096);
	pid_t pid = must_fork();

	if (pid == 0) {
		pid_t parent = getpid();

		if (must_fork() == 0) {
			seen[0] = getppid();
			CHECK(eventually(getppid() != parent));
			seen[1] = getppid();
			seen[2] = getpid();
			_exit(0);
		}
		while (!seen[0])
			msleep(1);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	REQUIRE(eventually(seen[2]));
	CHECK_EQ(seen[0], pid);
	CHECK(seen[1] != pid && seen[1] > 0);
	/* Its new parent reaps it. */
	CHECK(eventually(kill(seen[2], 0) < 0 && errno == ESRCH));
}

static void zombie_child_of_dead_parent(void)
{
	volatile pid_t *seen = shared_memory(4096);
	pid_t pid = must_fork();

	if (pid == 0) {
		pid_t grandchild = must_fork();

		if (grandchild == 0)
			_exit(0);
		CHECK(eventually(ktap_state_of(grandchild, 0) == 'Z'));
		*seen = grandchild;
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	REQUIRE(*seen > 0);
	CHECK(eventually(kill(*seen, 0) < 0 && errno == ESRCH));
}

static void ids(void)
{
	volatile pid_t *seen = shared_memory(4096);
	pid_t me = getpid(), pid = must_fork();

	if (pid == 0) {
		seen[0] = getpid();
		seen[1] = getppid();
		seen[2] = (pid_t)syscall(SYS_gettid);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(seen[0], pid);
	CHECK_EQ(seen[1], me);
	CHECK_EQ(seen[2], pid);
	CHECK_EQ(syscall(SYS_gettid), me);
	CHECK_EQ(getuid(), geteuid());
	CHECK_EQ(getgid(), getegid());
}

static void fork_copies_memory(void)
{
	static volatile int data = 1;
	volatile int local = 2;
	volatile int *heap = malloc(sizeof(*heap));
	pid_t pid;

	REQUIRE(heap);
	*heap = 3;
	pid = must_fork();
	if (pid == 0) {
		bool same = data == 1 && local == 2 && *heap == 3;

		data = local = *heap = 99;
		_exit(same ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
	CHECK(data == 1 && local == 2 && *heap == 3);
}

static void fork_shares_file_offset(void)
{
	char buf[4];
	int fd = open(SELF, O_RDONLY);
	pid_t pid;

	REQUIRE(fd >= 0);
	pid = must_fork();
	if (pid == 0)
		_exit(read(fd, buf, 4) == 4 && !memcmp(buf, "\177ELF", 4) ? 0 : 1);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
}

static void many_forks(void)
{
	int n = ktap_scale(200);

	for (int i = 0; i < n; i++) {
		pid_t pid = must_fork();

		if (pid == 0)
			_exit(i & 127);
		if (!CHECK_EXIT(pid, i & 127))
			return;
	}
}

static void many_at_once(void)
{
	enum { N = 64 };
	pid_t pid[N];
	int fds[2], sum = 0;
	char c;

	REQUIRE(pipe(fds) == 0);
	for (int i = 0; i < N; i++) {
		pid[i] = must_fork();
		if (pid[i] == 0) {
			close(fds[1]);
			_exit(read(fds[0], &c, 1) == 0 ? i : 255);
		}
	}
	close(fds[1]);
	for (int i = 0; i < N; i++) {
		int status = wait_for(pid[i]);

		sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
	}
	CHECK_EQ(sum, N * (N - 1) / 2);
}

/* Each process of a tree adds one. */
static void grow(volatile int *count, int depth)
{
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	for (int i = 0; depth && i < 2; i++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			grow(count, depth - 1);
			_exit(0);
		}
		CHECK_EXIT(pid, 0);
	}
}

static void fork_tree(void)
{
	volatile int *count = shared_memory(4096);

	grow(count, 5);
	CHECK_EQ(*count, 63);
}

static void clone_bad_flags(void)
{
	CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, 0, 0, 0), EINVAL);
}

static void groups_and_sessions(void)
{
	pid_t pid;

	if (getpgid(0) < 0 && errno == ENOSYS)
		SKIP("no getpgid");
	CHECK_EQ(getpgrp(), getpid());
	CHECK_ERR(setsid(), EPERM);
	pid = must_fork();
	if (pid == 0) {
		pid_t parents = getpgrp();
		bool good = parents == getppid() && setsid() == getpid() && getpgrp() == getpid() &&
			    getsid(0) == getpid();

		_exit(good ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
	CHECK_ERR(getpgid(0x3fffffff), ESRCH);
}

static void kill_group(void)
{
	pid_t leader = must_fork(), member;

	if (leader == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	if (setpgid(leader, leader) && errno == ENOSYS) {
		kill(leader, SIGKILL);
		wait_for(leader);
		SKIP("no setpgid");
	}
	member = must_fork();
	if (member == 0) {
		setpgid(0, leader);
		for (;;)
			pause();
	}
	CHECK_EQ(setpgid(member, leader), 0);
	CHECK_EQ(kill(-leader, SIGTERM), 0);
	CHECK_KILLED(leader, SIGTERM);
	CHECK_KILLED(member, SIGTERM);
	CHECK_ERR(kill(-leader, SIGTERM), ESRCH);
}

static void kill_errors(void)
{
	CHECK_ERR(kill(0x3fffffff, 0), ESRCH);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK_ERR(kill(getpid(), -1), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), 0x3fffffff, 0), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, -1, getpid(), 0), EINVAL);
}

static void uname_and_limits(void)
{
	struct utsname u;
	struct rlimit rl;
	mode_t old;

	CHECK_EQ(uname(&u), 0);
	CHECK(u.sysname[0] && u.release[0] && u.machine[0]);
	CHECK_EQ(getrlimit(RLIMIT_STACK, &rl), 0);
	CHECK(rl.rlim_cur >= 65536 && rl.rlim_cur <= rl.rlim_max);
	CHECK_ERR(getrlimit((__rlimit_resource_t)99, &rl), EINVAL);
	old = umask(027);
	CHECK_EQ(umask(old), 027);
}

static void stat_of_self(void)
{
	struct stat st;

	CHECK_EQ(stat(SELF, &st), 0);
	CHECK(S_ISREG(st.st_mode) && st.st_size > 1000);
}

static const struct ktap_case cases[] = {
	CASE(exit_status), CASE(exit_status_is_a_byte), CASE(killed_status), CASE(killed_while_running),
	CASE(abort_status), CASE(wait_without_children), CASE(wait_bad_options), CASE(wait_nohang),
	CASE(wait_specific), CASE(wait_any), CASE(wait_group), CASE(wait_rusage), CASE(wait_blocks_until_exit),
	CASE(wait_stopped_continued), CASE(waitid_nowait), CASE(zombie), CASE(ignored_sigchld_reaps),
	CASE(orphan), CASE(zombie_child_of_dead_parent), CASE(ids), CASE(fork_copies_memory),
	CASE(fork_shares_file_offset), CASE(many_forks), CASE(many_at_once), CASE(fork_tree),
	CASE(clone_bad_flags), CASE(groups_and_sessions), CASE(kill_group), CASE(kill_errors),
	CASE(uname_and_limits), CASE(stat_of_self),
};

KTAP_MAIN(cases)
