/*
 * Linux's signal frame of riscv64: siginfo, ucontext with the integer registers in the order of struct trapframe, and
 * the D state inside a space for Q.
 */
#include "kernel/signal.h"

#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "kernel/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"

#define USER_REGS 256		/* pc, x1-x31 */

struct fp_frame {
	u64 f[32];
	u32 fcsr;
	u32 unused[67];		/* of Q's 64 registers; the last three words must be zero */
};

struct signal_frame {
	struct siginfo_k info;
	struct {
		u64 flags;
		u64 link;
		struct kstack_t stack;
		sigset mask;
		u8 unused[1024 / 8 - sizeof(sigset)];
		u64 pad;	/* the rest is aligned to 16 bytes */
		u8 regs[USER_REGS];
		struct fp_frame fp;
	} uc;
};

static_assert(offsetof(struct signal_frame, uc.regs) == 128 + 176 && sizeof(struct fp_frame) == 528 &&
	      sizeof(struct signal_frame) == 1088, "struct rt_sigframe");

int arch_signal_frame(struct trapframe *tf, struct ksignal *ksig, const sigset *saved)
{
	struct signal_frame __user *frame = (void *)((ksig->sp - sizeof(*frame)) & ~15ul);
	struct signal_frame head;	/* only its part before the registers is used */
	struct task *t = current;

	memset(&head.uc, 0, offsetof(struct signal_frame, uc.regs) - offsetof(struct signal_frame, uc));
	head.info = ksig->info;
	head.uc.stack = ksig->altstack;
	head.uc.mask = *saved;
	rv_fp_sync();
	if (copy_to_user(frame, &head, offsetof(struct signal_frame, uc.regs)) ||
	    copy_to_user(&frame->uc.regs, tf, USER_REGS))
		return -EFAULT;
	if (t->thread.fp_valid) {
		if (copy_to_user(&frame->uc.fp, t->thread.fp, sizeof(t->thread.fp)) ||
		    copy_to_user(&frame->uc.fp.fcsr, &t->thread.fcsr, sizeof(t->thread.fcsr)) ||
		    clear_user(&frame->uc.fp.unused, sizeof(frame->uc.fp.unused)))
			return -EFAULT;
	} else if (clear_user(&frame->uc.fp, sizeof(frame->uc.fp))) {
		return -EFAULT;
	}
	tf->pc = ksig->handler;
	tf->sp = (uintptr_t)frame;
	tf->ra = ksig->restorer;
	tf->a[0] = (u64)ksig->sig;
	tf->a[1] = (uintptr_t)&frame->info;
	tf->a[2] = (uintptr_t)&frame->uc;
	return 0;
}

/* Every value is allowed in every register: none of them can do more than a program may do anyway. */
int arch_sigreturn(struct trapframe *tf, sigset *restored)
{
	const struct signal_frame __user *frame = (const void *)tf->sp;
	struct task *t = current;
	struct kstack_t stack;
	struct fp_frame fp;
	struct trapframe new;

	if (tf->sp % 16 || copy_from_user(&stack, &frame->uc.stack, sizeof(stack)) ||
	    copy_from_user(restored, &frame->uc.mask, sizeof(*restored)) ||
	    copy_from_user(&new, &frame->uc.regs, USER_REGS) || copy_from_user(&fp, &frame->uc.fp, sizeof(fp)) ||
	    fp.unused[64] || fp.unused[65] || fp.unused[66])
		return -EFAULT;
	memcpy(tf, &new, USER_REGS);
	tf->nr = -1;	/* no system call to restart, and every register to load */
	rv_fp_drop();
	memcpy(t->thread.fp, fp.f, sizeof(fp.f));
	t->thread.fcsr = fp.fcsr;
	t->thread.fp_valid = memchr_inv(&fp, 0, offsetof(struct fp_frame, unused)) != NULL;
	restore_altstack(&stack, tf->sp);
	return 0;
}
