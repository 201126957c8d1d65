/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment: the tables as of the last checkpoint, and how a delta gets into them. */
#ifndef PLYFS_CATALOG_STORE_H
#define PLYFS_CATALOG_STORE_H

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/delta.h"
#include "catalog/format.h"
#include "catalog/record.h"

/*
 * Reads go through one read transaction under the catalog's lock; it shows the tables as they were
 * when it was last refreshed. One writer at a time, which needs no lock, applies a delta meanwhile:
 * LMDB never overwrites pages of its last two committed states, and the read transaction is at the last
 * one. So LMDB needs neither its lock file nor its table of readers (MDB_NOLOCK; MDB_NOTLS makes the
 * read transaction legal from any thread). Pointers that a read returns are valid until the refresh.
 *
 * A closed store is zeroed memory; every function returns -EIO for it.
 */
struct store {
	MDB_env *env;
	MDB_txn *read;
	MDB_dbi dbi[N_TABLES];	     /* for reads; changed by the refresh */
	MDB_dbi write_dbi[N_TABLES]; /* the writer's own */
};

/* A table that catalogs made by older programs do not have; the next store_apply() makes it. */
#define NO_TABLE UINT32_MAX

struct store_options {
	bool create;  /* makes the file and the tables */
	bool no_sync; /* commits do not wait for the disk */
	size_t map_size;
};

/*
 * Opens the LMDB file PATH, which must have passed check_tree(). MAP_SIZE is how far the file may ever
 * grow; where the address space is limited it is halved until it fits.
 */
int store_open(struct store *s, const char *path, const struct store_options *options);
void store_close(struct store *s);

/*
 * LMDB says EIO when a file system takes only a part of a page, which is what a full one does:
 * -ENOSPC for -EIO when the file system of FD is full; other errors as they are.
 */
int store_full_errno(int fd, int error);

/* 0 and RET_VALUE, -ENOENT, -EUCLEAN, -EIO. */
int store_get(struct store *s, enum catalog_table table, const void *key, size_t key_len,
	      MDB_val *ret_value);
/* Opens a cursor in TABLE (-ENOENT: there is no such table yet); to be closed with mdb_cursor_close() before the next refresh. */
int store_cursor(struct store *s, enum catalog_table table, MDB_cursor **ret_cursor);
/* Reads see what was committed meanwhile. Under the catalog's lock. */
int store_refresh(struct store *s);

/* How many of the file's pages are free, and how many there are. Under the catalog's lock. */
struct store_space {
	uint64_t pages, free;
	uint32_t page_size;
};
int store_space(struct store *s, struct store_space *ret_space);

/* What the table super says of the other ones, once a delta is in them. */
struct store_mark {
	uint64_t seq;	   /* SUPER_APPLIED: the number of the delta's last batch */
	uint64_t next_ino; /* SUPER_NEXT */
};

/*
 * store_write.c, for the one writer: applies D, and says what MARK does, durably. 0; -ENOSPC,
 * -EDQUOT, -EIO, -ENOMEM: then the tables may have a part of D, which is no harm as long as the journal
 * that has all of it is there: applying it again, from its start, gives the same as applying it once. On a
 * full disk it is applied in small steps, which need little space; REFRESH is called between them, and
 * calls store_refresh() under the lock. REFRESH is NULL where there is no such journal: D is applied whole or not at
 * all. D is not changed.
 */
int store_apply(struct store *s, struct delta *d, const struct store_mark *mark,
		int (*refresh)(void *arg), void *arg);
/* One value of the table super. */
int store_put_super(struct store *s, const char *key, const void *value, size_t len);

/* store_copy.c, for the one writer: makes the file PATH, a copy of all tables without free pages; not
 * synced. On failure a part of it may be there. */
int store_copy(struct store *s, const char *path, size_t map_size);

/* -errno of an LMDB return code. */
int store_errno(int rc);

static inline void cursor_close_cleanup_(MDB_cursor **cursor)
{
	if (*cursor != NULL)
		mdb_cursor_close(*cursor);
}
#define CLEANUP_CURSOR __attribute__((cleanup(cursor_close_cleanup_)))

#endif
