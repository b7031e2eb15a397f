/*
 * Linux's signal frame of riscv64: siginfo, ucontext with the integer registers in the order of struct trapframe, and
 * the D state inside a space for Q. What Linux leaves unwritten is left unwritten here too.
 */
#include "kernel/signal.h"

#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/riscv64/port.h"
#include "kernel/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"

#define USER_REGS 256 /* pc, x1-x31 */

struct uc_head {
	u64 flags;
	u64 link;
	struct kstack_t stack;
	sigset mask;
};

struct signal_frame {
	struct siginfo_k info;
	struct uc_head head;
	u8 unused[1024 / 8 - sizeof(sigset) + 8]; /* room for a larger mask; what follows is aligned to 16 bytes */
	u8 regs[USER_REGS];
	u64 fp[32];
	u32 fcsr;
	u32 unused_q[64];
	u32 reserved[3]; /* zero: no further state follows */
};

static_assert(offsetof(struct signal_frame, regs) == 128 + 176 && offsetof(struct signal_frame, fp) % 16 == 0 &&
		      offsetof(struct signal_frame, reserved) == offsetof(struct signal_frame, fp) + 516 &&
		      sizeof(struct signal_frame) == 1088,
	      "struct rt_sigframe");

int arch_signal_frame(struct trapframe *tf, struct ksignal *ksig, const sigset *saved)
{
	struct signal_frame __user *frame = (void *)((ksig->sp - sizeof(*frame)) & ~15ul);
	const struct uc_head head = { .stack = ksig->altstack, .mask = *saved };
	struct arch_thread *th = &current->thread;

	rv_fp_sync();
	if (copy_to_user(&frame->info, &ksig->info, sizeof(frame->info)) ||
	    copy_to_user(&frame->head, &head, sizeof(head)) || copy_to_user(&frame->regs, tf, USER_REGS) ||
	    clear_user(&frame->reserved, sizeof(frame->reserved)))
		return -EFAULT;
	if (!th->fp_valid) {
		if (clear_user(&frame->fp, sizeof(frame->fp) + sizeof(frame->fcsr)))
			return -EFAULT;
	} else if (copy_to_user(&frame->fp, th->fp, sizeof(th->fp)) ||
		   copy_to_user(&frame->fcsr, &th->fcsr, sizeof(th->fcsr))) {
		return -EFAULT;
	}
	tf->pc = ksig->handler;
	tf->sp = (uintptr_t)frame;
	tf->ra = ksig->restorer;
	tf->a[0] = (u64)ksig->sig;
	tf->a[1] = (uintptr_t)&frame->info;
	tf->a[2] = (uintptr_t)&frame->head;
	return 0;
}

/*
 * Every value is allowed in every register: none of them can do more than a program may do anyway. A frame that can not
 * be read to its end has changed some of them when the task gets its SIGSEGV.
 */
int arch_sigreturn(struct trapframe *tf, sigset *restored)
{
	const struct signal_frame __user *frame = (const void *)tf->sp;
	struct arch_thread *th = &current->thread;
	u32 reserved[3];
	struct uc_head head;
	u64 any;

	rv_fp_drop();
	tf->nr = -1; /* no system call to restart, and every register to load */
	if (tf->sp % 16 || copy_from_user(&head, &frame->head, sizeof(head)) ||
	    copy_from_user(reserved, &frame->reserved, sizeof(reserved)) || (reserved[0] | reserved[1] | reserved[2]) ||
	    copy_from_user(th->fp, &frame->fp, sizeof(th->fp)) ||
	    copy_from_user(&th->fcsr, &frame->fcsr, sizeof(th->fcsr)) || copy_from_user(tf, &frame->regs, USER_REGS))
		return -EFAULT;
	any = th->fcsr;
#pragma GCC unroll 8
	for (int i = 0; i < 32; i++)
		any |= th->fp[i];
	th->fp_valid = any != 0;
	*restored = head.mask;
	restore_altstack(&head.stack, tf->sp);
	return 0;
}
