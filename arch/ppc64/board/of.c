/*
 * Open Firmware's client interface: everything it knows goes into a flattened device tree, and it is told to leave.
 *
 * Cells are 32 bits wide and big-endian, firmware runs in real mode and reaches the first 4 GiB: what it reads and
 * writes lies in the image. Works before the MMU is on as well, hence no tables of pointers here. Boot CPU only.
 */
#include <arch/cpu.h>
#include <arch/pte.h>

#include "arch/ppc64/port.h"
#include "kernel/printk.h"
#include "lib/byteorder.h"
#include "lib/string.h"

#define TREE_SIZE    (4u << 20)
#define STRINGS_SIZE (32u << 10)
#define NAME_SIZE    64 /* of a property, with NUL: the standard says 32, but there are longer ones */
#define PATH_SIZE    256

#define FDT_BEGIN_NODE 1u
#define FDT_END_NODE   2u
#define FDT_PROP       3u
#define FDT_END	       9u
#define FDT_HEADER     40u

static u64 entry;
static u32 cells[16];
static char service_name[32];

void of_init(u64 of_entry)
{
	entry = of_entry;
}

/* Cell `out` of what the service returns; -1 if it fails. */
static s64 of_call(const char *service, const u32 *in, unsigned nr_in, unsigned nr_out, unsigned out)
{
	struct fw_call c = { .entry = entry, .msr_clear = MSR_SF };

	strlcpy(service_name, service, sizeof(service_name));
	cells[0] = cpu_to_be32((u32)ppc_image_phys(service_name));
	cells[1] = cpu_to_be32(nr_in);
	cells[2] = cpu_to_be32(nr_out);
	for (unsigned i = 0; i < nr_in; i++)
		cells[3 + i] = cpu_to_be32(in[i]);
	for (unsigned i = 0; i < nr_out; i++)
		cells[3 + nr_in + i] = 0;
	c.r[2] = ppc_image_phys(cells);
	if ((s32)ppc_firmware(&c))
		return -1;
	return (s32)be32_to_cpu(cells[3 + nr_in + out]);
}

static s64 of_call1(const char *service, u32 arg)
{
	return of_call(service, &arg, 1, 1, 0);
}

static char string_arg[64];

/* Only one such argument at a time. */
static u32 string(const char *s)
{
	strlcpy(string_arg, s, sizeof(string_arg));
	return (u32)ppc_image_phys(string_arg);
}

static s64 find(const char *path)
{
	return of_call1("finddevice", string(path));
}

/* Its length, negative if it is not there. */
static s64 getprop(u32 node, const char *name, u64 buf, u32 size)
{
	u32 in[] = { node, string(name), (u32)buf, size };

	return of_call("getprop", in, 4, 1, 0);
}

u32 of_prop_u32(const char *path, const char *name)
{
	static u32 value;
	s64 node = find(path);

	if (node < 0 || getprop((u32)node, name, ppc_image_phys(&value), 4) != 4)
		return 0;
	return be32_to_cpu(value);
}

/* Whole pages: SLOF may fail to find less. */
static u64 claim(u32 size)
{
	u32 in[] = { 0, align_up(size, 4096u), 4096 };
	s64 at = of_call("claim", in, 3, 1, 0);

	return at == -1 ? 0 : (u32)at;
}

u64 of_instantiate_rtas(u64 *base, u64 *size)
{
	s64 handle;

	*size = of_prop_u32("/rtas", "rtas-size");
	*base = *size ? claim((u32)*size) : 0;
	handle = *base ? of_call1("open", string("/rtas")) : 0;
	if (handle > 0) {
		u32 in[] = { string("instantiate-rtas"), (u32)handle, (u32)*base };
		s64 at = of_call("call-method", in, 3, 2, 1);

		if (at > 0)
			return (u64)at;
	}
	*base = *size = 0;
	return 0;
}

void of_quiesce(void)
{
	of_call("quiesce", NULL, 0, 0, 0);
}

/* ---- flattening */

static struct {
	char *base; /* direct map */
	u64 phys;
	u32 at; /* next byte of the structure block */
	bool full;
	char *strings; /* at the end of the memory, until everything is there */
	u32 nr_strings;
} tree;

static void put(u32 v)
{
	v = cpu_to_be32(v);
	memcpy(tree.base + tree.at, &v, 4);
	tree.at += 4;
}

static bool room(u32 bytes)
{
	if (tree.at + bytes + 64 > TREE_SIZE - STRINGS_SIZE)
		tree.full = true;
	return !tree.full;
}

/* The offset of a name in the strings block. */
static u32 intern(const char *name)
{
	u32 at = 0, len = (u32)strlen(name) + 1;

	while (at < tree.nr_strings) {
		if (!strcmp(tree.strings + at, name))
			return at;
		at += (u32)strlen(tree.strings + at) + 1;
	}
	if (at + len > STRINGS_SIZE) {
		tree.full = true;
		return 0;
	}
	memcpy(tree.strings + at, name, len);
	tree.nr_strings += len;
	return at;
}

static void flatten_props(u32 node)
{
	static char name[NAME_SIZE], prev[NAME_SIZE];

	prev[0] = 0;
	for (;;) {
		u32 next[] = { node, (u32)ppc_image_phys(prev), (u32)ppc_image_phys(name) };
		u32 len_args[] = { node, (u32)ppc_image_phys(name) };
		s64 len;

		if (of_call("nextprop", next, 3, 1, 0) != 1)
			return;
		name[NAME_SIZE - 1] = 0;
		memcpy(prev, name, sizeof(prev));
		len = of_call("getproplen", len_args, 2, 1, 0);
		if (len < 0 || !strcmp(name, "name"))
			continue;
		if (!room((u32)len))
			return;
		put(FDT_PROP);
		put((u32)len);
		put(intern(name));
		getprop(node, name, tree.phys + tree.at, (u32)len);
		tree.at = align_up(tree.at + (u32)len, 4u);
	}
}

static void flatten(u32 node)
{
	static char path[PATH_SIZE];
	u32 in[] = { node, (u32)ppc_image_phys(path), PATH_SIZE - 1 };
	s64 len = of_call("package-to-path", in, 3, 1, 0), child;
	const char *name;

	path[len > 0 && len < PATH_SIZE ? len : 0] = 0;
	name = strrchr(path, '/');
	name = name ? name + 1 : path;
	if (!room((u32)strlen(name)))
		return;
	put(FDT_BEGIN_NODE);
	memcpy(tree.base + tree.at, name, strlen(name) + 1);
	tree.at = align_up(tree.at + (u32)strlen(name) + 1, 4u);
	flatten_props(node);
	for (child = of_call1("child", node); child > 0; child = of_call1("peer", (u32)child))
		flatten((u32)child);
	put(FDT_END_NODE);
}

static void header(u32 at, u32 v)
{
	v = cpu_to_be32(v);
	memcpy(tree.base + at, &v, 4);
}

u64 of_flatten(void)
{
	s64 root = of_call1("peer", 0);

	tree.phys = claim(TREE_SIZE);
	if (!tree.phys || root <= 0)
		return 0;
	ppc_early_map(tree.phys);
	tree.base = phys_to_virt(tree.phys);
	tree.strings = tree.base + TREE_SIZE - STRINGS_SIZE;
	memset(tree.base, 0, FDT_HEADER + 16); /* and an empty list of reservations */
	tree.at = align_up(FDT_HEADER, 8u) + 16;
	flatten((u32)root);
	put(FDT_END);
	memcpy(tree.base + tree.at, tree.strings, tree.nr_strings);
	header(0, 0xd00dfeed);
	header(4, tree.at + tree.nr_strings);
	header(8, align_up(FDT_HEADER, 8u) + 16);
	header(12, tree.at);
	header(16, align_up(FDT_HEADER, 8u));
	header(20, 17);
	header(24, 16);
	header(32, tree.nr_strings);
	header(36, tree.at - align_up(FDT_HEADER, 8u) - 16);
	if (tree.full)
		pr_warn("the device tree is larger than %u bytes: the rest is left out", TREE_SIZE);
	return tree.phys;
}
