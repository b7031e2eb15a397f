/*
 * What every report begins with. Call it before a knob is changed.
 */
#include "user/common/banner.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "user/common/proc.h"

static const char *const knob_names[] = {
	"free_async", "free_async_threshold", "gather_runs", "swap_free",
	"lazy_tlb",   "thp_serialize",	      "pte_reclaim", "tlb_shootdown",
};
#define NR_KNOBS (sizeof(knob_names) / sizeof(knob_names[0]))

static uint64_t mem_total_kib(struct utsname *u)
{
	uint64_t total = 0;

	memset(u, 0, sizeof(*u));
	uname(u);
	proc_file_value("/proc/meminfo", "MemTotal", &total);
	return total;
}

void banner_print(const struct sweep *s, const char *details)
{
	struct utsname u;
	uint64_t total = mem_total_kib(&u);
	bool any = false;

	printf("%s: %s %s %s, %d CPUs, %llu MiB, %s\n", s->program, u.sysname, u.release, u.machine, cpus_online(),
	       (unsigned long long)(total / 1024), details);
	for (size_t i = 0; i < NR_KNOBS; i++) {
		const struct sweep_list *l = sweep_find(s, knob_names[i]);
		char value[SWEEP_VALUES * KNOB_VALUE];

		if (knob_read(knob_names[i], value, sizeof(value)) < 0)
			continue;
		if (l)
			sweep_choices(l, value, sizeof(value));
		printf("%svm.%s=%s", any ? " " : "", knob_names[i], value);
		any = true;
	}
	puts(any ? "\n" : "");
	fflush(stdout);
}

void banner_json(const struct sweep *s, struct json *j)
{
	struct utsname u;
	uint64_t total = mem_total_kib(&u);

	json_string(j, "program", s->program);
	json_string(j, "kernel", u.sysname);
	json_string(j, "release", u.release);
	json_string(j, "machine", u.machine);
	json_u64(j, "cpus", (uint64_t)cpus_online());
	json_u64(j, "mem_total_kib", total);
	json_u64(j, "page_size", (uint64_t)sysconf(_SC_PAGESIZE));
	json_object_begin(j, "knobs");
	for (size_t i = 0; i < NR_KNOBS; i++) {
		char value[KNOB_VALUE];

		if (knob_read(knob_names[i], value, sizeof(value)) >= 0)
			json_string(j, knob_names[i], value);
	}
	json_object_end(j);
	sweep_json_header(s, j);
}
