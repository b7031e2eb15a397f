/*
 * The kernel's classes of characters by the names own_isdigit() and so on.
 */
#pragma once

#define OWN_CTYPE(X) \
	X(isdigit) X(isupper) X(islower) X(isalpha) X(isalnum) X(isxdigit) X(isspace) X(isprint) X(tolower) X(toupper)

#define DECLARE_OWN(name) int own_##name(int c);
OWN_CTYPE(DECLARE_OWN)
