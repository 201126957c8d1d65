/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive hash table with chains, about one node a bucket. */
#include "base/table.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE_MIN_BUCKETS 16
/* Halves when fewer than one bucket in this many is needed: far enough from growing again. */
#define TABLE_SPARSE 8

/*
 * The top bits of a product with 2^64 / phi: hashes that differ only in their high bits, or that
 * are plain counters, still spread.
 */
static size_t bucket_of(uint64_t hash, size_t n_buckets)
{
	return (size_t)((hash * 0x9e3779b97f4a7c15u) >> (64 - __builtin_ctzll(n_buckets)));
}

int table_init(struct table *t)
{
	struct table_node **buckets = calloc(TABLE_MIN_BUCKETS, sizeof(*buckets));

	if (buckets == NULL)
		return -ENOMEM;
	*t = (struct table){.buckets = buckets, .n_buckets = TABLE_MIN_BUCKETS};
	return 0;
}

void table_done(struct table *t)
{
	free(t->buckets);
	*t = (struct table){0};
}

/* Moves every node to N new buckets; when there is no memory, leaves them where they are. */
static void resize(struct table *t, size_t n)
{
	struct table_node **buckets = calloc(n, sizeof(*buckets));

	if (buckets == NULL)
		return;
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct table_node *node = t->buckets[i];

		while (node != NULL) {
			struct table_node *next = node->next;
			struct table_node **to = &buckets[bucket_of(node->hash, n)];

			node->next = *to;
			*to = node;
			node = next;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->n_buckets = n;
}

void table_add(struct table *t, struct table_node *node, uint64_t hash)
{
	struct table_node **to;

	if (t->count >= t->n_buckets && t->n_buckets <= SIZE_MAX / 4 / sizeof(*to))
		resize(t, t->n_buckets * 2);
	to = &t->buckets[bucket_of(hash, t->n_buckets)];
	node->hash = hash;
	node->next = *to;
	*to = node;
	t->count++;
}

void table_del(struct table *t, struct table_node *node)
{
	struct table_node **at = &t->buckets[bucket_of(node->hash, t->n_buckets)];

	while (*at != NULL && *at != node)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = node->next;
	node->next = NULL;
	t->count--;
	if (t->n_buckets > TABLE_MIN_BUCKETS && t->count < t->n_buckets / TABLE_SPARSE)
		resize(t, t->n_buckets / 2);
}

static struct table_node *same_hash(struct table_node *node, uint64_t hash)
{
	while (node != NULL && node->hash != hash)
		node = node->next;
	return node;
}

struct table_node *table_first(const struct table *t, uint64_t hash)
{
	if (t->n_buckets == 0)
		return NULL;
	return same_hash(t->buckets[bucket_of(hash, t->n_buckets)], hash);
}

struct table_node *table_next(const struct table_node *node)
{
	return same_hash(node->next, node->hash);
}

void table_each(struct table *t, void (*fn)(struct table_node *node, void *arg), void *arg)
{
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct table_node *node = t->buckets[i];

		while (node != NULL) {
			struct table_node *next = node->next;

			fn(node, arg);
			node = next;
		}
	}
}
