/*
 * What a program asks about the system and sets about itself: uname, sysinfo, prctl, personality.
 */
#include <arch/trap.h>

#include "kernel/process.h"
#include "kernel/spinlock.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/palloc.h"

#define UTS_LEN		65

struct utsname_k {
	char sysname[UTS_LEN], nodename[UTS_LEN], release[UTS_LEN];
	char version[UTS_LEN], machine[UTS_LEN], domainname[UTS_LEN];
};

/* release is the Linux version whose interface this is: the C libraries read it. */
static struct utsname_k uts = {
	.sysname = "Exeunt",
	.nodename = "exeunt",
	.release = "6.1.0-exeunt",
	.version = "#1 SMP",
	.machine = UTS_MACHINE,
	.domainname = "(none)",
};
static spinlock_t uts_lock = SPINLOCK_INIT(RANK_SPIN_LEAF);	/* the names that can be set */

void uts_field(unsigned i, char *buf)
{
	spin_lock(&uts_lock);
	memcpy(buf, (const char *)&uts + i * UTS_LEN, UTS_LEN);
	spin_unlock(&uts_lock);
}

SYSCALL1(uname, struct utsname_k *, uname)
{
	struct utsname_k copy;

	spin_lock(&uts_lock);
	copy = uts;
	spin_unlock(&uts_lock);
	return copy_to_user(uname, &copy, sizeof(copy));
}

static long set_name(char *name, const char *uname, int len)
{
	char copy[UTS_LEN] = { 0 };

	if (!is_root())
		return -EPERM;
	if (len < 0 || len >= UTS_LEN)
		return -EINVAL;
	if (copy_from_user(copy, uname, (size_t)len))
		return -EFAULT;
	spin_lock(&uts_lock);
	memcpy(name, copy, UTS_LEN);
	spin_unlock(&uts_lock);
	return 0;
}

SYSCALL2(sethostname, const char *, uname, int, len)
{
	return set_name(uts.nodename, uname, len);
}

SYSCALL2(setdomainname, const char *, uname, int, len)
{
	return set_name(uts.domainname, uname, len);
}

struct sysinfo_k {
	s64 uptime;
	u64 loads[3];
	u64 totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	u16 procs, pad;
	u32 pad2;
	u64 totalhigh, freehigh;
	u32 mem_unit;
	u32 pad3;
};

SYSCALL1(sysinfo, struct sysinfo_k *, uinfo)
{
	struct sysinfo_k s = {
		.uptime = (s64)div_round_up(clock_ns(), NSEC_PER_SEC),
		.totalram = nr_total_pages() << PAGE_SHIFT,
		.freeram = nr_free_pages() << PAGE_SHIFT,
		.mem_unit = 1,
	};

	s.procs = (u16)min(nr_threads(), 0xffffu);
	for (unsigned i = 0; i < 3; i++)
		s.loads[i] = sched_loadavg(i) << 5;	/* from 11 to 16 bits of fraction */
	return copy_to_user(uinfo, &s, sizeof(s));
}

#define PER_QUERY	0xffffffffu

SYSCALL1(personality, u32, persona)
{
	u32 old = current->proc->personality;

	if (persona != PER_QUERY)
		current->proc->personality = persona;
	return old;
}

/* ---- prctl ---- */

#define PR_SET_PDEATHSIG	1
#define PR_GET_PDEATHSIG	2
#define PR_GET_DUMPABLE		3
#define PR_SET_DUMPABLE		4
#define PR_GET_KEEPCAPS		7
#define PR_GET_TIMING		13
#define PR_SET_NAME		15
#define PR_GET_NAME		16
#define PR_GET_SECCOMP		21
#define PR_CAPBSET_READ		23
#define PR_GET_SECUREBITS	27
#define PR_SET_TIMERSLACK	29
#define PR_GET_TIMERSLACK	30
#define PR_SET_CHILD_SUBREAPER	36
#define PR_GET_CHILD_SUBREAPER	37
#define PR_SET_NO_NEW_PRIVS	38
#define PR_GET_NO_NEW_PRIVS	39
#define PR_SET_THP_DISABLE	41
#define PR_GET_THP_DISABLE	42

#define TIMERSLACK_NS		50000
#define CAP_LAST		40

static long set_comm(const char *uname)
{
	char name[TASK_COMM_LEN] = { 0 };
	long n = strncpy_from_user(name, uname, TASK_COMM_LEN - 1);

	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	name[TASK_COMM_LEN - 1] = 0;
	memcpy(current->comm, name, TASK_COMM_LEN);
	return 0;
}

static long int_to_user(unsigned long uaddr, int value)
{
	return copy_to_user((int *)uaddr, &value, sizeof(value));
}

SYSCALL5(prctl, int, option, unsigned long, a2, unsigned long, a3, unsigned long, a4, unsigned long, a5)
{
	struct process *p = current->proc;
	struct mm *mm = current->mm;

	switch (option) {
	case PR_SET_PDEATHSIG:
		if (a2 > NSIG)
			return -EINVAL;
		p->pdeath_signal = (int)a2;
		return 0;
	case PR_GET_PDEATHSIG:
		return int_to_user(a2, p->pdeath_signal);
	case PR_GET_DUMPABLE:
		return mm->dumpable;
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		mm->dumpable = (int)a2;
		return 0;
	case PR_SET_NAME:
		return set_comm((const char *)a2);
	case PR_GET_NAME:
		return copy_to_user((char *)a2, current->comm, TASK_COMM_LEN);
	case PR_CAPBSET_READ:
		return a2 <= CAP_LAST ? 1 : -EINVAL;
	case PR_GET_KEEPCAPS:
	case PR_GET_TIMING:
	case PR_GET_SECCOMP:
	case PR_GET_SECUREBITS:
	case PR_GET_THP_DISABLE:
		return 0;
	case PR_SET_TIMERSLACK:
	case PR_SET_THP_DISABLE:	/* accepted: sleeps have no slack, and there are no huge pages to refuse */
		return 0;
	case PR_GET_TIMERSLACK:
		return TIMERSLACK_NS;
	case PR_SET_CHILD_SUBREAPER:
		p->child_subreaper = a2 != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return int_to_user(a2, p->child_subreaper);
	case PR_SET_NO_NEW_PRIVS:
		if (a2 != 1 || a3 || a4 || a5)
			return -EINVAL;
		p->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return p->no_new_privs;
	default:
		return -EINVAL;
	}
}
