/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding and decoding of keys, inode records and the changes in a batch. Pure. */
#ifndef PLYFS_CATALOG_RECORD_H
#define PLYFS_CATALOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "catalog/format.h"
#include "catalog/records.h"

/* Writes the key and returns its length. KEY has room for KEY_SIZE_MAX bytes; LEN is 1 to 255. */
size_t key_of_ino(uint8_t *key, uint64_t ino);
size_t key_of_entry(uint8_t *key, uint64_t parent, uint64_t hash, const char *name, size_t len);
size_t key_of_xattr(uint8_t *key, uint64_t ino, const char *name, size_t len);
size_t key_of_chunks(uint8_t *key, uint64_t ino, uint32_t segment);

/* The order of keys, as LMDB has it. */
static inline int key_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
	int diff = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return diff != 0 ? diff : (a_len > b_len) - (a_len < b_len);
}

/* Appends the value of an inode record (its number is in the key). blocks and blksize are not kept. */
void inode_encode(const struct inode_rec *rec, struct buf *out);

/* Is there one of the seven types in it? */
bool mode_has_type(uint32_t mode);

/* Total: any bytes give 0, -EUCLEAN or -ENOMEM. RET_REC is to be freed with inode_rec_done(). */
int inode_decode(const void *value, size_t len, uint64_t ino, struct inode_rec *ret_rec);
int sum_decode(const void *value, size_t len, struct sum_rec *ret_sum);
int entry_decode(const void *value, size_t len, struct entry_rec *ret_entry);

/* One change, as it lies in a batch; pointers into the batch. */
struct op {
	enum op_kind kind;
	enum catalog_table table;
	uint16_t key_len;
	uint32_t value_len;
	const uint8_t *key;
	const uint8_t *value;
};

/*
 * The next change in BODY: 1 and RET_OP, 0 at the end, -EBADMSG when the bytes are not a change that
 * a batch can hold. Total. After success, every length in RET_OP is right for its table.
 */
int op_next(struct reader *body, struct op *ret_op);

/* True when a record of TABLE can have a key and a value of these lengths. */
bool record_fits(enum catalog_table table, size_t key_len, size_t value_len);

/* Appends a change. */
void op_append(struct buf *body, enum op_kind kind, enum catalog_table table, const void *key,
	       size_t key_len, const void *value, size_t value_len);

#endif
