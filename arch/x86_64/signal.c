/*
 * Signal frames, as Linux lays them out on x86_64. Below the interrupted stack's red zone (or on the alternate stack),
 * downwards:
 *
 *	FXSAVE area	512 bytes, on a multiple of 16; uc_mcontext.fpstate points to it
 *	struct frame	return address (the restorer), ucontext, siginfo; 8 below a multiple of 16, as after a call
 */
#include <arch/trap.h>

#include "arch/x86_64/x86.h"
#include "kernel/signal.h"
#include "kernel/task.h"
#include "kernel/uaccess.h"
#include "lib/string.h"

#define RED_ZONE	128
#define UC_SIGCONTEXT_SS	2ul	/* ss is saved, and restored as it was */
#define UC_STRICT_RESTORE_SS	4ul
/* What a program may choose in rflags: CF PF AF ZF SF TF DF OF RF AC ID. */
#define USER_RFLAGS	0x250dd5ull

struct sigcontext {
	u64 r8, r9, r10, r11, r12, r13, r14, r15;
	u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	u16 cs, gs, fs, ss;
	u64 err, trapno, oldmask, cr2;
	u64 fpstate;		/* user address, 0: none */
	u64 reserved[8];
};

struct ucontext {
	u64 flags, link;
	struct kstack_t stack;
	struct sigcontext mc;
	sigset mask;
};

struct frame {
	u64 restorer;
	struct ucontext uc;
	struct siginfo_k info;
};

static_assert(sizeof(struct sigcontext) == 256 && offsetof(struct ucontext, mask) == 296, "Linux's layout");

const char arch_sigtramp[1];

int arch_signal_frame(struct trapframe *tf, struct ksignal *ksig, const sigset *saved)
{
	u64 top = ksig->sp - (ksig->on_altstack ? 0 : RED_ZONE);
	u64 fp = align_down(top - 512, 64ull), sp = align_down(fp - sizeof(struct frame), 16ull) - 8;
	u8 fx[512] __aligned(16);
	struct frame f = {
		.restorer = ksig->restorer,
		.uc = {
			.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
			.stack = ksig->altstack,
			.mask = *saved,
			.mc = {
				.r8 = tf->r8, .r9 = tf->r9, .r10 = tf->r10, .r11 = tf->r11,
				.r12 = tf->r12, .r13 = tf->r13, .r14 = tf->r14, .r15 = tf->r15,
				.rdi = tf->rdi, .rsi = tf->rsi, .rbp = tf->rbp, .rbx = tf->rbx,
				.rdx = tf->rdx, .rax = tf->rax, .rcx = tf->rcx, .rsp = tf->rsp,
				.rip = tf->rip, .rflags = tf->rflags, .cs = (u16)tf->cs, .ss = (u16)tf->ss,
				.err = tf->vector < 32 ? tf->error : 0,
				.trapno = tf->vector < 32 ? tf->vector : 0,
				.oldmask = *saved,
				.cr2 = tf->vector == VEC_PAGE_FAULT ? ksig->info.si_addr : 0,
				.fpstate = fp,
			},
		},
		.info = ksig->info,
	};

	if (!ksig->restorer || !arch_user_pc_ok(ksig->handler))
		return -EFAULT;
	/* FXSAVE leaves its end alone; zeros there say "nothing beyond FXSAVE" */
	memset(fx + 416, 0, sizeof(fx) - 416);
	fxsave(fx);
	if (copy_to_user((void *)fp, fx, sizeof(fx)) || copy_to_user((void *)sp, &f, sizeof(f)))
		return -EFAULT;
	tf->rdi = (u64)ksig->sig;
	tf->rsi = sp + offsetof(struct frame, info);
	tf->rdx = sp + offsetof(struct frame, uc);
	tf->rax = 0;
	tf->rip = ksig->handler;
	tf->rsp = sp;
	tf->cs = USER_CS;
	tf->ss = USER_DS;
	tf->rflags &= ~0x10500ull;	/* RF DF TF */
	tf->vector = VEC_NONE;
	return 0;
}

static int restore_fpu(u64 fpstate)
{
	u8 fx[512] __aligned(16) = { [0] = 0x7f, [1] = 0x03, [24] = 0x80, [25] = 0x1f };
	u32 mxcsr;

	if (fpstate && copy_from_user(fx, (const void *)fpstate, sizeof(fx)))
		return -EFAULT;
	memcpy(&mxcsr, fx + 24, sizeof(mxcsr));
	mxcsr &= x86_mxcsr_mask;	/* reserved bits would fault */
	memcpy(fx + 24, &mxcsr, sizeof(mxcsr));
	fxrstor(fx);
	return 0;
}

int arch_sigreturn(struct trapframe *tf, sigset *restored)
{
	/* The handler's ret took the restorer's address off the stack. */
	u64 sp = tf->rsp - 8;
	const struct sigcontext *mc;
	struct ucontext uc;

	if (copy_from_user(&uc, (const void *)(sp + offsetof(struct frame, uc)), sizeof(uc)))
		return -EFAULT;
	mc = &uc.mc;
	if (!arch_user_pc_ok(mc->rip) || restore_fpu(mc->fpstate))
		return -EFAULT;
	*tf = (struct trapframe){
		.r15 = mc->r15,
		.r14 = mc->r14,
		.r13 = mc->r13,
		.r12 = mc->r12,
		.rbp = mc->rbp,
		.rbx = mc->rbx,
		.r11 = mc->r11,
		.r10 = mc->r10,
		.r9 = mc->r9,
		.r8 = mc->r8,
		.rax = mc->rax,
		.rcx = mc->rcx,
		.rdx = mc->rdx,
		.rsi = mc->rsi,
		.rdi = mc->rdi,
		.vector = VEC_NONE,
		.rip = mc->rip,
		.cs = USER_CS,
		.rflags = (mc->rflags & USER_RFLAGS) | RFLAGS_IF,
		.rsp = mc->rsp,
		.ss = USER_DS,
	};
	*restored = uc.mask;
	restore_altstack(&uc.stack, (uintptr_t)mc->rsp);
	return 0;
}
