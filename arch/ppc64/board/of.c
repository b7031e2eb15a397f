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
#include "lib/fdt_build.h"
#include "lib/string.h"

#define TREE_SIZE (4u << 20)
#define NAME_SIZE 64 /* of a property, with NUL: the standard says 32, but there are longer ones */
#define PATH_SIZE 256

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

static struct fdt_build tree;

static void flatten_props(u32 node)
{
	static char name[NAME_SIZE], prev[NAME_SIZE];

	prev[0] = 0;
	for (;;) {
		u32 next[] = { node, (u32)ppc_image_phys(prev), (u32)ppc_image_phys(name) };
		u32 len_args[] = { node, (u32)ppc_image_phys(name) };
		void *value;
		s64 len;

		if (of_call("nextprop", next, 3, 1, 0) != 1)
			return;
		name[NAME_SIZE - 1] = 0;
		memcpy(prev, name, sizeof(prev));
		len = of_call("getproplen", len_args, 2, 1, 0);
		if (len < 0 || !strcmp(name, "name"))
			continue;
		value = fdt_build_prop(&tree, name, (u32)len);
		if (value)
			getprop(node, name, virt_to_phys(value), (u32)len);
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
	if (!fdt_build_node(&tree, name ? name + 1 : path))
		return;
	flatten_props(node);
	for (child = of_call1("child", node); child > 0; child = of_call1("peer", (u32)child))
		flatten((u32)child);
	fdt_build_end_node(&tree);
}

u64 of_flatten(void)
{
	s64 root = of_call1("peer", 0);
	u64 phys = claim(TREE_SIZE);

	if (!phys || root <= 0)
		return 0;
	ppc_early_map(phys);
	fdt_build_start(&tree, phys_to_virt(phys), TREE_SIZE);
	flatten((u32)root);
	fdt_build_finish(&tree);
	if (tree.full)
		pr_warn("the device tree is larger than %u bytes: the rest is left out", TREE_SIZE);
	return phys;
}
