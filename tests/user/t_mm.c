/*
 * t_mm: address spaces. mmap, munmap, mprotect, mremap, brk, madvise and their errors; entries split and merge.
 *
 * Entries are checked in /proc/self/maps and by access. A test works in an arena: a reservation whose first and last
 * page stay PROT_NONE, so that what lies beside it does not matter.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/user/fault.h"
#include "tests/user/ktap.h"
#include "tests/user/maps.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static size_t P;	/* page size */

/* Room for n pages with nothing in it, and a barrier on each side. */
static char *hole(size_t n)
{
	char *p = mmap(NULL, (n + 2) * P, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	if (!CHECK(p != MAP_FAILED) || !CHECK(munmap(p + P, n * P) == 0))
		_exit(1);
	return p + P;
}

/* As hole(), with n pages of readable and writable memory in it. */
static char *arena(size_t n)
{
	char *p = hole(n);

	if (!CHECK(mmap(p, n * P, RW, ANON | MAP_FIXED, -1, 0) == p))
		_exit(1);
	return p;
}

static void number(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i * P] = (char)(i + 1);
}

static void fresh_pages_are_zero(void)
{
	size_t n = 64;
	unsigned char *p = (unsigned char *)arena(n);
	bool zero = true;

	for (size_t i = 0; i < n * P; i++)
		zero &= p[i] == 0;
	CHECK(zero);
	memset(p, 0xa5, n * P);
	CHECK_EQ(munmap(p, n * P), 0);
	CHECK(mmap(p, n * P, RW, ANON | MAP_FIXED, -1, 0) == p);
	for (size_t i = 0; i < n * P; i++)
		zero &= p[i] == 0;
	CHECK(zero);
}

static void read_then_write(void)
{
	volatile char *p = arena(4);

	CHECK_EQ(p[0] + p[P] + p[2 * P], 0);
	p[P] = 7;
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[P], 7);
	CHECK_EQ(p[2 * P], 0);
}

static void munmap_splits(void)
{
	char *p = arena(5);

	fault_catch();
	number(p, 5);
	CHECK_MAPS(p, 5, "wwwww");
	CHECK_EQ(munmap(p + 2 * P, P), 0);
	CHECK_MAPS(p, 5, "ww-ww");
	CHECK_EQ(fault_read(p + 2 * P), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_MAPERR);
	CHECK(fault_address == p + 2 * P);
	CHECK_EQ(fault_write(p + 3 * P - 1, 1), SIGSEGV);
	CHECK(fault_address == p + 3 * P - 1);
	CHECK(p[0] == 1 && p[P] == 2 && p[3 * P] == 4 && p[4 * P] == 5);
	CHECK_EQ(munmap(p, P), 0);
	CHECK_EQ(munmap(p + 4 * P, P), 0);
	CHECK_MAPS(p, 5, "-w-w-");
	CHECK(p[P] == 2 && p[3 * P] == 4);
	CHECK_EQ(munmap(p, 5 * P), 0);
	CHECK_MAPS(p, 5, "-----");
	CHECK_EQ(munmap(p, 5 * P), 0);
}

static void mmap_merges(void)
{
	char *p = hole(6);

	CHECK(mmap(p, P, RW, ANON | MAP_FIXED, -1, 0) == p);
	CHECK(mmap(p + 2 * P, P, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * P);
	CHECK_MAPS(p, 6, "w-w---");
	number(p, 1);
	CHECK(mmap(p + P, P, RW, ANON | MAP_FIXED, -1, 0) == p + P);
	CHECK_MAPS(p, 6, "www---");
	CHECK_EQ(p[0], 1);
	CHECK(mmap(p + 3 * P, P, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + 3 * P);
	CHECK_MAPS(p, 6, "www|r--");
	CHECK(mmap(p + 4 * P, 2 * P, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + 4 * P);
	CHECK_MAPS(p, 6, "www|rrr");
}

static void mprotect_splits_and_merges(void)
{
	char *p = arena(6);

	fault_catch();
	number(p, 6);
	CHECK_EQ(mprotect(p + P, 3 * P, PROT_READ), 0);
	CHECK_MAPS(p, 6, "w|rrr|ww");
	CHECK_EQ(fault_write(p + P, 9), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK(fault_address == p + P);
	CHECK_EQ(fault_write(p + 4 * P - 1, 9), SIGSEGV);
	CHECK_EQ(fault_write(p + 4 * P, 5), 0);
	CHECK_EQ(fault_write(p + P - 1, 5), 0);
	CHECK(p[P] == 2 && p[2 * P] == 3 && p[3 * P] == 4);
	CHECK_EQ(mprotect(p + 2 * P, P, PROT_NONE), 0);
	CHECK_MAPS(p, 6, "w|r|n|r|ww");
	CHECK_EQ(fault_read(p + 2 * P), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	CHECK_EQ(mprotect(p, 6 * P, RW), 0);
	CHECK_MAPS(p, 6, "wwwwww");
	CHECK(p[P] == 2 && p[2 * P] == 3 && p[3 * P] == 4);
	CHECK_EQ(fault_write(p + 2 * P, 8), 0);
	CHECK_EQ(p[2 * P], 8);
}

static void mprotect_takes_rights_from_touched_pages(void)
{
	size_t n = 100;
	char *p = arena(n);

	fault_catch();
	for (int round = 0; round < 3; round++) {
		number(p, n);
		CHECK_EQ(mprotect(p, n * P, PROT_READ), 0);
		for (size_t i = 0; i < n; i++)
			if (!CHECK(p[i * P] == (char)(i + 1) && fault_write(p + i * P, 0) == SIGSEGV))
				return;
		CHECK_EQ(mprotect(p, n * P, PROT_NONE), 0);
		for (size_t i = 0; i < n; i++)
			if (!CHECK(fault_read(p + i * P) == SIGSEGV))
				return;
		CHECK_EQ(mprotect(p, n * P, RW), 0);
		for (size_t i = 0; i < n; i++)
			if (!CHECK(p[i * P] == (char)(i + 1)))
				return;
	}
}

static void mprotect_errors(void)
{
	char *p = arena(4);

	CHECK_ERR(mprotect(p + 1, P, PROT_READ), EINVAL);
	CHECK_EQ(mprotect(p, 0, PROT_READ), 0);
	CHECK_EQ(munmap(p + P, P), 0);
	CHECK_ERR(mprotect(p, 3 * P, PROT_READ), ENOMEM);
	CHECK_ERR(mprotect(p + P, P, PROT_READ), ENOMEM);
	CHECK_ERR(mprotect(p, (size_t)0 - P, PROT_READ), ENOMEM);
	CHECK_ERR(mprotect((void *)((uintptr_t)0 - P), P, PROT_READ), ENOMEM);
	CHECK_ERR(mprotect(p, P, 0x4000), EINVAL);
}

static void fixed_replaces(void)
{
	char *p = arena(5);

	number(p, 5);
	CHECK(mmap(p + P, 2 * P, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + P);
	CHECK_MAPS(p, 5, "w|rr|ww");
	CHECK(p[0] == 1 && p[P] == 0 && p[2 * P] == 0 && p[3 * P] == 4);
	CHECK(mmap(p, 5 * P, RW, ANON | MAP_FIXED, -1, 0) == p);
	CHECK_MAPS(p, 5, "wwwww");
	CHECK(p[0] == 0 && p[4 * P] == 0);
}

static void fixed_noreplace(void)
{
	char *p = arena(3);

	CHECK_EQ(munmap(p + P, P), 0);
	CHECK(mmap(p, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK(mmap(p, 3 * P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK(mmap(p + P, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + P);
	CHECK_MAPS(p, 3, "www");
}

static void hint(void)
{
	char *p = hole(8), *q;

	CHECK(mmap(p + 2 * P, P, RW, ANON, -1, 0) == p + 2 * P);
	q = mmap(p + 2 * P, P, RW, ANON, -1, 0);
	CHECK(q != MAP_FAILED && q != p + 2 * P);
	q = mmap(p + 4 * P + 123, P, RW, ANON, -1, 0);
	CHECK(q != MAP_FAILED && (uintptr_t)q % P == 0);
}

static void mmap_errors(void)
{
	void *kernel = (void *)((uintptr_t)0 - 16 * P);

	CHECK_ERR((long)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
	CHECK_ERR((long)mmap((void *)(P + 1), P, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERR((long)mmap(NULL, P, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERR((long)mmap(NULL, P, RW, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERR((long)mmap(NULL, P, RW, MAP_PRIVATE, 1000, 0), EBADF);
	CHECK_ERR((long)mmap(NULL, (size_t)0 - P, RW, ANON, -1, 0), ENOMEM);
	CHECK_ERR((long)mmap(NULL, SIZE_MAX, RW, ANON, -1, 0), ENOMEM);
	CHECK_ERR((long)mmap(NULL, SIZE_MAX / 2, RW, ANON | MAP_NORESERVE, -1, 0), ENOMEM);
	CHECK_ERR((long)mmap(kernel, P, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
	CHECK_ERR(munmap((void *)1, P), EINVAL);
	CHECK_ERR(munmap((void *)P, 0), EINVAL);
	CHECK_ERR(munmap(kernel, P), EINVAL);
	CHECK_ERR(munmap((void *)P, SIZE_MAX - P), EINVAL);
}

static void mmap_of_wrong_files(void)
{
	int fds[2], fd = open("/proc/self/exe", O_RDONLY);

	REQUIRE(fd >= 0 && pipe(fds) == 0);
	CHECK_ERR((long)mmap(NULL, P, PROT_READ, MAP_PRIVATE, fds[0], 0), ENODEV);
	CHECK_ERR((long)mmap(NULL, P, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
	CHECK_ERR((long)mmap(NULL, P, RW, MAP_SHARED, fd, 0), EACCES);
	CHECK((long)mmap(NULL, P, RW, MAP_PRIVATE, fd, 0) != -1);
}

static void lengths_round_up(void)
{
	char *p = hole(4);

	CHECK(mmap(p, 1, RW, ANON | MAP_FIXED, -1, 0) == p);
	CHECK_MAPS(p, 4, "w---");
	CHECK(mmap(p, P + 1, RW, ANON | MAP_FIXED, -1, 0) == p);
	CHECK_MAPS(p, 4, "ww--");
	CHECK_EQ(mprotect(p + P, 1, PROT_READ), 0);
	CHECK_MAPS(p, 4, "w|r--");
	CHECK_EQ(munmap(p, 1), 0);
	CHECK_MAPS(p, 4, "-r--");
}

static char *raw_brk(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

static void brk_grows_and_shrinks(void)
{
	char *start = raw_brk(NULL), *base = (char *)(((uintptr_t)start + P - 1) / P * P);
	bool zero = true;

	fault_catch();
	if ((long)start <= 0)
		SKIP("no brk");
	CHECK(raw_brk(base + 8 * P) == base + 8 * P);
	for (size_t i = 0; i < 8 * P; i++)
		zero &= base[i] == 0;
	CHECK(zero);
	number(base, 8);
	CHECK(raw_brk(base + 4 * P + 10) == base + 4 * P + 10);
	CHECK_EQ(base[4 * P], 5);
	CHECK_EQ(fault_read(base + 5 * P), SIGSEGV);
	CHECK(raw_brk(base + 8 * P) == base + 8 * P);
	CHECK_EQ(base[4 * P], 5);
	CHECK_EQ(base[5 * P], 0);
	CHECK(raw_brk(base) == base);
	CHECK_EQ(fault_read(base), SIGSEGV);
	CHECK(raw_brk((char *)P) == base);
	CHECK(raw_brk((char *)((uintptr_t)0 - P)) == base);
	CHECK(raw_brk(start) == start);
}

static void mremap_grows_in_place(void)
{
	char *p = hole(8);

	CHECK(mmap(p, 2 * P, RW, ANON | MAP_FIXED, -1, 0) == p);
	number(p, 2);
	CHECK(mremap(p, 2 * P, 5 * P, 0) == p);
	CHECK_MAPS(p, 8, "wwwww---");
	CHECK(p[0] == 1 && p[P] == 2 && p[4 * P] == 0);
	p[4 * P] = 9;
	CHECK(mremap(p, 5 * P, 1 * P, 0) == p);
	CHECK_MAPS(p, 8, "w-------");
	CHECK(mremap(p, P, 5 * P, 0) == p);
	CHECK(p[0] == 1 && p[P] == 0 && p[4 * P] == 0);
	CHECK(mremap(p, 5 * P, 5 * P, 0) == p);
}

static void mremap_moves(void)
{
	char *p = arena(3), *q;

	fault_catch();
	number(p, 3);
	CHECK_ERR((long)mremap(p, 3 * P, 6 * P, 0), ENOMEM);
	q = mremap(p, 3 * P, 600 * P, MREMAP_MAYMOVE);
	REQUIRE(q != MAP_FAILED);
	CHECK(q != p);
	CHECK(q[0] == 1 && q[P] == 2 && q[2 * P] == 3 && q[3 * P] == 0 && q[599 * P] == 0);
	CHECK_EQ(fault_read(p), SIGSEGV);
	CHECK_MAPS(p, 3, "---");
	CHECK_EQ(fault_write(q + 599 * P, 4), 0);
	CHECK_EQ(munmap(q, 600 * P), 0);
}

static void mremap_fixed(void)
{
	char *p = arena(4), *q = arena(6);

	fault_catch();
	number(p, 4);
	number(q, 6);
	CHECK(mremap(p + P, 2 * P, 3 * P, MREMAP_MAYMOVE | MREMAP_FIXED, q + P) == q + P);
	CHECK_MAPS(p, 4, "w--w");
	CHECK_EQ(fault_read(p + P), SIGSEGV);
	CHECK(q[0] == 1 && q[P] == 2 && q[2 * P] == 3 && q[3 * P] == 0 && q[4 * P] == 5);
	CHECK(p[0] == 1 && p[3 * P] == 4);
}

static void mremap_middle(void)
{
	char *p = arena(5), *q;

	number(p, 5);
	CHECK_EQ(mprotect(p + 3 * P, P, PROT_READ), 0);
	q = mremap(p + P, 2 * P, 4 * P, MREMAP_MAYMOVE);
	REQUIRE(q != MAP_FAILED);
	CHECK_MAPS(p, 5, "w--r|w");
	CHECK(q[0] == 2 && q[P] == 3 && q[2 * P] == 0);
	CHECK(p[0] == 1 && p[3 * P] == 4 && p[4 * P] == 5);
}

static void mremap_errors(void)
{
	char *p = arena(8);

	CHECK_EQ(munmap(p + 2 * P, P), 0);
	CHECK_ERR((long)mremap(p + 1, P, 2 * P, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERR((long)mremap(p, P, 0, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERR((long)mremap(p, P, P, 0x100), EINVAL);
	CHECK_ERR((long)mremap(p, P, P, MREMAP_FIXED, p + 4 * P), EINVAL);
	CHECK_ERR((long)mremap(p + 4 * P, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 5 * P), EINVAL);
	CHECK_ERR((long)mremap(p + 4 * P, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 1), EINVAL);
	CHECK_ERR((long)mremap(p + 2 * P, P, 2 * P, MREMAP_MAYMOVE), EFAULT);
	CHECK_ERR((long)mremap(p, 4 * P, 8 * P, MREMAP_MAYMOVE), EFAULT);
	CHECK_MAPS(p, 8, "ww-wwwww");
}

static void mremap_by_the_thousand(void)
{
	size_t n = 1;
	char *p = mmap(NULL, P, RW, ANON, -1, 0);
	int rounds = ktap_scale(1000);
	uint64_t seed = 12345;

	REQUIRE(p != MAP_FAILED);
	p[0] = 1;
	for (int i = 0; i < rounds; i++) {
		size_t to = random_next(&seed) % 40 + 1;

		p = mremap(p, n * P, to * P, MREMAP_MAYMOVE);
		REQUIRE(p != MAP_FAILED);
		for (size_t k = n; k < to; k++) {
			REQUIRE(p[k * P] == 0);
			p[k * P] = (char)(k + 1);
		}
		n = to;
		for (size_t k = 0; k < n; k++)
			REQUIRE(p[k * P] == (char)(k + 1));
	}
	CHECK_EQ(munmap(p, n * P), 0);
}

static void dontneed_zeroes(void)
{
	char *p = arena(6);

	number(p, 6);
	CHECK_EQ(madvise(p + P, 3 * P, MADV_DONTNEED), 0);
	CHECK(p[0] == 1 && p[P] == 0 && p[2 * P] == 0 && p[3 * P] == 0 && p[4 * P] == 5);
	CHECK_MAPS(p, 6, "wwwwww");
	p[P] = 7;
	CHECK_EQ(p[P], 7);
	CHECK_EQ(mprotect(p, 6 * P, PROT_READ), 0);
	CHECK_EQ(madvise(p, 6 * P, MADV_DONTNEED), 0);
	CHECK(p[0] == 0 && p[P] == 0 && p[4 * P] == 0);
}

static void madvise_errors(void)
{
	char *p = arena(4);

	CHECK_EQ(munmap(p + P, P), 0);
	p[2 * P] = 3;
	CHECK_ERR(madvise(p, P, 9999), EINVAL);
	CHECK_ERR(madvise(p + 1, P, MADV_DONTNEED), EINVAL);
	CHECK_EQ(madvise(p, 0, MADV_DONTNEED), 0);
	CHECK_ERR(madvise(p, 4 * P, MADV_DONTNEED), ENOMEM);
	CHECK_EQ(p[2 * P], 0);
	CHECK_ERR(madvise(p, (size_t)0 - P, MADV_DONTNEED), EINVAL);
}

static void madvise_hints(void)
{
	static const int hints[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED };
	char *p = arena(4);

	number(p, 4);
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		CHECK_EQ(madvise(p, 4 * P, hints[i]), 0);
	CHECK(p[0] == 1 && p[3 * P] == 4);
}

/* glibc's arenas: reserve much, open it piece by piece. */
static void reserve_then_open(void)
{
	const size_t size = (size_t)128 << 20;
	char *p = mmap(NULL, size, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	size_t step = 4 * P;

	REQUIRE(p != MAP_FAILED);
	fault_catch();
	CHECK_EQ(fault_read(p + size / 2), SIGSEGV);
	CHECK_EQ(fault_code, SEGV_ACCERR);
	for (size_t open = 0; open < 64 * P; open += step) {
		REQUIRE(mprotect(p + open, step, RW) == 0);
		p[open] = 1;
		p[open + step - 1] = 1;
	}
	CHECK_EQ(fault_write(p + 64 * P, 1), SIGSEGV);
	CHECK_MAPS(p + 62 * P, 4, "ww|nn");
	CHECK_EQ(munmap(p, size), 0);
}

static void far_apart(void)
{
	const size_t size = (size_t)16 << 30, step = (size_t)257 << 20;
	char *p = mmap(NULL, size, RW, ANON | MAP_NORESERVE, -1, 0);
	int n = 0;

	REQUIRE(p != MAP_FAILED);
	for (size_t off = 0; off < size; off += step)
		p[off] = (char)++n;
	n = 0;
	for (size_t off = 0; off < size; off += step)
		CHECK_EQ(p[off], (char)++n);
	CHECK_EQ(munmap(p, size), 0);
}

static void many_entries(void)
{
	size_t n = (size_t)ktap_scale(600);
	char *p = arena(n);
	int before = maps_walk(NULL, NULL);

	number(p, n);
	for (size_t i = 1; i < n; i += 2)
		REQUIRE(mprotect(p + i * P, P, PROT_READ) == 0);
	CHECK_EQ(maps_walk(NULL, NULL), before + (int)n - 1);
	for (size_t i = 0; i < n; i++)
		REQUIRE(p[i * P] == (char)(i + 1));
	for (size_t i = 1; i < n; i += 2)
		REQUIRE(mprotect(p + i * P, P, RW) == 0);
	CHECK_EQ(maps_walk(NULL, NULL), before);
	for (size_t i = 0; i < n; i += 2)
		REQUIRE(munmap(p + i * P, P) == 0);
	CHECK_EQ(maps_walk(NULL, NULL), before - 1 + (int)(n / 2));
	CHECK_EQ(munmap(p, n * P), 0);
	CHECK_EQ(maps_walk(NULL, NULL), before - 1);
}

static void entries_do_not_pile_up(void)
{
	int before = maps_walk(NULL, NULL), rounds = ktap_scale(1000);

	for (int i = 0; i < rounds; i++) {
		char *p = mmap(NULL, 3 * P, RW, ANON, -1, 0);

		REQUIRE(p != MAP_FAILED);
		p[P] = 1;
		REQUIRE(munmap(p + P, P) == 0);
		REQUIRE(munmap(p, 3 * P) == 0);
	}
	CHECK_EQ(maps_walk(NULL, NULL), before);
}

struct order {
	uintptr_t end;
	bool good, stack;
};

static void check_order(const struct map_entry *e, void *arg)
{
	struct order *o = arg;

	o->good &= e->start >= o->end && e->start < e->end && e->start % P == 0 && e->end % P == 0;
	o->good &= strspn(e->perms, "rwxps-") == 4;
	o->end = e->end;
	if (!strcmp(e->name, "[stack]")) {
		volatile char here;

		o->stack = (uintptr_t)&here >= e->start && (uintptr_t)&here < e->end;
	}
}

static void maps_are_ordered(void)
{
	struct order o = { .good = true };

	CHECK(maps_walk(check_order, &o) > 3);
	CHECK(o.good);
	CHECK(o.stack);
}

/* Random operations on an arena against a model of rights and contents, one byte per page. */
static void random_operations(void)
{
	enum { N = 48 };
	char *p = hole(N), picture[N + 1];
	int model[N];	/* -1 unmapped, -2 PROT_NONE, 0.. content; read-only is ro[] */
	bool ro[N] = { false };
	int value[N] = { 0 }, rounds = ktap_scale(1500);
	const char *given = getenv("FUZZ_SEED");
	uint64_t seed = (given ? strtoull(given, NULL, 0) : 20261121) | 1;

	diag("seed %#llx", (unsigned long long)seed);
	fault_catch();
	for (int i = 0; i < N; i++)
		model[i] = -1;
	for (int round = 0; round < rounds; round++) {
		size_t from = random_next(&seed) % N, len = random_next(&seed) % (N - from) / 2 + 1, i;
		int op = (int)(random_next(&seed) % 6);
		bool mapped = true;

		for (i = from; i < from + len; i++)
			mapped &= model[i] != -1;
		if (op == 0) {
			REQUIRE(munmap(p + from * P, len * P) == 0);
		} else if (op == 1) {
			REQUIRE(mmap(p + from * P, len * P, RW, ANON | MAP_FIXED, -1, 0) == p + from * P);
		} else if (op == 2 && mapped) {
			REQUIRE(mprotect(p + from * P, len * P, PROT_READ) == 0);
		} else if (op == 3 && mapped) {
			REQUIRE(mprotect(p + from * P, len * P, RW) == 0);
		} else if (op == 4 && mapped) {
			REQUIRE(mprotect(p + from * P, len * P, PROT_NONE) == 0);
		} else if (op == 5 && mapped) {
			REQUIRE(madvise(p + from * P, len * P, MADV_DONTNEED) == 0);
		} else {
			continue;
		}
		for (i = from; i < from + len; i++) {
			if (op <= 1 || op == 5)
				value[i] = 0;
			if (op <= 1 || op == 3)
				ro[i] = false;
			if (op == 2)
				ro[i] = true;
			if (op != 5)
				model[i] = op == 0 ? -1 : op == 4 ? -2 : 0;
		}
		i = random_next(&seed) % N;
		if (model[i] == 0 && !ro[i])
			p[i * P] = (char)(value[i] = (int)(random_next(&seed) % 100));
		i = random_next(&seed) % N;
		if (model[i] < 0) {
			REQUIRE(fault_read(p + i * P) == SIGSEGV);
			REQUIRE(fault_code == (model[i] == -1 ? SEGV_MAPERR : SEGV_ACCERR));
		} else {
			REQUIRE(p[i * P] == value[i]);
			REQUIRE(!ro[i] || fault_write(p + i * P, 0) == SIGSEGV);
		}
	}
	for (int i = 0; i < N; i++)
		picture[i] = model[i] == -1 ? '-' : model[i] == -2 ? 'n' : ro[i] ? 'r' : 'w';
	picture[N] = '\0';
	{
		const char *seen = maps_picture(p, N);
		char merged[2 * N + 1];
		int n = 0;

		for (int i = 0; i < N; i++) {
			if (i && picture[i] != picture[i - 1] && picture[i] != '-' && picture[i - 1] != '-')
				merged[n++] = '|';
			merged[n++] = picture[i];
		}
		merged[n] = '\0';
		/* Adjacent areas with equal rights may stay apart where their histories differ, so bars may be more. */
		for (const char *a = seen, *b = merged; *a || *b;) {
			if (*a == '|' && *b != '|') {
				a++;
				continue;
			}
			if (!CHECK(*a == *b)) {
				diag("%s, expected %s", seen, merged);
				return;
			}
			a++;
			b++;
		}
	}
}

static const struct ktap_case cases[] = {
	CASE(fresh_pages_are_zero),
	CASE(read_then_write),
	CASE(munmap_splits),
	CASE(mmap_merges),
	CASE(mprotect_splits_and_merges),
	CASE(mprotect_takes_rights_from_touched_pages),
	CASE(mprotect_errors),
	CASE(fixed_replaces),
	CASE(fixed_noreplace),
	CASE(hint),
	CASE(mmap_errors),
	CASE(mmap_of_wrong_files),
	CASE(lengths_round_up),
	CASE(brk_grows_and_shrinks),
	CASE(mremap_grows_in_place),
	CASE(mremap_moves),
	CASE(mremap_fixed),
	CASE(mremap_middle),
	CASE(mremap_errors),
	CASE(mremap_by_the_thousand),
	CASE(dontneed_zeroes),
	CASE(madvise_errors),
	CASE(madvise_hints),
	CASE(reserve_then_open),
	CASE(far_apart),
	CASE(many_entries),
	CASE(entries_do_not_pile_up),
	CASE(maps_are_ordered),
	CASE(random_operations),
};

int main(int argc, char **argv)
{
	P = page_bytes();
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
