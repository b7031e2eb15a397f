#pragma once
/*
 * Text that grows: what /proc files and reports are written into. Overflow is remembered, not an error to the writer.
 */
#include "lib/printf.h"
#include "lib/types.h"

struct seq {
	char *buf;
	size_t size, len;
	bool full;	/* something did not fit: the caller enlarges the buffer and starts again */
};

void seq_printf(struct seq *m, const char *fmt, ...) __printf(2, 3);
void seq_puts(struct seq *m, const char *s);
void seq_putc(struct seq *m, char c);
void seq_write(struct seq *m, const void *p, size_t n);
