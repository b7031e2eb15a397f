/*
 * A gate: processes or threads come to it and sleep until it opens. It lies in memory that all of them share, starts as
 * zeroes, and is used once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct gate {
	uint32_t arrived, open;
};

/* Come to the gate, without waiting. Returns how many are there now. */
uint32_t gate_arrive(struct gate *g);

/* Sleep until the gate is open. */
void gate_wait(struct gate *g);

/* Wake everybody who waits; who comes later does not wait. */
void gate_open(struct gate *g);

/* Sleep until n have come or the time is up. Returns whether they have. */
bool gate_full(struct gate *g, uint32_t n, int timeout_ms);
