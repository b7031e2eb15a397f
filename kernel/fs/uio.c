/* The slow ways through a uio: several segments, kernel memory. No locks. */
#include "kernel/fs/uio.h"

/* The part of the current segment that is left; steps over empty segments. 0 at the end. */
static size_t segment(struct uio *u, char **base)
{
	if (!u->left)
		return 0;
	while (u->off == u->iov->len) {
		u->iov++;
		u->off = 0;
	}
	*base = (char *)u->iov->base + u->off;
	return u->iov->len - u->off;
}

enum direction { GET, PUT, ZERO };

static size_t uio_move(struct uio *u, void *buf, size_t n, enum direction dir)
{
	size_t done = 0;
	char *base;

	while (done < n) {
		size_t len = min(segment(u, &base), n - done), got = len;
		char *at = buf ? (char *)buf + done : NULL;

		if (!len)
			break;
		if (u->kernel && dir == GET)
			memcpy(at, base, len);
		else if (u->kernel && dir == PUT)
			memcpy(base, at, len);
		else if (u->kernel)
			memset(base, 0, len);
		else if (dir == GET)
			got = copy_from_user_partial(at, base, len);
		else if (dir == PUT)
			got = copy_to_user_partial(base, at, len);
		else
			got = access_ok(base, len) ? len - arch_clear_user(base, len) : 0;
		u->off += got;
		u->left -= got;
		done += got;
		if (got < len)
			break;
	}
	return done;
}

size_t uio_read_slow(struct uio *u, void *dst, size_t n)
{
	return uio_move(u, dst, n, GET);
}

size_t uio_write_slow(struct uio *u, const void *src, size_t n)
{
	return uio_move(u, (void *)src, n, PUT);
}

size_t uio_zero(struct uio *u, size_t n)
{
	return uio_move(u, NULL, n, ZERO);
}

void uio_skip(struct uio *u, size_t n)
{
	char *base;

	while (n) {
		size_t len = min(segment(u, &base), n);

		if (!len)
			return;
		u->off += len;
		u->left -= len;
		n -= len;
	}
}
