/* SPDX-License-Identifier: Apache-2.0 */
/* What the catalog stores, as values in memory. How they lie on disk is catalog/format.h's. */
#ifndef PLYFS_CATALOG_RECORDS_H
#define PLYFS_CATALOG_RECORDS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "attr/attr.h"
#include "base/cleanup.h"
#include "base/hash.h"

#define CATALOG_ROOT_INO 1

/*
 * Inode numbers. New inodes are numbered from 2 upwards, below 2^48. An inode that began in a lower
 * layer keeps the number under which the union shows it (union/ino.h), which is 2^48 or more. So a
 * number never changes through copy-up, and a record found under the number of a lower file is that
 * file's record, under whichever of its names it was reached; unless the layers have changed since: see
 * INODE_OTHER_LAYERS.
 */
#define CATALOG_FIRST_LOWER_INO ((uint64_t)1 << 48)

/* Where the bytes of a regular file are. Values are on disk: never reuse one. */
enum bytes_where {
	BYTES_INLINE = 0, /* in the catalog; also the target of a symlink */
	BYTES_FILE =
		1, /* in the data file of this inode; its size is the data file's, and often its mtime */
	BYTES_LOWER = 2, /* in the lower file at `origin`; nothing of ours */
	BYTES_CHUNKS =
		3, /* as FILE, but chunks not in the chunk map are read from the lower file */
};

/* Flags of an inode. Values are on disk. */
enum inode_flags {
	INODE_HAS_XATTRS = 1 << 0, /* may be set although the last one is gone */
	INODE_HAS_ACL = 1 << 1,	   /* has system.posix_acl_access or _default (may be stale-true) */
	INODE_HAS_CAPS = 1 << 2,   /* has security.capability (may be stale-true) */
	INODE_OTHER_LAYERS =
		1 << 3, /* made over other lower layers: its number says nothing of theirs */
	INODE_LOST_NAME =
		1
		<< 4, /* of a lower file; has lost a name: the count may be of names that nobody sees */
	INODE_HAS_MTIME = 1 << 5, /* FILE, CHUNKS: see stale_mtime */
};

/*
 * An inode of the upper layer. `attr` holds type, mode, owner (as stored), nlink, rdev, times; size
 * is authoritative for INLINE and LOWER, and of no meaning for FILE and CHUNKS. nlink 0 is an
 * orphan; nlink 1 of a directory says "not counted".
 */
struct inode_rec {
	struct attr attr;
	enum bytes_where where;
	uint32_t flags;
	uint8_t chunk_shift; /* CHUNKS: a chunk is 1 << chunk_shift bytes */
	uint64_t lower_size; /* LOWER, CHUNKS: bytes from here on are not the lower file's */
	/*
	 * With INODE_HAS_MTIME: inode_mtime_tag() of what the data file had for an mtime when the one here was set. A data file
	 * that still has it was not given the new one, as its owner was killed: then the one here counts.
	 */
	uint64_t stale_mtime;
	uint64_t parent; /* directories: the ino of the parent; 0 otherwise */
	char *origin;	 /* owned; path in the lower union, "" for its root, no leading slash;
				 NULL: nothing of a lower layer shows through */
};

static inline uint64_t inode_mtime_tag(const struct timespec *mtime)
{
	return (uint64_t)mtime->tv_sec * 1000000000 + (uint64_t)mtime->tv_nsec;
}

static inline bool inode_has_file(const struct inode_rec *rec)
{
	return rec->where == BYTES_FILE || rec->where == BYTES_CHUNKS;
}

#define INODE_ORIGIN_MAX 65535 /* bytes of an origin */

void inode_rec_done(struct inode_rec *rec);
DEFINE_CLEANUP(struct inode_rec, inode_rec, inode_rec_done)

/*
 * A checksum of an inode's data file, and the state of the file that it belongs to: with another size
 * or mtime it says nothing.
 */
struct sum_rec {
	uint64_t size;
	struct timespec mtime;
	struct hash128 hash;
};

/* A name: an inode, or a whiteout (dtype DT_WHT, ino 0). */
struct entry_rec {
	uint64_t ino;
	uint8_t dtype;
};

static inline bool entry_is_whiteout(const struct entry_rec *e)
{
	return e->dtype == DT_WHT;
}

#endif
