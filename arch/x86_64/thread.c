/*
 * Threads: first stack frames, the switch, TLS and FPU state, backtraces.
 *
 * The FPU belongs to user space. A task's state is in the registers while it is on a CPU and in thread.fpu otherwise;
 * kernel threads have none and leave the registers alone, so the state of a user task is saved when it leaves the CPU
 * and loaded when it comes back.
 */
#include <arch/pte.h>
#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/x86_64/x86.h"
#include "kernel/cpu.h"
#include "kernel/syscall.h"
#include "kernel/task.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

/* What x86_switch() pops. */
struct switch_frame {
	u64 r15, r14, r13, r12, rbx, rbp, ret;
};

static const u8 clean_fpu[512] __aligned(16) = { [0] = 0x7f, [1] = 0x03, [24] = 0x80, [25] = 0x1f };

/* The first switch to t goes to `start`, with these registers and the stack at its trapframe. */
static void first_frame(struct task *t, void (*start)(void), u64 rbx, u64 r12)
{
	struct switch_frame *f = (struct switch_frame *)task_trapframe(t) - 1;

	*f = (struct switch_frame){ .rbx = rbx, .r12 = r12, .ret = (u64)(uintptr_t)start };
	t->thread.sp = (u64)(uintptr_t)f;
}

void arch_thread_kernel(struct task *t, void (*fn)(void *), void *arg)
{
	memcpy(t->thread.fpu, clean_fpu, sizeof(clean_fpu));
	first_frame(t, x86_thread_start, (u64)(uintptr_t)fn, (u64)(uintptr_t)arg);
}

int arch_thread_user(struct task *t, const struct trapframe *parent, uintptr_t sp, uintptr_t tls, bool set_tls)
{
	struct trapframe *tf = task_trapframe(t);

	*tf = *parent;
	tf->rax = 0;
	if (sp)
		tf->rsp = sp;
	t->thread.fs_base = set_tls ? tls : current->thread.fs_base;
	t->thread.gs_base = current->thread.gs_base;
	if (current->flags & TF_KTHREAD)
		memcpy(t->thread.fpu, clean_fpu, sizeof(clean_fpu));
	else
		fxsave(t->thread.fpu);
	first_frame(t, x86_user_start, 0, 0);
	return 0;
}

static void load_user_bases(const struct task *t)
{
	wrmsr(MSR_FS_BASE, t->thread.fs_base);
	wrmsr(MSR_KERNEL_GS_BASE, t->thread.gs_base);
}

void arch_thread_exec(struct task *t)
{
	unsigned long flags = irq_save();

	t->thread.fs_base = 0;
	t->thread.gs_base = 0;
	load_user_bases(t);
	fxrstor(clean_fpu);
	irq_restore(flags);
}

void arch_thread_free(struct task *t)
{
}

struct task *arch_switch(struct task *prev, struct task *next)
{
	struct cpu *c = this_cpu();

	if (!(prev->flags & TF_KTHREAD))
		fxsave(prev->thread.fpu);
	if (!(next->flags & TF_KTHREAD)) {
		fxrstor(next->thread.fpu);
		load_user_bases(next);
	}
	c->arch.tss.rsp0 = (uintptr_t)next->kstack + KSTACK_SIZE;
	arch_set_current(next);
	return x86_switch(&prev->thread.sp, next->thread.sp, prev);
}

bool arch_unwind(uintptr_t *fp, uintptr_t *pc)
{
	u64 next, ret;

	if (*fp < DIRECT_MAP_BASE || *fp % 8 || *fp > ~0ul - 16)
		return false;
	if (arch_get_user64(&next, (const u64 *)*fp) || arch_get_user64(&ret, (const u64 *)*fp + 1))
		return false;
	if (ret < KERNEL_BASE)
		return false;
	*fp = (uintptr_t)next;
	*pc = (uintptr_t)ret;
	return true;
}

uintptr_t arch_saved_fp(struct task *t)
{
	return (uintptr_t)((const struct switch_frame *)(uintptr_t)t->thread.sp)->rbp;
}

#define ARCH_SET_GS	0x1001
#define ARCH_SET_FS	0x1002
#define ARCH_GET_FS	0x1003
#define ARCH_GET_GS	0x1004

SYSCALL2(arch_prctl, int, op, unsigned long, addr)
{
	struct arch_thread *t = &current->thread;

	switch (op) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= USER_TOP)
			return -EPERM;
		*(op == ARCH_SET_FS ? &t->fs_base : &t->gs_base) = addr;
		wrmsr(op == ARCH_SET_FS ? MSR_FS_BASE : MSR_KERNEL_GS_BASE, addr);
		return 0;
	case ARCH_GET_FS:
		return copy_to_user((void *)addr, &t->fs_base, sizeof(t->fs_base));
	case ARCH_GET_GS:
		return copy_to_user((void *)addr, &t->gs_base, sizeof(t->gs_base));
	default:
		return -EINVAL;
	}
}
