/*
 * box: small versions of the usual commands in one program. "box NAME ARG..." runs one; so does a link of that name,
 * and the shell passes on names that it does not find elsewhere. box alone lists them.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "user/common/applets.h"
#include "user/common/proc.h"
#include "user/common/run.h"

extern char **environ;

static const char *applet;	/* the name it runs under */

/* Says what went wrong with what; returns the status 1. */
static int complain(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", applet, what, strerror(errno));
	return 1;
}

static int usage(const char *args)
{
	fprintf(stderr, "usage: %s %s\n", applet, args);
	return 2;
}

/* Copy up to limit bytes (or lines) of fd to stdout. */
static int copy_fd(int fd, const char *name, long max_lines)
{
	char buf[16384];
	ssize_t n;

	while (max_lines != 0 && (n = read(fd, buf, sizeof(buf))) != 0) {
		ssize_t want = n;

		if (n < 0)
			return complain(name);
		for (ssize_t i = 0; max_lines > 0 && i < n; i++)
			if (buf[i] == '\n' && --max_lines == 0)
				want = i + 1;
		for (ssize_t done = 0; done < want;) {
			ssize_t w = write(1, buf + done, (size_t)(want - done));

			if (w < 0)
				return complain("write");
			done += w;
		}
	}
	return 0;
}

/* Apply to each named file, or to stdin. */
static int for_files(char **names, int (*fn)(int fd, const char *name, long arg), long arg)
{
	int status = 0;

	if (!*names)
		return fn(0, "stdin", arg);
	for (; *names; names++) {
		int fd = open(*names, O_RDONLY);

		if (fd < 0) {
			status = complain(*names);
			continue;
		}
		status |= fn(fd, *names, arg);
		close(fd);
	}
	return status;
}

static int box_cat(int argc, char **argv)
{
	(void)argc;
	return for_files(argv + 1, copy_fd, -1);
}

static int box_head(int argc, char **argv)
{
	long lines = 10;

	if (argc > 2 && !strcmp(argv[1], "-n")) {
		lines = atol(argv[2]);
		argv += 2;
	}
	return for_files(argv + 1, copy_fd, lines);
}

static int count_fd(int fd, const char *name, long arg)
{
	unsigned long lines = 0, words = 0, bytes = 0;
	bool in_word = false;
	char buf[16384];
	ssize_t n;

	(void)arg;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			bool space = isspace((unsigned char)buf[i]);

			lines += buf[i] == '\n';
			words += !space && !in_word;
			in_word = !space;
		}
		bytes += (unsigned long)n;
	}
	if (n < 0)
		return complain(name);
	printf("%7lu %7lu %7lu %s\n", lines, words, bytes, name);
	return 0;
}

static int box_wc(int argc, char **argv)
{
	(void)argc;
	return for_files(argv + 1, count_fd, 0);
}

static void list_one(const char *dir, const char *name, bool verbose)
{
	static const char types[] = "?pc?d?b?-?l?s???";
	char path[4096], link[4096];
	struct stat st;
	ssize_t n;

	if (!verbose) {
		puts(name);
		return;
	}
	snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
	if (lstat(path, &st)) {
		complain(path);
		return;
	}
	printf("%c", types[(st.st_mode >> 12) & 15]);
	for (int bit = 8; bit >= 0; bit--)
		putchar(st.st_mode & (1u << bit) ? "xwr"[bit % 3] : '-');
	printf(" %3lu %4u %4u %10lld %s", (unsigned long)st.st_nlink, st.st_uid, st.st_gid, (long long)st.st_size,
	       name);
	if (S_ISLNK(st.st_mode) && (n = readlink(path, link, sizeof(link) - 1)) >= 0) {
		link[n] = '\0';
		printf(" -> %s", link);
	}
	putchar('\n');
}

static int box_ls(int argc, char **argv)
{
	static char *here[] = { (char *)".", NULL };
	bool verbose = argc > 1 && !strcmp(argv[1], "-l"), many;
	char **names = argv + 1 + verbose;
	int status = 0;

	if (!*names)
		names = here;
	many = names[1];
	for (; *names; names++) {
		struct dirent **entry;
		struct stat st;
		int n;

		if (stat(*names, &st)) {
			status = complain(*names);
			continue;
		}
		if (!S_ISDIR(st.st_mode)) {
			list_one("", *names, verbose);
			continue;
		}
		n = scandir(*names, &entry, NULL, alphasort);
		if (n < 0) {
			status = complain(*names);
			continue;
		}
		if (many)
			printf("%s:\n", *names);
		for (int i = 0; i < n; i++) {
			if (entry[i]->d_name[0] != '.')
				list_one(*names, entry[i]->d_name, verbose);
			free(entry[i]);
		}
		free(entry);
	}
	return status;
}

static int box_ps(int argc, char **argv)
{
	struct dirent **entry;
	int n = scandir("/proc", &entry, NULL, versionsort);

	(void)argc;
	(void)argv;
	if (n < 0)
		return complain("/proc");
	puts("  PID  PPID S      RSS COMMAND");
	for (int i = 0; i < n; i++) {
		char path[300], stat[1024], cmd[256], state = '?', *after;
		uint64_t rss = 0;
		int ppid = 0;
		long len;

		snprintf(path, sizeof(path), "/proc/%s/stat", entry[i]->d_name);
		if (isdigit((unsigned char)entry[i]->d_name[0]) && proc_read(path, stat, sizeof(stat)) > 0) {
			after = strrchr(stat, ')');
			if (after)
				sscanf(after + 1, " %c %d", &state, &ppid);
			snprintf(path, sizeof(path), "/proc/%s/status", entry[i]->d_name);
			proc_file_value(path, "VmRSS", &rss);
			snprintf(path, sizeof(path), "/proc/%s/cmdline", entry[i]->d_name);
			len = proc_read(path, cmd, sizeof(cmd));
			for (long k = 0; k + 1 < len; k++)
				if (!cmd[k])
					cmd[k] = ' ';
			if (len <= 0 && after && strchr(stat, '(')) {
				after[1] = '\0';
				snprintf(cmd, sizeof(cmd), "%s", strchr(stat, '('));
			}
			printf("%5s %5d %c %8llu %s\n", entry[i]->d_name, ppid, state, (unsigned long long)rss, cmd);
		}
		free(entry[i]);
	}
	free(entry);
	return 0;
}

static int box_free(int argc, char **argv)
{
	static const char *const keys[] = { "MemTotal", "MemFree", "MemAvailable", "Cached", "SwapTotal", "SwapFree" };
	uint64_t kib;

	(void)argc;
	(void)argv;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (proc_file_value("/proc/meminfo", keys[i], &kib))
			printf("%-13s %12llu KiB\n", keys[i], (unsigned long long)kib);
	return 0;
}

static int box_uptime(int argc, char **argv)
{
	char line[128];

	(void)argc;
	(void)argv;
	if (proc_read_line("/proc/uptime", line, sizeof(line)) < 0)
		return complain("/proc/uptime");
	line[strcspn(line, " ")] = '\0';
	printf("up %s s, %d CPUs\n", line, cpus_online());
	return 0;
}

static int box_uname(int argc, char **argv)
{
	struct utsname u;

	(void)argc;
	(void)argv;
	if (uname(&u))
		return complain("uname");
	printf("%s %s %s %s %s\n", u.sysname, u.nodename, u.release, u.version, u.machine);
	return 0;
}

static int box_sleep(int argc, char **argv)
{
	struct timespec ts;
	double seconds;
	char *end;

	if (argc != 2)
		return usage("SECONDS");
	seconds = strtod(argv[1], &end);
	if (*end || !(seconds >= 0 && seconds < 1e9))
		return usage("SECONDS");
	ts.tv_sec = (time_t)seconds;
	ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
	return 0;
}

static int box_kill(int argc, char **argv)
{
	int sig = SIGTERM, status = 0;

	if (argc > 1 && argv[1][0] == '-' && argv[1][1]) {
		const char *name = argv[1] + 1;

		sig = isdigit((unsigned char)*name) ? atoi(name) : 0;
		for (int i = 1; !sig && i < 32; i++)
			if (sigabbrev_np(i) && !strcmp(sigabbrev_np(i), name + (strncmp(name, "SIG", 3) ? 0 : 3)))
				sig = i;
		argv++;
		argc--;
		if (!sig && strcmp(name, "0") != 0)
			return usage("[-SIGNAL] PID...");
	}
	if (argc < 2)
		return usage("[-SIGNAL] PID...");
	for (argv++; *argv; argv++) {
		char *end;
		long pid = strtol(*argv, &end, 10);

		if (*end || end == *argv)
			return usage("[-SIGNAL] PID...");
		if (kill((pid_t)pid, sig))
			status = complain(*argv);
	}
	return status;
}

static int box_mkdir(int argc, char **argv)
{
	int status = 0;

	if (argc < 2)
		return usage("DIR...");
	for (argv++; *argv; argv++)
		if (mkdir(*argv, 0777))
			status = complain(*argv);
	return status;
}

static int box_rm(int argc, char **argv)
{
	int status = 0;

	if (argc < 2)
		return usage("FILE|EMPTY-DIR...");
	for (argv++; *argv; argv++)
		if (remove(*argv))
			status = complain(*argv);
	return status;
}

static int box_mv(int argc, char **argv)
{
	if (argc != 3)
		return usage("FROM TO");
	return rename(argv[1], argv[2]) ? complain(argv[1]) : 0;
}

static int box_mount(int argc, char **argv)
{
	if (argc == 1) {
		static char *mounts[] = { (char *)"/proc/mounts", NULL };

		return for_files(mounts, copy_fd, -1);
	}
	if (argc != 5 || strcmp(argv[1], "-t") != 0)
		return usage("[-t TYPE SOURCE DIR]");
	return mount(argv[3], argv[4], argv[2], 0, NULL) ? complain(argv[4]) : 0;
}

static int box_env(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strchr(argv[i], '='); i++)
		putenv(argv[i]);
	if (i < argc)
		return run_exec("env", argv + i);
	for (char **e = environ; e && *e; e++)
		puts(*e);
	return 0;
}

/* Without init's say: the machine goes off at once. */
static int box_poweroff(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	sync();
	reboot(RB_POWER_OFF);
	return complain("reboot");
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} applets[] = {
	{ "[", applet_test },	  { "cat", box_cat },	  { "echo", applet_echo }, { "env", box_env },
	{ "false", applet_false }, { "free", box_free },  { "head", box_head },	   { "kill", box_kill },
	{ "ls", box_ls },	  { "mkdir", box_mkdir }, { "mount", box_mount },  { "mv", box_mv },
	{ "poweroff", box_poweroff }, { "ps", box_ps },	  { "pwd", applet_pwd },   { "rm", box_rm },
	{ "rmdir", box_rm },	  { "sleep", box_sleep }, { "test", applet_test }, { "true", applet_true },
	{ "uname", box_uname },	  { "uptime", box_uptime }, { "wc", box_wc },
};
#define NR_APPLETS (sizeof(applets) / sizeof(applets[0]))

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;

	if (argc < 1)
		return 2;
	applet = slash ? slash + 1 : argv[0];
	if (!strcmp(applet, "box")) {
		if (argc == 1) {
			for (size_t i = 0; i < NR_APPLETS; i++)
				printf("%s%s", i ? " " : "", applets[i].name);
			putchar('\n');
			return 0;
		}
		argv++;
		argc--;
		applet = argv[0];
	}
	for (size_t i = 0; i < NR_APPLETS; i++)
		if (!strcmp(applets[i].name, applet))
			return applets[i].run(argc, argv);
	fprintf(stderr, "%s: not found\n", applet);
	return 127;
}
