/*
 * /proc/sys: names with dots, as directories. Knobs (kernel/param.h) and a few fixed values. A directory is a prefix of
 * some name: ref->arg is that name, ref->n the prefix's length.
 */
#include "kernel/fs/proc.h"
#include "kernel/param.h"
#include "kernel/process.h"
#include "kernel/random.h"
#include "lib/string.h"

static void ostype_show(struct seq *m)
{
	char name[UTS_FIELD];

	uts_field(0, name);
	seq_printf(m, "%s\n", name);
}

static void hostname_show(struct seq *m)
{
	char name[UTS_FIELD];

	uts_field(1, name);
	seq_printf(m, "%s\n", name);
}

static void osrelease_show(struct seq *m)
{
	char name[UTS_FIELD];

	uts_field(2, name);
	seq_printf(m, "%s\n", name);
}

static void version_show(struct seq *m)
{
	char name[UTS_FIELD];

	uts_field(3, name);
	seq_printf(m, "%s\n", name);
}

static void domainname_show(struct seq *m)
{
	char name[UTS_FIELD];

	uts_field(5, name);
	seq_printf(m, "%s\n", name);
}

static void pid_max_show(struct seq *m)
{
	seq_printf(m, "%d\n", PID_MAX);
}

static void uuid_show(struct seq *m)
{
	u8 r[16];

	get_random_bytes(r, sizeof(r));
	r[6] = (r[6] & 0x0f) | 0x40;	/* version 4, variant 1 */
	r[8] = (r[8] & 0x3f) | 0x80;
	for (unsigned i = 0; i < sizeof(r); i++)
		seq_printf(m, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", r[i]);
	seq_putc(m, '\n');
}

static void zero_show(struct seq *m)
{
	seq_puts(m, "0\n");
}

static void max_map_count_show(struct seq *m)
{
	seq_puts(m, "65530\n");
}

static void nr_open_show(struct seq *m)
{
	seq_printf(m, "%u\n", FILES_MAX);
}

static void cap_last_cap_show(struct seq *m)
{
	seq_puts(m, "40\n");
}

static const struct {
	const char *name;
	void (*show)(struct seq *m);
} fixed[] = {
	{ "fs.nr_open", nr_open_show },
	{ "kernel.cap_last_cap", cap_last_cap_show },
	{ "kernel.domainname", domainname_show },
	{ "kernel.hostname", hostname_show },
	{ "kernel.osrelease", osrelease_show },
	{ "kernel.ostype", ostype_show },
	{ "kernel.pid_max", pid_max_show },
	{ "kernel.random.uuid", uuid_show },
	{ "kernel.randomize_va_space", zero_show },
	{ "kernel.version", version_show },
	{ "vm.max_map_count", max_map_count_show },
	{ "vm.overcommit_memory", zero_show },
};

static unsigned nr_names(void)
{
	return (unsigned)(ARRAY_SIZE(fixed) + (size_t)(__stop_knobs - __start_knobs));
}

static const char *name_at(unsigned i)
{
	return i < ARRAY_SIZE(fixed) ? fixed[i].name : __start_knobs[i - ARRAY_SIZE(fixed)].name;
}

/* ---- files: ref->n is the index of the name ---- */

static int value_show(struct seq *m, const struct proc_ref *ref)
{
	char value[160];
	int n;

	if (ref->n < ARRAY_SIZE(fixed)) {
		fixed[ref->n].show(m);
		return 0;
	}
	n = knob_show(&__start_knobs[ref->n - ARRAY_SIZE(fixed)], value, sizeof(value));
	if (n < 0)
		return n;
	seq_write(m, value, (size_t)n);
	return 0;
}

static int value_write(const struct proc_ref *ref, char *text, size_t n)
{
	if (!is_root())
		return -EPERM;
	return knob_write(&__start_knobs[ref->n - ARRAY_SIZE(fixed)], text);
}

static const struct proc_node fixed_node = { .mode = S_IFREG | 0444, .show = value_show };
static const struct proc_node knob_node = { .mode = S_IFREG | 0644, .show = value_show, .write = value_write };

/* ---- directories ---- */

/* What follows the directory's prefix in name i: its first part, with its length; NULL if it is not in there. */
static const char *part_at(const struct proc_ref *dir, unsigned i, size_t *len)
{
	const char *name = name_at(i), *part = name;

	if (dir->n) {
		if (strncmp(name, dir->arg, dir->n) || name[dir->n] != '.')
			return NULL;
		part = name + dir->n + 1;
	}
	for (*len = 0; part[*len] && part[*len] != '.'; ++*len)
		;
	return part;
}

static void part_ref(unsigned i, const char *part, size_t len, struct proc_ref *out)
{
	*out = (struct proc_ref){ NULL };
	if (part[len]) {
		/* The first name with this prefix stands for it, so that the inode number is the same from all. */
		size_t n = (size_t)(part + len - name_at(i));

		for (unsigned j = 0; j < i; j++) {
			if (!strncmp(name_at(j), name_at(i), n + 1)) {
				i = j;
				break;
			}
		}
		out->node = &proc_sys_node;
		out->arg = name_at(i);
		out->n = n;
	} else {
		out->node = i < ARRAY_SIZE(fixed) ? &fixed_node : &knob_node;
		out->arg = name_at(i);
		out->n = i;
	}
}

static int sys_lookup(const struct proc_ref *dir, const char *name, size_t len, struct proc_ref *out)
{
	for (unsigned i = 0; i < nr_names(); i++) {
		size_t part_len;
		const char *part = part_at(dir, i, &part_len);

		if (part && part_len == len && !memcmp(part, name, len)) {
			part_ref(i, part, len, out);
			return 0;
		}
	}
	return -ENOENT;
}

static int sys_readdir(const struct proc_ref *dir, struct dir_context *ctx, u64 base)
{
	for (unsigned i = (unsigned)(ctx->pos - base); i < nr_names(); i++) {
		size_t len, seen_len;
		const char *part = part_at(dir, i, &len), *seen = NULL;
		struct proc_ref ref;

		for (unsigned j = 0; part && j < i && !seen; j++) {
			seen = part_at(dir, j, &seen_len);
			if (seen && (seen_len != len || memcmp(seen, part, len)))
				seen = NULL;
		}
		if (!part || seen)
			continue;
		part_ref(i, part, len, &ref);
		if (!proc_emit(ctx, &ref, part, len, base + i + 1))
			break;
	}
	return 0;
}

const struct proc_node proc_sys_node = { .mode = S_IFDIR | 0555, .lookup = sys_lookup, .readdir = sys_readdir };
