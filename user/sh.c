/*
 * sh: a small shell, for the console and for test scripts.
 *
 * It has simple commands, quotes, variables, ";" "&" "&&" "||" "|" "!", redirections and a few builtins (see
 * help_text). It has no job control, globbing, functions or compound commands. All variables are exported.
 *
 * A chunk of input (a line, or several while a quote is open) is split into tokens that point into it with their quotes
 * still in place; words are expanded when their command runs, so that "A=1; echo $A" works.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/common/applets.h"
#include "user/common/run.h"
#include "user/common/sh_words.h"

#define MAX_PIPE 32
#define MAX_JOBS 64
#define MAX_REDIRS 16

/* Tokens [i, end) that are being executed. */
struct range {
	const struct sh_token *i, *end;
};

static int last_status;
static bool interactive, errexit;
static struct sh_params params;
static struct {
	pid_t pid;
	int status;	/* -1 while it runs */
} jobs[MAX_JOBS];

static const char help_text[] =
	"commands     NAME ARG... ; A && B ; A || B ; A | B ; A & ; ! A ; # comment\n"
	"redirections < > >> with a descriptor in front; 2>&1\n"
	"quotes       'as is' \"with $NAME\" \\x\n"
	"variables    NAME=value $NAME ${NAME} $? $$ $! $0..$9 $# $* (all are exported)\n"
	"builtins     cd echo exit export false help pwd set [-e|+e] test [ true unset wait\n"
	"other names are programs along PATH, or applets of box\n";

static const struct sh_params *current(void)
{
	params.status = last_status;
	return &params;
}

static void assign(const struct sh_token *tok, size_t name_len)
{
	struct sh_token value = { .kind = WORD, .text = tok->text + name_len + 1, .len = tok->len - name_len - 1 };
	char *name = sh_need(strndup(tok->text, name_len)), *expanded = sh_expand_one(&value, current());

	setenv(name, expanded, 1);
	free(expanded);
	free(name);
}

/* Redirections */

struct saved_fds {
	int n;
	struct {
		int fd, copy;	/* copy -1: it was closed */
	} save[MAX_REDIRS];
};

static void restore(struct saved_fds *saved)
{
	while (saved && saved->n > 0) {
		saved->n--;
		if (saved->save[saved->n].copy < 0) {
			close(saved->save[saved->n].fd);
			continue;
		}
		dup2(saved->save[saved->n].copy, saved->save[saved->n].fd);
		close(saved->save[saved->n].copy);
	}
}

/* Returns 0 or -1 with a message. With saved, remembers what the descriptors were. */
static int redirect(const struct sh_token *op, const struct sh_token *target, struct saved_fds *saved)
{
	static const int flags[] = { [IN] = O_RDONLY, [OUT] = O_WRONLY | O_CREAT | O_TRUNC,
				     [APPEND] = O_WRONLY | O_CREAT | O_APPEND };
	char *name = sh_expand_one(target, current());
	int fd = op->kind == DUP ? (isdigit((unsigned char)name[0]) && !name[1] ? name[0] - '0' : -1)
				 : open(name, flags[op->kind], 0666);

	if (op->kind == DUP && fd < 0)
		errno = EBADF;
	if (fd >= 0 && saved && saved->n < MAX_REDIRS) {
		saved->save[saved->n].fd = op->fd;
		saved->save[saved->n++].copy = fcntl(op->fd, F_DUPFD_CLOEXEC, 10);
	}
	if (fd < 0 || (fd != op->fd && dup2(fd, op->fd) < 0)) {
		fprintf(stderr, "sh: %s: %s\n", name, strerror(errno));
		fd = -1;
	} else if (op->kind != DUP && fd != op->fd) {
		close(fd);
	}
	free(name);
	return fd < 0 ? -1 : 0;
}

/* Builtins: each returns a status */

static int sh_cd(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : getenv("HOME");

	if (chdir(dir ? dir : "/") == 0)
		return 0;
	fprintf(stderr, "sh: cd: %s: %s\n", dir ? dir : "/", strerror(errno));
	return 1;
}

static int sh_exit(int argc, char **argv)
{
	exit(argc > 1 ? atoi(argv[1]) & 255 : last_status);
}

static int sh_export(int argc, char **argv)
{
	extern char **environ;

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value) {
			*value = '\0';
			setenv(argv[i], value + 1, 1);
		}
	}
	for (char **e = environ; argc == 1 && e && *e; e++)
		puts(*e);
	return fflush(stdout) ? 1 : 0;
}

static int sh_help(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fputs(help_text, stdout);
	return fflush(stdout) ? 1 : 0;
}

static int sh_set(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-e") != 0 && strcmp(argv[i], "+e") != 0) {
			fprintf(stderr, "sh: set: %s: not known\n", argv[i]);
			return 2;
		}
		errexit = argv[i][0] == '-';
	}
	return 0;
}

static int sh_unset(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		unsetenv(argv[i]);
	return 0;
}

/* Note the end of a background process. */
static void job_ended(pid_t pid, int status)
{
	for (int i = 0; i < MAX_JOBS; i++)
		if (jobs[i].pid == pid)
			jobs[i].status = run_status(status);
}

static int wait_pid(pid_t pid)
{
	int status;
	pid_t dead;

	do {
		dead = waitpid(-1, &status, 0);
		if (dead > 0 && dead != pid)
			job_ended(dead, status);
	} while (dead != pid && (dead > 0 || errno == EINTR));
	return dead == pid ? run_status(status) : 127;
}

static int sh_wait(int argc, char **argv)
{
	pid_t only = argc > 1 ? atoi(argv[1]) : 0;
	int result = only ? 127 : 0;

	for (int i = 0; i < MAX_JOBS; i++) {
		if (!jobs[i].pid || (only && jobs[i].pid != only))
			continue;
		if (jobs[i].status < 0)
			jobs[i].status = wait_pid(jobs[i].pid);
		if (only)
			result = jobs[i].status;
		jobs[i].pid = 0;
	}
	return result;
}

static const struct builtin {
	const char *name;
	int (*run)(int argc, char **argv);
} builtins[] = {
	{ "[", applet_test },	{ "cd", sh_cd },     { "echo", applet_echo }, { "exit", sh_exit },
	{ "export", sh_export }, { "false", applet_false }, { "help", sh_help }, { "pwd", applet_pwd },
	{ "set", sh_set },	{ "test", applet_test }, { "true", applet_true }, { "unset", sh_unset },
	{ "wait", sh_wait },	{ ":", applet_true },
};

static const struct builtin *find_builtin(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
		if (!strcmp(builtins[i].name, name))
			return &builtins[i];
	return NULL;
}

/* Execution */

static pid_t fork_child(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		perror("sh: fork");
	if (pid == 0) {
		interactive = false;
		memset(jobs, 0, sizeof(jobs));
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
	}
	return pid;
}

/*
 * Assignments, redirections and the command itself. With in_child this process is there for it alone and does not come
 * back from a program.
 */
static int run_simple(struct range r, bool in_child)
{
	char *argv[SH_MAX_ARGS + 1];
	const struct sh_token *assigned[SH_MAX_ARGS];
	const struct builtin *builtin = NULL;
	struct saved_fds saved = { 0 };
	int argc = 0, nr_assigned = 0, status = 0;
	pid_t pid = 0;

	for (const struct sh_token *t = r.i; t < r.end; t++) {
		if (t->kind != WORD)
			t++;
		else if (!argc && sh_assignment(t) && nr_assigned < SH_MAX_ARGS)
			assigned[nr_assigned++] = t;
		else
			argc = sh_expand(t, current(), true, argv, argc);
	}
	argv[argc] = NULL;
	if (argc)
		builtin = find_builtin(argv[0]);
	if (argc && !builtin && !in_child) {
		pid = fork_child();
		if (pid < 0)
			status = 1;
		if (pid)
			goto out;
		in_child = true;
	}
	for (const struct sh_token *t = r.i; t < r.end; t++) {
		if (t->kind == WORD)
			continue;
		if (redirect(t, t + 1, in_child ? NULL : &saved)) {
			status = 1;
			goto out;
		}
		t++;
	}
	for (int i = 0; i < nr_assigned; i++)
		assign(assigned[i], sh_assignment(assigned[i]));
	if (builtin)
		status = builtin->run(argc, argv);
	else if (argc)
		status = run_exec("sh", argv);
out:
	restore(&saved);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	if (pid > 0)
		status = wait_pid(pid);
	else if (in_child)
		exit(status);
	return status;
}

/* Commands joined by '|'. */
static int run_pipeline(struct range r, bool in_child)
{
	bool negate = false;
	pid_t pids[MAX_PIPE];
	int n = 0, in = -1, status = 1;

	while (r.i < r.end && r.i->kind == WORD && r.i->len == 1 && r.i->text[0] == '!') {
		negate = !negate;
		r.i++;
	}
	for (;;) {
		struct range command = { r.i, r.i };
		int fds[2] = { -1, -1 };
		bool last;

		while (command.end < r.end && command.end->kind != PIPE)
			command.end++;
		last = command.end == r.end;
		if (last && n == 0) {
			status = run_simple(command, in_child && !negate);
			return negate ? !status : status;
		}
		if (n == MAX_PIPE || (!last && pipe2(fds, O_CLOEXEC))) {
			fputs("sh: cannot build the pipeline\n", stderr);
			break;
		}
		pids[n] = fork_child();
		if (pids[n] == 0) {
			if (in >= 0)
				dup2(in, 0);
			if (!last)
				dup2(fds[1], 1);
			run_simple(command, true);
		}
		if (in >= 0)
			close(in);
		if (!last)
			close(fds[1]);
		in = fds[0];
		if (pids[n] < 0)
			break;
		n++;
		if (last)
			break;
		r.i = command.end + 1;
	}
	if (in >= 0)
		close(in);
	for (int i = 0; i < n; i++)
		status = wait_pid(pids[i]);
	return negate ? !status : status;
}

/* Pipelines joined by && and ||. */
static void run_and_or(struct range r, bool in_child)
{
	enum sh_kind how = SEMI;

	while (r.i < r.end) {
		struct range pipeline = { r.i, r.i };
		bool last;

		while (pipeline.end < r.end && pipeline.end->kind != AND && pipeline.end->kind != OR)
			pipeline.end++;
		last = pipeline.end == r.end;
		if (how == SEMI || (how == AND) == (last_status == 0)) {
			last_status = run_pipeline(pipeline, in_child && last);
			if (errexit && last && last_status && !(r.i->len == 1 && r.i->text[0] == '!'))
				exit(last_status);
		}
		if (last)
			return;
		how = pipeline.end->kind;
		r.i = pipeline.end + 1;
	}
}

static void run_background(struct range r)
{
	pid_t pid = fork_child();
	int slot = 0;

	if (pid == 0) {
		int null = open("/dev/null", O_RDONLY);

		if (null > 0) {
			dup2(null, 0);
			close(null);
		}
		run_and_or(r, true);
		exit(last_status);
	}
	last_status = pid < 0;
	if (pid < 0)
		return;
	params.background = pid;
	while (slot < MAX_JOBS - 1 && jobs[slot].pid && jobs[slot].status < 0)
		slot++;
	jobs[slot].pid = pid;
	jobs[slot].status = -1;
	if (interactive)
		fprintf(stderr, "[%d]\n", (int)pid);
}

/* Operators need something on both sides, redirections a word. */
static bool well_formed(struct range r)
{
	bool command = false;

	for (const struct sh_token *t = r.i; t < r.end; t++) {
		bool bad = false;

		if (t->kind >= IN) {
			bad = t + 1 == r.end || t[1].kind != WORD;
			command = true;
			t++;
		} else if (t->kind == WORD) {
			bad = t->text[0] == '(' || t->text[0] == ')';
			command = true;
		} else {
			bad = !command || ((t->kind == PIPE || t->kind == AND || t->kind == OR) && t + 1 == r.end);
			bad = bad && !(t->kind == SEMI && t->text[0] == '\n');
			command = (t->kind == SEMI || t->kind == AMP) && t + 1 < r.end && t[1].kind == SEMI &&
				  t[1].text[0] == '\n';
		}
		if (bad) {
			fprintf(stderr, "sh: syntax error near '%.*s'\n",
				t < r.end ? (int)t->len - (t->text[0] == '\n') : 7, t < r.end ? t->text : "newline");
			return false;
		}
	}
	return true;
}

static void run_tokens(struct range r)
{
	if (!well_formed(r)) {
		last_status = 2;
		if (!interactive)
			exit(2);
		return;
	}
	while (r.i < r.end) {
		struct range list = { r.i, r.i };

		while (list.end < r.end && list.end->kind != SEMI && list.end->kind != AMP)
			list.end++;
		if (list.end > list.i && list.end < r.end && list.end->kind == AMP)
			run_background(list);
		else if (list.end > list.i)
			run_and_or(list, false);
		r.i = list.end + 1;
	}
}

/* Add a line of fd to text, byte by byte, since children read on from there. Returns false at the end of the file. */
static bool read_line(int fd, struct sh_text *t)
{
	size_t before = t->len;
	ssize_t n;
	char c;

	while ((n = read(fd, &c, 1)) == 1 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		sh_text_add(t, &c, 1);
		if (c == '\n')
			return true;
	}
	return t->len > before;
}

static void run_fd(int fd)
{
	static struct sh_token tok[SH_MAX_TOKENS];
	struct sh_text t = { 0 };
	char cwd[256];
	int n = 0;

	for (;;) {
		int status;
		pid_t pid;

		while (interactive && (pid = waitpid(-1, &status, WNOHANG)) > 0)
			job_ended(pid, status);
		if (interactive)
			fprintf(stderr, "%s%s",
				n < 0			   ? ""
				: getcwd(cwd, sizeof(cwd)) ? cwd
							   : "?",
				n < 0 ? "> " : " # ");
		if (!read_line(fd, &t))
			break;
		n = sh_tokenize(t.s, tok);
		if (n == -1)
			continue;
		t.len = 0;
		if (n > 0)
			run_tokens((struct range){ tok, tok + n });
		n = 0;
	}
	if (n < 0) {
		fputs("sh: a quote is open at the end\n", stderr);
		last_status = 2;
	}
	free(t.s);
}

int main(int argc, char **argv)
{
	static struct sh_token tok[SH_MAX_TOKENS];
	int fd = 0, n;

	params.argv = argv;
	params.argc = 1;
	if (argc > 1 && !strcmp(argv[1], "-e")) {
		errexit = true;
		argv++;
		argc--;
	}
	if (argc > 3 && !strcmp(argv[1], "-c") && !strcmp(argv[2], "--")) {
		argv[2] = argv[1];
		argv++;
		argc--;
	}
	if (argc > 1 && !strcmp(argv[1], "-c")) {
		if (argc < 3) {
			fputs("usage: sh [-e] [-c COMMANDS | FILE [ARG...]]\n", stderr);
			return 2;
		}
		params.argv = argc > 3 ? argv + 3 : argv;
		params.argc = argc > 3 ? argc - 3 : 1;
		n = sh_tokenize(argv[2], tok);
		if (n == -1)
			fputs("sh: a quote is open at the end\n", stderr);
		if (n < 0)
			return 2;
		run_tokens((struct range){ tok, tok + n });
		return last_status;
	}
	if (argc > 1) {
		params.argv = argv + 1;
		params.argc = argc - 1;
		fd = open(argv[1], O_RDONLY);
		if (fd >= 0 && fd < 10) {
			int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);

			close(fd);
			fd = high;
		}
		if (fd < 0) {
			fprintf(stderr, "sh: %s: %s\n", argv[1], strerror(errno));
			return 127;
		}
	} else {
		interactive = isatty(0);
	}
	if (interactive)
		signal(SIGINT, SIG_IGN);
	run_fd(fd);
	return last_status;
}
