/*
 * Link map: at -2 GiB plus the 1 MiB at which loaders put it. The Multiboot2 header must lie in the first 32 KiB of the
 * file.
 */
#include <arch/sections.lds.h>
#include <asm/layout.h>

OUTPUT_FORMAT(elf64-x86-64)
ENTRY(_start)

PHDRS {
	text PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
	note PT_NOTE FLAGS(4);
}

SECTIONS {
	. = X86_IMAGE + X86_LOAD_ADDR;
	_text = .;
	.note.pvh : AT(ADDR(.note.pvh) - X86_IMAGE) { KEEP(*(.note.pvh)) } :text :note
	.text : AT(ADDR(.text) - X86_IMAGE) {
		. = ALIGN(8);
		KEEP(*(.multiboot2))
		__start_smap_on = .; KEEP(*(smap_on)) __stop_smap_on = .;
		__start_smap_off = .; KEEP(*(smap_off)) __stop_smap_off = .;
		KEEP(*(.text.boot))
		KERNEL_TEXT
	} :text
	.rodata : AT(ADDR(.rodata) - X86_IMAGE) {
		KERNEL_RODATA
	} :rodata
	.data : AT(ADDR(.data) - X86_IMAGE) {
		KERNEL_DATA
	} :data
	.bss : AT(ADDR(.bss) - X86_IMAGE) {
		KERNEL_BSS
	} :data
	/DISCARD/ : { KERNEL_DISCARD }
}
