/*
 * Summary statistics of a few samples, and the clock they are taken with.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Most rounds that any program of this folder takes. */
#define STATS_MAX 101

struct stats {
	size_t n;
	double v[STATS_MAX];	/* in the order they were taken */
	double median, min, max;	/* valid after stats_finish() */
};

/* Forget all samples. */
void stats_reset(struct stats *s);

/* Add a sample; those beyond STATS_MAX are dropped. */
void stats_add(struct stats *s, double value);

/* Compute median, min and max; all are 0 without samples. */
void stats_finish(struct stats *s);

/* Without the samples, for tables of many rows. */
struct summary {
	double median, min, max;
};

struct summary stats_summary(const struct stats *s);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t now_ns(void);
