/*
 * ELF64 headers. Each program header is checked in the copy that is handed out, never in one copy and used from
 * another.
 */
#include "lib/elf.h"
#include "lib/bits.h"
#include "lib/errno.h"
#include "lib/string.h"

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NATIVE_DATA	ELFDATA2MSB
#else
#define NATIVE_DATA	ELFDATA2LSB
#endif

/* The program headers of a sane file take less than a page of any size. */
#define MAX_PHDRS	(4096 / sizeof(struct elf64_phdr))

int elf64_check_header(const struct elf64_ehdr *hdr, u16 machine)
{
	if (memcmp(hdr->e_ident, "\177ELF", 4) || hdr->e_ident[EI_CLASS] != ELFCLASS64 ||
	    hdr->e_ident[EI_DATA] != NATIVE_DATA || hdr->e_ident[EI_VERSION] != EV_CURRENT)
		return -ENOEXEC;
	if (hdr->e_machine != machine || hdr->e_version != EV_CURRENT)
		return -ENOEXEC;
	if (hdr->e_type != ET_EXEC && hdr->e_type != ET_DYN)
		return -ENOEXEC;
	if (hdr->e_ehsize != sizeof(*hdr) || hdr->e_phentsize != sizeof(struct elf64_phdr) || !hdr->e_phnum ||
	    hdr->e_phnum > MAX_PHDRS)
		return -ENOEXEC;
	return 0;
}

static int read_phdr(const struct elf_file *file, unsigned int index, struct elf64_phdr *phdr)
{
	/* elf64_open() has checked that the table is within the file. */
	return file->read(file->ctx, file->hdr.e_phoff + index * sizeof(*phdr), phdr, sizeof(*phdr));
}

/* Is a PT_LOAD sound in itself, and does it come after prev_end? */
static bool load_is_sound(const struct elf_file *file, const struct elf64_phdr *phdr, u64 prev_end)
{
	if (phdr->p_filesz > phdr->p_memsz)
		return false;
	if (phdr->p_offset > file->size || phdr->p_filesz > file->size - phdr->p_offset)
		return false;
	if (phdr->p_memsz > file->limit || phdr->p_vaddr > file->limit - phdr->p_memsz)
		return false;
	if (phdr->p_filesz && !is_aligned(phdr->p_vaddr - phdr->p_offset, file->page_size))
		return false;
	if (phdr->p_align && !is_power_of_2(phdr->p_align))
		return false;
	return phdr->p_vaddr >= prev_end;
}

/* Takes a program header into the summary. Returns 0 or -ENOEXEC. */
static int note_phdr(struct elf_file *file, const struct elf64_phdr *phdr, u64 *prev_end)
{
	u64 table = file->hdr.e_phnum * sizeof(*phdr), into;

	switch (phdr->p_type) {
	case PT_INTERP:
		file->interp = true;
		break;
	case PT_GNU_STACK:
		file->exec_stack = phdr->p_flags & PF_X;
		break;
	case PT_LOAD:
		if (!phdr->p_memsz)
			break;
		if (!load_is_sound(file, phdr, *prev_end))
			return -ENOEXEC;
		if (!*prev_end)
			file->start = align_down(phdr->p_vaddr, file->page_size);
		*prev_end = phdr->p_vaddr + phdr->p_memsz;
		file->end = align_up(*prev_end, file->page_size);
		file->align = max(file->align, phdr->p_align);
		into = file->hdr.e_phoff - phdr->p_offset;
		if (file->hdr.e_phoff >= phdr->p_offset && into <= phdr->p_filesz && table <= phdr->p_filesz - into)
			file->phdr_vaddr = phdr->p_vaddr + into;
		break;
	default:
		break;
	}
	return 0;
}

int elf64_open(struct elf_file *file)
{
	struct elf64_phdr phdr;
	u64 prev_end = 0, table;
	int error;

	file->start = 0;
	file->end = 0;
	file->align = file->page_size;
	file->phdr_vaddr = 0;
	file->exec_stack = false;
	file->interp = false;

	if (file->size < sizeof(file->hdr))
		return -ENOEXEC;
	error = file->read(file->ctx, 0, &file->hdr, sizeof(file->hdr));
	if (!error)
		error = elf64_check_header(&file->hdr, file->machine);
	if (error)
		return error;
	table = file->hdr.e_phnum * sizeof(phdr);
	if (file->hdr.e_phoff > file->size || table > file->size - file->hdr.e_phoff)
		return -ENOEXEC;
	for (unsigned int i = 0; i < file->hdr.e_phnum; i++) {
		error = read_phdr(file, i, &phdr);
		if (!error)
			error = note_phdr(file, &phdr, &prev_end);
		if (error)
			return error;
	}
	/* There has to be something to load. */
	return prev_end ? 0 : -ENOEXEC;
}

int elf64_next_load(const struct elf_file *file, struct elf_iter *it, struct elf64_phdr *phdr)
{
	while (it->index < file->hdr.e_phnum) {
		int error = read_phdr(file, it->index, phdr);

		if (error)
			return error;
		it->index++;
		if (phdr->p_type != PT_LOAD || !phdr->p_memsz)
			continue;
		if (!load_is_sound(file, phdr, max(it->prev_end, file->start)))
			return -ENOEXEC;
		it->prev_end = phdr->p_vaddr + phdr->p_memsz;
		return it->prev_end > file->end ? -ENOEXEC : 1;
	}
	return 0;
}
