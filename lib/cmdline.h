/*
 * The kernel's command line: options from a table, and after a lone -- the words of init.
 *
 * Words are separated by white space. Within "double quotes" white space belongs to the word, and a backslash takes
 * the next character as it is; quotes may stand anywhere in a word (name="a b", "name=a b"). An option is name or
 * name=value. An unknown or malformed one is reported and counted, and changes nothing.
 */
#pragma once

#include "lib/types.h"

enum cmdline_type {
	CMDLINE_FLAG,		/* bool: name, or name=1|0|on|off|yes|no */
	CMDLINE_UINT,		/* unsigned int within [min, max]; max 0 means no limit */
	CMDLINE_SIZE,		/* u64, "64M", within [min, max]; max 0 means no limit */
	CMDLINE_STRING,		/* const char *: points into the line, which must stay */
	CMDLINE_CHOICE,		/* unsigned int: the index in choices, a list ended by null */
	CMDLINE_CALLBACK,	/* called with the value, null if there is none; not 0 means malformed */
};

/* Its size is a multiple of its alignment, so that options that the linker gathers in a section make an array. */
struct cmdline_option {
	const char *name;
	const char *help;	/* one line */
	enum cmdline_type type;
	union {
		bool *flag;
		unsigned int *uint;
		u64 *size;
		const char **string;
		unsigned int *choice;
		int (*callback)(const char *value);
	};
	u64 min, max;
	const char *const *choices;	/* of CMDLINE_CHOICE */
} __aligned(64);

struct cmdline {
	/* Set by the caller. */
	const struct cmdline_option *options;
	size_t count;
	void (*report)(void *ctx, const char *message);	/* one line without newline; may be null */
	bool (*unknown)(void *ctx, const char *word);	/* asked first: true if it takes the word; may be null */
	void *ctx;
	const char **argv;	/* room for the words after --, and a null after them; may be null */
	size_t argv_room;	/* pointers that fit into argv, the last null included */

	/* Set by cmdline_parse(). */
	size_t argc;
	unsigned int errors;
};

/*
 * Splits line in place and sets the options, the last one of a name winning. Returns the number of bad words, each of
 * which was reported.
 */
unsigned int cmdline_parse(struct cmdline *c, char *line);

/*
 * Sets one option from a value, null if there is none. Returns 0, or -EINVAL or -ERANGE (or what the callback returned)
 * with the option unchanged.
 */
int cmdline_set(const struct cmdline_option *option, const char *value);
