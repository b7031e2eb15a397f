/*
 * The words of the shell: splitting input into tokens, and expanding a word when its command runs. Running out of
 * memory ends the program with a message.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SH_MAX_TOKENS 1024
#define SH_MAX_ARGS 512

enum sh_kind { WORD, SEMI, AMP, AND, OR, PIPE, IN, OUT, APPEND, DUP };

struct sh_token {
	enum sh_kind kind;
	int fd;			/* redirections: which descriptor */
	const char *text;	/* words: not terminated */
	size_t len;
};

/* Bytes that grow. */
struct sh_text {
	char *s;
	size_t len, cap;
};

/* What $? and its like stand for. */
struct sh_params {
	char **argv;	/* $0 and on */
	int argc;
	int status;
	int background;	/* pid of the last "&", 0: none yet */
};

/* p itself; without it, a message and the end. */
void *sh_need(void *p);

/* Append bytes; t->s stays NUL-terminated. */
void sh_text_add(struct sh_text *t, const char *s, size_t len);

/*
 * Split s into at most SH_MAX_TOKENS tokens that point into s, quotes still in place.
 * Returns how many, -1 when the input must go on with another line, -2 after a message for too many.
 */
int sh_tokenize(const char *s, struct sh_token *tok);

/*
 * Remove the quotes of a word and expand its variables into argv[argc...]; with split, unquoted values fall into
 * several words at white space. At most SH_MAX_ARGS words. Returns the new argc. The strings are the caller's to free.
 */
int sh_expand(const struct sh_token *tok, const struct sh_params *params, bool split, char **argv, int argc);

/* Expand to exactly one string, the caller's to free. */
char *sh_expand_one(const struct sh_token *tok, const struct sh_params *params);

/* Is the word NAME=...? Returns the name's length, else 0. */
size_t sh_assignment(const struct sh_token *tok);
