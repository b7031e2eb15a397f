/*
 * Linux's signal frame of arm64: siginfo, ucontext with the registers in the order of struct trapframe, and after them
 * 4 KiB for records, each with a magic number and its size: FP and SIMD state, the syndrome of a fault, the end. What
 * Linux leaves unwritten is left unwritten here too.
 */
#include "kernel/signal.h"

#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/arm64/abi.h"
#include "kernel/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"

#define FPSIMD_MAGIC 0x46508001u
#define ESR_MAGIC    0x45535201u

struct uc_head {
	u64 flags;
	u64 link;
	struct kstack_t stack;
	sigset mask;
};

/* x0-x30, sp, pc, pstate: also the head of struct trapframe */
struct user_regs {
	u64 reg[34];
};

struct esr_record {
	u32 magic, size;
	u64 esr;
};

struct signal_frame {
	struct siginfo_k info;
	struct uc_head head;
	u8 unused[1024 / 8 - sizeof(sigset) + 8]; /* room for a larger mask; what follows is aligned to 16 bytes */
	u64 fault_address;
	struct user_regs regs;
	u64 unused2;
	struct fpsimd_record fp;
	struct esr_record esr; /* or the end */
	struct esr_record end;
	u8 reserved[4096 - sizeof(struct fpsimd_record) - 2 * sizeof(struct esr_record)];
	u64 fp_lr[2]; /* a stack frame for backtraces */
};

static_assert(offsetof(struct signal_frame, fault_address) == 128 + 176 &&
		      offsetof(struct signal_frame, fp) == 128 + 176 + 288 &&
		      offsetof(struct signal_frame, esr) == offsetof(struct signal_frame, fp) + 528 &&
		      offsetof(struct signal_frame, fp_lr) == 4688 && sizeof(struct signal_frame) == 4704,
	      "struct rt_sigframe");
static_assert(offsetof(struct trapframe, pstate) == sizeof(struct user_regs) - 8, "struct user_pt_regs");

#define RECORDS_SIZE 4096u

/* Is it about what the program just did? */
static bool is_fault(const struct siginfo_k *info)
{
	return info->si_code > 0 && info->si_code != SI_KERNEL && sigmask(info->si_signo) & SIG_SYNCHRONOUS;
}

int arch_signal_frame(struct trapframe *tf, struct ksignal *ksig, const sigset *saved)
{
	struct signal_frame __user *frame = (void *)((ksig->sp - sizeof(*frame)) & ~15ul);
	const struct uc_head head = { .stack = ksig->altstack, .mask = *saved };
	struct arch_thread *th = &current->thread;
	const u64 fp_lr[2] = { tf->x[29], tf->x[30] };
	struct esr_record last[2] = { { ESR_MAGIC, sizeof(last[0]), th->esr }, { 0, 0, 0 } };
	const u64 fault_address = is_fault(&ksig->info) ? th->fault_address : 0;

	if (!is_fault(&ksig->info))
		last[0] = last[1];
	a64_fp_save(current);
	th->fp.magic = FPSIMD_MAGIC;
	th->fp.size = sizeof(th->fp);
	if (copy_to_user(&frame->info, &ksig->info, sizeof(frame->info)) ||
	    copy_to_user(&frame->head, &head, sizeof(head)) ||
	    copy_to_user(&frame->fault_address, &fault_address, sizeof(fault_address)) ||
	    copy_to_user(&frame->regs, tf, sizeof(frame->regs)) || copy_to_user(&frame->fp, &th->fp, sizeof(th->fp)) ||
	    copy_to_user(&frame->esr, last, sizeof(last)) || copy_to_user(&frame->fp_lr, fp_lr, sizeof(fp_lr)))
		return -EFAULT;
	tf->pc = ksig->handler;
	tf->sp = (uintptr_t)frame;
	tf->x[29] = (uintptr_t)&frame->fp_lr;
	tf->x[30] = ksig->restorer;
	tf->x[0] = (u64)ksig->sig;
	tf->x[1] = (uintptr_t)&frame->info;
	tf->x[2] = (uintptr_t)&frame->head;
	tf->pstate &= a64_user_pstate;
	tf->nr = -1;
	return 0;
}

/*
 * Where among the records is the FP and SIMD state? It must be there once; other records may be in any order, but not
 * such as we do not know. User address, 0 if something is wrong.
 */
static uintptr_t find_fpsimd(uintptr_t records)
{
	struct {
		u32 magic, size;
	} head;
	uintptr_t found = 0;

	for (u32 at = 0; at <= RECORDS_SIZE - sizeof(head); at += head.size) {
		if (copy_from_user(&head, (const void __user *)(records + at), sizeof(head)))
			return 0;
		if (!head.magic)
			return head.size ? 0 : found;
		if (head.size < sizeof(head) || head.size % 16 || head.size > RECORDS_SIZE - at)
			return 0;
		if (head.magic == FPSIMD_MAGIC) {
			if (found || head.size != sizeof(struct fpsimd_record))
				return 0;
			found = records + at;
		} else if (head.magic != ESR_MAGIC) {
			return 0;
		}
	}
	return 0;
}

/*
 * No register but PSTATE can hold what a program must not have, and of PSTATE only flags are taken; another mode or
 * masked interrupts are refused.
 */
int arch_sigreturn(struct trapframe *tf, sigset *restored)
{
	const struct signal_frame __user *frame = (const void *)tf->sp;
	struct arch_thread *th = &current->thread;
	struct user_regs regs;
	struct uc_head head;
	struct fpsimd_record fp;
	uintptr_t at;

	tf->nr = -1; /* no system call to restart, and every register to load */
	if (tf->sp % 16 || copy_from_user(&head, &frame->head, sizeof(head)) ||
	    copy_from_user(&regs, &frame->regs, sizeof(regs)) || regs.reg[33] & (PSR_MODE | PSR_DAIF))
		return -EFAULT;
	at = find_fpsimd((uintptr_t)&frame->fp);
	if (!at || copy_from_user(&fp, (const void __user *)at, sizeof(fp)))
		return -EFAULT;
	th->fp = fp;
	a64_fp_load(current);
	regs.reg[33] &= a64_user_pstate;
	memcpy(tf, &regs, sizeof(regs));
	*restored = head.mask;
	restore_altstack(&head.stack, tf->sp);
	return 0;
}
