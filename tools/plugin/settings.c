/*
 * The settings of the cost plugin: a file with KEY=VALUE on each line. cost.c says what there is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "lines.h"

struct settings set = { .nr_scopes = SCOPE_FIRST, .scope_name = { "", "tick", "ipi" } };

/* A list of addresses: A+B, or m1. False: malformed, or there are too many. */
static bool add_places(const char *list, enum action action, unsigned which)
{
	while (*list) {
		struct place p = { .action = action, .which = which };
		char *end;

		p.is_mark = *list == 'm';
		p.pc = strtoull(list + p.is_mark, &end, 16);
		if (end == list + p.is_mark || (*end && *end != '+') || set.nr_places == MAX_PLACES)
			return false;
		set.place[set.nr_places++] = p;
		list = *end ? end + 1 : end;
	}
	return true;
}

static bool add_ranges(const char *list, bool idle)
{
	while (*list) {
		struct range r = { .idle = idle };
		int used = 0;

		if (sscanf(list, "%" SCNx64 "-%" SCNx64 "%n", &r.from, &r.to, &used) != 2)
			return false;
		if (set.nr_ranges == MAX_RANGES || (list[used] && list[used] != '+'))
			return false;
		set.range[set.nr_ranges++] = r;
		list += used + (list[used] == '+');
	}
	return true;
}

/* Cuts the value at its first colon; what follows, or NULL. */
static char *cut(char *value)
{
	char *rest = strchr(value, ':');

	if (rest)
		*rest++ = 0;
	return rest;
}

/* The name in front of the first colon; what follows, or NULL. */
static char *take_name(char *value, char name[32])
{
	char *rest = cut(value);

	if (!rest || !*value || strlen(value) > 31)
		return NULL;
	strcpy(name, value);
	return rest;
}

/* IN:BACK */
static bool add_scope(char *in, unsigned scope)
{
	char *back = cut(in);

	return back && add_places(in, SCOPE_ENTRY, scope) && add_places(back, SCOPE_RETURN, scope);
}

static bool add_named_scope(char *value)
{
	char *in;

	if (set.nr_scopes == MAX_SCOPES)
		return false;
	in = take_name(value, set.scope_name[set.nr_scopes]);
	return in && add_scope(in, set.nr_scopes++);
}

static bool add_phase(char *value)
{
	char *from, *to;

	if (set.nr_phases == MAX_PHASES)
		return false;
	from = take_name(value, set.phase_name[set.nr_phases]);
	to = from ? cut(from) : NULL;
	if (!to || !add_places(from, PHASE_FROM, set.nr_phases) || !add_places(to, PHASE_TO, set.nr_phases))
		return false;
	set.nr_phases++;
	return true;
}

static bool add_probe(char *value)
{
	char *places;

	if (set.nr_probes == MAX_PROBES)
		return false;
	places = take_name(value, set.probe_name[set.nr_probes]);
	return places && add_places(places, PROBE, set.nr_probes++);
}

static bool set_lockstep(const char *value)
{
	char *end;

	lockstep_quantum = strtoull(value, &end, 10);
	return lockstep_quantum && !*end;
}

static bool set_line(const char *value)
{
	line_shift = strcmp(value, "128") == 0 ? 7 : 6;
	return line_shift == 7 || strcmp(value, "64") == 0;
}

static bool take(const char *key, char *value)
{
	if (strcmp(key, "out") == 0)
		return (set.out = fopen(value, "w")) != NULL;
	if (strcmp(key, "lockstep") == 0)
		return set_lockstep(value);
	if (strcmp(key, "line") == 0)
		return set_line(value);
	if (strcmp(key, "phase") == 0)
		return add_phase(value);
	if (strcmp(key, "scope") == 0)
		return add_named_scope(value);
	if (strcmp(key, "tick") == 0)
		return add_scope(value, SCOPE_TICK);
	if (strcmp(key, "ipi") == 0)
		return add_scope(value, SCOPE_IPI);
	if (strcmp(key, "yield") == 0)
		return add_places(value, YIELD, 0);
	if (strcmp(key, "taken") == 0)
		return add_places(value, IPI_TAKEN, 0);
	if (strcmp(key, "spin") == 0 || strcmp(key, "idle") == 0)
		return add_ranges(value, *key == 'i');
	return strcmp(key, "probe") == 0 && add_probe(value);
}

/* By address, and at one address in the order of enum action. */
static int compare_places(const void *a, const void *b)
{
	const struct place *p = a, *q = b;

	if (p->is_mark != q->is_mark)
		return p->is_mark ? 1 : -1;
	if (p->pc != q->pc)
		return p->pc < q->pc ? -1 : 1;
	return (int)p->action - (int)q->action;
}

unsigned first_place(bool is_mark, uint64_t pc)
{
	const struct place wanted = { .pc = pc, .is_mark = is_mark };
	unsigned low = 0, high = set.nr_places;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (compare_places(&set.place[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool read_settings(const char *path)
{
	static char line[1 << 17];
	FILE *f = fopen(path, "r");
	bool good = f != NULL;

	if (!f)
		perror(path);
	set.out = stderr;
	while (good && fgets(line, sizeof(line), f)) {
		char *value = strchr(line, '=');

		line[strcspn(line, "\n")] = 0;
		if (value)
			*value++ = 0;
		good = value && take(line, value);
		if (!good)
			fprintf(stderr, "cost: %s: %s: unknown, malformed or one too many\n", path, line);
	}
	if (f)
		fclose(f);
	qsort(set.place, set.nr_places, sizeof(set.place[0]), compare_places);
	return good;
}
