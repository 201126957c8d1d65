/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding and decoding of keys, inode records and the changes in a batch. */
#include "catalog/record.h"

#include <errno.h>
#include <string.h>

#include "catalog/batch.h"

_Static_assert(INODE_ORIGIN_MAX == ORIGIN_SIZE_MAX, "one limit, said twice");

const char *const table_names[N_TABLES] = {
	[TABLE_SUPER] = "super",   [TABLE_ENTRY] = "entry",   [TABLE_INODE] = "inode",
	[TABLE_XATTR] = "xattr",   [TABLE_INLINE] = "inline", [TABLE_CHUNKS] = "chunks",
	[TABLE_ORPHAN] = "orphan", [TABLE_SUM] = "sum",
};

int table_by_name(const void *name, size_t len)
{
	for (int table = 0; table < N_TABLES; table++)
		if (len == strlen(table_names[table]) && memcmp(name, table_names[table], len) == 0)
			return table;
	return -1;
}

/* What a key and a value of each table may measure. */
static const struct shape {
	uint16_t key_min, key_max;
	uint32_t value_min, value_max;
} shapes[N_TABLES] = {
	[TABLE_SUPER] = {1, SUPER_KEY_MAX, 0, SUPER_VALUE_MAX},
	[TABLE_ENTRY] = {ENTRY_KEY_PREFIX + 1, ENTRY_KEY_PREFIX + NAME_SIZE_MAX, ENTRY_VALUE_SIZE,
			 ENTRY_VALUE_SIZE},
	[TABLE_INODE] = {INO_KEY_SIZE, INO_KEY_SIZE, INODE_VALUE_MIN, INODE_VALUE_MAX},
	[TABLE_XATTR] = {INO_KEY_SIZE + 1, INO_KEY_SIZE + NAME_SIZE_MAX, 0, XATTR_VALUE_MAX},
	[TABLE_INLINE] = {INO_KEY_SIZE, INO_KEY_SIZE, 1, INLINE_SIZE_MAX},
	[TABLE_CHUNKS] = {CHUNKS_KEY_SIZE, CHUNKS_KEY_SIZE, CHUNK_SEGMENT_BYTES,
			  CHUNK_SEGMENT_BYTES},
	[TABLE_ORPHAN] = {INO_KEY_SIZE, INO_KEY_SIZE, 0, 0},
	[TABLE_SUM] = {INO_KEY_SIZE, INO_KEY_SIZE, SUM_VALUE_SIZE, SUM_VALUE_SIZE},
};

/* What follows the attributes in an inode record. On disk: never reuse a bit. */
enum { INODE_ORIGIN = 1 << 0 };

void inode_rec_done(struct inode_rec *rec)
{
	free(rec->origin);
	*rec = (struct inode_rec){0};
}

size_t key_of_ino(uint8_t *key, uint64_t ino)
{
	put_be64(key, ino);
	return INO_KEY_SIZE;
}

size_t key_of_entry(uint8_t *key, uint64_t parent, uint64_t hash, const char *name, size_t len)
{
	put_be64(key, parent);
	put_be64(key + 8, hash);
	memcpy(key + ENTRY_KEY_PREFIX, name, len);
	return ENTRY_KEY_PREFIX + len;
}

size_t key_of_xattr(uint8_t *key, uint64_t ino, const char *name, size_t len)
{
	put_be64(key, ino);
	memcpy(key + INO_KEY_SIZE, name, len);
	return INO_KEY_SIZE + len;
}

size_t key_of_chunks(uint8_t *key, uint64_t ino, uint32_t segment)
{
	put_be64(key, ino);
	put_be32(key + 8, segment);
	return CHUNKS_KEY_SIZE;
}

static void put_time(struct buf *out, const struct timespec *t)
{
	buf_put_u64(out, (uint64_t)t->tv_sec);
	buf_put_u32(out, (uint32_t)t->tv_nsec);
}

static void read_time(struct reader *r, struct timespec *ret_t)
{
	ret_t->tv_sec = (time_t)read_u64(r);
	ret_t->tv_nsec = read_u32(r);
}

/* It has the place of the size, which says nothing then. */
static bool has_stale_mtime(const struct inode_rec *rec)
{
	return (rec->flags & INODE_HAS_MTIME) && inode_has_file(rec);
}

void inode_encode(const struct inode_rec *rec, struct buf *out)
{
	const struct attr *a = &rec->attr;

	buf_put_u32(out, a->mode);
	buf_put_u32(out, a->nlink);
	buf_put_u32(out, a->uid);
	buf_put_u32(out, a->gid);
	buf_put_u32(out, a->rdev_major);
	buf_put_u32(out, a->rdev_minor);
	buf_put_u64(out, has_stale_mtime(rec) ? rec->stale_mtime : a->size);
	put_time(out, &a->atime);
	put_time(out, &a->mtime);
	put_time(out, &a->ctime);
	buf_put_u32(out, rec->flags);
	buf_put_u8(out, (uint8_t)rec->where);
	buf_put_u8(out, rec->chunk_shift);
	buf_put_u16(out, rec->origin != NULL ? INODE_ORIGIN : 0);
	buf_put_u64(out, rec->lower_size);
	buf_put_u64(out, rec->parent);
	if (rec->origin != NULL)
		buf_put_str(out, rec->origin);
}

bool mode_has_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

/* Values on which other folders index, shift or allocate must be in range. */
static bool is_sane(const struct inode_rec *rec, uint32_t where)
{
	const struct attr *a = &rec->attr;

	return mode_has_type(a->mode) && (a->mode & ~(uint32_t)(S_IFMT | 07777)) == 0 &&
	       where <= BYTES_CHUNKS && a->atime.tv_nsec < 1000000000 &&
	       a->mtime.tv_nsec < 1000000000 && a->ctime.tv_nsec < 1000000000 &&
	       rec->chunk_shift < 63;
}

static int read_origin(struct reader *r, char **ret_origin)
{
	size_t len = r->left;
	const void *text = read_bytes(r, len);
	char *copy;

	if (len > ORIGIN_SIZE_MAX || (len > 0 && memchr(text, 0, len) != NULL))
		return -EUCLEAN;
	copy = malloc(len + 1);
	if (copy == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = 0;
	*ret_origin = copy;
	return 0;
}

int inode_decode(const void *value, size_t len, uint64_t ino, struct inode_rec *ret_rec)
{
	struct reader r = reader_of(value, len);
	struct inode_rec rec = {.attr.ino = ino};
	struct attr *a = &rec.attr;
	uint32_t where, follows;

	a->mode = read_u32(&r);
	a->nlink = read_u32(&r);
	a->uid = read_u32(&r);
	a->gid = read_u32(&r);
	a->rdev_major = read_u32(&r);
	a->rdev_minor = read_u32(&r);
	a->size = read_u64(&r);
	read_time(&r, &a->atime);
	read_time(&r, &a->mtime);
	read_time(&r, &a->ctime);
	rec.flags = read_u32(&r);
	where = read_u8(&r);
	rec.chunk_shift = read_u8(&r);
	follows = read_u16(&r);
	rec.lower_size = read_u64(&r);
	rec.parent = read_u64(&r);
	if (!reader_ok(&r) || !is_sane(&rec, where) || (follows & ~(uint32_t)INODE_ORIGIN) != 0)
		return -EUCLEAN;
	rec.where = where;
	if (has_stale_mtime(&rec)) {
		rec.stale_mtime = a->size;
		a->size = 0;
	}
	if (follows & INODE_ORIGIN) {
		int rc = read_origin(&r, &rec.origin);

		if (rc < 0)
			return rc;
	} else if (!reader_end(&r)) {
		return -EUCLEAN;
	}
	*ret_rec = rec;
	return 0;
}

int entry_decode(const void *value, size_t len, struct entry_rec *ret_entry)
{
	struct reader r = reader_of(value, len);
	struct entry_rec entry;

	entry.dtype = read_u8(&r);
	entry.ino = read_u64(&r);
	if (!reader_end(&r) || (entry_is_whiteout(&entry) ? entry.ino != 0 : entry.ino == 0))
		return -EUCLEAN;
	*ret_entry = entry;
	return 0;
}

bool record_fits(enum catalog_table table, size_t key_len, size_t value_len)
{
	const struct shape *s = &shapes[table];

	return key_len >= s->key_min && key_len <= s->key_max && value_len >= s->value_min &&
	       value_len <= s->value_max;
}

static bool op_fits(const struct op *op)
{
	const struct shape *s = &shapes[op->table];

	switch (op->kind) {
	case OP_PUT:
		return record_fits(op->table, op->key_len, op->value_len);
	case OP_DEL:
		return op->key_len >= s->key_min && op->key_len <= s->key_max && op->value_len == 0;
	case OP_DEL_PREFIX:
		return op->table != TABLE_SUPER && op->key_len == INO_KEY_SIZE &&
		       op->value_len == 0;
	case OP_DEL_INODE:
		return op->table == TABLE_INODE && op->key_len == INO_KEY_SIZE &&
		       op->value_len == 0;
	}
	return false;
}

int op_next(struct reader *body, struct op *ret_op)
{
	struct op op;
	uint8_t table;

	if (reader_end(body))
		return 0;
	op.kind = read_u8(body);
	table = read_u8(body);
	op.key_len = read_u16(body);
	op.value_len = read_u32(body);
	op.key = read_bytes(body, op.key_len);
	op.value = read_bytes(body, op.value_len);
	if (!reader_ok(body) || table >= N_TABLES)
		return -EBADMSG;
	op.table = table;
	if (!op_fits(&op))
		return -EBADMSG;
	*ret_op = op;
	return 1;
}

void op_append(struct buf *body, enum op_kind kind, enum catalog_table table, const void *key,
	       size_t key_len, const void *value, size_t value_len)
{
	uint8_t header[OP_HEADER_SIZE] = {kind, table, key_len & 0xff, (key_len >> 8) & 0xff};

	put_le32(header + 4, (uint32_t)value_len);
	buf_put(body, header, sizeof(header));
	buf_put(body, key, key_len);
	if (value_len > 0)
		buf_put(body, value, value_len);
}
