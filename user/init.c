/*
 * init: the first process.
 *
 * With arguments (what follows "--" on the kernel command line) it runs that command, without a shell, and ends with
 * the command's status, or 128 + signal: the kernel powers the machine off with it. Without arguments it runs an
 * interactive shell. Meanwhile it reaps orphans. In normal operation it prints nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/common/proc.h"
#include "user/common/run.h"

/* Is something mounted there already? */
static bool mounted(const char *dir)
{
	char mounts[4096], entry[64];

	snprintf(entry, sizeof(entry), " %s ", dir);
	return proc_read("/proc/mounts", mounts, sizeof(mounts)) > 0 && strstr(mounts, entry);
}

/* Best effort: a kernel that has these in place, or has no mount, is as good. */
static void mount_all(void)
{
	static const struct {
		const char *type, *dir;
		mode_t mode;
	} wanted[] = {
		{ "proc", "/proc", 0555 },
		{ "devtmpfs", "/dev", 0755 },
		{ "tmpfs", "/tmp", 01777 },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (mounted(wanted[i].dir))
			continue;
		mkdir(wanted[i].dir, wanted[i].mode);
		mount(wanted[i].type, wanted[i].dir, wanted[i].type, 0, NULL);
	}
}

/* Give descriptors 0 to 2 to the console if the kernel did not. */
static void open_console(void)
{
	while (fcntl(2, F_GETFD) < 0 && errno == EBADF)
		if (open("/dev/console", O_RDWR) < 0)
			return;
}

static void child(char **argv, bool interactive)
{
	if (interactive) {
		setsid();
		ioctl(0, TIOCSCTTY, 0);
	}
	_exit(run_exec("init", argv));
}

int main(int argc, char **argv)
{
	static char *shell[] = { (char *)"sh", NULL };
	char **command = argc > 1 ? argv + 1 : shell;
	int status;
	pid_t pid;

	if (getpid() == 1) {
		mount_all();
		open_console();
	}
	setenv("PATH", "/bin:/tests", 1);
	setenv("HOME", "/", 0);
	pid = fork();
	if (pid < 0) {
		perror("init: fork");
		return 1;
	}
	if (pid == 0)
		child(command, command == shell);
	for (;;) {
		pid_t dead = wait(&status);

		if (dead == pid)
			return run_status(status);
		if (dead < 0 && errno != EINTR) {
			perror("init: wait");
			return 1;
		}
	}
}
