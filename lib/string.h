/*
 * Memory and strings. In the kernel the standard functions are our own, in plain C and weak, so that a port can have
 * better ones; on the host they are the C library's. There is no strcpy, strcat, strncpy or sprintf: a copy knows the
 * room that it has.
 */
#pragma once

#include "lib/types.h"

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);
/* Cuts *s at the first of the delimiters and moves *s behind it; returns the piece, null when there is none left. */
char *strsep(char **s, const char *delimiters);

/* So that the compiler can expand small copies in place, which -ffreestanding alone forbids. */
#define memcpy(...)	__builtin_memcpy(__VA_ARGS__)
#define memmove(...)	__builtin_memmove(__VA_ARGS__)
#define memset(...)	__builtin_memset(__VA_ARGS__)
#define memcmp(...)	__builtin_memcmp(__VA_ARGS__)
#define strlen(...)	__builtin_strlen(__VA_ARGS__)
#endif

/* The first byte that is not c, or null. */
void *memchr_inv(const void *s, int c, size_t n);

/* Copies with termination. Returns the length of what was copied, or -E2BIG if it was cut (or size is 0). */
long strscpy(char *dst, const char *src, size_t size);
/* The same at the end of the string that is in dst. Returns the length of the whole. */
long strscat(char *dst, const char *src, size_t size);
/* Copies with termination. Returns strlen(src): it was cut if that is not below size. */
size_t strlcpy(char *restrict dst, const char *restrict src, size_t size);

/* Does s begin with prefix? */
bool strstarts(const char *s, const char *prefix);
/* The first character that is not white space. */
char *skip_spaces(const char *s);

/*
 * Numbers. The whole string has to be one, but for one newline at its end. base 0 takes 0x and 0 prefixes as C does.
 * They return 0, -EINVAL if it is no number, -ERANGE if it does not fit; *out changes only with 0.
 */
int kstrtoul(const char *s, int base, unsigned long *out);
int kstrtol(const char *s, int base, long *out);

/* A size in bytes with an optional suffix K, M, G, T, P, E (powers of 1024, either case): "64M", "0x1000", "1g". */
int memparse(const char *s, u64 *out);
