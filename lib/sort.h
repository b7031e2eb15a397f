/*
 * Sorting in place without memory: heapsort, O(n log n) in the worst case, not stable.
 */
#pragma once

#include "lib/types.h"

/* Sorts n elements of size bytes, ascending by cmp (negative, zero, positive as strcmp). */
void sort(void *base, size_t n, size_t size, int (*cmp)(const void *a, const void *b));
