/*
 * See fdt_build.h. Behind the header comes an empty list of reservations, then the structure block, then the strings.
 */
#include "lib/fdt_build.h"

#include "lib/byteorder.h"
#include "lib/string.h"

#define BEGIN_NODE 1u
#define END_NODE   2u
#define PROP	   3u
#define END	   9u

#define RESERVATIONS 40u
#define STRUCTURE    (RESERVATIONS + 16)

static void cell(struct fdt_build *b, u32 at, u32 v)
{
	v = cpu_to_be32(v);
	memcpy(b->base + at, &v, 4);
}

static void put(struct fdt_build *b, u32 v)
{
	cell(b, b->at, v);
	b->at += 4;
}

/* Bytes for the caller, padding behind them zeroed. */
static void *take(struct fdt_build *b, u32 bytes)
{
	u8 *p = b->base + b->at;

	b->at += align_up(bytes, 4u);
	memset(p + bytes, 0, align_up(bytes, 4u) - bytes);
	return p;
}

/* Besides, there must be room to end the open nodes (and one more) and the tree. */
static bool room(struct fdt_build *b, u64 bytes)
{
	if (b->at + align_up(bytes, 4ull) + 4ull * (b->depth + 2) > b->strings)
		b->full = true;
	return !b->full;
}

/* The offset of a name among the strings. */
static u32 intern(struct fdt_build *b, const char *name)
{
	char *strings = (char *)b->base + b->strings;
	u32 at = 0, len = (u32)strlen(name) + 1;

	while (at < b->strings_size) {
		if (!strcmp(strings + at, name))
			return at;
		at += (u32)strlen(strings + at) + 1;
	}
	if (len > b->size - b->strings - at) {
		b->full = true;
		return 0;
	}
	memcpy(strings + at, name, len);
	b->strings_size += len;
	return at;
}

void fdt_build_start(struct fdt_build *b, void *mem, u32 size)
{
	*b = (struct fdt_build){ .base = mem, .size = size, .at = STRUCTURE, .strings = size - size / 16 };
	memset(mem, 0, STRUCTURE);
}

bool fdt_build_node(struct fdt_build *b, const char *name)
{
	u32 len = (u32)strlen(name) + 1;

	if (!room(b, 4 + (u64)len))
		return false;
	put(b, BEGIN_NODE);
	memcpy(take(b, len), name, len);
	b->depth++;
	return true;
}

void *fdt_build_prop(struct fdt_build *b, const char *name, u32 len)
{
	u32 string = intern(b, name);

	if (!room(b, 12 + (u64)len))
		return NULL;
	put(b, PROP);
	put(b, len);
	put(b, string);
	return take(b, len);
}

void fdt_build_end_node(struct fdt_build *b)
{
	put(b, END_NODE);
	b->depth--;
}

u32 fdt_build_finish(struct fdt_build *b)
{
	const u32 header[] = { 0xd00dfeed, b->at + 4 + b->strings_size, STRUCTURE, b->at + 4, RESERVATIONS, 17, 16, 0,
			       b->strings_size, b->at + 4 - STRUCTURE };

	put(b, END);
	memmove(b->base + b->at, b->base + b->strings, b->strings_size);
	for (u32 i = 0; i < ARRAY_SIZE(header); i++)
		cell(b, 4 * i, header[i]);
	return header[1];
}
