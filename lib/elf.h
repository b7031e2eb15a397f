/*
 * ELF64 executables: structures, and a reader of program headers that believes nothing that it has not checked. The
 * file is reached by a callback, so that it can be a page cache, a memory image or a test's buffer.
 *
 * Fields are in the byte order of the CPU: a file of the other order is refused.
 */
#pragma once

#include "lib/types.h"

#define EI_CLASS	4
#define EI_DATA		5
#define EI_VERSION	6
#define EI_NIDENT	16
#define ELFCLASS64	2
#define ELFDATA2LSB	1
#define ELFDATA2MSB	2
#define EV_CURRENT	1

#define ET_EXEC		2
#define ET_DYN		3

#define PT_NULL		0
#define PT_LOAD		1
#define PT_DYNAMIC	2
#define PT_INTERP	3
#define PT_NOTE		4
#define PT_PHDR		6
#define PT_TLS		7
#define PT_GNU_STACK	0x6474e551

#define PF_X		(1 << 0)
#define PF_W		(1 << 1)
#define PF_R		(1 << 2)

struct elf64_ehdr {
	u8 e_ident[EI_NIDENT];
	u16 e_type;
	u16 e_machine;
	u32 e_version;
	u64 e_entry;
	u64 e_phoff;
	u64 e_shoff;
	u32 e_flags;
	u16 e_ehsize;
	u16 e_phentsize;
	u16 e_phnum;
	u16 e_shentsize;
	u16 e_shnum;
	u16 e_shstrndx;
};

struct elf64_phdr {
	u32 p_type;
	u32 p_flags;
	u64 p_offset;
	u64 p_vaddr;
	u64 p_paddr;
	u64 p_filesz;
	u64 p_memsz;
	u64 p_align;
};

static_assert(sizeof(struct elf64_ehdr) == 64 && sizeof(struct elf64_phdr) == 56, "layout of ELF64");

/* A file that is being read, and what the first pass over its program headers found. */
struct elf_file {
	/* Set by the caller. */
	int (*read)(void *ctx, u64 off, void *buf, size_t n);	/* all n bytes: 0, or a negative errno */
	void *ctx;
	u64 size;		/* of the file, bytes */
	u16 machine;		/* the number in e_machine that the CPU can run */
	u64 page_size;		/* bytes */
	u64 limit;		/* segments end at or below this address */

	/* Set by elf64_open(). */
	struct elf64_ehdr hdr;
	u64 start;		/* first address of the first segment, rounded down to a page */
	u64 end;		/* end of the last segment, rounded up to a page */
	u64 align;		/* largest alignment of a segment, a power of two, at least a page */
	u64 phdr_vaddr;		/* where the program finds its program headers (AT_PHDR); 0 if in no segment */
	bool exec_stack;	/* PT_GNU_STACK asks for it */
	bool interp;		/* has a PT_INTERP: not a static program */
};

/* A position among the program headers; {0} is the beginning. */
struct elf_iter {
	unsigned int index;
	u64 prev_end;
};

/* Checks the header alone: magic, class, byte order, type, machine, sizes. Returns 0 or -ENOEXEC. */
int elf64_check_header(const struct elf64_ehdr *hdr, u16 machine);

/*
 * Reads and checks the header and all program headers. Returns 0, -ENOEXEC, or an error of the callback. Sleeps if
 * the callback does.
 */
int elf64_open(struct elf_file *file);

/*
 * The next PT_LOAD that has memory. Returns 1 with *phdr filled, 0 at the end, -ENOEXEC, or an error of the callback.
 * What it returns was checked on this very reading, so a file that changes meanwhile cannot fool the loader:
 *   p_filesz <= p_memsz; offset and size within the file; p_vaddr + p_memsz does not wrap, and is at most limit;
 *   offset and address are equal modulo the page (unless p_filesz is 0); p_align is 0 or a power of two;
 *   segments ascend and do not overlap, and are between start and end.
 * Two segments may share a page.
 */
int elf64_next_load(const struct elf_file *file, struct elf_iter *it, struct elf64_phdr *phdr);
