/* SPDX-License-Identifier: Apache-2.0 */
/* A compact copy of the tables: the way in which the file becomes smaller. */
#include <errno.h>

#include "catalog/store.h"

/* Records that one transaction of the copy has at most in memory. */
#define BATCH_RECORDS 20000

/* Transactions that copy: what is read, and what is written. */
struct copying {
	struct store *from, *to;
	MDB_txn *read, *write;
	size_t n; /* records since the last commit */
};

static void copying_done(struct copying *c)
{
	if (c->read != NULL)
		mdb_txn_abort(c->read);
	if (c->write != NULL)
		mdb_txn_abort(c->write);
	store_close(c->to);
}
DEFINE_CLEANUP(struct copying, copying, copying_done)

static int begin_writing(struct copying *c)
{
	c->n = 0;
	return mdb_txn_begin(c->to->env, NULL, 0, &c->write);
}

static int commit(struct copying *c)
{
	return mdb_txn_commit(steal_ptr(&c->write));
}

static int copy_table(struct copying *c, enum catalog_table table)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	MDB_val key, value;
	int rc;

	if (c->from->write_dbi[table] == NO_TABLE)
		return 0;
	rc = mdb_cursor_open(c->read, c->from->write_dbi[table], &cursor);
	if (rc != 0)
		return rc;
	for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); rc == 0;
	     rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		rc = mdb_put(c->write, c->to->dbi[table], &key, &value, MDB_APPEND);
		if (rc == 0 && ++c->n >= BATCH_RECORDS) {
			rc = commit(c);
			if (rc == 0)
				rc = begin_writing(c);
		}
		if (rc != 0)
			return rc;
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int store_copy(struct store *s, const char *path, size_t map_size)
{
	struct store_options options = {.create = true, .no_sync = true, .map_size = map_size};
	struct store to;
	CLEANUP(copying) struct copying c = {.from = s, .to = &to};
	int rc = store_open(&to, path, &options);

	if (rc < 0)
		return rc;
	rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &c.read);
	if (rc == 0)
		rc = begin_writing(&c);
	for (enum catalog_table table = 0; table < N_TABLES && rc == 0; table++)
		rc = copy_table(&c, table);
	if (rc == 0)
		rc = commit(&c);
	return store_errno(rc);
}
