#pragma once
/*
 * THE CONTRACT, part 7: traps, system calls, user memory, signals.
 *
 * struct trapframe (in <asm/trap.h>) holds all general registers of the interrupted context. On entry from user mode it
 * lies at the top of the task's kernel stack: task_trapframe(task) finds it.
 *
 * The port's entry code calls, with interrupts off unless said otherwise:
 *   void do_syscall(struct trapframe *)		kernel/syscall.c; returns with interrupts off, ready to return
 *   to
 *   user
 *   void do_page_fault(struct trapframe *, uintptr_t addr, unsigned access)	mm/fault.c, likewise
 *   void do_user_exception(struct trapframe *, int sig, int code, uintptr_t addr)	kernel/signal.c: force a signal
 *   (user
 *   mode)
 *   void do_kernel_exception(struct trapframe *, const char *what, uintptr_t addr)	fixup or panic
 *   void do_irq(unsigned irq), ipi_handler(void), timer_interrupt(void)	between irq_enter(tf) and irq_exit(tf)
 * and after a trap or interrupt from user mode (system calls have it inside do_syscall):
 *   void exit_to_user(struct trapframe *)	reschedules, delivers signals; interrupts off on entry and return
 * Entry code from user mode (not for system calls, which do it themselves) first calls enter_from_user(), which
 * accounts. All of these are in kernel/entry.h.
 *
 *   accessors (static inline, <asm/trap.h>)
 *	bool tf_user(const struct trapframe *)		came from user mode
 *	uintptr_t tf_pc / tf_sp / tf_fp (const tf *)	tf_fp: frame pointer, for backtraces
 *	void tf_set_pc(tf *, uintptr_t), tf_set_sp
 *	long tf_syscall_nr(const tf *)			of a system call; -1 afterwards if restart must not happen
 *	unsigned long tf_arg(const tf *, int i)		i < 6
 *	void tf_set_return(tf *, long ret)		ret in -4095..-1 is an error, in the way of this architecture
 *	long tf_return(const tf *)			what tf_set_return stored
 *	void tf_restart_syscall(tf *)			back to the system-call instruction with the original arguments
 *	struct trapframe *task_trapframe(struct task *)
 *
 *   user memory. All return the number of bytes NOT copied. May fault and sleep (interrupts on), unless
 *   pagefault_disable()d. Addresses are checked against USER_TOP by the callers in kernel/uaccess.h; the port guards
 *   with SMAP/SUM/PAN and recovers through the exception table (section __ex_table: two 32-bit self-relative offsets,
 *   instruction and fixup).
 *	size_t arch_copy_from_user(void *dst, const void *usrc, size_t n)
 *	size_t arch_copy_to_user(void *udst, const void *src, size_t n)
 *	size_t arch_clear_user(void *udst, size_t n)
 *	long arch_strncpy_from_user(char *dst, const char *usrc, size_t n)	length without NUL, n if none was found,
 *	-EFAULT
 *	int arch_cmpxchg_user32(u32 *uaddr, u32 old, u32 new, u32 *seen)	0 or -EFAULT; fully ordered
 *	bool arch_user_guard(void)	does any other access of the kernel to user memory fault on this CPU?
 *	int arch_get_user32(u32 *dst, const u32 *usrc), arch_get_user64; arch_put_user32, arch_put_user64	0 or
 *	-EFAULT
 *
 *   signals
 *	int arch_signal_frame(struct trapframe *, struct ksignal *, const sigset *saved)	push Linux's frame, 0 or
 *	-EFAULT
 *	int arch_sigreturn(struct trapframe *, sigset *restored)	pop it; -EFAULT: the caller kills with SIGSEGV.
 *	Bad
 *									register contents (kernel mode, ...) are
 *									refused.
 *	uintptr_t ARCH_SIGTRAMP_SIZE and arch_sigtramp[]	code for the signal-return page, size 0 if libc brings
 *	its
 *	own
 *
 *   programs
 *	void arch_start_user(struct trapframe *, uintptr_t pc, uintptr_t sp)	all registers reset, as Linux's execve
 *	leaves them
 *	ELF_MACHINE, ELF_HWCAP, ELF_HWCAP2 (run-time), ELF_PLATFORM (string), UTS_MACHINE (string)
 *	CLONE_TLS_LAST		1 if clone's arguments are (flags, sp, ptid, ctid, tls), 0 if (flags, sp, ptid, tls,
 *	ctid)
 *	<asm/syscalls.h>	one line SYSCALL(number, name) for each call that generic code offers on this port
 *	(X-macro),
 *				and NR_SYSCALLS; calls of this port alone are arch_sys_NAME and named likewise
 *	<asm/uapi.h>		struct stat, O_*, MAP_*, termios ioctls and sigcontext where they differ (ABI.md)
 *   bool arch_user_pc_ok(uintptr_t)	canonical enough for the return instruction
 */
#include "lib/types.h"

struct task;
struct ksignal;
struct trapframe;

/* Why an access faulted: the third argument of do_page_fault. */
#define FAULT_WRITE	0x1u
#define FAULT_EXEC	0x2u
#define FAULT_USER	0x4u	/* from user mode */
#define FAULT_PRESENT	0x8u	/* the entry was there, the permission (or a software accessed/dirty bit) was not */

#include <asm/trap.h>

size_t arch_copy_from_user(void *dst, const void *usrc, size_t n);
size_t arch_copy_to_user(void *udst, const void *src, size_t n);
size_t arch_clear_user(void *udst, size_t n);
long arch_strncpy_from_user(char *dst, const char *usrc, size_t n);
int arch_cmpxchg_user32(u32 *uaddr, u32 old, u32 new, u32 *seen);
int arch_get_user32(u32 *dst, const u32 *usrc);
int arch_get_user64(u64 *dst, const u64 *usrc);
int arch_put_user32(u32 *udst, u32 val);
int arch_put_user64(u64 *udst, u64 val);
bool arch_user_guard(void);
void arch_start_user(struct trapframe *tf, uintptr_t pc, uintptr_t sp);
