/*
 * Linked lists that live inside the objects they link: circular doubly linked lists (list_*), doubly linked lists with
 * a one-pointer head for hash tables (hlist_*), and a stack that any number of producers push to without a lock while
 * a consumer takes all of it (llist_*).
 *
 * list_* and hlist_* need the caller's lock. llist_* needs none, interrupts included.
 */
#pragma once

#include "lib/atomic.h"
#include "lib/types.h"

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void list_init(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

static inline bool list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline bool list_is_last(const struct list_head *entry, const struct list_head *head)
{
	return entry->next == head;
}

static inline void __list_link(struct list_head *entry, struct list_head *prev, struct list_head *next)
{
	next->prev = entry;
	entry->next = next;
	entry->prev = prev;
	WRITE_ONCE(prev->next, entry);
}

/* Adds after head: as the first. */
static inline void list_add(struct list_head *entry, struct list_head *head)
{
	__list_link(entry, head, head->next);
}

/* Adds before head: as the last. */
static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	__list_link(entry, head->prev, head);
}

static inline void __list_unlink(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	WRITE_ONCE(entry->prev->next, entry->next);
}

/* Takes the entry out; its links are left null, so a second list_del() faults instead of corrupting the list. */
static inline void list_del(struct list_head *entry)
{
	__list_unlink(entry);
	entry->next = NULL;
	entry->prev = NULL;
}

/* Takes the entry out and makes it an empty list: list_empty(entry) tells that it is on none. */
static inline void list_del_init(struct list_head *entry)
{
	__list_unlink(entry);
	list_init(entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	__list_unlink(entry);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	__list_unlink(entry);
	list_add_tail(entry, head);
}

static inline void __list_splice(struct list_head *list, struct list_head *prev, struct list_head *next)
{
	struct list_head *first = list->next, *last = list->prev;

	if (list_empty(list))
		return;
	first->prev = prev;
	last->next = next;
	next->prev = last;
	WRITE_ONCE(prev->next, first);
	list_init(list);
}

/* Moves all entries of list to the front of head; list is empty afterwards. */
static inline void list_splice(struct list_head *list, struct list_head *head)
{
	__list_splice(list, head, head->next);
}

/* Moves all entries of list to the end of head; list is empty afterwards. */
static inline void list_splice_tail(struct list_head *list, struct list_head *head)
{
	__list_splice(list, head->prev, head);
}

#define list_entry(ptr, type, member)		container_of(ptr, type, member)
/* The first and last entry of a list that is not empty. */
#define list_first_entry(head, type, member)	list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)	list_entry((head)->prev, type, member)
/* The neighbours of an entry; past the ends this is not an entry: see list_entry_is_head(). */
#define list_next_entry(pos, member)		list_entry((pos)->member.next, __typeof__(*(pos)), member)
#define list_prev_entry(pos, member)		list_entry((pos)->member.prev, __typeof__(*(pos)), member)
#define list_entry_is_head(pos, head, member)	(&(pos)->member == (head))

#define list_first_entry_or_null(head, type, member) ({ \
	struct list_head *__head = (head); \
	list_empty(__head) ? NULL : list_first_entry(__head, type, member); })

#define list_for_each(pos, head) \
	for (pos = (head)->next; pos != (head); pos = pos->next)

#define list_for_each_entry(pos, head, member) \
	for (pos = list_first_entry(head, __typeof__(*pos), member); \
	     !list_entry_is_head(pos, head, member); \
	     pos = list_next_entry(pos, member))

#define list_for_each_entry_reverse(pos, head, member) \
	for (pos = list_last_entry(head, __typeof__(*pos), member); \
	     !list_entry_is_head(pos, head, member); \
	     pos = list_prev_entry(pos, member))

/* The body may take pos out, or free it; tmp holds the next entry meanwhile. */
#define list_for_each_entry_safe(pos, tmp, head, member) \
	for (pos = list_first_entry(head, __typeof__(*pos), member), tmp = list_next_entry(pos, member); \
	     !list_entry_is_head(pos, head, member); \
	     pos = tmp, tmp = list_next_entry(tmp, member))

#define list_for_each_entry_safe_reverse(pos, tmp, head, member) \
	for (pos = list_last_entry(head, __typeof__(*pos), member), tmp = list_prev_entry(pos, member); \
	     !list_entry_is_head(pos, head, member); \
	     pos = tmp, tmp = list_prev_entry(tmp, member))

/* Goes on after pos. */
#define list_for_each_entry_continue(pos, head, member) \
	for (pos = list_next_entry(pos, member); \
	     !list_entry_is_head(pos, head, member); \
	     pos = list_next_entry(pos, member))

/* Hash chains: the head is one pointer; a node knows the pointer that points to it. */
struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

static inline void hlist_init(struct hlist_head *head)
{
	head->first = NULL;
}

static inline void hlist_node_init(struct hlist_node *node)
{
	node->next = NULL;
	node->pprev = NULL;
}

static inline bool hlist_empty(const struct hlist_head *head)
{
	return !READ_ONCE(head->first);
}

/* True if the node is on no list (after hlist_node_init() or hlist_del_init()). */
static inline bool hlist_unhashed(const struct hlist_node *node)
{
	return !node->pprev;
}

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	struct hlist_node *first = head->first;

	node->next = first;
	node->pprev = &head->first;
	if (first)
		first->pprev = &node->next;
	WRITE_ONCE(head->first, node);
}

/* Takes the node out and marks it unhashed; does nothing to a node that is on no list. */
static inline void hlist_del_init(struct hlist_node *node)
{
	if (hlist_unhashed(node))
		return;
	WRITE_ONCE(*node->pprev, node->next);
	if (node->next)
		node->next->pprev = node->pprev;
	hlist_node_init(node);
}

#define __entry_or_null(ptr, type, member) ({ \
	__typeof__(ptr) __node = (ptr); \
	__node ? container_of(__node, type, member) : NULL; })

#define hlist_entry(ptr, type, member)	container_of(ptr, type, member)

#define hlist_for_each_entry(pos, head, member) \
	for (pos = __entry_or_null((head)->first, __typeof__(*pos), member); \
	     pos; \
	     pos = __entry_or_null(pos->member.next, __typeof__(*pos), member))

/* The body may take pos out, or free it; tmp is a struct hlist_node pointer. */
#define hlist_for_each_entry_safe(pos, tmp, head, member) \
	for (pos = __entry_or_null((head)->first, __typeof__(*pos), member); \
	     pos && ((tmp = pos->member.next), true); \
	     pos = __entry_or_null(tmp, __typeof__(*pos), member))

/* Lockless stack. Nodes are only ever taken out all together, so there is no ABA problem. */
struct llist_node {
	struct llist_node *next;
};

struct llist_head {
	struct llist_node *first;
};

static inline void llist_init(struct llist_head *head)
{
	head->first = NULL;
}

static inline bool llist_empty(const struct llist_head *head)
{
	return !READ_ONCE(head->first);
}

/* Pushes the chain first..last (linked already). Returns whether the stack was empty. Fully ordered. */
static inline bool llist_add_batch(struct llist_node *first, struct llist_node *last, struct llist_head *head)
{
	struct llist_node *old = READ_ONCE(head->first);

	do {
		WRITE_ONCE(last->next, old);
	} while (!try_cmpxchg(&head->first, &old, first));
	return !old;
}

/* Pushes a node. Returns whether the stack was empty, so that only the first producer wakes the consumer. */
static inline bool llist_add(struct llist_node *node, struct llist_head *head)
{
	return llist_add_batch(node, node, head);
}

/* Takes everything, newest first. Fully ordered. */
static inline struct llist_node *llist_del_all(struct llist_head *head)
{
	return xchg(&head->first, NULL);
}

/* Turns a chain that was taken into the order of pushing. */
static inline struct llist_node *llist_reverse_order(struct llist_node *node)
{
	struct llist_node *done = NULL;

	while (node) {
		struct llist_node *next = node->next;

		node->next = done;
		done = node;
		node = next;
	}
	return done;
}

#define llist_entry(ptr, type, member)	container_of(ptr, type, member)

#define llist_for_each_entry(pos, node, member) \
	for (pos = __entry_or_null(node, __typeof__(*pos), member); \
	     pos; \
	     pos = __entry_or_null(pos->member.next, __typeof__(*pos), member))

/* node: a chain from llist_del_all(). The body may free pos; tmp is a struct llist_node pointer. */
#define llist_for_each_entry_safe(pos, tmp, node, member) \
	for (pos = __entry_or_null(node, __typeof__(*pos), member); \
	     pos && ((tmp = pos->member.next), true); \
	     pos = __entry_or_null(tmp, __typeof__(*pos), member))
