/*
 * lib/elf.h: a good file, the same with one thing wrong, with random damage, and with contents that change between two
 * readings. Whatever elf64_next_load() hands out must satisfy what the header promises.
 */
#include "lib/bits.h"
#include "lib/elf.h"
#include "lib/errno.h"
#include "tests/host/lib/test.h"

#define PAGE	4096ull
#define MACHINE	243
#define LIMIT	(1ull << 40)
#define SIZE	20000ull

struct image {
	u8 *bytes;
	size_t size;
	bool restless;		/* damaged anew at each reading */
	int error;		/* returned by reads, if not 0 */
	unsigned int reads;
};

static int read_image(void *ctx, u64 off, void *buf, size_t n)
{
	struct image *image = ctx;

	image->reads++;
	if (image->error)
		return image->error;
	CHECK(off <= image->size && n <= image->size - off, "reads beyond the file");
	memcpy(buf, image->bytes + off, n);
	if (image->restless && one_in(4))
		damage(buf, n);
	return 0;
}

/* Where the table of program headers is. Not behind the header, on purpose. */
#define TABLE	512

static struct elf64_ehdr *header(struct image *image)
{
	return (struct elf64_ehdr *)image->bytes;
}

static struct elf64_phdr *phdr(struct image *image, unsigned int i)
{
	return (struct elf64_phdr *)(image->bytes + TABLE) + i;
}

/* Code, data with bss, a stack header, an empty segment. */
static void make_image(struct image *image)
{
	*image = (struct image){ .bytes = calloc(1, SIZE), .size = SIZE };
	*header(image) = (struct elf64_ehdr){
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = MACHINE, .e_version = EV_CURRENT, .e_entry = 0x10100, .e_phoff = TABLE,
		.e_ehsize = sizeof(struct elf64_ehdr), .e_phentsize = sizeof(struct elf64_phdr), .e_phnum = 5,
	};
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	header(image)->e_ident[EI_DATA] = ELFDATA2MSB;
#endif
	*phdr(image, 0) = (struct elf64_phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0, .p_vaddr = 0x10000, .p_filesz = 0x1800,
		.p_memsz = 0x1800, .p_align = 0x1000,
	};
	*phdr(image, 1) = (struct elf64_phdr){ .p_type = PT_NOTE, .p_offset = ~0ull, .p_filesz = ~0ull };
	*phdr(image, 2) = (struct elf64_phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x1800, .p_vaddr = 0x12800, .p_filesz = 0x1000,
		.p_memsz = 0x5000, .p_align = 0x10000,
	};
	*phdr(image, 3) = (struct elf64_phdr){ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W };
	*phdr(image, 4) = (struct elf64_phdr){ .p_type = PT_LOAD };
}

static struct elf_file open_as(struct image *image)
{
	return (struct elf_file){
		.read = read_image, .ctx = image, .size = image->size, .machine = MACHINE, .page_size = PAGE,
		.limit = LIMIT,
	};
}

/* Everything that lib/elf.h promises about what is handed out. Returns how many segments, or the error. */
static int walk(const struct elf_file *file)
{
	struct elf_iter it = { 0 };
	struct elf64_phdr p;
	u64 end = file->start;
	int n = 0, found;

	CHECK(file->start < file->end && file->end <= align_up(file->limit, file->page_size));
	CHECK(is_aligned(file->start | file->end, file->page_size));
	CHECK(is_power_of_2(file->align) && file->align >= file->page_size);
	while ((found = elf64_next_load(file, &it, &p)) == 1) {
		CHECK(p.p_type == PT_LOAD && p.p_memsz && p.p_filesz <= p.p_memsz);
		CHECK(p.p_vaddr >= end && p.p_vaddr + p.p_memsz > p.p_vaddr);
		CHECK(p.p_vaddr + p.p_memsz <= file->end && p.p_vaddr + p.p_memsz <= file->limit);
		CHECK(p.p_offset + p.p_filesz >= p.p_offset && p.p_offset + p.p_filesz <= file->size);
		CHECK(!p.p_filesz || p.p_vaddr % file->page_size == p.p_offset % file->page_size);
		end = p.p_vaddr + p.p_memsz;
		CHECK(++n <= 73);
	}
	CHECK(found <= 0);
	return found ? found : n;
}

void test_elf_valid(void)
{
	struct image image;
	struct elf_file file;

	make_image(&image);
	file = open_as(&image);
	CHECK(elf64_open(&file) == 0);
	CHECK(file.start == 0x10000 && file.end == 0x18000 && file.align == 0x10000);
	CHECK(file.phdr_vaddr == 0x10000 + TABLE && !file.exec_stack && !file.interp);
	CHECK(walk(&file) == 2);

	phdr(&image, 3)->p_flags |= PF_X;
	phdr(&image, 1)->p_type = PT_INTERP;
	header(&image)->e_type = ET_DYN;
	phdr(&image, 0)->p_filesz = TABLE;
	CHECK(elf64_open(&file) == 0 && file.exec_stack && file.interp && file.phdr_vaddr == 0);

	/* A segment of zeros only may begin anywhere; two may share a page. */
	phdr(&image, 2)->p_filesz = 0;
	phdr(&image, 2)->p_offset = 1;
	phdr(&image, 2)->p_vaddr = 0x11800;
	CHECK(elf64_open(&file) == 0 && walk(&file) == 2);

	image.error = -EIO;
	CHECK(elf64_open(&file) == -EIO);
	free(image.bytes);
}

#define EXPECT_REFUSED(change) \
	do { \
		struct image image; \
		struct elf_file file; \
		make_image(&image); \
		file = open_as(&image); \
		change; \
		CHECK(elf64_open(&file) == -ENOEXEC, "%s", #change); \
		free(image.bytes); \
	} while (0)

void test_elf_malformed(void)
{
	EXPECT_REFUSED(image.bytes[0] = 0);
	EXPECT_REFUSED(image.bytes[3] = 'G');
	EXPECT_REFUSED(image.bytes[EI_CLASS] = 1);
	EXPECT_REFUSED(image.bytes[EI_DATA] ^= 3);
	EXPECT_REFUSED(image.bytes[EI_VERSION] = 0);
	EXPECT_REFUSED(header(&image)->e_type = 1);
	EXPECT_REFUSED(header(&image)->e_type = 4);
	EXPECT_REFUSED(header(&image)->e_machine = MACHINE + 1);
	EXPECT_REFUSED(header(&image)->e_version = 2);
	EXPECT_REFUSED(header(&image)->e_ehsize = 52);
	EXPECT_REFUSED(header(&image)->e_phentsize = 32);
	EXPECT_REFUSED(header(&image)->e_phentsize = 57);
	EXPECT_REFUSED(header(&image)->e_phnum = 0);
	EXPECT_REFUSED(header(&image)->e_phnum = 0xffff);
	EXPECT_REFUSED(header(&image)->e_phnum = 74);
	EXPECT_REFUSED(header(&image)->e_phoff = SIZE);
	EXPECT_REFUSED(header(&image)->e_phoff = SIZE - 100);
	EXPECT_REFUSED(header(&image)->e_phoff = -56ull);
	EXPECT_REFUSED(header(&image)->e_phoff = ~0ull);
	EXPECT_REFUSED(file.size = 63);
	EXPECT_REFUSED(file.size = 0);

	EXPECT_REFUSED(phdr(&image, 0)->p_type = phdr(&image, 2)->p_type = PT_NULL);
	EXPECT_REFUSED(phdr(&image, 2)->p_filesz = 0x5001);
	EXPECT_REFUSED(phdr(&image, 2)->p_memsz = ~0ull);
	EXPECT_REFUSED(phdr(&image, 2)->p_memsz = -0x12800ull);
	EXPECT_REFUSED(phdr(&image, 2)->p_vaddr = 0x12000);
	EXPECT_REFUSED(phdr(&image, 2)->p_vaddr = 0x12801);
	EXPECT_REFUSED(phdr(&image, 2)->p_vaddr = LIMIT - 0x800);
	EXPECT_REFUSED(phdr(&image, 2)->p_vaddr = -0x800ull);
	EXPECT_REFUSED(phdr(&image, 2)->p_vaddr = 0x10800);
	EXPECT_REFUSED(phdr(&image, 2)->p_vaddr = 0x800);
	EXPECT_REFUSED(phdr(&image, 2)->p_offset = SIZE);
	EXPECT_REFUSED(phdr(&image, 2)->p_offset = 0x4800);
	EXPECT_REFUSED(phdr(&image, 2)->p_offset = -0x800ull);
	EXPECT_REFUSED(phdr(&image, 2)->p_align = 3);
	EXPECT_REFUSED(phdr(&image, 2)->p_align = ~0ull);
	EXPECT_REFUSED(file.limit = 0x177ff);
	EXPECT_REFUSED(file.page_size = 0x4000);
}

void test_elf_damaged(void)
{
	int opened = 0;

	for (unsigned int round = 0; round < rounds(50000); round++) {
		struct image image;
		struct elf_file file;

		make_image(&image);
		file = open_as(&image);
		if (one_in(4))
			damage(image.bytes, sizeof(struct elf64_ehdr));
		else
			damage(image.bytes + TABLE, 5 * sizeof(struct elf64_phdr));
		if (one_in(10)) {
			file.size = rng_below(SIZE);
			image.size = file.size;
		}
		if (elf64_open(&file) == 0) {
			opened++;
			CHECK(walk(&file) > 0);
		}
		free(image.bytes);
	}
	CHECK(opened > 0 && opened < (int)rounds(50000), "%d", opened);
}

void test_elf_changing_file(void)
{
	int fooled = 0;

	for (unsigned int round = 0; round < rounds(20000); round++) {
		struct image image;
		struct elf_file file;

		make_image(&image);
		file = open_as(&image);
		if (elf64_open(&file) == 0) {
			image.restless = true;
			fooled += walk(&file) < 0;
		}
		free(image.bytes);
	}
	CHECK(fooled > 0, "the file never changed for the worse");
}

static int read_stream(void *ctx, u64 off, void *buf, size_t n)
{
	return fseek(ctx, (long)off, SEEK_SET) || fread(buf, 1, n, ctx) != n ? -EIO : 0;
}

/* A file that a real linker made: this program. */
void test_elf_self(void)
{
	FILE *self = fopen("/proc/self/exe", "r");
	struct elf_file file = { .read = read_stream, .ctx = self, .page_size = PAGE, .limit = 1ull << 47 };
	struct elf64_ehdr hdr;

	CHECK(self && fread(&hdr, sizeof(hdr), 1, self) == 1 && fseek(self, 0, SEEK_END) == 0);
	file.size = (u64)ftell(self);
	file.machine = hdr.e_machine;
	CHECK(elf64_open(&file) == 0 && walk(&file) >= 2 && file.interp && file.phdr_vaddr);
	CHECK(elf64_check_header(&hdr, hdr.e_machine) == 0 && elf64_check_header(&hdr, hdr.e_machine + 1) == -ENOEXEC);
	fclose(self);
}
