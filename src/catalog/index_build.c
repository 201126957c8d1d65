/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an index: records in the order of their keys, then a checksum over all. */
#include <errno.h>
#include <lmdb.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/sys.h"
#include "catalog/index_format.h"
#include "catalog/index_sum.h"
#include "catalog/private.h"
#include "catalog/record.h"
#include "catalog/store.h"

/* Address space for the file, halved until it fits: an index is as large as it gets. */
#define MAP_SIZE  ((size_t)1 << 40)
#define MAP_LEAST ((size_t)64 << 20)

/* Names and records of a hard link group, which other tables refer to. */
struct index_builder {
	int fd; /* borrowed */
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	struct buf value;
	struct buf points; /* a piece that is not full yet */
	uint32_t n_points;
	uint8_t last[INDEX_KEY_MAX]; /* the key that was put last */
	size_t last_len;
	struct buf unions; /* (union_ino, ino) of the records with LOWER */
};

/* LMDB must not make pages of its own order out of ours: append means that keys come sorted. */
static int put(struct index_builder *b, const void *key, size_t key_len, const void *value,
	       size_t len)
{
	MDB_val k = {.mv_size = key_len, .mv_data = (void *)(uintptr_t)key};
	MDB_val v = {.mv_size = len, .mv_data = (void *)(uintptr_t)value};

	if (b->txn == NULL)
		return -EINVAL;
	if (b->last_len > 0 && key_compare(b->last, b->last_len, key, key_len) >= 0)
		return -EINVAL;
	memcpy(b->last, key, key_len);
	b->last_len = key_len;
	return store_errno(mdb_put(b->txn, b->dbi, &k, &v, MDB_APPEND));
}

static int put_value(struct index_builder *b, const void *key, size_t key_len)
{
	return buf_ok(&b->value) ? put(b, key, key_len, b->value.data, b->value.len) : -ENOMEM;
}

static size_t head_key(uint8_t *key, enum index_key kind, uint64_t n)
{
	key[0] = (uint8_t)kind;
	put_be32(key + 1, (uint32_t)n);
	return INDEX_KEY_HEAD;
}

static size_t name_key(uint8_t *key, enum index_key kind, uint64_t n, const char *name, size_t len)
{
	head_key(key, kind, n);
	memcpy(key + INDEX_KEY_HEAD, name, len);
	return INDEX_KEY_HEAD + len;
}

static int env_open(struct index_builder *b, size_t map_size)
{
	char path[PRIVATE_PATH_MAX];
	int rc = mdb_env_create(&b->env);

	if (rc != 0)
		return store_errno(rc);
	private_path(b->fd, path);
	rc = mdb_env_set_mapsize(b->env, map_size);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(b->env, 1);
	/* Nobody else has the file, and it is worth nothing before index_finish() has flushed it. */
	if (rc == 0)
		rc = mdb_env_open(b->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
	if (rc != 0) {
		mdb_env_close(b->env);
		b->env = NULL;
	}
	return store_errno(rc);
}

int index_builder_new(int fd, struct index_builder **ret_builder)
{
	CLEANUP(index_builder) struct index_builder *b = calloc(1, sizeof(*b));
	size_t map_size = MAP_SIZE;
	int rc;

	if (b == NULL)
		return -ENOMEM;
	b->fd = fd;
	do {
		rc = env_open(b, map_size);
		map_size /= 2;
	} while (rc == -ENOMEM && map_size >= MAP_LEAST);
	if (rc == 0)
		rc = store_errno(mdb_txn_begin(b->env, NULL, 0, &b->txn));
	if (rc == 0)
		rc = store_errno(mdb_dbi_open(b->txn, INDEX_TABLE, MDB_CREATE, &b->dbi));
	if (rc == 0)
		*ret_builder = steal_ptr(&b);
	return rc;
}

void index_builder_free(struct index_builder *b)
{
	if (b == NULL)
		return;
	if (b->txn != NULL)
		mdb_txn_abort(b->txn);
	if (b->env != NULL)
		mdb_env_close(b->env);
	buf_done(&b->value);
	buf_done(&b->points);
	buf_done(&b->unions);
	free(b);
}

static int put_piece(struct index_builder *b)
{
	uint8_t key[INDEX_KEY_HEAD];
	int rc = put(b, key, head_key(key, INDEX_KEY_POINTS, b->n_points++), b->points.data,
		     b->points.len);

	buf_clear(&b->points);
	return rc;
}

int index_put_points(struct index_builder *b, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	int rc = 0;

	while (rc == 0 && len > 0) {
		size_t room = INDEX_PIECE - b->points.len, n = len < room ? len : room;

		buf_put(&b->points, p, n);
		if (!buf_ok(&b->points))
			return -ENOMEM;
		p += n;
		len -= n;
		if (b->points.len == INDEX_PIECE)
			rc = put_piece(b);
	}
	return rc;
}

/* What is left of the points comes before anything else. */
static int end_points(struct index_builder *b)
{
	return b->points.len > 0 ? put_piece(b) : 0;
}

int index_put_super(struct index_builder *b, const char *key, const void *value, size_t len)
{
	uint8_t k[1 + SUPER_KEY_MAX];
	size_t key_len = strlen(key);
	int rc = end_points(b);

	if (rc < 0 || key_len == 0 || key_len > SUPER_KEY_MAX)
		return rc < 0 ? rc : -EINVAL;
	k[0] = INDEX_KEY_SUPER;
	memcpy(k + 1, key, key_len);
	return put(b, k, 1 + key_len, value, len);
}

static int check_name(uint64_t ino, size_t len)
{
	return len > 0 && len <= NAME_SIZE_MAX && ino > 0 && ino <= INDEX_INO_MAX ? 0 : -EINVAL;
}

/* What a name's value begins with; the builder's `value` is emptied for it. */
static int begin_name(struct index_builder *b, uint64_t parent, size_t len,
		      enum index_name_kind kind)
{
	int rc = end_points(b);

	if (rc == 0)
		rc = check_name(parent, len);
	buf_clear(&b->value);
	buf_put_u8(&b->value, (uint8_t)kind);
	return rc;
}

int index_put_whiteout(struct index_builder *b, uint64_t parent, const char *name, size_t len)
{
	uint8_t key[INDEX_KEY_MAX];
	int rc = begin_name(b, parent, len, INDEX_NAME_WHITEOUT);

	return rc < 0 ? rc : put_value(b, key, name_key(key, INDEX_KEY_NAME, parent, name, len));
}

static int note_union(struct index_builder *b, const struct index_rec *rec)
{
	if (rec->flags & INDEX_LOWER) {
		buf_put_u64(&b->unions, rec->union_ino);
		buf_put_u64(&b->unions, rec->attr.ino);
	}
	return buf_ok(&b->unions) ? 0 : -ENOMEM;
}

int index_put_name(struct index_builder *b, uint64_t parent, const char *name, size_t len,
		   uint64_t seq, const struct index_rec *rec)
{
	uint8_t key[INDEX_KEY_MAX];
	int rc = begin_name(b, parent, len, INDEX_NAME_RECORD);

	if (rc == 0)
		rc = check_name(rec->attr.ino, len);
	/* Whoever looks for it by its number must find it. */
	if (rc < 0 || (rec->flags & INDEX_LOWER) != 0)
		return rc < 0 ? rc : -EINVAL;
	varint_put(&b->value, rec->attr.ino);
	varint_put(&b->value, seq);
	index_rec_encode(rec, &b->value);
	return put_value(b, key, name_key(key, INDEX_KEY_NAME, parent, name, len));
}

int index_put_link(struct index_builder *b, uint64_t parent, const char *name, size_t len,
		   uint64_t seq, uint64_t ino, uint8_t dtype)
{
	uint8_t key[INDEX_KEY_MAX];
	int rc = begin_name(b, parent, len, INDEX_NAME_LINK);

	if (rc == 0)
		rc = check_name(ino, len);
	if (rc < 0)
		return rc;
	buf_put_u8(&b->value, dtype);
	varint_put(&b->value, ino);
	varint_put(&b->value, seq);
	return put_value(b, key, name_key(key, INDEX_KEY_NAME, parent, name, len));
}

int index_put_inode(struct index_builder *b, const struct index_rec *rec)
{
	uint8_t key[INDEX_KEY_HEAD];
	int rc = end_points(b);

	if (rc == 0)
		rc = check_name(rec->attr.ino, 1);
	if (rc == 0)
		rc = note_union(b, rec);
	if (rc < 0)
		return rc;
	buf_clear(&b->value);
	index_rec_encode(rec, &b->value);
	return put_value(b, key, head_key(key, INDEX_KEY_INODE, rec->attr.ino));
}

int index_put_xattr(struct index_builder *b, uint64_t ino, const char *name, const void *value,
		    size_t len)
{
	uint8_t key[INDEX_KEY_MAX];
	int rc = end_points(b);

	if (rc == 0)
		rc = check_name(ino, strlen(name));
	if (rc < 0 || len > XATTR_VALUE_MAX)
		return rc < 0 ? rc : -EINVAL;
	return put(b, key, name_key(key, INDEX_KEY_XATTR, ino, name, strlen(name)), value, len);
}

static int compare_unions(const void *a, const void *b)
{
	uint64_t x = get_le64(a), y = get_le64(b);

	return (x > y) - (x < y);
}

static int put_unions(struct index_builder *b)
{
	uint8_t key[9] = {INDEX_KEY_UNION}, value[4];
	size_t n = b->unions.len / 16;
	int rc = 0;

	if (n > 0)
		qsort(b->unions.data, n, 16, compare_unions);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		put_be64(key + 1, get_le64(b->unions.data + 16 * i));
		put_le32(value, (uint32_t)get_le64(b->unions.data + 16 * i + 8));
		rc = put(b, key, sizeof(key), value, sizeof(value));
	}
	return rc;
}

/* Behind the last page that LMDB uses. */
static int put_trailer(int fd, uint64_t size)
{
	uint8_t trailer[INDEX_TRAILER_SIZE] = INDEX_MAGIC;
	struct hash128 sum;
	int rc = index_sum(fd, size, &sum);

	if (rc < 0)
		return rc;
	put_le32(trailer + 8, INDEX_VERSION);
	put_le64(trailer + 16, size);
	put_le64(trailer + 24, sum.low);
	put_le64(trailer + 32, sum.high);
	put_le64(trailer + INDEX_TRAILER_SUMMED, hash64(trailer, INDEX_TRAILER_SUMMED, 0));
	return sys_pwrite_full(fd, trailer, sizeof(trailer), (off_t)size);
}

int index_finish(struct index_builder *b, bool sync)
{
	struct stat st;
	int rc = end_points(b);

	if (rc == 0)
		rc = put_unions(b);
	if (rc < 0 || b->txn == NULL)
		return rc < 0 ? rc : -EINVAL;
	rc = store_errno(mdb_txn_commit(steal_ptr(&b->txn)));
	mdb_env_close(steal_ptr(&b->env));
	if (rc == 0)
		rc = sys_fstat(b->fd, &st);
	if (rc == 0)
		rc = put_trailer(b->fd, (uint64_t)st.st_size);
	if (rc == 0 && sync)
		rc = sys_fdatasync(b->fd);
	return store_full_errno(b->fd, rc);
}
