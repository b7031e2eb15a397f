/*
 * Files: the page cache of a file against a model, names under allocation failures and from many threads at once,
 * malformed archives. The runner sees to it that every test leaves pages and objects as they were.
 */
#include "kernel/fs/file.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/uaccess.h"
#include "lib/err.h"
#include "lib/printf.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/mapping.h"
#include "mm/palloc.h"
#include "mm/slab.h"
#include "tests/kernel/ktest.h"

/* ---- the page cache ---- */

#define MODEL	48u

/* Indices where the tree changes shape. */
static u32 model_index(unsigned i)
{
	static const u32 base[6] = { 0, 62, 4094, 262142, 16777214, 0xfffffff8u };

	return base[i / 8] + i % 8;
}

static void check_model(struct mapping *m, const bool *there)
{
	u64 next = mapping_next(m, 0);

	for (unsigned i = 0; i < MODEL; i++) {
		struct page *p = mapping_find(m, model_index(i));

		if (!!p != there[i])
			kt_fail(__FILE__, __LINE__, "index %#x: found %d, should be %d", model_index(i), !!p, there[i]);
		if (p) {
			KT_EQ(p->index, model_index(i));
			KT_EQ(next, model_index(i));
			next = model_index(i) < UINT32_MAX ? mapping_next(m, model_index(i) + 1) : ~0ull;
			put_page(p);
		}
	}
	KT_EQ(next, ~0ull);
}

KTEST(mapping, random_against_model)
{
	bool there[MODEL] = { false };
	struct mapping m;
	struct prng rng;

	prng_seed(&rng, kt_seed());
	mapping_init(&m, NULL);
	for (unsigned step = 0; step < 600; step++) {
		unsigned i = (unsigned)prng_below(&rng, MODEL), j = (unsigned)prng_below(&rng, MODEL);

		if (prng_below(&rng, 3)) {
			struct page *p = mapping_get(&m, model_index(i), false);

			KT_ASSERT(!IS_ERR(p));
			KT_EXPECT(!memchr_inv(page_to_virt(p), 0, PAGE_SIZE));
			put_page(p);
			there[i] = true;
		} else if (prng_below(&rng, 20)) {
			mapping_punch(&m, model_index(min(i, j)), model_index(max(i, j)));
			for (unsigned k = min(i, j); k <= max(i, j); k++)
				there[k] = false;
		} else {
			mapping_grow(&m, 1ull << 45);
			mapping_truncate(&m, (u64)model_index(i) << PAGE_SHIFT);
			for (unsigned k = i; k < MODEL; k++)
				there[k] = false;
		}
		check_model(&m, there);
	}
	mapping_destroy(&m);
	KT_EXPECT(!m.root && !m.nr_pages);
}

KTEST(mapping, inside_is_checked)
{
	struct mapping m;
	struct page *p;

	mapping_init(&m, NULL);
	mapping_grow(&m, 2 * PAGE_SIZE + 1);
	p = mapping_get(&m, 2, true);
	KT_ASSERT(!IS_ERR(p));
	put_page(p);
	KT_EQ(PTR_ERR(mapping_get(&m, 3, true)), -EFAULT);
	mapping_destroy(&m);
}

KTEST(mapping, truncation_zeroes_the_tail)
{
	struct mapping m;
	struct page *p;
	char *bytes;

	mapping_init(&m, NULL);
	mapping_grow(&m, PAGE_SIZE);
	p = mapping_get(&m, 0, true);
	KT_ASSERT(!IS_ERR(p));
	bytes = page_to_virt(p);
	memset(bytes, 'x', PAGE_SIZE);
	mapping_truncate(&m, 100);
	KT_EXPECT(bytes[99] == 'x' && !memchr_inv(bytes + 100, 0, PAGE_SIZE - 100));
	put_page(p);
	mapping_destroy(&m);
}

/* A page that was found stays what it is while it is held, though it leaves the cache. */
KTEST(mapping, removed_page_lives_on)
{
	struct mapping m;
	struct page *p;

	mapping_init(&m, NULL);
	p = mapping_get(&m, 70, false);
	KT_ASSERT(!IS_ERR(p));
	mapping_truncate(&m, 0);
	mapping_punch(&m, 0, ~0ull);
	KT_EXPECT(!page_owner(p) && page_type(p) == PAGE_FILE && page_refs(p) == 1);
	KT_EXPECT(!mapping_find(&m, 70));
	put_page(p);
	mapping_destroy(&m);
}

KTEST(mapping, no_memory)
{
	struct mapping m;

	mapping_init(&m, NULL);
	for (unsigned skip = 0; skip < 8; skip++) {
		struct page *p;

		kt_settle();
		palloc_fail(skip, 1);
		p = mapping_get(&m, 1u << 30, false);
		palloc_fail(0, 0);
		if (IS_ERR(p))
			KT_EQ(PTR_ERR(p), -ENOMEM);
		else
			put_page(p);
		mapping_punch(&m, 0, ~0ull);
	}
	mapping_destroy(&m);
}

static struct mapping shared;
static u32 round_seed;

static int look_and_cut(void *unused)
{
	struct prng rng;

	prng_seed(&rng, kt_seed() + __atomic_add_fetch(&round_seed, 1, __ATOMIC_RELAXED));
	for (unsigned i = 0; i < 2000; i++) {
		u32 index = (u32)prng_below(&rng, 200);
		struct page *p;

		if (!prng_below(&rng, 10)) {
			mapping_punch(&shared, index, index + prng_below(&rng, 100));
			continue;
		}
		p = prng_below(&rng, 2) ? mapping_get(&shared, index, false) : mapping_find(&shared, index);
		if (IS_ERR_OR_NULL(p))
			continue;
		KT_EQ(p->index, index);
		KT_EQ(page_type(p), PAGE_FILE);
		put_page(p);
		if (i % 64 == 0)
			cond_resched();
	}
	return 0;
}

KTEST(mapping, lookups_race_with_removal)
{
	mapping_init(&shared, NULL);
	KT_EQ(kt_threads(4, look_and_cut, NULL), 0);
	mapping_destroy(&shared);
}

/* ---- names, on a tmpfs of the test's own ---- */

#define ROOM "/ktest"

/* Make the calling thread one that has files, and mount a tmpfs for it. */
static int room_enter(void)
{
	struct fs_context *fs = fs_create();
	struct path p;
	char *name;
	int err;

	if (IS_ERR(fs))
		return (int)PTR_ERR(fs);
	current->fs = fs;
	err = fs_mknod(ROOM, S_IFDIR | 0755, 0, NULL);
	name = name_dup(ROOM);
	if (IS_ERR(name))
		return -ENOMEM;
	if (!err)
		err = path_lookup(AT_FDCWD, name, WALK_DIRECTORY, &p);
	if (!err) {
		err = mount_at("tmpfs", "ktest", "size=16M", false, &p);
		path_put(&p);
	}
	if (!err) {
		strlcpy(name, ROOM, PATH_MAX);
		err = path_lookup(AT_FDCWD, name, WALK_DIRECTORY, &p);
		if (!err)
			fs_set_path(&fs->cwd, p);
	}
	name_put(name);
	return err;
}

static void room_leave(void)
{
	struct path root = current->fs->root, p;
	char *name = name_dup(ROOM);

	path_get(&root);
	fs_set_path(&current->fs->cwd, root);
	if (!IS_ERR(name)) {
		if (!path_lookup(AT_FDCWD, name, WALK_DIRECTORY, &p)) {
			KT_EQ(do_umount(&p, 0), 0);
			path_put(&p);
		}
		name_put(name);
	}
	KT_EQ(fs_remove(ROOM, true), 0);
	fs_put(current->fs);
	current->fs = NULL;
	rcu_barrier();
}

static struct file *open_file(const char *path, int flags)
{
	char *name = name_dup(path);
	struct file *f;

	if (IS_ERR(name))
		return ERR_CAST(name);
	f = file_open(AT_FDCWD, name, flags, 0644);
	name_put(name);
	return f;
}

static long write_text(struct file *f, const char *text, size_t n, u64 pos)
{
	struct uio u;

	uio_kernel(&u, text, n);
	return f->ops->write(f, &u, &pos);
}

/* Everything that a file goes through; stops at the first error. */
static int life_of_a_file(void)
{
	static const char long_name[] = "a-name-that-does-not-fit-into-the-directory-entry-itself";
	struct file *f;
	char back[8];
	long n;
	int err;

	err = fs_mknod("dir", S_IFDIR | 0755, 0, NULL);
	if (!err)
		err = fs_mknod("dir/link", S_IFLNK | 0777, 0, "../dir/file");
	if (!err)
		err = fs_mknod(long_name, S_IFREG | 0644, 0, NULL);
	if (!err)
		err = fs_link(long_name, "dir/other");
	if (err)
		return err;
	f = open_file("dir/link", O_CREAT | O_RDWR);
	if (IS_ERR(f))
		return (int)PTR_ERR(f);
	n = write_text(f, "contents", 8, 3 * PAGE_SIZE + 5);
	if (n == 8 && (kernel_read(f, back, 8, 3 * PAGE_SIZE + 5) != 8 || memcmp(back, "contents", 8)))
		n = -EIO;
	fput(f);
	return n < 0 ? (int)n : 0;
}

static void clear_away(void)
{
	fs_remove("dir/link", false);
	fs_remove("dir/file", false);
	fs_remove("dir/other", false);
	fs_remove("dir", true);
	fs_remove("a-name-that-does-not-fit-into-the-directory-entry-itself", false);
}

KTEST(fs, no_memory)
{
	unsigned failed = 0;

	KT_EQ(room_enter(), 0);
	for (unsigned skip = 0; skip < 24; skip++) {
		int err;

		kt_settle();
		palloc_fail(skip, 1);
		err = life_of_a_file();
		palloc_fail(0, 0);
		if (err)
			KT_EQ(err, -ENOMEM);
		failed += err != 0;
		clear_away();
	}
	KT_EXPECT(failed > 0);
	KT_EQ(life_of_a_file(), 0);
	clear_away();
	room_leave();
}

KTEST(fs, full)
{
	struct file *f;
	char *page = alloc_kpages(0, GFP_KERNEL | GFP_ZERO);
	u64 pos = 0;

	KT_ASSERT(page);
	KT_EQ(room_enter(), 0);
	f = open_file("big", O_CREAT | O_RDWR);
	KT_ASSERT(!IS_ERR(f));
	while (write_text(f, page, PAGE_SIZE, pos) == (long)PAGE_SIZE)
		pos += PAGE_SIZE;
	KT_EQ(pos, 16u << 20);
	KT_EQ(write_text(f, page, 1, pos), -ENOSPC);
	KT_EQ(inode_truncate(f->inode, PAGE_SIZE), 0);
	KT_EQ(write_text(f, page, PAGE_SIZE, pos), PAGE_SIZE);
	fput(f);
	free_kpages(page, 0);
	room_leave();
}

/* Threads share the room: a name is made by one, linked, opened and removed by others. */
static struct fs_context *room;

static int storm(void *unused)
{
	struct prng rng;
	char a[16], b[16];

	prng_seed(&rng, kt_seed() ^ __atomic_add_fetch(&round_seed, 1, __ATOMIC_RELAXED));
	current->fs = fs_get(room);
	for (unsigned i = 0; i < 1000; i++) {
		struct file *f;

		kscnprintf(a, sizeof(a), "f%llu", prng_below(&rng, 6));
		kscnprintf(b, sizeof(b), "f%llu", prng_below(&rng, 6));
		switch (prng_below(&rng, 5)) {
		case 0:
			fs_mknod(a, S_IFREG | 0644, 0, NULL);
			break;
		case 1:
			fs_link(a, b);
			break;
		case 2:
			fs_remove(a, false);
			break;
		case 3:
			f = open_file(a, O_RDWR | O_CREAT);
			if (!IS_ERR(f)) {
				write_text(f, "x", 1, prng_below(&rng, 100000));
				fput(f);
			}
			break;
		case 4:
			f = open_file(a, O_RDWR);
			if (!IS_ERR(f)) {
				inode_truncate(f->inode, prng_below(&rng, 100000));
				fput(f);
			}
			break;
		}
		cond_resched();
	}
	fs_put(current->fs);
	current->fs = NULL;
	return 0;
}

KTEST(fs, storm_of_names)
{
	KT_EQ(room_enter(), 0);
	room = current->fs;
	KT_EQ(kt_threads(4, storm, NULL), 0);
	room_leave();
}

/* ---- archives ---- */

static size_t add_entry(char *at, const char *name, u32 mode, u32 nlink, u32 ino, const char *data)
{
	size_t n, size = data ? strlen(data) : 0, start;

	n = (size_t)kscnprintf(at, 111, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino, mode, 0, 0,
			       nlink, 0, (u32)size, 0, 0, 0, 0, (u32)strlen(name) + 1, 0);
	memcpy(at + n, name, strlen(name) + 1);
	n += strlen(name) + 1;
	start = align_up(n, 4);
	memset(at + n, 0, start - n);
	if (size)
		memcpy(at + start, data, size);
	n = start + size;
	memset(at + n, 0, align_up(n, 4) - n);
	return align_up(n, 4);
}

static size_t make_archive(char *buf)
{
	size_t n = 0;

	n += add_entry(buf + n, "d", S_IFDIR | 0755, 2, 1, NULL);
	n += add_entry(buf + n, "d/file", S_IFREG | 0644, 1, 2, "some text in a file");
	n += add_entry(buf + n, "d/link", S_IFLNK | 0777, 1, 3, "file");
	n += add_entry(buf + n, "one", S_IFREG | 0644, 2, 4, NULL);
	n += add_entry(buf + n, "two", S_IFREG | 0644, 2, 4, "shared");
	n += add_entry(buf + n, "dev", S_IFCHR | 0600, 1, 5, NULL);
	n += add_entry(buf + n, "TRAILER!!!", 0, 1, 0, NULL);
	return n;
}

static void remove_unpacked(void)
{
	static const char *const names[] = { "d/file", "d/link", "one", "two", "dev" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		fs_remove(names[i], false);
	fs_remove("d", true);
}

KTEST(initramfs, good_archive)
{
	char *buf = kzalloc(4096, GFP_KERNEL), text[32];
	struct file *f;

	KT_ASSERT(buf);
	KT_EQ(room_enter(), 0);
	KT_EQ(initramfs_unpack(buf, make_archive(buf)), 0);
	f = open_file("d/link", O_RDONLY);
	KT_ASSERT(!IS_ERR(f));
	KT_EQ(kernel_read(f, text, sizeof(text), 0), 19);
	fput(f);
	f = open_file("one", O_RDONLY);
	KT_ASSERT(!IS_ERR(f));
	KT_EQ(kernel_read(f, text, sizeof(text), 0), 6);
	KT_EQ(f->inode->nlink, 2);
	fput(f);
	room_leave();
	kfree(buf);
}

/* Cut anywhere, and with bytes of the first two entries changed: refused or unpacked, never worse. */
KTEST(initramfs, malformed_archives)
{
	char *buf = kzalloc(4096, GFP_KERNEL), *bad = kzalloc(4096, GFP_KERNEL);
	size_t size;

	KT_ASSERT(buf && bad);
	KT_EQ(room_enter(), 0);
	size = make_archive(buf);
	for (size_t cut = 1; cut < size; cut += 41) {
		int err = initramfs_unpack(buf, cut);

		KT_EXPECT(err == 0 || err == -EINVAL);
		remove_unpacked();
	}
	for (size_t at = 0; at < 260; at += 7) {
		int err;

		memcpy(bad, buf, size);
		bad[at] ^= 0x15;
		err = initramfs_unpack(bad, size);
		KT_EXPECT(err == 0 || err == -EINVAL);
		remove_unpacked();
	}
	room_leave();
	kfree(buf);
	kfree(bad);
}
