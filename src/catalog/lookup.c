/* SPDX-License-Identifier: Apache-2.0 */
/* Reading single records. */
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "catalog/internal.h"

uint64_t catalog_name_hash(uint64_t seed, const char *name, size_t len)
{
	uint64_t hash = hash64(name, len, seed) >> 1;

	/* 0, 1 and 2 are the start of a listing, "." and "..". */
	return hash < 3 ? hash + 3 : hash;
}

uint64_t catalog_seed(const struct catalog *c)
{
	return c->seed;
}

uint64_t catalog_new_ino(struct catalog *c)
{
	/* 2^48 of them last longer than any disk. */
	return c->next_ino++;
}

int catalog_entry(struct catalog *c, uint64_t parent, const char *name, size_t len,
		  struct entry_rec *ret_entry)
{
	uint8_t key[KEY_SIZE_MAX];
	size_t key_len;
	MDB_val v;
	int rc;

	if (len == 0 || len > NAME_SIZE_MAX)
		return -ENOENT;
	key_len = key_of_entry(key, parent, catalog_name_hash(c->seed, name, len), name, len);
	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_ENTRY, key, key_len, &v);
	if (rc == 0)
		rc = entry_decode(v.mv_data, v.mv_size, ret_entry);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

int catalog_inode(struct catalog *c, uint64_t ino, struct inode_rec *ret_rec)
{
	uint8_t key[INO_KEY_SIZE];
	MDB_val v;
	int rc;

	key_of_ino(key, ino);
	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_INODE, key, sizeof(key), &v);
	if (rc == 0)
		rc = inode_decode(v.mv_data, v.mv_size, ino, ret_rec);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* Copies a value as getxattr(2) does. */
static ssize_t copy_value(const MDB_val *v, void *value, size_t size)
{
	if (size > 0) {
		if (v->mv_size > size)
			return -ERANGE;
		if (v->mv_size > 0)
			memcpy(value, v->mv_data, v->mv_size);
	}
	return (ssize_t)v->mv_size;
}

ssize_t catalog_xattr(struct catalog *c, uint64_t ino, const char *name, void *value, size_t size)
{
	uint8_t key[KEY_SIZE_MAX];
	size_t len = strlen(name), key_len;
	MDB_val v;
	ssize_t n;
	int rc;

	if (len == 0 || len > NAME_SIZE_MAX)
		return -ENODATA;
	key_len = key_of_xattr(key, ino, name, len);
	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_XATTR, key, key_len, &v);
	if (rc == 0)
		n = copy_value(&v, value, size);
	else
		n = rc == -ENOENT ? -ENODATA : rc;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static int append_names(struct catalog *c, uint64_t ino, struct buf *out)
{
	CLEANUP(view) struct view_cursor v = {0};
	uint8_t prefix[INO_KEY_SIZE];
	MDB_val key, value;
	int rc = view_begin(c, TABLE_XATTR, prefix, key_of_ino(prefix, ino), &v);

	while (rc == 0) {
		rc = view_next(&v, &key, &value);
		if (rc == 0) {
			buf_put(out, (const uint8_t *)key.mv_data + INO_KEY_SIZE,
				key.mv_size - INO_KEY_SIZE);
			buf_put_u8(out, 0);
		}
	}
	return rc == -ENOENT ? 0 : rc;
}

int catalog_xattr_names(struct catalog *c, uint64_t ino, struct buf *out)
{
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = append_names(c, ino, out);
	pthread_mutex_unlock(&c->lock);
	return rc == 0 && !buf_ok(out) ? -ENOMEM : rc;
}

ssize_t catalog_inline(struct catalog *c, uint64_t ino, uint64_t off, void *bytes, size_t size)
{
	uint8_t key[INO_KEY_SIZE];
	ssize_t n = 0;
	MDB_val v;
	int rc;

	key_of_ino(key, ino);
	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_INLINE, key, sizeof(key), &v);
	if (rc == 0 && off < v.mv_size) {
		n = (ssize_t)(v.mv_size - off < size ? v.mv_size - off : size);
		if (n > 0)
			memcpy(bytes, (const uint8_t *)v.mv_data + off, (size_t)n);
	}
	pthread_mutex_unlock(&c->lock);
	/* No record: an empty file. */
	return rc == 0 || rc == -ENOENT ? n : rc;
}

int catalog_chunks(struct catalog *c, uint64_t ino, uint32_t segment, uint8_t *ret_bits)
{
	uint8_t key[CHUNKS_KEY_SIZE];
	MDB_val v;
	int rc;

	key_of_chunks(key, ino, segment);
	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_CHUNKS, key, sizeof(key), &v);
	if (rc == 0 && v.mv_size != CHUNK_SEGMENT_BYTES)
		rc = -EUCLEAN;
	if (rc == 0)
		memcpy(ret_bits, v.mv_data, CHUNK_SEGMENT_BYTES);
	pthread_mutex_unlock(&c->lock);
	if (rc != -ENOENT)
		return rc;
	memset(ret_bits, 0, CHUNK_SEGMENT_BYTES);
	return 0;
}

int catalog_super(struct catalog *c, const char *key, struct buf *out)
{
	MDB_val v;
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = view_get(c, TABLE_SUPER, key, strlen(key), &v);
	if (rc == 0)
		buf_put(out, v.mv_data, v.mv_size);
	pthread_mutex_unlock(&c->lock);
	return rc == 0 && !buf_ok(out) ? -ENOMEM : rc;
}

int catalog_orphans(struct catalog *c, uint64_t **ret_inos, size_t *ret_n)
{
	uint64_t *inos = reallocarray(NULL, c->n_orphans > 0 ? c->n_orphans : 1, sizeof(*inos));

	if (inos == NULL)
		return -ENOMEM;
	if (c->n_orphans > 0)
		memcpy(inos, c->orphans, c->n_orphans * sizeof(*inos));
	*ret_inos = inos;
	*ret_n = c->n_orphans;
	return 0;
}
