#pragma once
/*
 * Between execve's parts: argument strings (exec_args.c), the ELF loader (exec_elf.c), and the change of program
 * (exec.c).
 */
#include "lib/types.h"

struct file;
struct mm;

/* Argument strings, one after the other with their NULs, in kernel memory. */
struct arg_chunk {
	struct arg_chunk *next;
	u32 used;
	char data[4096 - 16];
};

struct exec_args {
	struct arg_chunk *first, *last;
	size_t bytes;			/* of all strings */
	size_t limit;			/* for strings and pointers together */
	size_t argv_bytes, envp_bytes;	/* the file name comes after them */
	unsigned argc, envc;
};

/* A program's file, with its first bytes: they hold a script's first line, or an ELF file's headers. */
struct exec_file {
	struct file *file;		/* counted; NULL: none */
	u32 head_len;
	char head[1024];
};

/** Takes the file. 0 or -errno. Sleeps. */
int exec_file_init(struct exec_file *f, struct file *file);

/* What the loader found. */
struct exec_image {
	uintptr_t entry;		/* of the program */
	uintptr_t start;		/* where execution begins: the program's entry, or its interpreter's */
	uintptr_t interp_base;		/* 0 if there is none */
	uintptr_t phdr;
	unsigned phnum;
};

void args_init(struct exec_args *a, u64 stack_limit);
void args_free(struct exec_args *a);
/** One string from the kernel. 0, -E2BIG, -ENOMEM. */
int args_add_kernel(struct exec_args *a, const char *s);
/** One string of user space; -EFAULT too. */
int args_add_user(struct exec_args *a, const char *us);
/**
 * Strings of a pointer array that NULL ends, from entry `skip` on; counts them in *count. -EINTR if the task is being
 * killed. Sleeps.
 */
int args_add_array(struct exec_args *a, const char *const *array, unsigned skip, unsigned *count, bool kernel);
/**
 * Lay the stack out below `top` in mm: strings, random bytes, platform name, auxv, pointers, argc. Fills
 * mm->arg_start etc. Returns the stack pointer or -errno. Sleeps.
 */
long args_to_stack(struct exec_args *a, struct mm *mm, uintptr_t top, const struct exec_image *img);

/** Map the program into the empty mm (whose stack and mmap_base are set). 0, -ENOEXEC, -ENOMEM and others. Sleeps. */
int elf_load(const struct exec_file *file, struct mm *mm, struct exec_image *img);
