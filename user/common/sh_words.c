/*
 * Tokens and expansion of the shell. No state.
 */
#include "user/common/sh_words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *sh_need(void *p)
{
	if (!p) {
		fputs("sh: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

void sh_text_add(struct sh_text *t, const char *s, size_t len)
{
	if (t->len + len + 1 > t->cap) {
		t->cap = 2 * (t->len + len + 1);
		t->s = sh_need(realloc(t->s, t->cap));
	}
	memcpy(t->s + t->len, s, len);
	t->len += len;
	t->s[t->len] = '\0';
}

/* The end of the word at s; NULL when a quote stays open. */
static const char *word_end(const char *s)
{
	for (; *s && !strchr(" \t\n;&|<>", *s); s++) {
		if (*s == '\\' && s[1]) {
			s++;
		} else if (*s == '\'') {
			s = strchr(s + 1, '\'');
		} else if (*s == '"') {
			for (s++; *s && *s != '"'; s++)
				if (*s == '\\' && s[1])
					s++;
			if (!*s)
				return NULL;
		}
		if (!s)
			return NULL;
	}
	return s;
}

static const struct {
	const char *text;
	enum sh_kind kind;
	int fd;
} operators[] = {	/* longer ones first */
	{ "&&", AND, 0 }, { "||", OR, 0 }, { ">>", APPEND, 1 }, { ">&", DUP, 1 }, { "<&", DUP, 0 }, { "&", AMP, 0 },
	{ "|", PIPE, 0 }, { ";", SEMI, 0 }, { "\n", SEMI, 0 }, { ">", OUT, 1 }, { "<", IN, 0 },
};

int sh_tokenize(const char *s, struct sh_token *tok)
{
	const size_t nr_operators = sizeof(operators) / sizeof(operators[0]);
	int n = 0;

	for (;;) {
		const char *end;
		size_t op;
		int fd = -1;

		s += strspn(s, " \t");
		if (s[0] == '\\' && s[1] == '\n') {
			if (!s[2])
				return -1;
			s += 2;
			continue;
		}
		if (*s == '#')
			s += strcspn(s, "\n");
		if (!*s)
			return n;
		if (n == SH_MAX_TOKENS) {
			fputs("sh: line too long\n", stderr);
			return -2;
		}
		if (isdigit((unsigned char)*s) && (s[1] == '<' || s[1] == '>'))
			fd = *s++ - '0';
		for (op = 0; op < nr_operators; op++)
			if (!strncmp(s, operators[op].text, strlen(operators[op].text)))
				break;
		if (op < nr_operators) {
			tok[n].kind = operators[op].kind;
			tok[n].fd = fd >= 0 ? fd : operators[op].fd;
			end = s + strlen(operators[op].text);
		} else {
			tok[n].kind = WORD;
			end = word_end(s);
			if (!end)
				return -1;
		}
		tok[n].text = s;
		tok[n++].len = (size_t)(end - s);
		s = end;
	}
}

/* The value of the variable whose name starts at s (after the '$'); *len is what the name takes, 0 if it is none. */
static const char *variable(const char *s, const char *end, const struct sh_params *params, size_t *len,
			    struct sh_text *scratch)
{
	char buf[32] = "";
	const char *name = s, *value;
	bool brace = s < end && *s == '{';
	size_t n = 0;

	scratch->len = 0;
	name += brace;
	if (name < end && strchr("?$!#*@", *name)) {
		n = 1;
		if (*name == '?')
			snprintf(buf, sizeof(buf), "%d", params->status);
		else if (*name == '$')
			snprintf(buf, sizeof(buf), "%d", (int)getpid());
		else if (*name == '!' && params->background)
			snprintf(buf, sizeof(buf), "%d", params->background);
		else if (*name == '#')
			snprintf(buf, sizeof(buf), "%d", params->argc ? params->argc - 1 : 0);
		sh_text_add(scratch, buf, strlen(buf));
		for (int i = 1; (*name == '*' || *name == '@') && i < params->argc; i++) {
			sh_text_add(scratch, " ", i > 1);
			sh_text_add(scratch, params->argv[i], strlen(params->argv[i]));
		}
	} else if (name < end && isdigit((unsigned char)*name)) {
		n = 1;
		value = *name - '0' < params->argc ? params->argv[*name - '0'] : "";
		sh_text_add(scratch, value, strlen(value));
	} else {
		while (name + n < end && (isalnum((unsigned char)name[n]) || name[n] == '_'))
			n++;
		if (n) {
			sh_text_add(scratch, name, n);
			value = getenv(scratch->s);
			scratch->len = 0;
			sh_text_add(scratch, value ? value : "", value ? strlen(value) : 0);
		}
	}
	if (brace && (name + n >= end || name[n] != '}'))
		n = 0;
	*len = n ? n + 2 * brace : 0;
	return n ? scratch->s : "";
}

static int add_arg(char **argv, int argc, struct sh_text *word, bool *has)
{
	if (*has && argc < SH_MAX_ARGS)
		argv[argc++] = sh_need(strdup(word->s ? word->s : ""));
	word->len = 0;
	if (word->s)
		word->s[0] = '\0';
	*has = false;
	return argc;
}

int sh_expand(const struct sh_token *tok, const struct sh_params *params, bool split, char **argv, int argc)
{
	const char *s = tok->text, *end = s + tok->len;
	struct sh_text word = { 0 }, scratch = { 0 };
	bool has = false, dquote = false;

	for (; s < end; s++) {
		if (*s == '\'' && !dquote) {
			const char *close = strchr(s + 1, '\'');

			sh_text_add(&word, s + 1, (size_t)(close - s - 1));
			s = close;
			has = true;
		} else if (*s == '"') {
			dquote = !dquote;
			has = true;
		} else if (*s == '\\' && s + 1 < end && (!dquote || strchr("\"\\$`\n", s[1]))) {
			if (*++s == '\n')
				continue;
			sh_text_add(&word, s, 1);
			has = true;
		} else if (*s == '$') {
			size_t len;
			const char *value = variable(s + 1, end, params, &len, &scratch);

			if (!len) {
				sh_text_add(&word, "$", 1);
				has = true;
			}
			for (s += len; *value; value++) {
				if (split && !dquote && strchr(" \t\n", *value)) {
					argc = add_arg(argv, argc, &word, &has);
				} else {
					sh_text_add(&word, value, 1);
					has = true;
				}
			}
		} else {
			sh_text_add(&word, s, 1);
			has = true;
		}
	}
	if (!split)
		has = true;
	argc = add_arg(argv, argc, &word, &has);
	free(word.s);
	free(scratch.s);
	return argc;
}

char *sh_expand_one(const struct sh_token *tok, const struct sh_params *params)
{
	char *argv[SH_MAX_ARGS];

	sh_expand(tok, params, false, argv, 0);
	return argv[0];
}

size_t sh_assignment(const struct sh_token *tok)
{
	size_t n = 0;

	while (n < tok->len && (isalpha((unsigned char)tok->text[n]) || tok->text[n] == '_' ||
				(n && isdigit((unsigned char)tok->text[n]))))
		n++;
	return n && n < tok->len && tok->text[n] == '=' ? n : 0;
}
