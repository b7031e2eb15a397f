/*
 * t_numa: NUMA nodes as user space sees them, /sys/devices/system/node and getcpu.
 */
/* ktap: smp */
#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <sys/syscall.h>

#include "tests/user/ktap.h"

#define NODES "/sys/devices/system/node"
#define MAX_NODES 1024
#define WORDS (MAX_NODES / 64)

/* A set of nodes or CPUs. */
struct set {
	uint64_t bits[WORDS];
};

static bool has(const struct set *s, int n)
{
	return s->bits[n / 64] >> (n % 64) & 1;
}

static bool empty(const struct set *s)
{
	struct set none = { { 0 } };

	return !memcmp(s, &none, sizeof(none));
}

/* "0-3,8\n", strictly: ascending, no blanks. An empty line is an empty set. */
static bool parse_list(const char *text, struct set *out)
{
	long next = 0;

	memset(out, 0, sizeof(*out));
	while (*text != '\n') {
		char *end;
		long from = strtol(text, &end, 10), to = from;

		if (end == text || from < next)
			return false;
		if (*end == '-') {
			text = end + 1;
			to = strtol(text, &end, 10);
			if (end == text || to <= from)
				return false;
		}
		if (to >= MAX_NODES || (*end != ',' && *end != '\n'))
			return false;
		for (long n = from; n <= to; n++)
			out->bits[n / 64] |= 1ull << (n % 64);
		next = to + 2;
		text = *end == ',' ? end + 1 : end;
	}
	return text[1] == '\0';
}

static struct set read_list(const char *path)
{
	char text[4096];
	struct set s = { { 0 } };

	if (!CHECK(proc_read(path, text, sizeof(text)) > 0 && parse_list(text, &s)))
		diag("  %s", path);
	return s;
}

static const char *node_path(int node, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), NODES "/node%d/%s", node, file);
	return path;
}

static void need_nodes(void)
{
	if (access(NODES "/online", R_OK) && !ktap_on_exeunt())
		SKIP("this kernel shows no nodes");
}

/* The directory has one entry for each node that is online, and no more. */
static void online_nodes_are_listed(void)
{
	struct set online, possible, listed = { { 0 } };
	struct dirent *entry;
	DIR *dir;

	need_nodes();
	online = read_list(NODES "/online");
	possible = read_list(NODES "/possible");
	CHECK(!empty(&online));
	for (int i = 0; i < WORDS; i++)
		CHECK((online.bits[i] & ~possible.bits[i]) == 0);
	dir = opendir(NODES);
	REQUIRE(dir);
	while ((entry = readdir(dir))) {
		int node, length = 0;

		if (sscanf(entry->d_name, "node%d%n", &node, &length) != 1 || entry->d_name[length])
			continue;
		REQUIRE(node >= 0 && node < MAX_NODES);
		CHECK(!has(&listed, node));
		listed.bits[node / 64] |= 1ull << (node % 64);
	}
	closedir(dir);
	CHECK(!memcmp(&listed, &online, sizeof(online)));
	CHECK(access(NODES "/node1023", F_OK) && access(NODES "/node", F_OK) && access(NODES "/node00", F_OK));
	CHECK(access(NODES "/node-1", F_OK) && access(NODES "/node0x", F_OK));
}

/* Hexadecimal groups of 32, the highest first. */
static bool parse_map(const char *text, struct set *out)
{
	int groups = 1;

	memset(out, 0, sizeof(*out));
	for (const char *p = text; *p; p++)
		groups += *p == ',';
	while (groups--) {
		char *end;
		unsigned long value = strtoul(text, &end, 16);

		if (end == text || end - text > 8 || value > 0xffffffff || *end != (groups ? ',' : '\n'))
			return false;
		out->bits[groups / 2] |= (uint64_t)value << (groups % 2 * 32);
		text = end + 1;
	}
	return *text == '\0';
}

/* Every CPU belongs to one node. */
static void cpus_belong_to_one_node(void)
{
	struct set online, has_cpu, cpus, seen = { { 0 } };

	need_nodes();
	online = read_list(NODES "/online");
	has_cpu = read_list(NODES "/has_cpu");
	cpus = read_list("/sys/devices/system/cpu/online");
	for (int node = 0; node < MAX_NODES; node++) {
		struct set list, map;
		char text[4096];

		if (!has(&online, node))
			continue;
		list = read_list(node_path(node, "cpulist"));
		CHECK_EQ(empty(&list), !has(&has_cpu, node));
		CHECK(proc_read(node_path(node, "cpumap"), text, sizeof(text)) > 0);
		CHECK(parse_map(text, &map));
		CHECK(!memcmp(&map, &list, sizeof(map)));
		for (int i = 0; i < WORDS; i++) {
			CHECK((seen.bits[i] & list.bits[i]) == 0);
			seen.bits[i] |= list.bits[i];
		}
	}
	CHECK(!memcmp(&seen, &cpus, sizeof(cpus)));
}

/* KiB of a line "Node 0 MemTotal:  1234 kB". */
static bool node_memory(int node, const char *name, uint64_t *kib)
{
	char text[8192], key[64], unit[4];
	unsigned long long value;
	const char *line;

	if (proc_read(node_path(node, "meminfo"), text, sizeof(text)) <= 0)
		return false;
	snprintf(key, sizeof(key), "Node %d %s:", node, name);
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), "%llu %3s", &value, unit) != 2 || strcmp(unit, "kB"))
		return false;
	*kib = value;
	return true;
}

static void memory_adds_up(void)
{
	uint64_t sum = 0, total = 0;
	struct set online, has_memory;

	need_nodes();
	online = read_list(NODES "/online");
	has_memory = read_list(NODES "/has_memory");
	for (int node = 0; node < MAX_NODES; node++) {
		uint64_t all = 0, free = 0, used = 0;

		if (!has(&online, node))
			continue;
		CHECK(node_memory(node, "MemTotal", &all));
		CHECK(node_memory(node, "MemFree", &free) && node_memory(node, "MemUsed", &used));
		CHECK(free <= all && used <= all);
		CHECK_EQ(all != 0, has(&has_memory, node));
		sum += all;
	}
	CHECK(proc_file_value("/proc/meminfo", "MemTotal", &total));
	/* Elsewhere the two may count differently, in a container for one. */
	if (ktap_on_exeunt())
		CHECK_EQ(sum, total);
}

static void distances(void)
{
	struct set online;

	need_nodes();
	online = read_list(NODES "/online");
	for (int node = 0; node < MAX_NODES; node++) {
		char text[8192], *at = text;

		if (!has(&online, node))
			continue;
		REQUIRE(proc_read(node_path(node, "distance"), text, sizeof(text)) > 0);
		for (int other = 0; other < MAX_NODES; other++) {
			char *end;
			long d;

			if (!has(&online, other))
				continue;
			d = strtol(at, &end, 10);
			CHECK(end != at && (*end == ' ' || *end == '\n'));
			CHECK(other == node ? d == 10 : d > 10 && d <= 255);
			at = end;
		}
		CHECK(!strcmp(at, "\n"));
	}
}

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static void getcpu_tells_the_node(void)
{
	cpu_set_t all;

	need_nodes();
	REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && cpu < MAX_NODES; cpu++) {
		unsigned int c = ~0u, node = ~0u;
		struct set list;

		if (!CPU_ISSET(cpu, &all))
			continue;
		REQUIRE(pin(cpu));
		CHECK_EQ(syscall(SYS_getcpu, &c, &node, NULL), 0);
		CHECK_EQ(c, cpu);
		REQUIRE(node < MAX_NODES);
		list = read_list(node_path((int)node, "cpulist"));
		CHECK(has(&list, cpu));
	}
}

/*
 * Touched memory comes from the node of the CPU that touches it, and goes back there. Others use memory too, so one try
 * of several must come out clean.
 */
static bool use_and_give_back(int node, size_t size)
{
	uint64_t before = 0, used = 0, after = 0, kib = size / 1024;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!CHECK(p != MAP_FAILED))
		return false;
	(void)madvise(p, size, MADV_NOHUGEPAGE);
	node_memory(node, "MemFree", &before);
	for (size_t at = 0; at < size; at += 4096)
		p[at] = 1;
	node_memory(node, "MemFree", &used);
	munmap(p, size);
	for (int i = 0; i < 20 && after + kib / 4 < before; i++) {
		node_memory(node, "MemFree", &after);
		msleep(5);
	}
	return used + kib * 3 / 4 < before && after + kib / 4 >= before;
}

static void memory_is_local(void)
{
	const size_t size = (size_t)16 << 20;
	struct set online;

	need_nodes();
	online = read_list(NODES "/online");
	for (int node = 0; node < MAX_NODES; node++) {
		struct set list;
		uint64_t free = 0;
		int cpu = 0;
		bool clean = false;

		if (!has(&online, node) || !node_memory(node, "MemFree", &free) || free < 4 * (size >> 10))
			continue;
		list = read_list(node_path(node, "cpulist"));
		while (cpu < CPU_SETSIZE && !(has(&list, cpu) && pin(cpu)))
			cpu++;
		for (int attempt = 0; cpu < CPU_SETSIZE && attempt < 8 && !clean; attempt++)
			clean = use_and_give_back(node, size);
		if (!clean && !ktap_on_exeunt())
			SKIP("others use too much memory at the same time");
		if (cpu < CPU_SETSIZE && !CHECK(clean))
			diag("  node %d, CPU %d", node, cpu);
	}
}

/* Every page that is taken counts as a hit or a miss, and as local or not. */
static void counters(void)
{
	static const char *const names[] = { "numa_hit", "numa_miss", "numa_local", "numa_other" };
	uint64_t before[4], after[4];

	if (!proc_file_value("/proc/vmstat", names[0], &before[0]) && !ktap_on_exeunt())
		SKIP("this kernel counts none");
	for (int i = 0; i < 4; i++)
		CHECK(proc_file_value("/proc/vmstat", names[i], &before[i]));
	(void)use_and_give_back(0, (size_t)8 << 20);
	for (int i = 0; i < 4; i++) {
		CHECK(proc_file_value("/proc/vmstat", names[i], &after[i]));
		CHECK(after[i] >= before[i]);
	}
	CHECK(after[0] + after[1] >= before[0] + before[1] + 1024);
	CHECK(after[2] + after[3] >= before[2] + before[3] + 1024);
}

static void status_names_the_nodes(void)
{
	char text[8192], *at;
	struct set allowed, online;

	need_nodes();
	online = read_list(NODES "/online");
	REQUIRE(proc_read("/proc/self/status", text, sizeof(text)) > 0);
	at = strstr(text, "\nMems_allowed_list:\t");
	REQUIRE(at);
	at += strlen("\nMems_allowed_list:\t");
	strchr(at, '\n')[1] = '\0';
	REQUIRE(parse_list(at, &allowed));
	CHECK(!empty(&allowed));
	for (int i = 0; i < WORDS && ktap_on_exeunt(); i++)
		CHECK(allowed.bits[i] == online.bits[i]);
}

static const struct ktap_case cases[] = {
	CASE(online_nodes_are_listed),
	CASE(cpus_belong_to_one_node),
	CASE(memory_adds_up),
	CASE(distances),
	CASE(getcpu_tells_the_node),
	CASE(memory_is_local),
	CASE(counters),
	CASE(status_names_the_nodes),
};

KTAP_MAIN(cases)
