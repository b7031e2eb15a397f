/*
 * Kernel command line. Words are cut out of the line in place: unquoting only ever makes a word shorter.
 */
#include "lib/cmdline.h"
#include "lib/ctype.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"

/* Longer words are cut in messages. */
#define MESSAGE_SIZE	256

struct word {
	char *text;
	bool quoted;		/* has quotes somewhere */
	bool open;		/* the last quote is not closed */
};

static void __printf(2, 3) complain(struct cmdline *c, const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list args;

	c->errors++;
	if (!c->report)
		return;
	va_start(args, fmt);
	kvsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	c->report(c->ctx, message);
}

/* Cuts the next word out of *line and moves *line behind it. Returns false at the end. */
static bool next_word(char **line, struct word *word)
{
	char *from = skip_spaces(*line), *to = from;

	*word = (struct word){ .text = to };
	if (!*from) {
		*line = from;
		return false;
	}
	for (; *from && (word->open || !isspace((u8)*from)); from++) {
		if (*from == '"') {
			word->open = !word->open;
			word->quoted = true;
		} else {
			if (word->open && *from == '\\' && from[1])
				from++;
			*to++ = *from;
		}
	}
	*line = *from ? from + 1 : from;
	*to = '\0';
	return true;
}

/* Reads a truth value; no value is true. */
static int parse_flag(const char *value, bool *out)
{
	static const char *const words[] = { "0", "1", "off", "on", "no", "yes" };

	if (!value) {
		*out = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!strcmp(value, words[i])) {
			*out = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_choice(const char *value, const char *const *choices, unsigned int *out)
{
	for (unsigned int i = 0; choices[i]; i++) {
		if (!strcmp(value, choices[i])) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int check_range(const struct cmdline_option *option, u64 value, u64 limit)
{
	u64 most = option->max ? min(option->max, limit) : limit;

	return value < option->min || value > most ? -ERANGE : 0;
}

int cmdline_set(const struct cmdline_option *option, const char *value)
{
	unsigned long number;
	u64 size;
	int error;

	if (option->type == CMDLINE_CALLBACK)
		return option->callback(value);
	if (option->type == CMDLINE_FLAG)
		return parse_flag(value, option->flag);
	if (!value)
		return -EINVAL;
	switch (option->type) {
	case CMDLINE_UINT:
		error = kstrtoul(value, 0, &number);
		if (!error)
			error = check_range(option, number, UINT_MAX);
		if (!error)
			*option->uint = (unsigned int)number;
		return error;
	case CMDLINE_SIZE:
		error = memparse(value, &size);
		if (!error)
			error = check_range(option, size, ULLONG_MAX);
		if (!error)
			*option->size = size;
		return error;
	case CMDLINE_STRING:
		*option->string = value;
		return 0;
	case CMDLINE_CHOICE:
		return parse_choice(value, option->choices, option->choice);
	default:
		return -EINVAL;
	}
}

/* Writes what would have been right. */
static void describe(const struct cmdline_option *option, char *buf, size_t size)
{
	int len;

	switch (option->type) {
	case CMDLINE_FLAG:
		kscnprintf(buf, size, "1, 0, on, off, yes or no");
		break;
	case CMDLINE_UINT:
		kscnprintf(buf, size, "a number from %llu to %llu", option->min, option->max ? option->max : UINT_MAX);
		break;
	case CMDLINE_SIZE:
		len = kscnprintf(buf, size, "a size such as 64M");
		if (option->min)
			len += kscnprintf(buf + len, size - (size_t)len, ", at least %llu bytes", option->min);
		if (option->max)
			kscnprintf(buf + len, size - (size_t)len, ", at most %llu bytes", option->max);
		break;
	case CMDLINE_CHOICE:
		len = kscnprintf(buf, size, "one of");
		for (unsigned int i = 0; option->choices[i]; i++)
			len += kscnprintf(buf + len, size - (size_t)len, " %s", option->choices[i]);
		break;
	default:
		kscnprintf(buf, size, "%s", option->help ? option->help : "something else");
	}
}

static const struct cmdline_option *find_option(const struct cmdline *c, const char *name, size_t n)
{
	for (size_t i = 0; i < c->count; i++) {
		if (!strncmp(c->options[i].name, name, n) && !c->options[i].name[n])
			return &c->options[i];
	}
	return NULL;
}

static void parse_option(struct cmdline *c, const char *word)
{
	const char *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	const struct cmdline_option *option = find_option(c, word, n);
	char expected[160];

	if (!option && c->unknown && c->unknown(c->ctx, word))
		return;
	if (!option) {
		complain(c, "unknown option \"%.64s\"", word);
		return;
	}
	if (cmdline_set(option, value)) {
		describe(option, expected, sizeof(expected));
		complain(c, "option \"%.64s\" %s: should be %s", word,
			 value ? "is malformed or out of range" : "needs a value", expected);
	}
}

static void add_argument(struct cmdline *c, const char *word)
{
	if (!c->argv || c->argc + 1 >= c->argv_room) {
		complain(c, "no room for the argument \"%.64s\" after --", word);
		return;
	}
	c->argv[c->argc++] = word;
	c->argv[c->argc] = NULL;
}

unsigned int cmdline_parse(struct cmdline *c, char *line)
{
	bool arguments = false;
	struct word word;

	c->argc = 0;
	c->errors = 0;
	if (c->argv && c->argv_room)
		c->argv[0] = NULL;
	while (next_word(&line, &word)) {
		if (word.open)
			complain(c, "missing quote at the end of \"%.64s\"", word.text);
		else if (arguments)
			add_argument(c, word.text);
		else if (!word.quoted && !strcmp(word.text, "--"))
			arguments = true;
		else
			parse_option(c, word.text);
	}
	return c->errors;
}
