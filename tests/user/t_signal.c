/*
 * t_signal: signals. Masks, queues, handlers, interrupted calls, timers. Frames are in t_sigframe, faults in t_fault.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/user/ktap.h"
#include "tests/user/sig.h"
#include "user/common/cpus.h"

static volatile sig_atomic_t depth, deepest;

static void handler_runs(void)
{
	handle(SIGUSR1, note, 0);
	for (int i = 1; i <= 50; i++) {
		REQUIRE(kill(getpid(), SIGUSR1) == 0);
		REQUIRE(count == i && last == SIGUSR1);
	}
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(count, 51);
}

static void sigaction_reports(void)
{
	struct sigaction sa, old;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = note;
	sa.sa_flags = SA_RESTART | SA_NODEFER;
	sigaddset(&sa.sa_mask, SIGTERM);
	CHECK_EQ(sigaction(SIGUSR1, &sa, &old), 0);
	CHECK(old.sa_handler == SIG_DFL);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_handler == note && (old.sa_flags & (SA_RESTART | SA_NODEFER)) == (SA_RESTART | SA_NODEFER));
	CHECK(sigismember(&old.sa_mask, SIGTERM) && !sigismember(&old.sa_mask, SIGUSR1));
}

static void sigaction_errors(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = note;
	CHECK_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 65, NULL, &sa, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, 0, NULL, &sa, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &sa, 4), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, 77, &sa, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &sa, NULL, 4), EINVAL);
}

static void blocked_signals_wait(void)
{
	handle(SIGUSR1, note, 0);
	mask(SIG_BLOCK, SIGUSR1);
	CHECK(!pending(SIGUSR1));
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(count, 0);
	CHECK(pending(SIGUSR1));
	mask(SIG_UNBLOCK, SIGUSR1);
	CHECK_EQ(count, 1);
	CHECK(!pending(SIGUSR1));
}

static void realtime_signals_queue(void)
{
	handle(SIGRTMIN + 1, note, 0);
	mask(SIG_BLOCK, SIGRTMIN + 1);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(kill(getpid(), SIGRTMIN + 1), 0);
	mask(SIG_UNBLOCK, SIGRTMIN + 1);
	CHECK_EQ(count, 5);
}

static void kill_and_stop_cannot_be_blocked(void)
{
	sigset_t set;
	pid_t pid = must_fork();

	if (pid == 0) {
		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		for (;;)
			pause();
	}
	CHECK(falls_asleep(pid));
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
	sigfillset(&set);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &set, NULL), 0);
	CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &set), 0);
	CHECK(!sigismember(&set, SIGKILL) && !sigismember(&set, SIGSTOP) && sigismember(&set, SIGTERM));
}

static void ignored_signals_vanish(void)
{
	signal(SIGUSR1, SIG_IGN);
	mask(SIG_BLOCK, SIGUSR2);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(kill(getpid(), SIGCHLD), 0);
	CHECK_EQ(kill(getpid(), SIGURG), 0);
	CHECK_EQ(kill(getpid(), SIGWINCH), 0);
	CHECK_EQ(kill(getpid(), SIGCONT), 0);
	CHECK_EQ(kill(getpid(), SIGUSR2), 0);
	signal(SIGUSR2, SIG_IGN);
	CHECK(!pending(SIGUSR2));
}

static void nest(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (++count < 5)
		kill(getpid(), sig);
	depth--;
}

static void handler_blocks_its_signal(void)
{
	handle(SIGUSR1, nest, 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(count, 5);
	CHECK_EQ(deepest, 1);
}

static void nodefer_nests(void)
{
	handle(SIGUSR1, nest, SA_NODEFER);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(count, 5);
	CHECK_EQ(deepest, 5);
}

static volatile sig_atomic_t in_second, second_in_first;

static void first(int sig)
{
	(void)sig;
	kill(getpid(), SIGUSR2);
	second_in_first = in_second;
}

static void second(int sig)
{
	(void)sig;
	in_second++;
}

static void handler_mask(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = first;
	sigaction(SIGUSR1, &sa, NULL);
	handle(SIGUSR2, second, 0);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(second_in_first, 1);
	in_second = 0;
	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(second_in_first, 0);
	CHECK_EQ(in_second, 1);
}

static void resethand(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		handle(SIGUSR1, note, (int)SA_RESETHAND);
		kill(getpid(), SIGUSR1);
		if (count != 1)
			_exit(1);
		kill(getpid(), SIGUSR1);
		_exit(2);
	}
	CHECK_KILLED(pid, SIGUSR1);
}

static void info_of_kill(void)
{
	handle_info(SIGUSR1);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(last_info.si_signo, SIGUSR1);
	CHECK_EQ(last_info.si_code, SI_USER);
	CHECK_EQ(last_info.si_pid, getpid());
	CHECK_EQ(last_info.si_uid, getuid());
	CHECK_EQ(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1), 0);
	CHECK_EQ(last_info.si_code, SI_TKILL);
	CHECK_EQ(last_info.si_pid, getpid());
	CHECK_EQ(count, 2);
}

static void info_of_sigchld(void)
{
	sigset_t none;
	pid_t pid;

	handle_info(SIGCHLD);
	mask(SIG_BLOCK, SIGCHLD);
	sigemptyset(&none);
	pid = must_fork();
	if (pid == 0)
		_exit(42);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(last_info.si_signo, SIGCHLD);
	CHECK_EQ(last_info.si_code, CLD_EXITED);
	CHECK_EQ(last_info.si_status, 42);
	CHECK_EQ(last_info.si_pid, pid);
	CHECK_EXIT(pid, 42);
	pid = must_fork();
	if (pid == 0) {
		kill(getpid(), SIGTERM);
		pause();
	}
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(last_info.si_code, CLD_KILLED);
	CHECK_EQ(last_info.si_status, SIGTERM);
	CHECK_KILLED(pid, SIGTERM);
}

static void sigsuspend_swaps_the_mask(void)
{
	sigset_t set;
	pid_t pid;

	handle(SIGUSR1, note, 0);
	mask(SIG_BLOCK, SIGUSR1);
	sigemptyset(&set);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_ERR(sigsuspend(&set), EINTR);
	CHECK_EQ(count, 1);
	pid = send_later(10, SIGUSR1);
	CHECK_ERR(sigsuspend(&set), EINTR);
	CHECK(count >= 2);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &set), 0);
	CHECK(sigismember(&set, SIGUSR1));
	stop_sending(pid);
}

static void pause_returns(void)
{
	pid_t pid;

	handle(SIGUSR1, note, SA_RESTART);
	pid = send_later(10, SIGUSR1);
	CHECK_ERR(pause(), EINTR);
	CHECK(count >= 1);
	stop_sending(pid);
}

static void read_is_interrupted(void)
{
	int fds[2];
	char c;
	pid_t pid;

	REQUIRE(pipe(fds) == 0);
	handle(SIGUSR1, note, 0);
	pid = send_later(10, SIGUSR1);
	CHECK_ERR(read(fds[0], &c, 1), EINTR);
	CHECK(count >= 1);
	stop_sending(pid);
}

static void read_restarts(void)
{
	int fds[2];
	char c = 0;
	pid_t me = getpid(), pid;

	REQUIRE(pipe(fds) == 0);
	handle(SIGUSR1, note, SA_RESTART);
	pid = must_fork();
	if (pid == 0) {
		/* It is in read(), each time anew. */
		for (int i = 0; i < 3; i++)
			if (!falls_asleep(me) || kill(me, SIGUSR1))
				_exit(1);
		_exit(!falls_asleep(me) || write(fds[1], "x", 1) != 1);
	}
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'x');
	CHECK_EQ(count, 3);
	CHECK_EXIT(pid, 0);
}

static void ignored_signal_does_not_interrupt(void)
{
	int fds[2];
	char c = 0;
	pid_t me = getpid(), pid;

	REQUIRE(pipe(fds) == 0);
	signal(SIGUSR1, SIG_IGN);
	pid = must_fork();
	if (pid == 0) {
		if (!falls_asleep(me) || kill(me, SIGUSR1) || kill(me, SIGWINCH))
			_exit(1);
		_exit(!falls_asleep(me) || write(fds[1], "x", 1) != 1);
	}
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EXIT(pid, 0);
}

static void wait_is_interrupted(void)
{
	pid_t sleeper = must_fork(), pid;

	if (sleeper == 0)
		for (;;)
			pause();
	handle(SIGUSR1, note, 0);
	pid = send_later(10, SIGUSR1);
	CHECK_ERR(waitpid(sleeper, NULL, 0), EINTR);
	stop_sending(pid);
	CHECK_EQ(kill(sleeper, SIGKILL), 0);
	CHECK_KILLED(sleeper, SIGKILL);
}

static void nanosleep_tells_the_rest(void)
{
	struct timespec ts = { .tv_sec = 100 }, rest = { 0 };
	uint64_t begin, left;
	pid_t pid;

	handle(SIGUSR1, note, SA_RESTART);
	pid = send_later(20, SIGUSR1);
	begin = now_ns();
	CHECK_ERR(nanosleep(&ts, &rest), EINTR);
	left = (uint64_t)rest.tv_sec * 1000000000u + (uint64_t)rest.tv_nsec;
	/* Linux counts the slack of its timers in. */
	CHECK(left <= 100001000000u && left + (now_ns() - begin) >= 100000000000u);
	stop_sending(pid);
}

static void poll_is_interrupted(void)
{
	pid_t pid;

	handle(SIGUSR1, note, SA_RESTART);
	pid = send_later(10, SIGUSR1);
	CHECK_ERR(poll(NULL, 0, 100000), EINTR);
	stop_sending(pid);
}

static void fork_and_signals(void)
{
	pid_t pid;

	handle(SIGUSR1, note, 0);
	mask(SIG_BLOCK, SIGUSR1);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	pid = must_fork();
	if (pid == 0) {
		if (pending(SIGUSR1))
			_exit(1);
		kill(getpid(), SIGUSR1);
		if (!pending(SIGUSR1) || count)
			_exit(2);
		mask(SIG_UNBLOCK, SIGUSR1);
		_exit(count == 1 ? 0 : 3);
	}
	CHECK_EXIT(pid, 0);
	CHECK(pending(SIGUSR1));
	CHECK_EQ(count, 0);
}

static void sigwait_takes(void)
{
	const struct timespec soon = { .tv_nsec = 10000000 }, later = { .tv_sec = 100 };
	siginfo_t info;
	sigset_t set;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	mask(SIG_BLOCK, SIGUSR1);
	if (sigtimedwait(&set, &info, &soon) < 0 && errno == ENOSYS)
		SKIP("no rt_sigtimedwait");
	CHECK_ERR(sigtimedwait(&set, &info, &soon), EAGAIN);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(sigtimedwait(&set, &info, &soon), SIGUSR1);
	CHECK_EQ(info.si_pid, getpid());
	CHECK(!pending(SIGUSR1));
	pid = send_later(10, SIGUSR1);
	CHECK_EQ(sigtimedwait(&set, &info, &later), SIGUSR1);
	CHECK_EQ(info.si_pid, pid);
	stop_sending(pid);
}

/* alarm(seconds) at begin or later: can that be what is left now? Rounded, to either side. */
static bool left_of(unsigned int seconds, uint64_t begin, unsigned int left)
{
	uint64_t passed = (now_ns() - begin) / 1000000000u;

	return left <= seconds && left + passed + 1 >= seconds;
}

static void alarm_and_its_rest(void)
{
	uint64_t begin = now_ns();

	CHECK_EQ(alarm(100), 0);
	CHECK(left_of(100, begin, alarm(50)));
	CHECK(left_of(50, begin, alarm(0)));
	CHECK_EQ(alarm(0), 0);
}

static void timer_once_and_again(void)
{
	struct itimerval it = { .it_value = { .tv_usec = 10000 } }, old;
	uint64_t start = now_ns();
	sigset_t none;

	handle(SIGALRM, note, 0);
	mask(SIG_BLOCK, SIGALRM);
	sigemptyset(&none);
	CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK(now_ns() - start >= 10000000u);
	CHECK_EQ(count, 1);
	it.it_interval.tv_usec = 5000;
	CHECK_EQ(setitimer(ITIMER_REAL, &it, NULL), 0);
	while (count < 6)
		CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
	CHECK_EQ(old.it_interval.tv_usec, 5000);
	CHECK(now_ns() - start >= 10000000u + 10000000u + 4 * 5000000u);
	memset(&it, 0, sizeof(it));
	CHECK_EQ(setitimer(ITIMER_REAL, &it, &old), 0);
	mask(SIG_UNBLOCK, SIGALRM);	/* it may have expired once more before it was stopped */
	count = 0;
	msleep(15);
	CHECK_EQ(count, 0);
}

static void spin_until(uint64_t ns)
{
	while (now_ns() < ns)
		;
}

/* Stopped on another CPU at about the time it expires: the signal has come before, or never comes. */
static void stopped_timer_is_silent(void)
{
	struct itimerval soon = { .it_value = { .tv_usec = 200 } }, never = { 0 };
	int cpu[CPUS_MAX], n = cpus_allowed(cpu), late = 0;
	uint64_t seed = 1;

	REQUIRE(n > 0);
	handle(SIGALRM, note, 0);
	for (int i = 0; another(i, 500) || !count; i++) {
		int seen;

		CHECK_EQ(cpu_pin(cpu[0]), 0);
		CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
		CHECK_EQ(cpu_pin(cpu[n > 1]), 0);
		spin_until(now_ns() + random_next(&seed) % 300000);
		CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
		seen = count;
		spin_until(now_ns() + 200000);
		late += count != seen;
	}
	CHECK_EQ(late, 0);
}

static void default_timer_kills(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		struct itimerval it = { .it_value = { .tv_usec = 5000 } };

		setitimer(ITIMER_REAL, &it, NULL);
		for (;;)
			pause();
	}
	CHECK_KILLED(pid, SIGALRM);
}

/* Two processes send each other signals as quickly as they can. */
static void storm(void)
{
	int n = ktap_scale(300);
	sigset_t none;
	pid_t parent = getpid(), pid;

	handle(SIGUSR1, note, 0);
	mask(SIG_BLOCK, SIGUSR1);
	sigemptyset(&none);
	pid = must_fork();
	for (int i = 0; i < n; i++) {
		if (pid == 0) {
			sigsuspend(&none);
			kill(parent, SIGUSR1);
		} else {
			kill(pid, SIGUSR1);
			sigsuspend(&none);
		}
	}
	if (pid == 0)
		_exit(count != n);
	CHECK_EQ(count, n);
	CHECK_EXIT(pid, 0);
}

static void exit_in_handler(int sig)
{
	_exit(sig);
}

static void handler_may_exit(void)
{
	pid_t pid = must_fork();

	if (pid == 0) {
		handle(SIGTERM, exit_in_handler, 0);
		for (;;)
			pause();
	}
	CHECK(falls_asleep(pid));
	CHECK_EQ(kill(pid, SIGTERM), 0);
	CHECK_EXIT(pid, SIGTERM);
	pid = must_fork();
	if (pid == 0) {
		handle(SIGTERM, exit_in_handler, 0);
		raise(SIGTERM);
		_exit(1);
	}
	CHECK_EXIT(pid, SIGTERM);
}

static const struct ktap_case cases[] = {
	CASE(handler_runs), CASE(sigaction_reports), CASE(sigaction_errors), CASE(blocked_signals_wait),
	CASE(realtime_signals_queue), CASE(kill_and_stop_cannot_be_blocked), CASE(ignored_signals_vanish),
	CASE(handler_blocks_its_signal), CASE(nodefer_nests), CASE(handler_mask), CASE(resethand), CASE(info_of_kill),
	CASE(info_of_sigchld), CASE(sigsuspend_swaps_the_mask), CASE(pause_returns), CASE(read_is_interrupted),
	CASE(read_restarts), CASE(ignored_signal_does_not_interrupt), CASE(wait_is_interrupted),
	CASE(nanosleep_tells_the_rest), CASE(poll_is_interrupted), CASE(fork_and_signals), CASE(sigwait_takes),
	CASE(alarm_and_its_rest), CASE(timer_once_and_again), CASE(stopped_timer_is_silent),
	CASE(default_timer_kills), CASE(storm), CASE(handler_may_exit),
};

KTAP_MAIN(cases)
