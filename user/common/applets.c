/*
 * Commands that the shell and box share. Output goes through stdio and is flushed before returning.
 */
#include "user/common/applets.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int applet_echo(int argc, char **argv)
{
	int first = argc > 1 && !strcmp(argv[1], "-n") ? 2 : 1;

	for (int i = first; i < argc; i++)
		printf("%s%s", i > first ? " " : "", argv[i]);
	if (first == 1)
		putchar('\n');
	return fflush(stdout) ? 1 : 0;
}

int applet_false(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}

int applet_true(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

int applet_pwd(int argc, char **argv)
{
	char buf[4096];

	(void)argc;
	(void)argv;
	if (!getcwd(buf, sizeof(buf))) {
		perror("pwd");
		return 1;
	}
	puts(buf);
	return fflush(stdout) ? 1 : 0;
}

static int test_unary(const char *op, const char *arg)
{
	struct stat st;

	switch (op[1]) {
	case 'n':
		return !*arg;
	case 'z':
		return !!*arg;
	case 'r':
		return !!access(arg, R_OK);
	case 'w':
		return !!access(arg, W_OK);
	case 'x':
		return !!access(arg, X_OK);
	}
	if (stat(arg, &st))
		return 1;
	switch (op[1]) {
	case 'e':
		return 0;
	case 'f':
		return !S_ISREG(st.st_mode);
	case 'd':
		return !S_ISDIR(st.st_mode);
	case 's':
		return st.st_size == 0;
	}
	return 2;
}

static int test_binary(const char *a, const char *op, const char *b)
{
	static const char *const names[] = { "-eq", "-ne", "-lt", "-le", "-gt", "-ge" };
	long x = strtol(a, NULL, 10), y = strtol(b, NULL, 10);
	const bool value[] = { x == y, x != y, x < y, x <= y, x > y, x >= y };

	if (!strcmp(op, "="))
		return !!strcmp(a, b);
	if (!strcmp(op, "!="))
		return !strcmp(a, b);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(op, names[i]))
			return !value[i];
	return 2;
}

int applet_test(int argc, char **argv)
{
	bool negate = false;
	int result = 2;

	if (!strcmp(argv[0], "[")) {
		if (strcmp(argv[argc - 1], "]") != 0) {
			fputs("[: no ]\n", stderr);
			return 2;
		}
		argc--;
	}
	if (argc > 2 && !strcmp(argv[1], "!")) {
		negate = true;
		argv++;
		argc--;
	}
	if (argc == 1)
		result = 1;
	else if (argc == 2)
		result = !*argv[1];
	else if (argc == 3 && argv[1][0] == '-' && argv[1][1] && !argv[1][2])
		result = test_unary(argv[1], argv[2]);
	else if (argc == 4)
		result = test_binary(argv[1], argv[2], argv[3]);
	if (result == 2)
		fputs("test: not understood\n", stderr);
	return result == 2 ? 2 : result ^ (int)negate;
}
