/*
 * Reading what the kernel says about itself in /proc, and sizes on a command line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Read a whole small file into buf and end it with a NUL. Uses open, read and close only, no allocation.
 * Returns the length (what does not fit is cut), or -1 with errno.
 */
long proc_read(const char *path, char *buf, size_t size);

/* As proc_read(), but only the first line, without its newline. */
long proc_read_line(const char *path, char *buf, size_t size);

/*
 * Find the line "KEY value" or "KEY: value" in text and convert its decimal value.
 * Returns false when there is no such line.
 */
bool proc_value(const char *text, const char *key, uint64_t *value);

/* proc_read() and proc_value() in one; false when the file or the key is missing. */
bool proc_file_value(const char *path, const char *key, uint64_t *value);

/* MemFree of /proc/meminfo in KiB, 0 when unknown. */
uint64_t mem_free_kib(void);

/* CPUs that are online, at least 1. */
int cpus_online(void);

/* "16M" to bytes; suffixes K, M, G, T. Returns false for anything malformed, zero, or too large for 64 bits. */
bool parse_size(const char *s, uint64_t *bytes);

/* A plain decimal number from min to max. Returns false for anything else. */
bool parse_count(const char *s, int min, int max, int *value);

/* 16777216 to "16 MiB"; exact multiples only, else bytes. */
const char *format_size(uint64_t bytes, char *buf, size_t size);
