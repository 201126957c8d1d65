/* SPDX-License-Identifier: Apache-2.0 */
/* A batch: the changes of one operation, applied whole or not at all. */
#ifndef PLYFS_CATALOG_BATCH_H
#define PLYFS_CATALOG_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "catalog/records.h"

/*
 * A batch is the encoded body of one journal record, so that committing it is an append and a walk
 * over what was appended. Adders never fail: a failed allocation sticks and catalog_commit()
 * returns it as -ENOMEM. The order of the adders is the order in which they are applied. A batch
 * does not read the catalog, so it does not see its own changes. Zeroed memory is an empty batch.
 */
struct batch {
	struct buf body;
	uint32_t n;
	uint64_t seed; /* of the name hashes; set by batch_begin() */
};

struct catalog;

/* Empties B for use with C. */
void batch_begin(struct batch *b, const struct catalog *c);
void batch_done(struct batch *b);
DEFINE_CLEANUP(struct batch, batch, batch_done)

/* Names. NAME has LEN bytes, 1 to 255, no slash, no NUL. A put replaces. A delete of nothing is fine. */
void batch_put_entry(struct batch *b, uint64_t parent, const char *name, size_t len, uint64_t ino,
		     uint8_t dtype);
void batch_put_whiteout(struct batch *b, uint64_t parent, const char *name, size_t len);
void batch_del_entry(struct batch *b, uint64_t parent, const char *name, size_t len);
/* All names and whiteouts in a directory. */
void batch_del_entries(struct batch *b, uint64_t parent);

void batch_put_inode(struct batch *b, const struct inode_rec *rec);
/* The record with everything that hangs on it: xattrs, inline bytes, chunk map, orphan mark, sum. */
void batch_del_inode(struct batch *b, uint64_t ino);

void batch_put_xattr(struct batch *b, uint64_t ino, const char *name, const void *value,
		     size_t len);
void batch_del_xattr(struct batch *b, uint64_t ino, const char *name);

/* The whole inline content of a file or the target of a symlink; len 0 deletes it. */
void batch_put_inline(struct batch *b, uint64_t ino, const void *bytes, size_t len);

/*
 * Chunk maps: bit N of the map says that chunk N is in the data file. The map is kept in segments
 * of CHUNK_SEGMENT_BITS bits; segment S holds the chunks from S * CHUNK_SEGMENT_BITS on. BITS has
 * CHUNK_SEGMENT_BYTES bytes, bit 0 of byte 0 first.
 */
#define CHUNK_SEGMENT_BYTES 256
#define CHUNK_SEGMENT_BITS  (CHUNK_SEGMENT_BYTES * 8)
void batch_put_chunks(struct batch *b, uint64_t ino, uint32_t segment, const uint8_t *bits);
void batch_del_chunks(struct batch *b, uint64_t ino);

/* The checksum of the data file. A delete of none is fine. */
void batch_put_sum(struct batch *b, uint64_t ino, const struct sum_rec *sum);
void batch_del_sum(struct batch *b, uint64_t ino);

/* An inode without a name that is still in use; deleted at the next open of the catalog. */
void batch_put_orphan(struct batch *b, uint64_t ino);
void batch_del_orphan(struct batch *b, uint64_t ino);

/* A value of the super table, by name. */
void batch_put_super(struct batch *b, const char *key, const void *value, size_t len);

#endif
