/* SPDX-License-Identifier: Apache-2.0 */
/* Walking whole tables. */
#include "catalog/walk.h"

#include <errno.h>
#include <string.h>

#include "catalog/internal.h"

/* Records are copied out in pieces, so that EACH runs without the lock and may commit. */
#define PIECE_BYTES ((size_t)256 << 10)

struct piece {
	struct buf bytes;		/* keys and values, one after the other */
	struct buf sizes;		/* for each record: length of the key, of the value; u32 */
	uint8_t last[KEY_SIZE_MAX * 2]; /* where to go on */
	size_t last_len;
	bool end;
};

static void piece_done(struct piece *p)
{
	buf_done(&p->bytes);
	buf_done(&p->sizes);
}
DEFINE_CLEANUP(struct piece, piece, piece_done)

static int add(struct piece *p, const MDB_val *key, const MDB_val *value)
{
	if (key->mv_size > sizeof(p->last))
		return -EUCLEAN;
	buf_put(&p->bytes, key->mv_data, key->mv_size);
	buf_put(&p->bytes, value->mv_data, value->mv_size);
	buf_put_u32(&p->sizes, (uint32_t)key->mv_size);
	buf_put_u32(&p->sizes, (uint32_t)value->mv_size);
	memcpy(p->last, key->mv_data, key->mv_size);
	p->last_len = key->mv_size;
	return buf_ok(&p->bytes) && buf_ok(&p->sizes) ? 0 : -ENOMEM;
}

/* The records behind the last one, until the piece is full. Under the lock. */
static int fill(struct catalog *c, enum catalog_table table, struct piece *p)
{
	CLEANUP_CURSOR MDB_cursor *cursor = NULL;
	MDB_val key = {.mv_size = p->last_len, .mv_data = p->last}, value;
	uint8_t from[sizeof(p->last)];
	bool first = p->last_len == 0;
	int rc = store_cursor(&c->store, table, &cursor);

	if (rc == -ENOENT) {
		p->end = true;
		return 0;
	}
	if (rc < 0)
		return rc;
	memcpy(from, p->last, p->last_len);
	key.mv_data = from;
	rc = mdb_cursor_get(cursor, &key, &value, first ? MDB_FIRST : MDB_SET_RANGE);
	if (rc == 0 && !first && key.mv_size == p->last_len &&
	    memcmp(key.mv_data, p->last, p->last_len) == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	while (rc == 0 && p->bytes.len < PIECE_BYTES) {
		rc = add(p, &key, &value);
		if (rc < 0)
			return rc;
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	p->end = rc == MDB_NOTFOUND;
	return rc == 0 || rc == MDB_NOTFOUND ? 0 : store_errno(rc);
}

static int emit(const struct piece *p, int (*each)(void *arg, const struct catalog_raw *raw),
		void *arg)
{
	const uint8_t *at = p->bytes.data;

	for (size_t i = 0; i < p->sizes.len; i += 8) {
		struct catalog_raw raw = {
			.key = at,
			.key_len = get_le32(p->sizes.data + i),
			.value_len = get_le32(p->sizes.data + i + 4),
		};
		int rc;

		raw.value = at + raw.key_len;
		at = raw.value + raw.value_len;
		rc = each(arg, &raw);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int catalog_walk_tables(struct catalog *c, enum catalog_table table,
			int (*each)(void *arg, const struct catalog_raw *raw), void *arg)
{
	CLEANUP(piece) struct piece p = {0};
	int rc = 0;

	while (rc == 0 && !p.end) {
		buf_clear(&p.bytes);
		buf_clear(&p.sizes);
		pthread_mutex_lock(&c->lock);
		rc = fill(c, table, &p);
		pthread_mutex_unlock(&c->lock);
		if (rc == 0)
			rc = emit(&p, each, arg);
	}
	return rc;
}

int catalog_walk(struct catalog *c, enum catalog_table table,
		 int (*each)(void *arg, const struct catalog_raw *raw), void *arg)
{
	int rc = catalog_checkpoint(c);

	return rc < 0 ? rc : catalog_walk_tables(c, table, each, arg);
}
