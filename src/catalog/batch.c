/* SPDX-License-Identifier: Apache-2.0 */
/* Building batches: one op_append() for each change. */
#include "catalog/batch.h"

#include <string.h>

#include "catalog/catalog.h"
#include "catalog/record.h"

void batch_begin(struct batch *b, const struct catalog *c)
{
	buf_clear(&b->body);
	b->n = 0;
	b->seed = catalog_seed(c);
}

void batch_done(struct batch *b)
{
	buf_done(&b->body);
	b->n = 0;
}

static void add(struct batch *b, enum op_kind kind, enum catalog_table table, const void *key,
		size_t key_len, const void *value, size_t value_len)
{
	op_append(&b->body, kind, table, key, key_len, value, value_len);
	b->n++;
}

/* A change that no reader accepts, so that committing the batch is -EINVAL. */
static void add_invalid(struct batch *b)
{
	add(b, 0, 0, NULL, 0, NULL, 0);
}

static void add_entry(struct batch *b, enum op_kind kind, uint64_t parent, const char *name,
		      size_t len, const void *value, size_t value_len)
{
	uint8_t key[KEY_SIZE_MAX];
	size_t key_len;

	if (len == 0 || len > NAME_SIZE_MAX) {
		add_invalid(b);
		return;
	}
	key_len = key_of_entry(key, parent, catalog_name_hash(b->seed, name, len), name, len);
	add(b, kind, TABLE_ENTRY, key, key_len, value, value_len);
}

static void put_entry(struct batch *b, uint64_t parent, const char *name, size_t len, uint64_t ino,
		      uint8_t dtype)
{
	uint8_t value[ENTRY_VALUE_SIZE] = {dtype};

	put_le64(value + 1, ino);
	add_entry(b, OP_PUT, parent, name, len, value, sizeof(value));
}

void batch_put_entry(struct batch *b, uint64_t parent, const char *name, size_t len, uint64_t ino,
		     uint8_t dtype)
{
	if (ino == 0 || dtype == DT_WHT)
		add_invalid(b);
	else
		put_entry(b, parent, name, len, ino, dtype);
}

void batch_put_whiteout(struct batch *b, uint64_t parent, const char *name, size_t len)
{
	put_entry(b, parent, name, len, 0, DT_WHT);
}

void batch_del_entry(struct batch *b, uint64_t parent, const char *name, size_t len)
{
	add_entry(b, OP_DEL, parent, name, len, NULL, 0);
}

static void add_ino(struct batch *b, enum op_kind kind, enum catalog_table table, uint64_t ino,
		    const void *value, size_t len)
{
	uint8_t key[INO_KEY_SIZE];

	add(b, kind, table, key, key_of_ino(key, ino), value, len);
}

void batch_del_entries(struct batch *b, uint64_t parent)
{
	add_ino(b, OP_DEL_PREFIX, TABLE_ENTRY, parent, NULL, 0);
}

void batch_put_inode(struct batch *b, const struct inode_rec *rec)
{
	size_t at = b->body.len;

	/* The value's length is known when it is written: no copy, no second buffer. */
	add_ino(b, OP_PUT, TABLE_INODE, rec->attr.ino, NULL, 0);
	inode_encode(rec, &b->body);
	if (buf_ok(&b->body))
		buf_set_u32(&b->body, at + 4,
			    (uint32_t)(b->body.len - at - OP_HEADER_SIZE - INO_KEY_SIZE));
}

void batch_del_inode(struct batch *b, uint64_t ino)
{
	add_ino(b, OP_DEL_INODE, TABLE_INODE, ino, NULL, 0);
}

static void add_xattr(struct batch *b, enum op_kind kind, uint64_t ino, const char *name,
		      const void *value, size_t len)
{
	uint8_t key[KEY_SIZE_MAX];
	size_t name_len = strlen(name);

	if (name_len == 0 || name_len > NAME_SIZE_MAX || len > XATTR_VALUE_MAX)
		add_invalid(b);
	else
		add(b, kind, TABLE_XATTR, key, key_of_xattr(key, ino, name, name_len), value, len);
}

void batch_put_xattr(struct batch *b, uint64_t ino, const char *name, const void *value, size_t len)
{
	add_xattr(b, OP_PUT, ino, name, value, len);
}

void batch_del_xattr(struct batch *b, uint64_t ino, const char *name)
{
	add_xattr(b, OP_DEL, ino, name, NULL, 0);
}

void batch_put_inline(struct batch *b, uint64_t ino, const void *bytes, size_t len)
{
	if (len > INLINE_SIZE_MAX)
		add_invalid(b);
	else
		add_ino(b, len > 0 ? OP_PUT : OP_DEL, TABLE_INLINE, ino, bytes, len);
}

void batch_put_chunks(struct batch *b, uint64_t ino, uint32_t segment, const uint8_t *bits)
{
	uint8_t key[CHUNKS_KEY_SIZE];

	add(b, OP_PUT, TABLE_CHUNKS, key, key_of_chunks(key, ino, segment), bits,
	    CHUNK_SEGMENT_BYTES);
}

void batch_del_chunks(struct batch *b, uint64_t ino)
{
	add_ino(b, OP_DEL_PREFIX, TABLE_CHUNKS, ino, NULL, 0);
}

void batch_put_orphan(struct batch *b, uint64_t ino)
{
	add_ino(b, OP_PUT, TABLE_ORPHAN, ino, NULL, 0);
}

void batch_del_orphan(struct batch *b, uint64_t ino)
{
	add_ino(b, OP_DEL, TABLE_ORPHAN, ino, NULL, 0);
}

void batch_put_super(struct batch *b, const char *key, const void *value, size_t len)
{
	size_t key_len = strlen(key);

	if (key_len == 0 || key_len > SUPER_KEY_MAX || len > SUPER_VALUE_MAX)
		add_invalid(b);
	else
		add(b, OP_PUT, TABLE_SUPER, key, key_len, value, len);
}
