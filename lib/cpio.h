/*
 * A reader of cpio archives in the "newc" format (magic 070701), as an initramfs has them: a memory image of one
 * archive, or several one after the other with zero bytes around them, or none. Nothing is copied; names and data
 * point into the image.
 */
#pragma once

#include "lib/types.h"

struct cpio_iter {
	const u8 *image;
	size_t size;
	size_t pos;		/* of the next entry, or, after an error, of the malformed one */
	bool inside;		/* an archive: its trailer has to follow */
};

struct cpio_entry {
	const char *name;	/* terminated; never empty */
	size_t namelen;		/* without the NUL */
	const void *data;
	u32 size;		/* of data, bytes */
	u32 ino;
	u32 mode;
	u32 uid;
	u32 gid;
	u32 nlink;
	u32 mtime;
	u32 dev_major, dev_minor;
	u32 rdev_major, rdev_minor;
};

void cpio_init(struct cpio_iter *it, const void *image, size_t size);

/*
 * Reads the next entry. Returns 1 with *entry filled, 0 at the end of the image, -EINVAL if it is malformed (then
 * it->pos is the offset of the malformed entry, and each further call says the same). Trailers are not returned.
 * The caller judges what the entries mean: modes, links, and names such as "../x".
 */
int cpio_next(struct cpio_iter *it, struct cpio_entry *entry);
