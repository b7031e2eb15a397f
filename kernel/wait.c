/* Wait queues and completions. See wait.h for the order of stores that makes them safe. */
#include "kernel/wait.h"

#include "kernel/task.h"

void wait_queue_init(struct wait_queue *wq)
{
	spin_lock_init(&wq->lock, RANK_WAIT);
	list_init(&wq->waiters);
}

void wait_entry_init(struct wait_entry *e)
{
	e->task = current;
	list_init(&e->link);
	e->exclusive = false;
	e->func = NULL;
}

void add_wait_queue(struct wait_queue *wq, struct wait_entry *e)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	if (list_empty(&e->link)) {
		/* Exclusive ones at the end, so that all others are woken before. */
		if (e->exclusive)
			list_add_tail(&e->link, &wq->waiters);
		else
			list_add(&e->link, &wq->waiters);
	}
	spin_unlock_irqrestore(&wq->lock, flags);
}

void remove_wait_queue(struct wait_queue *wq, struct wait_entry *e)
{
	unsigned long flags = spin_lock_irqsave(&wq->lock);

	list_del_init(&e->link);
	spin_unlock_irqrestore(&wq->lock, flags);
}

void prepare_to_wait(struct wait_queue *wq, struct wait_entry *e, unsigned state)
{
	add_wait_queue(wq, e);
	set_current_state(state);
}

void finish_wait(struct wait_queue *wq, struct wait_entry *e)
{
	WRITE_ONCE(current->state, TASK_RUNNING);
	/* The acquire pairs with the waker's release in wake_up_nr: if it took us off, it is done with *e. */
	if (smp_load_acquire(&e->link.prev) == &e->link && READ_ONCE(e->link.next) == &e->link)
		return;
	remove_wait_queue(wq, e);
}

int wake_up_nr(struct wait_queue *wq, int nr)
{
	struct wait_entry *e, *next;
	unsigned long flags;
	int woken = 0;

	smp_mb();	/* the condition before the look at the queue: pairs with set_current_state */
	if (list_empty(&wq->waiters))
		return 0;
	flags = spin_lock_irqsave(&wq->lock);
	list_for_each_entry_safe(e, next, &wq->waiters, link) {
		bool exclusive = e->exclusive;	/* the entry may be gone once its task runs */

		if (e->func) {
			if (!e->func(e))
				continue;
		} else {
			if (!wake_up_task(e->task))
				continue;
			/*
			 * Off the queue, so that the woken task need not take the lock. The release is our last access
			 * to *e.
			 */
			__list_unlink(&e->link);
			WRITE_ONCE(e->link.next, &e->link);
			smp_store_release(&e->link.prev, &e->link);
		}
		woken++;
		if (exclusive && --nr <= 0)
			break;
	}
	spin_unlock_irqrestore(&wq->lock, flags);
	return woken;
}

void completion_init(struct completion *c)
{
	c->done = 0;
	wait_queue_init(&c->wq);
}

static void complete_nr(struct completion *c, unsigned done)
{
	struct wait_entry *e, *next;
	unsigned long flags = spin_lock_irqsave(&c->wq.lock);

	/* All under the lock: once the waiter can take it, nobody touches *c any more. */
	c->done = done ? done : c->done + 1;
	list_for_each_entry_safe(e, next, &c->wq.waiters, link)
		if (wake_up_task(e->task) && !done)
			break;
	spin_unlock_irqrestore(&c->wq.lock, flags);
}

void complete(struct completion *c)
{
	complete_nr(c, 0);
}

void complete_all(struct completion *c)
{
	complete_nr(c, 0x80000000u);
}

static int wait_completion(struct completion *c, unsigned state, u64 deadline)
{
	struct wait_entry e;
	int ret = 0;

	wait_entry_init(&e);
	for (;;) {
		unsigned long flags = spin_lock_irqsave(&c->wq.lock);

		if (c->done || ret) {
			if (c->done) {
				if (c->done < 0x80000000u)
					c->done--;
				ret = 0;
			}
			list_del_init(&e.link);
			WRITE_ONCE(current->state, TASK_RUNNING);
			spin_unlock_irqrestore(&c->wq.lock, flags);
			return ret;
		}
		if (list_empty(&e.link))
			list_add_tail(&e.link, &c->wq.waiters);
		set_current_state(state);
		spin_unlock_irqrestore(&c->wq.lock, flags);
		if (state != TASK_UNINTERRUPTIBLE && task_interrupted(current, state))
			ret = -EINTR;
		else if (!schedule_deadline(deadline))
			ret = -ETIMEDOUT;
	}
}

void wait_for_completion(struct completion *c)
{
	wait_completion(c, TASK_UNINTERRUPTIBLE, WAIT_FOREVER);
}

int wait_for_completion_timeout(struct completion *c, u64 deadline)
{
	return wait_completion(c, TASK_UNINTERRUPTIBLE, deadline);
}

int wait_for_completion_killable(struct completion *c)
{
	return wait_completion(c, TASK_KILLABLE, WAIT_FOREVER);
}
