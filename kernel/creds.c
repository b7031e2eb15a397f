/*
 * Identity: user and group numbers, supplementary groups, capabilities. Everybody starts as root with all
 * capabilities; a process that gives up root loses them. Identity belongs to the process: a change by one thread is a
 * change for all.
 */
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"
#include "lib/sort.h"
#include "lib/string.h"
#include "mm/slab.h"

#define NGROUPS_MAX	65536
#define CAP_ALL		(~0ull >> 23)	/* 41 capabilities */
#define KEEP		(~0u)		/* -1: leave it */

SYSCALL0(getuid)
{
	return current_cred()->uid;
}

SYSCALL0(geteuid)
{
	return current_cred()->euid;
}

SYSCALL0(getgid)
{
	return current_cred()->gid;
}

SYSCALL0(getegid)
{
	return current_cred()->egid;
}

/* Capabilities follow the user number: they go with root, and effective ones come back with it. */
static void change_uids(u32 uid, u32 euid, u32 suid)
{
	struct cred *c = current_cred();
	bool had_root = c->uid == 0 || c->euid == 0 || c->suid == 0;

	c->uid = uid;
	c->euid = euid;
	c->suid = suid;
	c->fsuid = euid;
	if (had_root && uid && euid && suid)
		c->cap_permitted = c->cap_effective = 0;
	else
		c->cap_effective = euid ? 0 : c->cap_permitted;
}

SYSCALL1(setuid, u32, uid)
{
	struct cred *c = current_cred();

	if (uid == KEEP)
		return -EINVAL;
	if (c->euid == 0)
		change_uids(uid, uid, uid);
	else if (uid == c->uid || uid == c->suid)
		change_uids(c->uid, uid, c->suid);
	else
		return -EPERM;
	return 0;
}

SYSCALL1(setgid, u32, gid)
{
	struct cred *c = current_cred();

	if (gid == KEEP)
		return -EINVAL;
	if (c->euid == 0)
		c->gid = c->egid = c->sgid = c->fsgid = gid;
	else if (gid == c->gid || gid == c->sgid)
		c->egid = c->fsgid = gid;
	else
		return -EPERM;
	return 0;
}

static bool one_of(u32 id, u32 a, u32 b, u32 c)
{
	return id == KEEP || id == a || id == b || id == c;
}

/* Without root, each of three new numbers must be one of the three that one has. */
static bool may_become(u32 a, u32 b, u32 c, u32 real, u32 effective, u32 saved)
{
	return is_root() || (one_of(a, real, effective, saved) && one_of(b, real, effective, saved) &&
			     one_of(c, real, effective, saved));
}

SYSCALL3(setresuid, u32, uid, u32, euid, u32, suid)
{
	struct cred *c = current_cred();

	if (!may_become(uid, euid, suid, c->uid, c->euid, c->suid))
		return -EPERM;
	change_uids(uid == KEEP ? c->uid : uid, euid == KEEP ? c->euid : euid, suid == KEEP ? c->suid : suid);
	return 0;
}

SYSCALL3(setresgid, u32, gid, u32, egid, u32, sgid)
{
	struct cred *c = current_cred();

	if (!may_become(gid, egid, sgid, c->gid, c->egid, c->sgid))
		return -EPERM;
	if (gid != KEEP)
		c->gid = gid;
	if (egid != KEEP)
		c->egid = egid;
	if (sgid != KEEP)
		c->sgid = sgid;
	c->fsgid = c->egid;
	return 0;
}

SYSCALL2(setreuid, u32, uid, u32, euid)
{
	struct cred *c = current_cred();
	u32 suid = c->suid;

	if (c->euid && !(one_of(uid, c->uid, c->euid, c->uid) && one_of(euid, c->uid, c->euid, c->suid)))
		return -EPERM;
	if (uid != KEEP || (euid != KEEP && euid != c->uid))
		suid = euid == KEEP ? c->euid : euid;
	change_uids(uid == KEEP ? c->uid : uid, euid == KEEP ? c->euid : euid, suid);
	return 0;
}

SYSCALL2(setregid, u32, gid, u32, egid)
{
	struct cred *c = current_cred();
	u32 old = c->gid;

	if (c->euid && !(one_of(gid, c->gid, c->egid, c->gid) && one_of(egid, c->gid, c->egid, c->sgid)))
		return -EPERM;
	if (gid != KEEP)
		c->gid = gid;
	if (egid != KEEP)
		c->egid = egid;
	if (gid != KEEP || (egid != KEEP && egid != old))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	return 0;
}

static long three_to_user(u32 *ua, u32 *ub, u32 *uc, u32 a, u32 b, u32 c)
{
	if (copy_to_user(ua, &a, sizeof(a)) || copy_to_user(ub, &b, sizeof(b)) || copy_to_user(uc, &c, sizeof(c)))
		return -EFAULT;
	return 0;
}

SYSCALL3(getresuid, u32 *, uid, u32 *, euid, u32 *, suid)
{
	struct cred *c = current_cred();

	return three_to_user(uid, euid, suid, c->uid, c->euid, c->suid);
}

SYSCALL3(getresgid, u32 *, gid, u32 *, egid, u32 *, sgid)
{
	struct cred *c = current_cred();

	return three_to_user(gid, egid, sgid, c->gid, c->egid, c->sgid);
}

/* These two return the old number and never fail. */
SYSCALL1(setfsuid, u32, uid)
{
	struct cred *c = current_cred();
	u32 old = c->fsuid;

	if (uid != KEEP && (!c->euid || uid == c->fsuid || one_of(uid, c->uid, c->euid, c->suid)))
		c->fsuid = uid;
	return old;
}

SYSCALL1(setfsgid, u32, gid)
{
	struct cred *c = current_cred();
	u32 old = c->fsgid;

	if (gid != KEEP && (!c->euid || gid == c->fsgid || one_of(gid, c->gid, c->egid, c->sgid)))
		c->fsgid = gid;
	return old;
}

/* ---- supplementary groups ---- */

static struct group_info *get_groups(struct process *p)
{
	struct group_info *g;

	spin_lock(&p->mm_lock);
	g = p->cred.groups;
	if (g)
		atomic_inc(&g->refs);
	spin_unlock(&p->mm_lock);
	return g;
}

bool in_group(u32 gid)
{
	struct cred *c = current_cred();
	struct group_info *g;
	bool found = false;

	if (gid == c->fsgid || gid == c->egid)
		return true;
	if (!READ_ONCE(c->groups))
		return false;
	g = get_groups(current->proc);
	if (!g)
		return false;
	for (u32 low = 0, high = g->n; low < high && !found;) {
		u32 mid = low + (high - low) / 2;

		found = g->gid[mid] == gid;
		if (g->gid[mid] < gid)
			low = mid + 1;
		else
			high = mid;
	}
	put_groups(g);
	return found;
}

SYSCALL2(getgroups, int, size, u32 *, list)
{
	struct group_info *g = get_groups(current->proc);
	long ret = g ? (long)g->n : 0;

	if (size < 0 || (size && size < ret))
		ret = -EINVAL;
	else if (size && ret && copy_to_user(list, g->gid, g->n * sizeof(u32)))
		ret = -EFAULT;
	put_groups(g);
	return ret;
}

static int compare_gids(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

SYSCALL2(setgroups, int, size, const u32 *, list)
{
	struct process *p = current->proc;
	struct group_info *g = NULL, *old;

	if (!is_root())
		return -EPERM;
	if (size < 0 || size > NGROUPS_MAX)
		return -EINVAL;
	if (size) {
		g = kmalloc(sizeof(*g) + (size_t)size * sizeof(u32), GFP_KERNEL);
		if (!g)
			return -ENOMEM;
		atomic_set(&g->refs, 1);
		g->n = (u32)size;
		if (copy_from_user(g->gid, list, (size_t)size * sizeof(u32))) {
			kfree(g);
			return -EFAULT;
		}
		sort(g->gid, g->n, sizeof(u32), compare_gids);
	}
	spin_lock(&p->mm_lock);
	old = p->cred.groups;
	p->cred.groups = g;
	spin_unlock(&p->mm_lock);
	put_groups(old);
	return 0;
}

/* ---- capabilities ---- */

#define CAP_V1	0x19980330u
#define CAP_V2	0x20071026u
#define CAP_V3	0x20080522u

struct cap_header {
	u32 version;
	s32 pid;
};

struct cap_data {
	u32 effective, permitted, inheritable;
};

/* Words of data that the header's version has; an unknown version is answered with the one we speak. */
static int cap_words(struct cap_header *uhead, struct cap_header *h)
{
	if (copy_from_user(h, uhead, sizeof(*h)))
		return -EFAULT;
	switch (h->version) {
	case CAP_V1:
		return 1;
	case CAP_V2:
	case CAP_V3:
		return 2;
	default:
		h->version = CAP_V3;
		return copy_to_user(uhead, h, sizeof(*h)) ? -EFAULT : -EINVAL;
	}
}

SYSCALL2(capget, struct cap_header *, uhead, struct cap_data *, udata)
{
	struct cap_data data[2];
	struct cap_header h;
	int n = cap_words(uhead, &h);
	struct process *p;

	if (n < 0)
		return !udata && n == -EINVAL ? 0 : n;
	if (h.pid < 0)
		return -EINVAL;
	p = h.pid ? find_get_process(h.pid) : get_process(current->proc);
	if (!p)
		return -ESRCH;
	for (int i = 0; i < 2; i++)
		data[i] = (struct cap_data){
			(u32)(p->cred.cap_effective >> 32 * i),
			(u32)(p->cred.cap_permitted >> 32 * i),
			(u32)(p->cred.cap_inheritable >> 32 * i),
		};
	put_process(p);
	return udata ? copy_to_user(udata, data, (size_t)n * sizeof(data[0])) : 0;
}

SYSCALL2(capset, struct cap_header *, uhead, const struct cap_data *, udata)
{
	struct cap_data data[2] = { { 0 } };
	struct cred *c = current_cred();
	u64 effective, permitted, inheritable;
	struct cap_header h;
	int n = cap_words(uhead, &h);

	if (n < 0)
		return n;
	if (h.pid && h.pid != current->proc->pid && h.pid != current->pid)
		return -EPERM;
	if (copy_from_user(data, udata, (size_t)n * sizeof(data[0])))
		return -EFAULT;
	effective = (data[0].effective | (u64)data[1].effective << 32) & CAP_ALL;
	permitted = (data[0].permitted | (u64)data[1].permitted << 32) & CAP_ALL;
	inheritable = (data[0].inheritable | (u64)data[1].inheritable << 32) & CAP_ALL;
	if (permitted & ~c->cap_permitted || effective & ~permitted ||
	    inheritable & ~(c->cap_inheritable | c->cap_permitted))
		return -EPERM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	return 0;
}
