/* SPDX-License-Identifier: Apache-2.0 */
/* A delta: in memory, what batches changed that the LMDB file does not have yet. */
#ifndef PLYFS_CATALOG_DELTA_H
#define PLYFS_CATALOG_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "catalog/format.h"

/*
 * A delta lies over older deltas and the tables and says, for the keys it knows, what is there now.
 * It holds one item a key, the newest; an item without a value is a deletion. The items of one
 * inode in one table (a directory's names, an inode's xattrs, the segments of a chunk map) are also a
 * tree in the order of their keys, the group, which a deletion of them all clears at once.
 *
 * Items are never taken out; a delta is freed as a whole. Not locked: the owner's lock covers it, and
 * a delta that is not changed any more may be read by several threads.
 */
struct delta {
	struct table items;
	struct table groups;
	struct delta_block *blocks; /* owned; all memory of items and groups */
	size_t bytes;		    /* of the blocks */
	size_t n_items;
};

struct delta_item {
	struct table_node node;
	struct delta_item *left, *right; /* in the group's tree */
	const uint8_t *value;		 /* NULL: deleted */
	uint32_t value_len, value_cap;
	uint16_t key_len;
	uint8_t table;
	bool whole; /* of TABLE_INODE: nothing of this inode in older deltas and tables counts */
	uint8_t key[];
};

/* 0 or -ENOMEM. */
int delta_new(struct delta **ret_delta);
void delta_free(struct delta *d); /* NULL is fine */

/* Makes sure that delta_apply() of a body of LEN bytes with N changes finds memory: 0 or -ENOMEM. */
int delta_reserve(struct delta *d, size_t len, size_t n);
/* Applies the changes of BODY, which was checked, after delta_reserve(). */
void delta_apply(struct delta *d, const void *body, size_t len);

enum delta_answer {
	DELTA_UNKNOWN, /* ask what lies below */
	DELTA_VALUE,
	DELTA_DELETED,
};
/* What the delta says of a key; the item only with DELTA_VALUE. */
enum delta_answer delta_get(const struct delta *d, enum catalog_table table, const void *key,
			    size_t key_len, const struct delta_item **ret_item);

/* The keys of INO in TABLE (one of entry, xattr, chunks): nothing below this delta counts. */
bool delta_hides(const struct delta *d, enum catalog_table table, uint64_t ino);
/* The first item of INO in TABLE whose key is above KEY, or not below it with SAME; deletions too. */
const struct delta_item *delta_next(const struct delta *d, enum catalog_table table, uint64_t ino,
				    const void *key, size_t key_len, bool same);

/* What was cleared as a whole: all of INO's keys in TABLE. */
struct delta_clear {
	uint64_t ino;
	enum catalog_table table;
};
/* All clears, and all items sorted by table and key; owned arrays. 0 or -ENOMEM. */
int delta_clears(struct delta *d, struct delta_clear **ret_clears, size_t *ret_n);
int delta_sorted(struct delta *d, const struct delta_item ***ret_items, size_t *ret_n);

#endif
