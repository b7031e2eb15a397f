/*
 * The image: linked at KERNEL_BASE, loaded at any multiple of 2 MiB as a flat file (objcopy -O binary), which begins
 * with the header of head.S and ends before .bss.
 */
#include <arch/sections.lds.h>

OUTPUT_ARCH(riscv)
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
		KERNEL_TEXT
	} :text
	.rodata : { KERNEL_RODATA } :rodata
	.data : { KERNEL_DATA } :data
	.bss : { KERNEL_BSS } :data
	/DISCARD/ : { KERNEL_DISCARD }
}
