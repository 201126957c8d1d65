/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of base/table. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/table.h"
#include "unit/base/fixture.h"

struct item {
	uint64_t key;
	struct table_node node;
	int visits;
};

static struct item *find(const struct table *t, uint64_t key, uint64_t hash)
{
	for (struct table_node *n = table_first(t, hash); n != NULL; n = table_next(n)) {
		struct item *item = table_entry(n, struct item, node);

		if (item->key == key)
			return item;
	}
	return NULL;
}

static void setup_table(struct table *t)
{
	cr_assert_eq(table_init(t), 0);
	cr_assert_eq(t->count, 0);
}

Test(table, a_zeroed_table_may_be_freed_and_searched)
{
	struct table t = {0};

	cr_assert_null(table_first(&t, 1));
	table_done(&t);
}

Test(table, entry_of_nothing_is_nothing)
{
	struct table_node *none = NULL;

	cr_assert_null(table_entry(none, struct item, node));
}

Test(table, equal_hashes_are_told_apart_by_walking)
{
	struct item items[50] = {0};
	struct table t;
	size_t n = 0;

	setup_table(&t);
	for (size_t i = 0; i < 50; i++) {
		items[i].key = i;
		table_add(&t, &items[i].node, i < 40 ? 7 : 8);
	}
	for (size_t i = 0; i < 50; i++) {
		cr_assert_eq(find(&t, i, i < 40 ? 7 : 8), &items[i]);
		cr_assert_null(find(&t, i, i < 40 ? 8 : 7));
	}
	for (struct table_node *node = table_first(&t, 7); node != NULL; node = table_next(node))
		n++;
	cr_assert_eq(n, 40);
	for (size_t i = 0; i < 50; i += 2)
		table_del(&t, &items[i].node);
	for (size_t i = 0; i < 50; i++)
		cr_assert_eq(find(&t, i, i < 40 ? 7 : 8), i % 2 != 0 ? &items[i] : NULL);
	table_done(&t);
}

Test(table, a_walk_stays_with_its_hash)
{
	static struct item items[3000];
	struct rng g = rng_seeded(0x3a1);
	uint64_t hashes[1000];
	struct table t;

	setup_table(&t);
	for (uint64_t i = 0; i < 1000; i++)
		hashes[i] = rng_next(&g);
	for (uint64_t i = 0; i < 3000; i++)
		table_add(&t, &items[i].node, hashes[i / 3]);
	for (uint64_t n = 0; n < 1000; n++) {
		uint64_t hash = hashes[n];
		struct table_node *node = table_first(&t, hash);

		for (int i = 0; i < 3; i++, node = table_next(node)) {
			cr_assert_not_null(node);
			cr_assert_eq(node->hash, hash);
		}
		cr_assert_null(node);
	}
	table_done(&t);
}

Test(table, at_the_brink_it_does_not_go_back_and_forth)
{
	static struct item items[1025];
	struct table_node **buckets;
	struct table t;

	setup_table(&t);
	for (uint64_t i = 0; i < 1025; i++)
		table_add(&t, &items[i].node, i);
	buckets = t.buckets;
	for (uint64_t i = 0; i < 1025; i += 2) {
		table_del(&t, &items[i].node);
		cr_assert_eq(t.buckets, buckets);
	}
	for (uint64_t i = 0; i < 1025; i += 2) {
		table_add(&t, &items[i].node, i);
		cr_assert_eq(t.buckets, buckets);
	}
	table_done(&t);
}

/* Hashes of several shapes, good and bad. */
static uint64_t shaped_hash(int shape, uint64_t key)
{
	switch (shape) {
	case 0:
		return hash64(&key, sizeof(key), 0);
	case 1:
		return key;
	case 2:
		return key << 40;
	default:
		return key * 4096;
	}
}

static size_t longest_chain(const struct table *t)
{
	size_t longest = 0;

	for (size_t i = 0; i < t->n_buckets; i++) {
		size_t n = 0;

		for (struct table_node *node = t->buckets[i]; node != NULL; node = node->next)
			n++;
		if (n > longest)
			longest = n;
	}
	return longest;
}

#define MANY 100000

static void grow_and_shrink(int shape)
{
	struct item *items = calloc(MANY, sizeof(*items));
	struct table t;

	cr_assert_not_null(items);
	setup_table(&t);
	for (uint64_t i = 0; i < MANY; i++) {
		items[i].key = i;
		table_add(&t, &items[i].node, shaped_hash(shape, i));
	}
	cr_assert_eq(t.count, MANY);
	cr_assert_geq(t.n_buckets, MANY);
	cr_assert_leq(longest_chain(&t), 16, "shape %d: %zu", shape, longest_chain(&t));
	for (uint64_t i = 0; i < MANY; i++)
		cr_assert_eq(find(&t, i, shaped_hash(shape, i)), &items[i]);
	cr_assert_null(find(&t, MANY, shaped_hash(shape, MANY)));
	for (uint64_t i = 0; i < MANY; i++) {
		if (i % 1000 != 0)
			table_del(&t, &items[i].node);
	}
	cr_assert_eq(t.count, MANY / 1000);
	cr_assert_leq(t.n_buckets, 1024);
	for (uint64_t i = 0; i < MANY; i++)
		cr_assert_eq(find(&t, i, shaped_hash(shape, i)), i % 1000 == 0 ? &items[i] : NULL);
	for (uint64_t i = 0; i < MANY; i += 1000)
		table_del(&t, &items[i].node);
	cr_assert_eq(t.count, 0);
	cr_assert_eq(t.n_buckets, 16);
	table_done(&t);
	free(items);
}

Test(table, a_hundred_thousand_nodes_of_good_hashes)
{
	grow_and_shrink(0);
}

Test(table, counters_as_hashes)
{
	grow_and_shrink(1);
}

Test(table, hashes_that_differ_in_high_bits)
{
	grow_and_shrink(2);
}

Test(table, hashes_that_are_multiples)
{
	grow_and_shrink(3);
}

Test(table, random_adds_and_dels_agree_with_a_model)
{
	struct rng g = rng_seeded(0x7ab1e);
	static struct item items[3000];
	static bool in[3000];
	struct table t;
	size_t count = 0;

	setup_table(&t);
	for (int step = 0; step < 200000; step++) {
		uint32_t i = rng_below(&g, 3000);

		/* Waves, so that the table grows and shrinks many times. */
		if ((step / 5000) % 2 == 0 ? !in[i] : !in[i] && rng_below(&g, 8) == 0) {
			items[i].key = i;
			table_add(&t, &items[i].node, i / 3);
			in[i] = true;
			count++;
		} else if (in[i] && ((step / 5000) % 2 != 0 || rng_below(&g, 8) == 0)) {
			table_del(&t, &items[i].node);
			in[i] = false;
			count--;
		}
		cr_assert_eq(t.count, count);
		cr_assert_eq(find(&t, i, i / 3), in[i] ? &items[i] : NULL);
	}
	table_done(&t);
}

static void visit(struct table_node *node, void *arg)
{
	struct item *item = table_entry(node, struct item, node);

	item->visits++;
	(*(size_t *)arg)++;
}

static void free_item(struct table_node *node, void *arg)
{
	(*(size_t *)arg)++;
	free(table_entry(node, struct item, node));
}

Test(table, each_visits_every_node_once_and_may_free_it)
{
	struct table t;
	size_t n = 0;

	setup_table(&t);
	for (uint64_t i = 0; i < 1000; i++) {
		struct item *item = calloc(1, sizeof(*item));

		cr_assert_not_null(item);
		item->key = i;
		table_add(&t, &item->node, i / 7);
	}
	table_each(&t, visit, &n);
	cr_assert_eq(n, 1000);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert_eq(find(&t, i, i / 7)->visits, 1);
	n = 0;
	table_each(&t, free_item, &n);
	cr_assert_eq(n, 1000);
	table_done(&t);
}

Test(table, deleting_what_is_not_there_does_no_harm)
{
	struct item a = {0}, b = {0};
	struct table t;

	setup_table(&t);
	table_add(&t, &a.node, 1);
	b.node.hash = 1;
	table_del(&t, &b.node);
	cr_assert_eq(t.count, 1);
	cr_assert_eq(table_first(&t, 1), &a.node);
	table_done(&t);
}
