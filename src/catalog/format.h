/* SPDX-License-Identifier: Apache-2.0 */
/* The on-disk format: file names, tables, keys, records, journal. doc/format.md is its prose. */
#ifndef PLYFS_CATALOG_FORMAT_H
#define PLYFS_CATALOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Integers in values are little-endian, the byte order of the machines we run on. Integers in keys
 * are big-endian, so that LMDB's order of keys (memcmp) is the order of the numbers: the names of a
 * directory, the xattrs of an inode and the segments of a chunk map each lie together.
 */
#define FORMAT_VERSION 1

#define CATALOG_FILE	 "catalog.mdb"
#define CATALOG_FILE_NEW "catalog.mdb.new" /* a catalog being made; renamed when it is whole */
#define SPARE_FILE	 "spare%u"
#define SUM_FILE	 "catalog.sum"
#define SUM_FILE_NEW	 "catalog.sum.new"
#define JOURNAL_FILE	 "journal"
#define JOURNAL_FILE_2	 "journal2"
#define JOURNAL_FILE_BAD "journal.bad-%u"
#define LOCK_FILE	 "lock"
#define VOLATILE_FILE	 "volatile" /* empty: an owner has flushed nothing; see volatile.c */

/* Bytes of the lock file: who owns the catalog, and who changes catalog.mdb and the journal. */
#define LOCK_OWNER_BYTE	  0
#define LOCK_GATE_BYTE	  1
#define LOCK_CLOSING_BYTE 2 /* held by an owner that is about to let go */

/* Tables. Numbers are on disk, in journal records: never reuse one. */
enum catalog_table {
	TABLE_SUPER,  /* text name -> bytes */
	TABLE_ENTRY,  /* parent ino, hash of name, name -> dtype, ino */
	TABLE_INODE,  /* ino -> inode record */
	TABLE_XATTR,  /* ino, name -> value */
	TABLE_INLINE, /* ino -> bytes */
	TABLE_CHUNKS, /* ino, segment -> CHUNK_SEGMENT_BYTES bytes */
	TABLE_ORPHAN, /* ino -> nothing */
	TABLE_SUM, /* ino -> checksum of its data file; not in catalogs made before it was known */
	N_TABLES,
};
extern const char *const table_names[N_TABLES];
/* -1: no table has this name. */
int table_by_name(const void *name, size_t len);

#define INO_KEY_SIZE	 8
#define ENTRY_KEY_PREFIX 16 /* parent, hash; the name follows */
#define ENTRY_VALUE_SIZE 9
#define CHUNKS_KEY_SIZE	 12
#define NAME_SIZE_MAX	 255
#define XATTR_VALUE_MAX	 65536
#define INLINE_SIZE_MAX	 65536
#define ORIGIN_SIZE_MAX	 65535
#define SUM_VALUE_SIZE	 36
#define SUPER_KEY_MAX	 64
#define SUPER_VALUE_MAX	 (1u << 20)
#define INODE_VALUE_MIN	 92 /* the origin follows, if there is one */
#define INODE_VALUE_MAX	 (INODE_VALUE_MIN + ORIGIN_SIZE_MAX)
#define KEY_SIZE_MAX	 (ENTRY_KEY_PREFIX + NAME_SIZE_MAX)

/* Values of the super table that the catalog itself keeps. */
#define SUPER_FORMAT "catalog.format" /* u32: FORMAT_VERSION */
#define SUPER_SEED   "catalog.seed"   /* u64 */
#define SUPER_APPLIED                                                                              \
	"catalog.applied" /* u64: sequence number of the last journal record in the tables */
#define SUPER_NEXT "catalog.next" /* u64: no new inode may get a number below it; may be missing */

/* What no upper gets to in a hundred years: a higher SUPER_NEXT is none. */
#define NEXT_INO_MAX ((uint64_t)1 << 47)

/*
 * One change in the body of a journal record: kind u8, table u8, key length u16, value length u32,
 * key, value. One shape for all, so that decoding needs one bounds check a field, and applying is
 * handing the bytes to LMDB.
 */
#define OP_HEADER_SIZE 8
enum op_kind {
	OP_PUT = 1,	   /* key -> value, replacing */
	OP_DEL = 2,	   /* key, which need not be there */
	OP_DEL_PREFIX = 3, /* all keys that begin with an ino */
	OP_DEL_INODE = 4,  /* an inode's record and all that hangs on it: every table but `entry` */
};

/*
 * The journal: a header, then records back to back. A record's magic lets a reader find the next
 * record behind a damaged one, and so tell damage from a torn tail.
 */
#define JOURNAL_MAGIC	      "plyfsjnl"
#define JOURNAL_HEADER_SIZE   32 /* magic 8, version u32, zero u32, base u64, sum u64 of these 24 */
#define JOURNAL_RECORD_MAGIC  0x52594c50u /* "PLYR" */
#define JOURNAL_RECORD_HEADER 24	  /* magic u32, length u32, seq u64, sum u64 */
#define JOURNAL_RECORD_SUMMED 16	  /* the bytes of the record header that are summed */
#define JOURNAL_BODY_MAX      (16u << 20)

/* catalog.sum: magic 8, version u32, zero u32, txnid u64, size u64, sum u64, sum u64 of these 40. */
#define SUM_MAGIC "plyfssum"
#define SUM_SIZE  48

static inline void put_be64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline uint64_t get_be64(const uint8_t *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t get_le16(const void *p)
{
	uint16_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "LMDB files are in the machine's byte order; the format is little-endian"
#endif

#endif
