/*
 * Futexes: sleeping until a word of user memory changes.
 *
 * A waiter is on its caller's stack, in the bucket that its key hashes to. A word that only this address space sees
 * is known by (mm, address), a word in a shared mapping by (device, inode, offset).
 *
 * Why no wake-up is lost. The waiter (1) counts itself in bucket->waiters, a full fence, (2) takes the bucket's lock,
 * (3) reads the word, (4) queues itself, (5) drops the lock. The waker has (a) written the word in user mode, then
 * (b) a full fence and a look at bucket->waiters, and unless that is zero (c) takes the lock and searches. If (b)
 * reads zero, it came before (1) in the order of fences, so (3) sees (a) and does not sleep. Otherwise the lock
 * orders the two: if (c) comes after (5), it finds the waiter; if before (2), the waiter reads the word after (a).
 *
 * Locks: bucket->lock (RANK_FUTEX); two of them in the order of their addresses. The word is read under the lock with
 * page faults disabled; if it is not there, the lock is dropped, the page faulted in, and everything starts again. A
 * woken waiter is told by waiter->bucket == NULL, the last thing that is written to it: its task may leave at once.
 * It is then woken through a task pointer that RCU keeps valid.
 */
#include "kernel/fsapi.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/timespec.h"
#include "kernel/uaccess.h"
#include "lib/hash.h"
#include "mm/mm.h"

#define FUTEX_WAIT		0
#define FUTEX_WAKE		1
#define FUTEX_REQUEUE		3
#define FUTEX_CMP_REQUEUE	4
#define FUTEX_WAKE_OP		5
#define FUTEX_WAIT_BITSET	9
#define FUTEX_WAKE_BITSET	10
#define FUTEX_PRIVATE_FLAG	128
#define FUTEX_CLOCK_REALTIME	256
#define FUTEX_CMD_MASK		(~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))

#define FUTEX_WAITERS		0x80000000u
#define FUTEX_OWNER_DIED	0x40000000u
#define FUTEX_TID_MASK		0x3fffffffu
#define FUTEX_BITSET_ANY	0xffffffffu
#define ROBUST_LIST_LIMIT	2048

#define BUCKET_BITS	9

struct futex_key {
	u64 space;			/* mm, or device */
	u64 object;			/* 0, or inode + 1 */
	u64 offset;			/* address, or byte in the file */
};

struct futex_bucket {
	spinlock_t lock;
	atomic_t waiters;		/* queued, or about to be */
	struct list_head queue;		/* lock; oldest first */
} __aligned(64);

struct futex_waiter {
	struct list_head link;		/* bucket's lock */
	struct futex_bucket *bucket;	/* bucket's lock; changed by requeue. NULL: woken */
	struct futex_key key;		/* bucket's lock */
	struct task *task;
	u32 bitset;
};

static struct futex_bucket buckets[1 << BUCKET_BITS];

void futex_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(buckets); i++) {
		spin_lock_init(&buckets[i].lock, RANK_FUTEX);
		list_init(&buckets[i].queue);
	}
}

static struct futex_bucket *bucket_of(const struct futex_key *k)
{
	return &buckets[hash_64(k->space ^ k->object * 31 ^ k->offset, BUCKET_BITS)];
}

static bool same_key(const struct futex_key *a, const struct futex_key *b)
{
	return a->offset == b->offset && a->space == b->space && a->object == b->object;
}

/* 0, -EINVAL (not aligned), -EFAULT. Sleeps unless private. */
static int get_key(struct futex_key *k, const u32 *uaddr, bool private)
{
	uintptr_t addr = (uintptr_t)uaddr;
	struct mm *mm = current->mm;
	struct vma *vma;
	int err = 0;

	if (addr % sizeof(u32))
		return -EINVAL;
	if (!access_ok(uaddr, sizeof(u32)))
		return -EFAULT;
	*k = (struct futex_key){ .space = (uintptr_t)mm, .offset = addr };
	if (private)
		return 0;
	down_read(&mm->mmap_lock);
	vma = find_vma(mm, addr);
	if (!vma || vma->start > addr) {
		err = -EFAULT;
	} else if (vma->flags & VM_SHARED && vma->file) {
		file_id(vma->file, &k->space, &k->object);
		k->object++;
		k->offset = (vma->pgoff << PAGE_SHIFT) + (addr - vma->start);
	}
	up_read(&mm->mmap_lock);
	return err;
}

/* The word, with a bucket locked: 0, or -EAGAIN if it must be faulted in first (fault_in), without the lock. */
static int read_locked(u32 *val, const u32 *uaddr)
{
	int err;

	pagefault_disable();
	err = arch_get_user32(val, uaddr);
	pagefault_enable();
	return err ? -EAGAIN : 0;
}

static int fault_in(const u32 *uaddr)
{
	u32 val;

	if (fatal_signal_pending(current))
		return -EINTR;
	return arch_get_user32(&val, uaddr);
}

/* ---- waiting ---- */

/* Off the queue, wherever a requeue has put it. False: somebody has woken it. */
static bool unqueue(struct futex_waiter *w)
{
	struct futex_bucket *b;

	while ((b = smp_load_acquire(&w->bucket)) != NULL) {
		spin_lock(&b->lock);
		if (w->bucket == b) {
			list_del(&w->link);
			spin_unlock(&b->lock);
			atomic_dec(&b->waiters);
			return true;
		}
		spin_unlock(&b->lock);
	}
	return false;
}

/* Returns 0 with w queued and the task's state set, or -errno. */
static int queue_if(struct futex_waiter *w, const u32 *uaddr, u32 expected, bool private)
{
	struct futex_bucket *b;
	u32 val;
	int err;

	for (;;) {
		err = get_key(&w->key, uaddr, private);
		if (err)
			return err;
		b = bucket_of(&w->key);
		(void)atomic_inc_return(&b->waiters);
		spin_lock(&b->lock);
		err = read_locked(&val, uaddr);
		if (!err && val == expected)
			break;
		spin_unlock(&b->lock);
		atomic_dec(&b->waiters);
		if (!err)
			return -EAGAIN;
		err = fault_in(uaddr);
		if (err)
			return err;
	}
	w->bucket = b;
	list_add_tail(&w->link, &b->queue);
	set_current_state(TASK_INTERRUPTIBLE);
	spin_unlock(&b->lock);
	return 0;
}

static long futex_wait(u32 *uaddr, bool private, u32 expected, u64 deadline, u32 bitset)
{
	struct futex_waiter w = { .task = current, .bitset = bitset };
	bool in_time = true;
	long err;

	if (!bitset)
		return -EINVAL;
	err = queue_if(&w, uaddr, expected, private);
	if (err)
		return err;
	while (READ_ONCE(w.bucket) && in_time && !signal_pending(current)) {
		in_time = schedule_deadline(deadline);
		set_current_state(TASK_INTERRUPTIBLE);
	}
	set_current_state(TASK_RUNNING);
	if (!unqueue(&w))
		return 0;
	if (!in_time)
		return -ETIMEDOUT;
	if (deadline == WAIT_FOREVER)
		return -ERESTARTSYS;
	current->sig->restart_deadline = deadline;
	return -ERESTART_RESTARTBLOCK;
}

/* ---- waking ---- */

/* bucket->lock held, RCU read side: w may vanish when its bucket is NULL, its task only after a grace period. */
static void wake_waiter(struct futex_waiter *w)
{
	struct task *t = w->task;

	list_del(&w->link);
	atomic_dec(&w->bucket->waiters);
	smp_store_release(&w->bucket, NULL);
	wake_up_state(t, TASK_INTERRUPTIBLE);
}

static int wake_locked(struct futex_bucket *b, const struct futex_key *key, int nr, u32 bitset)
{
	struct futex_waiter *w, *tmp;
	int woken = 0;

	if (nr <= 0)
		return 0;
	list_for_each_entry_safe(w, tmp, &b->queue, link) {
		if (!same_key(&w->key, key) || !(w->bitset & bitset))
			continue;
		wake_waiter(w);
		if (++woken >= nr)
			break;
	}
	return woken;
}

static int wake_key(const struct futex_key *key, int nr, u32 bitset)
{
	struct futex_bucket *b = bucket_of(key);
	int woken;

	smp_mb();	/* (b) above */
	if (!atomic_read(&b->waiters))
		return 0;
	rcu_read_lock();
	spin_lock(&b->lock);
	woken = wake_locked(b, key, nr, bitset);
	spin_unlock(&b->lock);
	rcu_read_unlock();
	return woken;
}

static long futex_wake(const u32 *uaddr, bool private, int nr, u32 bitset)
{
	struct futex_key key;
	int err;

	if (!bitset)
		return -EINVAL;
	err = get_key(&key, uaddr, private);
	return err ? err : wake_key(&key, max(nr, 1), bitset);
}

int futex_wake_user(u32 *uaddr, int n)
{
	return (int)futex_wake(uaddr, false, n, FUTEX_BITSET_ANY);
}

static void lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a == b) {
		spin_lock(&a->lock);
		return;
	}
	spin_lock(a < b ? &a->lock : &b->lock);
	spin_lock_nested(a < b ? &b->lock : &a->lock);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

/* Wake some, move some others to a second word. cmp: only if the first word still has that value. */
static long futex_requeue(u32 *uaddr, u32 *uaddr2, bool private, int nr_wake, int nr_requeue, const u32 *cmp)
{
	struct futex_key key, key2;
	struct futex_bucket *b, *b2;
	struct futex_waiter *w, *tmp;
	u32 val = 0;
	long done = 0;
	int err;

	if (nr_wake < 0 || nr_requeue < 0)
		return -EINVAL;
	for (;;) {
		err = get_key(&key, uaddr, private);
		if (!err)
			err = get_key(&key2, uaddr2, private);
		if (err)
			return err;
		b = bucket_of(&key);
		b2 = bucket_of(&key2);
		rcu_read_lock();
		lock_two(b, b2);
		err = cmp ? read_locked(&val, uaddr) : 0;
		if (!err)
			break;
		unlock_two(b, b2);
		rcu_read_unlock();
		err = fault_in(uaddr);
		if (err)
			return err;
	}
	if (cmp && val != *cmp) {
		done = -EAGAIN;
		goto out;
	}
	done = wake_locked(b, &key, nr_wake, FUTEX_BITSET_ANY);
	list_for_each_entry_safe(w, tmp, &b->queue, link) {
		if (nr_requeue <= 0 || same_key(&key, &key2))
			break;
		if (!same_key(&w->key, &key))
			continue;
		w->key = key2;
		if (b != b2) {
			list_move_tail(&w->link, &b2->queue);
			atomic_inc(&b2->waiters);
			atomic_dec(&b->waiters);
			WRITE_ONCE(w->bucket, b2);
		}
		nr_requeue--;
		done++;
	}
out:
	unlock_two(b, b2);
	rcu_read_unlock();
	return done;
}

/* ---- FUTEX_WAKE_OP: change the second word, wake on the first, and on the second if its old value compares ---- */

static int apply_op(u32 op, u32 old, u32 *new)
{
	s32 arg = (s32)(op << 8) >> 20;

	if (op >> 28 & 8)
		arg = (s32)(1u << (arg & 31));
	switch (op >> 28 & 7) {
	case 0:
		*new = (u32)arg;
		return 0;
	case 1:
		*new = old + (u32)arg;
		return 0;
	case 2:
		*new = old | (u32)arg;
		return 0;
	case 3:
		*new = old & ~(u32)arg;
		return 0;
	case 4:
		*new = old ^ (u32)arg;
		return 0;
	default:
		return -ENOSYS;
	}
}

static int compare_op(u32 op, u32 old)
{
	s32 arg = (s32)(op << 20) >> 20, val = (s32)old;

	switch (op >> 24 & 15) {
	case 0:
		return val == arg;
	case 1:
		return val != arg;
	case 2:
		return val < arg;
	case 3:
		return val <= arg;
	case 4:
		return val > arg;
	case 5:
		return val >= arg;
	default:
		return -ENOSYS;
	}
}

/* Locks held, no faults. -EFAULT: must be faulted in. */
static int modify_word(u32 *uaddr, u32 op, u32 *old)
{
	u32 new, seen;
	int err;

	err = arch_get_user32(old, uaddr);
	while (!err) {
		err = apply_op(op, *old, &new);
		if (!err)
			err = arch_cmpxchg_user32(uaddr, *old, new, &seen);
		if (err || seen == *old)
			break;
		*old = seen;
		cpu_relax();
	}
	return err;
}

static long futex_wake_op(u32 *uaddr, u32 *uaddr2, bool private, int nr_wake, int nr_wake2, u32 op)
{
	struct futex_key key, key2;
	struct futex_bucket *b, *b2;
	u32 old;
	long woken;
	int err;

	if (compare_op(op, 0) < 0)
		return -ENOSYS;
	for (;;) {
		u32 seen;

		err = get_key(&key, uaddr, private);
		if (!err)
			err = get_key(&key2, uaddr2, private);
		if (err)
			return err;
		b = bucket_of(&key);
		b2 = bucket_of(&key2);
		rcu_read_lock();
		lock_two(b, b2);
		pagefault_disable();
		err = modify_word(uaddr2, op, &old);
		pagefault_enable();
		if (err != -EFAULT)
			break;
		unlock_two(b, b2);
		rcu_read_unlock();
		/* A compare-and-exchange that changes nothing makes the page writable. */
		err = fault_in(uaddr2);
		if (!err && !arch_get_user32(&old, uaddr2))
			err = arch_cmpxchg_user32(uaddr2, old, old, &seen);
		if (err)
			return err;
	}
	woken = err;
	if (!err) {
		woken = wake_locked(b, &key, nr_wake, FUTEX_BITSET_ANY);
		if (compare_op(op, old) > 0)
			woken += wake_locked(b2, &key2, nr_wake2, FUTEX_BITSET_ANY);
	}
	unlock_two(b, b2);
	rcu_read_unlock();
	return woken;
}

/* ---- the system call ---- */

static int wait_deadline(u64 *deadline, const struct timespec_k *uts, bool absolute, bool realtime)
{
	struct signal_task *sg = current->sig;
	u64 ns, now;
	int err;

	*deadline = WAIT_FOREVER;
	if (!uts)
		return 0;
	err = timespec_from_user(&ns, uts);
	if (err)
		return err;
	if (!absolute) {
		*deadline = sg->restarting ? sg->restart_deadline : deadline_after(clock_ns(), ns);
	} else if (realtime) {
		now = wall_clock_ns();
		*deadline = ns > now ? deadline_after(clock_ns(), ns - now) : 0;
	} else {
		*deadline = min(ns, WAIT_FOREVER - 1);
	}
	sg->restarting = false;
	return 0;
}

SYSCALL6(futex, u32 *, uaddr, int, op, u32, val, const struct timespec_k *, uts, u32 *, uaddr2, u32, val3)
{
	bool private = op & FUTEX_PRIVATE_FLAG, realtime = op & FUTEX_CLOCK_REALTIME;
	int cmd = op & FUTEX_CMD_MASK;
	int val2 = (int)(uintptr_t)uts;		/* a count, for the calls without a timeout */
	u64 deadline;
	int err;

	if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
		val3 = FUTEX_BITSET_ANY;
		/* fall through */
	case FUTEX_WAIT_BITSET:
		err = wait_deadline(&deadline, uts, cmd == FUTEX_WAIT_BITSET, realtime);
		return err ? err : futex_wait(uaddr, private, val, deadline, val3);
	case FUTEX_WAKE:
		val3 = FUTEX_BITSET_ANY;
		/* fall through */
	case FUTEX_WAKE_BITSET:
		return futex_wake(uaddr, private, (int)val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(uaddr, uaddr2, private, (int)val, val2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(uaddr, uaddr2, private, (int)val, val2, &val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(uaddr, uaddr2, private, (int)val, val2, val3);
	default:
		return -ENOSYS;
	}
}

/* ---- robust lists: locks that their owner takes into death ---- */

struct robust_head {
	u64 next;
	s64 offset;
	u64 pending;
};

SYSCALL2(set_robust_list, struct robust_head *, head, size_t, len)
{
	if (len != sizeof(*head))
		return -EINVAL;
	current->robust_list = (uintptr_t)head;
	return 0;
}

SYSCALL3(get_robust_list, int, tid, u64 *, uhead, size_t *, ulen)
{
	struct task *t = tid ? find_get_task(tid) : get_task(current);
	u64 head, len = sizeof(struct robust_head);

	if (!t)
		return -ESRCH;
	head = t->robust_list;
	put_task(t);
	if (copy_to_user(ulen, &len, sizeof(len)) || copy_to_user(uhead, &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

/*
 * The word belongs to a lock that this thread may hold: mark it, and let one waiter have a look. False: stop, the
 * list is bad.
 */
static bool bury(u32 *uaddr, bool pending)
{
	u32 val, seen;

	if ((uintptr_t)uaddr % sizeof(u32) || !access_ok(uaddr, sizeof(u32)) || arch_get_user32(&val, uaddr))
		return false;
	for (;;) {
		/* Died between the unlocking store and the wake-up: somebody may sleep on a free lock. */
		if (pending && !val) {
			(void)futex_wake_user(uaddr, 1);
			return true;
		}
		if ((val & FUTEX_TID_MASK) != (u32)current->pid)
			return true;
		if (arch_cmpxchg_user32(uaddr, val, (val & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
			return false;
		if (seen == val)
			break;
		val = seen;
	}
	if (val & FUTEX_WAITERS)
		(void)futex_wake_user(uaddr, 1);
	return true;
}

/*
 * The list is user memory and may be anything: every step is checked, and their number bounded. Bit 0 of a link marks
 * a PI lock.
 */
void exit_robust_list(struct task *t)
{
	const struct robust_head *uhead = (const struct robust_head *)t->robust_list;
	struct robust_head head;
	u64 entry, next;

	t->robust_list = 0;
	if (copy_from_user(&head, uhead, sizeof(head)))
		return;
	entry = head.next & ~1ull;
	for (unsigned n = 0; entry != (uintptr_t)uhead && n < ROBUST_LIST_LIMIT; n++) {
		const u64 *ulink = (const u64 *)(uintptr_t)entry;
		bool last = !access_ok(ulink, sizeof(next)) || arch_get_user64(&next, ulink);

		if (entry != (head.pending & ~1ull) && !bury((u32 *)(uintptr_t)(entry + (u64)head.offset), false))
			return;
		if (last)
			return;
		entry = next & ~1ull;
		cond_resched();
	}
	if (head.pending & ~1ull)
		(void)bury((u32 *)(uintptr_t)((head.pending & ~1ull) + (u64)head.offset), true);
}
