/*
 * Starting programs by name. The multicall program "box" is sought beside the running program and in /bin, so that
 * its applets need no links in the initramfs.
 */
#include "user/common/run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOX "box"

/* Run argv as an applet of box; returns only if there is no box. */
static void exec_box(char **argv)
{
	char path[PATH_MAX], *slash;
	char **args;
	int n = 0;
	ssize_t len;

	while (argv[n])
		n++;
	args = calloc((size_t)n + 2, sizeof(*args));
	if (!args)
		return;
	args[0] = (char *)BOX;
	memcpy(args + 1, argv, (size_t)n * sizeof(*args));
	len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(BOX) - 1);
	if (len > 0) {
		path[len] = '\0';
		slash = strrchr(path, '/');
		if (slash) {
			strcpy(slash + 1, BOX);
			execv(path, args);
		}
	}
	execv("/bin/" BOX, args);
	free(args);
}

int run_exec(const char *who, char **argv)
{
	int err;

	execvp(argv[0], argv);
	err = errno;
	if (err == ENOENT && !strchr(argv[0], '/'))
		exec_box(argv);
	fprintf(stderr, "%s: %s: %s\n", who, argv[0], err == ENOENT ? "not found" : strerror(err));
	return err == ENOENT ? 127 : 126;
}

int run_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
