/*
 * t_procfs: /proc as Linux programs parse it, line by line.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/sysinfo.h>

#include "tests/user/ktap.h"
#include "tests/user/maps.h"

static char text[1 << 18];

static void must_read(const char *path)
{
	long n = proc_read(path, text, sizeof(text));

	if (!CHECK(n > 0)) {
		diag("  %s", path);
		_exit(1);
	}
	if (n > 0)
		CHECK_EQ(text[n - 1], '\n');
}

/* Take the next line of the text; NULL at its end. */
static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (!*line || !end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

/* Is s a decimal number and nothing else? */
static bool is_number(const char *s)
{
	return *s && strspn(s, "0123456789") == strlen(s);
}

static void meminfo(void)
{
	uint64_t total = 0, available = 0, free = 0;
	struct sysinfo si;
	char *at = text, *line;

	must_read("/proc/meminfo");
	CHECK(proc_value(text, "MemTotal", &total) && proc_value(text, "MemFree", &free));
	CHECK(proc_value(text, "MemAvailable", &available));
	CHECK(total > 1024 && free <= total && available <= total && free > 0);
	while ((line = next_line(&at))) {
		char name[64], unit[8] = "";
		unsigned long long value;
		int n = sscanf(line, "%63[^:]: %llu %7s", name, &value, unit);

		if (!CHECK((n == 3 && !strcmp(unit, "kB")) || (n == 2 && !strncmp(name, "HugePages_", 10))))
			diag("  %s", line);
	}
	if (sysinfo(&si) == 0) {
		CHECK_EQ((uint64_t)si.totalram * si.mem_unit / 1024, total);
		CHECK(si.uptime >= 0 && si.procs > 0);
	}
}

/* MemFree falls by what is touched and comes back. Others use memory too, so one try of several must come out clean. */
static void meminfo_follows_use(void)
{
	const size_t size = (size_t)32 << 20;
	uint64_t before = 0, used = 0, after = 0;

	for (int attempt = 0; attempt < 8; attempt++) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		REQUIRE(p != MAP_FAILED);
		before = mem_free_kib();
		memset(p, 1, size);
		used = mem_free_kib();
		munmap(p, size);
		for (int i = 0; i < 50 && (after = mem_free_kib()) < used + (24 << 10); i++)
			msleep(10);
		if (before >= used + (24 << 10) && before < used + (64 << 10) && after >= used + (24 << 10))
			return;
	}
	if (!ktap_on_exeunt())
		SKIP("this kernel keeps freed pages in lists that MemFree leaves out");
	CHECK(!"MemFree follows");
	diag("  %llu KiB before, %llu used, %llu after", (unsigned long long)before, (unsigned long long)used,
	     (unsigned long long)after);
}

static void cpuinfo(void)
{
	int n = 0;
	char *at = text, *line;

	must_read("/proc/cpuinfo");
	while ((line = next_line(&at))) {
		int id;

		if (sscanf(line, "processor : %d", &id) == 1)
			CHECK_EQ(id, n++);
		if (!CHECK(!*line || strchr(line, ':')))
			diag("  %s", line);
	}
	CHECK_EQ(n, cpus_online());
}

static void stat_lines(void)
{
	int cpus = 0, totals = 0;
	uint64_t value;
	char *at = text, *line;

	must_read("/proc/stat");
	CHECK(proc_value(text, "ctxt", &value) && value > 0);
	CHECK(proc_value(text, "btime", &value));
	CHECK(proc_value(text, "processes", &value) && value > 1);
	CHECK(proc_value(text, "procs_running", &value) && value >= 1);
	CHECK(proc_value(text, "procs_blocked", &value));
	CHECK(proc_value(text, "intr", &value));
	while ((line = next_line(&at))) {
		unsigned long long user, nice, system, idle, iowait, irq, softirq;
		char name[16];

		if (strncmp(line, "cpu", 3) != 0)
			continue;
		if (!CHECK(sscanf(line, "%15s %llu %llu %llu %llu %llu %llu %llu", name, &user, &nice, &system, &idle,
				  &iowait, &irq, &softirq) == 8))
			diag("  %s", line);
		if (!strcmp(name, "cpu"))
			totals++;
		else
			CHECK_EQ(atoi(name + 3), cpus++);
	}
	CHECK_EQ(totals, 1);
	CHECK_EQ(cpus, cpus_online());
}

static void stat_counts_forks(void)
{
	uint64_t before = 0, after = 0;
	pid_t pid;

	CHECK(proc_file_value("/proc/stat", "processes", &before));
	pid = must_fork();
	if (pid == 0)
		_exit(0);
	CHECK_EXIT(pid, 0);
	CHECK(proc_file_value("/proc/stat", "processes", &after));
	CHECK(after > before);
}

static void vmstat(void)
{
	uint64_t value;
	char *at = text, *line;

	must_read("/proc/vmstat");
	CHECK(proc_value(text, "nr_free_pages", &value) && value > 0);
	CHECK(proc_value(text, "pgfault", &value) && value > 0);
	while ((line = next_line(&at))) {
		char name[64], number[32], rest[2];

		if (!CHECK(sscanf(line, "%63s %31s %1s", name, number, rest) == 2 && is_number(number)))
			diag("  %s", line);
	}
}

static void uptime(void)
{
	unsigned long a, b, c, d, e, f;

	must_read("/proc/uptime");
	CHECK_EQ(sscanf(text, "%lu.%2lu %lu.%2lu\n", &a, &b, &c, &d), 4);
	msleep(30);
	must_read("/proc/uptime");
	CHECK_EQ(sscanf(text, "%lu.%2lu", &e, &f), 2);
	CHECK(e * 100 + f >= a * 100 + b + 2);
}

static void loadavg(void)
{
	unsigned int a, b, c, running, all, pid;

	if (access("/proc/loadavg", R_OK))
		SKIP("no loadavg");
	must_read("/proc/loadavg");
	CHECK_EQ(sscanf(text, "%u.%*2u %u.%*2u %u.%*2u %u/%u %u\n", &a, &b, &c, &running, &all, &pid), 6);
	CHECK(running <= all);
}

static void cmdline_and_version(void)
{
	must_read("/proc/cmdline");
	CHECK(strchr(text, '\n') == text + strlen(text) - 1);
	if (!access("/proc/version", R_OK))
		must_read("/proc/version");
}

static void interrupts(void)
{
	int columns = 0, rows = 0;
	char *at = text, *line, *save, *word;

	must_read("/proc/interrupts");
	line = next_line(&at);
	REQUIRE(line);
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		CHECK(!strncmp(word, "CPU", 3) && is_number(word + 3));
		columns++;
	}
	CHECK_EQ(columns, cpus_online());
	while ((line = next_line(&at))) {
		int counts = 0;

		word = strtok_r(line, " ", &save);
		if (!CHECK(word && word[strlen(word) - 1] == ':'))
			diag("  %s", line);
		while ((word = strtok_r(NULL, " ", &save)) && is_number(word))
			counts++;
		/* Linux ends some rows of counters early (ERR, MIS). */
		CHECK(counts == columns || counts == 1 || counts > columns);
		rows++;
	}
	CHECK(rows > 0);
}

static void mounts(void)
{
	bool root = false, proc = false;
	char *at = text, *line;

	must_read("/proc/mounts");
	while ((line = next_line(&at))) {
		char source[256], dir[256], type[64], options[1024], rest[2];
		int a, b;

		if (!CHECK(sscanf(line, "%255s %255s %63s %1023s %d %d %1s", source, dir, type, options, &a, &b,
				  rest) == 6))
			diag("  %s", line);
		root |= !strcmp(dir, "/");
		proc |= !strcmp(dir, "/proc") && !strcmp(type, "proc");
	}
	CHECK(root);
	CHECK(proc);
}

static void sys_vm(void)
{
	struct dirent *e;
	int n = 0;
	DIR *d;

	must_read("/proc/sys/vm/overcommit_memory");
	CHECK(text[0] >= '0' && text[0] <= '2' && text[1] == '\n');
	d = opendir("/proc/sys/vm");
	REQUIRE(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	CHECK(n > 0);
}

/* Every knob reads as one line, and refuses nonsense without changing. */
static void sys_vm_refuses_nonsense(void)
{
	struct dirent *e;
	DIR *d;

	if (!ktap_on_exeunt())
		SKIP("another kernel");
	d = opendir("/proc/sys/vm");
	REQUIRE(d);
	while ((e = readdir(d))) {
		char path[300], before[128], after[128];
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/sys/vm/%s", e->d_name);
		if (!CHECK(proc_read(path, before, sizeof(before)) > 0))
			continue;
		fd = open(path, O_WRONLY);
		if (fd < 0)
			continue;
		if (!(CHECK_ERR(write(fd, "no-such-value\n", 14), EINVAL)))
			diag("  %s", path);
		close(fd);
		CHECK(proc_read(path, after, sizeof(after)) > 0 && !strcmp(before, after));
	}
	closedir(d);
}

static void self_is_a_link(void)
{
	char buf[32], pid[16];
	ssize_t n = readlink("/proc/self", buf, sizeof(buf) - 1);

	REQUIRE(n > 0);
	buf[n] = '\0';
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	CHECK(!strcmp(buf, pid));
}

static void self_status(void)
{
	uint64_t value;
	char *at = text, *line, state = 0;

	must_read("/proc/self/status");
	CHECK(proc_value(text, "Pid", &value) && value == (uint64_t)getpid());
	CHECK(proc_value(text, "Tgid", &value) && value == (uint64_t)getpid());
	CHECK(proc_value(text, "PPid", &value) && value == (uint64_t)getppid());
	CHECK(proc_value(text, "Threads", &value) && value == 1);
	CHECK(proc_value(text, "VmSize", &value) && value > 0);
	CHECK(proc_value(text, "VmRSS", &value) && value > 0);
	CHECK(!strncmp(text, "Name:\tt_procfs\n", 15));
	CHECK(strstr(text, "\nState:\t") && sscanf(strstr(text, "\nState:\t"), " State: %c (", &state) == 1);
	CHECK_EQ(state, 'R');
	while ((line = next_line(&at))) {
		char *colon = strchr(line, ':');

		if (!CHECK(colon && colon[1] == '\t'))
			diag("  %s", line);
	}
}

static void self_stat(void)
{
	int pid, ppid, fields = 0;
	unsigned long utime = 0, stime = 0, vsize = 0;
	long threads = 0, rss = 0;
	char comm[32], state, *rest, *save;

	must_read("/proc/self/stat");
	CHECK_EQ(sscanf(text, "%d (%31[^)]) %c %d", &pid, comm, &state, &ppid), 4);
	CHECK_EQ(pid, getpid());
	CHECK(!strcmp(comm, "t_procfs"));
	CHECK_EQ(state, 'R');
	CHECK_EQ(ppid, getppid());
	rest = strrchr(text, ')') + 2;
	for (char *word = strtok_r(rest, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		int field = 3 + fields++;

		if (field > 3)
			CHECK(is_number(word[0] == '-' ? word + 1 : word));
		if (field == 14)
			utime = strtoul(word, NULL, 10);
		else if (field == 15)
			stime = strtoul(word, NULL, 10);
		else if (field == 20)
			threads = strtol(word, NULL, 10);
		else if (field == 23)
			vsize = strtoul(word, NULL, 10);
		else if (field == 24)
			rss = strtol(word, NULL, 10);
	}
	CHECK_EQ(fields, 50);
	CHECK_EQ(threads, 1);
	CHECK(utime < 100000 && stime < 100000);
	CHECK(vsize > 65536 && vsize % page_bytes() == 0);
	CHECK(rss > 5 && (unsigned long)rss * page_bytes() <= vsize);
}

static long resident_kib(void)
{
	uint64_t kib = 0;

	CHECK(proc_file_value("/proc/self/status", "VmRSS", &kib));
	return (long)kib;
}

static void sizes_follow_use(void)
{
	const size_t size = (size_t)16 << 20;
	unsigned long pages, resident, shared, code, lib, data, dirty;
	uint64_t vm_before = 0, vm_after = 0;
	long before = resident_kib(), mapped, touched, released;
	char *p;

	CHECK(proc_file_value("/proc/self/status", "VmSize", &vm_before));
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(p != MAP_FAILED);
	CHECK(proc_file_value("/proc/self/status", "VmSize", &vm_after));
	CHECK_EQ(vm_after - vm_before, size / 1024);
	mapped = resident_kib();
	memset(p, 1, size);
	touched = resident_kib();
	must_read("/proc/self/statm");
	CHECK_EQ(sscanf(text, "%lu %lu %lu %lu %lu %lu %lu\n", &pages, &resident, &shared, &code, &lib, &data, &dirty),
		 7);
	CHECK_EQ(pages * page_bytes() / 1024, vm_after);
	CHECK(resident * page_bytes() / 1024 >= (size >> 10) - 1024);
	CHECK_EQ(madvise(p, size, MADV_DONTNEED), 0);
	released = resident_kib();
	/* Linux may be off by what its CPUs have not yet summed up. */
	CHECK(mapped - before < 1024);
	CHECK(touched - mapped >= (16 << 10) - 1024);
	CHECK(touched - released >= (16 << 10) - 1024);
}

struct seen {
	bool code, data, stack, name;
};

static void look(const struct map_entry *e, void *arg)
{
	struct seen *seen = arg;
	uintptr_t code = (uintptr_t)look, data = (uintptr_t)text, stack = (uintptr_t)&e;

	if (code >= e->start && code < e->end) {
		seen->code = !strcmp(e->perms, "r-xp");
		seen->name = strstr(e->name, "t_procfs");
	}
	if (data >= e->start && data < e->end)
		seen->data = !strcmp(e->perms, "rw-p");
	if (stack >= e->start && stack < e->end)
		seen->stack = !strcmp(e->perms, "rw-p") && !strcmp(e->name, "[stack]");
}

static void self_maps(void)
{
	struct seen seen = { 0 };

	CHECK(maps_walk(look, &seen) >= 4);
	CHECK(seen.code);
	CHECK(seen.data);
	CHECK(seen.stack);
	CHECK(seen.name);
}

static void self_exe(void)
{
	char buf[PATH_MAX], magic[4];
	ssize_t n = readlink("/proc/self/exe", buf, sizeof(buf) - 1);
	int fd;

	REQUIRE(n > 0);
	buf[n] = '\0';
	CHECK_EQ(buf[0], '/');
	CHECK(!strcmp(basename(buf), "t_procfs"));
	fd = open("/proc/self/exe", O_RDONLY);
	CHECK(fd >= 0);
	CHECK(read(fd, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4));
	close(fd);
}

static void self_cmdline(void)
{
	char buf[64];
	int fds[2];
	pid_t pid;

	REQUIRE(pipe(fds) == 0);
	pid = must_fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execl("/proc/self/exe", "zero", "--cmdline", "two words", "", (char *)NULL);
		_exit(1);
	}
	close(fds[1]);
	CHECK_EQ(read(fds[0], buf, sizeof(buf)), 26);
	CHECK(!memcmp(buf, "zero\0--cmdline\0two words\0\0", 26));
	CHECK_EXIT(pid, 0);
}

/* Reading in small pieces gives what reading at once gives. */
static void pieces(void)
{
	static const char *const files[] = { "/proc/self/maps", "/proc/self/cmdline", "/proc/cmdline", "/proc/mounts" };

	for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
		static char small[1 << 16], whole[1 << 16];
		long n = proc_read(files[f], whole, sizeof(whole)), at = 0;
		int fd = open(files[f], O_RDONLY);

		REQUIRE(n > 0 && fd >= 0);
		while (at < n && read(fd, small + at, 7 < n - at ? 7 : (size_t)(n - at)) > 0)
			at += 7 < n - at ? 7 : n - at;
		CHECK_EQ(at, n);
		CHECK(!memcmp(small, whole, (size_t)n));
		CHECK_EQ(read(fd, small, 10), 0);
		CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
		CHECK(read(fd, small, 4) == 4 && !memcmp(small, whole, 4));
		close(fd);
	}
}

static void listing(void)
{
	bool self = false, me = false, meminfo_seen = false;
	char pid[16];
	struct dirent *e;
	DIR *d = opendir("/proc");

	REQUIRE(d);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	while ((e = readdir(d))) {
		self |= !strcmp(e->d_name, "self");
		me |= !strcmp(e->d_name, pid);
		meminfo_seen |= !strcmp(e->d_name, "meminfo");
	}
	closedir(d);
	CHECK(self);
	CHECK(me);
	CHECK(meminfo_seen);
}

static void other_processes(void)
{
	char path[64];
	int fds[2], fd;
	uint64_t value;
	pid_t pid;
	char c;

	REQUIRE(pipe(fds) == 0);
	pid = must_fork();
	if (pid == 0) {
		close(fds[1]);
		_exit((int)read(fds[0], &c, 1));
	}
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	CHECK(proc_file_value(path, "PPid", &value) && value == (uint64_t)getpid());
	CHECK(proc_file_value(path, "VmRSS", &value) && value > 0);
	fd = open(path, O_RDONLY);
	close(fds[1]);
	CHECK_EXIT(pid, 0);
	/* The file was opened while there was a process behind it: Linux says ESRCH, another may have kept the text. */
	CHECK(read(fd, &c, 1) >= 0 || errno == ESRCH);
	close(fd);
	CHECK_ERR(open(path, O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/99999999/stat", O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/nothing", O_RDONLY), ENOENT);
	CHECK(open("/proc/newfile", O_WRONLY | O_CREAT, 0644) < 0);
	CHECK(unlink("/proc/meminfo") < 0);
}

static void exeunt_files(void)
{
	struct dirent *e;
	DIR *d;

	if (!ktap_on_exeunt())
		SKIP("another kernel");
	d = opendir("/proc/exeunt");
	REQUIRE(d);
	while ((e = readdir(d))) {
		char path[300];

		snprintf(path, sizeof(path), "/proc/exeunt/%s", e->d_name);
		if (e->d_name[0] != '.' && !CHECK(proc_read(path, text, sizeof(text)) >= 0))
			diag("  %s", path);
	}
	closedir(d);
}

static const struct ktap_case cases[] = {
	CASE(meminfo),
	CASE(meminfo_follows_use),
	CASE(cpuinfo),
	CASE(stat_lines),
	CASE(stat_counts_forks),
	CASE(vmstat),
	CASE(uptime),
	CASE(loadavg),
	CASE(cmdline_and_version),
	CASE(interrupts),
	CASE(mounts),
	CASE(sys_vm),
	CASE(sys_vm_refuses_nonsense),
	CASE(self_is_a_link),
	CASE(self_status),
	CASE(self_stat),
	CASE(sizes_follow_use),
	CASE(self_maps),
	CASE(self_exe),
	CASE(self_cmdline),
	CASE(pieces),
	CASE(listing),
	CASE(other_processes),
	CASE(exeunt_files),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--cmdline")) {
		long n = proc_read("/proc/self/cmdline", text, sizeof(text));

		return n < 0 || write(1, text, (size_t)n) != n;
	}
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
