/* SPDX-License-Identifier: Apache-2.0 */
/* A table of inodes. */
#include "tool/nodes.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/table.h"

struct nodes {
	struct table table;
	struct node **sorted; /* owned; as many as there were */
	size_t n_sorted;
};

struct kept {
	struct table_node table;
	struct node node;
};

struct nodes *nodes_new(void)
{
	struct nodes *t = calloc(1, sizeof(*t));

	if (t == NULL || table_init(&t->table) == 0)
		return t;
	free(t);
	return NULL;
}

static void free_one(struct table_node *n, void *arg)
{
	(void)arg;
	free(table_entry(n, struct kept, table));
}

void nodes_free(struct nodes *t)
{
	if (t == NULL)
		return;
	table_each(&t->table, free_one, NULL);
	table_done(&t->table);
	free(t->sorted);
	free(t);
}

size_t nodes_count(const struct nodes *t)
{
	return t->table.count;
}

struct node *nodes_find(const struct nodes *t, uint64_t ino)
{
	struct table_node *n;

	for (n = table_first(&t->table, hash_number(ino)); n != NULL; n = table_next(n)) {
		struct kept *k = table_entry(n, struct kept, table);

		if (k->node.ino == ino)
			return &k->node;
	}
	return NULL;
}

struct node *nodes_get(struct nodes *t, uint64_t ino)
{
	struct node *found = nodes_find(t, ino);
	struct kept *k;

	if (found != NULL)
		return found;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return NULL;
	k->node.ino = ino;
	table_add(&t->table, &k->table, hash_number(ino));
	return &k->node;
}

struct array {
	struct node **nodes;
	size_t n;
};

static void collect(struct table_node *n, void *arg)
{
	struct array *a = arg;

	a->nodes[a->n++] = &table_entry(n, struct kept, table)->node;
}

static int by_ino(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

struct node *const *nodes_sorted(struct nodes *t)
{
	struct array a = {0};

	if (t->sorted != NULL && t->n_sorted == t->table.count)
		return t->sorted;
	a.nodes = reallocarray(NULL, t->table.count + 1, sizeof(*a.nodes));
	if (a.nodes == NULL)
		return NULL;
	table_each(&t->table, collect, &a);
	qsort(a.nodes, a.n, sizeof(struct node *), by_ino);
	free(t->sorted);
	t->sorted = a.nodes;
	t->n_sorted = a.n;
	return t->sorted;
}

struct visit {
	void (*fn)(const struct node *n, void *arg);
	void *arg;
};

static void visit_one(struct table_node *n, void *arg)
{
	const struct visit *v = arg;

	v->fn(&table_entry(n, struct kept, table)->node, v->arg);
}

void nodes_each(const struct nodes *t, void (*fn)(const struct node *n, void *arg), void *arg)
{
	struct visit v = {fn, arg};

	/* The table is not changed: it only has no walk of its own for readers. */
	table_each((struct table *)(uintptr_t)&t->table, visit_one, &v);
}
