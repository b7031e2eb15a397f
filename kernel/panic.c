/*
 * panic: a broken invariant. Every other CPU stops, the report goes to the console with a symbolised backtrace, and the
 * machine leaves with status 125, so that a test run that ends here can not pass for anything else.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/thread.h>
#include <arch/trap.h>

#include "kernel/cpu.h"
#include "kernel/ipi.h"
#include "kernel/printk.h"
#include "kernel/task.h"
#include "lib/string.h"

#define PANIC_STATUS 125

extern char _text[], _text_end[];

/* tools/ksyms.py writes these: offsets from _text, ascending, and where each name starts. */
extern const u32 ksyms_count __attribute__((weak));
extern const u32 ksyms_addr[] __attribute__((weak));
extern const u32 ksyms_name[] __attribute__((weak));
extern const char ksyms_names[] __attribute__((weak));

bool panicking;
static u32 panic_owner;		/* atomic. CPU + 1 that reports */

static inline bool in_text(uintptr_t pc)
{
	return pc >= (uintptr_t)_text && pc < (uintptr_t)_text_end;
}

int symbolize(char *buf, size_t n, uintptr_t pc)
{
	u32 off = (u32)(pc - (uintptr_t)_text), lo = 0, hi;

	if (&ksyms_count == NULL || !ksyms_count || pc < (uintptr_t)_text || pc - (uintptr_t)_text > 0x7fffffff)
		return -1;
	hi = ksyms_count;
	while (hi - lo > 1) {
		u32 mid = lo + (hi - lo) / 2;

		if (ksyms_addr[mid] <= off)
			lo = mid;
		else
			hi = mid;
	}
	if (ksyms_addr[lo] > off)
		return -1;
	return kscnprintf(buf, n, "%s+%#x", ksyms_names + ksyms_name[lo], off - ksyms_addr[lo]);
}

static void line(const char *fmt, ...)
{
	char buf[300];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvscnprintf(buf, sizeof(buf) - 1, fmt, ap);
	va_end(ap);
	buf[n++] = '\n';
	console_write(buf, (size_t)n);
}

static void backtrace(uintptr_t fp)
{
	uintptr_t pc;

	for (int i = 0; i < 32 && arch_unwind(&fp, &pc); i++) {
		if (!in_text(pc))
			break;
		line("  [<%016lx>] %pS", pc, (void *)pc);
	}
}

void dump_stack(void)
{
	line("Call trace of CPU %u, %s (pid %d):", cpu_id(), current->comm, current->pid);
	backtrace((uintptr_t)__builtin_frame_address(0));
}

void dump_task_stack(struct task *t)
{
	line("Call trace of %s (pid %d, state %u):", t->comm, t->pid, t->state);
	if (!READ_ONCE(t->on_cpu))
		backtrace(arch_saved_fp(t));
}

/* Ends the machine, so its callers have no va_end(). */
static void __noreturn vpanic(const struct trapframe *tf, const char *fmt, va_list ap)
{
	u32 nobody = 0, me = this_cpu()->id + 1;
	char msg[300];

	irq_disable();
	if (!__atomic_compare_exchange_n(&panic_owner, &nobody, me, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
		if (nobody != me)
			cpu_halt();	/* somebody else reports */
		line("Kernel panic: again, while reporting the first");
		arch_poweroff(PANIC_STATUS);
	}
	panicking = true;
	ipi_stop_others();
	kvscnprintf(msg, sizeof(msg), fmt, ap);
	line("");
	line("Kernel panic: %s", msg);
	line("CPU %u, %s (pid %d), platform %s", me - 1, current->comm, current->pid,
	     boot_info.platform ? boot_info.platform : "unknown");
	if (tf) {
		line("  [<%016lx>] %pS (trap)", tf_pc(tf), (void *)tf_pc(tf));
		if (!tf_user(tf))
			backtrace(tf_fp(tf));
	} else {
		backtrace((uintptr_t)__builtin_frame_address(0));
	}
	line("exeunt: exit status %d", PANIC_STATUS);
	arch_poweroff(PANIC_STATUS);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(NULL, fmt, ap);
}

void panic_trap(const struct trapframe *tf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vpanic(tf, fmt, ap);
}
