/*
 * Loops over the values of knobs. Which values a knob knows is the kernel's business: it is asked, one by one.
 */
#include "user/common/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool sweep_values(const struct sweep *s, struct sweep_list *l, const char *option, const char *arg)
{
	const char *list = !strcmp(arg, "all") && l->all ? l->all : arg;

	for (;;) {
		size_t len = strcspn(list, ",");

		if (len == 0 || len >= KNOB_VALUE || memchr(list, ' ', len)) {
			fprintf(stderr, "%s: %s takes values of vm.%s, separated by commas%s%s\n", s->program, option,
				l->knob, l->all ? "; all is " : "", l->all ? l->all : "");
			return false;
		}
		if (l->nr == SWEEP_VALUES) {
			fprintf(stderr, "%s: %s takes %d values at most\n", s->program, option, SWEEP_VALUES);
			return false;
		}
		memcpy(l->value[l->nr], list, len);
		l->value[l->nr++][len] = '\0';
		if (!list[len])
			return true;
		list += len + 1;
	}
}

int sweep_begin(struct sweep *s)
{
	char value[KNOB_VALUE], *names = s->missing;
	int combinations = 1;

	names[0] = '\0';
	for (int i = 0; i < s->nr; i++) {
		struct sweep_list *l = &s->list[i];

		l->at = 0;
		if (!l->nr)
			continue;
		l->missing = knob_read(l->knob, value, sizeof(value)) == -ENOENT;
		if (l->missing) {
			l->nr = 1;
			snprintf(names + strlen(names), sizeof(s->missing) - strlen(names), "%svm.%s",
				 *names ? "," : "", l->knob);
		}
		combinations *= l->nr;
	}
	if (*names)
		fprintf(stderr, "%s: this kernel has no %s: the one policy that it has is measured\n", s->program,
			names);
	return combinations;
}

int sweep_apply(struct sweep *s)
{
	s->reason[0] = '\0';
	for (int i = 0; i < s->nr; i++) {
		const struct sweep_list *l = &s->list[i];
		const char *value = l->value[l->at];
		int err;

		if (!l->nr || l->missing)
			continue;
		err = knob_set(l->knob, value);
		if (err == -EINVAL || err == -EOPNOTSUPP) {
			const char *who = err == -EINVAL ? "this kernel does not know" : "this machine cannot do";

			snprintf(s->reason, sizeof(s->reason), "%s vm.%s=%s", who, l->knob, value);
			return 1;
		}
		if (err) {
			fprintf(stderr, "%s: vm.%s=%s: %s%s\n", s->program, l->knob, value, strerror(-err),
				err == -EACCES || err == -EPERM ? "; run it as root" : "");
			return -1;
		}
	}
	return 0;
}

bool sweep_next(struct sweep *s)
{
	for (int i = s->nr - 1; i >= 0; i--) {
		struct sweep_list *l = &s->list[i];

		if (++l->at < l->nr)
			return true;
		l->at = 0;
	}
	return false;
}

const char *sweep_value(const struct sweep_list *l, char *buf, size_t size)
{
	if (knob_read(l->knob, buf, size) < 0)
		snprintf(buf, size, "-");
	return buf;
}

const char *sweep_choices(const struct sweep_list *l, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i < l->nr && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "|" : "", l->value[i]);
	return buf;
}

const struct sweep_list *sweep_find(const struct sweep *s, const char *knob)
{
	for (int i = 0; i < s->nr; i++)
		if (s->list[i].nr && !strcmp(s->list[i].knob, knob))
			return &s->list[i];
	return NULL;
}

void sweep_json_header(const struct sweep *s, struct json *j)
{
	char choices[SWEEP_VALUES * KNOB_VALUE];

	json_object_begin(j, "sweep");
	for (int i = 0; i < s->nr; i++)
		if (s->list[i].nr && !s->list[i].missing)
			json_string(j, s->list[i].knob, sweep_choices(&s->list[i], choices, sizeof(choices)));
	json_object_end(j);
	json_string(j, "missing_knobs", s->missing);
}

/* What was asked for stands in a row that could not be measured, what is in force in the others. */
void sweep_json_row(const struct sweep *s, struct json *j)
{
	json_object_begin(j, "policies");
	for (int i = 0; i < s->nr; i++) {
		const struct sweep_list *l = &s->list[i];
		char value[KNOB_VALUE];

		if (!l->nr)
			continue;
		if (l->missing)
			json_null(j, l->knob);
		else if (s->reason[0])
			json_string(j, l->knob, l->value[l->at]);
		else
			json_string(j, l->knob, sweep_value(l, value, sizeof(value)));
	}
	json_object_end(j);
}
