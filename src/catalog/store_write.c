/* SPDX-License-Identifier: Apache-2.0 */
/* Write transactions: a delta into the tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/sys.h"
#include "catalog/store.h"

/* On a full disk a transaction has so many steps, then a quarter, and in the end one. */
#define SMALL_STEP 64

/* A delta in the order in which it is applied. */
struct plan {
	struct delta_clear *clears;	 /* owned */
	const struct delta_item **items; /* owned; sorted: neighbours share pages */
	size_t n_clears, n_items;
};

static void plan_done(struct plan *p)
{
	free(p->clears);
	free(p->items);
}
DEFINE_CLEANUP(struct plan, plan, plan_done)

static int plan_make(struct delta *d, struct plan *p)
{
	int rc = delta_clears(d, &p->clears, &p->n_clears);

	return rc < 0 ? rc : delta_sorted(d, &p->items, &p->n_items);
}

static MDB_val val_of(const void *p, size_t len)
{
	return (MDB_val){.mv_size = len, .mv_data = (void *)(uintptr_t)p};
}

static int put(struct store *s, MDB_txn *txn, enum catalog_table table, MDB_val key, MDB_val value)
{
	return mdb_put(txn, s->write_dbi[table], &key, &value, 0);
}

static int del_key(struct store *s, MDB_txn *txn, enum catalog_table table, MDB_val key)
{
	int rc = mdb_del(txn, s->write_dbi[table], &key, NULL);

	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int del_prefix(struct store *s, MDB_txn *txn, enum catalog_table table, uint64_t ino)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	uint8_t prefix[INO_KEY_SIZE];
	MDB_val key = val_of(prefix, key_of_ino(prefix, ino));
	int rc = mdb_cursor_open(txn, s->write_dbi[table], &cursor);

	if (rc != 0)
		return rc;
	for (rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE); rc == 0;
	     rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT)) {
		if (key.mv_size < sizeof(prefix) ||
		    memcmp(key.mv_data, prefix, sizeof(prefix)) != 0)
			return 0;
		/* The cursor stays before the next key, which MDB_NEXT then returns. */
		rc = mdb_cursor_del(cursor, 0);
		if (rc != 0)
			break;
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Whatever the tables have of the inode, its names excepted. */
static int del_inode(struct store *s, MDB_txn *txn, uint64_t ino)
{
	int rc = 0;

	for (enum catalog_table table = 0; table < N_TABLES && rc == 0; table++) {
		if (table != TABLE_SUPER && table != TABLE_ENTRY)
			rc = del_prefix(s, txn, table, ino);
	}
	return rc;
}

static int apply_item(struct store *s, MDB_txn *txn, const struct delta_item *item)
{
	MDB_val key = val_of(item->key, item->key_len);

	if (item->value == NULL)
		return item->whole ? 0 : del_key(s, txn, item->table, key);
	return put(s, txn, item->table, key, val_of(item->value, item->value_len));
}

/* The steps of a plan: clears, then deletions of whole inodes, then items. */
static int apply_step(struct store *s, MDB_txn *txn, const struct plan *p, size_t i)
{
	const struct delta_item *item;

	if (i < p->n_clears)
		return del_prefix(s, txn, p->clears[i].table, p->clears[i].ino);
	i -= p->n_clears;
	if (i < p->n_items) {
		item = p->items[i];
		return item->whole ? del_inode(s, txn, get_be64(item->key)) : 0;
	}
	return apply_item(s, txn, p->items[i - p->n_items]);
}

static size_t count_steps(const struct plan *p)
{
	return p->n_clears + 2 * p->n_items;
}

static int put_number(struct store *s, MDB_txn *txn, const char *key, uint64_t number)
{
	uint8_t value[8];

	put_le64(value, number);
	return put(s, txn, TABLE_SUPER, val_of(key, strlen(key)), val_of(value, sizeof(value)));
}

static int put_mark(struct store *s, MDB_txn *txn, const struct store_mark *mark)
{
	int rc = put_number(s, txn, SUPER_APPLIED, mark->seq);

	/* Beyond that are numbers that only damage can have put into the tables. */
	if (rc == 0 && mark->next_ino <= NEXT_INO_MAX)
		rc = put_number(s, txn, SUPER_NEXT, mark->next_ino);
	return rc;
}

/* The table is the store's when the transaction is committed. */
static int make_table(struct store *s, MDB_txn *txn, enum catalog_table table)
{
	return mdb_dbi_open(txn, table_names[table], MDB_CREATE, &s->write_dbi[table]);
}

/* Steps FROM to TO in one transaction; MARK is written with the last one. */
static int apply_range(struct store *s, const struct plan *p, size_t from, size_t to,
		       const struct store_mark *mark)
{
	bool lacks_sums = s->write_dbi[TABLE_SUM] == NO_TABLE;
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return store_errno(rc);
	if (lacks_sums)
		rc = make_table(s, txn, TABLE_SUM);
	for (size_t i = from; i < to && rc == 0; i++)
		rc = apply_step(s, txn, p, i);
	if (rc == 0 && to == count_steps(p))
		rc = put_mark(s, txn, mark);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc != 0 && lacks_sums)
		s->write_dbi[TABLE_SUM] = NO_TABLE;
	return store_errno(rc);
}

static bool is_full(int rc)
{
	/* LMDB's EIO: only a part of a page was written. */
	return sys_is_full(rc) || rc == -EIO;
}

/* On a full disk: from step *FROM on, N steps a transaction. */
static int apply_slowly(struct store *s, const struct plan *p, size_t n,
			const struct store_mark *mark, size_t *from, int (*refresh)(void *arg),
			void *arg)
{
	size_t all = count_steps(p);
	int rc = 0;

	while (*from < all && rc == 0) {
		size_t to = *from + n < all ? *from + n : all;

		rc = apply_range(s, p, *from, to, mark);
		if (rc < 0)
			break;
		*from = to;
		/* Readers must leave a state before the second commit after it writes over its pages. */
		rc = refresh(arg);
	}
	return rc;
}

int store_apply(struct store *s, struct delta *d, const struct store_mark *mark,
		int (*refresh)(void *arg), void *arg)
{
	CLEANUP(plan) struct plan p = {0};
	size_t from = 0;
	int rc;

	if (s->env == NULL)
		return -EIO;
	rc = plan_make(d, &p);
	if (rc < 0)
		return rc;
	rc = apply_range(s, &p, 0, count_steps(&p), mark);
	for (size_t n = SMALL_STEP; refresh != NULL && is_full(rc) && n > 0; n /= 4)
		rc = apply_slowly(s, &p, n, mark, &from, refresh, arg);
	return rc;
}

int store_put_super(struct store *s, const char *key, const void *value, size_t len)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return store_errno(rc);
	rc = put(s, txn, TABLE_SUPER, val_of(key, strlen(key)), val_of(value, len));
	if (rc == 0)
		return store_errno(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return store_errno(rc);
}
