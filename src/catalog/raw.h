/* SPDX-License-Identifier: Apache-2.0 */
/* Records as they lie in the tables, for those who mend a catalog: format.h describes them. */
#ifndef PLYFS_CATALOG_RAW_H
#define PLYFS_CATALOG_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/batch.h"
#include "catalog/format.h"
#include "catalog/record.h"

/*
 * Changes of a record by its key, whatever the key means. A key or a value of a length that TABLE
 * cannot have makes catalog_commit() fail with -EINVAL.
 */
void batch_put_raw(struct batch *b, enum catalog_table table, const void *key, size_t key_len,
		   const void *value, size_t value_len);
void batch_del_raw(struct batch *b, enum catalog_table table, const void *key, size_t key_len);
/* All records of TABLE (not of `super`) that hang on INO. */
void batch_del_all(struct batch *b, enum catalog_table table, uint64_t ino);

/* The parts of an entry's key; NAME points into it. */
struct entry_key {
	uint64_t parent, hash;
	const char *name; /* not terminated */
	size_t len;
};

/* False when it is no key of an entry. What the parts are worth is not looked at. */
bool entry_key_of(const uint8_t *key, size_t key_len, struct entry_key *ret_key);

/* What is wrong with an inode's record: a set. */
enum inode_fault {
	FAULT_TYPE = 1 << 0,   /* no such type; `mode` then has none */
	FAULT_MODE = 1 << 1,   /* bits that no mode has */
	FAULT_TIME = 1 << 2,   /* nanoseconds out of range; they are 0 then */
	FAULT_WHERE = 1 << 3,  /* no such place of bytes; it is `inline` then */
	FAULT_SHIFT = 1 << 4,  /* no such size of chunks; 0 then */
	FAULT_FLAGS = 1 << 5,  /* unknown flags; dropped */
	FAULT_ORIGIN = 1 << 6, /* what follows the attributes makes no sense; no origin then */
};

/*
 * Reads of a record what makes sense: 0 and RET_FAULTS (0: it is whole), -EUCLEAN when it is too
 * short for the attributes, -ENOMEM. RET_REC is to be freed with inode_rec_done(). Total.
 */
int inode_decode_loose(const void *value, size_t len, uint64_t ino, struct inode_rec *ret_rec,
		       unsigned int *ret_faults);

#endif
