/*
 * cpio "newc": a header of 110 characters (a magic and thirteen 8-digit hexadecimal numbers), the name with its NUL,
 * padding to 4 bytes, the data, padding to 4 bytes. An archive ends with an entry of the name TRAILER!!!.
 */
#include "lib/cpio.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAGIC		"070701"
#define MAGIC_SIZE	6
#define DIGITS		8
#define TRAILER		"TRAILER!!!"

/* The numbers of a header, in their order. */
enum field {
	INO, MODE, UID, GID, NLINK, MTIME, FILESIZE, DEV_MAJOR, DEV_MINOR, RDEV_MAJOR, RDEV_MINOR, NAMESIZE, CHECK,
	FIELDS
};

#define HEADER_SIZE	(MAGIC_SIZE + FIELDS * DIGITS)

static int parse_hex(const u8 *digits, u32 *out)
{
	u32 value = 0;

	for (size_t i = 0; i < DIGITS; i++) {
		u8 c = digits[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (u32)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (u32)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			value = value << 4 | (u32)(c - 'A' + 10);
		else
			return -EINVAL;
	}
	*out = value;
	return 0;
}

void cpio_init(struct cpio_iter *it, const void *image, size_t size)
{
	it->image = image;
	it->size = size;
	it->pos = 0;
	it->inside = false;
}

/* Reads the entry at it->pos; *end is where the next one begins. Returns 0 or -EINVAL. */
static int read_entry(const struct cpio_iter *it, struct cpio_entry *entry, size_t *end)
{
	const u8 *header = it->image + it->pos;
	size_t left = it->size - it->pos, name_end, data_end;
	u32 field[FIELDS];

	if (it->pos % 4 || left < HEADER_SIZE || memcmp(header, MAGIC, MAGIC_SIZE))
		return -EINVAL;
	for (size_t i = 0; i < FIELDS; i++) {
		if (parse_hex(header + MAGIC_SIZE + i * DIGITS, &field[i]))
			return -EINVAL;
	}

	/* The NUL is counted; an empty name is none. */
	if (field[NAMESIZE] < 2 || field[NAMESIZE] > left - HEADER_SIZE)
		return -EINVAL;
	entry->name = (const char *)header + HEADER_SIZE;
	entry->namelen = field[NAMESIZE] - 1;
	if (strnlen(entry->name, field[NAMESIZE]) != entry->namelen)
		return -EINVAL;

	/* The sizes are 32 bits, so the sums do not wrap. The padding of the last entry may be cut off. */
	name_end = align_up((size_t)HEADER_SIZE + field[NAMESIZE], 4);
	data_end = name_end + field[FILESIZE];
	if (field[FILESIZE] && data_end > left)
		return -EINVAL;
	entry->data = header + min(name_end, left);
	entry->size = field[FILESIZE];
	entry->ino = field[INO];
	entry->mode = field[MODE];
	entry->uid = field[UID];
	entry->gid = field[GID];
	entry->nlink = field[NLINK];
	entry->mtime = field[MTIME];
	entry->dev_major = field[DEV_MAJOR];
	entry->dev_minor = field[DEV_MINOR];
	entry->rdev_major = field[RDEV_MAJOR];
	entry->rdev_minor = field[RDEV_MINOR];
	*end = it->pos + min(align_up(data_end, 4), left);
	return 0;
}

int cpio_next(struct cpio_iter *it, struct cpio_entry *entry)
{
	size_t end;

	do {
		if (!it->inside) {
			while (it->pos < it->size && !it->image[it->pos])
				it->pos++;
			if (it->pos == it->size)
				return 0;
		}
		if (read_entry(it, entry, &end))
			return -EINVAL;
		it->pos = end;
		it->inside = strcmp(entry->name, TRAILER) != 0;
	} while (!it->inside);
	return 1;
}
