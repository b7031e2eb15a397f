/*
 * lib/fdt.h: trees made at random and compared node by node, a hand-made one like that of a real machine, malformed
 * and damaged ones under the sanitizer.
 */
#include "lib/byteorder.h"
#include "lib/errno.h"
#include "lib/fdt.h"
#include "tests/host/lib/test.h"

#define NODES	40
#define ROOM	(64 * 1024)

enum { BEGIN_NODE = 1, END_NODE = 2, PROP = 3, NOP = 4, END = 9 };

/* Where things are in the header, by number of the cell. */
enum { MAGIC, TOTALSIZE, OFF_STRUCT, OFF_STRINGS, OFF_RSVMAP, VERSION, LAST_COMP, BOOT_CPU, SIZE_STRINGS, SIZE_STRUCT };

/* A blob in the making. */
struct writer {
	u8 tokens[ROOM], strings[ROOM / 8];
	size_t size, strings_size;
	u64 reserved[8][2];
	size_t reservations;
};

static struct writer writer;

static void put_be32(void *at, u32 value)
{
	value = cpu_to_be32(value);
	memcpy(at, &value, 4);
}

static void put_cell(struct writer *w, u32 cell)
{
	put_be32(w->tokens + w->size, cell);
	w->size += 4;
}

static void put_padded(struct writer *w, const void *data, size_t n)
{
	if (n)
		memcpy(w->tokens + w->size, data, n);
	memset(w->tokens + w->size + n, 0, 4);
	w->size += align_up(n, 4);
}

/* The offset of the node. */
static int begin_node(struct writer *w, const char *name)
{
	int node = (int)w->size;

	put_cell(w, BEGIN_NODE);
	put_padded(w, name, strlen(name) + 1);
	return node;
}

static void end_node(struct writer *w)
{
	put_cell(w, END_NODE);
}

static u32 string_offset(struct writer *w, const char *s)
{
	size_t off = 0;

	while (off < w->strings_size && strcmp((char *)w->strings + off, s))
		off += strlen((char *)w->strings + off) + 1;
	if (off == w->strings_size) {
		strcpy((char *)w->strings + off, s);
		w->strings_size += strlen(s) + 1;
	}
	return (u32)off;
}

static void put_prop(struct writer *w, const char *name, const void *value, size_t n)
{
	put_cell(w, PROP);
	put_cell(w, (u32)n);
	put_cell(w, string_offset(w, name));
	put_padded(w, value, n);
}

static void put_string_prop(struct writer *w, const char *name, const char *value)
{
	put_prop(w, name, value, strlen(value) + 1);
}

static void put_cells_prop(struct writer *w, const char *name, size_t n, const u32 *cells)
{
	u8 bytes[64];

	for (size_t i = 0; i < n; i++)
		put_be32(bytes + 4 * i, cells[i]);
	put_prop(w, name, bytes, 4 * n);
}

#define PUT_CELLS(w, name, ...) \
	put_cells_prop(w, name, sizeof((u32[]){ __VA_ARGS__ }) / 4, (u32[]){ __VA_ARGS__ })

static void reset(struct writer *w)
{
	w->size = 0;
	w->strings_size = 0;
	w->reservations = 0;
}

/* The finished blob, of exactly its size; tokens before strings, or behind them. */
static u8 *finish(struct writer *w, size_t *size)
{
	size_t rsv = 40, tokens = rsv + 16 * (w->reservations + 1), strings = tokens + w->size, total;
	u8 *blob;

	if (one_in(2)) {
		strings = tokens;
		tokens = align_up(strings + w->strings_size, 4);
	}
	total = max(tokens + w->size, strings + w->strings_size);
	blob = calloc(1, total);
	put_be32(blob + 4 * MAGIC, 0xd00dfeed);
	put_be32(blob + 4 * TOTALSIZE, (u32)total);
	put_be32(blob + 4 * OFF_STRUCT, (u32)tokens);
	put_be32(blob + 4 * OFF_STRINGS, (u32)strings);
	put_be32(blob + 4 * OFF_RSVMAP, (u32)rsv);
	put_be32(blob + 4 * VERSION, 17);
	put_be32(blob + 4 * LAST_COMP, 16);
	put_be32(blob + 4 * SIZE_STRINGS, (u32)w->strings_size);
	put_be32(blob + 4 * SIZE_STRUCT, (u32)w->size);
	for (size_t i = 0; i < w->reservations; i++) {
		for (size_t k = 0; k < 2; k++) {
			put_be32(blob + rsv + 16 * i + 8 * k, (u32)(w->reserved[i][k] >> 32));
			put_be32(blob + rsv + 16 * i + 8 * k + 4, (u32)w->reserved[i][k]);
		}
	}
	memcpy(blob + tokens, w->tokens, w->size);
	memcpy(blob + strings, w->strings, w->strings_size);
	*size = total;
	return blob;
}

/* The model: nodes in the order of the blob. */
struct node {
	int off, parent, depth;	/* parent: an index, -1 for the root */
	char name[24];
	u32 number;		/* property "number", and phandle if not 0 */
	char compat[3][16];
	int compats;
};

static struct node nodes[NODES];
static int node_count;

static void maybe_nop(struct writer *w)
{
	while (one_in(4))
		put_cell(w, NOP);
}

static void random_node(struct writer *w, int parent, int depth)
{
	struct node *n = &nodes[node_count];
	int index = node_count++, len = 0;
	char compat[64];

	n->parent = parent;
	n->depth = depth;
	n->number = one_in(3) ? 0 : (u32)(index + 1) * 7;
	n->compats = (int)rng_below(4);
	snprintf(n->name, sizeof(n->name), one_in(2) ? "node%d" : "dev@%x", index);
	if (parent < 0)
		n->name[0] = 0;
	n->off = begin_node(w, n->name);
	maybe_nop(w);
	if (one_in(2))
		put_string_prop(w, "status", one_in(2) ? "okay" : "disabled");
	PUT_CELLS(w, "number", n->number);
	if (n->number)
		PUT_CELLS(w, one_in(3) ? "linux,phandle" : "phandle", n->number);
	maybe_nop(w);
	for (int i = 0; i < n->compats; i++) {
		snprintf(n->compat[i], sizeof(n->compat[i]), "c%d", (int)rng_below(8));
		strcpy(compat + len, n->compat[i]);
		len += (int)strlen(n->compat[i]) + 1;
	}
	if (len)
		put_prop(w, "compatible", compat, (size_t)len);
	put_prop(w, "empty", "", 0);
	while (node_count < NODES && depth < 20 && !one_in(3)) {
		maybe_nop(w);
		random_node(w, index, depth + 1);
	}
	maybe_nop(w);
	end_node(w);
}

static u8 *random_blob(size_t *size)
{
	reset(&writer);
	node_count = 0;
	writer.reservations = rng_below(4);
	for (size_t i = 0; i < writer.reservations; i++) {
		writer.reserved[i][0] = rng();
		writer.reserved[i][1] = 1 + rng_below(1 << 20);
	}
	maybe_nop(&writer);
	random_node(&writer, -1, 0);
	maybe_nop(&writer);
	put_cell(&writer, END);
	return finish(&writer, size);
}

static bool model_compatible(const struct node *n, const char *compat)
{
	for (int i = 0; i < n->compats; i++) {
		if (!strcmp(n->compat[i], compat))
			return true;
	}
	return false;
}

static void check_node(const u8 *blob, int i)
{
	const struct node *n = &nodes[i];
	int child = -ENOENT, sibling = -ENOENT, next = i + 1 < node_count ? nodes[i + 1].off : -ENOENT, depth = 5, len;
	char path[1000] = "";
	u32 number;
	u64 wide;

	for (int k = node_count; k-- > i + 1;) {
		if (nodes[k].parent == i)
			child = nodes[k].off;
		if (nodes[k].parent == n->parent && n->parent >= 0)
			sibling = nodes[k].off;
	}
	CHECK(!strcmp(fdt_node_name(blob, n->off), n->name));
	CHECK(fdt_first_child(blob, n->off) == child);
	CHECK(fdt_next_sibling(blob, n->off) == sibling);
	CHECK(fdt_parent(blob, n->off) == (n->parent < 0 ? -ENOENT : nodes[n->parent].off));
	CHECK(fdt_next_node(blob, n->off, &depth) == next);
	CHECK(next < 0 || depth == 5 + nodes[i + 1].depth - n->depth);

	CHECK(fdt_prop_u32(blob, n->off, "number", &number) == 0 && number == n->number);
	CHECK(fdt_prop_u64(blob, n->off, "number", &wide) == 0 && wide == n->number);
	CHECK(fdt_prop_u32(blob, n->off, "empty", &number) == -EINVAL);
	CHECK(fdt_prop_u32(blob, n->off, "absent", &number) == -ENOENT);
	CHECK(fdt_prop(blob, n->off, "empty", &len) && len == 0 && !fdt_prop(blob, n->off, "absent", NULL));
	CHECK(!fdt_prop_string(blob, n->off, "empty"));
	if (n->number)
		CHECK(fdt_find_phandle(blob, n->number) == n->off);
	for (int k = i; k >= 0; k = nodes[k].parent) {
		size_t n = strlen(nodes[k].name);

		/* The root's name is empty: its slash is that of its child. */
		if (nodes[k].parent < 0 && *path)
			break;
		memmove(path + n + 1, path, strlen(path) + 1);
		path[0] = '/';
		memcpy(path + 1, nodes[k].name, n);
	}
	CHECK(fdt_find_path(blob, path) == n->off, "%s", path);
}

void test_fdt_model(void)
{
	for (unsigned int round = 0; round < rounds(100); round++) {
		size_t size, next = 0;
		u8 *blob = random_blob(&size);
		u64 addr, length;

		CHECK(fdt_check(blob, size) == (long)size && fdt_check(blob, size + 100) == (long)size);
		CHECK(fdt_root(blob) == nodes[0].off);
		for (int i = 0; i < node_count; i++)
			check_node(blob, i);
		for (int c = 0; c < 9; c++) {
			char compat[16];
			int at = -1;

			snprintf(compat, sizeof(compat), "c%d", c);
			for (int i = 0; i < node_count; i++) {
				if (!model_compatible(&nodes[i], compat))
					continue;
				at = fdt_find_compatible(blob, at, compat);
				CHECK(at == nodes[i].off);
			}
			CHECK(fdt_find_compatible(blob, at, compat) == -ENOENT);
		}
		while (!fdt_memreserve(blob, (int)next, &addr, &length)) {
			CHECK(next < writer.reservations && addr == writer.reserved[next][0]);
			CHECK(length == writer.reserved[next++][1]);
		}
		CHECK(next == writer.reservations && fdt_memreserve(blob, (int)next, &addr, &length) == -ENOENT);
		free(blob);
	}
}

/* A small machine. */
static u8 *machine(size_t *size)
{
	struct writer *w = &writer;

	reset(w);
	begin_node(w, "");
	PUT_CELLS(w, "#address-cells", 2);
	PUT_CELLS(w, "#size-cells", 2);
	put_prop(w, "compatible", "board,a\0board,b", 16);
	begin_node(w, "aliases");
	put_string_prop(w, "serial0", "/soc/serial@10000000");
	put_string_prop(w, "bad", "serial0");
	end_node(w);
	begin_node(w, "chosen");
	put_string_prop(w, "stdout-path", "serial0:115200n8");
	put_prop(w, "bootargs", "quiet", 5);
	end_node(w);
	begin_node(w, "memory@80000000");
	put_string_prop(w, "device_type", "memory");
	PUT_CELLS(w, "reg", 0, 0x80000000, 0, 0x40000000, 1, 0, 2, 0);
	end_node(w);
	begin_node(w, "cpus");
	PUT_CELLS(w, "#address-cells", 1);
	PUT_CELLS(w, "#size-cells", 0);
	begin_node(w, "cpu@0");
	PUT_CELLS(w, "reg", 0);
	end_node(w);
	begin_node(w, "cpu@1f");
	PUT_CELLS(w, "reg", 0x1f);
	put_string_prop(w, "status", "disabled");
	end_node(w);
	end_node(w);
	begin_node(w, "soc");
	begin_node(w, "serial@10000000");
	PUT_CELLS(w, "reg", 0, 0x10000000, 0x100);
	end_node(w);
	begin_node(w, "serial@1000000");
	PUT_CELLS(w, "reg", 0, 0x10000000);
	end_node(w);
	end_node(w);
	begin_node(w, "pci@30000000");
	PUT_CELLS(w, "#address-cells", 3);
	PUT_CELLS(w, "#size-cells", 2);
	begin_node(w, "device@1,2");
	PUT_CELLS(w, "reg", 0, 1, 2, 0, 3, 0x800, 0, 0, 0, 0);
	end_node(w);
	end_node(w);
	begin_node(w, "odd");
	PUT_CELLS(w, "#address-cells", 5);
	PUT_CELLS(w, "#size-cells", 0, 0);
	begin_node(w, "child@g");
	PUT_CELLS(w, "reg", 1, 2, 3, 4);
	end_node(w);
	end_node(w);
	end_node(w);
	put_cell(w, END);
	return finish(w, size);
}

void test_fdt_paths(void)
{
	size_t size;
	u8 *blob = machine(&size);
	int serial, chosen, cpu;
	u64 unit;

	CHECK(fdt_check(blob, size) == (long)size);
	serial = fdt_find_path(blob, "/soc/serial@10000000");
	CHECK(serial > 0 && fdt_find_path(blob, "/soc/serial") == serial);
	CHECK(fdt_find_path(blob, "//soc/serial/") == serial);
	CHECK(fdt_find_path(blob, "serial0") == serial && fdt_find_path(blob, "serial0:115200n8") == serial);
	CHECK(fdt_find_path(blob, "/soc/serial@10000000:115200/x") == serial);
	CHECK(fdt_find_path(blob, "/") == fdt_root(blob));
	CHECK(fdt_find_path(blob, "/soc/serial@1") == -ENOENT && fdt_find_path(blob, "/so") == -ENOENT);
	CHECK(fdt_find_path(blob, "/socx") == -ENOENT && fdt_find_path(blob, "/soc@") == -ENOENT);
	CHECK(fdt_find_path(blob, "") == -ENOENT && fdt_find_path(blob, "bad") == -ENOENT);
	CHECK(fdt_find_path(blob, "none") == -ENOENT);
	CHECK(fdt_find_path(blob, "an-alias-that-is-longer-than-any-is-allowed-to-be") == -ENOENT);

	chosen = fdt_find_path(blob, "/chosen");
	CHECK(!strcmp(fdt_prop_string(blob, chosen, "stdout-path"), "serial0:115200n8"));
	CHECK(!fdt_prop_string(blob, chosen, "bootargs"), "not terminated");
	CHECK(fdt_is_compatible(blob, fdt_root(blob), "board,b") && !fdt_is_compatible(blob, fdt_root(blob), "board"));

	cpu = fdt_find_path(blob, "/cpus/cpu@1f");
	CHECK(!fdt_is_available(blob, cpu) && fdt_is_available(blob, serial));
	CHECK(fdt_unit_address(blob, cpu, &unit) == 0 && unit == 0x1f);
	CHECK(fdt_unit_address(blob, chosen, &unit) == -ENOENT);
	CHECK(fdt_unit_address(blob, fdt_find_path(blob, "/odd/child"), &unit) == -ENOENT);
	CHECK(fdt_unit_address(blob, fdt_find_path(blob, "/pci/device"), &unit) == 0 && unit == 1);

	/* Not nodes. */
	CHECK(!fdt_node_name(blob, -ENOENT) && !fdt_node_name(blob, chosen + 4) && !fdt_node_name(blob, chosen + 1));
	CHECK(fdt_first_child(blob, -ENOENT) == -ENOENT && fdt_next_sibling(blob, -ENOENT) == -ENOENT);
	CHECK(fdt_first_child(blob, INT_MAX) == -EINVAL && fdt_parent(blob, chosen + 4) == -EINVAL);
	CHECK(!fdt_prop(blob, -ENOENT, "reg", NULL));
	free(blob);
}

void test_fdt_reg_cells(void)
{
	size_t size;
	u8 *blob = machine(&size);
	u64 addr = 0, length = 0;
	int node = fdt_find_path(blob, "/memory");

	CHECK(fdt_reg(blob, node, 0, &addr, &length) == 0 && addr == 0x80000000 && length == 0x40000000);
	CHECK(fdt_reg(blob, node, 1, &addr, &length) == 0 && addr == 1ull << 32 && length == 2ull << 32);
	CHECK(fdt_reg(blob, node, 2, &addr, &length) == -ENOENT && fdt_reg(blob, node, -1, &addr, &length) == -ENOENT);
	CHECK(fdt_reg(blob, fdt_find_path(blob, "/cpus/cpu@1f"), 0, &addr, NULL) == 0 && addr == 0x1f);
	CHECK(fdt_reg(blob, fdt_find_path(blob, "/cpus/cpu@1f"), 0, &addr, &length) == 0 && length == 0);
	/* 2 and 1 cells, if the parent does not say. */
	CHECK(fdt_reg(blob, fdt_find_path(blob, "/soc/serial@10000000"), 0, &addr, &length) == 0);
	CHECK(addr == 0x10000000 && length == 0x100);
	CHECK(fdt_reg(blob, fdt_find_path(blob, "/soc/serial@1000000"), 0, &addr, &length) == -EINVAL);
	node = fdt_find_path(blob, "/pci/device");
	CHECK(fdt_reg(blob, node, 0, &addr, &length) == 0 && addr == ((1ull << 32) | 2) && length == 3);
	CHECK(fdt_reg(blob, node, 1, &addr, &length) == -ERANGE);
	CHECK(fdt_reg(blob, fdt_find_path(blob, "/odd/child"), 0, &addr, &length) == -EINVAL);
	CHECK(fdt_reg(blob, fdt_find_path(blob, "/odd"), 0, &addr, &length) == -ENOENT);
	CHECK(fdt_reg(blob, fdt_root(blob), 0, &addr, &length) == -ENOENT);
	CHECK(fdt_reg(blob, -ENOENT, 0, &addr, &length) == -ENOENT);
	CHECK(fdt_address_cells(blob, fdt_find_path(blob, "/odd")) == -EINVAL);
	CHECK(fdt_size_cells(blob, fdt_find_path(blob, "/odd")) == -EINVAL);
	free(blob);
}

static void expect_bad(const char *what, u8 *blob, size_t size)
{
	long error = fdt_check(blob, size);

	CHECK(error == -EINVAL, "%s: %ld", what, error);
	free(blob);
}

/* A blob of the given tokens; all nodes but a first one are named x. */
static u8 *tokens(size_t *size, size_t n, const u32 *list)
{
	reset(&writer);
	for (size_t i = 0; i < n; i++) {
		if (list[i] == BEGIN_NODE)
			begin_node(&writer, i ? "x" : "");
		else if (list[i] == PROP)
			put_prop(&writer, "p", "abc", 3);
		else
			put_cell(&writer, list[i]);
	}
	return finish(&writer, size);
}

#define EXPECT_BAD_TOKENS(what, ...) \
	do { \
		size_t __size; \
		u32 __list[] = { __VA_ARGS__ }; \
		u8 *__blob = tokens(&__size, ARRAY_SIZE(__list), __list); \
		expect_bad(what, __blob, __size); \
	} while (0)

void test_fdt_malformed(void)
{
	static const struct {
		const char *what;
		int field;
		u32 value;
	} headers[] = {
		{ "magic", MAGIC, 0xd00dfeee }, { "size 0", TOTALSIZE, 0 }, { "size too large", TOTALSIZE, 0xfffff },
		{ "size negative", TOTALSIZE, 0xfffffff0 }, { "structure outside", OFF_STRUCT, 0x10000 },
		{ "structure wraps", OFF_STRUCT, 0xfffffffc }, { "structure unaligned", OFF_STRUCT, 61 },
		{ "structure in the header", OFF_STRUCT, 0 }, { "structure too long", SIZE_STRUCT, 0x10000 },
		{ "structure endless", SIZE_STRUCT, 0xffffffff }, { "structure cut", SIZE_STRUCT, 64 },
		{ "no structure", SIZE_STRUCT, 0 }, { "strings outside", OFF_STRINGS, 0x10000 },
		{ "strings too long", SIZE_STRINGS, 0x10000 }, { "no strings", SIZE_STRINGS, 0 },
		{ "strings cut", SIZE_STRINGS, 3 }, { "old version", VERSION, 16 }, { "too new", LAST_COMP, 18 },
		{ "reservations outside", OFF_RSVMAP, 0x10000 }, { "reservations unaligned", OFF_RSVMAP, 44 },
	};
	size_t size;
	u8 *blob = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		blob = machine(&size);
		put_be32(blob + 4 * headers[i].field, headers[i].value);
		expect_bad(headers[i].what, blob, size);
	}
	for (size_t cut = 0; cut < 60; cut++) {
		blob = machine(&size);
		expect_bad("cut", exact_copy(blob, cut), cut);
		CHECK(fdt_check(blob, size - 1 - cut) == -EINVAL);
		free(blob);
	}
	blob = NULL;

	EXPECT_BAD_TOKENS("no end", BEGIN_NODE, PROP, BEGIN_NODE, END_NODE, END_NODE);
	EXPECT_BAD_TOKENS("empty", END);
	EXPECT_BAD_TOKENS("only nops", NOP, NOP);
	EXPECT_BAD_TOKENS("end inside", BEGIN_NODE, END);
	EXPECT_BAD_TOKENS("two roots", BEGIN_NODE, END_NODE, BEGIN_NODE, END_NODE, END);
	EXPECT_BAD_TOKENS("end of nothing", BEGIN_NODE, END_NODE, END_NODE, END);
	EXPECT_BAD_TOKENS("node behind the end of nothing", BEGIN_NODE, END_NODE, END_NODE, BEGIN_NODE, END_NODE, END);
	EXPECT_BAD_TOKENS("property outside", PROP, BEGIN_NODE, END_NODE, END);
	EXPECT_BAD_TOKENS("property behind", BEGIN_NODE, END_NODE, PROP, END);
	EXPECT_BAD_TOKENS("property after subnode", BEGIN_NODE, BEGIN_NODE, END_NODE, PROP, END_NODE, END);
	EXPECT_BAD_TOKENS("unknown token", BEGIN_NODE, 5, END_NODE, END);
	EXPECT_BAD_TOKENS("named root", NOP, BEGIN_NODE, END_NODE, END);

	/* A structure block that ends anywhere, nothing behind it. */
	do {
		free(blob);
		blob = machine(&size);
	} while (get_be32(blob + 4 * OFF_STRUCT) < get_be32(blob + 4 * OFF_STRINGS));
	for (size_t left = get_be32(blob + 4 * SIZE_STRUCT), cut = 1; cut <= left; cut++) {
		u8 *part = exact_copy(blob, size - cut);

		put_be32(part + 4 * TOTALSIZE, (u32)(size - cut));
		put_be32(part + 4 * SIZE_STRUCT, (u32)(left - cut));
		expect_bad("structure ends early", part, size - cut);
	}
	free(blob);

	/* Too deep, and as deep as allowed. */
	for (int depth = 32; depth <= 33; depth++) {
		reset(&writer);
		for (int i = 0; i < depth; i++)
			begin_node(&writer, i ? "x" : "");
		for (int i = 0; i < depth; i++)
			end_node(&writer);
		put_cell(&writer, END);
		blob = finish(&writer, &size);
		CHECK(fdt_check(blob, size) == (depth == 32 ? (long)size : -EINVAL));
		free(blob);
	}
}

/* Everything that can be asked, of a blob that may be anything; answers must lie within it. */
static void ask_everything(const u8 *blob, size_t size, bool good)
{
	int node = fdt_root(blob), depth = 0, steps = 0;
	u64 addr, length;
	u32 sum = 0;

	CHECK(!good || node >= 0);
	while (node >= 0) {
		const char *name = fdt_node_name(blob, node);
		static const char *const props[] = { "reg", "compatible", "status", "stdout-path", "number" };

		CHECK(name && (const u8 *)name > blob && (const u8 *)name + strlen(name) < blob + size);
		CHECK(!good || (depth >= 0 && depth < 32));
		for (size_t i = 0; i < ARRAY_SIZE(props); i++) {
			int len;
			const u8 *value = fdt_prop(blob, node, props[i], &len);

			for (int b = 0; b < len; b++)
				sum += value[b];
			fdt_prop_string(blob, node, props[i]);
			fdt_prop_has_string(blob, node, props[i], "c1");
			fdt_prop_u64(blob, node, props[i], &addr);
		}
		CHECK(fdt_parent(blob, node) >= 0 || node == fdt_root(blob) || !good);
		for (int i = 0; i < 3; i++)
			fdt_reg(blob, node, i, &addr, &length);
		fdt_unit_address(blob, node, &addr);
		fdt_next_sibling(blob, node);
		fdt_first_child(blob, node);
		node = fdt_next_node(blob, node, &depth);
		CHECK(++steps < 10000);
	}
	CHECK(!good || node == -ENOENT);
	for (int i = 0; i < 100 && !fdt_memreserve(blob, i, &addr, &length); i++)
		sum += (u32)addr;
	fdt_find_compatible(blob, -1, "board,b");
	fdt_find_path(blob, "/soc/serial@10000000");
	fdt_find_path(blob, "serial0:115200");
	fdt_find_phandle(blob, 7 + sum % 7);
}

void test_fdt_damaged(void)
{
	int good = 0;

	for (unsigned int round = 0; round < rounds(3000); round++) {
		size_t size;
		u8 *blob = one_in(2) ? machine(&size) : random_blob(&size);
		bool ok;

		damage(one_in(8) ? blob : blob + 40, one_in(8) ? 40 : size - 40);
		ok = fdt_check(blob, size) >= 0;
		good += ok;
		/* Without a good size not even the header says what may be read. */
		if (ok || get_be32(blob + 4) == size)
			ask_everything(blob, size, ok);
		free(blob);
	}
	CHECK(good > 0 && good < (int)rounds(3000), "%d", good);
}
