/*
 * The image: linked at KERNEL_BASE, loaded at any multiple of 4 KiB as a flat file (objcopy -O binary), which begins
 * with the header of head.S and ends before .early.
 *
 * What runs with the MMU off, or while it changes hands, is in the first page, which is mapped at its physical address
 * as well. .early holds the first page tables: written before the MMU is on, hence not part of .bss, which is cleared
 * afterwards.
 */
#include <arch/sections.lds.h>
#include <asm/layout.h>

OUTPUT_ARCH(aarch64)
ENTRY(_start)

PHDRS
{
	text PT_LOAD FLAGS(5);
	rodata PT_LOAD FLAGS(4);
	data PT_LOAD FLAGS(6);
}

SECTIONS
{
	. = 0xffffffff80000000;
	.text : {
		_text = .;
		KEEP(*(.head.text))
		_head_end = .;
		KERNEL_TEXT
	} :text
	.rodata : {
		__start_pan_sites = .; KEEP(*(pan_sites)) __stop_pan_sites = .;
		KERNEL_RODATA
	} :rodata
	.data : { KERNEL_DATA . = ALIGN(4096); } :data
	.early : {
		_early_start = .;
		*(.bss.early)
		. = ALIGN(4096);
		_early_end = .;
	} :data
	.bss : { KERNEL_BSS } :data
	_image_size = ABSOLUTE(_end - _text);
	/DISCARD/ : { KERNEL_DISCARD }
}

ASSERT(_head_end - _text <= 4096, "what runs with the MMU off must fit into the first page")
ASSERT(_end - _text <= EARLY_IMAGE_TABLES << 21, "the image is larger than the early page tables (layout.h)")
