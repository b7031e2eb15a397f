/*
 * CPU affinity of the calling thread.
 */
#define _GNU_SOURCE
#include "user/common/cpus.h"

#include <errno.h>
#include <sched.h>

int cpus_allowed(int cpu[CPUS_MAX])
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (int i = 0; i < CPU_SETSIZE && n < CPUS_MAX; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n ? n : -EINVAL;
}

int cpu_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}
