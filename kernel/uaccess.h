#pragma once
/*
 * User memory, checked. __user marks a pointer that must not be dereferenced. All of these may fault and sleep.
 */
#include <arch/pte.h>
#include <arch/trap.h>

#include "lib/errno.h"
#include "lib/types.h"

#define __user

static inline bool access_ok(const void __user *p, size_t n)
{
	return n <= USER_TOP && (uintptr_t)p <= USER_TOP - n;
}

/** 0 or -EFAULT. */
static inline __must_check int copy_from_user(void *dst, const void __user *src, size_t n)
{
	return access_ok(src, n) && !arch_copy_from_user(dst, src, n) ? 0 : -EFAULT;
}

static inline __must_check int copy_to_user(void __user *dst, const void *src, size_t n)
{
	return access_ok(dst, n) && !arch_copy_to_user(dst, src, n) ? 0 : -EFAULT;
}

static inline __must_check int clear_user(void __user *dst, size_t n)
{
	return access_ok(dst, n) && !arch_clear_user(dst, n) ? 0 : -EFAULT;
}

/** Bytes copied, which may be fewer than n: for read and write, which report partial success. */
static inline size_t copy_from_user_partial(void *dst, const void __user *src, size_t n)
{
	return access_ok(src, n) ? n - arch_copy_from_user(dst, src, n) : 0;
}

static inline size_t copy_to_user_partial(void __user *dst, const void *src, size_t n)
{
	return access_ok(dst, n) ? n - arch_copy_to_user(dst, src, n) : 0;
}

/**
 * Length without the NUL; -EFAULT; -ENAMETOOLONG if there is no NUL in the first n bytes. dst is then not terminated.
 */
long strncpy_from_user(char *dst, const char __user *src, size_t n);

/** No fault handling inside (they return "not copied" at once): for code under a spinlock. Nests. */
void pagefault_disable(void);
void pagefault_enable(void);
