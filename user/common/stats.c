/*
 * Summary statistics of a few samples. No locks, no allocation.
 */
#include "user/common/stats.h"

#include <string.h>
#include <time.h>

void stats_reset(struct stats *s)
{
	memset(s, 0, sizeof(*s));
}

void stats_add(struct stats *s, double value)
{
	if (s->n < STATS_MAX)
		s->v[s->n++] = value;
}

void stats_finish(struct stats *s)
{
	double sorted[STATS_MAX];
	size_t i, j;

	s->median = s->min = s->max = 0;
	if (!s->n)
		return;
	for (i = 0; i < s->n; i++) {
		for (j = i; j > 0 && sorted[j - 1] > s->v[i]; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = s->v[i];
	}
	s->min = sorted[0];
	s->max = sorted[s->n - 1];
	s->median = s->n % 2 ? sorted[s->n / 2] : (sorted[s->n / 2 - 1] + sorted[s->n / 2]) / 2;
}

struct summary stats_summary(const struct stats *s)
{
	return (struct summary){ s->median, s->min, s->max };
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
