/*
 * Heapsort, the children of element i being 2i + 1 and 2i + 2.
 */
#include "lib/sort.h"

static void swap(u8 *a, u8 *b, size_t size)
{
	if (is_aligned((uintptr_t)a | (uintptr_t)b | size, sizeof(u64))) {
		typedef u64 __attribute__((__may_alias__)) word_t;

		for (; size; size -= sizeof(u64), a += sizeof(u64), b += sizeof(u64)) {
			u64 t = *(word_t *)a;

			*(word_t *)a = *(word_t *)b;
			*(word_t *)b = t;
		}
		return;
	}
	for (; size; size--, a++, b++) {
		u8 t = *a;

		*a = *b;
		*b = t;
	}
}

/* Lets element i of a heap of n sink until none of its children is larger. */
static void sink(u8 *base, size_t i, size_t n, size_t size, int (*cmp)(const void *a, const void *b))
{
	size_t child;

	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && cmp(base + child * size, base + (child + 1) * size) < 0)
			child++;
		if (cmp(base + i * size, base + child * size) >= 0)
			return;
		swap(base + i * size, base + child * size, size);
		i = child;
	}
}

void sort(void *base, size_t n, size_t size, int (*cmp)(const void *a, const void *b))
{
	for (size_t i = n / 2; i-- > 0;)
		sink(base, i, n, size, cmp);
	while (n > 1) {
		n--;
		swap(base, (u8 *)base + n * size, size);
		sink(base, 0, n, size, cmp);
	}
}
