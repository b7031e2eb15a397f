/*
 * Knobs under /proc/sys/vm. Old values are kept in a fixed table, because they are also put back by a signal handler:
 * an entry is complete before it is counted, and putting back uses only open, write and close.
 */
#include "user/common/knobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "user/common/proc.h"

#define FOLDER "/proc/sys/vm/"
#define PATH_SIZE (sizeof(FOLDER) + KNOB_NAME)
#define MAX_SAVED 16

static struct saved {
	char name[KNOB_NAME], value[KNOB_VALUE];
} saved[MAX_SAVED];
static volatile sig_atomic_t nr_saved;
static pid_t owner;	/* who changed them; its children have this table too */

/* Returns false for a name that does not fit, which no knob has. */
static bool knob_path(const char *name, char *path)
{
	if (strlen(name) >= KNOB_NAME)
		return false;
	strcpy(path, FOLDER);
	strcat(path, name);
	return true;
}

static int write_value(const char *name, const char *value)
{
	char path[PATH_SIZE], line[KNOB_VALUE + 1];
	int fd, err = 0;
	size_t len;

	if (!knob_path(name, path))
		return -ENOENT;
	if (strlen(value) >= KNOB_VALUE)
		return -EINVAL;
	strcpy(line, value);
	strcat(line, "\n");
	len = strlen(line);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = write(fd, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		else if ((size_t)n != len)
			err = -EIO;
		break;
	}
	close(fd);
	return err;
}

int knob_read(const char *name, char *buf, size_t size)
{
	char path[PATH_SIZE];
	long n;

	if (!knob_path(name, path))
		return -ENOENT;
	n = proc_read_line(path, buf, size);
	return n < 0 ? -errno : (int)n;
}

static void complain(const char *s)
{
	ssize_t n = write(STDERR_FILENO, s, strlen(s));

	(void)n;
}

int knobs_restore(void)
{
	int err = 0;

	if (getpid() != owner)
		return 0;
	while (nr_saved > 0) {
		const struct saved *s = &saved[nr_saved - 1];

		if (write_value(s->name, s->value)) {
			complain("vm.");
			complain(s->name);
			complain(" could not be put back; as root: echo ");
			complain(s->value);
			complain(" >" FOLDER);
			complain(s->name);
			complain("\n");
			err = -1;
		}
		nr_saved--;
	}
	return err;
}

static void restore_at_exit(void)
{
	knobs_restore();
}

static void restore_and_die(int sig)
{
	knobs_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* A signal that is ignored stays so. */
static void guard(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa, old;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = restore_and_die;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&sa.sa_mask, signals[i]);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(signals[i], &sa, NULL);
	atexit(restore_at_exit);
}

int knob_set(const char *name, const char *value)
{
	struct saved *s = &saved[nr_saved];
	bool added = false;
	int i = 0, err;

	while (i < nr_saved && strcmp(saved[i].name, name) != 0)
		i++;
	if (i == nr_saved) {
		if (nr_saved == MAX_SAVED)
			return -ENOSPC;
		err = knob_read(name, s->value, sizeof(s->value));
		if (err < 0)
			return err;
		strcpy(s->name, name);
		if (!owner) {
			owner = getpid();
			guard();
		}
		added = true;
		nr_saved++;
	}
	err = write_value(name, value);
	if (err && added)
		nr_saved--;	/* nothing has changed */
	return err;
}
