/*
 * Formatted output into a buffer. Never allocates, never takes a lock.
 *
 * %d %i %u %x %X %o %c %s %p %%, flags "-+ #0", width and precision (also *), lengths hh h l ll z j t. No floating
 * point, no %n: an unknown conversion is copied as it stands. %p prints 0x and hexadecimal digits, %s of a null pointer
 * "(null)". %pS prints an address as a symbol and an offset if the kernel has set a symbolizer.
 */
#pragma once

#include "lib/types.h"

/* Return the length that the whole text has, as C's snprintf does; the buffer is terminated unless size is 0. */
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list args) __printf(3, 0);
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/* Return the number of characters in the buffer, without the NUL. */
int kvscnprintf(char *buf, size_t size, const char *fmt, va_list args) __printf(3, 0);
int kscnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/*
 * Sets what writes the text of %pS: fn gets a buffer and an address, writes a terminated string such as
 * "page_alloc+0x1c/0x80", and returns its length, or a negative number if it knows nothing about the address.
 * It may be called in any context, panic included.
 */
void printf_set_symbolizer(int (*fn)(char *buf, size_t size, unsigned long addr));
