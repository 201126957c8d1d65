/* SPDX-License-Identifier: Apache-2.0 */
/* Reading through the deltas into the tables. */
#include "catalog/view.h"

#include <errno.h>
#include <string.h>

#include "catalog/internal.h"

/* The deltas from the newest on; none are NULL before the first that is. */
static const struct delta *delta_at(const struct catalog *c, unsigned int i)
{
	return i == 0 ? c->active : i == 1 ? c->frozen : NULL;
}

int view_get(struct catalog *c, enum catalog_table table, const void *key, size_t key_len,
	     MDB_val *ret_value)
{
	const struct delta_item *item;
	const struct delta *d;

	for (unsigned int i = 0; (d = delta_at(c, i)) != NULL; i++) {
		switch (delta_get(d, table, key, key_len, &item)) {
		case DELTA_VALUE:
			*ret_value = (MDB_val){.mv_size = item->value_len,
					       .mv_data = (void *)(uintptr_t)item->value};
			return 0;
		case DELTA_DELETED:
			return -ENOENT;
		case DELTA_UNKNOWN:
			break;
		}
	}
	return store_get(&c->store, table, key, key_len, ret_value);
}

/* Only the deltas down to the first that hides what is below it count; true when one does. */
static bool is_hidden(struct view_cursor *v)
{
	const struct delta *d;

	for (; (d = delta_at(v->c, v->n_deltas)) != NULL; v->n_deltas++) {
		if (delta_hides(d, v->table, v->ino)) {
			v->n_deltas++;
			return true;
		}
	}
	return false;
}

static int lmdb_step(struct view_cursor *v, MDB_cursor_op op)
{
	int rc = mdb_cursor_get(v->lmdb, &v->key, &v->value, op);

	if (rc != 0 && rc != MDB_NOTFOUND)
		return store_errno(rc);
	if (rc == 0 && (v->key.mv_size < INO_KEY_SIZE || v->key.mv_size > KEY_SIZE_MAX))
		return -EUCLEAN;
	v->lmdb_end = rc == MDB_NOTFOUND || get_be64(v->key.mv_data) != v->ino;
	return 0;
}

int view_begin(struct catalog *c, enum catalog_table table, const void *from, size_t from_len,
	       struct view_cursor *ret_cursor)
{
	struct view_cursor v = {.c = c, .table = table, .ino = get_be64(from)};
	int rc = 0;

	v.lmdb_end = is_hidden(&v);
	for (unsigned int i = 0; i < v.n_deltas; i++)
		v.items[i] = delta_next(delta_at(c, i), table, v.ino, from, from_len, true);
	if (!v.lmdb_end) {
		v.key = (MDB_val){from_len, (void *)(uintptr_t)from};
		rc = store_cursor(&c->store, table, &v.lmdb);
		if (rc == 0)
			rc = lmdb_step(&v, MDB_SET_RANGE);
	}
	if (rc < 0) {
		view_end(&v);
		return rc;
	}
	*ret_cursor = v;
	return 0;
}

void view_end(struct view_cursor *v)
{
	if (v->lmdb != NULL)
		mdb_cursor_close(v->lmdb);
	v->lmdb = NULL;
}

static bool is_at(const struct delta_item *item, const MDB_val *key)
{
	return item != NULL &&
	       key_compare(item->key, item->key_len, key->mv_data, key->mv_size) == 0;
}

/* The lowest key that any of them has next; the newest of those that have it. */
static const struct delta_item *lowest_item(const struct view_cursor *v)
{
	const struct delta_item *best = NULL;

	for (unsigned int i = 0; i < v->n_deltas; i++) {
		const struct delta_item *item = v->items[i];

		if (item != NULL && (best == NULL || key_compare(item->key, item->key_len,
								 best->key, best->key_len) < 0))
			best = item;
	}
	return best;
}

/* One step; 1: what is here was deleted. */
static int step(struct view_cursor *v, MDB_val *ret_key, MDB_val *ret_value)
{
	const struct delta_item *item = lowest_item(v);
	MDB_val key = v->key;

	if (item == NULL && v->lmdb_end)
		return -ENOENT;
	*ret_value = v->value;
	if (item != NULL && (v->lmdb_end || key_compare(item->key, item->key_len, v->key.mv_data,
							v->key.mv_size) <= 0)) {
		key = (MDB_val){item->key_len, (void *)(uintptr_t)item->key};
		*ret_value = (MDB_val){item->value_len, (void *)(uintptr_t)item->value};
	} else {
		item = NULL;
	}
	*ret_key = key;
	for (unsigned int i = 0; i < v->n_deltas; i++) {
		if (is_at(v->items[i], &key))
			v->items[i] = delta_next(delta_at(v->c, i), v->table, v->ino, key.mv_data,
						 key.mv_size, false);
	}
	/* The pages of the tables do not change under a read, so what is returned stays valid. */
	if (!v->lmdb_end &&
	    key_compare(key.mv_data, key.mv_size, v->key.mv_data, v->key.mv_size) == 0) {
		int rc = lmdb_step(v, MDB_NEXT);

		if (rc < 0)
			return rc;
	}
	return item != NULL && item->value == NULL;
}

int view_next(struct view_cursor *v, MDB_val *ret_key, MDB_val *ret_value)
{
	int rc;

	do {
		rc = step(v, ret_key, ret_value);
	} while (rc > 0);
	return rc;
}
