/*
 * A guest under a hypervisor (PAPR): hypervisor calls for console, interrupts and idling, RTAS for starting CPUs, the
 * clock and leaving. The interrupt controller is XICS by hypervisor calls, which is what there is as long as nobody
 * negotiates something else.
 *
 * Locks: rtas_lock, taken with interrupts off; the rest needs none.
 */
#include <arch/boot.h>
#include <arch/cpu.h>

#include "arch/ppc64/port.h"
#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/spinlock.h"
#include "lib/byteorder.h"
#include "lib/calendar.h"
#include "lib/errno.h"
#include "lib/fdt.h"
#include "lib/string.h"

#define H_PUT_TERM_CHAR	    0x58u
#define H_GET_TERM_CHAR	    0x54u
#define H_EOI		    0x64u
#define H_CPPR		    0x68u
#define H_IPI		    0x6cu
#define H_XIRR		    0x74u
#define H_CEDE		    0xe0u
#define H_SET_MODE	    0x31cu
#define H_REGISTER_PROC_TBL 0x37cu

#define H_BUSY		   1
#define H_SET_MODE_LE	   4
#define PROC_TBL_NEW_RADIX (0x18 | 4)
#define PROC_TBL_GTSE	   1 /* we use tlbie ourselves */

#define XISR_IPI    2u
#define PRIO_IPI    4u
#define PRIO_DEVICE 5u
#define PRIO_NONE   0xffu

struct hcall_result {
	s64 status;
	u64 r[3];
};

/* Arguments beyond the third are passed by those few calls that have them. */
static struct hcall_result hcall5(u64 nr, u64 a, u64 b, u64 c, u64 d)
{
	register u64 r3 __asm__("r3") = nr;
	register u64 r4 __asm__("r4") = a;
	register u64 r5 __asm__("r5") = b;
	register u64 r6 __asm__("r6") = c;
	register u64 r7 __asm__("r7") = d;

	__asm__ volatile("sc 1"
			 : "+r"(r3), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r7)
			 :
			 : "r0", "r8", "r9", "r10", "r11", "r12", "ctr", "xer", "cr0", "cr1", "cr5", "cr6", "cr7",
			   "memory");
	return (struct hcall_result){ (s64)r3, { r4, r5, r6 } };
}

static s64 hcall(u64 nr, u64 a, u64 b)
{
	return hcall5(nr, a, b, 0, 0).status;
}

/* ---- console: a virtual terminal */

static u64 terminal; /* 0: the first one */
/* Its interrupt, the only one of a device. The source's number is large; generic code knows it as IRQ_TERMINAL. */
static u32 terminal_source;

#define IRQ_TERMINAL 1

void pseries_putc(char ch)
{
	/* Characters are passed in two registers, the first in the highest byte. */
	while (hcall5(H_PUT_TERM_CHAR, terminal, 1, (u64)(u8)ch << 56, 0).status == H_BUSY)
		cpu_relax();
}

static int get_char(void)
{
	static char buf[16]; /* a call takes all there is; the tty reads under its lock */
	static unsigned next, count;

	if (next == count) {
		struct hcall_result h = hcall5(H_GET_TERM_CHAR, terminal, 0, 0, 0);
		u64 words[2] = { cpu_to_be64(h.r[1]), cpu_to_be64(h.r[2]) };

		if (h.status || !h.r[0] || h.r[0] > sizeof(buf))
			return -1;
		memcpy(buf, words, sizeof(buf));
		next = 0;
		count = (unsigned)h.r[0];
	}
	return (u8)buf[next++];
}

static int console_irq(void)
{
	return terminal_source ? IRQ_TERMINAL : -ENODEV;
}

static void find_terminal(void)
{
	int node = fdt_find_compatible(ppc_fdt, -1, "hvterm1"), len;
	const void *cells;
	u32 reg;

	if (node < 0 || fdt_prop_u32(ppc_fdt, node, "reg", &reg))
		return;
	terminal = reg;
	cells = fdt_prop(ppc_fdt, node, "interrupts", &len);
	if (cells && len >= 4) /* its number; how it is triggered follows */
		terminal_source = get_be32(cells);
}

/* ---- RTAS */

static u64 rtas_entry, rtas_base;
static spinlock_t rtas_lock = SPINLOCK_INIT(RANK_IPI);
static u32 rtas_args[16];

/* Interrupts are off, rtas_lock is held or not needed yet. */
static int rtas_locked(u32 token, unsigned nr_in, const u32 *in, unsigned nr_out, u32 *out)
{
	struct fw_call c = { .entry = rtas_entry, .msr_clear = MSR_SF };

	if (!token || !rtas_entry)
		return -1;
	rtas_args[0] = cpu_to_be32(token);
	rtas_args[1] = cpu_to_be32(nr_in);
	rtas_args[2] = cpu_to_be32(nr_out);
	for (unsigned i = 0; i < nr_in; i++)
		rtas_args[3 + i] = cpu_to_be32(in[i]);
	for (unsigned i = 0; i < nr_out; i++)
		rtas_args[3 + nr_in + i] = 0;
	c.r[2] = ppc_image_phys(rtas_args);
	c.r[3] = rtas_base;
	ppc_firmware(&c);
	for (unsigned i = 1; i < nr_out; i++)
		out[i - 1] = be32_to_cpu(rtas_args[3 + nr_in + i]);
	return (int)be32_to_cpu(rtas_args[3 + nr_in]);
}

/* The status; out gets nr_out - 1 further cells. -1: there is no such call. */
static int rtas(u32 token, unsigned nr_in, const u32 *in, unsigned nr_out, u32 *out)
{
	unsigned long flags = spin_lock_irqsave(&rtas_lock);
	int status = rtas_locked(token, nr_in, in, nr_out, out);

	spin_unlock_irqrestore(&rtas_lock, flags);
	return status;
}

static u32 token(const char *name)
{
	u32 t;

	return fdt_prop_u32(ppc_fdt, fdt_find_path(ppc_fdt, "/rtas"), name, &t) ? 0 : t;
}

static int cpu_start(u64 hwid, u64 entry)
{
	u32 in[] = { (u32)hwid, (u32)entry, (u32)hwid };

	return rtas(token("start-cpu"), 3, in, 1, NULL) ? -EIO : 0;
}

static const u32 never[] = { ~0u, ~0u }; /* no event switches it on again */

static void leave(bool reboot)
{
	if (reboot)
		rtas(token("system-reboot"), 0, NULL, 1, NULL);
	else
		rtas(token("power-off"), 2, never, 1, NULL);
}

static u64 wall_clock(void)
{
	u32 t[7]; /* year, month, day, hour, minute, second, nanosecond */

	if (rtas(token("get-time-of-day"), 0, NULL, 8, t))
		return 0;
	return calendar_days(t[0], t[1], t[2]) * 86400 + t[3] * 3600ull + t[4] * 60ull + t[5];
}

/* ---- interrupts */

static void cpu_init(void)
{
	hcall(H_CPPR, PRIO_NONE, 0); /* let everything through */
}

static void send_ipi(u64 hwid)
{
	hcall(H_IPI, hwid, PRIO_IPI);
}

/* Taking an interrupt raises our priority to its own, EOI lowers it again; what else is pending comes anew. */
static void external(void)
{
	u64 xirr = hcall5(H_XIRR, PRIO_NONE, 0, 0, 0).r[0];
	u32 source = xirr & 0xffffff;

	if (source == XISR_IPI) {
		hcall(H_IPI, this_cpu()->hwid, PRIO_NONE);
		hcall(H_EOI, xirr, 0);
		mb();
		ipi_handler();
	} else if (source) {
		do_irq(IRQ_TERMINAL);
		hcall(H_EOI, xirr, 0);
	}
}

static int irq_enable_source(unsigned irq)
{
	const u32 in[] = { terminal_source, (u32)boot_info.hwid[0], PRIO_DEVICE };

	if (irq != IRQ_TERMINAL || rtas(token("ibm,set-xive"), 3, in, 1, NULL))
		return -EINVAL;
	return rtas(token("ibm,int-on"), 1, in, 1, NULL) ? -EINVAL : 0;
}

static void irq_disable_source(unsigned irq)
{
	rtas(token("ibm,int-off"), 1, &terminal_source, 1, NULL);
}

/* The call turns interrupts on, so none is lost between the check and the wait; it is taken when the call returns. */
static void idle(void)
{
	hcall(H_CEDE, 0, 0);
	irq_disable();
}

/* ---- boot */

u64 pseries_register_table(u64 phys, unsigned size_log2)
{
	return (u64)hcall5(H_REGISTER_PROC_TBL, PROC_TBL_NEW_RADIX | PROC_TBL_GTSE, phys, 0, size_log2 - 12).status;
}

void pseries_early_off(void)
{
	u64 size;

	rtas_entry = of_instantiate_rtas(&rtas_base, &size);
	rtas_locked(of_prop_u32("/rtas", "power-off"), 2, never, 1, NULL);
}

void pseries_early_init(void)
{
	u64 size;

	rtas_entry = of_instantiate_rtas(&rtas_base, &size);
	if (rtas_entry)
		boot_reserve(rtas_base, size);
	else
		pr_warn("RTAS is not there: one CPU, no clock, no way to switch off");
	of_quiesce();
	if (hcall5(H_SET_MODE, 1, H_SET_MODE_LE, 0, 0).status)
		panic("the hypervisor does not let interrupts be little-endian");
}

const struct platform pseries_platform = {
	.putc = pseries_putc,
	.getc = get_char,
	.console_irq = console_irq,
	.init = find_terminal,
	.cpu_init = cpu_init,
	.cpu_start = cpu_start,
	.send_ipi = send_ipi,
	.external = external,
	.idle = idle,
	.irq_enable = irq_enable_source,
	.irq_disable = irq_disable_source,
	.leave = leave,
	.wall_clock = wall_clock,
};
