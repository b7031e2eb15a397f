/*
 * Threads: what a new one finds on its stack, floating-point state, backtraces.
 */
#include <arch/thread.h>

#include <arch/pte.h>
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/string.h"

/* layout.h tells the truth. */
static_assert(offsetof(struct trapframe, ra) == TF_X(1) && offsetof(struct trapframe, t6) == TF_X(31) &&
		      offsetof(struct trapframe, a) == TF_X(10) && offsetof(struct trapframe, s2) == TF_X(18),
	      "struct trapframe");
static_assert(offsetof(struct trapframe, status) == TF_STATUS && offsetof(struct trapframe, nr) == TF_NR &&
		      offsetof(struct trapframe, orig_a0) == TF_ORIG_A0 && offsetof(struct trapframe, cpu) == TF_CPU &&
		      sizeof(struct trapframe) == TF_SIZE,
	      "struct trapframe");
static_assert(offsetof(struct cpu, curr) == CPU_CURRENT && offsetof(struct cpu, arch.scratch) == CPU_SCRATCH &&
		      offsetof(struct cpu, arch.overflow) == CPU_OVERFLOW &&
		      offsetof(struct cpu, arch.retry) == CPU_RETRY &&
		      offsetof(struct cpu, arch.fence_i) == CPU_FENCE_I,
	      "struct cpu");
static_assert(offsetof(struct task, thread.sp) == TASK_SP && offsetof(struct task, thread.fp) == TASK_FP &&
		      offsetof(struct task, thread.fcsr) == TASK_FCSR &&
		      offsetof(struct task, thread.fp_valid) == TASK_FP_VALID &&
		      offsetof(struct task, kstack) == TASK_KSTACK,
	      "struct task");

/* As arch_switch() leaves a stack. */
struct switch_frame {
	u64 ra, gp, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
};

static_assert(sizeof(struct switch_frame) == 112, "entry.S");

static struct switch_frame *new_frame(struct task *t, void *start)
{
	struct switch_frame *f = (struct switch_frame *)task_trapframe(t) - 1;

	memset(f, 0, sizeof(*f));
	f->ra = (u64)(uintptr_t)start;
	t->thread.sp = (u64)(uintptr_t)f;
	return f;
}

void arch_thread_kernel(struct task *t, void (*fn)(void *), void *arg)
{
	struct switch_frame *f = new_frame(t, rv_kernel_thread);

	memset(task_trapframe(t), 0, sizeof(struct trapframe));
	f->s1 = (u64)(uintptr_t)fn;
	f->s2 = (u64)(uintptr_t)arg;
}

void rv_fp_sync(void)
{
	unsigned long flags = irq_save();

	if ((csr_read(CSR_SSTATUS) & SR_FS) == SR_FS_DIRTY) {
		rv_fp_save(current);
		csr_clear(CSR_SSTATUS, SR_FS);	/* clean is one bit of dirty: off first */
		csr_set(CSR_SSTATUS, SR_FS_CLEAN);
	}
	irq_restore(flags);
}

void rv_fp_drop(void)
{
	csr_clear(CSR_SSTATUS, SR_FS);
}

int arch_thread_user(struct task *t, const struct trapframe *parent, uintptr_t sp, uintptr_t tls, bool set_tls)
{
	struct trapframe *tf = task_trapframe(t);

	*tf = *parent;
	tf->a[0] = 0;
	tf->nr = -1;
	if (sp)
		tf->sp = sp;
	if (set_tls)
		tf->tp = tls;
	new_frame(t, rv_user_thread);
	rv_fp_sync();
	t->thread.fp_valid = current->thread.fp_valid;
	if (t->thread.fp_valid) {
		memcpy(t->thread.fp, current->thread.fp, sizeof(t->thread.fp));
		t->thread.fcsr = current->thread.fcsr;
	}
	return 0;
}

void arch_thread_exec(struct task *t)
{
	rv_fp_drop();
	t->thread.fp_valid = 0;
}

void arch_thread_free(struct task *t)
{
}

void arch_start_user(struct trapframe *tf, uintptr_t pc, uintptr_t sp)
{
	memset(tf, 0, offsetof(struct trapframe, cpu));
	tf->pc = pc;
	tf->sp = sp;
	tf->nr = -1;
}

/* A frame pointer points behind the caller's frame pointer and the return address. Kernel addresses only. */
bool arch_unwind(uintptr_t *fp, uintptr_t *pc)
{
	u64 up, ret;

	if (*fp < DIRECT_MAP_BASE || *fp % 16)
		return false;
	if (arch_get_user64(&up, (const u64 *)*fp - 2) || arch_get_user64(&ret, (const u64 *)*fp - 1))
		return false;
	*fp = (uintptr_t)up;
	*pc = (uintptr_t)ret;
	return *pc != 0;
}

uintptr_t arch_saved_fp(struct task *t)
{
	return ((const struct switch_frame *)t->thread.sp)->s0;
}
