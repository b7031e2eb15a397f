/*
 * Linux's signal frame of ppc64: ucontext with all registers, the instructions of a trampoline that is not used, and
 * siginfo. Below it the handler's own frame begins with 128 bytes, which arch_sigtramp takes away; above it 512 bytes
 * are left out, because a leaf function's data may lie below its stack pointer.
 *
 * MSR in the frame says which vector state is there: VEC the Altivec registers, VSX the lower halves of the first 32
 * VSX registers, whose upper halves are the floating-point registers.
 */
#include "kernel/signal.h"

#include <arch/thread.h>
#include <arch/trap.h>

#include "arch/ppc64/port.h"
#include "kernel/uaccess.h"
#include "lib/errno.h"
#include "lib/string.h"

#define HANDLER_FRAME 128 /* __SIGNAL_FRAMESIZE */
#define USER_GAP      512
/* What must be set in the MSR that a frame brings back. All else in it is not for programs to choose. */
#define MSR_FIXED     (MSR_SF | MSR_PR | MSR_LE)

struct vector_state {
	u64 vr[32][2];
	u64 vscr[2];
	u32 vrsave, unused[3];
	u64 low[32]; /* the other half of the VSX registers 0-31 */
};

struct mcontext {
	u64 unused[4];
	s32 sig, unused2;
	u64 handler;
	u64 oldmask;
	u64 regs;    /* user address of gpr */
	u64 gpr[48]; /* struct trapframe, and zeros */
	u64 fpr[32];
	u64 fpscr;
	u64 v_regs;    /* user address of vectors, on a multiple of 16 */
	u64 room[101]; /* for struct vector_state, anyhow aligned */
};

struct ucontext {
	u64 flags, link;
	struct kstack_t stack;
	sigset mask;
	u64 unused[15];
	struct mcontext mc;
};

struct signal_frame {
	struct ucontext uc;
	u64 unused[2];
	u32 trampoline[6];
	u64 pinfo, puc; /* user addresses of the parts */
	struct siginfo_k info;
	u8 gap[USER_GAP];
} __aligned(16);

static_assert(sizeof(struct vector_state) == 800 && offsetof(struct ucontext, mc) == 168 &&
		      offsetof(struct mcontext, gpr) == 64 && offsetof(struct mcontext, v_regs) == 712 &&
		      sizeof(struct ucontext) == 1696 && offsetof(struct signal_frame, info) == 1752 &&
		      sizeof(struct trapframe) <= sizeof(((struct mcontext *)0)->gpr),
	      "struct rt_sigframe");

static struct vector_state __user *vectors_of(struct signal_frame __user *frame)
{
	return (void *)align_up((uintptr_t)&frame->uc.mc.room, 16ul);
}

static int put_fp_state(struct signal_frame __user *frame, const struct arch_thread *th)
{
	struct vector_state __user *v = vectors_of(frame);
	u64 upper[33], low[32];

	for (int i = 0; i < 32; i++) {
		upper[i] = th->vsr[i][1];
		low[i] = th->vsr[i][0];
	}
	upper[32] = th->fpscr;
	if (copy_to_user(&frame->uc.mc.fpr, upper, sizeof(upper)) || copy_to_user(&v->low, low, sizeof(low)) ||
	    copy_to_user(&v->vr, &th->vsr[32], sizeof(v->vr)) || copy_to_user(&v->vscr, &th->vscr, sizeof(v->vscr)))
		return -EFAULT;
	return 0;
}

int arch_signal_frame(struct trapframe *tf, struct ksignal *ksig, const sigset *saved)
{
	struct signal_frame __user *frame = (void *)((ksig->sp - sizeof(*frame)) & ~15ul);
	struct mcontext __user *mc = &frame->uc.mc;
	uintptr_t sp = (uintptr_t)frame - HANDLER_FRAME;
	struct arch_thread *th = &current->thread;
	const struct {
		u64 flags, link;
		struct kstack_t stack;
		sigset mask;
	} head = { .stack = ksig->altstack, .mask = *saved };
	const struct {
		u64 unused[4];
		s32 sig, unused2;
		u64 handler, oldmask, regs;
	} mc_head = { .sig = ksig->sig, .handler = ksig->handler, .oldmask = *saved, .regs = (uintptr_t)&mc->gpr };
	const u64 pointers[2] = { (uintptr_t)&frame->info, (uintptr_t)&frame->uc };
	const u64 v_regs = (uintptr_t)vectors_of(frame), back_chain = tf->gpr[1];
	const u32 vrsave = (u32)mfspr(SPR_VRSAVE);

	ppc_fp_sync();
	ppc_fp_drop();
	if (th->fp_valid)
		tf->msr |= MSR_VEC | MSR_VSX; /* for the frame's copy */
	if (copy_to_user(&frame->uc, &head, sizeof(head)) || copy_to_user(mc, &mc_head, sizeof(mc_head)) ||
	    copy_to_user(&mc->gpr, tf, sizeof(*tf)) ||
	    clear_user((char *)&mc->gpr + sizeof(*tf), sizeof(mc->gpr) - sizeof(*tf)) ||
	    copy_to_user(&mc->v_regs, &v_regs, sizeof(v_regs)) ||
	    copy_to_user(&vectors_of(frame)->vrsave, &vrsave, sizeof(vrsave)) ||
	    copy_to_user(&frame->pinfo, pointers, sizeof(pointers)) ||
	    copy_to_user(&frame->info, &ksig->info, sizeof(frame->info)) ||
	    copy_to_user((void *)sp, &back_chain, sizeof(back_chain)) ||
	    (th->fp_valid ? put_fp_state(frame, th) : clear_user(&mc->fpr, sizeof(mc->fpr) + sizeof(mc->fpscr)))) {
		ppc_fp_drop();
		return -EFAULT;
	}
	ppc_fp_drop();
	th->fpscr = 0;
	tf->trap = 0;
	tf->nip = ksig->handler;
	tf->link = ksig->restorer;
	tf->gpr[1] = sp;
	tf->gpr[12] = ksig->handler;
	tf->gpr[3] = (u64)ksig->sig;
	tf->gpr[4] = ksig->flags & SA_SIGINFO ? (uintptr_t)&frame->info : (uintptr_t)mc;
	tf->gpr[5] = (uintptr_t)&frame->uc;
	tf->gpr[6] = (uintptr_t)frame;
	return 0;
}

static int get_fp_state(struct arch_thread *th, const struct mcontext __user *mc, u64 msr)
{
	const struct vector_state __user *v;
	u64 upper[33], low[32], v_regs;
	u32 vrsave = 0;

	if (copy_from_user(upper, &mc->fpr, sizeof(upper)) || copy_from_user(&v_regs, &mc->v_regs, sizeof(v_regs)))
		return -EFAULT;
	v = (const void *)v_regs;
	if (!v || ~msr & (MSR_VEC | MSR_VSX)) {
		ppc_fp_reset(th);
		memset(low, 0, sizeof(low));
	}
	if (v && msr & MSR_VEC &&
	    (copy_from_user(&th->vsr[32], &v->vr, sizeof(v->vr)) ||
	     copy_from_user(&th->vscr, &v->vscr, sizeof(v->vscr))))
		return -EFAULT;
	if (v && ((msr & MSR_VSX && copy_from_user(low, &v->low, sizeof(low))) ||
		  copy_from_user(&vrsave, &v->vrsave, sizeof(vrsave))))
		return -EFAULT;
	mtspr(SPR_VRSAVE, vrsave);
	for (int i = 0; i < 32; i++) {
		th->vsr[i][1] = upper[i];
		th->vsr[i][0] = low[i];
	}
	th->fpscr = upper[32];
	th->fp_valid = 1;
	return 0;
}

/*
 * Every value is allowed in every register, because none of them can do more than a program may do anyway, but not in
 * MSR: big-endian or 32-bit mode is refused, and of the rest only what says where vector state is counts. A frame that
 * can not be read to its end has changed some registers when the task gets its SIGSEGV.
 */
int arch_sigreturn(struct trapframe *tf, sigset *restored)
{
	struct signal_frame __user *frame = (void *)tf->gpr[1];
	struct arch_thread *th = &current->thread;
	const struct mcontext __user *mc = &frame->uc.mc;
	struct kstack_t altstack;
	struct trapframe regs;

	ppc_fp_drop();
	tf->trap = 0;
	if (tf->gpr[1] % 16 || copy_from_user(&regs, &mc->gpr, sizeof(regs)) ||
	    copy_from_user(&altstack, &frame->uc.stack, sizeof(altstack)) ||
	    copy_from_user(restored, &frame->uc.mask, sizeof(*restored)) || (regs.msr & MSR_FIXED) != MSR_FIXED ||
	    get_fp_state(th, mc, regs.msr))
		return -EFAULT;
	regs.msr = MSR_USER;
	regs.softe = 1;
	regs.trap = TRAP_FINAL;
	regs.amr = 0;
	*tf = regs;
	restore_altstack(&altstack, tf->gpr[1]);
	return 0;
}
