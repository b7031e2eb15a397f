/* Growing text. */
#include "kernel/seq.h"

#include "lib/string.h"

void seq_write(struct seq *m, const void *p, size_t n)
{
	if (m->full || n > m->size - m->len) {
		m->full = true;
		return;
	}
	memcpy(m->buf + m->len, p, n);
	m->len += n;
}

void seq_printf(struct seq *m, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (m->full)
		return;
	va_start(ap, fmt);
	n = kvsnprintf(m->buf + m->len, m->size - m->len, fmt, ap);
	va_end(ap);
	if ((size_t)n >= m->size - m->len)
		m->full = true;
	else
		m->len += (size_t)n;
}

void seq_puts(struct seq *m, const char *s)
{
	seq_write(m, s, strlen(s));
}

void seq_putc(struct seq *m, char c)
{
	seq_write(m, &c, 1);
}
