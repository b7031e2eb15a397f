/*
 * The kernel's lib/ctype.h as functions of other names, for test-string.c. Compiled freestanding.
 */
#include "lib/ctype.h"
#include "tests/host/lib/own-ctype.h"

#define WRAP(name) \
int own_##name(int c) \
{ \
	return name(c); \
}
OWN_CTYPE(WRAP)
