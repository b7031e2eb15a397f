/*
 * Red-black trees that live inside the objects they order.
 *
 * The user searches for the place (the parent and the link in it) by its own comparison, then calls rb_insert().
 * Invariants: a red node has no red child; every path from the root to a null link has as many black nodes; the root
 * is black. So a tree of n nodes is at most 2 log2(n + 1) deep.
 *
 * Augmented trees keep in each node something about the nodes below it (the largest gap among them, say): `update`
 * recomputes it for one node from the node and its two children, and the _augmented functions call it bottom-up for
 * every node below which nodes came or went. It must not depend on the shape of the subtree.
 *
 * Locks: the caller's; readers must be excluded while the tree changes.
 */
#pragma once

#include "lib/types.h"

struct rb_node {
	unsigned long parent_color;	/* address of the parent, bit 0: black */
	struct rb_node *left, *right;
} __aligned(sizeof(long));

struct rb_root {
	struct rb_node *node;
};

/* A tree that remembers its first node. */
struct rb_root_cached {
	struct rb_root root;
	struct rb_node *leftmost;
};

#define RB_ROOT		((struct rb_root){ NULL })
#define RB_ROOT_CACHED	((struct rb_root_cached){ { NULL }, NULL })

#define rb_entry(ptr, type, member)	container_of(ptr, type, member)
#define rb_entry_safe(ptr, type, member) ({ \
	struct rb_node *__rb = (ptr); \
	__rb ? rb_entry(__rb, type, member) : NULL; })

typedef void rb_update_fn(struct rb_node *node);

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_color & ~1ul);
}

static inline bool rb_empty_root(const struct rb_root *root)
{
	return !READ_ONCE(root->node);
}

/* Marks a node as being in no tree, and asks that. rb_erase() does not mark. */
static inline void rb_clear_node(struct rb_node *node)
{
	node->parent_color = (unsigned long)node;
}

static inline bool rb_empty_node(const struct rb_node *node)
{
	return node->parent_color == (unsigned long)node;
}

/*
 * Puts node below parent at *link (which is null, and is &root->node if parent is null), then rebalances.
 * update may be null.
 */
void rb_insert_augmented(struct rb_node *node, struct rb_node *parent, struct rb_node **link, struct rb_root *root,
			 rb_update_fn *update);

#define RB_ALONE 1ul	/* parent_color of a root without children: no parent, black */

/* Takes node out of the tree. update may be null. */
void rb_erase_augmented(struct rb_node *node, struct rb_root *root, rb_update_fn *update);

/* Calls update for node and all its ancestors: after something in node changed that subtrees are computed from. */
void rb_propagate(struct rb_node *node, rb_update_fn *update);

static inline void rb_insert(struct rb_node *node, struct rb_node *parent, struct rb_node **link,
			     struct rb_root *root)
{
	rb_insert_augmented(node, parent, link, root, NULL);
}

static inline void rb_erase(struct rb_node *node, struct rb_root *root)
{
	rb_erase_augmented(node, root, NULL);
}

/* In order. They return null at the end. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

/* Children before their parent: the order in which a whole tree is freed without rebalancing. */
struct rb_node *rb_first_postorder(const struct rb_root *root);
struct rb_node *rb_next_postorder(const struct rb_node *node);

#define rb_for_each_entry(pos, root, member) \
	for (pos = rb_entry_safe(rb_first(root), __typeof__(*pos), member); \
	     pos; \
	     pos = rb_entry_safe(rb_next(&pos->member), __typeof__(*pos), member))

/* The body may free pos, but must not change the tree otherwise; tmp is a struct rb_node pointer. */
#define rb_for_each_entry_postorder(pos, tmp, root, member) \
	for (pos = rb_entry_safe(rb_first_postorder(root), __typeof__(*pos), member); \
	     pos && ((tmp = rb_next_postorder(&pos->member)), true); \
	     pos = rb_entry_safe(tmp, __typeof__(*pos), member))

/*
 * The cached variant. leftmost: whether the search for the place went left at every step. update may be null. A run
 * queue or a timer queue mostly has one node or none: a node that is alone comes and goes without a call.
 */
static inline void rb_insert_cached_augmented(struct rb_node *node, struct rb_node *parent, struct rb_node **link,
					      struct rb_root_cached *root, bool leftmost, rb_update_fn *update)
{
	if (leftmost)
		root->leftmost = node;
	if (!parent && !update) {
		node->parent_color = RB_ALONE;
		node->left = node->right = NULL;
		*link = node;
		return;
	}
	rb_insert_augmented(node, parent, link, &root->root, update);
}

static inline void rb_erase_cached_augmented(struct rb_node *node, struct rb_root_cached *root, rb_update_fn *update)
{
	if (root->root.node == node && !node->left && !node->right) {
		root->root.node = root->leftmost = NULL;
		return;
	}
	if (root->leftmost == node)
		root->leftmost = rb_next(node);
	rb_erase_augmented(node, &root->root, update);
}

static inline void rb_insert_cached(struct rb_node *node, struct rb_node *parent, struct rb_node **link,
				    struct rb_root_cached *root, bool leftmost)
{
	rb_insert_cached_augmented(node, parent, link, root, leftmost, NULL);
}

static inline void rb_erase_cached(struct rb_node *node, struct rb_root_cached *root)
{
	rb_erase_cached_augmented(node, root, NULL);
}

static inline struct rb_node *rb_first_cached(const struct rb_root_cached *root)
{
	return root->leftmost;
}
