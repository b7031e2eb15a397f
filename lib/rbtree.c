/*
 * Red-black trees: insertion and deletion after Guibas and Sedgewick (1978), without a sentinel: a null link counts
 * as a black node. The two mirror images of each step are one function with a constant side.
 */
#include "lib/rbtree.h"

#define BLACK	1ul

enum side { LEFT, RIGHT };

static __always_inline struct rb_node *child(const struct rb_node *node, enum side side)
{
	return side == LEFT ? node->left : node->right;
}

static __always_inline void set_child(struct rb_node *node, enum side side, struct rb_node *to)
{
	if (side == LEFT)
		node->left = to;
	else
		node->right = to;
}

static __always_inline bool is_red(const struct rb_node *node)
{
	return node && !(node->parent_color & BLACK);
}

static __always_inline void set_parent(struct rb_node *node, const struct rb_node *parent)
{
	node->parent_color = (unsigned long)parent | (node->parent_color & BLACK);
}

static __always_inline void set_red(struct rb_node *node)
{
	node->parent_color &= ~BLACK;
}

static __always_inline void set_black(struct rb_node *node)
{
	node->parent_color |= BLACK;
}

/* Lets the link that points to old, in parent or in the root, point to new. */
static __always_inline void replace_link(struct rb_root *root, struct rb_node *parent, const struct rb_node *old,
					 struct rb_node *new)
{
	if (!parent)
		root->node = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
}

/*
 * Moves top down to the given side; its child of the other side takes its place. The set of nodes below the place
 * stays, so what is computed for the nodes above does too.
 */
static __always_inline void rotate(struct rb_root *root, struct rb_node *top, enum side side, rb_update_fn *update)
{
	struct rb_node *up = child(top, !side), *inner = child(up, side), *parent = rb_parent(top);

	set_child(top, !side, inner);
	if (inner)
		set_parent(inner, top);
	set_child(up, side, top);
	set_parent(up, parent);
	set_parent(top, up);
	replace_link(root, parent, top, up);
	if (update) {
		update(top);
		update(up);
	}
}

void rb_propagate(struct rb_node *node, rb_update_fn *update)
{
	for (; node; node = rb_parent(node))
		update(node);
}

/*
 * node and its parent, the child of grand on the given side, are both red. Returns the node that may now be red below
 * a red one, or null.
 */
static __always_inline struct rb_node *fix_red(struct rb_root *root, struct rb_node *node, struct rb_node *grand,
					       enum side side, rb_update_fn *update)
{
	struct rb_node *parent = child(grand, side), *uncle = child(grand, !side);

	if (is_red(uncle)) {
		set_black(parent);
		set_black(uncle);
		set_red(grand);
		return grand;
	}
	if (node == child(parent, !side)) {
		rotate(root, parent, side, update);
		parent = node;
	}
	set_black(parent);
	set_red(grand);
	rotate(root, grand, !side, update);
	return NULL;
}

void rb_insert_augmented(struct rb_node *node, struct rb_node *parent, struct rb_node **link, struct rb_root *root,
			 rb_update_fn *update)
{
	node->parent_color = (unsigned long)parent;
	node->left = NULL;
	node->right = NULL;
	*link = node;
	if (update)
		rb_propagate(node, update);

	while (node && (parent = rb_parent(node)) && is_red(parent)) {
		struct rb_node *grand = rb_parent(parent);

		if (parent == grand->left)
			node = fix_red(root, node, grand, LEFT, update);
		else
			node = fix_red(root, node, grand, RIGHT, update);
	}
	set_black(root->node);
}

/*
 * The paths through the child of parent on the given side (possibly null) have one black node too few. Returns the
 * node of which the same is true now, or null if the tree is right.
 */
static __always_inline struct rb_node *fix_black(struct rb_root *root, struct rb_node *parent, enum side side,
						 rb_update_fn *update)
{
	struct rb_node *sibling = child(parent, !side);

	if (is_red(sibling)) {
		set_black(sibling);
		set_red(parent);
		rotate(root, parent, side, update);
		sibling = child(parent, !side);
	}
	if (!is_red(sibling->left) && !is_red(sibling->right)) {
		set_red(sibling);
		if (!is_red(parent))
			return parent;
		set_black(parent);
		return NULL;
	}
	if (!is_red(child(sibling, !side))) {
		set_black(child(sibling, side));
		set_red(sibling);
		rotate(root, sibling, !side, update);
		sibling = child(parent, !side);
	}
	if (is_red(parent))
		set_red(sibling);
	else
		set_black(sibling);
	set_black(parent);
	set_black(child(sibling, !side));
	rotate(root, parent, side, update);
	return NULL;
}

void rb_erase_augmented(struct rb_node *node, struct rb_root *root, rb_update_fn *update)
{
	struct rb_node *parent = rb_parent(node), *orphan, *lowest = parent;
	bool lost_black;

	if (node->left && node->right) {
		/* The next node, which has no left child, takes the place and the colour of node. */
		struct rb_node *next = node->right;

		while (next->left)
			next = next->left;
		orphan = next->right;
		lost_black = !is_red(next);
		if (next == node->right) {
			lowest = next;
		} else {
			lowest = rb_parent(next);
			lowest->left = orphan;
			if (orphan)
				set_parent(orphan, lowest);
			next->right = node->right;
			set_parent(next->right, next);
		}
		next->left = node->left;
		set_parent(next->left, next);
		next->parent_color = node->parent_color;
		replace_link(root, parent, node, next);
	} else {
		orphan = node->left ? node->left : node->right;
		lost_black = !is_red(node);
		if (orphan)
			set_parent(orphan, parent);
		replace_link(root, parent, node, orphan);
	}

	if (update)
		rb_propagate(lowest, update);
	if (!lost_black)
		return;
	if (is_red(orphan)) {
		set_black(orphan);
		return;
	}
	/* orphan is the side that lacks a black node; it may be null, but then its sibling is not. */
	while (lowest) {
		if (lowest->left == orphan)
			orphan = fix_black(root, lowest, LEFT, update);
		else
			orphan = fix_black(root, lowest, RIGHT, update);
		if (!orphan)
			break;
		lowest = rb_parent(orphan);
	}
}

/* The last node on the way to one side. */
static __always_inline struct rb_node *outermost(struct rb_node *node, enum side side)
{
	if (node) {
		while (child(node, side))
			node = child(node, side);
	}
	return node;
}

/* The neighbour of node on one side. */
static __always_inline struct rb_node *neighbour(const struct rb_node *node, enum side side)
{
	struct rb_node *parent;

	if (child(node, side))
		return outermost(child(node, side), !side);
	while ((parent = rb_parent(node)) && node == child(parent, side))
		node = parent;
	return parent;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return outermost(root->node, LEFT);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return outermost(root->node, RIGHT);
}

struct rb_node *rb_next(const struct rb_node *node)
{
	return neighbour(node, RIGHT);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	return neighbour(node, LEFT);
}

/* The first leaf below node, to the left wherever there is a left. */
static struct rb_node *first_leaf(struct rb_node *node)
{
	while (node && (node->left || node->right))
		node = node->left ? node->left : node->right;
	return node;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return first_leaf(root->node);
}

struct rb_node *rb_next_postorder(const struct rb_node *node)
{
	struct rb_node *parent = rb_parent(node);

	if (parent && node == parent->left && parent->right)
		return first_leaf(parent->right);
	return parent;
}
