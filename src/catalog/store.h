/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment: one write transaction that lives from checkpoint to checkpoint. */
#ifndef PLYFS_CATALOG_STORE_H
#define PLYFS_CATALOG_STORE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/format.h"
#include "catalog/record.h"

/*
 * Everything, reads included, goes through the one write transaction, under the catalog's lock:
 * so a read sees every commit, and LMDB needs neither a lock file nor readers (MDB_NOLOCK,
 * MDB_NOTLS make that legal from any thread). Pointers that a read returns are valid until the next
 * write.
 *
 * After a failed write the transaction is spoiled: only store_close() is left. A closed store is
 * zeroed memory; every function returns -EIO for it.
 */
struct store {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi[N_TABLES];
	uint64_t writes;      /* pages that writes since the last commit can have made dirty */
	uint64_t total_pages; /* of all tables, when last looked at */
	uint64_t counted_at;  /* value of `writes` then */
};

/*
 * Opens the LMDB file PATH, which must have passed check_tree(), and begins a transaction. CREATE
 * makes the file and the tables. MAP_SIZE is how far the file may ever grow; where the address space
 * is limited it is halved until it fits.
 */
int store_open(struct store *s, const char *path, bool create, bool no_sync, size_t map_size);
/* What was not committed is gone. */
void store_close(struct store *s);

/*
 * LMDB says EIO when a file system takes only a part of a page, which is what a full one does:
 * -ENOSPC for -EIO when the file system of FD is full; other errors as they are.
 */
int store_full_errno(int fd, int error);

/*
 * Commits and begins the next transaction. On failure the store is closed: the caller opens it
 * again and replays the journal.
 */
int store_commit(struct store *s);

/* 0 and RET_VALUE, -ENOENT, -EUCLEAN, -EIO. */
int store_get(struct store *s, enum table table, const void *key, size_t key_len,
	      MDB_val *ret_value);
int store_put(struct store *s, enum table table, const void *key, size_t key_len, const void *value,
	      size_t value_len);

/* Applies one change, or a body of them. On failure the transaction is spoiled. */
int store_apply_op(struct store *s, const struct op *op);
int store_apply(struct store *s, const void *body, size_t len);

/* Opens a cursor in TABLE; to be closed with mdb_cursor_close() before the next write. */
int store_cursor(struct store *s, enum table table, MDB_cursor **ret_cursor);

/* At most so many pages are dirty, that is, in memory and to be written by the next commit. */
uint64_t store_dirty_pages(struct store *s);

/* -errno of an LMDB return code. */
int store_errno(int rc);

static inline void cursor_close_cleanup_(MDB_cursor **cursor)
{
	if (*cursor != NULL)
		mdb_cursor_close(*cursor);
}
#define CLEANUP_CURSOR __attribute__((cleanup(cursor_close_cleanup_)))

#endif
