/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog as it is now: the deltas over the tables. All under the catalog's lock. */
#ifndef PLYFS_CATALOG_VIEW_H
#define PLYFS_CATALOG_VIEW_H

#include "catalog/delta.h"
#include "catalog/store.h"

struct catalog;

/* 0 and RET_VALUE, which is valid until the next change; -ENOENT, -EUCLEAN, -EIO. */
int view_get(struct catalog *c, enum catalog_table table, const void *key, size_t key_len,
	     MDB_val *ret_value);

/* A walk over the keys of one inode in one of the tables entry, xattr and chunks. */
struct view_cursor {
	struct catalog *c;
	enum catalog_table table;
	uint64_t ino;
	MDB_cursor *lmdb;   /* owned; NULL when a delta hides all that the tables have */
	MDB_val key, value; /* of the tables' next record, unless `lmdb_end` */
	bool lmdb_end;
	const struct delta_item *items[2]; /* the deltas' next ones, from the newest delta on */
	unsigned int n_deltas;		   /* that count: those below are hidden */
};

/* Begins before FROM, which has the inode's number at its start. 0 or -errno. */
int view_begin(struct catalog *c, enum catalog_table table, const void *from, size_t from_len,
	       struct view_cursor *ret_cursor);
/* 0 and the next record, valid until the next change; -ENOENT at the end; -EUCLEAN, -EIO. */
int view_next(struct view_cursor *v, MDB_val *ret_key, MDB_val *ret_value);
void view_end(struct view_cursor *v);
DEFINE_CLEANUP(struct view_cursor, view, view_end)

#endif
