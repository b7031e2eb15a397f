/*
 * The first lines of a report: the program, the machine, the policies that are active.
 */
#pragma once

#include "user/common/sweep.h"
#include "user/common/table.h"

/*
 * Print "PROGRAM: system release machine, CPUs, memory, DETAILS" and the knobs that this kernel has: their values, or
 * all values that they will take. Ends with an empty line.
 */
void banner_print(const struct sweep *s, const char *details);

/* The same as members of a JSON object: who, where, "knobs" as they stand, "sweep", "missing_knobs". */
void banner_json(const struct sweep *s, struct json *j);
