/*
 * t_elf: executables that are broken. The exec fails, or the new program dies; the kernel must neither hang nor fall.
 * The material is this program itself, cut and bent. Run whole, with --child, it exits with 42.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/user/ktap.h"

static unsigned char *image;
static size_t image_size;
static char path[64];
static Elf64_Ehdr header;
static Elf64_Phdr phdr[16];
static int first_load = -1, last_load = -1;

static void load(void)
{
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY);

	if (!CHECK(fd >= 0 && fstat(fd, &st) == 0))
		_exit(1);
	image_size = (size_t)st.st_size;
	image = malloc(image_size);
	for (size_t done = 0; image && done < image_size;) {
		ssize_t n = read(fd, image + done, image_size - done);

		if (!CHECK(n > 0))
			_exit(1);
		done += (size_t)n;
	}
	close(fd);
	memcpy(&header, image, sizeof(header));
	if (!CHECK(header.e_phnum <= 16 && header.e_phentsize == sizeof(phdr[0])))
		_exit(1);
	memcpy(phdr, image + header.e_phoff, header.e_phnum * sizeof(phdr[0]));
	for (int i = 0; i < header.e_phnum; i++) {
		if (phdr[i].p_type == PT_LOAD) {
			first_load = first_load < 0 ? i : first_load;
			last_load = i;
		}
	}
	snprintf(path, sizeof(path), "/tmp/t_elf.%d", (int)getpid());
}

/* Write the first size bytes as a file that can be executed. */
static void store(size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (!CHECK(fd >= 0))
		_exit(1);
	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, image + done, size - done);

		if (!CHECK(n > 0))
			_exit(1);
		done += (size_t)n;
	}
	close(fd);
}

/* Put headers into the file, without writing all of it again. */
static void store_headers(const Elf64_Ehdr *h, const Elf64_Phdr *p)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK_EQ(pwrite(fd, h, sizeof(*h), 0), sizeof(*h));
	CHECK_EQ(pwrite(fd, p, header.e_phnum * sizeof(*p), (off_t)header.e_phoff), header.e_phnum * sizeof(*p));
	close(fd);
}

enum expected {
	REFUSED,	/* execve must return an error */
	BAD,		/* an error, or a death by signal */
	ANY,		/* anything that ends */
};

static void run(enum expected expected, const char *what)
{
	pid_t pid = must_fork();
	int status;

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		alarm(expected == ANY ? 1 : 15);
		execl(path, "t_elf", "--child", (char *)NULL);
		/* The codes of errors that make sense here. */
		_exit(errno == ENOEXEC			  ? 101
		      : errno == EINVAL			  ? 102
		      : errno == ENOMEM			  ? 103
		      : errno == EIO			  ? 104
		      : errno == ENOENT			  ? 105
		      : errno == EFAULT			  ? 106
		      : errno == ELIBBAD		  ? 107
		      : errno == EACCES || errno == EPERM ? 108
							  : 120);
	}
	status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 120) {
		CHECK(!"a fitting errno");
	} else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
		if (expected == ANY)
			return;		/* it may well loop for ever, somewhere in its text */
		CHECK(!"it ends");
	} else if (WIFSIGNALED(status)) {
		if (expected == REFUSED)
			CHECK(!"execve returns an error");
		else
			return;
	} else if (WIFEXITED(status) && (WEXITSTATUS(status) > 100 || expected == ANY)) {
		return;
	} else {
		CHECK(!"it fails");
	}
	diag("  %s: wait status %#x", what, (unsigned int)status);
}

static void the_whole_runs(void)
{
	pid_t pid;

	load();
	store(image_size);
	pid = must_fork();
	if (pid == 0) {
		execl(path, "t_elf", "--child", (char *)NULL);
		_exit(1);
	}
	CHECK_EXIT(pid, 42);
	unlink(path);
}

static void truncated(void)
{
	static const size_t tiny[] = { 0, 1, 3, 4, 5, 16, 32, 63, 64, 65, 100, 120, 176, 512 };
	char what[64];

	load();
	for (size_t i = 0; i < sizeof(tiny) / sizeof(tiny[0]); i++) {
		store(tiny[i]);
		snprintf(what, sizeof(what), "%zu bytes", tiny[i]);
		run(tiny[i] < header.e_phoff + header.e_phnum * sizeof(phdr[0]) ? REFUSED : BAD, what);
	}
	for (int i = 0; i < header.e_phnum; i++) {
		size_t ends[] = { phdr[i].p_offset, phdr[i].p_offset + 1, phdr[i].p_offset + phdr[i].p_filesz / 2 };

		if (phdr[i].p_type != PT_LOAD)
			continue;
		for (size_t k = 0; k < 3; k++) {
			store(ends[k] < image_size ? ends[k] : image_size);
			snprintf(what, sizeof(what), "cut at %zu", ends[k]);
			run(ANY, what);
		}
	}
	unlink(path);
}

/* One change to a good header, each time. */
static void bent_header(void)
{
	Elf64_Ehdr h;

	load();
	store(image_size);
#define BEND(expected, field, value) \
	(h = header, h.field = (value), store_headers(&h, phdr), run(expected, #field "=" #value))
	BEND(REFUSED, e_ident[0], 'X');
	BEND(REFUSED, e_ident[3], 0);
	BEND(ANY, e_ident[EI_CLASS], ELFCLASS32);
	BEND(ANY, e_ident[EI_DATA], header.e_ident[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB);
	BEND(ANY, e_ident[EI_VERSION], 77);
	BEND(REFUSED, e_type, ET_NONE);
	BEND(REFUSED, e_type, ET_REL);
	BEND(REFUSED, e_type, ET_CORE);
	BEND(REFUSED, e_type, 0xffff);
	BEND(REFUSED, e_machine, EM_NONE);
	BEND(REFUSED, e_machine, header.e_machine == EM_SPARCV9 ? EM_ALPHA : EM_SPARCV9);
	BEND(REFUSED, e_phnum, 0);
	BEND(REFUSED, e_phnum, 0xffff);
	BEND(REFUSED, e_phentsize, 0);
	BEND(REFUSED, e_phentsize, 32);
	BEND(REFUSED, e_phentsize, 0xffff);
	BEND(REFUSED, e_phoff, image_size);
	BEND(REFUSED, e_phoff, image_size - 8);
	BEND(REFUSED, e_phoff, ~0ul);
	BEND(REFUSED, e_phoff, 1ul << 63);
	BEND(BAD, e_phoff, 16);
	BEND(BAD, e_entry, 0);
	BEND(BAD, e_entry, ~0ul);
	BEND(BAD, e_entry, 1ul << 63);
	BEND(BAD, e_entry, phdr[last_load].p_vaddr);
	BEND(BAD, e_entry, 0x123456789000);
	unlink(path);
}

static void bent_segments(void)
{
	Elf64_Phdr p[16];
	int l = last_load, f = first_load;

	load();
	l = last_load;
	f = first_load;
	store(image_size);
#define BEND_PHDR(expected, i, field, value)                                          \
	(memcpy(p, phdr, sizeof(p)), p[i].field = (value), store_headers(&header, p), \
	 run(expected, #i ": " #field "=" #value))
	BEND_PHDR(BAD, l, p_vaddr, ~0ul << 12);
	BEND_PHDR(BAD, l, p_vaddr, 0xffffffff80000000ul + (phdr[l].p_vaddr & 0xfff));
	BEND_PHDR(BAD, l, p_vaddr, (1ul << 62) + (phdr[l].p_vaddr & 0xfff));
	BEND_PHDR(BAD, l, p_vaddr, phdr[l].p_vaddr + 1);
	BEND_PHDR(BAD, l, p_vaddr, phdr[f].p_vaddr + (phdr[l].p_vaddr & 0xfff));
	BEND_PHDR(BAD, l, p_memsz, ~0ul);
	BEND_PHDR(BAD, l, p_memsz, 1ul << 63);
	BEND_PHDR(BAD, l, p_memsz, 1ul << 50);
	BEND_PHDR(BAD, l, p_memsz, phdr[l].p_filesz - 1);
	BEND_PHDR(BAD, l, p_memsz, 0);
	BEND_PHDR(BAD, l, p_filesz, ~0ul);
	BEND_PHDR(BAD, l, p_filesz, 1ul << 62);
	BEND_PHDR(ANY, l, p_filesz, 0);
	BEND_PHDR(BAD, l, p_offset, ~0ul);
	BEND_PHDR(BAD, l, p_offset, ~0ul << 12);
	BEND_PHDR(ANY, l, p_offset, (image_size + 0xfffff) & ~0xffful);
	BEND_PHDR(BAD, l, p_offset, phdr[l].p_offset + 1);
	BEND_PHDR(BAD, l, p_flags, 0);
	BEND_PHDR(BAD, l, p_flags, PF_R);
	BEND_PHDR(ANY, l, p_align, 3);
	BEND_PHDR(ANY, l, p_align, 0);
	BEND_PHDR(ANY, l, p_align, 1ul << 63);
	BEND_PHDR(BAD, l, p_type, PT_NULL);
	BEND_PHDR(BAD, f, p_type, PT_NULL);
	BEND_PHDR(BAD, f, p_memsz, 1ul << 46);
	BEND_PHDR(BAD, f, p_vaddr, ~0ul << 20);
	BEND_PHDR(ANY, f, p_vaddr, 0);
	unlink(path);
}

/* All segments in one place, all at the end of memory, none at all. */
static void bent_layouts(void)
{
	Elf64_Phdr p[16];

	load();
	store(image_size);
	memcpy(p, phdr, sizeof(p));
	for (int i = 0; i < header.e_phnum; i++)
		p[i].p_vaddr = 0x400000 + (p[i].p_offset & 0xfff);
	store_headers(&header, p);
	run(BAD, "all at one address");
	memcpy(p, phdr, sizeof(p));
	for (int i = 0; i < header.e_phnum; i++)
		p[i].p_type = PT_NULL;
	store_headers(&header, p);
	run(BAD, "no segments");
	memcpy(p, phdr, sizeof(p));
	for (int i = 0; i < header.e_phnum; i++)
		p[i] = phdr[first_load];
	store_headers(&header, p);
	run(BAD, "the same segment again and again");
	memcpy(p, phdr, sizeof(p));
	for (int i = 0; i < header.e_phnum; i++)
		p[i].p_memsz = p[i].p_filesz = 0;
	store_headers(&header, p);
	run(BAD, "empty segments");
	memcpy(p, phdr, sizeof(p));
	p[0] = phdr[last_load];
	p[last_load] = phdr[0];
	store_headers(&header, p);
	run(ANY, "segments out of order");
	memcpy(p, phdr, sizeof(p));
	p[0].p_type = PT_INTERP;
	p[0].p_offset = 0;
	p[0].p_filesz = 100;
	store_headers(&header, p);
	run(ANY, "an interpreter that is none");
	p[0].p_filesz = ~0ul;
	store_headers(&header, p);
	run(BAD, "an interpreter with an endless name");
	p[0].p_filesz = 0;
	store_headers(&header, p);
	run(BAD, "an interpreter without a name");
	unlink(path);
}

/* Random bytes in the headers. */
static void random_headers(void)
{
	const char *given = getenv("FUZZ_SEED");
	uint64_t seed = (given ? strtoull(given, NULL, 0) : 20261121) | 1;
	int rounds = ktap_scale(150);
	char what[64];

	diag("FUZZ_SEED=%#llx", (unsigned long long)seed);
	load();
	store(image_size);
	for (int i = 0; i < rounds; i++) {
		Elf64_Phdr p[16];
		Elf64_Ehdr h = header;
		int changes = (int)(random_next(&seed) % 3) + 1;

		memcpy(p, phdr, sizeof(p));
		while (changes--) {
			uint64_t r = random_next(&seed);
			unsigned char *base = r & 1 ? (unsigned char *)&h : (unsigned char *)p;
			size_t size = r & 1 ? sizeof(h) : header.e_phnum * sizeof(p[0]);

			if (r & 2)
				base[(r >> 8) % size] ^= (unsigned char)(1u << (r >> 40 & 7));
			else
				memcpy(base + (r >> 8) % (size - 8) / 8 * 8, &(uint64_t){ random_next(&seed) }, 8);
		}
		store_headers(&h, p);
		snprintf(what, sizeof(what), "round %d", i);
		run(ANY, what);
	}
	unlink(path);
}

static const struct ktap_case cases[] = {
	CASE(the_whole_runs), CASE(truncated),	  CASE(bent_header),
	CASE(bent_segments),  CASE(bent_layouts), CASE(random_headers),
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--child"))
		return 42;
	return ktap_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
