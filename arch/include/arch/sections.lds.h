/*
 * Linker-script pieces that every port's kernel.ld.S uses, so that a section added by generic code is added once. The
 * port gives the addresses, the program headers and its own first sections. Each of the four parts starts on a page of
 * its own, so that mm/kmap.c can map text read-only and executable, rodata read-only, the rest writable and not
 * executable.
 */
#define KERNEL_TEXT									\
	_text_start = .;								\
	*(.text.hot*) *(.text .text.*)							\
	. = ALIGN(4096);								\
	_text_end = .;

#define KERNEL_RODATA									\
	. = ALIGN(4096);								\
	_rodata_start = .;								\
	*(.rodata .rodata.*)								\
	. = ALIGN(8);									\
	__start___ex_table = .; KEEP(*(__ex_table)) __stop___ex_table = .;		\
	. = ALIGN(64);									\
	__start_boot_options = .; KEEP(*(boot_options)) __stop_boot_options = .;	\
	. = ALIGN(64);									\
	__start_knobs = .; KEEP(*(knobs)) __stop_knobs = .;				\
	. = ALIGN(8);									\
	__start_initcalls = .;								\
	KEEP(*(initcalls_1)) KEEP(*(initcalls_2)) KEEP(*(initcalls_3)) KEEP(*(initcalls_4)) \
	__stop_initcalls = .;								\
	. = ALIGN(8);									\
	__start_ktests = .; KEEP(*(ktests)) __stop_ktests = .;				\
	. = ALIGN(8);									\
	KEEP(*(.ksyms .ksyms.*))							\
	. = ALIGN(4096);								\
	_rodata_end = .;

#define KERNEL_DATA									\
	. = ALIGN(4096);								\
	_data_start = .;								\
	*(.data .data.*) *(.sdata .sdata.*)						\
	. = ALIGN(128);									\
	__start_percpu = .; KEEP(*(percpu)) . = ALIGN(128); __stop_percpu = .;

#define KERNEL_BSS									\
	. = ALIGN(4096);								\
	_bss_start = .;									\
	*(.sbss .sbss.*) *(.bss .bss.*) *(COMMON)					\
	. = ALIGN(4096);								\
	_end = .;

#define KERNEL_DISCARD									\
	*(.comment) *(.note.gnu.*) *(.note.GNU-stack) *(.eh_frame*) *(.*.attributes)	\
	*(.interp) *(.dynamic)
