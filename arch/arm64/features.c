/*
 * What programs may use of this CPU, and what the kernel has to switch on for them. CPUs are taken to be alike.
 *
 * Left out of ELF_HWCAP although a CPU may have it: SVE and SME (nobody saves their registers), pointer authentication
 * (nobody makes keys), MTE, and reading identification registers (HWCAP_CPUID: every read would trap). They are
 * disabled, an attempt is an illegal instruction.
 */
#include <arch/cpu.h>
#include <arch/trap.h>

#include "arch/arm64/abi.h"
#include "kernel/printk.h"
#include "kernel/seq.h"

unsigned long a64_hwcap;
u64 a64_user_pstate = PSR_NZCV;

static bool has_pan;

/* Identification registers, in the form that every assembler knows. */
enum { PFR0, PFR1, ISAR0, ISAR1, MMFR1, MMFR2, NR_ID };

#define read_id(name)                                          \
	({                                                     \
		u64 __v;                                       \
		__asm__ volatile("mrs %0, " name : "=r"(__v)); \
		__v;                                           \
	})

/* A bit of ELF_HWCAP: set if the field of four bits at `shift` is at least `least`, as a signed number. */
static const struct {
	const char *name;
	u8 bit, id, shift;
	s8 least;
} features[] = {
	{ "fp", 0, PFR0, 16, 0 },	 { "asimd", 1, PFR0, 20, 0 },	   { "aes", 3, ISAR0, 4, 1 },
	{ "pmull", 4, ISAR0, 4, 2 },	 { "sha1", 5, ISAR0, 8, 1 },	   { "sha2", 6, ISAR0, 12, 1 },
	{ "crc32", 7, ISAR0, 16, 1 },	 { "atomics", 8, ISAR0, 20, 2 },   { "fphp", 9, PFR0, 16, 1 },
	{ "asimdhp", 10, PFR0, 20, 1 },	 { "asimdrdm", 12, ISAR0, 28, 1 }, { "jscvt", 13, ISAR1, 12, 1 },
	{ "fcma", 14, ISAR1, 16, 1 },	 { "lrcpc", 15, ISAR1, 20, 1 },	   { "dcpop", 16, ISAR1, 0, 1 },
	{ "sha3", 17, ISAR0, 32, 1 },	 { "sm3", 18, ISAR0, 36, 1 },	   { "sm4", 19, ISAR0, 40, 1 },
	{ "asimddp", 20, ISAR0, 44, 1 }, { "sha512", 21, ISAR0, 12, 2 },   { "asimdfhm", 23, ISAR0, 48, 1 },
	{ "dit", 24, PFR0, 48, 1 },	 { "uscat", 25, MMFR2, 32, 1 },	   { "ilrcpc", 26, ISAR1, 20, 2 },
	{ "flagm", 27, ISAR0, 52, 1 },	 { "ssbs", 28, PFR1, 4, 2 },	   { "sb", 29, ISAR1, 36, 1 },
};

#define HWCAP_FP   (1ul << 0)
#define HWCAP_DIT  (1ul << 24)
#define HWCAP_SSBS (1ul << 28)
#define PSR_SSBS   (1ull << 12)
#define PSR_DIT	   (1ull << 24)
#define MMFR1_PAN  20

/* usercopy.S: where a nop becomes an instruction */
struct pan_site {
	s32 place; /* relative to the field's own address */
	u32 insn;
};

extern struct pan_site __start_pan_sites[], __stop_pan_sites[];

static int field(u64 id, unsigned shift)
{
	return (int)((s64)(id << (60 - shift)) >> 60);
}

void a64_user_init(void)
{
	const u64 id[NR_ID] = {
		[PFR0] = read_id("S3_0_C0_C4_0"),  [PFR1] = read_id("S3_0_C0_C4_1"),  [ISAR0] = read_id("S3_0_C0_C6_0"),
		[ISAR1] = read_id("S3_0_C0_C6_1"), [MMFR1] = read_id("S3_0_C0_C7_1"), [MMFR2] = read_id("S3_0_C0_C7_2"),
	};

	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		if (field(id[features[i].id], features[i].shift) >= features[i].least)
			a64_hwcap |= 1ul << features[i].bit;
	if (!(a64_hwcap & HWCAP_FP))
		panic("this CPU has no FP and SIMD registers");
	if (a64_hwcap & HWCAP_DIT)
		a64_user_pstate |= PSR_DIT;
	if (a64_hwcap & HWCAP_SSBS)
		a64_user_pstate |= PSR_SSBS;

	has_pan = field(id[MMFR1], MMFR1_PAN) > 0;
	if (!has_pan)
		return;
	for (struct pan_site *s = __start_pan_sites; s < __stop_pan_sites; s++) {
		u32 *insn = (u32 *)((uintptr_t)&s->place + (uintptr_t)(intptr_t)s->place);

		*insn = s->insn;
		icache_sync(insn, sizeof(*insn));
	}
}

void a64_user_cpu_init(void)
{
	/* FP and SIMD for everybody; SVE and SME trap. No breakpoints. Registers that programs can read. */
	__asm__ volatile("msr cpacr_el1, %0\n\t"
			 "msr mdscr_el1, xzr\n\t"
			 "msr tpidr_el0, xzr\n\t"
			 "msr tpidrro_el0, xzr\n\t"
			 "isb"
			 :
			 : "r"(3ul << 20)
			 : "memory");
	/* msr pan, #1: exceptions set it from now on, as SCTLR_EL1.SPAN is clear. */
	if (has_pan)
		__asm__ volatile(".inst 0xd500419f" : : : "memory");
}

void a64_cpuinfo_features(struct seq *m)
{
	seq_printf(m, "Features\t:");
	for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
		if (a64_hwcap >> features[i].bit & 1)
			seq_printf(m, " %s", features[i].name);
	seq_printf(m, "\n");
}

bool arch_user_guard(void)
{
	return has_pan;
}
