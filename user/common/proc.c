/*
 * Readers of /proc without allocation, so that reading does not disturb what is measured.
 */
#include "user/common/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long proc_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int saved = errno;

			close(fd);
			errno = saved;
			return -1;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	buf[len] = '\0';
	return (long)len;
}

long proc_read_line(const char *path, char *buf, size_t size)
{
	if (proc_read(path, buf, size) < 0)
		return -1;
	buf[strcspn(buf, "\n")] = '\0';
	return (long)strlen(buf);
}

bool proc_value(const char *text, const char *key, uint64_t *value)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
		const char *p = line + len;
		char *end;

		if (strncmp(line, key, len) != 0 || (*p != ':' && *p != ' ' && *p != '\t'))
			continue;
		if (*p == ':')
			p++;
		p += strspn(p, " \t");
		errno = 0;
		*value = strtoull(p, &end, 10);
		return end != p && !errno;
	}
	return false;
}

bool proc_file_value(const char *path, const char *key, uint64_t *value)
{
	char buf[8192];

	return proc_read(path, buf, sizeof(buf)) >= 0 && proc_value(buf, key, value);
}

uint64_t mem_free_kib(void)
{
	uint64_t kib = 0;

	if (!proc_file_value("/proc/meminfo", "MemFree", &kib))
		return 0;
	return kib;
}

int cpus_online(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (int)n : 1;
}

bool parse_size(const char *s, uint64_t *bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	unsigned int shift = 0;
	unsigned long long n;
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || n == 0)
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end);
		if (!suffix || !*suffix || end[1])
			return false;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
	}
	if (n > UINT64_MAX >> shift)
		return false;
	*bytes = (uint64_t)n << shift;
	return true;
}

bool parse_count(const char *s, int min, int max, int *value)
{
	char *end;
	long n;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || *end || n < min || n > max)
		return false;
	*value = (int)n;
	return true;
}

const char *format_size(uint64_t bytes, char *buf, size_t size)
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	int u = 0;

	while (u < 4 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		u++;
	}
	snprintf(buf, size, "%llu %s", (unsigned long long)bytes, unit[u]);
	return buf;
}
