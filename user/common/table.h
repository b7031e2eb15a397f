/*
 * Plain-text tables whose columns align, and JSON lines: the two forms in which a program here reports.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/common/stats.h"

#define TABLE_ROWS 256
#define TABLE_COLS 12
#define TABLE_CELL 104

/* Cells are right-aligned except for the first column and those in left. */
struct table {
	unsigned int left;	/* bit n: column n is left-aligned */
	int rows, cols;	/* cols: of the row that is being filled */
	char cell[TABLE_ROWS][TABLE_COLS][TABLE_CELL];
};

/* Start a row. Returns 0, or -1 when the table is full (later cells then go nowhere). */
int table_row(struct table *t);

/* Append a cell to the current row. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Append "median (min..max)", each divided by unit, with the given number of decimals. */
void table_stats(struct table *t, const struct stats *s, double unit, int decimals);

/* The same from a summary. */
void table_summary(struct table *t, struct summary s, double unit, int decimals);

/* Print to stdout. Underlined after header_rows rows; a row with fewer cells may overhang the columns it lacks. */
void table_print(const struct table *t, int header_rows);

/* One JSON object on one line of stdout: json_open(), members, json_close(). Keys are written as given. */
struct json {
	bool comma;
};

void json_open(struct json *j);
void json_string(struct json *j, const char *key, const char *value);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_null(struct json *j, const char *key);
/* {"median":..,"min":..,"max":..,"rounds":[..]} */
void json_stats(struct json *j, const char *key, const struct stats *s);
void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_close(struct json *j);
