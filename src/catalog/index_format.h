/* SPDX-License-Identifier: Apache-2.0 */
/* How an index of an image layer lies on disk. doc/format.md is its prose. */
#ifndef PLYFS_CATALOG_INDEX_FORMAT_H
#define PLYFS_CATALOG_INDEX_FORMAT_H

#include "catalog/format.h"
#include "catalog/index.h"

/* Behind LMDB's pages: magic 8, version u32, zero u32, bytes before it u64, their XXH3-128 (low, high),
 * XXH3-64 of these 40. Whatever changes what an index says of a layer needs another version; 2: headers of hard
 * links count; 3: names know the order of the archive; 4: and whether they were deleted first. */
#define INDEX_MAGIC	     "plyfsidx"
#define INDEX_VERSION	     4
#define INDEX_TRAILER_SIZE   48
#define INDEX_TRAILER_SUMMED 40

/*
 * One table, so that a small layer is a few pages. The first byte of a key says what it is; the kinds are in the
 * order in which an index is written. Never reuse a number.
 */
#define INDEX_TABLE "index"
enum index_key {
	INDEX_KEY_POINTS = 1, /* number u32 -> a piece of the stream */
	INDEX_KEY_SUPER = 2,  /* text -> bytes */
	INDEX_KEY_NAME = 3,   /* parent u32, name -> INDEX_NAME_* and what follows */
	INDEX_KEY_INODE = 4,  /* ino u32 -> record */
	INDEX_KEY_XATTR = 5,  /* ino u32, name -> value */
	INDEX_KEY_UNION = 6,  /* number of the union u64 -> ino u32 */
};
#define INDEX_KEY_HEAD 5 /* the kind and one u32 */
#define INDEX_KEY_MAX  (INDEX_KEY_HEAD + NAME_SIZE_MAX)

/* The first byte of a name's value. */
enum index_name_kind {
	INDEX_NAME_WHITEOUT = 0, /* nothing follows */
	INDEX_NAME_RECORD = 1,	 /* number, place in the archive, then the record */
	INDEX_NAME_LINK = 2,	 /* d_type u8, number, place in the archive */
};

/* A value of this size fills overflow pages of LMDB without a gap. */
#define INDEX_PIECE (16 * 4096 - 16)

/* Numbers in records: seven bits a byte, low ones first, the top bit says that more follow; at most 10 bytes. */
void varint_put(struct buf *out, uint64_t v);
uint64_t varint_read(struct reader *r); /* an overlong one makes R bad */

void index_rec_encode(const struct index_rec *rec, struct buf *out);
/* Total: any bytes give 0, -EUCLEAN or -ENOMEM. Reads to the end of R. */
int index_rec_decode(struct reader *r, uint64_t ino, struct index_rec *ret_rec);

#endif
