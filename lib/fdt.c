/*
 * Flattened device trees. The structure block is a sequence of 4-byte aligned tokens; everything here is built on
 * read_token(), which reads one of them within the bounds of its block, and next_node(), which goes from the beginning
 * of a node to the next one. Both only move forward, so every walk of a damaged tree ends.
 *
 * Invariant that fdt_check() establishes: the blocks lie within the blob, every token is whole, nodes nest properly
 * and at most MAX_DEPTH deep, properties precede subnodes, and names and the reservation block are terminated.
 */
#include "lib/fdt.h"
#include "lib/byteorder.h"
#include "lib/errno.h"
#include "lib/string.h"

#define FDT_MAGIC	0xd00dfeed

/* Offsets in the header, whose fields are 32 bits each. */
enum {
	H_MAGIC = 0,
	H_TOTALSIZE = 4,
	H_OFF_STRUCT = 8,
	H_OFF_STRINGS = 12,
	H_OFF_RSVMAP = 16,
	H_VERSION = 20,
	H_LAST_COMP_VERSION = 24,
	H_SIZE_STRINGS = 32,
	H_SIZE_STRUCT = 36,
	H_SIZE = 40,
};

enum {
	BEGIN_NODE = 1,
	END_NODE = 2,
	PROP = 3,
	NOP = 4,
	END = 9,
};

#define MAX_DEPTH	32
#define MAX_CELLS	4

/* The blocks of a blob, checked against its size. */
struct blocks {
	const u8 *tokens;
	const char *strings;
	u32 tokens_size, strings_size;
};

struct token {
	u32 tag;
	u32 next;		/* offset of the token after it */
	const char *name;	/* of a node or property */
	const u8 *value;	/* of a property */
	u32 len;
};

static u32 header(const void *blob, u32 field)
{
	return get_be32((const u8 *)blob + field);
}

static int open_blocks(const void *blob, struct blocks *b)
{
	u32 total = header(blob, H_TOTALSIZE);
	u32 tokens = header(blob, H_OFF_STRUCT), strings = header(blob, H_OFF_STRINGS);

	b->tokens_size = header(blob, H_SIZE_STRUCT);
	b->strings_size = header(blob, H_SIZE_STRINGS);
	if (header(blob, H_MAGIC) != FDT_MAGIC || total > INT_MAX || tokens % 4 || tokens < H_SIZE || strings < H_SIZE)
		return -EINVAL;
	if (tokens > total || b->tokens_size > total - tokens || strings > total || b->strings_size > total - strings)
		return -EINVAL;
	b->tokens = (const u8 *)blob + tokens;
	b->strings = (const char *)blob + strings;
	return 0;
}

static bool terminated(const char *s, size_t room)
{
	return strnlen(s, room) < room;
}

/* Reads the token at off. Returns 0 or -EINVAL. */
static int read_token(const struct blocks *b, u32 off, struct token *t)
{
	u32 name;

	if (off % 4 || off > b->tokens_size || b->tokens_size - off < 4)
		return -EINVAL;
	t->tag = get_be32(b->tokens + off);
	off += 4;
	switch (t->tag) {
	case BEGIN_NODE:
		t->name = (const char *)b->tokens + off;
		if (!terminated(t->name, b->tokens_size - off))
			return -EINVAL;
		off += (u32)strlen(t->name) + 1;
		break;
	case PROP:
		if (b->tokens_size - off < 8)
			return -EINVAL;
		t->len = get_be32(b->tokens + off);
		name = get_be32(b->tokens + off + 4);
		off += 8;
		if (t->len > b->tokens_size - off || name >= b->strings_size ||
		    !terminated(b->strings + name, b->strings_size - name))
			return -EINVAL;
		t->value = b->tokens + off;
		t->name = b->strings + name;
		off += t->len;
		break;
	case END_NODE:
	case NOP:
	case END:
		break;
	default:
		return -EINVAL;
	}
	/* Sizes are below INT_MAX, so this does not wrap; the next read checks it. */
	t->next = align_up(off, 4);
	return 0;
}

/* The beginning of a node. */
static int read_node(const struct blocks *b, int node, struct token *t)
{
	int error;

	if (node < 0)
		return node;
	error = read_token(b, (u32)node, t);
	return error ? error : t->tag == BEGIN_NODE ? 0 : -EINVAL;
}

/* The next node after node in the order of the blob, *depth changing by the steps between; -ENOENT after the last. */
static int next_node(const struct blocks *b, int node, int *depth)
{
	struct token t;
	int error = read_node(b, node, &t);

	(*depth)++;
	while (!error) {
		u32 off = t.next;

		error = read_token(b, off, &t);
		if (error)
			break;
		if (t.tag == BEGIN_NODE)
			return (int)off;
		if (t.tag == END_NODE)
			(*depth)--;
		if (t.tag == END)
			return -ENOENT;
	}
	return error;
}

/* Checks the order of all tokens. */
static int check_tokens(const struct blocks *b)
{
	bool subnodes[MAX_DEPTH + 1] = { false };
	struct token t;
	int depth = 0;

	for (u32 off = 0;; off = t.next) {
		int error = read_token(b, off, &t);

		if (error)
			return error;
		switch (t.tag) {
		case BEGIN_NODE:
			/* One root, and its name is empty. */
			if (depth == MAX_DEPTH || (depth == 0 && (subnodes[0] || *t.name)))
				return -EINVAL;
			subnodes[depth++] = true;
			subnodes[depth] = false;
			break;
		case END_NODE:
			if (depth-- == 0)
				return -EINVAL;
			break;
		case PROP:
			if (depth == 0 || subnodes[depth])
				return -EINVAL;
			break;
		case END:
			return depth == 0 && subnodes[0] ? 0 : -EINVAL;
		default:
			break;
		}
	}
}

long fdt_check(const void *blob, size_t maxsize)
{
	struct blocks b;
	u64 addr, size;
	int error, index = 0;

	if (maxsize < H_SIZE || open_blocks(blob, &b) || header(blob, H_TOTALSIZE) > maxsize)
		return -EINVAL;
	if (header(blob, H_VERSION) < 17 || header(blob, H_LAST_COMP_VERSION) > 17)
		return -EINVAL;
	if (check_tokens(&b))
		return -EINVAL;
	do {
		error = fdt_memreserve(blob, index++, &addr, &size);
	} while (!error);
	return error == -ENOENT ? (long)header(blob, H_TOTALSIZE) : error;
}

int fdt_root(const void *blob)
{
	struct blocks b;
	struct token t;
	int error = open_blocks(blob, &b);

	for (u32 off = 0; !error; off = t.next) {
		error = read_token(&b, off, &t);
		if (!error && t.tag == BEGIN_NODE)
			return (int)off;
		if (!error && t.tag != NOP)
			return -EINVAL;
	}
	return error;
}

int fdt_next_node(const void *blob, int node, int *depth)
{
	struct blocks b;
	int steps = 0, error = open_blocks(blob, &b), next;

	if (error)
		return error;
	next = next_node(&b, node, &steps);
	if (depth)
		*depth += steps;
	return next;
}

int fdt_first_child(const void *blob, int node)
{
	int depth = 0, next = fdt_next_node(blob, node, &depth);

	return next >= 0 && depth != 1 ? -ENOENT : next;
}

int fdt_next_sibling(const void *blob, int node)
{
	struct blocks b;
	int depth = 0, error = open_blocks(blob, &b);

	if (error)
		return error;
	do {
		node = next_node(&b, node, &depth);
	} while (node >= 0 && depth > 0);
	return node >= 0 && depth < 0 ? -ENOENT : node;
}

int fdt_parent(const void *blob, int node)
{
	int ancestors[MAX_DEPTH], depth = 0, at = fdt_root(blob);
	struct blocks b;
	int error = open_blocks(blob, &b);

	if (error || node < 0)
		return error ? error : node;
	while (at >= 0 && at < node) {
		if (depth < 0 || depth >= MAX_DEPTH)
			return -EINVAL;
		ancestors[depth] = at;
		at = next_node(&b, at, &depth);
	}
	if (at != node)
		return at < 0 && at != -ENOENT ? at : -EINVAL;
	/* The root has none. */
	return depth > 0 && depth <= MAX_DEPTH ? ancestors[depth - 1] : -ENOENT;
}

const char *fdt_node_name(const void *blob, int node)
{
	struct blocks b;
	struct token t;

	return open_blocks(blob, &b) || read_node(&b, node, &t) ? NULL : t.name;
}

int fdt_unit_address(const void *blob, int node, u64 *addr)
{
	const char *name = fdt_node_name(blob, node), *at = name ? strchr(name, '@') : NULL;
	char number[17];
	size_t n;

	if (!at)
		return -ENOENT;
	/* What follows a comma is a second number (a PCI function). */
	for (n = 0; at[n + 1] && at[n + 1] != ','; n++) {
		if (n == sizeof(number) - 1)
			return -ENOENT;
		number[n] = at[n + 1];
	}
	number[n] = '\0';
	return kstrtoul(number, 16, (unsigned long *)addr) ? -ENOENT : 0;
}

const void *fdt_prop(const void *blob, int node, const char *name, int *len)
{
	struct blocks b;
	struct token t;
	int error = open_blocks(blob, &b);

	if (len)
		*len = 0;
	if (!error)
		error = read_node(&b, node, &t);
	while (!error) {
		error = read_token(&b, t.next, &t);
		if (error || (t.tag != PROP && t.tag != NOP))
			break;
		if (t.tag == PROP && !strcmp(t.name, name)) {
			if (len)
				*len = (int)t.len;
			return t.value;
		}
	}
	return NULL;
}

int fdt_prop_u32(const void *blob, int node, const char *name, u32 *out)
{
	int len;
	const void *value = fdt_prop(blob, node, name, &len);

	if (!value)
		return -ENOENT;
	if (len != 4)
		return -EINVAL;
	*out = get_be32(value);
	return 0;
}

int fdt_prop_u64(const void *blob, int node, const char *name, u64 *out)
{
	int len;
	const void *value = fdt_prop(blob, node, name, &len);

	if (!value)
		return -ENOENT;
	if (len != 4 && len != 8)
		return -EINVAL;
	*out = fdt_read_cells(value, len / 4);
	return 0;
}

const char *fdt_prop_string(const void *blob, int node, const char *name)
{
	int len;
	const char *value = fdt_prop(blob, node, name, &len);

	return value && terminated(value, (size_t)len) ? value : NULL;
}

bool fdt_prop_has_string(const void *blob, int node, const char *name, const char *s)
{
	int len;
	const char *value = fdt_prop(blob, node, name, &len);

	/* len is 0 if there is no such property. */
	while (len > 0 && terminated(value, (size_t)len)) {
		int n = (int)strlen(value) + 1;

		if (!strcmp(value, s))
			return true;
		value += n;
		len -= n;
	}
	return false;
}

bool fdt_is_compatible(const void *blob, int node, const char *compat)
{
	return fdt_prop_has_string(blob, node, "compatible", compat);
}

bool fdt_is_available(const void *blob, int node)
{
	return !fdt_prop(blob, node, "status", NULL) || fdt_prop_has_string(blob, node, "status", "okay") ||
	       fdt_prop_has_string(blob, node, "status", "ok");
}

int fdt_find_compatible(const void *blob, int start, const char *compat)
{
	int node = start < 0 ? fdt_root(blob) : fdt_next_node(blob, start, NULL);

	while (node >= 0 && !fdt_is_compatible(blob, node, compat))
		node = fdt_next_node(blob, node, NULL);
	return node;
}

/* The child whose name is the n characters at name; the unit address may be left out. */
static int find_child(const void *blob, int node, const char *name, size_t n)
{
	int child;

	fdt_for_each_child(child, blob, node) {
		const char *full = fdt_node_name(blob, child);

		if (full && !strncmp(full, name, n) && (!full[n] || (full[n] == '@' && !memchr(name, '@', n))))
			break;
	}
	return child;
}

/* Follows a path from a node on; the node itself if the path is empty. */
static int follow_path(const void *blob, int node, const char *path)
{
	while (node >= 0) {
		size_t n = 0;

		while (*path == '/')
			path++;
		if (!*path || *path == ':')
			break;
		while (path[n] && path[n] != '/' && path[n] != ':')
			n++;
		node = find_child(blob, node, path, n);
		path += n;
	}
	return node;
}

int fdt_find_path(const void *blob, const char *path)
{
	char alias[32];
	const char *target;
	size_t n = 0;
	int node;

	if (*path == '/')
		return follow_path(blob, fdt_root(blob), path);
	while (path[n] && path[n] != '/' && path[n] != ':')
		n++;
	if (!n || n >= sizeof(alias))
		return -ENOENT;
	memcpy(alias, path, n);
	alias[n] = '\0';
	node = follow_path(blob, fdt_root(blob), "/aliases");
	target = fdt_prop_string(blob, node, alias);
	if (!target || *target != '/')
		return -ENOENT;
	return follow_path(blob, follow_path(blob, fdt_root(blob), target), path + n);
}

int fdt_find_phandle(const void *blob, u32 phandle)
{
	int node = fdt_root(blob);
	u32 value;

	while (node >= 0) {
		int error = fdt_prop_u32(blob, node, "phandle", &value);

		if (error)
			error = fdt_prop_u32(blob, node, "linux,phandle", &value);
		if (!error && value == phandle)
			break;
		node = fdt_next_node(blob, node, NULL);
	}
	return node;
}

static int cells(const void *blob, int node, const char *name, u32 otherwise)
{
	u32 value = otherwise;
	int error = fdt_prop_u32(blob, node, name, &value);

	if (error == -EINVAL || value > MAX_CELLS)
		return -EINVAL;
	return (int)value;
}

int fdt_address_cells(const void *blob, int node)
{
	return cells(blob, node, "#address-cells", 2);
}

int fdt_size_cells(const void *blob, int node)
{
	return cells(blob, node, "#size-cells", 1);
}

u64 fdt_read_cells(const void *p, int ncells)
{
	const u8 *cell = p;
	u64 value = 0;

	for (; ncells > 0; ncells--, cell += 4)
		value = value << 32 | get_be32(cell);
	return value;
}

/* Are all but the last two of the cells zero? */
static bool fits_64_bits(const u8 *cell, int ncells)
{
	return ncells <= 2 || !memchr_inv(cell, 0, (size_t)(ncells - 2) * 4);
}

int fdt_reg(const void *blob, int node, int index, u64 *addr, u64 *size)
{
	int parent = fdt_parent(blob, node), addr_cells, size_cells, len, pair;
	const u8 *reg = fdt_prop(blob, node, "reg", &len);

	if (!reg || index < 0)
		return -ENOENT;
	if (parent < 0)
		return -EINVAL;
	addr_cells = fdt_address_cells(blob, parent);
	size_cells = fdt_size_cells(blob, parent);
	if (addr_cells < 0 || size_cells < 0 || addr_cells + size_cells == 0)
		return -EINVAL;
	pair = 4 * (addr_cells + size_cells);
	if (len % pair)
		return -EINVAL;
	if (index >= len / pair)
		return -ENOENT;
	reg += index * pair;
	if (!fits_64_bits(reg, addr_cells) || !fits_64_bits(reg + 4 * addr_cells, size_cells))
		return -ERANGE;
	*addr = fdt_read_cells(reg, addr_cells);
	if (size)
		*size = fdt_read_cells(reg + 4 * addr_cells, size_cells);
	return 0;
}

int fdt_memreserve(const void *blob, int index, u64 *addr, u64 *size)
{
	u32 off = header(blob, H_OFF_RSVMAP), total = header(blob, H_TOTALSIZE);
	const u8 *entry;

	if (index < 0 || off % 8 || off < H_SIZE || off > total || (u32)index >= (total - off) / 16)
		return -EINVAL;
	entry = (const u8 *)blob + off + 16 * (u32)index;
	*addr = get_be64(entry);
	*size = get_be64(entry + 8);
	return *addr || *size ? 0 : -ENOENT;
}
