/*
 * Threads: what a new one finds on its stack, floating-point and vector state, backtraces.
 */
#include <arch/thread.h>

#include <arch/pte.h>
#include <arch/trap.h>

#include "arch/ppc64/port.h"
#include "kernel/cpu.h"
#include "kernel/task.h"
#include "lib/string.h"

/* layout.h tells the truth. */
static_assert(offsetof(struct trapframe, gpr[31]) == TF_R(31) && offsetof(struct trapframe, nip) == TF_NIP &&
		      offsetof(struct trapframe, msr) == TF_MSR && offsetof(struct trapframe, orig_r3) == TF_ORIG_R3 &&
		      offsetof(struct trapframe, ctr) == TF_CTR && offsetof(struct trapframe, link) == TF_LINK &&
		      offsetof(struct trapframe, xer) == TF_XER && offsetof(struct trapframe, ccr) == TF_CCR &&
		      offsetof(struct trapframe, trap) == TF_TRAP && offsetof(struct trapframe, amr) == TF_AMR &&
		      sizeof(struct trapframe) == TF_SIZE,
	      "struct trapframe");
static_assert(offsetof(struct cpu, curr) == CPU_CURRENT && offsetof(struct cpu, arch.scratch) == CPU_SCRATCH &&
		      offsetof(struct cpu, arch.self) == CPU_SELF && offsetof(struct cpu, arch.frame) == CPU_FRAME &&
		      offsetof(struct cpu, arch.overflow) == CPU_OVERFLOW && offsetof(struct cpu, arch.toc) == CPU_TOC,
	      "struct cpu");
static_assert(offsetof(struct task, thread.sp) == TASK_SP && offsetof(struct task, thread.vrsave) == TASK_VRSAVE &&
		      offsetof(struct task, thread.fpscr) == TASK_FPSCR &&
		      offsetof(struct task, thread.vsr) == TASK_VSR &&
		      offsetof(struct task, thread.vscr) == TASK_VSCR && offsetof(struct task, kstack) == TASK_KSTACK,
	      "struct task");

/* How each stack frame ends (ELFv2). A callee saves its return address in its caller's. */
struct stack_header {
	u64 up; /* the caller's; 0 at the end */
	u64 cr, link, toc;
};

/* As arch_switch() leaves a stack; it resumes at link of the header behind it. */
struct switch_frame {
	struct stack_header header;
	u64 r[18]; /* r14-r31 */
};

static_assert(sizeof(struct stack_header) == STACK_HEADER && sizeof(struct switch_frame) == SWITCH_FRAME, "entry.S");

static struct switch_frame *new_frame(struct task *t, const void *start)
{
	struct stack_header *end = (struct stack_header *)task_trapframe(t) - 1;
	struct switch_frame *f = (struct switch_frame *)end - 1;

	memset(f, 0, sizeof(*f));
	*end = (struct stack_header){ .link = (u64)(uintptr_t)start };
	f->header.up = (u64)(uintptr_t)end;
	t->thread.sp = (u64)(uintptr_t)f;
	return f;
}

void arch_thread_kernel(struct task *t, void (*fn)(void *), void *arg)
{
	struct switch_frame *f = new_frame(t, ppc_kernel_thread);

	memset(task_trapframe(t), 0, sizeof(struct trapframe));
	f->r[0] = (u64)(uintptr_t)fn;
	f->r[1] = (u64)(uintptr_t)arg;
}

void ppc_fp_sync(void)
{
	unsigned long flags = irq_save();

	if (task_trapframe(current)->msr & MSR_FP)
		ppc_fp_save(current);
	irq_restore(flags);
}

void ppc_fp_drop(void)
{
	task_trapframe(current)->msr &= ~(u64)MSR_FP_ALL;
}

void ppc_fp_reset(struct arch_thread *th)
{
	memset(&th->fpscr, 0, sizeof(*th) - offsetof(struct arch_thread, fpscr));
	th->vscr[0] = 0x10000; /* non-Java mode, as Linux has it */
	th->fp_valid = 1;
}

int arch_thread_user(struct task *t, const struct trapframe *parent, uintptr_t sp, uintptr_t tls, bool set_tls)
{
	struct trapframe *tf = task_trapframe(t);

	*tf = *parent;
	tf->gpr[3] = 0;
	tf->ccr &= ~CCR_SO;
	tf->msr &= ~(u64)MSR_FP_ALL;
	tf->trap = 0;
	if (sp)
		tf->gpr[1] = sp;
	if (set_tls)
		tf->gpr[13] = tls;
	if (current->thread.fp_valid) {
		ppc_fp_sync();
		t->thread = current->thread;
	}
	t->thread.vrsave = (u32)mfspr(SPR_VRSAVE);
	new_frame(t, ppc_user_thread);
	return 0;
}

void arch_thread_exec(struct task *t)
{
	ppc_fp_drop();
	t->thread.fp_valid = 0;
	mtspr(SPR_VRSAVE, 0);
}

void arch_thread_free(struct task *t) {}

/* r12 is where a function of ELFv2 expects its own address. */
void arch_start_user(struct trapframe *tf, uintptr_t pc, uintptr_t sp)
{
	*tf = (struct trapframe){ .nip = pc, .msr = MSR_USER, .softe = 1 };
	tf->gpr[1] = sp;
	tf->gpr[12] = pc;
}

/* A word that should be on a kernel stack, which panic() can not be sure of: a bad address is no fault. */
static bool stack_word(const u64 *at, u64 *word)
{
	return (uintptr_t)at >= DIRECT_MAP_BASE && !((uintptr_t)at % sizeof(*at)) && !arch_get_user64(word, at);
}

bool arch_unwind(uintptr_t *fp, uintptr_t *pc)
{
	const struct stack_header *frame = (const struct stack_header *)*fp;
	const struct trapframe *tf = (const struct trapframe *)(frame + 1);
	u64 link, up;

	if (!stack_word(&frame->link, &link))
		return false;
	if (link == (uintptr_t)ppc_kernel_trap_return) {
		if (!stack_word(&tf->gpr[1], &up) || !stack_word(&tf->nip, &link))
			return false;
	} else if (!stack_word(&frame->up, &up) || !stack_word(&((const struct stack_header *)up)->link, &link)) {
		return false;
	}
	*fp = up;
	*pc = link;
	return link != 0;
}

uintptr_t arch_saved_fp(struct task *t)
{
	return t->thread.sp;
}
