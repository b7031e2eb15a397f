/*
 * testall [--limit SECONDS] [--list | --none | FILTER]: run the test programs of /tests and report in KTAP.
 *
 * FILTER is a list of shell patterns of program names, separated by commas; !PATTERN leaves programs out; PROGRAM.CASE
 * runs that case alone, which is given to the program as its argument. Each program prints KTAP of its own, which is
 * shown indented as a subtest. A program fails if a line of its begins with "not ok", if it does not exit with 0, if it
 * is killed, if it plans other than it runs, or if it takes longer than the limit, when its process group is killed.
 * --none runs nothing (for a boot that only wants the kernel's own tests). Status: 0 if nothing failed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TESTS "/tests"

struct outcome {
	int status;		/* from waitpid */
	bool late;		/* killed by the watchdog */
	bool not_ok;		/* a line said so */
	bool skipped;		/* "1..0 # SKIP reason" */
	int planned, ran;	/* results on the program's own level; planned < 0: no plan */
	char reason[128];	/* of the skip */
};

static volatile sig_atomic_t watchdog_rang;
static pid_t watched;

/* Rings again: the first time may fall between two reads, and the next one would wait for what still holds the pipe. */
static void watchdog(int sig)
{
	watchdog_rang = 1;
	if (kill(-watched, SIGKILL) < 0)
		kill(watched, SIGKILL);
	alarm(1);
}

/* Is it one of those that begin with "!"? */
static bool excluded(const char *filter, const char *name)
{
	char copy[512], *rest = copy, *pattern;

	snprintf(copy, sizeof(copy), "%s", filter);
	while ((pattern = strsep(&rest, ",")))
		if (*pattern == '!' && fnmatch(pattern + 1, name, 0) == 0)
			return true;
	return false;
}

/* Is the program wanted? If only a case of it is, that is put into only, else an empty string. */
static bool matches(const char *filter, const char *name, char *only, size_t size)
{
	char copy[512], *rest = copy, *pattern;

	if (excluded(filter, name))
		return false;
	snprintf(copy, sizeof(copy), "%s", filter);
	while ((pattern = strsep(&rest, ","))) {
		char *dot = strchr(pattern, '.');

		if (dot)
			*dot++ = '\0';
		if (fnmatch(pattern, name, 0) == 0) {
			snprintf(only, size, "%s", dot && !strpbrk(dot, "*?[") ? dot : "");
			return true;
		}
	}
	return false;
}

/* What a line on the program's own level says. */
static void judge(struct outcome *out, const char *line)
{
	const char *skip;

	if (strncmp(line, "ok ", 3) == 0) {
		out->ran++;
	} else if (strncmp(line, "not ok ", 7) == 0) {
		out->ran++;
		if (!strstr(line, "# SKIP") && !strstr(line, "# TODO"))
			out->not_ok = true;
	} else if (sscanf(line, "1..%d", &out->planned) == 1 && out->planned == 0) {
		skip = strstr(line, "# SKIP");
		out->skipped = true;
		snprintf(out->reason, sizeof(out->reason), "%s", skip ? skip + 6 + (skip[6] == ' ') : "no tests");
		out->reason[strcspn(out->reason, "\n")] = '\0';
	}
}

/* Run one program, show what it prints. */
static void run(const char *name, const char *filter, unsigned int limit, struct outcome *out)
{
	char path[512], only[128] = "", line[1024];
	char *argv[] = { path, NULL, NULL };
	int ends[2];
	FILE *from;

	*out = (struct outcome){ .planned = -1 };
	snprintf(path, sizeof(path), TESTS "/%s", name);
	if (matches(filter, name, only, sizeof(only)) && *only)
		argv[1] = only;
	fflush(stdout);
	if (pipe(ends) < 0 || (watched = fork()) < 0) {
		printf("    # %s\n", strerror(errno));
		out->status = 1 << 8;
		return;
	}
	if (watched == 0) {
		setpgid(0, 0);
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		execv(path, argv);
		dprintf(1, "# %s: %s\n", path, strerror(errno));
		_exit(127);
	}
	setpgid(watched, watched);
	close(ends[1]);
	watchdog_rang = 0;
	alarm(limit);
	from = fdopen(ends[0], "r");
	for (;;) {
		errno = 0;
		if (from && fgets(line, sizeof(line), from)) {
			judge(out, line);
			printf("    %s%s", line, strchr(line, '\n') ? "" : "\n");
			fflush(stdout);
		} else if (!from || errno != EINTR || watchdog_rang) {
			break;
		} else {
			clearerr(from);
		}
	}
	while (waitpid(watched, &out->status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	out->late = watchdog_rang;
	if (from)
		fclose(from);
	else
		close(ends[0]);
}

/* The program's result line, with the reasons of a failure as diagnostics before it. */
static bool report(int number, const char *name, const struct outcome *out, unsigned int limit)
{
	bool good = !out->not_ok;

	if (out->late) {
		printf("    # killed: no end after %u s\n", limit);
		good = false;
	} else if (WIFSIGNALED(out->status)) {
		printf("    # killed by signal %d\n", WTERMSIG(out->status));
		good = false;
	} else if (WEXITSTATUS(out->status)) {
		printf("    # exit status %d\n", WEXITSTATUS(out->status));
		good = false;
	}
	if (out->planned >= 0 && out->planned != out->ran) {
		printf("    # planned %d, ran %d\n", out->planned, out->ran);
		good = false;
	}
	if (good && out->skipped)
		printf("ok %d %s # SKIP %s\n", number, name, out->reason);
	else
		printf("%s %d %s\n", good ? "ok" : "not ok", number, name);
	fflush(stdout);
	return good;
}

static const char *wanted = "*";

static int is_wanted(const struct dirent *entry)
{
	char only[128];

	return entry->d_name[0] != '.' && matches(wanted, entry->d_name, only, sizeof(only));
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = watchdog };
	struct dirent **found = NULL;
	struct outcome out;
	unsigned int limit = 60;
	bool list = false;
	int count, failed = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc)
			limit = (unsigned int)atoi(argv[++i]);
		else if (strcmp(argv[i], "--list") == 0)
			list = true;
		else if (strcmp(argv[i], "--none") == 0)
			return 0;
		else
			wanted = argv[i];
	}
	count = scandir(TESTS, &found, is_wanted, alphasort);
	if (count < 0) {
		printf("Bail out! %s: %s\n", TESTS, strerror(errno));
		return 1;
	}
	if (list) {
		for (int i = 0; i < count; i++)
			puts(found[i]->d_name);
		return 0;
	}
	sigaction(SIGALRM, &action, NULL);
	printf("KTAP version 1\n1..%d\n", count);
	for (int i = 0; i < count; i++) {
		printf("    # Subtest: %s\n", found[i]->d_name);
		run(found[i]->d_name, wanted, limit, &out);
		failed += !report(i + 1, found[i]->d_name, &out, limit);
		free(found[i]);
	}
	free(found);
	return failed != 0;
}
