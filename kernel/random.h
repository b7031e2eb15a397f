#pragma once
/* Random numbers that nobody can predict, as far as this machine has any entropy: kernel/fs/random.c. */
#include "lib/types.h"

/** Any context. */
void get_random_bytes(void *buf, size_t n);
