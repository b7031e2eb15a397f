#pragma once
/*
 * stac and clac where the CPU has SMAP, three bytes of nothing where it has not: assembly leaves room, x86_detect()
 * fills in (cpu.c).
 */
#ifdef __ASSEMBLER__
	.macro	SMAP_SITE list
771:	.byte	0x0f, 0x1f, 0x00	/* nopl (%rax) */
	.pushsection \list, "a"
	.quad	771b
	.popsection
	.endm
#define SMAP_ON		SMAP_SITE smap_on	/* user memory may be touched */
#define SMAP_OFF	SMAP_SITE smap_off
#else
extern void *const __start_smap_on[], *const __stop_smap_on[], *const __start_smap_off[], *const __stop_smap_off[];
#endif
