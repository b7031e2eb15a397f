/*
 * The image: linked at KERNEL_BASE, which is nothing special; loaders put it anywhere as one piece, file offsets and
 * addresses in step, and start it at its first byte (head.S), which is the ELF entry as well. Physical addresses in the
 * program headers begin at 0, because loaders take them relative to where they like kernels.
 */
#include <arch/sections.lds.h>

OUTPUT_ARCH(powerpc:common64)
ENTRY(_start)

PHDRS
{
	text PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
}

SECTIONS
{
	. = 0xc000600000000000;
	.text : AT(ADDR(.text) - 0xc000600000000000) {
		_text = .;
		KEEP(*(.head.text))
		KERNEL_TEXT
	} :text
	.rodata : AT(ADDR(.rodata) - 0xc000600000000000) { KERNEL_RODATA } :rodata
	.data : AT(ADDR(.data) - 0xc000600000000000) { KERNEL_DATA } :data
	. = ALIGN(256);
	.got : AT(ADDR(.got) - 0xc000600000000000) { *(.got .toc .branch_lt) } :data
	.bss : AT(ADDR(.bss) - 0xc000600000000000) { KERNEL_BSS } :data
	/DISCARD/ : { KERNEL_DISCARD *(.gnu.attributes) *(.glink .plt .iplt .rela.*) }
}
