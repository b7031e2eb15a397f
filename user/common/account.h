/*
 * What all CPUs have spent in the kernel, workers included: /proc/exeunt/account. Other kernels have no such file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Find out what the kernel accounts, and what reading it costs itself. Before everything else here. */
void account_probe(void);

/* Is there anything to read? */
bool account_known(void);

/* "instructions", "ns" or, if there is nothing, "-". */
const char *account_unit(void);

/* The sum since boot; 0 if there is nothing. */
uint64_t account_read(void);

/* What was spent since account_read() gave that value, without the reading itself. Not below 0. */
double account_since(uint64_t then);
