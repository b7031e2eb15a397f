/*
 * From the port's entry code to the first program. The order matters: each step uses only what stands above it.
 */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/smp.h>
#include <arch/timer.h>

#include "kernel/cpu.h"
#include "kernel/entry.h"
#include "kernel/fsapi.h"
#include "kernel/init.h"
#include "kernel/numa.h"
#include "kernel/param.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/sched_internal.h"
#include "kernel/timer.h"
#include "kernel/watchdog.h"
#include "kernel/workqueue.h"
#include "lib/err.h"
#include "mm/kmap.h"
#include "mm/mm.h"
#include "mm/palloc.h"
#include "mm/palloc_internal.h"
#include "mm/slab.h"
#ifdef CONFIG_TESTS
#include "tests/kernel/ktest.h"
#endif

#define CPU_START_TIMEOUT (30 * NSEC_PER_SEC)

static unsigned opt_maxcpus = NR_CPUS;
BOOT_OPTION(option_maxcpus) = { .name = "maxcpus", .type = CMDLINE_UINT, .uint = &opt_maxcpus, .min = 1, .max = NR_CPUS,
	.help = "start at most that many CPUs" };

static int symbolizer(char *buf, size_t size, unsigned long addr)
{
	return symbolize(buf, size, addr);
}

static void start_cpus(void)
{
	unsigned n = min(min(boot_info.nr_cpus, opt_maxcpus), (unsigned)NR_CPUS), cpu;
	u64 deadline;

	if (n > 1 && percpu_init(n))
		panic("boot: no memory for %u CPUs", n);
	nr_cpus = n;
	for (cpu = 1; cpu < n; cpu++) {
		struct task *idle = task_alloc();

		if (IS_ERR(idle))
			panic("boot: no memory for CPU %u's idle task", cpu);
		idle->flags = TF_KTHREAD | TF_IDLE;
		idle->state = TASK_RUNNING;
		idle->cpu = cpu;
		sched_fork(idle);
		idle->cpu = cpu;
		kscnprintf(idle->comm, sizeof(idle->comm), "swapper/%u", cpu);
		cpus[cpu]->idle = idle;
		cpus[cpu]->curr = idle;
		sched_init_cpu(cpu);
		timers_init_cpu(cpu);
		rcu_init_cpu(cpu);
	}
	for (cpu = 1; cpu < n; cpu++)
		if (arch_cpu_start(cpus[cpu]))
			pr_err("CPU %u (hardware id %llu) does not start", cpu, (unsigned long long)cpus[cpu]->hwid);
	deadline = clock_ns() + CPU_START_TIMEOUT;
	while (cpumask_weight(&cpu_online_mask) < n && clock_ns() < deadline)
		cpu_relax();
	if (cpumask_weight(&cpu_online_mask) < n)
		pr_err("only %u of %u CPUs came up", cpumask_weight(&cpu_online_mask), n);
	if (boot_info.nr_cpus_found > n)
		pr_info("%u CPUs found, %u used", boot_info.nr_cpus_found, n);
}

void secondary_main(void)
{
	struct cpu *c = this_cpu();

	arch_cpu_init();
	c->stamp = cpu_counter();
	watchdog_cpu_start();
	sched_cpu_online(c->id);
	cpu_idle_loop();
}

static void run_initcalls(void)
{
	extern int (*const __start_initcalls[])(void), (*const __stop_initcalls[])(void);

	for (int (*const *fn)(void) = __start_initcalls; fn < __stop_initcalls; fn++) {
		int err = (*fn)();

		if (err)
			pr_err("initcall %pS: error %d", (void *)*fn, err);
	}
}

static void unpack_initramfs(void)
{
	int err;

	if (!boot_info.initrd_size)
		panic("boot: no initramfs. Give one to the boot loader (make run does)");
	err = rootfs_init(phys_to_virt(boot_info.initrd), boot_info.initrd_size);
	if (err)
		pr_err("initramfs: error %d", err);
	free_boot_range(boot_info.initrd, boot_info.initrd_size);
}

/* The second half of boot, in a thread that may sleep. */
static int boot_thread(void *unused)
{
	struct task *init;

	workqueue_init();
	run_initcalls();
	unpack_initramfs();
	pr_info("%u CPUs, %llu MiB, %llu MiB free, up after %llu ms", cpumask_weight(&cpu_online_mask),
		(unsigned long long)nr_total_pages() / 256, (unsigned long long)nr_free_pages() / 256,
		(unsigned long long)clock_ns() / NSEC_PER_MSEC);
#ifdef CONFIG_TESTS
	ktest_boot();
#endif
	init = spawn_init();
	if (IS_ERR(init))
		panic("boot: init can not be created: error %ld", PTR_ERR(init));
	wake_up_new_task(init);
	return 0;
}

void kernel_main(void)
{
	struct task *t;

	printf_set_symbolizer(symbolizer);
	boot_cpu.idle = &init_task;
	boot_cpu.active_mm = &init_mm;
	boot_cpu.hwid = boot_info.hwid[0];
	boot_cpu.stamp = cpu_counter();
	params_init();
	kmap_init();
	numa_init();
	palloc_init();
	kmap_palloc_ready();
	arch_cpu_init();
	arch_timer_init();
	pr_info("Exeunt on %s, %s", boot_info.platform ? boot_info.platform : "unknown platform",
		boot_info.loader ? boot_info.loader : "unknown loader");
	slab_init();
	timers_init();
	sched_init();
	rcu_init();
	process_init();
	mm_init();
	arch_init();
	start_cpus();
	watchdog_cpu_start();
	irq_enable();
	rcu_start();
	t = kthread_run(boot_thread, NULL, "boot");
	if (IS_ERR(t))
		panic("boot: no memory for the boot thread");
	cpu_idle_loop();
}
