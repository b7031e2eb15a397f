/*
 * Which CPUs this program may use, and staying on one of them.
 */
#pragma once

/* More than any port of ours has; what a larger machine has beyond that is not used. */
#define CPUS_MAX 256

/* The CPUs that the calling thread may run on, ascending. Returns how many, at least 1, or a negative errno. */
int cpus_allowed(int cpu[CPUS_MAX]);

/* Move the calling thread to a CPU and keep it there. 0 or a negative errno. */
int cpu_pin(int cpu);
