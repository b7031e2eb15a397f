/*
 * The bare machine under OPAL firmware (skiboot), in hypervisor mode: OPAL calls for console, clock, starting CPUs and
 * leaving; doorbells for IPIs; our own partition table. The console is polled. Device interrupts are not there yet.
 *
 * Locks: opal_lock, with interrupts off, around every call (ppc_firmware() wants that).
 */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/ppc64/port.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/byteorder.h"
#include "lib/calendar.h"
#include "lib/errno.h"

#define OPAL_CONSOLE_WRITE 1
#define OPAL_CONSOLE_READ  2
#define OPAL_RTC_READ	   3
#define OPAL_POWER_DOWN	   5
#define OPAL_REBOOT	   6
#define OPAL_POLL_EVENTS   10
#define OPAL_START_CPU	   41
#define OPAL_REINIT_CPUS   70
#define OPAL_HANDLE_HMI	   98
#define OPAL_CONSOLE_FLUSH 117

#define OPAL_SUCCESS	0
#define OPAL_BUSY	-2
#define OPAL_BUSY_EVENT -12

#define REINIT_LITTLE_ENDIAN 0x2 /* interrupts */
#define REINIT_RADIX	     0x8

#define LPCR_HDICE 0x1ull /* hypervisor decrementer */
#define LPCR_HVICE 0x2ull /* interrupts for the hypervisor */
#define LPCR_LPES  0x8ull /* external interrupts come as they do to a guest */
#define LPCR_HEIC  0x10ull
#define LPCR_LD	   0x20000ull /* decrementer of more than 32 bits */
#define LPCR_HR	   0x100000ull
#define LPCR_EVIRT 0x200000ull
#define LPCR_UPRT  0x400000ull
#define LPCR_AIL   0x1800000ull
#define LPCR_HAIL  0x4000000ull

#define PATE_RADIX	  (1ull << 63)
#define MSGSND_HYPERVISOR (5ull << 27)

static u64 opal_base, opal_entry;
/* Not ranked: the console is used under any lock. */
static spinlock_t opal_lock = SPINLOCK_INIT(RANK_NONE);
static u64 partition_table[512] __aligned(4096); /* big-endian; two words for each partition, ours is 0 */

/* What OPAL reads and writes, opal_lock */
static u64 opal_word;
static u32 opal_half;
static char opal_text[16];

/* opal_lock is held, or the MMU is not on yet. */
static s64 call(u64 token, u64 a, u64 b, u64 c)
{
	struct fw_call f = { .entry = opal_entry, .r = { token, opal_base, a, b, c } };

	return ppc_firmware(&f);
}

static s64 opal(u64 token, u64 a, u64 b, u64 c)
{
	unsigned long flags = spin_lock_irqsave(&opal_lock);
	s64 r = call(token, a, b, c);

	spin_unlock_irqrestore(&opal_lock, flags);
	return r;
}

static void poll(void)
{
	call(OPAL_POLL_EVENTS, ppc_image_phys(&opal_word), 0, 0);
}

/* Likewise. */
void powernv_early_putc(char c)
{
	for (;;) {
		s64 r;

		opal_text[0] = c;
		opal_word = cpu_to_be64(1);
		r = call(OPAL_CONSOLE_WRITE, 0, ppc_image_phys(&opal_word), ppc_image_phys(opal_text));
		if (r != OPAL_BUSY && r != OPAL_BUSY_EVENT && (r != OPAL_SUCCESS || opal_word))
			return;
		poll();
	}
}

static void put_char(char c)
{
	unsigned long flags = spin_lock_irqsave(&opal_lock);

	powernv_early_putc(c);
	spin_unlock_irqrestore(&opal_lock, flags);
}

static int get_char(void)
{
	unsigned long flags = spin_lock_irqsave(&opal_lock);
	int c = -1;

	poll();
	opal_word = cpu_to_be64(1);
	if (!call(OPAL_CONSOLE_READ, 0, ppc_image_phys(&opal_word), ppc_image_phys(opal_text)) && opal_word)
		c = (u8)opal_text[0];
	spin_unlock_irqrestore(&opal_lock, flags);
	return c;
}

/* Firmware writes out what it has of the console, then switches off when it comes to it. */
static void leave_by(u64 token)
{
	s64 r;

	do {
		r = call(OPAL_CONSOLE_FLUSH, 0, 0, 0);
		poll();
	} while (r > 0 || r == OPAL_BUSY || r == OPAL_BUSY_EVENT);
	do {
		r = call(token, 0, 0, 0);
		poll();
	} while (r == OPAL_BUSY || r == OPAL_BUSY_EVENT);
	for (;;)
		poll();
}

static void leave(bool reboot)
{
	spin_lock(&opal_lock);
	leave_by(reboot ? OPAL_REBOOT : OPAL_POWER_DOWN);
}

static u32 from_bcd(u64 v)
{
	return (u32)(v >> 4 & 15) * 10 + (u32)(v & 15);
}

static u64 wall_clock(void)
{
	u64 date, time;
	s64 r = OPAL_BUSY;

	for (int i = 0; i < 1000 && (r == OPAL_BUSY || r == OPAL_BUSY_EVENT); i++) {
		r = opal(OPAL_RTC_READ, ppc_image_phys(&opal_half), ppc_image_phys(&opal_word), 0);
		date = be32_to_cpu(opal_half);
		time = be64_to_cpu(opal_word);
		if (r)
			opal(OPAL_POLL_EVENTS, ppc_image_phys(&opal_word), 0, 0);
	}
	if (r)
		return 0;
	return calendar_days(from_bcd(date >> 24) * 100 + from_bcd(date >> 16), from_bcd(date >> 8), from_bcd(date)) *
		       86400 +
	       from_bcd(time >> 56) * 3600ull + from_bcd(time >> 48) * 60ull + from_bcd(time >> 40);
}

/* ---- CPUs */

static int cpu_start(u64 hwid, u64 entry)
{
	return opal(OPAL_START_CPU, hwid, entry, 0) ? -EIO : 0;
}

static void send_ipi(u64 hwid)
{
	__asm__ volatile("msgsnd %0" : : "r"(MSGSND_HYPERVISOR | hwid) : "memory");
}

/* The lightest stop: nothing is lost, and it goes on behind it for anything that is pending, masked or not. */
static void idle(void)
{
	mtspr(SPR_PSSCR, 0);
	__asm__ volatile("stop" : : : "memory");
	irq_enable();
	irq_disable();
}

void powernv_maintenance(void)
{
	if (opal(OPAL_HANDLE_HMI, 0, 0, 0))
		panic("hypervisor maintenance: firmware could not repair this CPU");
}

/* ---- boot, the MMU off */

void powernv_init(u64 base, u64 entry)
{
	opal_base = base;
	opal_entry = entry;
}

void powernv_early_off(void)
{
	leave_by(OPAL_POWER_DOWN);
}

/*
 * A host's process table is found through the partition's own tree; ours is the kernel's, whose direct map has each
 * address where it is.
 */
static void set_partition(u64 root, u64 table, unsigned size_log2)
{
	WRITE_ONCE(partition_table[0], ppc_process_entry(root) | cpu_to_be64(PATE_RADIX));
	WRITE_ONCE(partition_table[1], cpu_to_be64(PATE_RADIX | table | (size_log2 - 12)));
	__asm__ volatile("ptesync" : : : "memory");
}

void powernv_early_mmu(u64 root, u64 table, unsigned size_log2)
{
	if (call(OPAL_REINIT_CPUS, REINIT_LITTLE_ENDIAN | REINIT_RADIX, 0, 0))
		ppc_refuse("firmware offers no little-endian interrupts and radix translation");
	set_partition(root, table, size_log2);
	ppc_start_lpcr = (mfspr(SPR_LPCR) | LPCR_UPRT | LPCR_HR | LPCR_LPES) &
			 ~(LPCR_HDICE | LPCR_HVICE | LPCR_HEIC | LPCR_LD | LPCR_EVIRT | LPCR_AIL | LPCR_HAIL);
	ppc_start_ptcr = ppc_image_phys(partition_table); /* of the smallest size */
	mtspr(SPR_LPCR, ppc_start_lpcr);
	mtspr(SPR_LPID, 0);
	mtspr(SPR_PTCR, ppc_start_ptcr);
	__asm__ volatile("isync" : : : "memory");
	ppc_flush_all_sets();
}

/* Both trees and both tables are good, so it does not matter that the words change one after the other. */
void powernv_set_table(u64 root, u64 table, unsigned size_log2)
{
	set_partition(root, table, size_log2);
	/* All of the partition, both scopes, with what is remembered of the partition table. */
	__asm__ volatile("tlbie %0, %1, 2, 0, 1\n\t"
			 "tlbie %0, %1, 2, 1, 1\n\t"
			 "eieio\n\ttlbsync\n\tptesync\n\tisync"
			 :
			 : "r"(2ull << 10), "r"(0ull)
			 : "memory");
}

const struct platform powernv_platform = {
	.putc = put_char,
	.getc = get_char,
	.cpu_start = cpu_start,
	.send_ipi = send_ipi,
	.idle = idle,
	.leave = leave,
	.wall_clock = wall_clock,
};
