/*
 * Loading an ELF program into a new address space: static programs at their addresses, static position-independent
 * ones at PIE_BASE, and an interpreter (PT_INTERP) if the program names one.
 *
 * Segments are private file mappings: their pages are those of the page cache until they are written. Only the rest
 * of a page behind a segment's file contents is written here, if the segment has more memory than that.
 */
#include "kernel/exec.h"

#include <arch/trap.h>

#include "kernel/fsapi.h"
#include "kernel/mutex.h"
#include "lib/elf.h"
#include "lib/err.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/mman.h"
#include "mm/slab.h"
#include "mm/vma.h"

#define PIE_BASE	align_down(USER_TOP / 3 * 2, 1ul << 21)
#define INTERP_MAX	256	/* length of an interpreter's path, NUL included */

static const u8 zeros[PAGE_SIZE];

int exec_file_init(struct exec_file *f, struct file *file)
{
	long n;

	f->file = file;
	n = kernel_read(file, f->head, sizeof(f->head), 0);
	f->head_len = (u32)max(n, 0);
	return (int)min(n, 0);
}

static int read_file(void *ctx, u64 off, void *buf, size_t n)
{
	const struct exec_file *f = ctx;
	long got;

	if (off <= f->head_len && n <= f->head_len - off) {
		memcpy(buf, f->head + off, n);
		return 0;
	}
	got = kernel_read(f->file, buf, n, off);
	if (got < 0)
		return (int)got;
	return (size_t)got == n ? 0 : -ENOEXEC;
}

static int elf_open(struct elf_file *ef, const struct exec_file *f, struct mm *mm)
{
	*ef = (struct elf_file){
		.read = read_file,
		.ctx = (void *)(uintptr_t)f,
		.size = file_size(f->file),
		.machine = ELF_MACHINE,
		.page_size = PAGE_SIZE,
		.limit = mm->mmap_base,
	};
	return elf64_open(ef);
}

static int map_segment(struct file *file, struct mm *mm, const struct elf64_phdr *ph, uintptr_t bias)
{
	unsigned prot = (ph->p_flags & PF_R ? PROT_READ : 0) | (ph->p_flags & PF_W ? PROT_WRITE : 0) |
			(ph->p_flags & PF_X ? PROT_EXEC : 0);
	unsigned how = MAP_PRIVATE | MAP_FIXED;
	uintptr_t va = bias + ph->p_vaddr, start = align_down(va, PAGE_SIZE);
	uintptr_t file_end = va + ph->p_filesz, end = va + ph->p_memsz;
	uintptr_t mapped = ph->p_filesz ? align_up(file_end, PAGE_SIZE) : start;
	long ret = 0;

	down_write(&mm->mmap_lock);
	if (mapped > start)
		ret = do_mmap_locked(mm, file, start, mapped - start, prot, how, ph->p_offset >> PAGE_SHIFT);
	if (ret >= 0 && align_up(end, PAGE_SIZE) > mapped)
		ret = do_mmap_locked(mm, NULL, mapped, align_up(end, PAGE_SIZE) - mapped, prot, how | MAP_ANONYMOUS, 0);
	mmap_write_unlock(mm);
	if (ret < 0)
		return (int)ret;
	if (end > file_end && ph->p_filesz && mapped > file_end && ph->p_flags & PF_W) {
		size_t n = mapped - file_end;

		if (access_process_vm(mm, file_end, (void *)(uintptr_t)zeros, n, true) != n)
			return -ENOMEM;
	}
	return 0;
}

static int map_segments(const struct elf_file *ef, struct file *file, struct mm *mm, uintptr_t bias, bool program)
{
	struct elf_iter it = { 0 };
	struct elf64_phdr ph;
	int ret;

	while ((ret = elf64_next_load(ef, &it, &ph)) > 0) {
		uintptr_t va = bias + ph.p_vaddr;

		ret = map_segment(file, mm, &ph, bias);
		if (ret)
			return ret;
		if (!program)
			continue;
		if (ph.p_flags & PF_X) {
			mm->start_code = mm->start_code ? min(mm->start_code, va) : va;
			mm->end_code = max(mm->end_code, va + ph.p_filesz);
		} else {
			mm->start_data = max(mm->start_data, va);
			mm->end_data = max(mm->end_data, va + ph.p_filesz);
		}
	}
	return ret;
}

/* The path that PT_INTERP names. A kmalloc'ed string or ERR_PTR. */
static char *interp_path(const struct elf_file *ef)
{
	struct elf64_phdr ph = { .p_type = PT_NULL };
	char *path;
	int err;

	for (unsigned i = 0; i < ef->hdr.e_phnum; i++) {
		err = read_file(ef->ctx, ef->hdr.e_phoff + i * sizeof(ph), &ph, sizeof(ph));
		if (err)
			return ERR_PTR(err);
		if (ph.p_type == PT_INTERP)
			break;
	}
	if (ph.p_type != PT_INTERP || ph.p_filesz < 2 || ph.p_filesz > INTERP_MAX)
		return ERR_PTR(-ENOEXEC);
	path = kmalloc(ph.p_filesz, GFP_KERNEL);
	if (!path)
		return ERR_PTR(-ENOMEM);
	err = read_file(ef->ctx, ph.p_offset, path, ph.p_filesz);
	if (!err && path[ph.p_filesz - 1])
		err = -ENOEXEC;
	if (err) {
		kfree(path);
		return ERR_PTR(err);
	}
	return path;
}

static int load_interp(const struct elf_file *program, struct mm *mm, struct exec_image *img)
{
	char *path = interp_path(program);
	struct exec_file *f;
	struct elf_file ef;
	struct file *file;
	uintptr_t base;
	int err;

	if (IS_ERR(path))
		return PTR_ERR(path);
	file = file_open_exec(path);
	kfree(path);
	if (IS_ERR(file))
		return PTR_ERR(file);
	f = kmalloc(sizeof(*f), GFP_KERNEL);	/* the program's own is on the stack already */
	err = f ? exec_file_init(f, file) : -ENOMEM;
	if (!err)
		err = elf_open(&ef, f, mm);
	if (!err && (ef.hdr.e_type != ET_DYN || ef.end - ef.start > mm->mmap_base / 4))
		err = -ENOEXEC;
	if (!err) {
		base = align_down(mm->mmap_base - (ef.end - ef.start), max(ef.align, PAGE_SIZE));
		err = map_segments(&ef, file, mm, base - ef.start, false);
		img->interp_base = base - ef.start;
		img->start = base - ef.start + ef.hdr.e_entry;
	}
	kfree(f);
	fput(file);
	return err;
}

int elf_load(const struct exec_file *f, struct mm *mm, struct exec_image *img)
{
	struct elf_file ef;
	uintptr_t bias = 0;
	int err;

	err = elf_open(&ef, f, mm);
	if (err)
		return err;
	if (ef.hdr.e_type == ET_DYN) {
		if (ef.align > PIE_BASE / 2)
			return -ENOEXEC;
		bias = align_down(PIE_BASE, ef.align) - align_down(ef.start, ef.align);
		if (ef.end > mm->mmap_base - bias || ef.end + bias < bias)
			return -ENOMEM;
	}
	err = map_segments(&ef, f->file, mm, bias, true);
	if (err)
		return err;
	img->entry = img->start = bias + ef.hdr.e_entry;
	img->interp_base = 0;
	img->phdr = ef.phdr_vaddr ? bias + ef.phdr_vaddr : 0;
	img->phnum = ef.hdr.e_phnum;
	mm->start_brk = mm->brk = align_up(bias + ef.end, PAGE_SIZE);
	if (ef.interp) {
		err = load_interp(&ef, mm, img);
		if (err)
			return err;
	}
	return arch_user_pc_ok(img->start) && img->start < USER_TOP ? 0 : -ENOEXEC;
}
