/*
 * Arguments and environment of execve: from the old address space into kernel memory, then onto the new stack.
 *
 * Layout, as Linux has it, from the top down: 8 zero bytes, file name, environment strings, argument strings, 16
 * random bytes, platform name, padding, auxiliary vector, environment pointers, argument pointers, argc (where the
 * stack pointer points, 16-byte aligned).
 */
#include "kernel/exec.h"

#include <arch/trap.h>

#include "kernel/process.h"
#include "kernel/random.h"
#include "kernel/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"

#define ARG_MAX_STRING	(32 * PAGE_SIZE)	/* one string with its NUL */
#define ARG_MAX_TOTAL	(6ul << 20)		/* all, whatever the stack's limit */
#define ARG_MIN_TOTAL	(32 * PAGE_SIZE)

#define AT_NULL		0
#define AT_PHDR		3
#define AT_PHENT	4
#define AT_PHNUM	5
#define AT_PAGESZ	6
#define AT_BASE		7
#define AT_FLAGS	8
#define AT_ENTRY	9
#define AT_UID		11
#define AT_EUID		12
#define AT_GID		13
#define AT_EGID		14
#define AT_PLATFORM	15
#define AT_HWCAP	16
#define AT_CLKTCK	17
#define AT_SECURE	23
#define AT_RANDOM	25
#define AT_HWCAP2	26
#define AT_EXECFN	31
#define AUXV_WORDS	40

void args_init(struct exec_args *a, u64 stack_limit)
{
	u64 limit = clamp(stack_limit / 4, ARG_MIN_TOTAL, ARG_MAX_TOTAL);

	*a = (struct exec_args){ .limit = limit };
}

void args_free(struct exec_args *a)
{
	struct arg_chunk *next;

	for (struct arg_chunk *c = a->first; c; c = next) {
		next = c->next;
		kfree(c);
	}
	a->first = a->last = NULL;
}

/* Room at the end: its address and size in *room (at least 1), NULL without memory. */
static char *args_room(struct exec_args *a, size_t *room)
{
	struct arg_chunk *c = a->last;

	if (!c || c->used == sizeof(c->data)) {
		c = kmalloc(sizeof(*c), GFP_KERNEL);
		if (!c)
			return NULL;
		c->next = NULL;
		c->used = 0;
		if (a->last)
			a->last->next = c;
		else
			a->first = c;
		a->last = c;
	}
	*room = sizeof(c->data) - c->used;
	return c->data + c->used;
}

static int args_account(struct exec_args *a, size_t n, size_t *len)
{
	a->last->used += n;
	a->bytes += n;
	*len += n;
	return *len > ARG_MAX_STRING || a->bytes > a->limit ? -E2BIG : 0;
}

int args_add_kernel(struct exec_args *a, const char *s)
{
	size_t left = strlen(s) + 1, len = 0;

	while (left) {
		size_t n;
		char *at = args_room(a, &n);
		int err;

		if (!at)
			return -ENOMEM;
		n = min(n, left);
		memcpy(at, s, n);
		s += n;
		left -= n;
		err = args_account(a, n, &len);
		if (err)
			return err;
	}
	return 0;
}

int args_add_user(struct exec_args *a, const char *us)
{
	size_t len = 0;

	for (;;) {
		size_t room;
		char *at = args_room(a, &room);
		long n;
		int err;

		if (!at)
			return -ENOMEM;
		if ((uintptr_t)us >= USER_TOP)
			return -EFAULT;
		n = arch_strncpy_from_user(at, us, min(room, USER_TOP - (uintptr_t)us));
		if (n < 0)
			return -EFAULT;
		if ((size_t)n < room && (uintptr_t)us + n < USER_TOP)
			return args_account(a, (size_t)n + 1, &len);	/* the NUL was copied too */
		err = args_account(a, (size_t)n, &len);
		if (err)
			return err;
		us += n;
	}
}

int args_add_array(struct exec_args *a, const char *const *array, unsigned skip, unsigned *count, bool kernel)
{
	if (!array)
		return 0;
	for (unsigned i = skip;; i++) {
		u64 s;
		int err;

		if (kernel)
			s = (uintptr_t)array[i];
		else if (!access_ok(&array[i], sizeof(s)) || arch_get_user64(&s, (const u64 *)&array[i]))
			return -EFAULT;
		if (!s)
			return 0;
		if (kernel)
			err = args_add_kernel(a, array[i]);
		else
			err = args_add_user(a, (const char *)(uintptr_t)s);
		if (err)
			return err;
		++*count;
		if (a->bytes + (size_t)(a->argc + a->envc) * sizeof(u64) > a->limit)
			return -E2BIG;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static int put(struct mm *mm, uintptr_t to, const void *from, size_t n)
{
	return access_process_vm(mm, to, (void *)(uintptr_t)from, n, true) == n ? 0 : -ENOMEM;
}

/* Words that go to consecutive addresses, a buffer at a time. */
struct words {
	struct mm *mm;
	uintptr_t to;
	unsigned n;
	u64 buf[128];
	int err;
};

static void flush_words(struct words *w)
{
	if (w->n && !w->err)
		w->err = put(w->mm, w->to, w->buf, w->n * sizeof(u64));
	w->to += w->n * sizeof(u64);
	w->n = 0;
}

static void add_word(struct words *w, u64 v)
{
	if (w->n == ARRAY_SIZE(w->buf))
		flush_words(w);
	w->buf[w->n++] = v;
}

/* Pointers to the strings in order: argc of them, NULL, envc, NULL. */
static void add_pointers(struct words *w, const struct exec_args *a, uintptr_t strings)
{
	const struct arg_chunk *c = a->first;
	unsigned left = a->argc + a->envc, done = 0;
	bool at_start = true;
	u32 i = 0;

	if (!a->argc)
		add_word(w, 0);
	while (left) {
		if (i == c->used) {
			c = c->next;
			i = 0;
			continue;
		}
		if (at_start) {
			add_word(w, strings);
			at_start = false;
		}
		strings++;
		if (c->data[i++])
			continue;
		at_start = true;
		left--;
		if (++done == a->argc)
			add_word(w, 0);
	}
	add_word(w, 0);
}

static unsigned fill_auxv(u64 *auxv, const struct exec_image *img, uintptr_t random, uintptr_t platform,
			  uintptr_t execfn)
{
	const struct cred *cr = current_cred();
	const u64 pairs[][2] = {
		{ AT_HWCAP, ELF_HWCAP },
		{ AT_PAGESZ, PAGE_SIZE },
		{ AT_CLKTCK, 100 },
		{ AT_PHDR, img->phdr },
		{ AT_PHENT, 56 },
		{ AT_PHNUM, img->phnum },
		{ AT_BASE, img->interp_base },
		{ AT_FLAGS, 0 },
		{ AT_ENTRY, img->entry },
		{ AT_UID, cr->uid },
		{ AT_EUID, cr->euid },
		{ AT_GID, cr->gid },
		{ AT_EGID, cr->egid },
		{ AT_SECURE, 0 },
		{ AT_RANDOM, random },
		{ AT_HWCAP2, ELF_HWCAP2 },
		{ AT_EXECFN, execfn },
		{ AT_PLATFORM, platform },
		{ AT_NULL, 0 },
	};

	static_assert(sizeof(pairs) <= AUXV_WORDS * sizeof(u64), "auxv fits");
	memcpy(auxv, pairs, sizeof(pairs));
	return sizeof(pairs) / sizeof(u64);
}

long args_to_stack(struct exec_args *a, struct mm *mm, uintptr_t top, const struct exec_image *img)
{
	const char *platform = ELF_PLATFORM;
	struct {
		u8 random[16];
		char platform[16];
	} tail;
	uintptr_t strings, at, low, sp;
	struct words w;
	unsigned n;
	int err;

	strings = top - 8 - a->bytes;
	at = strings;
	for (struct arg_chunk *c = a->first; c; at += c->used, c = c->next) {
		err = put(mm, at, c->data, c->used);
		if (err)
			return err;
	}
	get_random_bytes(tail.random, sizeof(tail.random));
	strscpy(tail.platform, platform, sizeof(tail.platform));
	low = align_down(strings - sizeof(tail), 16);
	err = put(mm, low, &tail, sizeof(tail));
	if (err)
		return err;

	n = fill_auxv(mm->saved_auxv, img, low, low + offsetof(typeof(tail), platform),
		      strings + a->argv_bytes + a->envp_bytes);
	sp = align_down(low - (1 + a->argc + 1 + a->envc + 1 + n) * sizeof(u64), 16);
	w.mm = mm;
	w.to = sp;
	w.n = 0;
	w.err = 0;
	add_word(&w, a->argc);
	add_pointers(&w, a, strings);
	for (unsigned i = 0; i < n; i++)
		add_word(&w, mm->saved_auxv[i]);
	flush_words(&w);
	if (w.err)
		return w.err;

	mm->start_stack = sp;
	mm->arg_start = strings;
	mm->arg_end = mm->env_start = strings + a->argv_bytes;
	mm->env_end = mm->env_start + a->envp_bytes;
	return (long)sp;
}
