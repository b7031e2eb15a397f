/*
 * lib/fdt_build.h: trees made at random, read back by lib/fdt.h; and the same ones in memory that is too small.
 */
#include "lib/fdt.h"
#include "lib/fdt_build.h"
#include "tests/host/lib/test.h"

#define NODES 30
#define ROOM  (64 * 1024)

/* What node n has: its name, properties p0, p1, ... of so many bytes, each of them n + p. */
static struct {
	char name[24];
	unsigned props, size[4];
	int parent;
} model[NODES];

static unsigned nodes;
static u8 memory[ROOM] __attribute__((aligned(8)));

static void invent(void)
{
	nodes = 1 + (unsigned)rng_below(NODES - 1);
	for (unsigned n = 0; n < nodes; n++) {
		snprintf(model[n].name, sizeof(model[n].name), "%s%u", one_in(2) ? "node-" : "n", n);
		if (!n)
			model[n].name[0] = 0;
		model[n].parent = n ? (int)rng_below(n) : -1;
		model[n].props = (unsigned)rng_below(4);
		for (unsigned p = 0; p < model[n].props; p++)
			model[n].size[p] = (unsigned)rng_below(one_in(5) ? 200 : 9);
	}
}

static void write_node(struct fdt_build *b, unsigned n)
{
	if (!fdt_build_node(b, model[n].name))
		return;
	for (unsigned p = 0; p < model[n].props; p++) {
		char name[] = { 'p', (char)('0' + p), 0 };
		void *value = fdt_build_prop(b, name, model[n].size[p]);

		if (value)
			memset(value, (int)(n + p), model[n].size[p]);
	}
	for (unsigned child = n + 1; child < nodes; child++)
		if (model[child].parent == (int)n)
			write_node(b, child);
	fdt_build_end_node(b);
}

/* How many nodes and properties are there, all of them as in the model? */
static unsigned read_node(const void *blob, int node, unsigned n)
{
	unsigned found = 1;
	int child, len;

	CHECK(!strcmp(fdt_node_name(blob, node), model[n].name));
	for (unsigned p = 0; p < model[n].props; p++) {
		char name[] = { 'p', (char)('0' + p), 0 };
		const u8 *value = fdt_prop(blob, node, name, &len);

		if (!value)
			continue;
		CHECK((unsigned)len == model[n].size[p], "%d", len);
		for (int i = 0; i < len; i++)
			CHECK(value[i] == n + p);
		found++;
	}
	fdt_for_each_child(child, blob, node) {
		unsigned m = 1;

		while (m < nodes && strcmp(fdt_node_name(blob, child), model[m].name))
			m++;
		CHECK(m < nodes && model[m].parent == (int)n, "%s", fdt_node_name(blob, child));
		found += read_node(blob, child, m);
	}
	return found;
}

static unsigned build_and_read(u32 room, bool *full)
{
	void *blob = exact_copy(memory, room);
	struct fdt_build b;
	unsigned found;
	u32 size;

	fdt_build_start(&b, blob, room);
	write_node(&b, 0);
	size = fdt_build_finish(&b);
	CHECK(size <= room && fdt_check(blob, size) == (long)size, "%u of %u bytes", size, room);
	found = read_node(blob, fdt_root(blob), 0);
	*full = b.full;
	free(blob);
	return found;
}

void test_fdt_build(void)
{
	for (unsigned i = 0; i < rounds(200); i++) {
		unsigned all = 0, found;
		bool full;

		invent();
		for (unsigned n = 0; n < nodes; n++)
			all += 1 + model[n].props;
		found = build_and_read(ROOM, &full);
		CHECK(found == all && !full, "%u of %u", found, all);
		for (unsigned j = 0; j < 20; j++) {
			found = build_and_read(256 + (u32)rng_below(4096), &full);
			CHECK(found == all ? !full : full, "%u of %u", found, all);
		}
	}
}
