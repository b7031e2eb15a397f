#pragma once
/*
 * Calls of the supervisor binary interface: what machine mode does for us. Any context; they clobber nothing but a0 and
 * a1.
 */
#include "lib/types.h"

#define SBI_LEGACY_PUTCHAR	1
#define SBI_BASE		0x10
#define SBI_TIME		0x54494d45
#define SBI_IPI			0x735049
#define SBI_RFENCE		0x52464e43
#define SBI_HSM			0x48534d
#define SBI_SRST		0x53525354

#define SBI_BASE_IMPL_ID	1
#define SBI_BASE_IMPL_VERSION	2
#define SBI_BASE_PROBE		3
#define SBI_RFENCE_VMA		1
#define SBI_SRST_SHUTDOWN	0
#define SBI_SRST_COLD_REBOOT	1

struct sbi_result {
	long error;		/* 0, or negative: not an errno */
	long value;
};

static inline struct sbi_result sbi_call(u64 ext, u64 fn, u64 arg0, u64 arg1, u64 arg2, u64 arg3)
{
	register u64 a0 __asm__("a0") = arg0;
	register u64 a1 __asm__("a1") = arg1;
	register u64 a2 __asm__("a2") = arg2;
	register u64 a3 __asm__("a3") = arg3;
	register u64 a6 __asm__("a6") = fn;
	register u64 a7 __asm__("a7") = ext;

	__asm__ volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a3), "r"(a6), "r"(a7) : "memory");
	return (struct sbi_result){ (long)a0, (long)a1 };
}

static inline bool sbi_probe(u64 ext)
{
	struct sbi_result r = sbi_call(SBI_BASE, SBI_BASE_PROBE, ext, 0, 0, 0);

	return !r.error && r.value;
}
