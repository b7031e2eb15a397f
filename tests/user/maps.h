/*
 * maps.h: what /proc/self/maps says about a range.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tests/user/ktap.h"

struct map_entry {
	uintptr_t start, end;
	char perms[5];
	unsigned long long offset;
	char name[64];
};

/* Call fn for every entry. Returns how many there are, -1 if the file cannot be read or parsed. */
static inline int maps_walk(void (*fn)(const struct map_entry *e, void *arg), void *arg)
{
	static char text[1 << 18];
	int n = 0;

	if (proc_read("/proc/self/maps", text, sizeof(text)) < 0)
		return -1;
	for (char *line = text, *next; *line; line = next) {
		struct map_entry e = { 0 };
		unsigned long start, end, inode;
		unsigned int major, minor;

		next = strchr(line, '\n');
		if (!next)
			return -1;
		*next++ = '\0';
		if (sscanf(line, "%lx-%lx %4s %llx %x:%x %lu %63s", &start, &end, e.perms, &e.offset, &major, &minor,
			   &inode, e.name) < 7)
			return -1;
		e.start = start;
		e.end = end;
		n++;
		if (fn)
			fn(&e, arg);
	}
	return n;
}

/*
 * A textual picture of a range: one letter per page ('-' none, 'r', 'w', 'n' for PROT_NONE, 'x'), '|' between entries.
 */
struct maps_picture {
	uintptr_t start, end, page;
	char text[512];
	size_t len;
	uintptr_t at;
};

static inline void maps_paint(const struct map_entry *e, void *arg)
{
	struct maps_picture *p = arg;
	uintptr_t from = e->start > p->start ? e->start : p->start, to = e->end < p->end ? e->end : p->end;
	char c = e->perms[2] == 'x' ? 'x' : e->perms[1] == 'w' ? 'w' : e->perms[0] == 'r' ? 'r' : 'n';

	if (from >= to)
		return;
	if (from == p->at && p->at > p->start && p->len < sizeof(p->text) - 1)
		p->text[p->len++] = '|';
	for (; p->at < from && p->len < sizeof(p->text) - 1; p->at += p->page)
		p->text[p->len++] = '-';
	for (; p->at < to && p->len < sizeof(p->text) - 1; p->at += p->page)
		p->text[p->len++] = c;
}

/* The picture of n pages from start, as a string that lives until the next call. */
static inline const char *maps_picture(const void *start, size_t n)
{
	static struct maps_picture p;

	memset(&p, 0, sizeof(p));
	p.page = page_bytes();
	p.start = p.at = (uintptr_t)start;
	p.end = p.start + n * p.page;
	if (maps_walk(maps_paint, &p) < 0)
		return "?";
	for (; p.at < p.end && p.len < sizeof(p.text) - 1; p.at += p.page)
		p.text[p.len++] = '-';
	return p.text;
}

#define CHECK_MAPS(start, n, expected) \
	({ \
		const char *maps_seen = maps_picture(start, n); \
		bool maps_same = ktap_check(!strcmp(maps_seen, expected), __FILE__, __LINE__, "maps of " #start); \
		if (!maps_same) \
			diag("  %s, expected %s", maps_seen, expected); \
		maps_same; \
	})
