/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an index. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "catalog/index_format.h"
#include "catalog/index_private.h"
#include "catalog/store.h"

/* What LMDB returns lies in the map, which lives as long as the index; only its own state needs the lock. */
static int get(struct index_file *x, const void *key, size_t len, MDB_val *ret_value)
{
	MDB_val k = {.mv_size = len, .mv_data = (void *)(uintptr_t)key};
	int rc;

	pthread_mutex_lock(&x->lock);
	rc = mdb_get(x->txn, x->dbi, &k, ret_value);
	pthread_mutex_unlock(&x->lock);
	return store_errno(rc);
}

static void head_key(uint8_t *key, enum index_key kind, uint64_t n)
{
	key[0] = (uint8_t)kind;
	put_be32(key + 1, (uint32_t)n);
}

int index_file_super(struct index_file *x, const char *key, struct buf *out)
{
	uint8_t k[1 + SUPER_KEY_MAX] = {INDEX_KEY_SUPER};
	size_t len = strlen(key);
	MDB_val v;
	int rc;

	if (len == 0 || len > SUPER_KEY_MAX)
		return -ENOENT;
	memcpy(k + 1, key, len);
	rc = get(x, k, 1 + len, &v);
	if (rc < 0)
		return rc;
	buf_put(out, v.mv_data, v.mv_size);
	return buf_ok(out) ? 0 : -ENOMEM;
}

/* The value of a name: what it leads to, and the reader at its record where that follows. */
static int name_decode(const MDB_val *v, struct reader *ret_reader, uint8_t *ret_kind,
		       struct index_name *ret_name)
{
	struct reader r = reader_of(v->mv_data, v->mv_size);

	*ret_kind = read_u8(&r);
	ret_name->ino = ret_name->seq = 0;
	ret_name->dtype = DT_WHT;
	switch (*ret_kind) {
	case INDEX_NAME_WHITEOUT:
		return reader_end(&r) ? 0 : -EUCLEAN;
	case INDEX_NAME_LINK:
		ret_name->dtype = read_u8(&r);
		ret_name->ino = varint_read(&r);
		ret_name->seq = varint_read(&r);
		if (!reader_end(&r))
			return -EUCLEAN;
		break;
	case INDEX_NAME_RECORD:
		ret_name->ino = varint_read(&r);
		ret_name->seq = varint_read(&r);
		*ret_reader = r;
		/* The mode is the second number of the record. */
		varint_read(&r);
		ret_name->dtype = attr_dtype((uint32_t)varint_read(&r));
		break;
	default:
		return -EUCLEAN;
	}
	return r.bad || ret_name->ino == 0 || ret_name->ino > INDEX_INO_MAX ? -EUCLEAN : 0;
}

int index_file_inode(struct index_file *x, uint64_t ino, struct index_rec *ret_rec)
{
	uint8_t key[INDEX_KEY_HEAD];
	struct reader r;
	MDB_val v;
	int rc;

	head_key(key, INDEX_KEY_INODE, ino);
	rc = get(x, key, sizeof(key), &v);
	if (rc < 0)
		return rc;
	r = reader_of(v.mv_data, v.mv_size);
	return index_rec_decode(&r, ino, ret_rec);
}

int index_file_lookup(struct index_file *x, uint64_t parent, const char *name, size_t len,
		      struct index_rec *ret_rec)
{
	uint8_t key[INDEX_KEY_MAX], kind;
	struct index_name to;
	struct reader r;
	MDB_val v;
	int rc;

	if (len == 0 || len > NAME_SIZE_MAX)
		return -ENOENT;
	head_key(key, INDEX_KEY_NAME, parent);
	memcpy(key + INDEX_KEY_HEAD, name, len);
	rc = get(x, key, INDEX_KEY_HEAD + len, &v);
	if (rc == 0)
		rc = name_decode(&v, &r, &kind, &to);
	if (rc < 0)
		return rc;
	if (kind == INDEX_NAME_WHITEOUT) {
		*ret_rec = (struct index_rec){0};
		return 0;
	}
	if (kind == INDEX_NAME_RECORD)
		return index_rec_decode(&r, to.ino, ret_rec);
	rc = index_file_inode(x, to.ino, ret_rec);
	/* A name without a record is damage, not a missing name. */
	return rc == -ENOENT ? -EUCLEAN : rc;
}

/* Calls EACH, under the lock, for the records whose keys begin with the LEN bytes at PREFIX. */
static int walk(struct index_file *x, const uint8_t *prefix, size_t len,
		int (*each)(void *arg, const MDB_val *key, const MDB_val *value), void *arg)
{
	MDB_val key = {.mv_size = len, .mv_data = (void *)(uintptr_t)prefix}, value;
	MDB_cursor_op op = MDB_SET_RANGE;
	MDB_cursor *cursor;
	int rc;

	pthread_mutex_lock(&x->lock);
	rc = store_errno(mdb_cursor_open(x->txn, x->dbi, &cursor));
	if (rc < 0) {
		pthread_mutex_unlock(&x->lock);
		return rc;
	}
	while (rc == 0) {
		rc = store_errno(mdb_cursor_get(cursor, &key, &value, op));
		op = MDB_NEXT;
		if (rc == 0 && (key.mv_size < len || memcmp(key.mv_data, prefix, len) != 0))
			break;
		if (rc == 0)
			rc = each(arg, &key, &value);
	}
	mdb_cursor_close(cursor);
	pthread_mutex_unlock(&x->lock);
	return rc == -ENOENT ? 0 : rc;
}

struct listing {
	int (*each)(void *arg, const struct index_name *name);
	void *arg;
};

static int list_one(void *arg, const MDB_val *key, const MDB_val *value)
{
	const struct listing *l = arg;
	char text[NAME_SIZE_MAX + 1];
	struct index_name name = {.name = text, .len = key->mv_size - INDEX_KEY_HEAD};
	struct reader unused;
	uint8_t kind;
	int rc = name_decode(value, &unused, &kind, &name);

	if (rc < 0 || name.len == 0 || name.len > NAME_SIZE_MAX)
		return -EUCLEAN;
	memcpy(text, (const uint8_t *)key->mv_data + INDEX_KEY_HEAD, name.len);
	text[name.len] = '\0';
	return l->each(l->arg, &name);
}

int index_file_list(struct index_file *x, uint64_t parent,
		    int (*each)(void *arg, const struct index_name *name), void *arg)
{
	struct listing l = {each, arg};
	uint8_t prefix[INDEX_KEY_HEAD];

	head_key(prefix, INDEX_KEY_NAME, parent);
	return walk(x, prefix, sizeof(prefix), list_one, &l);
}

int index_file_by_union_ino(struct index_file *x, uint64_t union_ino, uint64_t *ret_ino)
{
	uint8_t key[9] = {INDEX_KEY_UNION};
	MDB_val v;
	int rc;

	put_be64(key + 1, union_ino);
	rc = get(x, key, sizeof(key), &v);
	if (rc < 0)
		return rc;
	if (v.mv_size != 4)
		return -EUCLEAN;
	*ret_ino = get_le32(v.mv_data);
	return 0;
}

ssize_t index_file_xattr(struct index_file *x, uint64_t ino, const char *name, void *value,
			 size_t size)
{
	uint8_t key[INDEX_KEY_MAX];
	size_t len = strlen(name);
	MDB_val v;
	int rc;

	if (len == 0 || len > NAME_SIZE_MAX)
		return -ENODATA;
	head_key(key, INDEX_KEY_XATTR, ino);
	memcpy(key + INDEX_KEY_HEAD, name, len);
	rc = get(x, key, INDEX_KEY_HEAD + len, &v);
	if (rc < 0)
		return rc == -ENOENT ? -ENODATA : rc;
	if (size > 0) {
		if (v.mv_size > size)
			return -ERANGE;
		if (v.mv_size > 0)
			memcpy(value, v.mv_data, v.mv_size);
	}
	return (ssize_t)v.mv_size;
}

static int append_name(void *arg, const MDB_val *key, const MDB_val *value)
{
	struct buf *out = arg;
	const uint8_t *name = (const uint8_t *)key->mv_data + INDEX_KEY_HEAD;
	size_t len = key->mv_size - INDEX_KEY_HEAD;

	(void)value;
	if (len == 0 || memchr(name, 0, len) != NULL)
		return -EUCLEAN;
	buf_put(out, name, len);
	buf_put_u8(out, 0);
	return buf_ok(out) ? 0 : -ENOMEM;
}

int index_file_xattr_names(struct index_file *x, uint64_t ino, struct buf *out)
{
	uint8_t prefix[INDEX_KEY_HEAD];

	head_key(prefix, INDEX_KEY_XATTR, ino);
	return walk(x, prefix, sizeof(prefix), append_name, out);
}

static int append_piece(void *arg, const MDB_val *key, const MDB_val *value)
{
	struct buf *out = arg;

	(void)key;
	buf_put(out, value->mv_data, value->mv_size);
	return buf_ok(out) ? 0 : -ENOMEM;
}

int index_file_points(struct index_file *x, struct buf *out)
{
	const uint8_t prefix[] = {INDEX_KEY_POINTS};

	return walk(x, prefix, sizeof(prefix), append_piece, out);
}
