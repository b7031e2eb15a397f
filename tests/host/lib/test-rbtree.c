/*
 * lib/rbtree.h against a table of what is in the tree, with all invariants checked after each step.
 */
#include "lib/rbtree.h"
#include "tests/host/lib/test.h"

#define KEYS	300

struct item {
	u64 key;
	u64 sum;		/* of the keys of the subtree */
	u64 first, last, gap;	/* its smallest and largest key, and largest difference of neighbours */
	struct rb_node node;
};

static struct item items[KEYS];
static bool present[KEYS];
static unsigned int updates;

static struct item *item_of(struct rb_node *node)
{
	return rb_entry(node, struct item, node);
}

static void update(struct rb_node *node)
{
	struct item *item = item_of(node), *left = rb_entry_safe(node->left, struct item, node);
	struct item *right = rb_entry_safe(node->right, struct item, node);

	updates++;
	item->sum = item->key + (left ? left->sum : 0) + (right ? right->sum : 0);
	item->first = left ? left->first : item->key;
	item->last = right ? right->last : item->key;
	item->gap = max(left ? left->gap : 0, right ? right->gap : 0);
	item->gap = max(item->gap, left ? item->key - left->last : 0);
	item->gap = max(item->gap, right ? right->first - item->key : 0);
}

/* Checks order, parents, colours and black height below node; returns the black height. */
static int check_subtree(struct rb_node *node, struct rb_node *parent, bool augmented)
{
	bool red;
	int left, right;

	if (!node)
		return 1;
	red = !(node->parent_color & 1);
	CHECK(rb_parent(node) == parent);
	CHECK(!(red && (!parent || !(parent->parent_color & 1))), "red below red, or red root");
	CHECK(!node->left || item_of(node->left)->key < item_of(node)->key);
	CHECK(!node->right || item_of(node->right)->key > item_of(node)->key);
	left = check_subtree(node->left, node, augmented);
	right = check_subtree(node->right, node, augmented);
	CHECK(left == right, "black heights %d and %d", left, right);
	if (augmented) {
		struct item was = *item_of(node);

		update(node);
		CHECK(was.sum == item_of(node)->sum && was.gap == item_of(node)->gap);
		CHECK(was.first == item_of(node)->first && was.last == item_of(node)->last);
	}
	return left + !red;
}

/* Checks the walks in both directions against the table. */
static void check_tree(const struct rb_root *root, bool augmented)
{
	struct rb_node *node = rb_first(root);
	struct item *item;
	int i;

	check_subtree(root->node, NULL, augmented);
	for (i = 0; i < KEYS; i++) {
		if (!present[i])
			continue;
		CHECK(node == &items[i].node);
		node = rb_next(node);
	}
	CHECK(!node);
	node = rb_last(root);
	for (i = KEYS; i-- > 0;) {
		if (!present[i])
			continue;
		CHECK(node == &items[i].node);
		node = rb_prev(node);
	}
	CHECK(!node);
	i = 0;
	rb_for_each_entry(item, root, node) {
		while (!present[i])
			i++;
		CHECK(item == &items[i++]);
	}
	CHECK(rb_empty_root(root) == !rb_first(root));
}

/* The place for a key; returns whether it is leftmost. */
static bool find_place(struct rb_root *root, u64 key, struct rb_node **parent, struct rb_node ***link)
{
	bool leftmost = true;

	*parent = NULL;
	*link = &root->node;
	while (**link) {
		*parent = **link;
		if (key < item_of(*parent)->key) {
			*link = &(*parent)->left;
		} else {
			*link = &(*parent)->right;
			leftmost = false;
		}
	}
	return leftmost;
}

static void reset(void)
{
	for (u64 i = 0; i < KEYS; i++) {
		items[i].key = i;
		present[i] = false;
	}
}

/* How many different keys a run uses: small trees have the odd shapes. */
static u64 some_keys(void)
{
	return one_in(2) ? 1 + rng_below(12) : KEYS;
}

static void run_model(rb_update_fn *fn)
{
	for (unsigned int run = 0; run < rounds(40); run++) {
		struct rb_root root = RB_ROOT;
		u64 keys = some_keys();

		reset();
		for (unsigned int step = 0; step < 500; step++) {
			u64 i = rng_below(keys);

			if (present[i]) {
				rb_erase_augmented(&items[i].node, &root, fn);
			} else {
				struct rb_node *parent, **link;

				find_place(&root, i, &parent, &link);
				rb_insert_augmented(&items[i].node, parent, link, &root, fn);
			}
			present[i] = !present[i];
			check_tree(&root, fn);
		}
	}
}

void test_rbtree_model(void)
{
	run_model(NULL);
}

void test_rbtree_augmented(void)
{
	struct rb_root root = RB_ROOT;
	struct rb_node *parent, **link;

	run_model(update);

	/* A change within a node, brought up to the root. */
	reset();
	for (u64 i = 0; i < KEYS; i++) {
		find_place(&root, i, &parent, &link);
		rb_insert_augmented(&items[i].node, parent, link, &root, update);
		present[i] = true;
	}
	items[KEYS - 1].key += 1000;
	updates = 0;
	rb_propagate(&items[KEYS - 1].node, update);
	CHECK(updates <= 18, "%u updates in a tree of %d", updates, KEYS);
	check_tree(&root, true);
}

void test_rbtree_cached(void)
{
	for (unsigned int run = 0; run < rounds(40); run++) {
		struct rb_root_cached root = RB_ROOT_CACHED;
		u64 keys = some_keys();

		reset();
		for (unsigned int step = 0; step < 500; step++) {
			u64 i = rng_below(keys);

			if (present[i]) {
				rb_erase_cached(&items[i].node, &root);
			} else {
				struct rb_node *parent, **link;
				bool leftmost = find_place(&root.root, i, &parent, &link);

				rb_insert_cached(&items[i].node, parent, link, &root, leftmost);
			}
			present[i] = !present[i];
			CHECK(rb_first_cached(&root) == rb_first(&root.root));
		}
		check_tree(&root.root, false);
	}
}

void test_rbtree_postorder(void)
{
	for (unsigned int run = 0; run < rounds(200); run++) {
		struct rb_root root = RB_ROOT;
		struct rb_node *tmp;
		struct item *item;
		u64 n = rng_below(60), seen = 0;

		/* Freed on the way: the sanitizer sees a node that is looked at too late. */
		for (u64 i = 0; i < n; i++) {
			struct rb_node *parent, **link;

			item = malloc(sizeof(*item));
			item->key = rng();
			find_place(&root, item->key, &parent, &link);
			rb_insert(&item->node, parent, link, &root);
		}
		rb_for_each_entry_postorder(item, tmp, &root, node) {
			seen++;
			free(item);
		}
		CHECK(seen == n);
	}
	reset();
	rb_clear_node(&items[0].node);
	CHECK(rb_empty_node(&items[0].node));
}
