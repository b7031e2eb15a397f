/*
 * The frame of the host tests of lib/: cases are registered in main.c and run in order; CHECK() ends a case that
 * failed. Randomness comes from rng(), seeded for each case from the seed that is printed, so that it can be replayed.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/types.h"

#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			test_fail(__FILE__, __LINE__, #cond, ": " __VA_ARGS__); \
	} while (0)

__noreturn void test_fail(const char *file, int line, const char *cond, const char *fmt, ...) __printf(4, 5);

/* How often random sequences are repeated: n, times what --rounds says. */
unsigned int rounds(unsigned int n);

/* A random number; one below n; true once in n times. Independent of lib/random.c. */
u64 rng(void);
u64 rng_below(u64 n);
bool one_in(u64 n);

/* A copy in memory of exactly n bytes, so that the sanitizer sees a read behind the end. */
void *exact_copy(const void *data, size_t n);

/* Changes a few random bytes. */
void damage(void *data, size_t n);

/* The cases, in the file of what they test. */
#define CASES(X) \
	X(types_min_max) X(types_align) X(types_misc) X(err_pointers) \
	X(atomic_single) X(atomic_threads) \
	X(list_model) X(list_splice) X(hlist_model) X(llist_order) X(llist_threads) \
	X(rbtree_model) X(rbtree_augmented) X(rbtree_cached) X(rbtree_postorder) \
	X(bits_naive) X(bitmap_model) X(bitmap_ranges) X(bitmap_operations) X(bitmap_list) X(bitmap_list_malformed) \
	X(string_copies) X(string_edges) X(string_compare) X(string_search) X(string_bounded) X(string_numbers) \
	X(string_memparse) X(ctype_ascii) \
	X(printf_integers) X(printf_strings) X(printf_sequences) X(printf_pointers) X(printf_odd) \
	X(fdt_model) X(fdt_paths) X(fdt_reg_cells) X(fdt_malformed) X(fdt_damaged) X(fdt_build) \
	X(elf_valid) X(elf_malformed) X(elf_damaged) X(elf_changing_file) X(elf_self) \
	X(cpio_model) X(cpio_malformed) X(cpio_damaged) \
	X(cmdline_words) X(cmdline_options) X(cmdline_malformed) X(cmdline_random) \
	X(calendar) X(random_vectors) X(random_below) X(sort_model) X(hash_spread)

#define DECLARE_CASE(name) void test_##name(void);
CASES(DECLARE_CASE)
