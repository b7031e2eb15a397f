/*
 * Plain-text tables and JSON lines on stdout. Single-threaded; no allocation beyond stdio's.
 */
#include "user/common/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int table_row(struct table *t)
{
	if (t->rows == TABLE_ROWS) {
		t->cols = TABLE_COLS;
		return -1;
	}
	memset(t->cell[t->rows], 0, sizeof(t->cell[0]));
	t->rows++;
	t->cols = 0;
	return 0;
}

void table_cell(struct table *t, const char *fmt, ...)
{
	va_list ap;

	if (!t->rows || t->cols == TABLE_COLS)
		return;
	va_start(ap, fmt);
	vsnprintf(t->cell[t->rows - 1][t->cols++], TABLE_CELL, fmt, ap);
	va_end(ap);
}

void table_summary(struct table *t, struct summary s, double unit, int decimals)
{
	table_cell(t, "%.*f (%.*f..%.*f)", decimals, s.median / unit, decimals, s.min / unit, decimals, s.max / unit);
}

void table_stats(struct table *t, const struct stats *s, double unit, int decimals)
{
	table_summary(t, stats_summary(s), unit, decimals);
}

/* The row's last filled column; what stands there may overhang. */
static int row_end(const struct table *t, int row)
{
	int c = TABLE_COLS;

	while (c > 0 && !t->cell[row][c - 1][0])
		c--;
	return c;
}

void table_print(const struct table *t, int header_rows)
{
	int width[TABLE_COLS] = { 0 }, cols = 0, total = 0;

	for (int r = 0; r < t->rows; r++)
		if (row_end(t, r) > cols)
			cols = row_end(t, r);
	for (int r = 0; r < t->rows; r++) {
		int end = row_end(t, r);

		for (int c = 0; c < (end < cols ? end - 1 : cols); c++) {
			int len = (int)strlen(t->cell[r][c]);

			if (len > width[c])
				width[c] = len;
		}
	}
	for (int c = 0; c < cols; c++)
		total += width[c] + (c ? 2 : 0);
	for (int r = 0; r < t->rows; r++) {
		int end = row_end(t, r);

		if (r == header_rows) {
			for (int i = 0; i < total; i++)
				putchar('-');
			putchar('\n');
		}
		for (int c = 0; c < end; c++) {
			bool left = c == 0 || (t->left & (1u << c)) || (c == end - 1 && end < cols);

			printf("%s%*s", c ? "  " : "", left ? (c < end - 1 ? -width[c] : 0) : width[c], t->cell[r][c]);
		}
		putchar('\n');
	}
	fflush(stdout);
}

static void json_key(struct json *j, const char *key)
{
	printf("%s\"%s\":", j->comma ? "," : "", key);
	j->comma = true;
}

static void json_quote(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			printf("\\u%04x", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

void json_open(struct json *j)
{
	putchar('{');
	j->comma = false;
}

void json_string(struct json *j, const char *key, const char *value)
{
	json_key(j, key);
	json_quote(value);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	printf("%llu", (unsigned long long)value);
}

void json_null(struct json *j, const char *key)
{
	json_key(j, key);
	fputs("null", stdout);
}

void json_stats(struct json *j, const char *key, const struct stats *s)
{
	json_key(j, key);
	printf("{\"median\":%.10g,\"min\":%.10g,\"max\":%.10g,\"rounds\":[", s->median, s->min, s->max);
	for (size_t i = 0; i < s->n; i++)
		printf("%s%.10g", i ? "," : "", s->v[i]);
	fputs("]}", stdout);
}

void json_object_begin(struct json *j, const char *key)
{
	json_key(j, key);
	putchar('{');
	j->comma = false;
}

void json_object_end(struct json *j)
{
	putchar('}');
	j->comma = true;
}

void json_close(struct json *j)
{
	puts("}");
	j->comma = false;
	fflush(stdout);
}
