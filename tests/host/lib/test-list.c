/*
 * lib/list.h against arrays.
 */
#include <pthread.h>

#include "lib/list.h"
#include "tests/host/lib/test.h"

#define ITEMS	32
#define LISTS	3

struct item {
	int number;
	struct list_head link;
};

/* The model: what each list holds, in order. */
struct model {
	int order[ITEMS];
	int n;
};

static void model_insert(struct model *m, int at, int number)
{
	memmove(&m->order[at + 1], &m->order[at], (size_t)(m->n - at) * sizeof(int));
	m->order[at] = number;
	m->n++;
}

static void model_remove(struct model *m, int number)
{
	int at = 0;

	while (m->order[at] != number)
		at++;
	m->n--;
	memmove(&m->order[at], &m->order[at + 1], (size_t)(m->n - at) * sizeof(int));
}

static void check_list(struct list_head *head, const struct model *m)
{
	struct item *item, *tmp;
	struct list_head *link;
	int i = 0;

	list_for_each_entry(item, head, link) {
		CHECK(i < m->n && item->number == m->order[i]);
		CHECK(list_is_last(&item->link, head) == (i == m->n - 1));
		i++;
	}
	CHECK(i == m->n);
	list_for_each_entry_reverse(item, head, link)
		CHECK(item->number == m->order[--i]);
	list_for_each_entry_safe(item, tmp, head, link)
		CHECK(item->number == m->order[i++]);
	list_for_each_entry_safe_reverse(item, tmp, head, link)
		CHECK(item->number == m->order[--i]);
	list_for_each(link, head)
		CHECK(list_entry(link, struct item, link)->number == m->order[i++]);

	CHECK(list_empty(head) == (m->n == 0) && list_is_singular(head) == (m->n == 1));
	if (m->n) {
		item = list_first_entry(head, struct item, link);
		CHECK(item->number == m->order[0] && item == list_first_entry_or_null(head, struct item, link));
		CHECK(list_last_entry(head, struct item, link)->number == m->order[m->n - 1]);
		i = 1;
		list_for_each_entry_continue(item, head, link)
			CHECK(item->number == m->order[i++]);
		CHECK(i == m->n);
	} else {
		CHECK(!list_first_entry_or_null(head, struct item, link));
	}
}

void test_list_model(void)
{
	struct list_head heads[LISTS];
	struct model models[LISTS] = { 0 };
	struct item items[ITEMS];
	int where[ITEMS];

	for (int i = 0; i < LISTS; i++)
		list_init(&heads[i]);
	for (int i = 0; i < ITEMS; i++) {
		items[i].number = i;
		list_init(&items[i].link);
		where[i] = -1;
	}
	for (unsigned int round = 0; round < rounds(20000); round++) {
		int i = (int)rng_below(ITEMS), to = (int)rng_below(LISTS), op = (int)rng_below(4);
		bool tail = op & 1;

		if (where[i] < 0) {
			CHECK(list_empty(&items[i].link));
			if (tail)
				list_add_tail(&items[i].link, &heads[to]);
			else
				list_add(&items[i].link, &heads[to]);
		} else {
			model_remove(&models[where[i]], i);
			if (op & 2) {
				if (tail) {
					list_del_init(&items[i].link);
				} else {
					list_del(&items[i].link);
					CHECK(!items[i].link.next && !items[i].link.prev);
					list_init(&items[i].link);
				}
				to = -1;
			} else if (tail) {
				list_move_tail(&items[i].link, &heads[to]);
			} else {
				list_move(&items[i].link, &heads[to]);
			}
		}
		if (to >= 0)
			model_insert(&models[to], tail ? models[to].n : 0, i);
		where[i] = to;
		for (int l = 0; l < LISTS; l++)
			check_list(&heads[l], &models[l]);
	}
}

void test_list_splice(void)
{
	for (unsigned int round = 0; round < rounds(500); round++) {
		LIST_HEAD(a);
		LIST_HEAD(b);
		struct model ma = { .n = 0 }, mb = { .n = 0 }, none = { .n = 0 }, *first, *second;
		struct item items[ITEMS];
		bool tail = one_in(2);

		for (int i = 0; i < ITEMS; i++) {
			bool to_a = one_in(2);

			items[i].number = i;
			if (one_in(3))
				continue;
			list_add_tail(&items[i].link, to_a ? &a : &b);
			model_insert(to_a ? &ma : &mb, to_a ? ma.n : mb.n, i);
		}
		if (tail)
			list_splice_tail(&a, &b);
		else
			list_splice(&a, &b);
		first = tail ? &mb : &ma;
		second = tail ? &ma : &mb;
		for (int i = 0; i < second->n; i++)
			first->order[first->n + i] = second->order[i];
		first->n += second->n;
		check_list(&b, first);
		check_list(&a, &none);
	}
}

struct hash_item {
	int number;
	struct hlist_node node;
};

void test_hlist_model(void)
{
	struct hlist_head head;
	struct model m = { .n = 0 };
	struct hash_item items[ITEMS], *item;
	struct hlist_node *tmp;

	hlist_init(&head);
	for (int i = 0; i < ITEMS; i++) {
		items[i].number = i;
		hlist_node_init(&items[i].node);
	}
	for (unsigned int round = 0; round < rounds(5000); round++) {
		int i = (int)rng_below(ITEMS), n = 0;

		if (hlist_unhashed(&items[i].node)) {
			hlist_add_head(&items[i].node, &head);
			model_insert(&m, 0, i);
		} else {
			hlist_del_init(&items[i].node);
			model_remove(&m, i);
			hlist_del_init(&items[i].node);
		}
		CHECK(hlist_empty(&head) == (m.n == 0));
		hlist_for_each_entry(item, &head, node)
			CHECK(n < m.n && item->number == m.order[n++]);
		CHECK(n == m.n);
	}
	hlist_for_each_entry_safe(item, tmp, &head, node) {
		hlist_del_init(&item->node);
		memset(item, 0xff, sizeof(*item));
	}
	CHECK(hlist_empty(&head));
}

struct stack_item {
	int number;
	int owner;
	struct llist_node node;
};

void test_llist_order(void)
{
	struct llist_head head;
	struct stack_item items[ITEMS], *item;
	struct llist_node *taken, *tmp;
	int n = ITEMS;

	llist_init(&head);
	CHECK(llist_empty(&head) && !llist_del_all(&head));
	for (int i = 0; i < ITEMS; i++) {
		items[i].number = i;
		CHECK(llist_add(&items[i].node, &head) == (i == 0));
	}
	taken = llist_del_all(&head);
	CHECK(llist_empty(&head));
	llist_for_each_entry(item, taken, node)
		CHECK(item->number == --n);
	CHECK(n == 0);
	taken = llist_reverse_order(taken);
	llist_for_each_entry_safe(item, tmp, taken, node) {
		CHECK(item->number == n++);
		memset(item, 0xff, sizeof(*item));
	}
	CHECK(n == ITEMS);
}

#define PRODUCERS	3
#define PUSHES		20000

static struct llist_head shared;
static atomic_t wakes, finished;

static void *produce(void *arg)
{
	struct stack_item *items = arg;

	for (int i = 0; i < PUSHES; i++) {
		if (llist_add(&items[i].node, &shared))
			atomic_inc(&wakes);
	}
	atomic_inc_return(&finished);
	return NULL;
}

/* Every node is taken once, those of a producer in its order, and one producer woke the consumer for each batch. */
void test_llist_threads(void)
{
	struct stack_item *items = malloc(sizeof(*items) * PRODUCERS * PUSHES), *item;
	int next[PRODUCERS] = { 0 }, batches = 0;
	pthread_t threads[PRODUCERS];
	bool last;

	llist_init(&shared);
	atomic_set(&wakes, 0);
	atomic_set(&finished, 0);
	for (int i = 0; i < PRODUCERS * PUSHES; i++) {
		items[i].number = i % PUSHES;
		items[i].owner = i / PUSHES;
	}
	for (int i = 0; i < PRODUCERS; i++)
		CHECK(pthread_create(&threads[i], NULL, produce, items + i * PUSHES) == 0);
	do {
		struct llist_node *taken, *tmp;

		last = atomic_read_acquire(&finished) == PRODUCERS;
		taken = llist_reverse_order(llist_del_all(&shared));
		batches += taken != NULL;
		llist_for_each_entry_safe(item, tmp, taken, node) {
			CHECK(item->number == next[item->owner], "%d", item->number);
			next[item->owner]++;
			item->number = -1;
		}
	} while (!last);
	for (int i = 0; i < PRODUCERS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(next[i] == PUSHES);
	}
	CHECK(atomic_read(&wakes) == batches, "%d wakes, %d batches", atomic_read(&wakes), batches);
	free(items);
}
