/*
 * The kernel command line and knobs.
 *
 * A knob's value is a plain variable that its users read without a lock; knob_mutex serialises writers.
 */
#include "kernel/param.h"

#include <arch/boot.h>

#include "kernel/mutex.h"
#include "kernel/printk.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab.h"

#define MAX_OPTIONS 96

static struct mutex knob_mutex = MUTEX_INIT(knob_mutex, RANK_KERNEL_MUTEX);
static char cmdline_words[sizeof(boot_info.cmdline)];
const char *init_argv[64];
unsigned init_argc;
const char *init_envp[32] = { "HOME=/", "PATH=/bin:/sbin:/usr/bin:/usr/sbin:/tests", "TERM=linux" };
static unsigned init_envc = 3;

static void report(void *ctx, const char *message)
{
	pr_warn("command line: %s", message);
}

/* NAME=VALUE in capitals goes to init's environment. */
static bool unknown(void *ctx, const char *word)
{
	const char *eq = strchr(word, '=');

	if (!eq || eq == word || init_envc + 1 >= ARRAY_SIZE(init_envp))
		return false;
	for (const char *p = word; p < eq; p++)
		if (!((*p >= 'A' && *p <= 'Z') || *p == '_' || (p > word && *p >= '0' && *p <= '9')))
			return false;
	init_envp[init_envc++] = word;
	return true;
}

void params_init(void)
{
	static struct cmdline_option all[MAX_OPTIONS];
	size_t n = 0;
	struct cmdline c = {
		.report = report, .unknown = unknown, .argv = init_argv, .argv_room = ARRAY_SIZE(init_argv)
	};

	for (const struct cmdline_option *o = __start_boot_options; o < __stop_boot_options; o++)
		if (n < MAX_OPTIONS)
			all[n++] = *o;
	for (const struct knob *k = __start_knobs; k < __stop_knobs; k++)
		if (n < MAX_OPTIONS)
			all[n++] = *k->opt;
	c.options = all;
	c.count = n;
	memcpy(cmdline_words, boot_info.cmdline, sizeof(cmdline_words));
	cmdline_words[sizeof(cmdline_words) - 1] = 0;
	cmdline_parse(&c, cmdline_words);
	init_argc = (unsigned)c.argc;
}

const struct knob *knob_find(const char *name)
{
	for (const struct knob *k = __start_knobs; k < __stop_knobs; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

int knob_show(const struct knob *k, char *buf, size_t n)
{
	const struct cmdline_option *o = k->opt;

	switch (o->type) {
	case CMDLINE_FLAG:
		return kscnprintf(buf, n, "%d\n", *o->flag);
	case CMDLINE_UINT:
		return kscnprintf(buf, n, "%u\n", *o->uint);
	case CMDLINE_SIZE:
		return kscnprintf(buf, n, "%llu\n", (unsigned long long)*o->size);
	case CMDLINE_STRING:
		return kscnprintf(buf, n, "%s\n", *o->string ? *o->string : "");
	case CMDLINE_CHOICE:
		return kscnprintf(buf, n, "%s\n", o->choices[*o->choice]);
	default:
		return -EINVAL;
	}
}

static u64 value_get(const struct cmdline_option *o)
{
	switch (o->type) {
	case CMDLINE_FLAG:
		return *o->flag;
	case CMDLINE_SIZE:
		return *o->size;
	default:
		return *o->uint;	/* CHOICE shares it */
	}
}

static void value_set(const struct cmdline_option *o, u64 v)
{
	switch (o->type) {
	case CMDLINE_FLAG:
		WRITE_ONCE(*o->flag, v != 0);
		break;
	case CMDLINE_SIZE:
		WRITE_ONCE(*o->size, v);
		break;
	default:
		WRITE_ONCE(*o->uint, (unsigned)v);
		break;
	}
}

int knob_write(const struct knob *k, const char *text)
{
	const struct cmdline_option *o = k->opt;
	struct cmdline c = { .options = o, .count = 1 };
	char word[160];
	size_t len = strlen(text);
	u64 old;
	int err = 0;

	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (o->type == CMDLINE_STRING || o->type == CMDLINE_CALLBACK || !len ||
	    (size_t)kscnprintf(word, sizeof(word), "%s=\"%.*s\"", o->name, (int)min(len, (size_t)100), text) >=
		    sizeof(word) - 1)
		return -EINVAL;
	mutex_lock(&knob_mutex);
	old = value_get(o);
	if (cmdline_parse(&c, word))
		err = -EINVAL;
	else if (k->changed)
		err = k->changed();
	if (err)
		value_set(o, old);
	mutex_unlock(&knob_mutex);
	return err;
}
