/*
 * t_exec: how programs are started. execve, vfork, posix_spawn, popen; what an exec keeps and what it drops.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>

#include "tests/user/ktap.h"

#define SELF "/proc/self/exe"

extern char **environ;

static void exec_arguments(void)
{
	static char longer[20000];
	char *argv[] = { (char *)"t_exec", (char *)"--check-args", (char *)"", (char *)"two words", longer, NULL };
	char *envp[] = { (char *)"A=1", (char *)"EMPTY=", (char *)"LAST=x=y", NULL };
	pid_t pid;

	memset(longer, 'x', sizeof(longer) - 1);
	pid = must_fork();
	if (pid == 0) {
		execve(SELF, argv, envp);
		_exit(127);
	}
	CHECK_EXIT(pid, 0);
}

/* Runs after exec_arguments' exec. */
static int check_args(int argc, char **argv)
{
	if (argc != 5 || argv[5] || strcmp(argv[0], "t_exec") != 0 || *argv[2] || strcmp(argv[3], "two words") != 0)
		return 1;
	if (strlen(argv[4]) != 19999 || strspn(argv[4], "x") != 19999)
		return 2;
	if (!environ[0] || strcmp(environ[0], "A=1") != 0 || strcmp(environ[1], "EMPTY=") != 0 ||
	    strcmp(environ[2], "LAST=x=y") != 0 || environ[3])
		return 3;
	return 0;
}

static void exec_many_arguments(void)
{
	enum { N = 2000 };
	static char *argv[N + 3], text[N][16];
	pid_t pid;

	argv[0] = (char *)"t_exec";
	argv[1] = (char *)"--count-args";
	for (int i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "arg%d", i);
		argv[i + 2] = text[i];
	}
	pid = must_fork();
	if (pid == 0) {
		execve(SELF, argv, environ);
		_exit(127);
	}
	CHECK_EXIT(pid, 0);
}

static int count_args(int argc, char **argv)
{
	char text[32];

	for (int i = 2; i < argc; i++) {
		snprintf(text, sizeof(text), "arg%d", i - 2);
		if (strcmp(argv[i], text) != 0)
			return 1;
	}
	return argc == 2002 ? 0 : 2;
}

static void exec_too_long(void)
{
	const size_t size = (size_t)8 << 20;
	char *text = malloc(size + 1);
	char *argv[] = { (char *)"t_exec", text, NULL };

	REQUIRE(text);
	memset(text, 'a', size);
	text[size] = '\0';
	CHECK_ERR(execve(SELF, argv, environ), E2BIG);
}

static void exec_errors(void)
{
	char *argv[] = { (char *)"x", NULL };
	char path[64];
	int fd;

	CHECK_ERR(execve("/nonexistent", argv, environ), ENOENT);
	CHECK_ERR(execve("", argv, environ), ENOENT);
	CHECK_ERR(execve("/tmp", argv, environ), EACCES);
	CHECK_ERR(execve(SELF "/x", argv, environ), ENOTDIR);
	snprintf(path, sizeof(path), "/tmp/t_exec.%d", (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	REQUIRE(fd >= 0);
	CHECK_EQ(write(fd, "garbage garbage\n", 16), 16);
	close(fd);
	CHECK_ERR(execve(path, argv, environ), EACCES);
	CHECK_EQ(chmod(path, 0755), 0);
	CHECK_ERR(execve(path, argv, environ), ENOEXEC);
	CHECK_EQ(truncate(path, 0), 0);
	CHECK_ERR(execve(path, argv, environ), ENOEXEC);
	CHECK_EQ(unlink(path), 0);
}

static void exec_closes_marked_descriptors(void)
{
	int kept = open("/dev/null", O_RDWR), closed = open("/dev/null", O_RDWR | O_CLOEXEC);
	char a[12], b[12];
	pid_t pid;

	REQUIRE(kept >= 0 && closed >= 0);
	snprintf(a, sizeof(a), "%d", kept);
	snprintf(b, sizeof(b), "%d", closed);
	pid = must_fork();
	if (pid == 0) {
		execl(SELF, "t_exec", "--check-fds", a, b, (char *)NULL);
		_exit(127);
	}
	CHECK_EXIT(pid, 0);
}

static int check_fds(char **argv)
{
	if (fcntl(atoi(argv[2]), F_GETFD) < 0)
		return 1;
	return fcntl(atoi(argv[3]), F_GETFD) == -1 && errno == EBADF ? 0 : 2;
}

static void nothing(int sig)
{
	(void)sig;
}

static void exec_signals(void)
{
	pid_t pid = must_fork();
	sigset_t set;

	if (pid == 0) {
		signal(SIGUSR1, nothing);
		signal(SIGUSR2, SIG_IGN);
		sigemptyset(&set);
		sigaddset(&set, SIGTERM);
		sigprocmask(SIG_SETMASK, &set, NULL);
		raise(SIGTERM);
		execl(SELF, "t_exec", "--check-signals", (char *)NULL);
		_exit(127);
	}
	CHECK_EXIT(pid, 0);
}

static int check_signals(void)
{
	struct sigaction one, two;
	sigset_t mask, pending;

	sigaction(SIGUSR1, NULL, &one);
	sigaction(SIGUSR2, NULL, &two);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigpending(&pending);
	if (one.sa_handler != SIG_DFL)
		return 1;
	if (two.sa_handler != SIG_IGN)
		return 2;
	if (!sigismember(&mask, SIGTERM) || sigismember(&mask, SIGINT))
		return 3;
	return sigismember(&pending, SIGTERM) ? 0 : 4;
}

static void exec_keeps_pid(void)
{
	char text[12];
	pid_t pid = must_fork();

	if (pid == 0) {
		snprintf(text, sizeof(text), "%d", (int)getpid());
		execl(SELF, "t_exec", "--check-pid", text, (char *)NULL);
		_exit(127);
	}
	CHECK_EXIT(pid, 0);
}

/* One exec after the other, in one process. */
static void exec_chain(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		execl(SELF, "t_exec", "--chain", "20", (char *)NULL);
		_exit(127);
	}
	CHECK_EXIT(pid, 55);
}

static int chain(char **argv)
{
	char text[12];
	int n = atoi(argv[2]);

	if (n == 0)
		return 55;
	snprintf(text, sizeof(text), "%d", n - 1);
	execl(SELF, "t_exec", "--chain", text, (char *)NULL);
	return 1;
}

static void vfork_shares_and_suspends(void)
{
	static volatile int shared;
	pid_t pid = vfork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		struct timespec ts = { .tv_nsec = 20000000 };

		nanosleep(&ts, NULL);
		shared = 77;
		_exit(5);
	}
	CHECK_EQ(shared, 77);
	CHECK_EXIT(pid, 5);
}

static void vfork_exec(void)
{
	for (int i = 0; i < 10; i++) {
		pid_t pid = vfork();

		REQUIRE(pid >= 0);
		if (pid == 0) {
			execl(SELF, "t_exec", "--chain", "0", (char *)NULL);
			_exit(127);
		}
		CHECK_EXIT(pid, 55);
	}
}

static void vfork_killed_child(void)
{
	pid_t pid = vfork();

	REQUIRE(pid >= 0);
	if (pid == 0) {
		kill(getpid(), SIGKILL);
		_exit(1);
	}
	CHECK_KILLED(pid, SIGKILL);
}

static void spawn(void)
{
	char *argv[] = { (char *)"t_exec", (char *)"--chain", (char *)"0", NULL };
	char *args[] = { (char *)"t_exec", (char *)"--say", (char *)"hi", NULL };
	posix_spawn_file_actions_t fa;
	char buf[8] = "";
	int fds[2];
	pid_t pid;

	REQUIRE(posix_spawn(&pid, SELF, NULL, NULL, argv, environ) == 0);
	CHECK_EXIT(pid, 55);
	CHECK_EQ(posix_spawn(&pid, "/nonexistent", NULL, NULL, argv, environ), ENOENT);
	CHECK_ERR(wait(NULL), ECHILD);
	REQUIRE(pipe(fds) == 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
	posix_spawn_file_actions_addclose(&fa, fds[0]);
	posix_spawn_file_actions_addclose(&fa, fds[1]);
	REQUIRE(posix_spawn(&pid, SELF, &fa, NULL, args, environ) == 0);
	posix_spawn_file_actions_destroy(&fa);
	close(fds[1]);
	CHECK_EQ(read(fds[0], buf, sizeof(buf)), 2);
	CHECK(!strcmp(buf, "hi"));
	CHECK_EQ(read(fds[0], buf, sizeof(buf)), 0);
	CHECK_EXIT(pid, 0);
}

static void popen_and_system(void)
{
	char buf[32] = "";
	FILE *f;
	int status;

	if (access("/bin/sh", X_OK))
		SKIP("no /bin/sh");
	f = popen("echo out; exit 3", "r");
	REQUIRE(f);
	CHECK(fgets(buf, sizeof(buf), f) && !strcmp(buf, "out\n"));
	status = pclose(f);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	status = system("exit 5");
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	f = popen("cat >/dev/null", "w");
	REQUIRE(f);
	CHECK(fputs("in", f) >= 0);
	CHECK_EQ(pclose(f), 0);
}

static const struct ktap_case cases[] = {
	CASE(exec_arguments), CASE(exec_many_arguments), CASE(exec_too_long), CASE(exec_errors),
	CASE(exec_closes_marked_descriptors), CASE(exec_signals), CASE(exec_keeps_pid), CASE(exec_chain),
	CASE(vfork_shares_and_suspends), CASE(vfork_exec), CASE(vfork_killed_child), CASE(spawn),
	CASE(popen_and_system),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--check-args"))
		return check_args(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "--count-args"))
		return count_args(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "--check-fds"))
		return check_fds(argv);
	if (argc > 1 && !strcmp(argv[1], "--check-signals"))
		return check_signals();
	if (argc > 1 && !strcmp(argv[1], "--check-pid"))
		return atoi(argv[2]) != getpid();
	if (argc > 1 && !strcmp(argv[1], "--chain"))
		return chain(argv);
	if (argc > 1 && !strcmp(argv[1], "--say"))
		return printf("%s", argv[2]) < 0;
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
