#pragma once
/*
 * System calls. A handler takes six longs and returns a result or -errno. SYSCALLn writes the unpacking once:
 *
 *	SYSCALL3(write, int, fd, const void *, buf, size_t, n)
 *	{
 *		...
 *	}
 *
 * defines sys_write, which a port's <arch/syscalls.h> names in its table: SYSCALL(1, write).
 */
#include "lib/errno.h"
#include "lib/types.h"

typedef long (*syscall_fn)(long, long, long, long, long, long);

#define SYSCALL0(name)                                                                                                 \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(void);                                                                        \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name();                                                                                \
	}                                                                                                              \
	static inline long do_sys_##name(void)
#define SYSCALL1(name, t0, n0)                                                                                         \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(t0 n0);                                                                       \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name((t0)a0);                                                                          \
	}                                                                                                              \
	static inline long do_sys_##name(t0 n0)
#define SYSCALL2(name, t0, n0, t1, n1)                                                                                 \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(t0 n0, t1 n1);                                                                \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name((t0)a0, (t1)a1);                                                                  \
	}                                                                                                              \
	static inline long do_sys_##name(t0 n0, t1 n1)
#define SYSCALL3(name, t0, n0, t1, n1, t2, n2)                                                                         \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2);                                                         \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name((t0)a0, (t1)a1, (t2)a2);                                                          \
	}                                                                                                              \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2)
#define SYSCALL4(name, t0, n0, t1, n1, t2, n2, t3, n3)                                                                 \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2, t3 n3);                                                  \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name((t0)a0, (t1)a1, (t2)a2, (t3)a3);                                                  \
	}                                                                                                              \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2, t3 n3)
#define SYSCALL5(name, t0, n0, t1, n1, t2, n2, t3, n3, t4, n4)                                                         \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2, t3 n3, t4 n4);                                           \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name((t0)a0, (t1)a1, (t2)a2, (t3)a3, (t4)a4);                                          \
	}                                                                                                              \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2, t3 n3, t4 n4)
#define SYSCALL6(name, t0, n0, t1, n1, t2, n2, t3, n3, t4, n4, t5, n5)                                                 \
	long sys_##name(long, long, long, long, long, long);                                                           \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2, t3 n3, t4 n4, t5 n5);                                    \
	long sys_##name(long a0, long a1, long a2, long a3, long a4, long a5)                                          \
	{                                                                                                              \
		return do_sys_##name((t0)a0, (t1)a1, (t2)a2, (t3)a3, (t4)a4, (t5)a5);                                  \
	}                                                                                                              \
	static inline long do_sys_##name(t0 n0, t1 n1, t2 n2, t3 n3, t4 n4, t5 n5)

/*
 * Internal results that never reach user space: the call is restarted or becomes -EINTR, as the signal's action says.
 */
#define ERESTARTSYS	512	/* restart if SA_RESTART or no handler */
#define ERESTARTNOHAND	514	/* restart only if no handler ran */
#define ERESTART_RESTARTBLOCK 516	/* as NOHAND; nanosleep and poll: handled as -EINTR when a handler ran */

u64 enosys_count(void);
struct seq;
void enosys_show(struct seq *m);	/* /proc/exeunt/enosys */
