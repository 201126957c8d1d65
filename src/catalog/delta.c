/* SPDX-License-Identifier: Apache-2.0 */
/* Items in a hash table, and in a treap for each group; all memory from blocks. */
#include "catalog/delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "catalog/record.h"

/* Small at first, as most containers change little; then in large steps. */
#define BLOCK_MIN ((size_t)64 << 10)
#define BLOCK_MAX ((size_t)1 << 20)

struct delta_block {
	struct delta_block *next;
	size_t used, size;
	_Alignas(16) uint8_t bytes[];
};

struct delta_group {
	struct table_node node;
	struct delta_item *root;
	uint64_t ino;
	uint8_t table;
	bool cleared;
};

/* Rounding, and the group that an item may need. */
#define ITEM_OVERHEAD (sizeof(struct delta_item) + sizeof(struct delta_group) + 48)

int delta_new(struct delta **ret_delta)
{
	struct delta *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	if (table_init(&d->items) < 0 || table_init(&d->groups) < 0) {
		delta_free(d);
		return -ENOMEM;
	}
	*ret_delta = d;
	return 0;
}

void delta_free(struct delta *d)
{
	if (d == NULL)
		return;
	while (d->blocks != NULL) {
		struct delta_block *next = d->blocks->next;

		free(d->blocks);
		d->blocks = next;
	}
	table_done(&d->items);
	table_done(&d->groups);
	free(d);
}

int delta_reserve(struct delta *d, size_t len, size_t n)
{
	/* A deletion of an inode makes one item. */
	size_t need = len + n * ITEM_OVERHEAD;
	struct delta_block *block = d->blocks;
	size_t size = d->bytes < BLOCK_MAX ? BLOCK_MIN : BLOCK_MAX;

	if (block != NULL && block->size - block->used >= need)
		return 0;
	if (size < need)
		size = need;
	block = malloc(sizeof(*block) + size);
	if (block == NULL)
		return -ENOMEM;
	*block = (struct delta_block){.next = d->blocks, .size = size};
	d->blocks = block;
	d->bytes += sizeof(*block) + size;
	return 0;
}

/* From the block that delta_reserve() has seen to. */
static void *take(struct delta *d, size_t size)
{
	struct delta_block *block = d->blocks;
	void *p = block->bytes + block->used;

	block->used += (size + 15) & ~(size_t)15;
	return p;
}

static uint64_t hash_of(enum catalog_table table, const void *key, size_t key_len)
{
	return hash64(key, key_len, table);
}

static struct delta_item *find(const struct delta *d, enum catalog_table table, const void *key,
			       size_t key_len)
{
	struct table_node *node = table_first(&d->items, hash_of(table, key, key_len));

	for (; node != NULL; node = table_next(node)) {
		struct delta_item *item = table_entry(node, struct delta_item, node);

		if (item->table == table && item->key_len == key_len &&
		    memcmp(item->key, key, key_len) == 0)
			return item;
	}
	return NULL;
}

static bool has_groups(enum catalog_table table)
{
	return table == TABLE_ENTRY || table == TABLE_XATTR || table == TABLE_CHUNKS;
}

static struct delta_group *find_group(const struct delta *d, enum catalog_table table, uint64_t ino)
{
	struct table_node *node = table_first(&d->groups, hash_of(table, &ino, sizeof(ino)));

	for (; node != NULL; node = table_next(node)) {
		struct delta_group *group = table_entry(node, struct delta_group, node);

		if (group->table == table && group->ino == ino)
			return group;
	}
	return NULL;
}

static struct delta_group *obtain_group(struct delta *d, enum catalog_table table, uint64_t ino)
{
	struct delta_group *group = find_group(d, table, ino);

	if (group != NULL)
		return group;
	group = take(d, sizeof(*group));
	*group = (struct delta_group){.ino = ino, .table = (uint8_t)table};
	table_add(&d->groups, &group->node, hash_of(table, &ino, sizeof(ino)));
	return group;
}

static int compare(const struct delta_item *a, const void *key, size_t key_len)
{
	return key_compare(a->key, a->key_len, key, key_len);
}

/* The hash is random, so it serves as the priority that keeps the tree flat. */
static void tree_add(struct delta_item **root, struct delta_item *item)
{
	struct delta_item **at = root, **less, **more, *rest;

	while (*at != NULL && (*at)->node.hash >= item->node.hash)
		at = compare(*at, item->key, item->key_len) < 0 ? &(*at)->right : &(*at)->left;
	/* ITEM takes this place; what was below it is split by ITEM's key. */
	rest = *at;
	*at = item;
	less = &item->left;
	more = &item->right;
	while (rest != NULL) {
		if (compare(rest, item->key, item->key_len) < 0) {
			*less = rest;
			less = &rest->right;
			rest = rest->right;
		} else {
			*more = rest;
			more = &rest->left;
			rest = rest->left;
		}
	}
	*less = *more = NULL;
}

static struct delta_item *obtain(struct delta *d, enum catalog_table table, const uint8_t *key,
				 size_t key_len)
{
	struct delta_item *item = find(d, table, key, key_len);

	if (item != NULL)
		return item;
	item = take(d, sizeof(*item) + key_len);
	*item = (struct delta_item){.table = (uint8_t)table, .key_len = (uint16_t)key_len};
	memcpy(item->key, key, key_len);
	table_add(&d->items, &item->node, hash_of(table, key, key_len));
	d->n_items++;
	if (has_groups(table))
		tree_add(&obtain_group(d, table, get_be64(key))->root, item);
	return item;
}

static void put(struct delta *d, const struct op *op)
{
	struct delta_item *item = obtain(d, op->table, op->key, op->key_len);
	uint8_t *value = (uint8_t *)(uintptr_t)item->value;

	/* A value that was deleted has lost its place. */
	if (value == NULL || op->value_len > item->value_cap) {
		value = take(d, op->value_len > 0 ? op->value_len : 1);
		item->value_cap = op->value_len;
	}
	if (op->value_len > 0)
		memcpy(value, op->value, op->value_len);
	item->value = value;
	item->value_len = op->value_len;
}

static void delete_all(struct delta_item *item)
{
	/* As deep as the tree, which is some tens. */
	for (; item != NULL; item = item->right) {
		item->value = NULL;
		delete_all(item->left);
	}
}

static void clear_group(struct delta_group *group)
{
	delete_all(group->root);
	group->cleared = true;
}

static void del_prefix(struct delta *d, const struct op *op)
{
	if (has_groups(op->table))
		clear_group(obtain_group(d, op->table, get_be64(op->key)));
	else
		obtain(d, op->table, op->key, op->key_len)->value = NULL;
}

static bool belongs_to_inode(enum catalog_table table)
{
	return table != TABLE_SUPER && table != TABLE_ENTRY && table != TABLE_INODE;
}

/* One item hides all that older deltas and the tables have; only this delta's own is looked for. */
static void del_inode(struct delta *d, const struct op *op)
{
	struct delta_item *item = obtain(d, TABLE_INODE, op->key, op->key_len);

	item->value = NULL;
	item->whole = true;
	for (enum catalog_table table = 0; table < N_TABLES; table++) {
		struct delta_group *group;

		if (!belongs_to_inode(table))
			continue;
		if (has_groups(table)) {
			group = find_group(d, table, get_be64(op->key));
			if (group != NULL)
				clear_group(group);
		} else {
			item = find(d, table, op->key, op->key_len);
			if (item != NULL)
				item->value = NULL;
		}
	}
}

void delta_apply(struct delta *d, const void *body, size_t len)
{
	struct reader r = reader_of(body, len);
	struct op op;

	while (op_next(&r, &op) > 0) {
		switch (op.kind) {
		case OP_PUT:
			put(d, &op);
			break;
		case OP_DEL:
			obtain(d, op.table, op.key, op.key_len)->value = NULL;
			break;
		case OP_DEL_PREFIX:
			del_prefix(d, &op);
			break;
		case OP_DEL_INODE:
			del_inode(d, &op);
			break;
		}
	}
}

/* Was the inode deleted as a whole in this delta? Whatever it has of it came after. */
static bool is_whole(const struct delta *d, uint64_t ino)
{
	uint8_t key[INO_KEY_SIZE];
	const struct delta_item *item;

	put_be64(key, ino);
	item = find(d, TABLE_INODE, key, sizeof(key));
	return item != NULL && item->whole;
}

bool delta_hides(const struct delta *d, enum catalog_table table, uint64_t ino)
{
	const struct delta_group *group = find_group(d, table, ino);

	return (group != NULL && group->cleared) || (belongs_to_inode(table) && is_whole(d, ino));
}

enum delta_answer delta_get(const struct delta *d, enum catalog_table table, const void *key,
			    size_t key_len, const struct delta_item **ret_item)
{
	const struct delta_item *item = find(d, table, key, key_len);

	if (item != NULL) {
		*ret_item = item;
		return item->value != NULL ? DELTA_VALUE : DELTA_DELETED;
	}
	if (table == TABLE_SUPER || table == TABLE_INODE || key_len < INO_KEY_SIZE)
		return DELTA_UNKNOWN;
	return delta_hides(d, table, get_be64(key)) ? DELTA_DELETED : DELTA_UNKNOWN;
}

const struct delta_item *delta_next(const struct delta *d, enum catalog_table table, uint64_t ino,
				    const void *key, size_t key_len, bool same)
{
	const struct delta_group *group = find_group(d, table, ino);
	const struct delta_item *at = group != NULL ? group->root : NULL, *best = NULL;

	while (at != NULL) {
		int diff = compare(at, key, key_len);

		if (diff > 0 || (same && diff == 0)) {
			best = at;
			at = at->left;
		} else {
			at = at->right;
		}
	}
	return best;
}

struct collected {
	void *array;
	size_t n;
};

static void collect_clear(struct table_node *node, void *arg)
{
	const struct delta_group *group = table_entry(node, struct delta_group, node);
	struct collected *c = arg;

	if (group->cleared)
		((struct delta_clear *)c->array)[c->n++] =
			(struct delta_clear){.ino = group->ino, .table = group->table};
}

int delta_clears(struct delta *d, struct delta_clear **ret_clears, size_t *ret_n)
{
	struct collected c = {
		.array = reallocarray(NULL, d->groups.count + 1, sizeof(struct delta_clear))};

	if (c.array == NULL)
		return -ENOMEM;
	table_each(&d->groups, collect_clear, &c);
	*ret_clears = c.array;
	*ret_n = c.n;
	return 0;
}

static void collect_item(struct table_node *node, void *arg)
{
	struct collected *c = arg;

	((const struct delta_item **)c->array)[c->n++] = table_entry(node, struct delta_item, node);
}

static int by_table_and_key(const void *a, const void *b)
{
	const struct delta_item *x = *(const struct delta_item *const *)a;
	const struct delta_item *y = *(const struct delta_item *const *)b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return compare(x, y->key, y->key_len);
}

int delta_sorted(struct delta *d, const struct delta_item ***ret_items, size_t *ret_n)
{
	struct collected c = {.array = reallocarray(NULL, d->n_items + 1, sizeof(void *))};

	if (c.array == NULL)
		return -ENOMEM;
	table_each(&d->items, collect_item, &c);
	qsort(c.array, c.n, sizeof(void *), by_table_and_key);
	*ret_items = c.array;
	*ret_n = c.n;
	return 0;
}
