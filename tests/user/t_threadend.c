/*
 * t_threadend: how threads end all together: when one exits the process, faults, or execs, when a signal kills them,
 * and when the first thread leaves before the others.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/user/ktap.h"
#include "tests/user/threads.h"

#define SELF "/proc/self/exe"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *identity(void *arg)
{
	return arg;
}

static void *exit_process(void *arg)
{
	msleep(10);
	_exit((int)(long)arg);
}

static void *sleep_forever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *spin_forever(void *arg)
{
	for (volatile long i = 0;; i++)
		;
	return arg;
}

static int blocking_pipe[2];

static void *read_forever(void *arg)
{
	char c;

	return read(blocking_pipe[0], &c, 1) ? arg : NULL;
}

static void *lock_forever(void *arg)
{
	pthread_mutex_lock(&mutex);
	return arg;
}

/* Threads of this process that sleep. */
static int sleepers(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += atoi(e->d_name) > 0 && ktap_state_of(getpid(), atoi(e->d_name)) == 'S';
	if (d)
		closedir(d);
	return n;
}

/* Threads that are blocked in every way, and one that runs. */
static void start_all_kinds(void)
{
	if (pipe(blocking_pipe))
		_exit(99);
	pthread_mutex_lock(&mutex);
	start(sleep_forever, NULL);
	start(spin_forever, NULL);
	start(read_forever, NULL);
	start(lock_forever, NULL);
	if (!eventually(sleepers() == 3))
		_exit(97);
}

static void exit_takes_all_threads(void)
{
	for (int i = 0; i < 3; i++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			start_all_kinds();
			start(exit_process, (void *)7);
			sleep_forever(NULL);
		}
		CHECK_EXIT(pid, 7);
		pid = must_fork();
		if (pid == 0) {
			start_all_kinds();
			_exit(8);
		}
		CHECK_EXIT(pid, 8);
	}
}

static void signal_takes_all_threads(void)
{
	volatile int *ready = shared_memory(4096);
	pid_t pid = must_fork();

	if (pid == 0) {
		start_all_kinds();
		*ready = 1;
		sleep_forever(NULL);
	}
	CHECK(eventually(*ready));
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

static void *fault(void *arg)
{
	msleep(5);
	*(volatile char *)arg = 1;
	return arg;
}

static void fault_takes_all_threads(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		start_all_kinds();
		start(fault, (void *)8);
		sleep_forever(NULL);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void many_exit_at_once(void)
{
	for (int round = 0; round < 5; round++) {
		pid_t pid = must_fork();
		int status;

		if (pid == 0) {
			for (long i = 0; i < 6; i++)
				start(exit_process, (void *)(20 + i));
			sleep_forever(NULL);
		}
		status = wait_for(pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= 20 && WEXITSTATUS(status) < 26);
	}
}

static void *finish_later(void *arg)
{
	msleep(20);
	exit((int)(long)arg);
}

static void main_thread_leaves_first(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		start(finish_later, (void *)9);
		pthread_exit(NULL);
	}
	CHECK_EXIT(pid, 9);
	pid = must_fork();
	if (pid == 0) {
		pthread_detach(start(identity, NULL));
		pthread_exit(NULL);
	}
	CHECK_EXIT(pid, 0);
}

static void *exec_self(void *arg)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)getpid());
	execl(SELF, "t_threadend", "--after-exec", text, (char *)NULL);
	_exit(98);
	return arg;
}

static void exec_from_a_thread(void)
{
	for (int i = 0; i < 3; i++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			start_all_kinds();
			start(exec_self, NULL);
			sleep_forever(NULL);
		}
		CHECK_EXIT(pid, 31);
	}
	for (int i = 0; i < 3; i++) {
		pid_t pid = must_fork();

		if (pid == 0) {
			start_all_kinds();
			exec_self(NULL);
		}
		CHECK_EXIT(pid, 31);
	}
}

/* After the exec: the same pid, which is the thread's id too, and no other thread. */
static int after_exec(const char *pid)
{
	if (getpid() != atoi(pid) || syscall(SYS_gettid) != getpid())
		return 1;
	return 31;
}

static const struct ktap_case cases[] = {
	CASE(exit_takes_all_threads), CASE(signal_takes_all_threads), CASE(fault_takes_all_threads),
	CASE(many_exit_at_once),      CASE(main_thread_leaves_first), CASE(exec_from_a_thread),
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--after-exec"))
		return after_exec(argv[2]);
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
