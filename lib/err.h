/*
 * A negative errno in a pointer: the last 4095 addresses are never those of an object.
 */
#pragma once

#include "lib/errno.h"
#include "lib/types.h"

#define MAX_ERRNO	4095

static __always_inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static __always_inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static __always_inline bool IS_ERR(const void *ptr)
{
	return unlikely((unsigned long)ptr >= (unsigned long)-MAX_ERRNO);
}

static __always_inline bool IS_ERR_OR_NULL(const void *ptr)
{
	return unlikely(!ptr) || IS_ERR(ptr);
}

static __always_inline int PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? (int)PTR_ERR(ptr) : 0;
}

/* An error pointer as a pointer to another type. */
static __always_inline void *ERR_CAST(const void *ptr)
{
	return (void *)ptr;
}
