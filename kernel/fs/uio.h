#pragma once
/*
 * The memory side of a read or write: segments of user memory, or kernel memory (exec, sendfile). Each copy moves the
 * uio on.
 */
#include "kernel/fs/uapi.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

struct uio {
	const struct uapi_iovec *iov;	/* current segment */
	size_t off;			/* done of it */
	size_t left;			/* bytes of all segments together */
	bool kernel;
	struct uapi_iovec one;		/* for the usual case */
};

static inline void uio_user(struct uio *u, const void __user *buf, size_t n)
{
	u->one = (struct uapi_iovec){ (void *)buf, n };
	u->iov = &u->one;
	u->off = 0;
	u->left = n;
	u->kernel = false;
}

static inline void uio_kernel(struct uio *u, const void *buf, size_t n)
{
	uio_user(u, buf, n);
	u->kernel = true;
}

/** Copy up to n bytes from (to, or zeroes to) the uio: bytes done, fewer if user memory faults. */
size_t uio_read_slow(struct uio *u, void *dst, size_t n);
size_t uio_write_slow(struct uio *u, const void *src, size_t n);
size_t uio_zero(struct uio *u, size_t n);
/** As if n bytes had been copied. */
void uio_skip(struct uio *u, size_t n);

/** What a writer gives: user to kernel. */
static inline size_t uio_get(struct uio *u, void *dst, size_t n)
{
	const struct uapi_iovec *v = u->iov;

	if (likely(!u->kernel && n <= u->left && n <= v->len - u->off)) {
		n = copy_from_user_partial(dst, (char *)v->base + u->off, n);
		u->off += n;
		u->left -= n;
		return n;
	}
	return uio_read_slow(u, dst, n);
}

/** What a reader gets: kernel to user. */
static inline size_t uio_put(struct uio *u, const void *src, size_t n)
{
	const struct uapi_iovec *v = u->iov;

	if (likely(!u->kernel && n <= u->left && n <= v->len - u->off)) {
		n = copy_to_user_partial((char *)v->base + u->off, src, n);
		u->off += n;
		u->left -= n;
		return n;
	}
	return uio_write_slow(u, src, n);
}
