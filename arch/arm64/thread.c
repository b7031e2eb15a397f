/*
 * Threads: what a new one finds on its stack, FP and SIMD state, backtraces.
 */
#include <arch/thread.h>

#include <arch/pte.h>
#include <arch/trap.h>

#include "arch/arm64/abi.h"
#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/string.h"

/* layout.h tells the truth. */
static_assert(offsetof(struct trapframe, x) == TF_X(0) && offsetof(struct trapframe, sp) == TF_SP &&
		      offsetof(struct trapframe, pc) == TF_PC && offsetof(struct trapframe, pstate) == TF_PSTATE &&
		      offsetof(struct trapframe, nr) == TF_NR && offsetof(struct trapframe, orig_x0) == TF_ORIG_X0 &&
		      sizeof(struct trapframe) == TF_SIZE && TF_SIZE % 16 == 0,
	      "struct trapframe");
static_assert(offsetof(struct cpu, offset) == CPU_OFFSET && offsetof(struct cpu, curr) == CPU_CURRENT, "struct cpu");
static_assert(offsetof(struct task, thread.sp) == TASK_SP && offsetof(struct task, thread.tls) == TASK_TLS &&
		      offsetof(struct task, thread.live) == TASK_LIVE &&
		      offsetof(struct task, thread.fp.fpsr) == TASK_FPSR &&
		      offsetof(struct task, thread.fp.fpcr) == TASK_FPSR + 4 &&
		      offsetof(struct task, thread.fp.v) == TASK_V(0),
	      "struct task");

/* As arch_switch() leaves a stack. */
struct switch_frame {
	u64 x29, x30, x27, x28, x25, x26, x23, x24, x21, x22, x19, x20;
};

static_assert(sizeof(struct switch_frame) == 96, "entry.S");

static struct switch_frame *new_frame(struct task *t, void *start)
{
	struct switch_frame *f = (struct switch_frame *)task_trapframe(t) - 1;

	memset(f, 0, sizeof(*f));
	f->x30 = (u64)(uintptr_t)start;
	t->thread.sp = (u64)(uintptr_t)f;
	return f;
}

void arch_thread_kernel(struct task *t, void (*fn)(void *), void *arg)
{
	struct switch_frame *f = new_frame(t, a64_kernel_thread);

	memset(task_trapframe(t), 0, sizeof(struct trapframe));
	f->x19 = (u64)(uintptr_t)fn;
	f->x20 = (u64)(uintptr_t)arg;
	t->thread.live = 0;
}

int arch_thread_user(struct task *t, const struct trapframe *parent, uintptr_t sp, uintptr_t tls, bool set_tls)
{
	struct trapframe *tf = task_trapframe(t);
	struct arch_thread *from = &current->thread;

	*tf = *parent;
	tf->x[0] = 0;
	tf->nr = -1;
	if (sp)
		tf->sp = sp;
	new_frame(t, a64_user_thread);
	if (from->live) {
		a64_fp_save(current);
		t->thread.fp = from->fp;
		__asm__ volatile("mrs %0, tpidr_el0" : "=r"(t->thread.tls));
	} else {
		memset(&t->thread.fp, 0, sizeof(t->thread.fp));
		t->thread.tls = 0;
	}
	if (set_tls)
		t->thread.tls = tls;
	t->thread.live = 1;
	return 0;
}

void arch_thread_exec(struct task *t)
{
	memset(&t->thread.fp, 0, sizeof(t->thread.fp));
	a64_fp_load(t);
	__asm__ volatile("msr tpidr_el0, xzr");
	t->thread.live = 1;
}

void arch_thread_free(struct task *t) {}

void arch_start_user(struct trapframe *tf, uintptr_t pc, uintptr_t sp)
{
	memset(tf, 0, sizeof(*tf));
	tf->pc = pc;
	tf->sp = sp;
	tf->nr = -1;
}

/* A frame pointer points to the caller's frame pointer and the return address. Kernel addresses only. */
bool arch_unwind(uintptr_t *fp, uintptr_t *pc)
{
	u64 up, ret;

	if (*fp < DIRECT_MAP_BASE || *fp % 16 || *fp > ~0ul - 16)
		return false;
	if (arch_get_user64(&up, (const u64 *)*fp) || arch_get_user64(&ret, (const u64 *)*fp + 1))
		return false;
	*fp = (uintptr_t)up;
	*pc = (uintptr_t)ret;
	return *pc != 0;
}

uintptr_t arch_saved_fp(struct task *t)
{
	return ((const struct switch_frame *)(uintptr_t)t->thread.sp)->x29;
}
