/*
 * What a process does with its signals: the table of actions, and the life of that state through fork, exec and exit.
 *
 * After fork, parent and child share one table, which neither writes: whoever changes an action first copies it (2
 * KiB). CLONE_SIGHAND shares the struct sighand that points to the table, so a change is seen by both.
 */
#include "kernel/process.h"
#include "kernel/signal.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/slab.h"

static struct kmem_cache *sighand_cache, *sigtable_cache;
static struct sigtable default_table = { .refs = ATOMIC_INIT(1) };

static void put_table(struct sigtable *table)
{
	if (table && atomic_dec_and_test(&table->refs))
		kmem_cache_free(sigtable_cache, table);
}

/* siglock of p is usually held, hence nested. */
struct ksigaction action_of(struct process *p, int sig)
{
	struct sighand *sh = p->sighand;
	struct ksigaction act;

	spin_lock_nested(&sh->lock);
	act = sh->table->action[sig - 1];
	spin_unlock(&sh->lock);
	return act;
}

uintptr_t handler_of(struct process *p, int sig)
{
	struct sighand *sh = p->sighand;
	uintptr_t handler;

	spin_lock_nested(&sh->lock);
	handler = sh->table->action[sig - 1].handler;
	spin_unlock(&sh->lock);
	return handler;
}

/* ---- changing actions ---- */

/* A private table for the sighand, unless it has one; *spare is used up then. h held. */
static bool own_table(struct sighand *sh, struct sigtable **spare, struct sigtable **old)
{
	if (atomic_read(&sh->table->refs) == 1)
		return true;
	if (!*spare)
		return false;
	(*spare)->handlers = sh->table->handlers;
	memcpy((*spare)->action, sh->table->action, sizeof((*spare)->action));
	*old = sh->table;
	sh->table = *spare;
	*spare = NULL;
	return true;
}

static struct sigtable *alloc_table(void)
{
	struct sigtable *table = kmem_cache_alloc(sigtable_cache, GFP_KERNEL);

	if (table) {
		atomic_set(&table->refs, 1);
		table->handlers = 0;
	}
	return table;
}

int set_action(int sig, const struct ksigaction *new, struct ksigaction *old)
{
	struct process *p = current->proc;
	struct sighand *sh = p->sighand;
	struct sigtable *spare = NULL, *shared = NULL;
	struct ksigaction *act, want;

	if (sig < 1 || sig > NSIG || (new && sigmask(sig) & SIG_KERNEL_ONLY))
		return -EINVAL;
	spin_lock(&p->siglock);
	spin_lock_nested(&sh->lock);
	if (old)
		*old = sh->table->action[sig - 1];
	if (!new)
		goto out;
	want = *new;
	want.mask &= ~SIG_KERNEL_ONLY;
	while (!own_table(sh, &spare, &shared)) {
		spin_unlock(&sh->lock);
		spin_unlock(&p->siglock);
		spare = alloc_table();
		if (!spare)
			return -ENOMEM;
		spin_lock(&p->siglock);
		spin_lock_nested(&sh->lock);
	}
	act = &sh->table->action[sig - 1];
	if (old)
		*old = *act;
	sh->table->handlers += is_function(&want) - is_function(act);
	*act = want;
	if (want.handler == SIG_IGN || (want.handler == SIG_DFL && sigmask(sig) & SIG_IGNORED))
		flush_signals_everywhere(p, sigmask(sig));
out:
	spin_unlock(&sh->lock);
	spin_unlock(&p->siglock);
	put_table(shared);
	if (spare)
		put_table(spare);
	return 0;
}

/* ---- fork, exec ---- */

/* What is left after exec: ignored signals stay ignored, everything else is default. */
static void keep_ignored(struct sigtable *table, const struct sigtable *from)
{
	for (int i = 0; i < NSIG; i++) {
		uintptr_t handler = from->action[i].handler == SIG_IGN ? SIG_IGN : SIG_DFL;

		table->action[i] = (struct ksigaction){ .handler = handler };
	}
	table->handlers = 0;
}

static struct sighand *new_sighand(struct sigtable *table)
{
	struct sighand *sh = kmem_cache_alloc(sighand_cache, GFP_KERNEL);

	if (!sh)
		return NULL;
	atomic_set(&sh->refs, 1);
	spin_lock_init(&sh->lock, RANK_SIGHAND);
	sh->table = table;
	return sh;
}

static void put_sighand(struct sighand *sh)
{
	if (!sh || !atomic_dec_and_test(&sh->refs))
		return;
	put_table(sh->table);
	kmem_cache_free(sighand_cache, sh);
}

static int fork_sighand(struct process *p, u64 flags)
{
	struct sighand *old = current->proc->sighand;
	struct sigtable *table = &default_table;

	if (flags & CLONE_SIGHAND && old) {
		atomic_inc(&old->refs);
		p->sighand = old;
		return 0;
	}
	p->sighand = new_sighand(NULL);
	if (!p->sighand)
		return -ENOMEM;
	if (old && flags & CLONE_CLEAR_SIGHAND) {
		table = alloc_table();
		if (!table) {
			put_sighand(p->sighand);
			p->sighand = NULL;
			return -ENOMEM;
		}
		spin_lock(&old->lock);
		keep_ignored(table, old->table);
		spin_unlock(&old->lock);
	} else if (old) {
		spin_lock(&old->lock);
		table = old->table;
		atomic_inc(&table->refs);
		spin_unlock(&old->lock);
	} else {
		atomic_inc(&table->refs);
	}
	p->sighand->table = table;
	return 0;
}

int signal_fork(struct task *child, struct process *p, u64 flags)
{
	struct signal_task *sg = task_signal_state(child);

	if (!(flags & CLONE_THREAD)) {
		int err = fork_sighand(p, flags);

		if (err)
			return err;
	}
	sigpending_init(&sg->pending);
	sg->altstack.ss_flags = SS_DISABLE;
	if (current->sig) {
		sg->blocked = current->sig->blocked;
		if ((flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM)
			sg->altstack = current->sig->altstack;
	}
	child->sig = sg;
	child->sighand = p->sighand;
	return 0;
}

int signal_exec_prepare(struct signal_exec *x)
{
	struct process *p = current->proc;
	struct sighand *sh = p->sighand;

	*x = (struct signal_exec){ NULL, NULL };
	if (atomic_read(&sh->refs) > 1) {
		x->sighand = new_sighand(NULL);
		if (!x->sighand)
			return -ENOMEM;
	}
	if (x->sighand || p->nr_threads > 1 || READ_ONCE(sh->table->handlers)) {
		x->table = alloc_table();
		if (!x->table) {
			signal_exec_abort(x);
			return -ENOMEM;
		}
	}
	return 0;
}

void signal_exec_abort(struct signal_exec *x)
{
	put_sighand(x->sighand);
	put_table(x->table);
	*x = (struct signal_exec){ NULL, NULL };
}

void signal_exec_commit(struct signal_exec *x)
{
	struct process *p = current->proc;
	struct sighand *sh = p->sighand;
	struct sigtable *old = NULL;

	spin_lock(&p->siglock);
	spin_lock_nested(&sh->lock);
	if (x->table)
		keep_ignored(x->table, sh->table);
	if (x->sighand) {
		x->sighand->table = x->table;
		p->sighand = current->sighand = x->sighand;
	} else if (x->table) {
		old = sh->table;
		sh->table = x->table;
	}
	spin_unlock(&sh->lock);
	current->sig->forced = 0;
	current->sig->altstack = (struct kstack_t){ .ss_flags = SS_DISABLE };
	spin_unlock(&p->siglock);
	put_table(old);
	if (x->sighand)
		put_sighand(sh);
}

void signal_put_actions(struct process *p)
{
	put_sighand(p->sighand);
}

void sigaction_init(void)
{
	sighand_cache = kmem_cache_create("sighand", sizeof(struct sighand), 0, NULL);
	sigtable_cache = kmem_cache_create("sigtable", sizeof(struct sigtable), 0, NULL);
}
