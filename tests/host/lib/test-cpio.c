/*
 * lib/cpio.h: archives written from a table and read back; malformed ones; damaged ones under the sanitizer.
 */
#include "lib/cpio.h"
#include "lib/errno.h"
#include "tests/host/lib/test.h"

#define ENTRIES	12
#define ROOM	(64 * 1024)

struct image {
	u8 bytes[ROOM];
	size_t size;
};

static void put(struct image *image, const void *data, size_t n)
{
	memcpy(image->bytes + image->size, data, n);
	image->size += n;
}

static void pad(struct image *image, size_t to)
{
	while (image->size % to)
		image->bytes[image->size++] = 0;
}

static void put_entry(struct image *image, const struct cpio_entry *e)
{
	char header[9];
	u32 fields[] = { e->ino,  e->mode,	e->uid,	      e->gid,	     e->nlink,	    e->mtime,
			 e->size, e->dev_major, e->dev_minor, e->rdev_major, e->rdev_minor, (u32)e->namelen + 1,
			 0 };
	bool upper = one_in(2);

	put(image, "070701", 6);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		sprintf(header, upper ? "%08X" : "%08x", fields[i]);
		put(image, header, 8);
	}
	put(image, e->name, e->namelen + 1);
	pad(image, 4);
	put(image, e->data, e->size);
	pad(image, 4);
}

static void put_file(struct image *image, const char *name, const char *data)
{
	struct cpio_entry e = { .name = name, .namelen = strlen(name), .data = data, .size = (u32)strlen(data) };

	put_entry(image, &e);
}

static void check_equal(const struct cpio_entry *a, const struct cpio_entry *b)
{
	CHECK(a->namelen == b->namelen && !strcmp(a->name, b->name));
	CHECK(a->size == b->size && !memcmp(a->data, b->data, a->size));
	CHECK(a->ino == b->ino && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->nlink == b->nlink);
	CHECK(a->mtime == b->mtime && a->dev_major == b->dev_major && a->dev_minor == b->dev_minor);
	CHECK(a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor);
}

/* Fills entries with random ones, whose names and data are in room. */
static size_t random_entries(struct cpio_entry *entries, char *room)
{
	size_t n = rng_below(ENTRIES);

	for (size_t i = 0; i < n; i++) {
		size_t namelen = 1 + rng_below(20), size = one_in(2) ? 0 : rng_below(200);

		entries[i] = (struct cpio_entry){
			.name = room, .namelen = namelen, .data = room + namelen + 1, .size = (u32)size,
			.ino = (u32)rng(), .mode = (u32)rng(), .uid = (u32)rng(), .gid = (u32)rng(),
			.nlink = (u32)rng(), .mtime = (u32)rng(), .dev_major = (u32)rng(), .dev_minor = (u32)rng(),
			.rdev_major = (u32)rng(), .rdev_minor = (u32)rng(),
		};
		for (size_t c = 0; c < namelen; c++)
			room[c] = (char)('a' + rng_below(26));
		room[namelen] = 0;
		for (size_t c = 0; c < size; c++)
			room[namelen + 1 + c] = (char)rng();
		room += namelen + 1 + size;
	}
	return n;
}

/* An image of up to three archives. Fills entries with what is in them; returns how many. */
static size_t random_image(struct image *image, struct cpio_entry *entries, char *room)
{
	size_t archives = rng_below(4), n = 0;

	image->size = 0;
	while (archives--) {
		size_t more = random_entries(entries + n, room + n * 256);

		for (size_t i = 0; i < more; i++)
			put_entry(image, &entries[n + i]);
		n += more;
		put_file(image, "TRAILER!!!", "");
		pad(image, one_in(2) ? 512 : 4);
		if (one_in(3)) {
			memset(image->bytes + image->size, 0, 24);
			image->size += 24;
		}
	}
	return n;
}

void test_cpio_model(void)
{
	static struct image image;
	static char room[4 * ENTRIES * 256];

	for (unsigned int round = 0; round < rounds(500); round++) {
		struct cpio_entry entries[4 * ENTRIES], entry;
		size_t n = random_image(&image, entries, room);
		u8 *copy = exact_copy(image.bytes, image.size);
		struct cpio_iter it;

		cpio_init(&it, copy, image.size);
		for (size_t i = 0; i < n; i++) {
			CHECK(cpio_next(&it, &entry) == 1, "entry %zu at %zu", i, it.pos);
			check_equal(&entry, &entries[i]);
		}
		CHECK(cpio_next(&it, &entry) == 0 && cpio_next(&it, &entry) == 0);
		free(copy);
	}
}

/* Writes an archive of two files, lets the caller change it, and expects an error in the entry at `where`. */
static void expect_error(const char *what, size_t size, size_t where, size_t at, const char *bytes)
{
	static struct image image;
	struct cpio_entry entry;
	struct cpio_iter it;
	u8 *copy;
	int found;

	memset(&image, 0, sizeof(image));
	put_file(&image, "one", "first");
	CHECK(image.size == 124);
	put_file(&image, "two", "second");
	CHECK(image.size == 248);
	put_file(&image, "TRAILER!!!", "");
	CHECK(image.size == 372);
	memcpy(image.bytes + at, bytes, strlen(bytes));
	copy = exact_copy(image.bytes, size);
	cpio_init(&it, copy, size);
	do {
		found = cpio_next(&it, &entry);
	} while (found == 1);
	CHECK(found == -EINVAL && it.pos == where, "%s: %d at %zu", what, found, it.pos);
	CHECK(cpio_next(&it, &entry) == -EINVAL && it.pos == where, "%s: not said again", what);
	free(copy);
}

void test_cpio_malformed(void)
{
	struct cpio_entry entry;
	struct cpio_iter it;

	cpio_init(&it, NULL, 0);
	CHECK(cpio_next(&it, &entry) == 0);
	cpio_init(&it, "\0\0\0\0\0\0\0", 7);
	CHECK(cpio_next(&it, &entry) == 0);

	expect_error("magic", 372, 0, 0, "070707");
	expect_error("magic of the checksummed kind", 372, 124, 124, "070702");
	expect_error("no number", 372, 124, 124 + 6, "0000000g");
	expect_error("a sign", 372, 124, 124 + 14, "-0000001");
	expect_error("a space", 372, 124, 124 + 14, "       1");
	expect_error("name too short", 372, 124, 124 + 94, "00000003");
	expect_error("name too long", 372, 124, 124 + 94, "00000005");
	expect_error("name endless", 372, 124, 124 + 94, "ffffffff");
	expect_error("name empty", 372, 124, 124 + 94, "00000001");
	expect_error("name of no bytes", 372, 124, 124 + 94, "00000000");
	expect_error("data beyond the end", 372, 124, 124 + 54, "00000100");
	expect_error("data endless", 372, 124, 124 + 54, "ffffffff");
	expect_error("data longer than it is", 372, 252, 124 + 54, "00000009");
	expect_error("no trailer", 248, 248, 0, "");
	expect_error("end in a header", 248 + 50, 248, 0, "");
	expect_error("end in a name", 248 + 115, 248, 0, "");
	expect_error("end in data", 240, 124, 0, "");
	expect_error("bytes behind the trailer", 376, 372, 372, "x");
}

void test_cpio_damaged(void)
{
	static struct image image;
	static char room[4 * ENTRIES * 256];

	for (unsigned int round = 0; round < rounds(5000); round++) {
		struct cpio_entry entries[4 * ENTRIES], entry;
		struct cpio_iter it;
		size_t size, n = 0;
		u32 sum = 0;
		u8 *copy;
		int found;

		if (round % 50 == 0)
			random_image(&image, entries, room);
		size = one_in(4) ? rng_below(image.size + 1) : image.size;
		copy = exact_copy(image.bytes, size);
		damage(copy, size);
		cpio_init(&it, copy, size);
		while ((found = cpio_next(&it, &entry)) == 1) {
			CHECK(strlen(entry.name) == entry.namelen);
			for (u32 i = 0; i < entry.size; i++)
				sum += ((const u8 *)entry.data)[i];
			CHECK(n++ <= size / 110 && it.pos <= size);
		}
		CHECK(found == 0 || found == -EINVAL);
		CHECK(sum < UINT_MAX);
		free(copy);
	}
}
