/*
 * Going through the values of some knobs: every combination once, the last list fastest.
 *
 *	if (sweep_begin(&s)) ...
 *	do {
 *		switch (sweep_apply(&s)) ...
 *	} while (sweep_next(&s));
 */
#pragma once

#include <stdbool.h>

#include "user/common/knobs.h"
#include "user/common/table.h"

#define SWEEP_LISTS 4
#define SWEEP_VALUES 8

/* One knob and the values it is to take. Without values it is left alone. */
struct sweep_list {
	const char *knob;	/* set by the caller, as all */
	const char *all;	/* the values that the word "all" stands for, "a,b,c"; NULL: no such word */
	int nr;
	char value[SWEEP_VALUES][KNOB_VALUE];
	bool missing;	/* this kernel has no such knob: one turn, without a value */
	int at;
};

struct sweep {
	const char *program;	/* for messages */
	int nr;
	struct sweep_list list[SWEEP_LISTS];
	char reason[128];	/* why sweep_apply() could not, or empty */
	char missing[SWEEP_LISTS * (KNOB_NAME + 4)];	/* "vm.a,vm.b": knobs that this kernel does not have */
};

/* Take "a,b,c" or "all" from the command line. Returns false after a message that names the option. */
bool sweep_values(const struct sweep *s, struct sweep_list *l, const char *option, const char *arg);

/* See which knobs there are; those that are missing are named once, on stderr. Returns the number of combinations. */
int sweep_begin(struct sweep *s);

/*
 * Set the knobs as the combination wants. Returns 0; 1 when the kernel refuses a value, the reason is then set; -1 on
 * another failure, after a message.
 */
int sweep_apply(struct sweep *s);

/* On to the next combination. Returns false after the last one. */
bool sweep_next(struct sweep *s);

/* What is in force for a list now, read back; "-" for a missing knob. */
const char *sweep_value(const struct sweep_list *l, char *buf, size_t size);

/* The members "sweep" (values to come) and "missing_knobs" of a header; "policies" (what is in force) of a row. */
void sweep_json_header(const struct sweep *s, struct json *j);
void sweep_json_row(const struct sweep *s, struct json *j);

/* The values of a list as "a|b|c". */
const char *sweep_choices(const struct sweep_list *l, char *buf, size_t size);

/* The list that sweeps this knob, or NULL. */
const struct sweep_list *sweep_find(const struct sweep *s, const char *knob);
